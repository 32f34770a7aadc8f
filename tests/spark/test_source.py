"""What a reader may not cut, shift or replace: CSV as RFC 4180 has it, encodings, names that clash, and what is not what it is said to be.

A source is pinned by the reader that publish, references, discover, profile and suggest share; few of these tests publish.
"""

from __future__ import annotations

import csv
import gzip
import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py4j.protocol import Py4JJavaError

from dataward.contract import Source
from dataward.errors import ContractError, SourceError
from dataward.spark.session import isolated
from dataward.tables.reading import UNDECODABLE
from dataward.tables.reason import reason
from dataward.tables.source import MALFORMED, pin

HEADER = {"header": True}


@pytest.fixture(scope="module")
def own(spark):
    with isolated(spark) as session:
        yield session


@pytest.fixture
def put(tmp_path):
    """Writes a file, and gives it as a source."""

    def written(content, name="x.csv", schema=None, **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        format_ = "json" if "json" in name else "csv"
        given = {**(HEADER if format_ == "csv" else {}), **options}
        return Source.model_validate({"path": str(path), "format": format_, "options": given, "schema": schema})

    return written


def rows(own, source):
    """(values, malformed record) of each row."""
    frame = pin(own, source).frame
    names = [name for name in frame.columns if name != MALFORMED]
    return [(tuple(row[name] for name in names), row[MALFORMED]) for row in frame.collect()]


def values(own, source):
    read = rows(own, source)
    assert [malformed for _, malformed in read if malformed] == []
    return [row for row, _ in read]


def refused(own, source):
    with pytest.raises(SourceError) as caught:
        pin(own, source).frame.collect()
    return str(caught.value)


@pytest.mark.parametrize(("text", "expected"), [
    ('id,note,z\n1,"call back\nMr 4111",x\n', [("1", "call back\nMr 4111", "x")]),
    ('note,id\n"a\n\nb",1\n', [("a\n\nb", "1")]),
    ('id,note\n1,"a\nb"\n2,"c\n"\n', [("1", "a\nb"), ("2", "c\n")]),
    ('id,note\r\n1,"a\r\nb"\r\n2,"c\nd"\r\n3,"e\r"\r\n', [("1", "a\r\nb"), ("2", "c\nd"), ("3", "e\r")]),
    ('id,note\n1,"a\r\nb"\n2,"\r\n"\n', [("1", "a\r\nb"), ("2", "\r\n")]),
    ('id,note\n1,"say ""hi"""\n2,""""\n', [("1", 'say "hi"'), ("2", '"')]),
    ('id,note\n1,"C:\\"\n2,"a\\b"\n', [("1", "C:\\"), ("2", "a\\b")]),
    ('id,note\n1,5" pipe\n2,"ok"\n', [("1", '5" pipe'), ("2", "ok")]),
    ("id,note\r1,a\r2,b\r", [("1", "a"), ("2", "b")]),
    ('\ufeff"id",note\n1,"a\nb"\n', [("1", "a\nb")]),
    ("id,note\n1,\ufffd\n", [("1", "\ufffd")]),  # a character like others
])  # fmt: skip
def test_csv_is_read_as_rfc_4180_has_it(own, put, text, expected):
    assert values(own, put(text)) == expected


def test_a_compressed_file_and_files_of_several_line_ends_in_one_folder(own, put, tmp_path):
    put(gzip.compress(b'id,note\n1,"a\r\nb"\n'), "a.csv.gz")
    put('id,note\r\n2,"a\r\nb"\r\n', "b.csv")
    source = Source.model_validate({"path": str(tmp_path), "format": "csv", "options": HEADER})
    assert sorted(values(own, source)) == [("1", "a\r\nb"), ("2", "a\r\nb")]


def test_columns_that_folders_spell_are_kept(own, put, tmp_path):
    (tmp_path / "m=1").mkdir()
    put('id,note\n1,"a\nb"\n', "m=1/a.csv")
    source = Source.model_validate({"path": str(tmp_path), "format": "csv", "options": HEADER})
    assert pin(own, source).frame.select("id", "note", "m").collect() == [("1", "a\nb", 1)]


@pytest.mark.parametrize(("text", "options", "words"), [
    ('id,note\n1,"open\n2,x\n3,y\n', {}, "a quoted field is left open to the end of x.csv"),
    ('id,note\n1,5" pipe\n2,"open\n', {}, "a quoted field is left open to the end of x.csv"),
    ('id,note\n1,"open', {}, "a quoted field is left open"),
    ('id,note\n1,"a\nb"\n', {"multiLine": False}, "left open at the end of a line of x.csv; leave out the option 'multiLine: false'"),
    ('id,note\n1,"say \\"hi\\""\n', {}, "give the option escape: '\\'"),
    ('id,note\n1,"abc"def\n', {}, "a quote that is not doubled"),
    ("id,name,\n1,2,3\n", {}, "column 3 of the 3 columns of the header has no name"),
    ("id,Id,ID\n1,2,3\n", {}, "the header has 'id', 'Id', 'ID', which Spark does not tell apart"),
    ("id,name,name\n1,2,3\n", {}, "the header has 'name' twice"),
    ("id,Stra\xdfe\n1,x\n".encode("latin-1"), {}, "the header holds bytes that are no text (x.csv); name the file's encoding"),
    ("id,note\n1,x\n".encode("utf-16"), {}, "name the file's encoding"),
    ("1,Ann,ann@x.org\n2,Ben,b@x.org\n", {}, "its first record holds values where column names should be"),
    ("id\n1\n", {"encoding": "UTF-77"}, "there is no encoding of this name"),
    ("", {}, "the file is empty (0 bytes)"),
])  # fmt: skip
def test_what_would_be_read_wrongly_is_refused_with_the_remedy(own, put, text, options, words):
    said = refused(own, put(text, **options))
    assert words in said
    assert "ann@x.org" not in said


def test_a_header_is_held_against_the_names_of_every_file_and_none_of_its_own_is_shown(own, put, tmp_path):
    put("id,note\n1,a\n", "a.csv")
    put("id,secret\n1,a\n", "b.csv")
    source = Source.model_validate({"path": str(tmp_path), "format": "csv", "options": HEADER})
    said = refused_later(own, source)
    assert "another name stands where 'note' should (b.csv)" in said
    assert "secret" not in said


def refused_later(own, source):
    with pytest.raises(Py4JJavaError) as caught:
        pin(own, source).frame.collect()
    return reason(caught.value)


def test_lines_are_records_where_that_is_asked_for(own, put):
    assert values(own, put('id,note\n1,"a, b"\n2,5" x\n', multiLine=False)) == [("1", "a, b"), ("2", '5" x')]


def test_quotes_may_be_text_and_backslashes_may_escape(own, put):
    assert values(own, put('id,note\n1,"a\n2,b"\n', quote="")) == [("1", '"a'), ("2", 'b"')]
    assert values(own, put('id,note\n1,"say \\"hi\\""\n', escape="\\")) == [("1", 'say "hi"')]
    assert values(own, put("id;note\n1;'a;''b''\n'\n", sep=";", quote="'")) == [("1", "a;'b'\n")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1", "utf-8"])
def test_text_is_right_under_the_encoding_that_is_named(own, put, encoding):
    text = 'id,note\n1,"Mü\nller"\n'.encode(encoding)
    named = {"latin-1": "ISO-8859-1"}.get(encoding, encoding.upper().replace("-LE", "LE").replace("-BE", "BE"))
    assert values(own, put(text, encoding=named)) == [("1", "Mü\nller")]


def test_bytes_that_are_no_utf_8_make_a_record_malformed_and_a_true_replacement_character_elsewhere_does_not(
    own, put, tmp_path
):
    put("id,note\n1,Müller\n2,ok\n".encode("latin-1"), "a.csv")
    put("id,note\n3,\ufffd\n", "b.csv")
    source = Source.model_validate({"path": str(tmp_path), "format": "csv", "options": HEADER})
    assert sorted((row[0], malformed) for row, malformed in rows(own, source)) == [
        ("1", UNDECODABLE),
        ("2", None),
        ("3", None),
    ]


@pytest.mark.parametrize(
    "name", ["part[1] {x}.csv", "x y.csv", "p%20q.csv", "é.csv", "s*r.csv", "q?.csv", "a+b.csv", "$&#=;.csv"]
)
def test_file_names_are_taken_as_they_are(own, put, name):
    source = put('id,note\n1,"a\r\nb"\n2,M\xfcller\n'.encode("latin-1"), name)
    assert rows(own, source) == [(("1", "a\r\nb"), None), (("2", "M\ufffdller"), UNDECODABLE)]


def test_file_names_that_spark_skips_or_cannot_read_are_named(own, put, tmp_path):
    assert "begin with _ or ." in refused(own, put("id\n1\n", "_x.csv"))
    put("id\n1\n", ".y.csv")
    folder = Source.model_validate({"path": str(tmp_path), "format": "csv", "options": HEADER})
    assert "Spark skips files whose names begin with _ or .: .y.csv, _x.csv. Rename them" in refused(own, folder)
    put("id\n1\n", "a.csv")
    assert pin(own, folder).described.endswith("not read, as Spark skips names that begin with _ or .: .y.csv, _x.csv)")
    assert "holds a colon" in refused(own, put("id\n1\n", "a:b.csv"))


def test_a_pattern_stands_for_files(own, put, tmp_path):
    put("id\n1\n", "a1.csv")
    put("id\n2\n", "a2.csv")
    put("id\n3\n", "b.csv")
    source = Source.model_validate({"path": f"{tmp_path}/a*.csv", "format": "csv", "options": HEADER})
    assert sorted(values(own, source)) == [("1",), ("2",)]


@pytest.mark.parametrize(("text", "schema", "options", "expected"), [
    ('\ufeff{"id":1}\n{"id":2}\n', None, {}, [((1,), None), ((2,), None)]),
    ('{"id":1,"n":"M\xfcller"}\n{"id":2}\n'.encode("latin-1"), None, {}, [((None,), UNDECODABLE), ((2,), None)]),
    ('{"id":1,"n":"Mü"}\r\n'.encode("latin-1"), None, {"encoding": "ISO-8859-1"}, [((1, "Mü"), None)]),
    ('{"id":1,"n":"Mü"}\n'.encode("utf-16-le"), None, {"encoding": "UTF-16LE"}, [((1, "Mü"), None)]),
    ('[{"id":1},\n{"id":2}]', None, {"multiLine": True}, [((1,), None), ((2,), None)]),
    ('{"id":"\ufffd"}\n', "id string", {}, [(("\ufffd",), None)]),
])  # fmt: skip
def test_json_in_its_encodings(own, put, text, schema, options, expected):
    assert rows(own, put(text, "x.json", schema, **options)) == expected


@pytest.mark.parametrize(("text", "schema", "words"), [
    ('{"id":1,"Id":2}\n', None, "its JSON has the keys 'Id' and 'id', which Spark does not tell apart"),
    ('{"id":1}\n{"Id":2}\n', None, "its JSON has the keys 'Id' and 'id'"),
    ('{"a":{"b":1}}\n{"a":{"B":2}}\n', None, "its JSON has the keys 'B' and 'b'"),
    ('{"id":1,"id":2}\n', None, "the name `id` occurs twice"),
    ('{"id":1}\n{"Id":2}\n', "id int", "its JSON has the keys 'Id' and 'id'"),
    ('{"Id":1}\n', "id int", "its JSON has the key 'Id' and source.schema 'id'"),
    ('{"a":[{"ID":1}]}\n', "a array<struct<id:int>>", "its JSON has the key 'ID' and source.schema 'id'"),
    ("hello\n", None, "no record of it is JSON"),
])  # fmt: skip
def test_json_whose_keys_clash_is_refused(own, put, text, schema, words):
    assert words in refused(own, put(text, "x.json", schema))


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text("\",\r\n \\\t'\ufeffaü", max_size=8)


@st.composite
def deliveries(draw):
    """Files of one header, each written in its own way by Python's csv module; and the rows in them."""
    width = draw(st.integers(1, 4))
    made, all_rows = [], []
    for _ in range(draw(st.integers(1, 6))):
        rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width), max_size=6))
        text = io.StringIO()
        ends, quoting = draw(st.sampled_from(["\n", "\r\n"])), draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        writer = csv.writer(text, lineterminator=ends, quoting=quoting)
        writer.writerows([[f"column {'abcd'[n]}" for n in range(width)], *rows])
        made.append(text.getvalue().encode())
        all_rows += rows
    return made, all_rows


@settings(
    max_examples=max(6, settings().max_examples // 5),
)
@given(deliveries())
def test_every_cell_that_python_wrote_is_read_in_its_column(own, tmp_path_factory, delivery):
    made, written = delivery
    folder = tmp_path_factory.mktemp("csv")
    for number, content in enumerate(made):
        (folder / f"{number}.csv").write_bytes(content)
    read = rows(own, Source.model_validate({"path": str(folder), "format": "csv", "options": HEADER}))
    assert sorted([cell or "" for cell in row] for row, _ in read) == sorted(
        written
    )  # Spark reads an empty text as null


def test_a_view_is_read_as_spark_reads_it_and_pinned_by_its_files_and_versions(own, tmp_path):
    own.sql("create database if not exists looks")
    try:
        own.sql("create table looks.plain using parquet as select id, id * 2 as hidden from range(5)")
        own.sql("create table looks.parts using parquet partitioned by (p) as select id, '01' as p from range(5)")
        own.sql("create view looks.some as select id from looks.plain where id > 2")
        own.sql("create table looks.log using delta as select id from range(5)")
        own.sql("create view looks.of_log as select id from looks.log")
        own.sql("create view looks.nested as select id from looks.plain where id > (select min(id) from looks.log)")
        seen = pin(own, Source(table="looks.some", format="view"))
        assert sorted(tuple(row) for row in seen.frame.collect()) == [(3,), (4,)]
        assert seen.described.startswith("looks.some (a view, ")
        assert "not pinned" not in seen.described
        assert not seen.changed(own)
        own.sql("insert into looks.plain values (7, 7)")
        assert seen.changed(own)
        of_log = pin(own, Source(table="looks.of_log", format="view"))
        assert re.search(r"looks.of_log \(a view, \S+/log @ version 0\)", of_log.described), of_log.described
        assert not of_log.changed(own)
        own.sql("insert into looks.log values (7)")
        assert of_log.changed(own)
        assert "not pinned" in pin(own, Source(table="looks.nested", format="view")).described
        parts = pin(own, Source(table="looks.parts", format="parquet")).frame
        assert parts.dtypes == [("id", "bigint"), ("p", "string")]
        for table, format_, words in (
            ("some", "parquet", "it is a view, not parquet; write 'format: view'"),
            ("some", "delta", "it is a view, no Delta table. Write 'format: view'"),
            ("plain", "delta", "it is a table stored as parquet, no Delta table. Write 'format: parquet'"),
            ("plain", "csv", "it is a table stored as parquet, not csv"),
            ("log", "parquet", "it is a table stored as delta, not parquet; leave out 'source.format'"),
            ("nowhere", "parquet", "there is no such table"),
        ):
            assert words in refused(own, Source(table=f"looks.{table}", format=format_))
    finally:
        own.sql("drop database looks cascade")


def test_a_delta_folder_is_not_read_as_parquet(own, tmp_path):
    own.range(3).selectExpr("id", "id as p").write.format("delta").partitionBy("p").save(f"{tmp_path}/t")
    own.sql(f"delete from delta.`{tmp_path}/t` where id = 1")
    for path in (f"{tmp_path}/t", f"{tmp_path}/t/p=0"):
        assert "is a Delta table, and its files hold rows that were deleted" in refused(
            own, Source(path=path, format="parquet")
        )


def test_parquet_files_of_different_types_are_told_by_column(own, tmp_path):
    own.range(2).coalesce(1).write.parquet(f"{tmp_path}/a")
    own.range(2).selectExpr("cast(id as string) as id").coalesce(1).write.parquet(f"{tmp_path}/b")
    source = Source(path=f"{tmp_path}/*", format="parquet")
    assert "column 'id' is bigint in one file and string in another (part-" in refused(own, source)
    one = source.model_copy(update={"options": {"mergeSchema": False}})  # Spark takes the columns of one file
    assert "column 'id' is bigint in one file and" in refused_later(own, one)


@pytest.mark.parametrize("format_", ["parquet", "orc"])
def test_columns_that_only_some_files_have_are_read(own, tmp_path, format_):
    place = f"{tmp_path}/source"
    own.range(2).selectExpr("id", "'x' as a", "'p' as part").write.format(format_).partitionBy("part").save(place)
    more = own.range(2, 3).selectExpr("id", "named_struct('n', 1) as b", "'q' as part")
    more.write.format(format_).mode("append").partitionBy("part").save(place)
    frame = pin(own, Source(path=place, format=format_)).frame
    assert sorted(frame.select("id", "a", "b.n", "part").collect()) == [
        (0, "x", None, "p"),
        (1, "x", None, "p"),
        (2, None, 1, "q"),
    ]


def test_what_is_no_delta_table_is_refused_as_target(lake, spark):
    lake.source([(1,)], "id int")
    spark.range(2).write.parquet(str(lake.root / "target"))
    with pytest.raises(ContractError, match="there are files of parquet at .*target, no Delta table"):
        lake.publish()
    assert not (lake.root / "target" / "_delta_log").exists()
    spark.range(2).write.mode("overwrite").format("parquet").saveAsTable("no_delta")
    spark.sql("create or replace view a_view as select * from no_delta")
    text = (lake.root / "contract.yaml").read_text()
    for name, words in (("no_delta", "a table stored as parquet"), ("a_view", "a view")):
        (lake.root / "contract.yaml").write_text(
            text.replace(f"target: {{path: {lake.root}/target", f"target: {{table: {name}")
        )
        with pytest.raises(ContractError, match=f"there is {words} at {name}, no Delta table"):
            lake.publish()
    spark.sql("drop view a_view")
    spark.sql("drop table no_delta")


def test_records_that_do_not_fit_the_encoding_are_quarantined_and_the_reason_names_it(lake):
    text = "id,name\n1,Müller\n2,Møller\n3,Mäller\n4,Ann\n"
    (lake.root / "in.csv").write_bytes(text.encode("latin-1"))
    source = f"format: csv, path: {lake.root}/in.csv"
    result = lake.publish(source=f"{{{source}, options: {{header: true}}}}", columns="{name: {protect: token}}")
    assert result.rows == {"in": 4, "published": 1, "quarantined": 3, "dropped": 0}
    (why,) = {tuple(row.failed_rules) for row in lake.read("quarantine").collect()}
    assert why[-1] == "record is UTF-8 (else name its encoding in source.options: encoding)"
    named = lake.publish(
        source=f"{{{source}, options: {{header: true, encoding: ISO-8859-1}}}}", columns="{name: {protect: token}}"
    )
    assert named.rows["published"] == 4
    assert len({row.name for row in lake.read().collect()}) == 4
    assert lake.verify().holds
