"""Rows of a sealed version without Spark: those of its sealed files, from the very bytes whose hash is sealed."""

import hashlib
import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataward.errors import ProofError
from dataward.integrity.manifest import Attested, ManifestFile
from dataward.integrity.proof import rows
from dataward.tables.deltalog.folder import folder
from tests.sealedmade import made


def at(sealed, **request):
    return sealed.prove(**request).state


def plain(table):
    return sorted(tuple(row.values()) for row in table.to_pylist())


def test_the_newest_and_an_older_version_have_the_rows_of_their_files(tmp_path):
    sealed = made(tmp_path)
    state = at(sealed)
    assert rows.names_of(state) == ["id", "mail"]
    files = [pq.read_table(sealed.table.root / one["path"]) for one in sealed.table.adds.values()]
    assert plain(rows.read(folder(str(sealed.table.root)), state, ["id", "mail"])) == plain(pa.concat_tables(files))
    older = at(sealed, version=12)
    assert older.version == 12
    there = rows.read(folder(str(sealed.table.root)), older, ["mail"])
    assert there.column_names == ["mail"]
    assert 0 < len(there) < len(pa.concat_tables(files))


def test_a_file_that_was_changed_after_the_proof_is_refused(tmp_path):
    sealed = made(tmp_path)
    state = at(sealed)
    paths = sorted(path for path, _ in state.files)
    whole = (sealed.table.root / paths[0]).read_bytes()
    (sealed.table.root / paths[0]).write_bytes((sealed.table.root / paths[1]).read_bytes())
    with pytest.raises(ProofError, match="is not the sealed file: it was changed"):
        rows.read(folder(str(sealed.table.root)), state, ["id"])
    (sealed.table.root / paths[0]).unlink()
    with pytest.raises(ProofError, match="is missing, and the seal names it"):
        rows.read(folder(str(sealed.table.root)), state, ["id"])
    (sealed.table.root / paths[0]).write_bytes(whole)
    assert len(rows.read(folder(str(sealed.table.root)), state, ["id"]))


def state_of(root, fields, tables, partition=(), configuration=None, features=()):
    """An attested state over Parquet files that are written here."""
    files = {}
    for number, table in enumerate(tables):
        pq.write_table(table, root / f"{number}.parquet")
        digest = hashlib.sha256((root / f"{number}.parquet").read_bytes()).hexdigest()
        one = ManifestFile(path=f"{number}.parquet", size=1, sha256=digest, partition="", statistics="")
        files[one.key] = one
    schema = {
        "type": "struct",
        "fields": [{"name": name, "type": kind, "metadata": {}} for name, kind in fields.items()],
    }
    metadata = {
        "schema": json.loads(json.dumps(schema)),
        "partition_columns": list(partition),
        "configuration": configuration or {},
    }
    return Attested(0, files, metadata, {"reader_features": list(features)})


def test_every_type_is_the_tables_an_older_file_has_nulls_and_nan_is_null(tmp_path):
    from datetime import date
    from decimal import Decimal

    fields = {
        "b": "byte", "s": "short", "i": "integer", "l": "long", "f": "float", "d": "double", "t": "boolean", "x": "string", "n": "date",
        "m": "decimal(9,2)", "late": "integer",
    }  # fmt: skip
    old = pa.table({
        "b": pa.array([1], pa.int8()), "s": pa.array([2], pa.int16()), "i": pa.array([3], pa.int32()), "l": pa.array([4]),
        "f": pa.array([0.5], pa.float32()), "d": pa.array([float("nan")]), "t": pa.array([True]), "x": pa.array(["é"]),
        "n": pa.array([date(2026, 1, 2)]), "m": pa.array([Decimal("1.20")], pa.decimal128(9, 2)),
    })  # fmt: skip
    new = old.append_column("late", pa.array([9], pa.int32()))
    found = rows.read(folder(str(tmp_path)), state_of(tmp_path, fields, [old, new]), list(fields))
    values = (1, 2, 3, 4, 0.5, None, True, "é", date(2026, 1, 2), Decimal("1.20"))
    assert [tuple(row.values()) for row in found.to_pylist()] == [(*values, None), (*values, 9)]
    assert found.schema.field("m").type == pa.decimal128(9, 2)
    assert rows.read(folder(str(tmp_path)), state_of(tmp_path, fields, []), ["x"]).schema.field("x").type == pa.string()


@pytest.mark.parametrize(("changes", "match"), [
    ({"partition": ["x"]}, "it is partitioned by x"),
    ({"configuration": {"delta.columnMapping.mode": "name"}}, "mapped to other names"),
    ({"features": ["typeWidening"]}, "reader features typeWidening"),
    ({"fields": {"x": {"type": "struct", "fields": []}}}, "column 'x' is struct"),
    ({"fields": {"x": "timestamp"}}, "column 'x' is timestamp"),
])  # fmt: skip
def test_what_only_spark_reads_is_said(tmp_path, changes, match):
    state = state_of(tmp_path, changes.pop("fields", {"x": "string"}), [], **changes)
    with pytest.raises(rows.NeedsSpark, match=match):
        rows.read(folder(str(tmp_path)), state, ["x"])


def test_rows_under_a_deletion_vector_are_left_to_spark(tmp_path):
    sealed = made(tmp_path, "vectors")
    state = at(sealed)
    assert any(one.vector for one in state.files.values())
    with pytest.raises(rows.NeedsSpark, match="deletion vectors"):
        rows.read(folder(str(sealed.table.root)), state, ["id"])
    without = replace(state, files={key: one for key, one in state.files.items() if not one.vector})
    assert rows.read(folder(str(sealed.table.root)), without, ["id"]).column_names == ["id"]
