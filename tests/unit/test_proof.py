"""The whole proof without Spark: ledger, statements, manifests, log and bytes; and what somebody may do to the ledger."""

import base64
import json
import random
import shutil
import subprocess
import sys
import zipfile

import pytest

from dataward.contract import Location
from dataward.errors import ProofError
from dataward.integrity import ledger
from dataward.integrity.checker import check, public_keys
from dataward.integrity.dsse import pem
from dataward.integrity.log.log import Log
from dataward.integrity.proof.beside import check_beside
from dataward.integrity.proof.findings import fail, note
from dataward.integrity.seal import SealedBeside
from dataward.report import write as write_report
from dataward.tables.deltalog.folder import folder
from dataward.verbs.bundle import write_bundle
from dataward.verbs.reports import check_report
from dataward.verbs.verify import Asked, settled
from tests.deltamade import thirty
from tests.keys import Ring
from tests.sealedmade import RING, Sealed, enter, made, seal
from tests.unit.test_manifest import manifests
from tests.unit.test_report import result

KEYS = pem(RING.public_key("people", 1)).encode()
STRANGER = pem(Ring(1, {1: b"x" * 32}).public_key("people", 1)).encode()


@pytest.fixture(scope="module")
def thirty_sealed(tmp_path_factory):
    root = tmp_path_factory.mktemp("sealed")
    whole = made(root / "made")
    return lambda: whole.copy(root / "copy")


@pytest.fixture
def sealed(thirty_sealed) -> Sealed:
    return thirty_sealed()


def test_a_sealed_table_is_proved_with_public_keys_alone(sealed):
    proved = sealed.prove(sealed.trust(KEYS))
    assert proved.findings == ()
    assert (proved.sealed.seal.version, proved.entries, proved.counted.files) == (29, 30, 29)


def test_strange_public_keys_prove_nothing(sealed):
    told = {one.code for one in sealed.prove(sealed.trust(STRANGER)).findings}
    assert {"signature-invalid", "entry-damaged", "ledger-damaged"} <= told


def test_every_version_is_told_as_far_as_it_is_left(sealed):
    table = sealed.table
    table.replace(next(iter(table.adds.values())), [(900, "a@b.c")], "r30")
    enter(sealed, 30, "r30", manifests(table.root)[0][-1])
    gone = json.loads(table.path(30).read_text().splitlines()[1])["remove"]["path"]
    (table.root / gone).unlink()
    proved = sealed.prove(every=True)
    assert [one.code for one in proved.findings] == ["data-file-gone"]
    assert {one.version: one.state for one in proved.versions} == {
        0: "whole",
        1: "metadata",
        **dict.fromkeys(range(2, 30), "partly"),
        30: "whole",
    }
    assert sealed.prove(version=5).findings[0].code == "data-file-gone"
    assert sealed.prove().findings == ()


def test_a_version_that_is_not_sealed(sealed):
    with pytest.raises(ProofError, match="version 77 is not sealed in ledger .*; sealed are 0 to 29"):
        sealed.prove(version=77)


def test_runs_that_committed_together_are_sealed_in_any_order(sealed):
    table = sealed.table
    before = manifests(table.root)[0]
    table.append([(1, "a")], "r30")
    table.append([(2, "b")], "r31")
    both = manifests(table.root)[0]
    late = both[31].model_copy(
        update={"predecessor": both[30].predecessor, "commits": (*both[30].commits, *both[31].commits), "number": 30}
    )
    enter(sealed, 31, "r31", late)
    enter(sealed, 30, "r30", both[30])
    assert len(before) == 30
    assert sealed.codes() == set()


def test_a_statement_that_an_erasure_removed_is_a_note(sealed):
    ledger.redact(sealed.place, RING, "people", [12], "erase-1")
    assert [one.code for one in sealed.prove().findings] == ["statement-erased"]


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
    from dataward.integrity.log.tiles import framed, unpacked

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
    other = Ring(1, {1: b"x" * 32})
    from dataward.integrity.dsse import Ed25519Signer
    from dataward.keys import signing_key

    signer = Ed25519Signer(signing_key(other, "people", 1))
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


@attack("version-without-entry")
def the_end_of_the_ledger_is_cut(sealed):
    cut(sealed, 27)


def cut(sealed, size):
    """Roll the ledger back to what it was with fewer entries, as a copy of the folder had it then."""
    from dataward.integrity.log.tiles import framed, unpacked

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


def test_a_bundle_is_checked_offline_by_its_own_checker(sealed, tmp_path):
    out = tmp_path / "bundle.zip"
    log = ledger.open_log(sealed.place)
    assert write_bundle(log, ledger.table_id(sealed.target), sealed.trust(), Asked(every=True), str(out)) == tuple(
        range(30)
    )
    with zipfile.ZipFile(out) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (tmp_path / "check.py").write_bytes(files["check.py"])
    (tmp_path / "keys.pem").write_bytes(KEYS)

    def run(*more):
        done = subprocess.run(
            [sys.executable, "-I", tmp_path / "check.py", out, "--public-key", tmp_path / "keys.pem", *more],
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout

    code, told = run("--table", str(sealed.table.root))
    assert (code, told.splitlines()[-1]) == (0, "the proof holds")
    file = next(sealed.table.root.glob("part-*"))
    file.write_bytes(file.read_bytes() + b"x")
    code, told = run("--table", str(sealed.table.root))
    assert code == 1
    assert f"data-file-changed: {file.name}" in told
    (tmp_path / "keys.pem").write_bytes(STRANGER)
    assert run()[0] == 1


def test_the_checker_finds_what_was_changed_in_a_bundle(sealed, tmp_path):
    out = tmp_path / "bundle.zip"
    write_bundle(
        ledger.open_log(sealed.place), ledger.table_id(sealed.target), sealed.trust(), Asked(every=True), str(out)
    )
    with zipfile.ZipFile(out) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    keys = public_keys(KEYS)
    assert check(files, keys)[1] == []
    for name, data in files.items():
        if name.startswith(("entries/", "proofs/", "statements/", "manifests/", "heads/")) and name[-12:-5] != "":
            position = len(data) // 2
            changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
            try:
                bad = check({**files, name: changed}, keys)[1]
            except ValueError:
                continue
            assert bad, name


CONTRACT = """\
contract: people
source: {format: delta, path: lake/source}
target: {path: lake/people}
ledger: {path: LEDGER}
keys: {path: keys, domain: people}
"""


def test_the_command_verifies_with_a_public_key_and_loads_no_spark(sealed, tmp_path):
    (tmp_path / "c.yaml").write_text(CONTRACT.replace("LEDGER", str(sealed.root / "ledger")))
    (tmp_path / "keys.pem").write_bytes(KEYS)
    (tmp_path / "head").write_text(str(sealed.head()))
    code = (
        "import sys; from dataward.cli import main; code = main(sys.argv[1:]); "
        "loaded = {'pyspark', 'pydeequ', 'delta', 'boto3', 'pandas', 'sqlglot', 'obstore'} & set(sys.modules); "
        "sys.exit(9 if loaded else code)"
    )
    given = [
        "verify",
        "--contract",
        "c.yaml",
        "--public-key",
        "keys.pem",
        "--head",
        "head",
        "--table",
        f"file://{sealed.table.root}/",
    ]

    def run(*more):
        done = subprocess.run([sys.executable, "-c", code, *given, *more], cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    status, out, err = run()
    assert status == 0, err
    assert "version 29, sealed 2026-11-25" in out
    assert out.splitlines()[-1] == "the proof holds"
    live = sorted(sealed.table.root.glob("part-*"))[3]
    live.unlink()
    status, out, _ = run("--json", "--all", "--bundle", "out.zip")
    told = json.loads(out)
    assert (status, told["holds"]) == (1, False)
    assert ("data-file-missing", live.name) in {(one["code"], one["place"]) for one in told["findings"] if one["fails"]}
    assert (tmp_path / "out.zip").exists()
    assert run("--rows")[0] == 2
    assert run("--head", "nowhere")[0] == 2


def test_who_has_no_keyring_is_told_what_to_give(sealed, tmp_path, capsys, monkeypatch):
    from dataward.cli import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(CONTRACT.replace("LEDGER", str(sealed.root / "ledger")))
    assert main(["verify", "--contract", "c.yaml"]) == 3
    assert "--public-key KEYS.pem" in capsys.readouterr().err


def test_public_keys_are_exported_and_no_secret_is(tmp_path, capsys):
    from dataward.cli import main
    from dataward.integrity.dsse import key_id, read_public_keys
    from dataward.keys import local_keyring

    assert main(["keys", "create", str(tmp_path / "k"), "--domain", "people", "--domain", "orders"]) == 0
    capsys.readouterr()
    assert main(["keys", "public", str(tmp_path / "k"), "--domain", "people"]) == 0
    out = capsys.readouterr().out
    ring = local_keyring(tmp_path / "k")
    assert set(read_public_keys([out.encode()])) == {key_id(ring.public_key("people", 1))}
    assert main(["keys", "public", str(tmp_path / "k"), "--json", "--output", str(tmp_path / "keys.pem")]) == 0
    told = json.loads(capsys.readouterr().out)["keys"]
    assert [one["name"] for one in told] == ["people v1", "orders v1"]
    assert set(read_public_keys([(tmp_path / "keys.pem").read_bytes()])) == {one["key_id"] for one in told}
    assert main(["keys", "public", str(tmp_path / "k"), "--domain", "peple"]) == 2


def test_noise_in_any_file_is_a_finding_or_a_refusal_and_never_a_crash(thirty_sealed):
    """What others may write: every kind of file of log and ledger, cut, mixed up or replaced in some place."""
    draw, crashed, unseen, head = random.Random(7), [], [], thirty_sealed().head()
    for number in range(60):
        sealed = thirty_sealed()
        files = sorted([*sealed.table.log.rglob("*.*"), *(sealed.root / "ledger").rglob("*")])
        file = draw.choice([one for one in files if one.is_file()])
        data = file.read_bytes()
        at = draw.randrange(len(data) + 1)
        changed = draw.choice(
            [
                data[:at],
                data[:at] + draw.randbytes(9) + data[at:],
                data[::-1],
                b"",
                b"[" * 50_000,
                b'{"add":{}}',
                b"null",
                b"\xff" + data[1:],
            ]
        )
        file.write_bytes(changed)
        try:
            proved = sealed.prove(every=True, heads=(head,) if number % 2 else ())
        except ProofError:
            continue
        except Exception as error:
            crashed.append((file.name, changed[:20], repr(error)[:200]))
            continue
        superseded = (
            file.parent.name.endswith(".p") and file.name != "30"
        )  # narrower tiles and bundles, which nobody reads now
        derived = "index" in file.parts or superseded or changed == data
        if not any(one.fails for one in proved.findings) and not derived:
            unseen.append((str(file.relative_to(sealed.root)), changed[:20]))
    assert crashed == []
    assert unseen == []


@pytest.fixture
def reported(tmp_path):
    """A report as a run wrote it, and the seal of that run."""
    base = result(run_id="r3")
    shared = {
        "key": {"domain": "people", "version": 1, "public_key": "0" * 64},
        "code": {"version": "1", "sha256": "0" * 64},
        "verdicts": base.verdicts,
        "protections": base.protections,
        "rows": base.rows,
    }
    source = {"described": "x", "version": None, "sha256": None}
    told = seal(3, "r3", source=source).model_copy(update=shared)
    inside = told.model_dump(mode="json", exclude={"verdicts", "protections", "joins", "repairs"})
    write_report(None, base.model_copy(update={"seal": inside}), str(tmp_path))
    return tmp_path, told


def test_a_report_that_was_changed_is_named(reported):
    root, told = reported
    assert list(check_report(str(root), "people", told)) == []
    data, html = root / "people/r3/report.json", root / "people/r3/report.html"
    before = data.read_text(), html.read_text()
    data.write_text(before[0].replace('"outcome": "FAILED"', '"outcome": "PASSED"'))
    assert {one.code for one in check_report(str(root), "people", told)} == {"report-changed"}
    data.write_text(before[0])
    html.write_text(before[1].replace("r3", "r4", 1))
    assert [one.place for one in check_report(str(root), "people", told)] == ["people/r3/report.html"]
    html.write_text(before[1])
    data.write_text("{")
    assert [one.code for one in check_report(str(root), "people", told)] == ["report-changed"]
    data.unlink()
    assert [(one.code, one.fails) for one in check_report(str(root), "people", told)] == [("report-missing", False)]


def test_a_table_beside_the_target_that_was_changed_is_named(tmp_path):
    table = thirty(tmp_path / "quarantine", "append")
    log = ledger.open_log(Location(path=str(tmp_path / "ledger")))
    chain = manifests(table.root)[0]
    for one in chain:
        log.keep(one.text())
    sealed = SealedBeside(table=chain[-1].table, version=29, manifest=chain[-1].sha256)

    def told():
        return [one.code for one in check_beside(log, folder(str(table.root)), "quarantine", sealed)]

    assert told() == []
    table.commit(
        "DELETE", "release-1", table.remove(next(iter(table.adds.values())))
    )  # a verb of Dataward, sealed by the next run
    assert told() == []
    sealed_file = table.root / next(iter(table.adds.values()))["path"]
    table.append([(1, "a")], None)
    assert told() == ["quarantine-changed"]
    table.path(31).unlink()
    sealed_file.write_bytes(b"x")
    assert told() == ["quarantine-changed"]
    shutil.rmtree(table.root)
    assert told() == ["quarantine-changed"]


def test_rows_settle_commits_whose_files_do_not_suffice():
    before, after = note("commit-unproven", "version 3 (OPTIMIZE)"), note("commit-unproven", "version 9 (OPTIMIZE)")
    differ = fail("rows-changed", "version 5")
    asked = []

    def rows(version):
        asked.append(version)
        return [] if version == 9 else [fail("rows-changed", f"version {version}", "2 rows")]

    def codes(findings, differing=()):
        return [one.code for one in settled(findings, differing, 5, rows)]

    assert codes([before, after]) == ["commit-neutral", "commit-neutral"]
    assert asked == [9]
    assert codes([before]) == ["commit-neutral"]
    assert asked == [9]
    assert codes([before, after], [differ]) == ["commit-unproven", "commit-unproven", "rows-changed"]
    assert codes([note("commit-unproven", "version 8 (REORG)")]) == ["commit-rows-differ"]
    foreign = fail("commit-unattested", "version 7 (WRITE)")
    assert codes([before, foreign, after]) == ["commit-neutral", "commit-unattested", "commit-unproven"]
