"""The transparency log: RFC 6962 hashes, C2SP notes, tiles and proofs; writers that meet, that die, and that lie."""

import shutil
from pathlib import Path

import pytest

from dataward.contract import Location
from dataward.errors import ProofError, TargetError, UsageError
from dataward.integrity import ledger
from dataward.integrity.ledger import About
from dataward.integrity.log import entries as pointers
from dataward.integrity.log import merkle, notes, tiles
from dataward.integrity.log.check import check
from dataward.integrity.log.entries import Body, KeyringRules
from dataward.integrity.log.pinned import PinnedKeys
from dataward.integrity.log.proofs import InclusionProof
from dataward.integrity.log.repair import repair
from dataward.tables.store import store_at
from tests.keys import STRANGER, Ring
from tests.logs import ORDERS, PEOPLE, RING, built, filled, kinds


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
    stranger = notes.Verifier(own.name, STRANGER.public_key("people", 1))
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
                stranger.entry(log.origin(), 3, ledger.signing_key(STRANGER, "people", 1))]  # fmt: skip
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
    stranger = notes.Signer(head.text.split("\n")[0], ledger.signing_key(STRANGER, "people", 1))
    assert kinds(place, [stranger.sign(head.text)]) == ["head-unsigned"]


def test_a_ledger_of_another_keyring_is_refused(place):
    filled(place, 1)
    with pytest.raises(ProofError, match="not signed by a key of this keyring"):
        filled(place, 1, ring=STRANGER)


def test_keys_are_rotated_in_one_log(place):
    filled(place, 2)
    filled(place, 2, ring=Ring(2, RING.secrets))
    assert {entry.body.key for entry in ledger.entries(place)} == {("people", 1), ("people", 2)}
    assert kinds(place) == []
