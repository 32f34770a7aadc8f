"""The digest over real tables: every type, rows of any size, columns of any name, sums taken while rows are written."""

from types import SimpleNamespace

import pytest

from dataward.integrity import digest as module
from dataward.integrity.digest import Sum, sum_of, summed, summed_in_python
from dataward.pipeline.content import Sealing
from dataward.pipeline.watch import Watch
from dataward.spark.hmac import Observing, row_sums
from dataward.spark.session import isolated
from dataward.spark.sql import column
from dataward.tables import commits
from dataward.tables.declared import read_back

KEY = bytes(range(32))

VALUES = {
    "boolean": ["true", "false"],
    "tinyint": ["-128", "127"],
    "smallint": ["-32768", "5"],
    "int": ["-2147483648", "7"],
    "bigint": ["-9223372036854775808", "9"],
    "float": ["'NaN'", "-0.0", "0.0", "1e-45", "'-Infinity'"],
    "double": ["'NaN'", "-0.0", "0.0", "4.9e-324", "'Infinity'"],
    "decimal(5,2)": ["-1.10", "1.1"],
    "decimal(18,0)": ["-999999999999999999", "1"],
    "decimal(20,3)": ["-1", "18446744073709551.615"],
    "decimal(38,10)": ["-9999999999999999999999999999.9999999999", "1.5", "0"],
    "date": ["'0001-01-01'", "'9999-12-31'", "'1582-10-04'"],
    "timestamp": ["'0001-01-01 00:00:00'", "'9999-12-31 23:59:59.999999'", "'1900-01-01 00:00:00.000001'"],
    "timestamp_ntz": ["'0001-01-01 00:00:00'", "'2020-03-29 02:30:00.5'"],
    "string": ["''", "'é\\u0000x'", "repeat('x', 300)", "'𝄞'"],
    "binary": ["X''", "X'00FF'"],
}  # fmt: skip


@pytest.fixture
def own(spark):
    with isolated(spark) as session:
        yield session


def every_type(spark):
    """Values of each type, and each of them in arrays, maps (as key and value) and structs, beside nulls at every level."""
    longest = max(map(len, VALUES.values()))
    rows = [
        ", ".join(
            f"cast({values[number] if number < len(values) else 'null'} as {kind}) as `c.{place}`"
            for place, (kind, values) in enumerate(VALUES.items())
        )
        for number in range(longest + 1)
    ]
    flat = spark.sql(" union all ".join(f"select {row}" for row in rows))
    names = flat.columns
    return flat.selectExpr(
        "*",
        "struct(*) as `a struct`",
        "array(struct(*), null) as structs",
        "case when `c.0` then struct(`c.1`, struct(`c.2` as `x.y`) as inner) end as optional",
        *[f"array(`{name}`, null, `{name}`) as `array {name}`" for name in names],
        *[f"map('b', `{name}`, 'a', null) as `map {name}`" for name in names],
        *[f"case when `{name}` is not null then map(`{name}`, 1) end as `key {name}`" for name in names],
        "map_from_entries(array(struct(10, 'x'), struct(-3, 'y'), struct(256, 'z'))) as entries",
    )


def test_jvm_and_python_give_the_same_sum_for_every_type(own):
    frame = every_type(own)
    if summed(frame, KEY) != summed_in_python(frame, KEY):
        parts = {name: frame.select(column(name)) for name in frame.columns}
        differ = [name for name, part in parts.items() if summed(part, KEY) != summed_in_python(part, KEY)]
        raise AssertionError(differ)
    assert summed(frame.select(), KEY) == summed_in_python(frame.select(), KEY)


def test_what_is_written_is_what_is_read_back_for_every_type(own, tmp_path):
    """A seal that said otherwise would call an honest table changed."""
    frame, place = every_type(own), str(tmp_path / "t")
    mapped = {"delta.columnMapping.mode": "name", "delta.minReaderVersion": "3", "delta.minWriterVersion": "7"}
    with Observing() as observing:
        columns = [column(name) for name in frame.columns]
        observing.through(frame, columns, frame.schema, KEY).write.format("delta").options(**mapped).save(place)
        observed = sum_of(bytes(observing.result()))
    assert observed == summed(own.read.format("delta").load(place), KEY)


def test_the_order_of_rows_and_of_a_maps_entries_and_new_columns_of_nulls_change_no_sum(own):
    frame = own.sql("select id, map('a', id, 'b', 2L) as m from range(50)")
    turned = own.sql(
        "select id, map('b', 2L, 'a', id) as m, cast(null as string) as new from range(50) order by id desc"
    )
    assert summed(frame, KEY) == summed(turned, KEY)
    assert summed(frame, KEY) != summed(own.sql("select id, map('a', 2L, 'b', id) as m from range(50)"), KEY)


def test_sums_of_parts_add_up(own):
    frame = own.range(100)
    parts = summed(frame.where("id < 30"), KEY), summed(frame.where("id >= 30"), KEY)
    assert parts[0] + parts[1] == summed(frame, KEY)
    assert summed(frame, KEY) - parts[0] == parts[1]
    assert summed(frame.where("false"), KEY) == Sum()


def test_the_key_is_in_no_plan(own):
    frame = own.range(3)
    made = frame.agg(row_sums([column("id")], frame.schema, b"secret-canary-secret-canary-1234"))
    with Observing() as observing:
        written = observing.through(frame, [column("id")], frame.schema, b"secret-canary-secret-canary-1234")
    plans = [one._jdf.queryExecution() for one in (made, written)]
    told = "".join(one.toString() + one.logical().toJSON() for one in plans)
    assert "row_sums" in told
    assert "row_mac" in told
    assert "canary" not in told
    assert b"secret-canary-secret-canary-1234".hex() not in told


@pytest.mark.parametrize(("table", "frame", "told"), [
    ("id int, p string", "id int, p string", True),
    ("id int, p string, more int", "p string, ID int", True),  # what is missing becomes null
    ("id bigint, p string", "id int, p string", True),  # cast before it is written
    ("id int, p char(5)", "id int, p string", False),  # padded
    ("id int, p varchar(5)", "id int, p string", False),
    ("id int, p string, s struct<a: int, b: int>", "id int, p string, s struct<b: int, a: int>", False),
])  # fmt: skip
def test_rows_are_summed_in_the_write_only_where_the_table_leaves_them_as_they_are(own, tmp_path, table, frame, told):
    from dataward.contract import Target

    place = str(tmp_path / "t")
    own.sql(f"create table delta.`{place}` ({table}) using delta partitioned by (p)")
    target = Target(path=place, mode="append")
    schema = own.createDataFrame([], frame).schema
    rows = own.createDataFrame([tuple({"int": 1, "string": text}.get(one.dataType.simpleString(), (1, 2)) for one in schema)
                                for text in ("x", "", "y z")], schema)  # fmt: skip
    with Watch(own, KEY) as watch:
        manner = commits.Manner(watch=watch.through)
        commit = commits.commit_target(own, rows, target, commits.Transaction("r1", {}), manner)
        contract = SimpleNamespace(target=target)
        change = watch.change(Sealing(own, contract, None, "d", 1, commit.version), commit)
    assert (change.added is not None) == told
    if told:
        assert change.added == summed(own.read.format("delta").load(place), KEY)
        assert change.removed == Sum()


def test_partitions_without_an_exact_text_are_read_back(spark):
    given = spark.createDataFrame([], "id int, t timestamp, s string").schema
    assert read_back(given, None, None, ["s"]) == given
    assert read_back(given, None, None, ["t"]) is None


@pytest.fixture
def table(spark, tmp_path):
    schema = (
        "id int, `a.b` string, c0 int, nested struct<`x.y`: string, n: int>, list array<string>, pairs map<string, int>"
    )
    rows = [
        (n, "x" * n if n % 7 else "", n, ("é" * (n % 11), n) if n % 5 else None, ["l"] * (n % 4), {"k": n})
        for n in range(60)
    ]
    spark.createDataFrame(rows, schema).repartition(3).write.format("delta").save(str(tmp_path / "t"))
    return lambda: spark.read.format("delta").load(str(tmp_path / "t"))


def test_rows_left_for_smaller_batches_count_as_if_all_were_read_at_once(table, monkeypatch):
    whole = summed(table(), KEY)
    assert whole.rows == 60
    for sizes in (((20, 3), (60, 2), (2**62, 1)), ((-1, 1), (2**62, 7)), ((2**62, 20_000),)):
        monkeypatch.setattr(module, "SIZES", sizes)
        assert summed_in_python(table(), KEY) == whole


def test_the_size_of_a_row_counts_texts_wherever_they_are(spark):
    frame = spark.createDataFrame(
        [("abc", bytearray(b"12"), ("xy", 1), [1.5, 2.5], ["abcd"], 7), (None, None, None, None, None, 7)],
        "t string, b binary, s struct<`u.v`: string, n: int>, numbers array<double>, texts array<string>, n int",
    )
    sizes = [row[0] for row in frame.selectExpr(module.row_size(frame.schema)).collect()]
    assert sizes == [3 + 2 + 2 + 64 + len('["abcd"]'), 0]
    assert module.row_size(frame.select("n").schema) == "0L"


@pytest.mark.long
def test_no_batch_of_long_texts_grows_past_what_arrow_holds(spark, tmp_path):
    """80 KB a row, as of notes or documents: 20,000 of them are 1.6 GB."""
    place = str(tmp_path / "long")
    spark.range(20_000, numPartitions=1).selectExpr("id", "repeat('x', 80000) as note").write.format("delta").save(
        place
    )
    frame = spark.read.format("delta").load(place)
    assert summed_in_python(frame, KEY) == summed(frame, KEY)
