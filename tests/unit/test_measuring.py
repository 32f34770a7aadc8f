"""What is measured together and what alone, and what is said of a rule that failed or took too long; no Spark."""

from contextlib import contextmanager
from datetime import datetime

import pytest

from dataward.errors import DataError, RunError, SourceError
from dataward.quality import measuring
from dataward.quality.measuring import Patience, measured
from dataward.quality.metrics import Metric, Unmeasured, Values
from dataward.quality.suite import suite
from dataward.spark.session import TimeIsUp

NOW = datetime(2026, 1, 1)
SIZE = Metric("size")
TEXT = """Rules = [ IsComplete "a", IsComplete "b", ColumnValues "c" matches "(x+x+)+y", RowCount > 1 ]"""
RULES = tuple(rule.typed({"a": "string", "b": "string", "c": "string"}) for rule in suite(TEXT)[0].rules)


class Engine:
    """Counts runs; a run with a metric of a failing column fails as a whole, as one scan does."""

    def __init__(self, failing=()):
        self.failing, self.runs = set(failing), []

    def __call__(self, metrics):
        self.runs.append(list(metrics))
        named = {column for metric in metrics for column in metric.columns}
        if named & self.failing or "size" in self.failing:
            return Values({}, dict.fromkeys(metrics, "the scan failed: a regular expression does not compile"))
        return Values(dict.fromkeys(metrics, 1.0))


def wanted():
    return [SIZE, *(metric for rule in RULES for metric in rule.metrics(NOW)), Metric("mean", ("z",))]


def found(rule, values):
    try:
        return [values[metric] for metric in rule.metrics(NOW)]
    except Unmeasured as error:
        return str(error)


def test_all_is_one_run_without_a_limit():
    engine = Engine()
    values = measured(engine, wanted(), RULES, NOW, Patience(None))
    assert len(engine.runs) == 1
    assert all(metric in values for metric in wanted())


def test_a_rule_that_fails_is_known_and_the_others_are_measured():
    engine = Engine(failing="b")
    values = measured(engine, wanted(), RULES, NOW, Patience(None))
    assert found(RULES[1], values) == "the scan failed: a regular expression does not compile"
    assert [found(RULES[n], values)[-1] for n in (0, 2, 3)] == [1.0, 1.0, 1.0]
    assert values[Metric("mean", ("z",))] == 1.0


def test_rows_that_cannot_be_counted_are_the_sources_fault():
    with pytest.raises(SourceError, match="the source cannot be read"):
        measured(Engine(failing=["size"]), wanted(), RULES, NOW, Patience(None))
    with pytest.raises(RunError, match="the rules cannot be measured: the scan failed"):
        measured(Engine(failing="b"), wanted(), RULES, NOW, Patience(None), one_by_one=False)


@pytest.fixture
def slow(monkeypatch):
    """Metrics of some columns take too long."""
    columns: set[str] = set()
    running: list[list[Metric]] = []

    @contextmanager
    def limit(spark, seconds):
        running.clear()
        yield
        if seconds and columns & {column for metrics in running for metric in metrics for column in metric.columns}:
            raise TimeIsUp

    monkeypatch.setattr(measuring, "time_limit", limit)
    return columns, running


def test_a_rule_that_may_run_away_is_measured_alone_and_stopped_by_name(slow):
    columns, running = slow
    columns.add("c")
    engine = Engine()

    def run(metrics):
        running.append(metrics)
        return engine(metrics)

    values = measured(run, wanted(), RULES, NOW, Patience(None, seconds=3))
    assert len(engine.runs) == 2
    assert not any("c" in metric.columns for metric in engine.runs[0])
    assert found(RULES[2], values) == "stopped after 3 seconds (limits.seconds)"
    assert [found(RULES[n], values)[-1] for n in (0, 1, 3)] == [1.0, 1.0, 1.0]


def test_what_is_measured_together_and_takes_too_long_names_its_rules(slow):
    columns, running = slow
    columns.add("a")

    def run(metrics):
        running.append(metrics)
        return Engine()(metrics)

    with pytest.raises(
        DataError, match=r'IsComplete "a", IsComplete "b", RowCount > 1: stopped after 3 seconds \(limits.seconds\)'
    ):
        measured(run, wanted(), RULES, NOW, Patience(None, seconds=3))


def test_after_a_rule_that_was_stopped_none_is_begun(slow):
    columns, running = slow
    columns.add("c")
    patience = Patience(None, seconds=3)
    with pytest.raises(Unmeasured, match="stopped after 3 seconds"):
        patience.allow("first", lambda: running.append([Metric("size", ("c",))]))
    with pytest.raises(Unmeasured, match="not measured: first was stopped before"):
        patience.allow("second", lambda: pytest.fail("begun"))
