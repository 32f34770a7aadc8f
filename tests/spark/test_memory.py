"""The history of runs: what is kept, what rules compare with, marks, retention, many runs and many writers."""

import json
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from dataward.cli import main
from dataward.errors import UsageError
from dataward.pipeline import metric_history as memory
from dataward.pipeline.metric_history import Ran, mark, measured, recall, remember
from dataward.pipeline.plan import plan
from dataward.quality.judge import Judgement
from dataward.quality.past import Past
from dataward.quality.suite import Suite
from dataward.spark.session import isolated
from dataward.tables import delta
from tests.steps import instead

pytestmark = pytest.mark.long

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
WATCHED = 'RowCount >= 0.8 * avg(last(3)),\nDetectAnomalies "RowCount" with method = "relative" with factor = 0.5'


@pytest.fixture
def load(lake):
    """Publishes a source of so many rows."""

    def load(rows, **more):
        lake.source([(n, f"CANARY{n}") for n in range(rows)], "id int, name string")
        if not (lake.root / "contract.yaml").exists():
            more = {
                "rules": WATCHED,
                "columns": "{name: {class: person_name, protect: token}}",
                "extra": "history: {{}}",
                **more,
            }
        return lake.publish(**more)

    return load


def contract(lake):
    return plan(lake.root / "contract.yaml")


def outcomes(result):
    return [(verdict["outcome"], verdict["measured"]) for verdict in result.verdicts]


def series(lake, name="RowCount"):
    """Of each run, however many rules look at it."""
    runs = {one.run_id: one for one in measured(lake.spark, contract(lake)) if one.series == name}
    return [(one.measured, one.status) for one in runs.values()]


def test_rules_compare_with_the_runs_before_them(lake, load, capsys):
    first = load(10)
    assert outcomes(first) == [("SKIPPED", 10.0), ("SKIPPED", 10.0)]
    assert first.verdicts[0]["message"] == "not judged: 0 of the 3 earlier runs that it compares with"
    assert [verdict["expected"] for verdict in first.verdicts] == [">= (0.8 * avg(last(3)))", "not known yet"]
    assert [outcomes(load(rows))[1] for rows in (12, 11)] == [("PASSED", 12.0), ("PASSED", 11.0)]
    stopped = load(3)
    assert (stopped.status, outcomes(stopped)) == ("stopped", [("FAILED", 3.0), ("FAILED", 3.0)])
    assert stopped.verdicts[0]["expected"] == ">= 8.8"
    assert stopped.verdicts[1]["message"] == "expected 5.5 to 16.5 (method relative, 3 runs)"
    assert lake.versions() == 3
    assert outcomes(load(11))[0] == ("PASSED", 11.0)  # beside 10, 12 and 11: what was stopped does not count
    assert [line["series"] for line in stopped.past] == ["RowCount"]  # once, though two rules look at it
    assert "Beside earlier runs" in Path(stopped.report).read_text()

    capsys.readouterr()
    file = str(lake.root / "contract.yaml")
    assert main(["history", "--contract", file, "--mark-good", stopped.run_id]) == 2
    assert "say why with --reason" in capsys.readouterr().err
    assert (
        main(["history", "--contract", file, "--mark-good", stopped.run_id, "--reason", "half a day, announced"]) == 0
    )
    runs = [one.run_id for one in measured(lake.spark, contract(lake)) if one.series == "RowCount"]
    mark(lake.spark, contract(lake), runs[0], False, "a test load")
    with pytest.raises(UsageError, match="run 'nobody' is not in the history"):
        mark(lake.spark, contract(lake), "nobody", True, "x")
    assert set(series(lake)) >= {(10.0, "marked bad"), (3.0, "marked good"), (12.0, "accepted")}
    # The three newest that count are now 11, 3 and 11.
    assert load(9).verdicts[0]["expected"].startswith(">= 6.66666666666666")

    capsys.readouterr()
    assert main(["history", "--contract", file, "--metric"]) == 0
    assert "RowCount" in (told := capsys.readouterr().out)
    assert "█" in told
    assert main(["history", "--contract", file, "--metric", "RowCount"]) == 0
    told = capsys.readouterr().out
    assert "(marked bad)" in told
    assert "FAILED  RowCount >= 0.8 * avg(last(3))" in told
    assert main(["history", "--contract", file, "--metric", "RowCount", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"][0]["measured"] == 10.0
    assert main(["history", "--contract", file, "--metric", "RowCnt"]) == 2
    assert "did you mean 'RowCount'" in capsys.readouterr().err


def test_every_number_is_kept_once_and_no_value(lake, load):
    rules = 'IsComplete "id",\nCompleteness "name" > 0.5,\nCompleteness "name" > 0.6\n]\nAnalyzers = [\nAllStatistics "name", Mean "id"'
    for _ in range(2):
        load(4, rules=rules, columns="{name: {class: person_name, protect: token}}", extra="history: {{}}", run_id="r1")
    kept = {(one.series, one.measured, one.outcome) for one in measured(lake.spark, contract(lake))}
    assert kept == {
        ("RowCount", 4.0, None),
        ('IsComplete "id"', 1.0, "PASSED"),
        ('Completeness "name"', 1.0, "PASSED"),
        ('Uniqueness "name"', 1.0, None),
        ('MinLength "name"', 7.0, None),
        ('MaxLength "name"', 7.0, None),
        ('Mean "id"', 1.5, None),
    }
    assert lake.versions("target_history") == 1
    held = b"".join(file.read_bytes() for file in (lake.root / "target_history").rglob("*") if file.is_file())
    assert b"CANARY" not in held


def test_a_run_that_was_killed_is_in_the_history_once(lake, load, monkeypatch):
    load(5)

    class Killed(BaseException):
        pass

    def dying(*given, **more):
        raise Killed

    with monkeypatch.context() as patched:
        instead(patched, "quarantine", dying)
        with pytest.raises(Killed):
            load(6, run_id="again")
    assert load(6, run_id="again").status == "published"
    assert series(lake) == [(5.0, "accepted"), (6.0, "accepted")]
    lake.spark.sql(f"delete from delta.`{lake.root}/target_history` where rows = 6")
    assert load(6, run_id="again").status == "unchanged"


def test_the_newest_run_of_a_partition_counts(lake):
    extra = "history: {{path: {root}/kept}}"
    for day, rows in (("a", 5), ("b", 6), ("a", 9), ("c", 7)):
        lake.source([(n, day) for n in range(rows)], "id int, day string")
        target = f"mode: replace, partition: {{day: {day}}}, partition_by: [day]"
        lake.publish(rules="RowCount > 0", columns="{}", target=target, extra=extra)
    with isolated(lake.spark) as own:
        past = recall(own, contract(lake), "next", datetime.now(timezone.utc))
    assert [point.value for point in past.points("RowCount")] == [6, 9]  # c is the partition that comes next


def test_old_runs_are_removed(lake, load):
    load(1, extra="history: {{keep: 31}}")
    planned = contract(lake)
    with isolated(lake.spark) as own:
        for days in range(0, 44, 4):
            now = NOW + timedelta(days=days)
            judged = Judgement((), days, ())
            past = recall(own, planned, f"r{days}", now)
            remember(own, planned, Ran(f"r{days}", now, Suite(), judged, past, stopped=False))
    assert sorted(number for number, _ in series(lake)) == [1, *range(8, 44, 4)]


def filled(lake, runs):
    """A history of so many runs with 20 series each."""
    rows = [
        (
            "t",
            f"old{n}",
            NOW - timedelta(hours=runs - n),
            None,
            f'Mean "c{s}"',
            None,
            None,
            float(s),
            None,
            1,
            "accepted",
        )
        for n in range(runs)
        for s in range(20)
    ]
    with isolated(lake.spark) as own:
        memory._append(own, contract(lake), f"filled{runs}", rows)


def test_a_publish_does_no_more_for_a_thousand_runs_than_for_ten(lake, load, jobs_of):
    load(1)
    planned = contract(lake)

    def work(run_id):
        with isolated(lake.spark) as own, jobs_of() as told:
            past = recall(own, planned, run_id, NOW)
            remember(own, planned, Ran(run_id, NOW, Suite(), Judgement((), 5, ()), past, stopped=False))
        return told["jobs"], past

    filled(lake, 10)
    few, _ = work("a")
    filled(lake, 1000)
    many, past = work("b")
    assert many == few
    assert len(past.series) == 20
    assert len(past.points('Mean "c7"')) == 1000


def test_many_writers_and_few_files(lake, load):
    load(1)
    planned = contract(lake)
    failed = []

    def write(writer):
        try:
            for number in range(8):
                judged = Judgement((), 100 * writer + number, ())
                with isolated(lake.spark) as own:
                    remember(own, planned, Ran(f"w{writer}-{number}", NOW, Suite(), judged, Past(), stopped=False))
        except Exception as error:
            failed.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failed
    assert sorted(number for number, _ in series(lake)) == [1.0, *(100.0 * w + n for w in (1, 2) for n in range(8))]
    place = planned.contract.history_location
    files = delta.delta_table(lake.spark, place).detail().select("numFiles").first()[0]
    assert files < 2 * memory.FILES
