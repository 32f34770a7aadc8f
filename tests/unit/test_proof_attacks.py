"""What somebody may do to a ledger and its statements, each named by its finding."""

import base64
import dataclasses
import json
import shutil

import pytest

from dataward.integrity import ledger
from dataward.integrity.dsse import Ed25519Signer, Envelope
from dataward.integrity.log import entries as pointers
from dataward.integrity.log.entries import Body
from dataward.integrity.log.log import Log
from dataward.integrity.log.tiles import framed, unpacked
from dataward.integrity.statement import Statement
from dataward.keys import signing_key
from tests.deltamade import thirty
from tests.keys import STRANGER
from tests.sealedmade import RING, enter, seal
from tests.unit.test_manifest import manifests

ATTACKS = []


def attack(code, **request):
    def listed(function):
        ATTACKS.append((function, code, request))
        return function

    return listed


def bundle_file(sealed):
    return sealed.root / "ledger/tile/entries/000.p/30"


def document(sealed, index, kind="statement"):
    body = json.loads(ledger.open_log(sealed.place).entry(index))
    return sealed.statements() / body[kind]


@attack("statement-missing")
def a_statement_is_deleted(sealed):
    document(sealed, 12).unlink()


@attack("statement-changed")
def a_statement_is_edited(sealed):
    path = document(sealed, 12)
    told = json.loads(path.read_bytes())
    told["payload"] = base64.b64encode(base64.b64decode(told["payload"]).replace(b'"who":"me"', b'"who":"he"')).decode()
    path.write_text(json.dumps(told))


@attack("statement-changed")
def a_statement_is_replaced_by_another_one(sealed):
    shutil.copy(document(sealed, 11), document(sealed, 12))


@attack("statement-missing")
def a_statement_is_deleted_and_an_unsigned_entry_says_that_an_erasure_did_it(sealed):
    document(sealed, 12).unlink()
    said = ledger.canonical({"redacted": [12], "run_id": "e1"}).encode()
    log = ledger.open_log(sealed.place)
    body = Body(
        kind="redaction",
        time="2026-11-25T01:00:00+00:00",
        statement=log.keep(said),
        key=("people", 1),
        run=ledger.digest("e1"),
        target=ledger.table_id(None),
        nth=0,
    )
    forged = body.entry(log.origin(), 30, signing_key(STRANGER, "people", 1))
    (bundle_file(sealed).parent / "31").write_bytes(bundle_file(sealed).read_bytes() + framed(forged))


@attack("manifest-missing")
def a_manifest_is_deleted(sealed):
    document(sealed, 20, "manifest").unlink()


@attack("manifest-changed")
def a_manifest_is_edited(sealed):
    path = document(sealed, 20, "manifest")
    path.write_text(path.read_text().replace('"size":', '"size":1'))


@attack("entry-damaged")
def an_entry_is_edited(sealed):
    bundle_file(sealed).write_bytes(bundle_file(sealed).read_bytes().replace(b'"version":15', b'"version":16', 1))


@attack("entry-damaged")
def two_entries_change_places(sealed):
    entries = unpacked(bundle_file(sealed).read_bytes())
    entries[3], entries[4] = entries[4], entries[3]
    bundle_file(sealed).write_bytes(b"".join(map(framed, entries)))


@attack("ledger-damaged")
def a_tile_is_edited(sealed):
    path = next((sealed.root / "ledger/tile/0").rglob("30"))
    path.write_bytes(path.read_bytes()[:-32] + bytes(32))


@attack("ledger-damaged")
def the_checkpoint_is_edited(sealed):
    path = sealed.root / "ledger/checkpoint"
    path.write_text(path.read_text().replace("\n30\n", "\n29\n"))


@attack("signature-invalid")
def a_statement_is_signed_by_somebody_else(sealed):
    signer = Ed25519Signer(signing_key(STRANGER, "people", 1))
    manifest = manifests(sealed.table.root)[0][-1]
    ledger.append(
        sealed.place,
        RING,
        seal(29, "forged"),
        ledger.Attached(manifest.text(), more={"table": manifest.table}, signer=signer),
    )


@attack("entry-replayed")
def an_old_statement_is_entered_again(sealed):
    enter(sealed, 20, "r20", manifests(sealed.table.root)[0][20])


@attack("entry-of-other-table")
def a_seal_names_the_manifest_of_another_version(sealed):
    enter(sealed, 29, "r99", manifests(sealed.table.root)[0][28])


@attack("entry-of-other-table")
def a_seal_of_another_table_is_entered_under_this_ones_name(sealed):
    other = thirty(sealed.root / "other", "append")
    enter(sealed, 29, "r99", manifests(other.root)[0][29])


@attack("entry-removed")
def a_seal_follows_a_manifest_that_no_entry_seals(sealed):
    sealed.table.append([(1, "a")], "r30")
    sealed.table.append([(2, "b")], "r31")
    enter(sealed, 31, "r31", manifests(sealed.table.root)[0][31])


@attack("entry-without-version")
def the_folder_is_rolled_back_and_written_anew(sealed):
    table = sealed.table
    for version in (28, 29):
        table.path(version).unlink()
    again = dataclasses.replace(table, version=27)
    for version in (28, 29):
        again.append([(version, "a")], f"again{version}")
        enter(sealed, version, f"again{version}", manifests(table.root)[0][-1])


@attack("commit-rows-differ")
def rows_are_changed_under_the_name_of_optimize_and_in_the_file_that_it_replaced(sealed):
    table = sealed.table
    old, new = next(iter(table.adds.values())), table.file([(666, "x@y.z")])
    new["add"]["dataChange"] = False
    table.commit("OPTIMIZE", None, table.remove(old, False), new)
    table.append([(1, "a")], "r31")
    *_, forged, last = manifests(table.root)[0]
    commits = (*forged.commits, *last.commits)
    enter(sealed, 31, "r31", last.model_copy(update={"predecessor": forged.predecessor, "commits": commits, "number": 30}))  # fmt: skip
    shutil.copy(table.root / new["add"]["path"], table.root / old["path"])


@attack("statement-without-entry", every=True)
def an_entry_is_cut_off_and_its_statement_stays(sealed):
    cut(sealed, 27)


@attack("version-without-entry")
def the_end_of_the_ledger_is_cut(sealed):
    cut(sealed, 27)


@attack("folder-rolled-back")
def the_folder_is_rolled_back_and_the_pointers_of_the_ledger_with_it(sealed):
    roll_back(sealed)
    forget(sealed, 27)


@attack("entry-damaged")
def the_folder_is_rolled_back_and_the_newest_entries_are_overwritten_with_those_of_another_table(sealed):
    roll_back(sealed)
    forget(sealed, 27)
    entries = unpacked(bundle_file(sealed).read_bytes())
    others = [entry.replace(ledger.table_id(sealed.target).encode(), b"0" * 64) for entry in entries[27:]]
    bundle_file(sealed).write_bytes(b"".join(map(framed, entries[:27] + others)))


@attack("entry-without-version")
def the_folder_is_rolled_back_with_the_pointers_and_a_publisher_goes_on(sealed):
    roll_back(sealed)
    forget(sealed, 27)
    table = dataclasses.replace(sealed.table, version=26)
    for version in (27, 28, 29):
        table.append([(version, "a")], f"again{version}")
        enter(sealed, version, f"again{version}", manifests(table.root)[0][-1])


def roll_back(sealed):
    """Put the folder back to what it was at version 26."""
    for version in (27, 28, 29):
        for line in sealed.table.path(version).read_text().splitlines():
            if "add" in (found := json.loads(line)):
                (sealed.table.root / found["add"]["path"]).unlink()
        sealed.table.path(version).unlink()
        (sealed.table.log / f"{version:020d}.crc").unlink()


def forget(sealed, count):
    """Leave pointers to so many entries of the table only."""
    log, target = ledger.open_log(sealed.place), ledger.table_id(sealed.target)
    for nth in range(count, 30):
        (sealed.root / "ledger" / pointers.nth_path("seal", target, nth)).unlink()
        run = Body.parsed(log.entry(nth)).run
        (sealed.root / "ledger" / pointers.run_path("seal", run, target)).unlink()
    (sealed.root / "ledger" / pointers.newest_path("seal", target)).write_text(f"{count - 1}\n")


def cut(sealed, size):
    """Roll the ledger back to what it was with fewer entries, as a copy of the folder had it then."""
    entries = unpacked(bundle_file(sealed).read_bytes())[:size]
    kept = sealed.statements().rename(sealed.root / "statements")
    origin = (sealed.root / "ledger/origin").read_text()
    names = {path.name: path.read_bytes() for path in (sealed.root / "ledger/keys").iterdir()}
    shutil.rmtree(sealed.root / "ledger")
    folder = sealed.root / "ledger"
    (folder / "keys").mkdir(parents=True)
    kept.rename(folder / "statements")
    (folder / "origin").write_text(origin)
    for name, data in names.items():
        (folder / "keys" / name).write_bytes(data)
    (folder / "tile/entries/000.p").mkdir(parents=True)
    for width in range(1, size + 1):
        (folder / f"tile/entries/000.p/{width}").write_bytes(b"".join(map(framed, entries[:width])))
    complete(sealed)


def complete(sealed):
    """Sign the checkpoint anew, as whoever has the key could."""
    from dataward.integrity.log.entries import KeyringRules
    from dataward.integrity.log.log import complete as finish

    log: Log = ledger.open_log(sealed.place)
    signer = ledger.signer_of(log, RING, "people", 1)
    finish(log, KeyringRules(log, signer.name, RING), signer)


@pytest.mark.parametrize(("run", "code", "request_"), ATTACKS, ids=lambda one: getattr(one, "__name__", ""))
def test_an_attack_on_the_ledger_is_named(sealed, run, code, request_):
    run(sealed)
    assert code in sealed.codes(**request_)


def test_the_statement_of_an_attempt_that_was_killed_before_its_entry_is_a_note(sealed):
    statement = document(sealed, 29)
    signer = Ed25519Signer(signing_key(RING, "people", 1))
    again = seal(29, "r29", time="2026-11-25T01:00:00+00:00")
    envelope = Statement.parse(Envelope.parse(statement.read_bytes()))
    text = dataclasses.replace(envelope, predicate=again.model_dump(mode="json")).signed(signer).text()
    ledger.open_log(sealed.place).keep(text)
    ledger.open_log(sealed.place).keep(b"a document that is no statement")
    found = sealed.prove(every=True).findings
    assert [(one.code, one.fails) for one in found] == [("statement-without-entry", False)]
    assert "run r29, version 29" in found[0].detail


def test_an_entry_that_no_checkpoint_covers_yet_is_a_note(sealed):
    checkpoint = sealed.root / "ledger/checkpoint"
    before = checkpoint.read_bytes()
    sealed.table.append([(1, "a")], "r30")
    enter(sealed, 30, "r30", manifests(sealed.table.root)[0][30])
    checkpoint.write_bytes(before)  # as a writer leaves it that is killed before it signs
    assert [(one.code, one.fails) for one in sealed.prove().findings] == [("ledger-uncovered", False)]


def test_a_cut_ledger_and_log_show_against_a_head_that_was_kept(sealed):
    head = sealed.head()
    cut(sealed, 27)
    assert {"ledger-tail-cut", "version-without-entry"} <= sealed.codes(heads=(head,))
    for version in (27, 28, 29):
        sealed.table.path(version).unlink()
        (sealed.table.log / f"{version:020d}.crc").unlink()
    assert sealed.codes() == set()  # nobody can tell without the head
    assert "both-cut" in sealed.codes(heads=(head,))


def test_a_ledger_written_anew_shows_against_a_head_that_was_kept(sealed):
    head = sealed.head()
    cut(sealed, 20)
    for version in range(20, 30):
        enter(
            sealed, version, f"r{version}", manifests(sealed.table.root)[0][version], who="other"
        ) if False else enter(sealed, version, f"s{version}", manifests(sealed.table.root)[0][version])
    assert sealed.codes() == set()
    assert "ledger-forked" in sealed.codes(heads=(head,))
