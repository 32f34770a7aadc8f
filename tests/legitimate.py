"""What owners of a table and Delta itself rightly do to it; none of it is tampering, and most of it is named as a note."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.deltamade import Table, rows, unquoted


@dataclass(frozen=True)
class Operation:
    name: str
    note: str | None
    run: Callable[[Table], Any]


OPERATIONS: list[Operation] = []


def operation(note: str | None):
    def listed(function):
        OPERATIONS.append(Operation(function.__name__, note, function))
        return function

    return listed


def metadata(table: Table, name: str, **change: Any) -> None:
    table.commit(name, None, {"metaData": {**table.metadata, **change}})


@operation("commit-neutral")
def optimize(table):
    if table.partitioned:
        return False
    table.optimize()
    return True


@operation("commit-neutral")
def optimize_by_a_delta_that_writes_partition_columns_into_files(table):
    if not table.partitioned:
        return False
    old = next(iter(table.adds.values()))
    found = pq.ParquetFile(table.root / unquoted(old["path"])).read()
    values = pa.array([old["partitionValues"]["mail"]] * len(found))
    new = table.file([(number, values[0].as_py()) for number in found["id"].to_pylist()])
    file = table.root / unquoted(new["add"]["path"])
    pq.write_table(found.append_column("mail", values), file)
    new["add"] |= {"dataChange": False, "size": file.stat().st_size}
    table.commit("OPTIMIZE", None, table.remove(old, False), new)
    return True


@operation("commit-neutral")
def optimize_twice(table):
    if table.partitioned:
        return False
    table.optimize()
    table.optimize()
    return True


@operation("commit-unproven")
def optimize_and_vacuum_of_what_it_replaced(table):
    if table.partitioned or any("deletionVector" in add for add in table.adds.values()):
        return False
    before = [table.root / unquoted(add["path"]) for add in table.adds.values()]
    table.optimize()
    table.commit("VACUUM START", None)
    for file in before:
        file.unlink()
    table.commit("VACUUM END", None)
    return True


@operation("commit-neutral")
def purge_of_deletion_vectors(table):
    if not any("deletionVector" in add for add in table.adds.values()):
        return False
    table.purge()
    return True


@operation("commit-neutral")
def vacuum(table):
    live = {unquoted(add["path"]) for add in table.adds.values()}
    table.commit("VACUUM START", None)
    for file in table.root.rglob("part-*"):
        if str(file.relative_to(table.root)) not in live:
            file.unlink()
    table.commit("VACUUM END", None)


@operation(None)
def checkpoint(table):
    table.checkpoint()


@operation("log-cleaned")
def log_cleanup(table):
    for version in range(20):
        table.path(version).unlink()
        (table.log / f"{version:020d}.crc").unlink()
    for file in table.log.glob("*0010.checkpoint*"):
        file.unlink()


@operation("log-cleaned")
def log_cleanup_past_the_seal(table):
    metadata(table, "SET TBLPROPERTIES", configuration={**table.metadata["configuration"], "owner": "me"})
    table.checkpoint()
    for version in range(30):
        table.path(version).unlink()


@operation(None)
def a_moved_folder(table):
    new = table.root.with_name("moved")
    shutil.rmtree(new, ignore_errors=True)
    table.root.rename(new)
    table.root = new


@operation(None)
def a_copy_with_other_times(table):
    for file in table.root.rglob("*"):
        os.utime(file, (1, 1))


@operation("commit-neutral")
def add_column(table):
    schema = json.loads(table.metadata["schemaString"])
    schema["fields"].append({"name": "more", "type": "string", "nullable": True, "metadata": {}})
    metadata(table, "ADD COLUMNS", schemaString=json.dumps(schema))


@operation("commit-neutral")
def rename_column(table):
    schema = json.loads(table.metadata["schemaString"])
    for number, one in enumerate(schema["fields"]):
        one["metadata"] = {"delta.columnMapping.id": number + 1, "delta.columnMapping.physicalName": one["name"]}
    mapped = {**table.metadata["configuration"], "delta.columnMapping.mode": "name"}
    protocol = {**table.protocol, "minReaderVersion": max(2, table.protocol["minReaderVersion"]), "minWriterVersion": 7}
    table.commit("SET TBLPROPERTIES", None, {"protocol": protocol},
                 {"metaData": {**table.metadata, "schemaString": json.dumps(schema), "configuration": mapped}})  # fmt: skip
    schema["fields"][0]["name"] = "number"
    metadata(table, "RENAME COLUMN", schemaString=json.dumps(schema))


@operation("commit-neutral")
def change_column_comment(table):
    schema = json.loads(table.metadata["schemaString"])
    schema["fields"][0]["metadata"] = {"comment": "what it is"}
    metadata(table, "CHANGE COLUMN", schemaString=json.dumps(schema))


@operation("commit-neutral")
def add_constraint(table):
    metadata(
        table, "ADD CONSTRAINT", configuration={**table.metadata["configuration"], "delta.constraints.c": "id >= 0"}
    )


@operation("commit-neutral")
def set_properties(table):
    metadata(table, "SET TBLPROPERTIES", configuration={**table.metadata["configuration"], "owner": "me"})


@operation("commit-neutral")
def upgrade_protocol(table):
    table.commit(
        "UPGRADE PROTOCOL",
        None,
        {"protocol": {**table.protocol, "minWriterVersion": 7, "writerFeatures": ["appendOnly"]}},
    )


@operation("commit-neutral")
def restore_to_a_sealed_version(table):
    """Back to what the version before the newest held."""
    lines = [json.loads(line) for line in table.path(29).read_text().splitlines()]
    back = [table.remove(line["add"]) for line in lines if "add" in line]
    gone = [line["remove"] for line in lines if "remove" in line]
    earlier = [json.loads(line) for version in range(29) for line in table.path(version).read_text().splitlines()]
    key = lambda body: (body["path"], json.dumps(body.get("deletionVector")))  # noqa: E731
    again = [{"add": line["add"]} for one in gone for line in earlier if "add" in line and key(line["add"]) == key(one)]
    table.commit("RESTORE", None, *back, *again, parameters={"version": "28"})


@operation(None)
def a_compacted_commit(table):
    adds = {}
    removes = {}
    for version in range(21, 30):
        for line in table.path(version).read_text().splitlines():
            action = json.loads(line)
            for kind, body in action.items():
                key = (body.get("path"), json.dumps(body.get("deletionVector")))
                if kind == "add":
                    adds[key] = action
                elif kind == "remove":
                    adds.pop(key, None)
                    removes[key] = action
    lines = [*removes.values(), *adds.values()]
    (table.log / f"{21:020d}.{29:020d}.compacted.json").write_text("\n".join(map(json.dumps, lines)))


@operation(None)
def no_last_checkpoint(table):
    (table.log / "_last_checkpoint").unlink(missing_ok=True)


@operation(None)
def a_last_checkpoint_that_lags_behind(table):
    path = table.log / "_last_checkpoint"
    if not path.exists():
        return False
    before = path.read_text()
    table.checkpoint()
    path.write_text(before)
    return True


@operation(None)
def no_version_checksums(table):
    for file in table.log.glob("*.crc"):
        file.unlink()


@operation(None)
def a_checkpoint_without_statistics(table):
    adds = [{**add, "dataChange": False, "stats": None} for add in table.adds.values()]
    whole = [("protocol", table.protocol), ("metaData", table.metadata), *(("add", add) for add in adds)]
    rows(table.log / f"{table.version:020d}.checkpoint.parquet", whole)


@operation(None)
def files_that_no_commit_names(table):
    (table.root / f"part-00000-{uuid.uuid4()}.parquet").write_bytes(b"of a killed writer")
    (table.log / f".{table.version + 1:020d}.json.{uuid.uuid4()}.tmp").write_bytes(b"{}")
    (table.log / ".00000000000000000001.json.crc").write_bytes(b"crc\0")
    (table.root / "_change_data").mkdir()
