"""How a source's files are read, from the contract alone: RFC 4180 for CSV, and options that cannot mean anything."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from pyspark.sql.types import LongType, StringType, StructField, StructType

from dataward.contract import Source
from dataward.errors import SourceError, UsageError
from dataward.pipeline.plan import plan
from dataward.tables.reading import of_all_files
from dataward.tables.source import is_listed
from dataward.verbs.discover import source_of


def source(format_="csv", **options):
    return Source.model_validate({"path": "x", "format": format_, "options": options})


@pytest.mark.parametrize(("options", "expected"), [
    ({}, {"multiline": True, "quote": '"', "escape": '"', "unescapedquotehandling": "RAISE_ERROR"}),
    ({"QUOTE": "'"}, {"multiline": True, "quote": "'", "escape": "'", "unescapedquotehandling": "RAISE_ERROR"}),
    ({"quote": ""}, {"multiline": True, "quote": "", "unescapedquotehandling": "RAISE_ERROR"}),
    ({"multiLine": False, "escape": "\\", "unescapedQuoteHandling": "STOP_AT_DELIMITER", "sep": ";"},
     {"multiline": False, "quote": '"', "escape": "\\", "unescapedquotehandling": "STOP_AT_DELIMITER", "sep": ";"}),
])  # fmt: skip
def test_csv_is_rfc_4180_unless_the_contract_says_otherwise(options, expected):
    assert source(**options).reader_options == expected


def test_other_formats_are_read_as_spark_reads_them():
    assert source("json", multiLine=True).reader_options == {"multiline": True}
    assert source("json", encoding="ISO-8859-1").reader_options == {"encoding": "ISO-8859-1", "linesep": "\n"}
    assert source("json", encoding="UTF-16", multiLine=True).reader_options == {"encoding": "UTF-16", "multiline": True}
    assert source("parquet", mergeSchema=True).reader_options == {"mergeschema": True}


def test_the_encoding_is_known_by_either_name():
    assert (source().encoding, source(charset="utf-16le").encoding, source(Encoding="latin1").encoding) == (
        "UTF-8",
        "UTF-16LE",
        "LATIN1",
    )


@pytest.mark.parametrize(("format_", "options", "words"), [
    ("csv", {"encoding": "UTF-16", "multiLine": False}, "'multiLine: false' does not go with UTF-16"),
    ("csv", {"charset": "utf-32le", "multiLine": "false"}, "'multiLine: false' does not go with UTF-32LE"),
    ("json", {"encoding": "utf-16"}, "lines of JSON in UTF-16 cannot be split: write UTF-16LE"),
])  # fmt: skip
def test_options_that_lose_text_are_refused(format_, options, words):
    with pytest.raises(ValidationError, match=words):
        source(format_, **options)


@pytest.mark.parametrize(("format_", "name", "meant"), [
    ("csv", "headers", "header"), ("csv", "delimeter", "delimiter"), ("csv", "infer_schema", "inferSchema"),
    ("json", "multi_line", "multiLine"), ("json", "allowSingleQuote", "allowSingleQuotes"),
])  # fmt: skip
def test_an_option_that_is_nearly_one_of_sparks_is_refused(format_, name, meant):
    with pytest.raises(ValidationError, match=f"has no option '{name}': did you mean '{meant}'"):
        source(format_, **{name: True})


def test_an_option_that_spark_ignores_is_a_warning_with_its_line(tmp_path):
    lines = [
        "contract: t", "source: {path: a.csv, format: csv, options: {HEADER: true, has_a_head: true, cloudFiles.format: csv}}",
        "references:", "  r: {path: r.json, format: json, options: {", "    skip_errors: true}}",
        "target: {path: lake/t}", "keys: {path: k, domain: t}", "default: keep",
    ]  # fmt: skip
    (tmp_path / "c.yaml").write_text("\n".join(lines))
    first, second = plan(tmp_path / "c.yaml").warnings
    assert "c.yaml:2: source.options.has_a_head: Spark's csv reader has no option of this name" in first
    assert "c.yaml:5: references.r.options.skip_errors: Spark's json reader" in second
    assert plan_of("delta", tmp_path).warnings == ()


def plan_of(format_, folder):
    text = f"contract: t\nsource: {{path: a, format: {format_}, options: {{headers: 1}}}}\ntarget: {{path: b}}\n"
    (folder / "d.yaml").write_text(text + "keys: {path: k, domain: t}\ndefault: keep\n")
    return plan(folder / "d.yaml")


def test_an_option_on_the_command_line_that_does_not_fit_is_a_usage_error():
    with pytest.raises(UsageError, match="did you mean 'header'"):
        source_of(None, "a.csv", "csv", {"headers": "true"})
    with pytest.raises(UsageError, match="option 'mode' is set by Dataward"):
        source_of(None, "a.csv", "csv", {"mode": "FAILFAST"})


def test_a_view_has_a_name():
    with pytest.raises(ValidationError, match="format view needs 'table'"):
        Source(path="x", format="view")
    assert Source(table="lake.people", format="view").reader_options == {}


@pytest.mark.parametrize(("path", "listed", "itself"), [
    ("csv", "file:/work/csv/country=FR/x.csv", False), ("in/csv/", "file:/work/in/csv/country=FR/csv.csv", False),
    ("./x.csv", "file:/work/x.csv", True), ("/work/x.csv", "file:/work/x.csv", True), ("file:///work/x.csv", "file:/work/x.csv", True),
    ("s3://b/in/x.csv", "s3a://b/in/x.csv", True), ("s3a://b/csv", "s3a://b/csv/day=1/x.csv", False), ("dbfs:/x/y", "dbfs:/x/y", True),
])  # fmt: skip
def test_a_folder_whose_files_end_in_its_name_keeps_its_partitions(path, listed, itself):
    assert is_listed(path, [listed]) == itself


def test_columns_of_all_files_are_those_of_each_and_one_name_has_one_type():
    def of(**kinds):
        return StructType([StructField(name, kind) for name, kind in kinds.items()])

    whole = of(id=LongType(), p=StringType())  # with the column of the partitions
    given = {"d/p=a/1.avro": of(id=LongType()), "d/p=b/2.avro": of(ID=LongType(), more=StringType())}
    assert of_all_files(source("avro"), given, whole).names == ["id", "more", "p"]
    given["d/p=b/3.avro"] = of(more=of(x=LongType()))
    with pytest.raises(
        SourceError, match=r"'more' is string in one file and struct<x:bigint> in another \(3.avro\); .* avroSchema"
    ):
        of_all_files(source("avro"), given, whole)
