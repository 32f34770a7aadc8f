"""A zoo of column names, types and table features through every mode and verb: the rows that the source holds, sealed and verified."""

import json
from datetime import date, datetime
from decimal import Decimal

import pytest
from pyspark.sql import types as T

from dataward.contract import Source
from dataward.errors import ContractError, SourceError, TargetError
from dataward.pipeline.plan import plan
from dataward.quality.conditions import quoted
from dataward.spark.sql import column, identifier
from dataward.tables.delta import MAPPING
from dataward.verbs.discover import Asked as Looked
from dataward.verbs.discover import discover
from dataward.verbs.erase import Asked, erase
from dataward.verbs.profile import profile
from dataward.verbs.rotate import rotate
from dataward.verbs.stream import stream
from dataward.verbs.suggest import suggest
from tests.installed import DEFAULT

ID, PART, KEPT = "key.of;the row", "day=of,x", "count"
TOKENS = ["a.b", "tick`s", "com,ma", " lead", "x=1;{y}(z)", "tab\tend", "select"]
PLAIN = ["café", "cafe\u0301", "😀", "trail ", 'dou"ble', "it's", "back\\slash", "per%cent", "sl/ash", "co:lon", "from",
         "x__v2", "line\nbreak", "-", "1", "__file", "value"]  # fmt: skip
OTHERS = {
    KEPT: T.LongType(),
    "dec.imal": T.DecimalType(38, 18),
    "da te": T.DateType(),
    "time,stamp": T.TimestampType(),
    "b(in)": T.BinaryType(),
    "bool=": T.BooleanType(),
    "dou{ble": T.DoubleType(),
    "na me": T.StructType([T.StructField("in,ner", T.StringType()), T.StructField("d.ot", T.IntegerType())]),
    "li.st": T.ArrayType(T.StringType()),
    "m ap": T.MapType(T.StringType(), T.StringType()),
}
SCHEMA = T.StructType(
    [T.StructField(ID, T.StringType()), T.StructField(PART, T.StringType())]
    + [T.StructField(name, T.StringType()) for name in (*TOKENS, *PLAIN)]
    + [T.StructField(name, kind) for name, kind in OTHERS.items()]
)
RULED = [name for name in (ID, *TOKENS, *PLAIN, *OTHERS) if not set(name) & set("\n\t\\")]
RULES = ",\n".join(
    [f"IsComplete {quoted(name)}" for name in RULED]
    + [f"IsUnique {quoted(ID)}", f"ColumnValues {quoted(KEPT)} >= 0", f'IsPrimaryKey {quoted(ID)} "a.b"']
)


def row(n, good=True):
    others = (n if good else -1, Decimal("1.5") + n, date(2024, 1, 1), datetime(2024, 1, 2, 3), b"\0\1", True, n / 4,
              (f"inner {n}", n), [f"l{n}"], {"k": f"v{n}"})  # fmt: skip
    return (f"id-{n:04}", "ab"[n % 2], *(f"{k}-{n}" for k in range(len(TOKENS) + len(PLAIN))), *others)


ROWS = [row(n, good=n != 5) for n in range(6)]


def written(lake, rows, name="source", mode="overwrite"):
    frame = lake.spark.createDataFrame(rows, SCHEMA).coalesce(1)
    frame.write.format("delta").mode(mode).options(**MAPPING).partitionBy(PART).save(str(lake.root / name))


def contract(lake, target, engine="spark", extra=""):
    columns = {name: {"class": "account", "protect": "token"} for name in [ID, *TOKENS]}
    columns |= {"na me.in,ner": {"class": "note", "protect": {"encrypt": {}}}, "value": {"protect": "drop"}}
    columns |= {name: {"protect": "keep"} for name in (PART, *PLAIN, *OTHERS) if name not in ("value", "na me")}
    columns |= {"na me.d.ot": {"protect": "keep"}}
    return lake.contract(
        rules=RULES,
        columns=json.dumps(columns, ensure_ascii=False),
        target=f"mode: {target}, partition_by: [{json.dumps(PART)}]",
        default="refuse",
        extra=f"quarantine: {{{{path: {{root}}/quarantine}}}}\nengine: {engine}\nerasure: {{{{subject: {json.dumps(ID)}}}}}\n{extra}",
    )


def kept(lake, name="target"):
    names = [PART, *(one for one in PLAIN if one != "value"), *OTHERS]
    rows = lake.read(name).select(*(column(one) for one in names if one != "na me"), column("na me", "d.ot"))
    return sorted((tuple(row) for row in rows.collect()), key=repr)


def wanted(rows):
    schema = SCHEMA.names
    found = []
    for one in rows:
        given = dict(zip(schema, one, strict=True))
        names = [PART, *(name for name in PLAIN if name != "value"), *OTHERS]
        found.append((*(given[name] for name in names if name != "na me"), given["na me"][1]))
    return sorted(found, key=repr)


MODES = {
    "overwrite": ("overwrite", DEFAULT),
    "append": ("append", "spark"),
    "merge": (f"merge, on: [{json.dumps(ID)}]", "spark"),
    "replace": (f"replace, partition: {{{json.dumps(PART)}: a}}", "spark"),
    "refresh": ("refresh", "spark"),
}


@pytest.mark.parametrize(
    "mode", [one if one == "overwrite" else pytest.param(one, marks=pytest.mark.long) for one in MODES]
)
def test_the_zoo_is_published_verified_and_rerun(lake, mode):
    good = ROWS[:5] if mode != "replace" else ROWS[:5:2]
    written(lake, ROWS if mode != "replace" else [*good, (*ROWS[5][:1], "a", *ROWS[5][2:])])
    contract(lake, *MODES[mode])
    first = lake.publish("r1")
    assert first.rows == {"in": len(good) + 1, "published": len(good), "quarantined": 1, "dropped": 0}
    assert kept(lake) == wanted(good)
    assert all(str(value).startswith("v1.") for value in lake.read().select(*map(identifier, [ID, *TOKENS])).first())
    assert lake.publish("r1").status == "unchanged"
    assert [check.detail for check in lake.verify().checks if not check.holds] == []
    more = [row(8), row(0)] if mode != "append" else [row(8)]
    after = {"append": [*good, row(8)], "merge": [*good, row(8)], "refresh": [*good, row(8)]}.get(mode, more)
    if mode == "refresh":
        written(lake, [row(8)], mode="append")
    else:
        written(lake, more)
    assert lake.publish("r2").status == "published"
    assert kept(lake) == wanted(after)
    assert lake.verify().holds


@pytest.mark.long
def test_the_zoo_comes_as_a_stream(lake):
    written(lake, ROWS)
    file = contract(lake, "append")
    done = stream(lake.spark, plan(file), str(lake.root / "checkpoint"), report_folder=str(lake.root / "reports"))
    assert [result.rows["published"] for result in done] == [5]
    assert kept(lake) == wanted(ROWS[:5])
    assert lake.verify().holds


@pytest.fixture
def zoo(made_once):
    def filled(lake):
        written(lake, ROWS)
        contract(lake, "append")
        lake.publish("r1")

    return made_once(filled)


@pytest.mark.long
def test_a_person_of_the_zoo_is_erased(zoo):
    done = erase(
        zoo.spark, [plan(zoo.root / "contract.yaml")], Asked("id-0003", "T-1", reports=str(zoo.root / "reports"))
    )
    assert (done.residues, done.unread) == ((), ())
    assert kept(zoo) == wanted([one for one in ROWS[:5] if one[0] != "id-0003"])


@pytest.mark.long
def test_the_keys_of_the_zoo_are_rotated(zoo):
    before = kept(zoo)
    rotate(zoo.spark, "t", [plan(zoo.root / "contract.yaml")])
    shadowed = zoo.read().select(column(ID), column(f"{ID}__v1"), column("tick`s"), column("x__v2")).first()
    assert [value[:3] for value in shadowed] == ["v2.", "v1.", "v2.", zoo.read().select(column("x__v2")).first()[0][:3]]
    assert kept(zoo) == before
    assert zoo.verify().holds


@pytest.mark.long
def test_the_zoo_is_discovered_profiled_and_gets_rules(zoo):
    source = Source(path=str(zoo.root / "source"))
    found = discover(zoo.spark, source, Looked(None))
    assert {one.column for one in found.columns} >= {*TOKENS, *PLAIN, "na me.in,ner"}
    assert [one.name for one in profile(zoo.spark, source).columns] == SCHEMA.names
    assert any(quoted(ID) in one.rule for one in suggest(zoo.spark, source).rules)


def test_a_table_without_column_mapping_is_refused_before_anything_is_read_and_the_statement_mends_it(lake):
    schema = "id int, `sp ace` string"
    lake.spark.createDataFrame([(1,)], "id int").write.format("delta").save(str(lake.root / "target"))
    lake.spark.createDataFrame([(1, "x")], schema).write.parquet(str(lake.root / "source"))
    lake.contract(source=f"{{format: parquet, path: {lake.root}/source}}")
    with pytest.raises(TargetError, match="column mapping") as refused:
        lake.publish("r1")
    assert lake.versions() == 1
    lake.spark.sql(str(refused.value).partition("run ")[2].partition(", or rename")[0])
    assert lake.publish("r1").status == "published"
    assert lake.rows() == [(1, "x")]
    assert lake.verify().holds


def test_a_column_and_a_field_with_one_path_and_names_of_our_own_are_refused_before_anything_is_read(lake):
    frame = lake.spark.sql("select 1 id, 'x' as `a.b`, named_struct('b', 'y') a, 'z' as run_id")
    frame.write.format("delta").save(str(lake.root / "source"))
    lake.contract(columns='{"a.b": {class: note, protect: token}}')
    with pytest.raises(ContractError) as refused:
        lake.publish("r1")
    assert "'a.b' is the path of two columns" in str(refused.value)
    assert "a column 'run_id', a name that Dataward uses" in str(refused.value)
    assert not (lake.root / "target").exists()


def test_a_csv_header_with_our_column_of_malformed_records_is_refused(lake):
    (lake.root / "source.csv").write_text("id,_dataward_malformed\n1,x\n")
    lake.contract(source=f"{{format: csv, path: {lake.root}/source.csv, options: {{header: true}}}}")
    with pytest.raises(SourceError, match="'_dataward_malformed', a name that Dataward uses"):
        lake.publish("r1")
