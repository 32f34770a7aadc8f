"""Operators: right values, NULL stays NULL, no key in any plan."""

import base64
import datetime as dt
import hmac
from decimal import Decimal

import pyarrow as pa
import pytest
from chispa import assert_df_equality
from hypothesis import given, settings
from hypothesis import strategies as st

from dataward.contract import Document, problems_of
from dataward.inference import Protector
from dataward.privacy.protect import ColumnPlan, protect
from tests.keys import THIRD_VERSION as RING


def contract(columns):
    made, problems = problems_of(Document.parse(
        "contract: t\nsource: {path: a}\ntarget: {path: b}\nkeys: {path: k, domain: people}\n" f"columns: {columns}\ndefault: keep\n"
    ))  # fmt: skip
    assert not problems, problems
    return made


def protected(spark, frame, columns, few=()):
    apply, told = protect(spark, ColumnPlan.resolve(contract(columns), RING, frame.schema), frame, few)
    return apply(frame), told


def token(value, domain="people"):
    mac = hmac.digest(RING.key("token", domain, 3), value.encode(), "sha256").hex()
    return f"v3.{mac[:32]}"


@settings(max_examples=5)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), min_size=1, max_size=60))
def test_token_is_the_standard_librarys_hmac(spark, values):
    frame = spark.createDataFrame([(value,) for value in values], "a string").coalesce(1)
    made, _ = protected(spark, frame, "{a: {protect: token}}")
    assert [row.a for row in made.collect()] == [token(value) for value in values]


def test_tokens_once_per_value_are_the_same_tokens(spark):
    frame = spark.sql(
        "select * from values (1, 'a', 0.0d), (2, 'a', -0.0d), (2, null, null), (null, '', 1.5d) as t(i, s, d)"
    )
    columns = "{i: {protect: token}, s: {protect: token}, d: {protect: token}}"
    each, _ = protected(spark, frame, columns)
    once, _ = protected(spark, frame, columns, few=["i", "s", "d"])
    assert once.columns == ["i", "s", "d"]
    assert sorted(map(tuple, once.collect()), key=repr) == sorted(map(tuple, each.collect()), key=repr)


def test_few_values_are_protected_once_by_any_deterministic_operator(spark):
    rows = [("a@x", "0301234567", 1), ("A@x", "12", 2), (None, None, 3), ("a@x", "0301234567", 4)]
    frame = spark.createDataFrame(rows, "m string, p string, n int").selectExpr(
        "*", *(f"{n} as k{n}" for n in range(6))
    )
    columns = "{m: {class: email, protect: token}, p: {protect: {fpe: {invalid: null}}}}"
    each, _ = protected(spark, frame, columns)
    once, _ = protected(spark, frame, columns, few=["m", "p", "n"])

    def plan(made):
        return made._jdf.queryExecution().executedPlan().toString()

    assert plan(once).count("BroadcastHashJoin") == plan(once).count("MapInArrow") == 2  # on the distinct values only
    assert once.collect() == each.collect()
    strict, _ = protected(spark, frame, "{p: {protect: fpe}}", few=["p"])
    assert "BroadcastHashJoin" in plan(strict)
    with pytest.raises(Exception, match="p: it holds values that fpe cannot protect"):
        strict.collect()
    narrow, _ = protected(spark, frame.select("m", "p"), columns, few=["m", "p"])
    assert (plan(narrow).count("BroadcastHashJoin"), plan(narrow).count("MapInArrow")) == (0, 1)


def test_tokens_of_other_types_are_of_their_text(spark):
    frame = spark.sql("select 42 as i, 1.50bd as d, date'2020-02-29' as t, true as b, 'x' as s")
    made, _ = protected(spark, frame, "{" + ", ".join(f"{c}: {{protect: token}}" for c in "idtbs") + "}")
    assert list(made.first()) == [token("42"), token("1.50"), token("2020-02-29"), token("true"), token("x")]


def test_domains_do_not_join_and_columns_of_one_domain_do(spark):
    frame = spark.sql("select 'x' as a, 'x' as b, 'x' as c")
    made, told = protected(
        spark, frame, "{a: {protect: token}, b: {protect: token}, c: {protect: token, domain: other}}"
    )
    row = made.first()
    assert row.a == row.b == token("x")
    assert row.c == token("x", "other") != row.a
    assert [(p.column, p.domain, p.key_version) for p in told] == [
        ("a", "people", 3),
        ("b", "people", 3),
        ("c", "other", 3),
    ]


@pytest.mark.parametrize(("parameters", "expected"), [
    ("{mask: {keep_last: 4}}", ["*****6789", "****", "*", "", None, "****ñ漢字😀"]),
    ("{mask: {keep_first: 1, keep_last: 1}}", ["1*******9", "a**d", "*", "", None, "a******😀"]),
    ("{mask: {char: '#'}}", ["#########", "####", "#", "", None, "########"]),
    ("mask", ["*********", "****", "*", "", None, "********"]),
    ("redact", ["[redacted]"] * 4 + [None, "[redacted]"]),
    ("{redact: {with: X}}", ["X"] * 4 + [None, "X"]),
])  # fmt: skip
def test_mask_and_redact(spark, parameters, expected):
    values = ["123456789", "abcd", "z", "", None, "aéñ b漢字😀"[:0] + "abcdñ漢字😀"]
    frame = spark.createDataFrame([(n, v) for n, v in enumerate(values)], "n int, a string")
    made, _ = protected(spark, frame, f"{{a: {{protect: {parameters}}}}}")
    want = spark.createDataFrame([(n, v) for n, v in enumerate(expected)], "n int, a string")
    assert_df_equality(made, want, ignore_nullable=True, ignore_row_order=True)


def test_null_stays_null_under_every_operator(spark):
    frame = spark.sql("select cast(null as string) as a, cast(null as int) as b")
    for operator in ("token", "mask", "redact", "keep"):
        made, _ = protected(spark, frame, f"{{a: {{protect: {operator}}}, b: {{protect: {operator}}}}}")
        assert list(made.first()) == [None, None], operator


def test_drop_and_odd_names(spark):
    frame = spark.sql("select 1 as `order-id`, 2 as `a.b`, 3 as `tick``ed`, 4 as gone")
    made, _ = protected(spark, frame, "{gone: {protect: drop}, a.b: {protect: token}, 'tick`ed': {protect: mask}}")
    assert made.columns == ["order-id", "a.b", "tick`ed"]
    assert list(made.first()) == [1, token("2"), "*"]


def test_no_key_in_any_plan_generated_code_or_log(spark, caplog):
    caplog.set_level("DEBUG")
    spark = spark.newSession()
    spark.conf.set("spark.sql.codegen.wholeStage", "true")
    spark.conf.set("spark.sql.codegen.factoryMode", "FALLBACK")
    spark.conf.set("spark.sql.adaptive.enabled", "false")  # else the plan is not known before it runs
    frame = spark.createDataFrame([("x",)], "a string")
    made, _ = protected(spark, frame, "{a: {protect: token}}")
    key = RING.key("token", "people", 3)
    execution = made._jdf.queryExecution()
    made.collect()
    shown = execution.toString() + execution.executedPlan().treeString() + execution.debug().codegenToSeq().toString()
    assert "hmac_sha256" in shown
    assert "PythonUtils" in caplog.text  # py4j's calls, of which none shows the key
    shown += execution.executedPlan().toJSON() + caplog.text
    assert base64.b64encode(key).decode() not in shown
    for pad in (0, 0x36, 0x5C):
        block = bytes(byte ^ pad for byte in key)
        assert block.hex() not in shown.lower()
        assert block.hex(" ") not in shown.lower()
        assert str(list(block))[1:40] not in shown


EVERY = """{
  s: {protect: token}, i: {protect: token}, b: {protect: token}, x: {protect: token}, d: {protect: token}, f: {protect: token},
  dec: {protect: token}, at: {protect: token}, ntz: {protect: token}, mail: {class: email, protect: {token: {bits: 256}}},
  m1: {protect: {mask: {keep_first: 1, keep_last: 2}}}, m2: {protect: mask}, m3: {protect: {mask: {keep_last: 1}}}, r: {protect: redact},
  n: {protect: 'null'}, e: {protect: encrypt}, e2: {protect: encrypt},
  fp: {protect: {fpe: {alphabet: base36, invalid: {fallback: token}}}}, fi: {protect: {fpe: {invalid: null}}},
  shift: {protect: {date_shift: {by: i, days: 40, invalid: null}}}, shift2: {protect: {date_shift: {by: s, invalid: null}}},
  g1: {protect: {generalize: {width: 7}}}, g2: {protect: {generalize: {part: month}}}, g3: {protect: {generalize: {part: hour}}},
  g4: {protect: {generalize: {prefix: 2, invalid: null}}}, g5: {protect: {generalize: {bounds: [0, 5]}}},
  pick: {protect: {pick: {values: [a, b, c]}}}, l: {protect: token}, st.u: {protect: encrypt}, st.v: {protect: drop},
  mp.value: {protect: {mask: {keep_last: 1}}}, js: {protect: {json: {fields: {k: {protect: token}}, rest: encrypt, invalid: null}}}
}"""
KINDS = {
    "s": "string", "i": "int", "b": "boolean", "x": "binary", "d": "date", "f": "double", "dec": "decimal(12,3)", "at": "timestamp",
    "ntz": "timestamp_ntz", "mail": "string", "m1": "string", "m2": "bigint", "m3": "date", "r": "date", "n": "double", "e": "string",
    "e2": "timestamp", "fp": "string", "fi": "bigint", "shift": "date", "shift2": "timestamp", "g1": "smallint", "g2": "date",
    "g3": "timestamp", "g4": "string", "g5": "double", "pick": "string", "l": "array<string>", "st": "struct<u:string,v:int>",
    "mp": "map<string,string>", "js": "string",
}  # fmt: skip
WORD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
DAY = st.dates(dt.date(1800, 1, 1), dt.date(2200, 1, 1))
TIME = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))
VALUES = {
    "string": WORD, "int": st.integers(-(2**31), 2**31 - 1), "boolean": st.booleans(), "binary": st.binary(max_size=9), "date": DAY,
    "double": st.floats(-1e9, 1e9), "decimal(12,3)": st.integers(-(10**11), 10**11).map(lambda n: Decimal(n).scaleb(-3)),
    "timestamp": TIME, "timestamp_ntz": TIME, "bigint": st.integers(-(2**63), 2**63 - 1), "smallint": st.integers(-32700, 32767),
    "array<string>": st.lists(WORD | st.none(), max_size=3), "struct<u:string,v:int>": st.tuples(WORD | st.none(), st.just(1)),
    "map<string,string>": st.dictionaries(WORD, WORD | st.none(), max_size=3),
}  # fmt: skip
SPECIAL = {
    "fp": st.text("0123456789abcdefghijklmnopqrstuvwxyz -", max_size=14),
    "js": st.sampled_from(['{"k":["a",1,true],"z":{"k":2.5}}', "[1]", "no"]),
}


@settings(max_examples=4)
@given(
    st.lists(
        st.tuples(*(SPECIAL.get(name, VALUES[kind]) | st.none() for name, kind in KINDS.items())),
        min_size=20,
        max_size=40,
    )
)
def test_spark_and_inference_give_the_same_bytes(spark, rows):
    frame = spark.createDataFrame(rows, ", ".join(f"{name} {kind}" for name, kind in KINDS.items())).coalesce(1)
    made, _ = protected(spark, frame, EVERY)
    batches = []

    def gathering(of):  # the frame as Arrow, as the workers see it
        batches.clear()
        batches.extend(of._collect_as_arrow())
        return pa.Table.from_batches(batches)

    guard = Protector(contract(EVERY), RING)
    assert guard(gathering(frame)).to_pylist() == gathering(made).to_pylist()
    for row in gathering(frame).slice(0, 3).to_batches():  # and row by row, of Arrow's types
        for n in range(row.num_rows):
            assert guard(row.slice(n, 1)).to_pylist() == gathering(made).slice(n, 1).to_pylist()


def test_stages_and_a_single_python_stage(spark):
    frame = spark.sql("select 'a' as s, 'b' as t, 1 as k, '0301234567' as p, 'q' as q, 'm' as m")
    made, told = protected(
        spark,
        frame,
        "{s: {protect: token}, t: {protect: drop}, p: {protect: fpe}, q: {protect: encrypt}, m: {class: email, protect: token}}",
    )
    assert [(p.column, p.stage) for p in told] == [
        ("s", "jvm"),
        ("t", "dropped"),
        ("k", "kept"),
        ("p", "arrow"),
        ("q", "arrow"),
        ("m", "arrow"),
    ]
    assert made._jdf.queryExecution().executedPlan().toString().count("MapInArrow") == 1
    jvm, _ = protected(
        spark, frame, "{s: {protect: token}, t: {protect: redact}, q: {protect: mask}, m: {protect: 'null'}}"
    )
    assert "Python" not in jvm._jdf.queryExecution().executedPlan().toString()


def test_no_key_in_the_plan_of_the_arrow_stage(spark):
    frame = spark.createDataFrame([("x", "0301234567")], "a string, p string")
    made, _ = protected(spark, frame, "{a: {protect: encrypt}, p: {protect: fpe}}")
    shown = made._jdf.queryExecution().toString() + made._jdf.queryExecution().executedPlan().treeString()
    for purpose in ("encrypt", "fpe"):
        key = RING.key(purpose, "people", 3)
        assert not [form for form in (key.hex(), str(list(key))[1:40], repr(key)[2:20]) if form in shown]
