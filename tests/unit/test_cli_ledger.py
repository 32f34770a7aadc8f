"""``dataward ledger`` as a user meets it: what it prints, as text and as JSON, and its exit codes."""

import json
import shutil
from pathlib import Path

import pytest

from dataward.cli import main
from dataward.contract import load
from dataward.errors import ContractError
from dataward.integrity import ledger
from dataward.integrity.log.proofs import InclusionProof
from dataward.keys import create_keyring, local_keyring

CONTRACT = (
    "contract: people\nsource: {path: x}\ntarget: {path: people}\nkeys: {path: ring, domain: people}\n"
    "columns: {a: {protect: keep}}\nheads: [{directory: audit}]\n"
)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Exit code, and what is printed, of ``dataward ledger``."""
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONTRACT)
    create_keyring(Path("ring"))

    def called(action, *more):
        code = main(["ledger", action, "--contract", "c.yaml", *more])
        return code, capsys.readouterr().out

    return called


def enter(count):
    for number in range(count):
        place, ring = load("c.yaml").ledger_location, local_keyring(Path("ring"))
        ledger.record(place, ring, "people", "note", b"statement %d" % number)


def test_before_the_first_entry_every_action_says_so(run):
    for action in ("show", "head", "check", "repair", "publish"):
        code, out = run(action, "--json")
        assert (code, "there is none" in json.loads(out)["message"]) == (1, True), action


def test_show_head_prove_and_check_agree(run):
    enter(3)
    assert run("show")[1].count("note") == 3
    code, out = run("show", "--kind", "note", "--last", "1", "--json")
    assert (code, [one["index"] for one in json.loads(out)["entries"]]) == (0, [2])
    assert run("show", "--kind", "seal")[1].startswith("people_ledger: 0 entries")
    code, note = run("head")
    head = json.loads(run("head", "--json")[1])
    assert (code, head["checkpoint"], head["size"]) == (0, note, 3)
    assert run("prove", "1", "--out", "p.tlog-proof") == (0, "")
    proof = InclusionProof.parsed(Path("p.tlog-proof").read_text())
    (key,) = ledger.verifiers(load("c.yaml").ledger_location, local_keyring(Path("ring")))
    assert (key.vkey, proof.trouble(Path("p.tlog-proof.entry").read_bytes(), [key])) == (head["keys"][0], "")
    assert run("prove", "1", "--out", "p.tlog-proof")[0] == 2  # no file is replaced
    assert run("prove", "3")[0] == 1
    shutil.rmtree("ring", ignore_errors=True)
    Path("ring").unlink(missing_ok=True)
    assert run("check")[0] == 3  # without a keyring, and without a key that was handed over
    code, out = run("check", "--key", key.vkey)
    assert (code, out) == (0, "people_ledger: size 3, every entry, statement and tile holds\n")
    assert run("check", "--key", "no key")[0] == 2


def test_heads_are_published_and_a_cut_ledger_is_named(run):
    enter(2)
    shutil.copytree("people_ledger", "older")
    enter(1)
    code, out = run("publish")
    assert (code, out.splitlines()[-1]) == (0, "people_ledger: head of size 3 kept at 1 of 1 places")
    Path("head.txt").write_text(run("head")[1])
    assert run("check")[1].endswith("every entry, statement and tile holds; compared with 1 head kept elsewhere\n")
    shutil.rmtree("people_ledger")
    shutil.copytree("older", "people_ledger")
    code, out = run("check", "--head", "head.txt", "--json")
    assert (code, [flaw["kind"] for flaw in json.loads(out)["flaws"]]) == (1, ["log-cut", "log-cut"])
    assert run("publish")[0] == 1
    assert run("repair")[0] == 1


def test_repair_makes_anew_what_check_misses(run):
    enter(3)
    Path("people_ledger/tile/0/000.p/3").unlink()
    shutil.rmtree("people_ledger/index")
    code, out = run("check")
    assert (code, "tile-differs" in out, "pointers missing or wrong" in out) == (1, True, True)
    code, out = run("repair")
    assert (code, out.splitlines()[-1]) == (0, "people_ledger: size 3; 6 files rebuilt, 0 removed")
    assert run("check") == (0, "people_ledger: size 3, every entry, statement and tile holds\n")


def test_places_of_heads_inside_of_what_they_watch_are_refused(run):
    for folder in ("people_ledger", "people/heads", "./people_ledger/x"):
        Path("c.yaml").write_text(CONTRACT.replace("audit", folder))
        with pytest.raises(ContractError, match="name a folder of another owner"):
            load("c.yaml")
