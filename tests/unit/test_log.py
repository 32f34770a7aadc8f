"""The transparency log: RFC 6962 hashes, C2SP notes, tiles and proofs; writers that meet, that die, and that lie."""

import hashlib
import os
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.contract import Location
from dataward.errors import ProofError, TargetError, UsageError
from dataward.integrity import ledger
from dataward.integrity.ledger import About
from dataward.integrity.log import entries as pointers
from dataward.integrity.log import log as writing
from dataward.integrity.log import merkle, notes, tiles
from dataward.integrity.log.check import check
from dataward.integrity.log.entries import Body, KeyringRules
from dataward.integrity.log.pinned import PinnedKeys
from dataward.integrity.log.proofs import InclusionProof
from dataward.integrity.log.repair import repair
from dataward.tables.store import Local, store_at
from tests.aws import aws
from tests.keys import Ring

RING = Ring(1, {1: b"s" * 32, 2: b"t" * 32})
PEOPLE, ORDERS = Location(path="lake/people"), Location(path="lake/orders")

# Leaves and roots of the test data of Certificate Transparency's reference implementation.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def hashed(count):
    return [merkle.leaf_hash(b"%d" % number) for number in range(count)]


def nodes_of(hashes):
    return lambda level, index: merkle.root_of(hashes[index << level : (index + 1) << level])


def test_roots_are_those_of_the_reference_implementation():
    hashes = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES]
    assert [merkle.root_of(hashes[: n + 1]).hex() for n in range(8)] == ROOTS
    assert [merkle.root(nodes_of(hashes), n + 1).hex() for n in range(8)] == ROOTS
    assert merkle.root_of([]) == merkle.root(nodes_of([]), 0) == hashlib.sha256().digest()


@given(st.integers(1, 300), st.data())
def test_proofs_hold_for_their_trees_and_for_no_other(size, data):
    hashes = hashed(size)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    head, before = merkle.root_of(hashes), merkle.root_of(hashes[:old])
    path = merkle.inclusion(nodes_of(hashes), index, size)
    assert merkle.holds_inclusion(index, size, hashes[index], path, head)
    assert not merkle.holds_inclusion(index, size, hashes[index], path, bytes(32))
    assert not merkle.holds_inclusion(index, size, bytes(32), path, head)
    assert not merkle.holds_inclusion(index, size, hashes[index], [*path, bytes(32)], head)
    between = merkle.consistency(nodes_of(hashes), old, size)
    assert merkle.holds_consistency(old, size, between, before, head)
    if old:
        assert not merkle.holds_consistency(old, size, between, bytes(32), head)
        assert not merkle.holds_consistency(old, size, between, before, bytes(32))
        assert not merkle.holds_consistency(old, size, [*between, bytes(32)], before, head)


@given(st.integers(0, 700), st.integers(1, 700))
def test_tiles_written_in_two_turns_give_the_root_of_all_leaves(first, more):
    hashes, files = hashed(first + more), {}
    for start, end in ((0, first), (first, first + more)):
        files.update(tiles.extended(tiles.Tiles(files.get, start), hashes[start:end]))
    assert merkle.root(tiles.Tiles(files.get, first + more).node, first + more) == merkle.root_of(hashes)
    assert all(len(data) % 32 == 0 and len(data) <= 8192 for data in files.values())


def test_names_of_tiles_are_those_of_the_specification():
    assert tiles.path(0, 1234067) == "tile/0/x001/x234/067"
    assert tiles.path("entries", 5, 17) == "tile/entries/005.p/17"
    assert [tiles.bundle_path(n) for n in (1, 256, 257)] == [
        "tile/entries/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/1",
    ]


def test_a_note_that_go_signed_verifies_and_a_changed_one_does_not():
    key = notes.Verifier.parsed(GO_KEY)
    assert key.vkey == GO_KEY
    assert key.signed(notes.parse(GO_NOTE))
    assert str(notes.parse(GO_NOTE)) == GO_NOTE
    assert not key.signed(notes.parse(GO_NOTE.replace("your problem", "our problem")))
    with pytest.raises(ValueError, match="hash in this key's text"):
        notes.Verifier.parsed(GO_KEY.replace("c74f20a3", "c74f20a4"))


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_what_others_wrote_is_parsed_or_refused(data):
    for parser in (notes.parse, tiles.unpacked, Body.parsed, lambda d: InclusionProof.parsed(d.decode()),
                   lambda d: notes.Checkpoint.parsed(d.decode()), lambda d: notes.Verifier.parsed(d.decode())):  # fmt: skip
        try:
            parser(data)
        except ValueError:
            continue


@pytest.fixture
def place(tmp_path):
    return Location(path=str(tmp_path / "people_ledger"))


def filled(place, count, target=PEOPLE, ring=RING):
    return [ledger.record(place, ring, "people", "note", b"%d" % n, About(f"r{n}", target, n)) for n in range(count)]


def kinds(place, heads=(), ring=RING):
    return [flaw.kind for flaw in ledger.flaws(place, ring, heads).flaws]


def test_entries_come_back_whole_over_bundles(place):
    built(Path(place.path), 254)
    filled(place, 6)
    found = ledger.entries(place)
    assert [(entry.seq, entry.body.nth) for entry in found] == [(n, n) for n in range(260)]
    assert [(entry.seal_text, entry.body.version) for entry in found[253:]] == [
        ("x", None),
        *((str(n), n) for n in range(6)),
    ]
    checked = ledger.flaws(place, RING)
    assert (checked.head.size, checked.uncovered, checked.flaws) == (260, 0, ())
    names = store_at(place.path).names("tile/")
    assert {name for name in names if ".p/" not in name} == {"tile/entries/000", "tile/0/000"}
    assert not [name for name in names if "/000.p/" in name and "tile/1" not in name]  # what a full one made needless


def test_offline_proof_of_every_entry_holds_for_it_alone(place):
    filled(place, 6)
    log, keys = ledger.open_log(place), ledger.verifiers(place, RING)
    for index in range(6):
        proof = InclusionProof.parsed(str(log.proof(index)))
        assert proof.trouble(log.entry(index), keys) == ""
        assert "do not lead" in proof.trouble(log.entry((index + 1) % 6), keys)
        assert "not signed" in proof.trouble(log.entry(index), [notes.Verifier(keys[0].name, RING.public_key("x", 2))])
    with pytest.raises(ProofError, match="covers 6 entries"):
        log.proof(6)


def test_roots_of_all_sizes_are_there_also_of_those_without_a_checkpoint(place):
    built(Path(place.path), 5)
    log = ledger.open_log(place)
    leaves = [merkle.leaf_hash(entry) for entry in log.entries(0, 5)]
    assert [log.root(size) for size in range(6)] == [merkle.root_of(leaves[:size]) for size in range(6)]
    assert merkle.holds_inclusion(1, 3, leaves[1], log.inclusion_proof(1, 3), merkle.root_of(leaves[:3]))


def test_repair_makes_anew_what_is_derived_and_nothing_else(place, tmp_path):
    filled(place, 4)
    log, folder = ledger.open_log(place), tmp_path / "people_ledger"
    rules, signer = KeyringRules(log, log.origin(), RING), ledger.signer_of(log, RING, "people", 1)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".p/" not in str(path)}
    old = log.checkpoint()
    for name in ("tile/0", "index"):
        shutil.rmtree(folder / name)
    (folder / "checkpoint").write_text("x")
    forged(place, b"garbage")
    done = repair(log, rules, signer, [old])
    assert (done.head.size, done.removed) == (4, ("tile/entries/000.p/5",))
    assert {path: path.read_bytes() for path in before} == before
    assert kinds(place, [old]) == []
    assert ledger.open_log(place).root(2) == merkle.root_of([merkle.leaf_hash(entry) for entry in log.entries(0, 2)])
    flipped(folder / "tile/entries/000.p/4")
    with pytest.raises(ProofError, match="entry 3, which a checkpoint covers, was changed"):
        repair(log, rules, signer)
    (folder / "checkpoint").unlink()
    (folder / "tile/entries/000.p/4").unlink()
    with pytest.raises(ProofError, match="the end of the log was cut off"):  # it would sign a shorter history anew
        repair(log, rules, signer, [old])
    assert not (folder / "checkpoint").exists()


def test_public_keys_that_were_handed_over_verify_a_log_without_a_keyring(place):
    filled(place, 2)
    log = ledger.open_log(place)
    (own,) = ledger.verifiers(place, RING)
    stranger = notes.Verifier(own.name, Ring(1, {1: b"x" * 32}).public_key("people", 1))
    assert check(log, KeyringRules(log, log.origin(), PinnedKeys(log, [own]))).flaws == ()
    found = check(log, KeyringRules(log, log.origin(), PinnedKeys(log, [stranger]))).flaws
    assert [flaw.kind for flaw in found] == ["checkpoint-unsigned", "entry-forged", "entry-forged"]
    assert "not among the keys that were given" in found[1].message


def test_spellings_of_a_place_are_one_table(place):
    for number, path in enumerate(("s3a://lake/people", "s3://lake/people/", "s3n://lake//people")):
        ledger.record(place, RING, "people", "note", b"x", About(f"r{number}", Location(path=path)))
    assert len(ledger.entries(place, "note", Location(path="s3://lake/people"))) == 3
    ledger.record(place, RING, "people", "note", b"y", About("r", Location(path="file:/lake/people/")))
    assert [one.seal_text for one in ledger.entries(place, "note", Location(path="/lake/people"))] == ["y"]


def test_pointers_are_never_trusted_and_repaired_by_looking(place):
    filled(place, 3)
    filled(place, 2, ORDERS)
    store, note, people = store_at(place.path), "note", ledger.table_id(PEOPLE)
    store.put(pointers.run_path(note, pointers.digest("r1"), people), b"4\n")  # to another table's entry
    assert ledger.find(place, "r1", PEOPLE, note) is None
    for damage in (b"1\n", b"77\n", b"no number", b"9" * 5000):
        store.put(pointers.nth_path(note, people, 2), damage)
        log = ledger.open_log(place)
        assert pointers.newest(log, note, people)[0] == 2
        assert [index for index, _ in pointers.chain_of(log, note, people)] == [2, 1, 0]
    store.put(pointers.newest_path(note, people), b"999\n")
    assert pointers.newest(ledger.open_log(place), note, people)[0] == 2


def test_kind_and_statement_are_demanded(place):
    for kind, statement in (("Bad Kind", b"x"), ("", b"x"), ("ok", b"")):
        with pytest.raises(UsageError, match="small letters"):
            ledger.record(place, RING, "people", kind, statement)
    assert not ledger.exists(place)


def test_a_removed_statement_is_excused_by_its_redaction_alone(place):
    made = filled(place, 3)
    store = store_at(place.path)
    store.delete([f"statements/{made[0].body.statement}"])
    assert kinds(place) == ["statement-missing"]
    ledger.redact(place, RING, "people", [0, 2], "erase-1")
    assert kinds(place) == []
    assert [entry.seal_text for entry in ledger.entries(place, "note")] == ["", "1", ""]


# tampering


def flipped(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


TAMPERINGS = {
    "a bit of an entry": (lambda root: flipped(root / "tile/entries/000.p/5"), {"entry-forged", "root-differs", "tile-differs"}),
    "a tile": (lambda root: flipped(root / "tile/0/000.p/5"), {"tile-differs"}),
    "a statement": (lambda root: flipped(sorted((root / "statements").iterdir())[0]), {"statement-changed"}),
    "a bundle that is gone": (lambda root: (root / "tile/entries/000.p/5").unlink(), {"bundle-damaged"}),
    "a bundle cut off": (lambda root: (root / "tile/entries/000.p/5").write_bytes(b"\x01"), {"bundle-damaged"}),
    "the checkpoint is gone": (lambda root: (root / "checkpoint").unlink(), {"checkpoint-missing"}),
    "the checkpoint is text": (lambda root: (root / "checkpoint").write_text("x"), {"checkpoint-malformed"}),
    "the checkpoint's root": (
        lambda root: (root / "checkpoint").write_text((root / "checkpoint").read_text().replace("\n5\n", "\n4\n")),
        {"checkpoint-unsigned", "root-differs"},
    ),
    "the origin": (lambda root: (root / "origin").write_text("other\n"), {"other-log", "entry-forged"}),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampering_is_named_and_nothing_is_signed_over_it(place, tmp_path, name):
    filled(place, 5)
    change, expected = TAMPERINGS[name]
    change(tmp_path / "people_ledger")
    assert expected <= set(kinds(place))
    before = (tmp_path / "people_ledger/checkpoint").read_bytes() if name != "the checkpoint is gone" else None
    if name in ("a statement", "the checkpoint is gone"):
        return
    try:
        filled(place, 1)
    except (ProofError, TargetError):
        assert (tmp_path / "people_ledger/checkpoint").read_bytes() == before
    else:  # only what the writer must not read: the entries before, whose hashes are in the tiles
        assert name.startswith("a b")
        assert expected & set(kinds(place))


def forged(place, entry):
    log = ledger.open_log(place)
    size = log.size()
    log.store.create(tiles.bundle_path(size + 1), b"".join(map(tiles.framed, [*log.entries(0, size), entry])))


def test_an_entry_that_nobody_signed_for_this_place_is_never_covered(place, tmp_path):
    filled(place, 3)
    other = Location(path=str(tmp_path / "other_ledger"))
    filled(other, 4)
    log = ledger.open_log(place)
    stranger = Body("note", "t", "0" * 64, ("people", 1), "0" * 64, "0" * 64, 0)
    attempts = [b"garbage", log.entry(1), ledger.open_log(other).entry(3),
                stranger.entry(log.origin(), 3, ledger.signing_key(Ring(1, {1: b"x" * 32}), "people", 1))]  # fmt: skip
    for attempt in attempts:
        forged(place, attempt)
        with pytest.raises(ProofError, match="entry 3 was not written by Dataward"):
            filled(place, 1)
        assert kinds(place)[0] == "entry-forged"
        (tmp_path / "people_ledger" / tiles.bundle_path(4)).unlink()
    assert filled(place, 1)[0].seq == 3


def test_heads_kept_elsewhere_catch_what_the_folder_cannot_show(place, tmp_path):
    folder, copy = tmp_path / "people_ledger", tmp_path / "copy"
    filled(place, 3)
    shutil.copytree(folder, copy)
    filled(place, 2, ORDERS)
    head = ledger.open_log(place).checkpoint()
    assert kinds(place, [head]) == []
    longer = filled(place, 1)
    assert (longer[0].seq, kinds(place, [head])) == (5, [])
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    assert kinds(place) == []  # rolled back: whole in itself
    assert kinds(place, [head]) == ["log-cut"]
    filled(place, 3, Location(path="lake/else"))
    assert kinds(place, [head]) == ["log-forked"]
    other = Location(path=str(tmp_path / "other_ledger"))
    filled(other, 6)
    assert kinds(other, [head]) == ["other-log"]
    stranger = notes.Signer(head.text.split("\n")[0], ledger.signing_key(Ring(1, {1: b"x" * 32}), "people", 1))
    assert kinds(place, [stranger.sign(head.text)]) == ["head-unsigned"]


def test_a_ledger_of_another_keyring_is_refused(place):
    filled(place, 1)
    with pytest.raises(ProofError, match="not signed by a key of this keyring"):
        filled(place, 1, ring=Ring(1, {1: b"x" * 32}))


def test_keys_are_rotated_in_one_log(place):
    filled(place, 2)
    filled(place, 2, ring=Ring(2, RING.secrets))
    assert {entry.body.key for entry in ledger.entries(place)} == {("people", 1), ("people", 2)}
    assert kinds(place) == []


# writers that die or meet


class Killed(BaseException):
    """What no handler catches."""


class Dying(Local):
    """Dies before or after the n-th change."""

    def __init__(self, root, left, late):
        super().__init__(root)
        self.left, self.late = left, late

    def _step(self, change, *given):
        self.left -= 1
        if self.left == 0 and not self.late:
            raise Killed
        done = change(*given)
        if self.left == 0:
            raise Killed
        return done

    def create(self, name, data):
        return self._step(super().create, name, data)

    def put(self, name, data):
        return self._step(super().put, name, data)

    def delete(self, names):
        return self._step(super().delete, names)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("before", [0, 2, pytest.param(255, marks=pytest.mark.long)])
def test_a_writer_killed_at_any_step_is_completed_by_the_next(place, tmp_path, monkeypatch, before, late):
    if before:
        built(Path(place.path), before)
        shutil.copytree(place.path, tmp_path / "before")
    for step in range(1, 30):
        shutil.rmtree(place.path, ignore_errors=True)
        if before:
            shutil.copytree(tmp_path / "before", place.path, copy_function=os.link)
        store = Dying(tmp_path / "people_ledger", step, late)
        with monkeypatch.context() as patch:
            patch.setattr(ledger, "store_at", lambda _, store=store: store)
            try:
                ledger.record(place, RING, "people", "note", b"mine", About("mine", PEOPLE))
                done = True
            except Killed:
                done = False
        entered = ledger.find(place, "mine", PEOPLE, "note") if before or ledger.exists(place) else None
        if entered is None:
            entered = ledger.record(place, RING, "people", "note", b"mine", About("mine", PEOPLE))
        next_one = ledger.record(place, RING, "people", "note", b"next", About("next", PEOPLE))
        assert (entered.seq, next_one.seq) == (before, before + 1)
        assert [entry.seal_text for entry in ledger.entries(place)[before:]] == ["mine", "next"]
        assert kinds(place) == []
        assert pointers.newest(ledger.open_log(place), "note", ledger.table_id(PEOPLE))[0] == before + 1
        if done:
            break
    assert done
    assert step > 6


def raced(place, writers, each, tables):
    """What each writer was told is in the ledger, and what is."""

    def write(number):
        target = tables[number % len(tables)]
        return [
            ledger.record(place, RING, "people", "note", b"%d/%d" % (number, n), About(f"{number}/{n}", target)).seq
            for n in range(each)
        ]

    with ThreadPoolExecutor(writers) as pool:
        told = [seq for seqs in pool.map(write, range(writers)) for seq in seqs]
    found = ledger.entries(place)
    assert sorted(told) == [entry.seq for entry in found] == list(range(writers * each))
    assert Counter(entry.seal_text for entry in found) == Counter(
        f"{w}/{n}" for w in range(writers) for n in range(each)
    )
    checked = ledger.flaws(place, RING)
    assert (checked.head.size, checked.uncovered, checked.flaws) == (writers * each, 0, ())
    for target in tables:
        assert len(ledger.entries(place, "note", target)) == writers * each // len(tables)


def test_writers_that_meet_take_turns(place):
    raced(place, 4, 5, [PEOPLE, ORDERS])


@pytest.mark.long
@pytest.mark.parametrize("tables", [[PEOPLE], [PEOPLE, ORDERS]])
def test_eight_writers_of_25_entries_each_on_local_disk(place, tables):
    raced(place, 8, 25, tables)


def on_s3(cloud):
    cloud.client("s3").create_bucket(Bucket="lake")
    return Location(path="s3a://lake/people_ledger/")


def test_the_same_log_on_s3(tmp_path):
    with aws() as cloud:
        place = on_s3(cloud)
        raced(place, 2, 3, [PEOPLE])
        assert ledger.find(Location(path="s3://lake/people_ledger"), "1/2", PEOPLE, "note").seal_text == "1/2"
        cloud.fault = lambda action: "AccessDenied" if action == "s3:PUT" else None
        with pytest.raises(TargetError, match="s3://lake/people_ledger"):
            filled(place, 1)
        cloud.fault = lambda action: None
        assert kinds(place) == []


@pytest.mark.long
def test_eight_writers_of_25_entries_each_on_s3():
    with aws() as cloud:
        raced(on_s3(cloud), 8, 25, [PEOPLE, ORDERS])


class Counting(Local):
    """Counts the files that are read or looked for."""

    reads = 0

    def read(self, name):
        self.reads += 1
        return super().read(name)

    def exists(self, name):
        self.reads += 1
        return super().exists(name)

    def names(self, folder):
        assert folder != "", "a look at the whole folder"
        return super().names(folder)


def built(root, count):
    """A log of so many entries, written at once."""
    place, store = Location(path=str(root)), Local(root)
    log = ledger.open_log(place)
    signer, key, people = (
        ledger.signer_of(log, RING, "people", 1),
        ledger.signing_key(RING, "people", 1),
        ledger.table_id(PEOPLE),
    )
    statement = log.keep(b"x")
    bodies = [Body("note", "t", statement, ("people", 1), pointers.digest(f"r{n}"), people, n) for n in range(count)]
    entries = [body.entry(signer.name, n, key) for n, body in enumerate(bodies)]
    for first in range(0, count, 256):
        part = entries[first : first + 256]
        (root / tiles.bundle_path(first + len(part))).parent.mkdir(parents=True, exist_ok=True)
        (root / tiles.bundle_path(first + len(part))).write_bytes(b"".join(map(tiles.framed, part)))
    files = dict(tiles.extended(tiles.Tiles({}.get, 0), [merkle.leaf_hash(entry) for entry in entries]))
    for n in (
        *range(0, count, 997),
        *(2**k - 1 + j for k in range(17) for j in (0, 1)),
        *range(max(count - 300, 0), count),
    ):
        if n < count:
            files[pointers.run_path("note", bodies[n].run, people)] = b"%d\n" % n
    for n in range(count):
        files[pointers.nth_path("note", people, n)] = b"%d\n" % n
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    root_hash = merkle.root(tiles.Tiles(files.get, count).node, count)
    store.put("checkpoint", str(signer.sign(notes.Checkpoint(signer.name, count, root_hash).text)).encode())
    return place


@pytest.mark.parametrize("count", [1_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_files_read_grow_with_the_logarithm_of_the_log(tmp_path, monkeypatch, count):
    place = built(tmp_path / "log", count)
    store = Counting(tmp_path / "log")
    monkeypatch.setattr(ledger, "store_at", lambda _: store)

    def read(ask):
        store.reads = 0
        ask()
        return store.reads

    deep = count.bit_length()
    log = ledger.open_log
    assert read(lambda: ledger.find(place, f"r{997 if count < 99_000 else 99_700}", PEOPLE, "note")) <= 10
    assert read(lambda: pointers.newest(log(place), "note", ledger.table_id(PEOPLE))) <= 2 * deep + 10
    assert read(lambda: log(place).proof(count // 3)) <= 2 * deep
    assert read(lambda: log(place).consistency_proof(count // 3, count)) <= 2 * deep
    rules = KeyringRules(log(place), log(place).origin(), RING)
    assert read(lambda: writing.verified_head(log(place), rules)) <= 10
    assert read(lambda: ledger.record(place, RING, "people", "note", b"more", About("more", PEOPLE))) <= 2 * deep + 25
    assert read(lambda: ledger.record(place, RING, "people", "note", b"more", About("more", PEOPLE))) <= 24
