"""What is said of files that Spark cannot read: which column, which file, what to do, and nothing that a file holds."""

from __future__ import annotations

import pytest

from dataward.tables.reason import reason

HEADER = "CSV header does not conform to the schema.\n Header: id, 4929371288416675\n Schema: id, note\nExpected: note but found: 4929371288416675\nCSV file: file:///lake/in/b.csv"
LENGTH = "Number of column in CSV header is not equal to number of fields in the schema:\n Header length: 3, schema size: 2\nCSV file: file:///lake/in/b.csv"
PARQUET = "Parquet column cannot be converted in file file:///lake/in/p.snappy.parquet. Column: [id], Expected: bigint, Found: BINARY."

READING = "[FAILED_READ_FILE.NO_HINT] Encountered error while reading file file:///lake/in/b.csv"
PARQUET4 = (
    "[FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH] Encountered error while reading file file:///lake/in/p.snappy.parquet. "
    "Data type mismatches when reading Parquet column [id]. Expected Spark type bigint, actual Parquet type BINARY. SQLSTATE: KD001"
)


@pytest.mark.parametrize(("message", "words"), [
    (HEADER, "the CSV header does not match the schema: another name stands where 'note' should (b.csv)"),
    (LENGTH, "the CSV header does not match the schema: it has 3 names, not 2 (b.csv)"),
    (PARQUET, "column 'id' is bigint in one file and BINARY in another (p.snappy.parquet)"),
    (PARQUET4, "column 'id' is bigint in one file and BINARY in another (p.snappy.parquet)"),
    (f"{READING}. TextParsingException: x", "a record of the CSV cannot be parsed"),
    (f"{READING}. java.util.zip.ZipException: invalid", "a file cannot be read"),
    ("[COLUMN_ALREADY_EXISTS] The column `id` already exists. Consider to", "the name `id` occurs twice (Spark does not look at case): rename one"),
    ("java.io.FileNotFoundException: /lake/in/b.csv (Permission denied)", "access is denied"),
    ("java.io.FileNotFoundException: /lake/in/b.csv (No such file or directory)", "there is nothing at this path"),
    ("[CANNOT_MERGE_SCHEMAS] Failed merging schemas", "a column has different types in different files"),
    ("Relative path in absolute URI: .a:b.csv.crc", "a file's name holds a colon, which Hadoop does not read: rename the file"),
])  # fmt: skip
def test_what_went_wrong_is_said_with_names_and_without_values(message, words):
    assert reason(RuntimeError(message)) == words


def test_a_quote_that_is_not_doubled_is_said_with_the_option():
    said = reason(
        RuntimeError("TextParsingException: Unescaped quote character '\"' inside quoted value of CSV field: secret")
    )
    assert "holds a quote that is not doubled" in said
    assert "escape: '\\'" in said
    assert "secret" not in said
