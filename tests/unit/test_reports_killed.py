"""A run that is killed at any change of its report: the seal never contradicts what is there, and the rerun completes it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from dataward.integrity.reported import sealed_report
from dataward.integrity.seal import code_version
from dataward.pipeline import reports
from dataward.verbs.reports import check_report
from tests.sealedmade import seal
from tests.unit.test_report import result

STATISTICS = [{"analyzer": "Mean", "metric": "mean", "columns": ["a"], "measured": 4.5, "message": ""}]


class Killed(BaseException):
    """What no handler catches."""


class Run:
    """A run as publish and a release of quarantined rows end: report, seal, report."""

    def __init__(self, root, monkeypatch, private=False):
        self.root, self.sealed, self.attempts = root, None, 0
        self.contract = SimpleNamespace(metrics="private" if private else "exact")
        monkeypatch.setattr(reports, "result", lambda *given: self.found)

    def go(self):
        self.attempts += 1
        if self.sealed:
            later = {"status": "unchanged", "seal": self.inside(), "warnings": ["a head could not be kept"]}
            statistics = [{**STATISTICS[0], "measured": 4.4}] if self.contract.metrics == "private" else []
            return reports.write_last(None, result(run_id="r3", **later, statistics=statistics), str(self.root))
        self.found = result(run_id="r3", seconds=float(self.attempts), statistics=STATISTICS)
        reports.write_before_seal(SimpleNamespace(spark=None, contract=self.contract), None, str(self.root))
        private = frozenset({"statistics"} if self.contract.metrics == "private" else ())
        self.seal(sealed_report(self.found, private))
        found = self.found.model_copy(update={"seal": self.inside(), "seconds": 9.0, "statistics": []})
        return reports.write_last(None, found if private else self.found.model_copy(update={"seal": self.inside()}), str(self.root))  # fmt: skip

    def seal(self, reported):
        shared = {name: getattr(self.found, name) for name in ("verdicts", "protections", "rows")}
        shared["key"] = {"domain": "people", "version": 1, "public_key": "0" * 64}
        source = {"described": "x", "version": None, "sha256": None}
        self.sealed = seal(3, "r3", source=source).model_copy(
            update={**shared, "code": code_version(), "reported": reported}
        )

    def inside(self):
        return self.sealed.model_dump(mode="json", exclude={"verdicts", "protections", "joins", "repairs"})

    def check(self):
        return [str(one) for one in check_report(str(self.root), "people", self.sealed)]

    def text(self):
        return (self.root / "people/r3/report.json").read_text()


def killing(patch, step, late):
    """Kill at the n-th change of a file or the seal, before or after it; returns how many there were."""
    seen = [0]

    def dying(change):
        def run(*given, **more):
            seen[0] += 1
            if seen[0] == step and not late:
                raise Killed
            mine = seen[0]
            try:
                return change(*given, **more)
            finally:
                if mine == step:
                    raise Killed

        return run

    for name in ("write_text", "replace", "unlink"):
        patch.setattr(Path, name, dying(getattr(Path, name)))
    patch.setattr(Run, "seal", dying(Run.seal))
    return seen


@pytest.mark.parametrize("late", [False, True])
def test_killed_at_every_change_and_run_again_there_is_one_report_as_attested(tmp_path, monkeypatch, late):
    with monkeypatch.context() as patch:
        count = killing(patch, 0, late)
        Run(tmp_path / "whole", monkeypatch).go()
    whole = (tmp_path / "whole/people/r3/report.html").read_text()
    assert count[0] >= 11
    for step in range(1, count[0] + 1):
        run = Run(tmp_path / f"{step}", monkeypatch)
        with monkeypatch.context() as patch:
            killing(patch, step, late)
            with pytest.raises(Killed):
                run.go()
        if run.sealed:
            assert run.check() in ([], ["report-missing: people/r3/report.html: a run's report is gone."]), step
        sealed = run.sealed
        run.go()
        assert run.check() == [], step
        assert sealed in (None, run.sealed)
        assert sorted(file.name for file in (run.root / "people/r3").iterdir() if file.suffix != ".part") == ["report.html", "report.json"]  # fmt: skip
        assert "Seal" in whole
        assert '"seal": {' in run.text()
        before = run.text()
        run.go()
        assert run.text() == before


def test_exact_statistics_of_private_metrics_are_in_no_report_before_or_after_the_seal(tmp_path, monkeypatch):
    run = Run(tmp_path, monkeypatch, private=True)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "inside", lambda self: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            run.go()
    assert '"statistics": []' in run.text()
    run.go()
    assert run.check() == []
    assert "4.4" in run.text()
    assert "4.5" not in run.text()


def test_a_report_that_somebody_edited_meanwhile_is_not_completed(tmp_path, monkeypatch):
    run = Run(tmp_path, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "inside", lambda self: (_ for _ in ()).throw(Killed()))
        with pytest.raises(Killed):
            run.go()
    file = tmp_path / "people/r3/report.json"
    file.write_text(run.text().replace('"measured": 4.5', '"measured": 4.6'))
    run.go()
    assert '"seal": null' in run.text()
    assert run.check()[0].startswith("report-changed: people/r3/report.json: it differs from the seal in its digest")
