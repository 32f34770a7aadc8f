"""Noise in any file, a changed report, a changed table beside the target: a finding or a refusal, never a crash."""

import random
import shutil

import pytest

from dataward.contract import Location
from dataward.errors import ProofError
from dataward.integrity import ledger
from dataward.integrity.findings import fail, note
from dataward.integrity.proof.beside import check_beside
from dataward.integrity.reported import sealed_report
from dataward.integrity.seal import SealedBeside, code_version
from dataward.report import write as write_report
from dataward.tables.deltalog.folder import folder
from dataward.verbs.reports import check_report
from dataward.verbs.verify import settled_by_rows
from tests.deltamade import thirty
from tests.sealedmade import seal
from tests.unit.test_manifest import manifests
from tests.unit.test_report import result


def test_noise_in_any_file_is_a_finding_or_a_refusal_and_never_a_crash(thirty_sealed):
    """What others may write: every kind of file of log and ledger, cut, mixed up or replaced in some place."""
    sealed = thirty_sealed()
    draw, crashed, unseen, head = random.Random(7), [], [], sealed.head()
    files = sorted([*sealed.table.log.rglob("*.*"), *(sealed.root / "ledger").rglob("*")])
    files = [file for file in files if file.is_file()]
    for number in range(60):
        file = draw.choice(files)
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
        finally:
            file.write_bytes(data)
        superseded = (
            file.parent.name.endswith(".p") and file.name != "30"
        )  # narrower tiles and bundles, which nobody reads now
        derived = "index" in file.parts or superseded or changed == data
        if not any(one.fails for one in proved.findings) and not derived:
            unseen.append((str(file.relative_to(sealed.root)), changed[:20]))
    assert crashed == []
    assert unseen == []
    assert sealed.prove(every=True, heads=(head,)).findings == ()


@pytest.fixture
def reported(tmp_path):
    """A report as a run wrote it, and the seal of that run."""
    statistic = {"analyzer": "Mean", "metric": "mean", "columns": ["a"], "measured": 4.5, "message": "as usual"}
    base = result(run_id="r3", statistics=[statistic])
    shared = {
        "key": {"domain": "people", "version": 1, "public_key": "0" * 64},
        "code": code_version(),
        "verdicts": base.verdicts,
        "protections": base.protections,
        "rows": base.rows,
        "reported": sealed_report(base),
    }
    source = {"described": "x", "version": None, "sha256": None}
    told = seal(3, "r3", source=source).model_copy(update=shared)
    inside = told.model_dump(mode="json", exclude={"verdicts", "protections", "joins", "repairs"})
    later = {"seal": inside, "seconds": 9.0, "warnings": ["a head could not be kept"]}  # what is known after the seal
    write_report(None, base.model_copy(update=later), str(tmp_path))
    return tmp_path, told


def test_a_report_that_was_changed_is_named(reported):
    root, told = reported
    assert list(check_report(str(root), "people", told)) == []
    data, html = root / "people/r3/report.json", root / "people/r3/report.html"
    before = data.read_text(), html.read_text()
    data.write_text(before[0].replace('"outcome": "FAILED"', '"outcome": "PASSED"'))
    assert {one.code for one in check_report(str(root), "people", told)} == {"report-changed"}
    data.write_text(before[0].replace('"measured": 4.5', '"measured": 4.6'))  # a number that only the report has
    assert [str(one) for one in check_report(str(root), "people", told) if one.place.endswith("json")] == [
        "report-changed: people/r3/report.json: it differs from the seal in its digest"
    ]
    data.write_text(before[0])
    html.write_text(before[1].replace("r3", "r4", 1))
    assert [one.place for one in check_report(str(root), "people", told)] == ["people/r3/report.html"]
    older = told.model_copy(update={"code": {"version": "1", "sha256": "0" * 64}})
    assert ("report-page-unproven", False) in {
        (one.code, one.fails) for one in check_report(str(root), "people", older)
    }
    html.write_text(before[1])
    for path, text in zip((data, html), before, strict=True):
        path.write_text(text.replace("as usual", "[erased]"))
    assert {one.code for one in check_report(str(root), "people", told)} == {"report-changed"}
    (erased,) = [one for one in check_report(str(root), "people", told, lambda: True) if one.code == "report-erased"]
    assert not erased.fails
    data.write_text(before[0].replace('"kind": "IsComplete"', '"kin": "IsComplete"'))  # no page can be drawn from it
    assert {one.code for one in check_report(str(root), "people", told)} == {"report-changed"}
    data.write_text("{")
    assert [one.code for one in check_report(str(root), "people", told)] == ["report-changed"]
    data.unlink()
    assert [(one.code, one.fails) for one in check_report(str(root), "people", told)] == [("report-missing", False)]
    erasure = told.model_copy(update={"reported": None, "verdicts": [], "run_id": "erase-1"})
    assert list(check_report(str(root), "people", erasure)) == []


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
        return [one.code for one in settled_by_rows(findings, differing, 5, rows)]

    assert codes([before, after]) == ["commit-neutral", "commit-neutral"]
    assert asked == [9]
    assert codes([before]) == ["commit-neutral"]
    assert asked == [9]
    assert codes([before, after], [differ]) == ["commit-unproven", "commit-unproven", "rows-changed"]
    assert codes([note("commit-unproven", "version 8 (REORG)")]) == ["commit-rows-differ"]
    foreign = fail("commit-unattested", "version 7 (WRITE)")
    assert codes([before, foreign, after]) == ["commit-neutral", "commit-unattested", "commit-unproven"]
