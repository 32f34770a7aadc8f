"""Releases on Delta: Spark's aggregates equal the reference's, and an answer is drawn, paid, written and sealed once."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataward.errors import Overdrawn, ProofError, SourceError, UsageError
from dataward.integrity import ledger
from dataward.pipeline import paid
from dataward.release import budget, draws
from dataward.release.account import Entry, account_of
from dataward.release.aggregate import exact_of
from dataward.release.exact import aggregated, bounded
from dataward.release.plan import compiled
from dataward.release.query import Query
from dataward.release.synthesis import Synthesis
from dataward.spark.session import isolated
from dataward.tables import commits, delta
from dataward.verbs.budget import Amount, Payment, charge, reserve, set_cap, show
from dataward.verbs.release import plan_release, release, verify_release
from dataward.verbs.synthesize import synthesize
from tests.jvm import QUICK
from tests.spark import killed_release

SCHEMA = "customer_id string, city string, day date, amount decimal(9,2), age int, x double"
ANSWERS = [
    "count", {"count_distinct": "customer_id"}, {"count_distinct": "age"}, {"sum": {"column": "amount", "between": [0, 500]}},
    {"mean": {"column": "x", "between": [-1, 1]}}, {"variance": {"column": "x", "between": [-1, 1]}},
    {"quantiles": {"column": "age", "at": [0.5], "between": [0, 120]}}, {"histogram": {"column": "age", "edges": [0, 18, 65, 120]}},
    {"histogram": {"column": "city", "values": ["Bern", "Oslo"]}},
]  # fmt: skip


def rows_of(number=600):
    chance = random.Random(5)
    cities = ["Bern", "Oslo", "Rome", None]
    return [
        (f"c{chance.randrange(60)}" if chance.random() < 0.98 else None, chance.choice(cities), None,
         None if chance.random() < 0.1 else chance.randrange(0, 60_000), None if chance.random() < 0.1 else chance.randrange(140),
         chance.choice([None, float("nan"), float("inf"), chance.randrange(-16, 17) / 8]))
        for _ in range(number)
    ]  # fmt: skip


def words(lake, **changes):
    base = {
        "release": "r", "source": {"path": str(lake.root / "source"), "sealed": False}, "unit": "customer_id",
        "bounds": {"rows_per_unit": 5, "groups_per_unit": 2}, "group_by": {"city": ["Bern", "Oslo"]}, "answers": ["count"],
        "spend": {"epsilon": 1.0, "delta": 1e-6, "from": str(lake.root / "budgets")}, "target": {"path": str(lake.root / "answer")},
        "keys": {"path": str(lake.root / "keys"), "domain": "t"},
    }  # fmt: skip
    return {**base, **changes}


def query(lake, **changes):
    return Query.model_validate(words(lake, **changes))


@pytest.fixture
def orders(made_once):
    def written(lake):
        rows = [(a, b, c, None if d is None else f"{d / 100:.2f}", e, f) for a, b, c, d, e, f in rows_of()]
        text = SCHEMA.replace("decimal(9,2)", "string")
        frame = lake.spark.createDataFrame(rows, text).withColumn("amount", lake_cast())
        frame.coalesce(1).write.format("delta").save(str(lake.root / "source"))

    return made_once(written)


def lake_cast():
    from pyspark.sql import functions as F

    return F.col("amount").cast("decimal(9,2)")


def capped(lake, epsilon=1.0, delta=1e-5, unit="customer_id"):
    return set_cap(lake.spark, str(lake.root / "budgets"), str(lake.root / "source"), unit, Amount(epsilon, delta))


def state(lake):
    return show(lake.spark, str(lake.root / "budgets"))[0]


def plain(exact):
    scalars = {
        group: {name: int(values[n]) for name, values in exact.scalars.items()} for n, group in enumerate(exact.groups)
    }
    leaves = {name: {(exact.groups[g], int(leaf)): int(count) for g, leaf, count in zip(*parts, strict=True)}
              for name, parts in exact.leaves.items()}  # fmt: skip
    return scalars, leaves


@pytest.mark.parametrize("changes", [
    {"group_by": {"city": "unknown"}},
    {"group_by": {"city": ["Bern", "Rome"], "age": [1, 2, 3]}, "bounds": {"rows_per_unit": 3, "groups_per_unit": 1}},
    {"group_by": {}},
    {"unit": "row", "bounds": None},
], ids=["unknown", "listed", "whole", "rows"])  # fmt: skip
def test_sparks_aggregates_equal_the_references(orders, changes):
    with isolated(orders.spark) as own:
        frame = own.read.format("delta").load(str(orders.root / "source")).drop("day")
        asked = query(orders, answers=ANSWERS, **changes)
        plan = compiled(asked, {field.name: field.dataType.simpleString() for field in frame.schema.fields})
        rows = [row.asDict() for row in frame.collect()]
        kept = bounded(plan, rows, b"k" * 32)
        assert len(kept) < len(rows)
        exact = exact_of(frame.repartition(3), plan, b"k" * 32)
        assert plain(exact) == plain(aggregated(plan, kept))


def test_an_answer_is_drawn_paid_and_sealed_once(orders):
    asked = query(
        orders,
        answers=["count", {"sum": {"column": "amount", "between": [0, 500]}}],
        group_by={"city": ["Bern", "Wien"]},
    )
    with pytest.raises(Overdrawn, match="no budget is set"):
        release(orders.spark, asked, "r1")
    assert not (orders.root / "budgets").exists()
    capped(orders, 1.5)
    planned = plan_release(orders.spark, asked)
    assert planned.covered == ""
    assert state(orders).spent.epsilon == 0, "a plan spends nothing"
    done = release(orders.spark, asked, "r1")
    first = orders.rows("answer")
    assert [row[0] for row in first] == ["Bern", "Wien"]
    assert all(row[2] < row[1] < row[3] for row in first)
    again = release(orders.spark, asked, "r1")
    assert (again.status, again.version, orders.rows("answer"), state(orders).charges) == (
        "unchanged",
        done.version,
        first,
        1,
    )
    assert verify_release(orders.spark, asked).holds
    with pytest.raises(UsageError, match="has charged another query"):
        release(orders.spark, query(orders), "r1")
    with pytest.raises(Overdrawn, match="does not cover epsilon 1, delta"):
        release(orders.spark, asked, "r2")
    assert orders.versions("answer") == 1
    assert (state(orders).charges, state(orders).refusals) == (1, 1)
    kinds = [entry.record.kind for entry in ledger.entries(asked.ledger_location)]
    assert kinds == ["charge", "seal"]
    assert state(orders).spent.epsilon == 1.0


@pytest.mark.long
def test_a_changed_answer_does_not_verify(orders):
    capped(orders)
    asked = query(orders)
    release(orders.spark, asked, "r1")
    orders.spark.sql(f"update delta.`{orders.root}/answer` set count = count + 1")
    assert not verify_release(orders.spark, asked).holds


class Killed(BaseException):
    """As a kill, nothing catches it."""


PLACES = [
    (paid, "exact_of"),
    (draws, "stage"),
    (budget, "ask"),
    (paid, "enter"),
    (commits, "commit_target"),
    (paid, "seal_answer"),
]
KILLS = [
    pytest.param(place, name, after, id=f"{'after' if after else 'before'} {name}",
                 marks=() if (name, after) == ("ask", True) else pytest.mark.long)
    for place, name in PLACES for after in (False, True)
]  # fmt: skip


@pytest.mark.parametrize(("place", "name", "after"), KILLS)
def test_a_killed_run_leaves_no_answer_without_a_charge_and_ends_as_one_that_was_not(
    orders, monkeypatch, place, name, after
):
    capped(orders, 1.0)
    asked = query(orders)
    whole = getattr(place, name)

    def killed(*given, **named):
        if after:
            whole(*given, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(place, name, killed)
        with pytest.raises(Killed):
            release(orders.spark, asked, "r1")
    charged = state(orders).charges
    if not charged:
        assert not (orders.root / "answer").exists()
        assert all(one.secret == "" for one in budget.entries(orders.spark, asked.spend.budget)), "no key, no answer"
    known = [(one.draw, one.secret) for one in budget.entries(orders.spark, asked.spend.budget) if one.kind == "charge"]
    answer = draws.opened(orders.spark, asked.target.beside("draws"), draws.Staged(*known[0]))[0] if known else None
    done = release(orders.spark, asked, "r1")
    assert (done.status, state(orders).charges, orders.versions("answer")) in [("released", 1, 1), ("unchanged", 1, 1)]
    assert verify_release(orders.spark, asked).holds
    if answer is not None:
        assert orders.rows("answer") == sorted(tuple(row.values()) for row in answer.to_pylist()), "not drawn again"


@pytest.mark.long
def test_a_staged_draw_tells_nothing_without_its_key_and_is_missed(orders):
    capped(orders)
    asked = query(orders, target={"path": str(orders.root / "answer")})
    release(orders.spark, asked, "r1")
    place = asked.target.beside("draws")
    bytes_of = b"".join(file.read_bytes() for file in (orders.root / "answer_draws").glob("*.parquet"))
    assert b"Bern" not in bytes_of
    with pytest.raises(ProofError, match="removed or changed"):
        draws.opened(orders.spark, place, draws.Staged("gone", "00" * 32))
    (entry,) = [one for one in budget.entries(orders.spark, asked.spend.budget) if one.kind == "charge"]
    with pytest.raises(ProofError, match="removed or changed"):
        draws.opened(orders.spark, place, draws.Staged(entry.draw, "00" * 32))


def test_reservations_and_other_charges_share_the_budget(orders):
    capped(orders, 1.0)
    place, table = str(orders.root / "budgets"), str(orders.root / "source")
    held = reserve(orders.spark, place, table, "customer_id", "training", Amount(0.6))
    assert held.bound.epsilon == 0.6
    with pytest.raises(Overdrawn, match="spent or reserved"):
        charge(orders.spark, place, table, "customer_id", Payment("t1", Amount(0.5)))
    paid = charge(orders.spark, place, table, "customer_id", Payment("t1", Amount(0.5), "training", "training"))
    assert (paid.spent.epsilon, paid.bound.epsilon) == (0.5, 0.6)
    with pytest.raises(UsageError, match="epsilon is above 0"):
        charge(orders.spark, place, table, "customer_id", Payment("t2", Amount(-1.0)))


def test_thirty_two_asks_at_once_never_overdraw(orders):
    capped(orders, 1.0)
    place = query(orders).spend.budget
    dataset = state(orders).dataset
    go = threading.Barrier(32)

    def ask(number):
        go.wait()
        return budget.ask(orders.spark, place, Entry("charge", dataset, "customer_id", f"r{number}", 0.1))

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(32)))
    assert sum(one.kind == "charge" for one in answers) == 10
    account = account_of(budget.entries(orders.spark, place), dataset, "customer_id")
    assert (account.spent.epsilon, len(account.charges), account.refusals) == (1.0, 10, 22)
    assert orders.versions("budgets") <= 12, "asks of one process share transactions"


@pytest.mark.long
def test_writers_without_a_common_queue_never_overdraw(orders, monkeypatch):
    capped(orders, 1.0)
    place = query(orders).spend.budget
    dataset = state(orders).dataset

    def ask(number):
        return budget._entered(orders.spark, place, [Entry("charge", dataset, "customer_id", f"r{number}", 0.3)])[0]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert sum(one.kind == "charge" for one in answers) == 3
    assert account_of(budget.entries(orders.spark, place), dataset, "customer_id").spent.epsilon == pytest.approx(0.9)


def test_units_are_those_that_the_seal_of_the_source_vouches_for(lake):
    lake.source([(f"c{n}", "Bern") for n in range(20)], "customer_id string, city string")
    lake.publish(columns="{customer_id: {class: customer, protect: token}}")
    source = {"path": str(lake.root / "target")}
    asked = query(lake, source=source)
    set_cap(lake.spark, str(lake.root / "budgets"), source["path"], "customer_id", Amount(3.0, 1e-5))
    assert release(lake.spark, asked, "r1").status == "released"
    lake.spark.sql(f"insert into delta.`{source['path']}` select * from delta.`{source['path']}` limit 1")
    with pytest.raises(SourceError, match="is not sealed in ledger"):
        release(lake.spark, asked, "r2")
    assert release(lake.spark, query(lake, source={**source, "version": 0}), "r3").status == "released"
    shutil.rmtree(lake.root / "target_ledger")
    with pytest.raises(SourceError, match="is not sealed in ledger"):
        plan_release(lake.spark, asked)
    assert delta.exists(lake.spark, asked.target)


def test_metrics_of_a_private_table_are_released_and_no_exact_number_is_told(lake):
    lake.source([(f"c{n % 40}", n % 100, "canary") for n in range(800)], "customer_id string, age int, note string")
    place = f"{lake.root}/budgets"
    extra = (
        "metrics: private\nhistory: {{}}\nquarantine: {{path: {root}/quarantine}}\n"
        "private_metrics: {{unit: customer_id, rows_per_unit: 20, between: {{age: [0, 120]}}, distinct: [customer_id], epsilon: 2.0,"
        " from: {root}/budgets}}\n"
    )
    lake.contract(
        rules='Mean "age" > 10, ColumnValues "age" < 99',
        columns="{customer_id: {class: customer, protect: token}}",
        extra=extra,
    )
    set_cap(lake.spark, place, f"{lake.root}/target", "customer_id", Amount(2.0))
    found = lake.publish("r1")
    assert found.status == "published"
    assert [verdict["measured"] for verdict in found.verdicts] == [None, None]
    told = {one["analyzer"]: one["measured"] for one in found.statistics}
    assert abs(told["count"] - 792) < 400
    assert {"mean_age", "quantiles_age 0.5", "histogram_age bin 9", "count_distinct_customer_id"} <= set(told)
    history = lake.read("target_history").where("measured is not null").select("series").collect()
    assert [row.series for row in history] == ["RowCount"]
    assert lake.publish("r1").status == "unchanged"
    assert show(lake.spark, place)[0].charges == 1
    again = lake.publish("r2")
    assert again.status == "published"
    assert any("metrics are not released" in warning for warning in again.warnings)


def test_a_synthetic_table_is_drawn_paid_and_sealed_once(orders):
    wanted = Synthesis.model_validate(
        {
            "synthesize": "s", "source": {"path": str(orders.root / "source"), "sealed": False}, "unit": "customer_id",
            "bounds": {"rows_per_unit": 10}, "target": {"path": str(orders.root / "synthetic")}, "keys": {"path": str(orders.root / "keys"), "domain": "t"},
            "columns": {"age": {"between": [0, 140], "bins": 7}, "city": {"values": ["Bern", "Oslo", "Rome"]}, "x": {"between": [-2, 2]}},
            "spend": {"epsilon": 30.0, "delta": 1e-5, "from": str(orders.root / "budgets")}, "rows": 500,
        }
    )  # fmt: skip
    with pytest.raises(Overdrawn):
        synthesize(orders.spark, wanted, "s1")
    capped(orders, 30.0)
    report = orders.root / "utility.json"
    done = synthesize(orders.spark, wanted, "s1", str(report))
    first = orders.rows("synthetic")
    assert len(first) == done.released.groups == 500
    assert {row[1] for row in first} <= {"Bern", "Oslo", "Rome", None}
    assert all(row[0] is None or 0 <= row[0] <= 140 for row in first)
    assert orders.read("synthetic").dtypes == [("age", "int"), ("city", "string"), ("x", "double")]
    assert max(done.utility.marginals.values()) < 0.5
    assert (report.stat().st_mode & 0o777, "not differentially private" in report.read_text()) == (0o600, True)
    assert synthesize(orders.spark, wanted, "s1").released.status == "unchanged"
    assert (orders.rows("synthetic"), state(orders).charges) == (first, 1)
    assert verify_release(orders.spark, wanted.query.model_copy()).checks[0].holds


@pytest.mark.long
@pytest.mark.parametrize("instant", killed_release.INSTANTS)
def test_a_release_whose_process_and_jvm_are_sigkilled_leaves_no_answer_without_a_charge(orders, instant):
    capped(orders, 1.0)
    asked = query(orders)
    alone = {key: value for key, value in os.environ.items() if not key.startswith("PYSPARK_GATEWAY")}
    alone["JDK_JAVA_OPTIONS"] = QUICK
    command = [
        sys.executable, "-W", "ignore", "-m", "tests.spark.killed_release", instant, json.dumps(words(orders)), str(orders.root)
    ]  # fmt: skip
    died = subprocess.run(command, env=alone, start_new_session=True, capture_output=True, timeout=600, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()[-2000:]
    charges = [one for one in budget.entries(orders.spark, asked.spend.budget) if one.kind == "charge"]
    assert len(charges) == (instant not in ("drawn", "staged", "charge half written"))
    if not charges:
        assert not (orders.root / "answer").exists()
    paid_for = [
        draws.opened(orders.spark, asked.target.beside("draws"), draws.Staged(one.draw, one.secret))[0]
        for one in charges
    ]
    done = release(orders.spark, asked, "r1")
    assert (done.status, state(orders).charges, orders.versions("answer")) == (
        "unchanged" if instant == "sealed" else "released",
        1,
        1,
    )
    assert verify_release(orders.spark, asked).holds
    for answer in paid_for:
        assert orders.rows("answer") == sorted(tuple(row.values()) for row in answer.to_pylist()), "not drawn again"
