"""Others' implementations accept the log: Tessera's fsck, Go's note and tlog; and writers that are killed by the kernel."""

import base64
import json
import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from dataward.contract import Location
from dataward.integrity import ledger
from dataward.integrity.ledger import About
from tests.logs import PEOPLE, RING, built, filled, kinds

pytestmark = pytest.mark.long
GO = pytest.mark.skipif(
    shutil.which("go") is None, reason="Go is not installed: Tessera's fsck and Go's tlog cannot be built"
)


def go(folder, *command, **more):
    environment = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"}
    return subprocess.run(
        ["go", *command], env=environment, check=True, capture_output=True, text=True, timeout=600, **more
    )


def log_of(root, size):
    """A log of so many entries, the last two of which were appended one by one."""
    place = built(root, size - 2) if size > 2 else Location(path=str(root))
    filled(place, min(size, 2))
    (key,) = ledger.verifiers(place, RING)
    return ledger.open_log(place), key.vkey


@GO
def test_tesseras_fsck_accepts_the_folder(tmp_path):
    go(tmp_path, "install", "github.com/transparency-dev/tessera/cmd/fsck@latest")

    def fsck(root, key):
        (tmp_path / "key").write_text(key)
        command = [tmp_path / "fsck", f"--storage_url=file://{root}/", f"--public_key={tmp_path / 'key'}", "--ui=false"]
        return subprocess.run(command, capture_output=True, text=True, timeout=600)

    for size in (1, 2, 255, 256, 257, 700):
        _, key = log_of(tmp_path / str(size), size)
        done = fsck(tmp_path / str(size), key)
        assert (done.returncode, f"fsck'd log with size {size}" in done.stderr) == (0, True), done.stderr
    tile = tmp_path / "700/tile/0/001"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    with suppress(subprocess.TimeoutExpired):  # on a damaged log it tries again without end
        assert fsck(tmp_path / "700", key).returncode != 0


@GO
@pytest.mark.parametrize(("size", "index", "old"), [(5, 3, 2), (256, 0, 255), (300, 299, 256), (70_000, 65_536, 1_234)])
def test_gos_note_and_tlog_verify_proofs(tmp_path, size, index, old):
    folder = Path(__file__).parents[1] / "go"
    shutil.copytree(folder, tmp_path / "go")
    go(tmp_path, "mod", "init", "proofs", cwd=tmp_path / "go")
    go(tmp_path, "get", "golang.org/x/mod@v0.33.0", cwd=tmp_path / "go")
    go(tmp_path, "build", "-o", tmp_path / "check", ".", cwd=tmp_path / "go")
    log, key = log_of(tmp_path / "log", size)
    proof = log.proof(index)

    def text(hashes):
        return [base64.b64encode(step).decode() for step in hashes]

    said = {"Key": key, "Checkpoint": str(proof.note), "Index": index, "Entry": base64.b64encode(log.entry(index)).decode(),
            "Path": text(proof.path), "Old": old, "OldRoot": text([log.root(old)])[0], "Consistency": text(log.consistency_proof(old, size))}  # fmt: skip

    def check(**changed):
        return subprocess.run(
            [tmp_path / "check"], input=json.dumps({**said, **changed}), capture_output=True, text=True
        ).stdout

    assert check() == f"ok {size}\n"
    assert check(Index=index - 1 if index else 1).startswith("inclusion")
    assert check(OldRoot=said["Path"][0]).startswith("consistency")
    assert check(Checkpoint=str(proof.note).replace(f"\n{size}\n", f"\n{size + 1}\n")).startswith("note")


CALLS = [(os, "link"), (os, "fsync"), (Path, "replace"), (Path, "unlink"), (Path, "mkdir")]


def forked(work, left):
    """Run in a child, which the kernel kills at the n-th call of the file system; True where it came through."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    counter = [left]

    def killing(real):
        def call(*given, **more):
            counter[0] -= 1
            if counter[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*given, **more)

        return call

    try:
        for owner, name in CALLS:
            setattr(owner, name, killing(getattr(owner, name)))
        work()
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.parametrize("before", [0, 2, 255])
def test_a_writer_killed_by_the_kernel_at_any_call_is_completed_by_the_next(tmp_path, before):
    folder, copy, step = tmp_path / "people_ledger", tmp_path / "copy", 0
    place = Location(path=str(folder))
    if before:
        built(copy, before)

    def mine():
        return ledger.record(place, RING, "people", "note", b"mine", About("mine", PEOPLE)).seq

    for step in range(1, 100):
        shutil.rmtree(folder, ignore_errors=True)
        if before:
            shutil.copytree(copy, folder, copy_function=os.link)  # no file is ever changed in place
        through = forked(mine, step)
        found = ledger.find(place, "mine", PEOPLE, "note")
        assert (found.seq if found else mine()) == before
        filled(place, 1)
        assert [entry.seal_text for entry in ledger.entries(place)[before:]] == ["mine", "0"]
        assert kinds(place) == []
        if through:
            break
    assert 15 < step < 99


def test_writers_killed_at_random_lose_and_double_nothing(tmp_path):
    """Four processes write, each is killed again and again and takes up its run where it was."""
    chance, place = random.Random(5), Location(path=str(tmp_path / "people_ledger"))

    def work(number):
        for n in range(10):
            run = f"{number}/{n}"
            if not ledger.find(place, run, PEOPLE, "note"):
                ledger.record(place, RING, "people", "note", run.encode(), About(run, PEOPLE))
            (tmp_path / f"told-{number}-{n}").touch()

    def start(number):
        child = os.fork()
        if child == 0:
            try:
                work(number)
                os._exit(0)
            finally:
                os._exit(1)
        return child

    running = {number: start(number) for number in range(4)}
    kills = 0
    while running:
        time.sleep(0.005)
        for number, child in list(running.items()):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                assert status == 0
                del running[number]
        told = {path.name for path in tmp_path.glob("told-*")}
        if running and len(told) >= 3 * (kills + 1):  # by what was written: machines differ in speed
            number = chance.choice(sorted(running))
            os.kill(running[number], signal.SIGKILL)
            os.waitpid(running[number], 0)
            there = {entry.seal_text for entry in ledger.entries(place)}
            assert {name.removeprefix("told-").replace("-", "/") for name in told} <= there
            kills += 1
            running[number] = start(number)
    assert sorted(entry.seal_text for entry in ledger.entries(place)) == sorted(
        f"{w}/{n}" for w in range(4) for n in range(10)
    )
    assert kills >= 10
    filled(place, 1)
    assert kinds(place) == []
