"""Attacks on what readers take instead of commits: checkpoints, checksums, compacted commits."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dataward.tables.deltalog.log import PART
from tests.attacks.made import TXN, attack, edit_checkpoint, hiding, parts_of, plain
from tests.deltamade import ADD, META, PROTOCOL, Table


@attack("checkpoint-edited")
def a_file_is_renamed_in_a_checkpoint(table):
    return edit_checkpoint(table, "add", lambda add: add.update(path="part-00666-x.parquet"))


@attack("statistics-edited")
def statistics_are_edited_in_a_checkpoint(table):
    return edit_checkpoint(table, "add", lambda add: add.update(hiding(add)))


@attack("partition-value-edited")
def a_partition_value_is_edited_in_a_checkpoint(table):
    return table.partitioned and edit_checkpoint(
        table, "add", lambda add: add.update(partitionValues={"mail": "other"})
    )


@attack("file-entry-edited")
def the_size_of_a_file_is_edited_in_a_checkpoint(table):
    return edit_checkpoint(table, "add", lambda add: add.update(size=add["size"] + 1))


@attack("property-edited")
def a_property_is_edited_in_a_checkpoint(table):
    return edit_checkpoint(table, "metaData", lambda body: body["configuration"].update({"delta.appendOnly": "false"}))


@attack("schema-edited")
def the_schema_is_edited_in_a_checkpoint(table):
    return edit_checkpoint(
        table, "metaData", lambda body: body.update(schemaString=body["schemaString"].replace("mail", "name"))
    )


@attack("protocol-edited")
def the_protocol_is_edited_in_a_checkpoint(table):
    return edit_checkpoint(table, "protocol", lambda body: body.update(minWriterVersion=9))


@attack("checkpoint-edited")
def a_batch_that_never_was_is_put_into_a_checkpoint(table):
    files = sorted(table.log.glob("[0-9]*.checkpoint.parquet"))
    if not files:
        return False
    found = pq.read_table(files[-1])
    if "txn" not in found.column_names:
        found = found.append_column("txn", pa.nulls(len(found), TXN))
    batch = [{"appId": "stream", "version": 99}]
    more = {one.name: pa.array(batch if one.name == "txn" else [None], one.type) for one in found.schema}
    pq.write_table(pa.concat_tables([found, pa.table(more, found.schema)]), files[-1])
    return True


@attack("checksum-edited")
def a_batch_that_never_was_is_put_into_a_version_checksum(table):
    path = parts_of(table, ".crc")
    told = [{"appId": "stream", "version": 99, "lastUpdated": 1}]
    path.write_text(json.dumps({**json.loads(path.read_text()), "setTransactions": told}))


@attack("checksum-edited")
def the_metadata_of_a_domain_is_put_into_a_version_checksum(table):
    path = parts_of(table, ".crc")
    told = [{"domain": "delta.rowTracking", "configuration": '{"rowIdHighWaterMark": 1}', "removed": False}]
    path.write_text(json.dumps({**json.loads(path.read_text()), "domainMetadata": told}))


@attack("checkpoint-damaged")
def a_file_is_listed_twice_in_a_checkpoint(table):
    return doubled(table, "add", lambda add: add.update(hiding(add)))


@attack("checkpoint-damaged")
def a_second_schema_is_put_into_a_checkpoint(table):
    return doubled(
        table, "metaData", lambda body: body.update(schemaString=body["schemaString"].replace("mail", "name"))
    )


def doubled(table: Table, kind: str, change: Callable[[dict[str, Any]], Any]) -> bool:
    """Put a changed copy of the first action of a kind before it into the newest checkpoint in one file of Parquet."""
    files = sorted(table.log.glob("[0-9]*.checkpoint.parquet"))
    if not files:
        return False
    found = pq.read_table(files[-1])
    position = next(number for number, one in enumerate(found[kind].to_pylist()) if one is not None)
    body = plain(found[kind][position].as_py())
    change(body)
    of = {"add": ADD, "metaData": META, "protocol": PROTOCOL}[kind]
    first = pa.table(
        {
            name: pa.array([body if name == kind else None], of if name == kind else found[name].type)
            for name in found.column_names
        }
    )
    whole = pa.concat_tables([first, found.set_column(found.column_names.index(kind), kind, found[kind].cast(of))])
    pq.write_table(whole, files[-1])
    return True


@attack("checkpoint-damaged")
def a_checkpoint_is_noise(table):
    file = sorted(table.log.glob("*.checkpoint*"))[-1]
    file.write_bytes(random.Random(2).randbytes(500))


@attack("checkpoint-damaged")
def a_part_of_a_checkpoint_is_removed(table):
    parts = sorted(file for file in table.log.glob("[0-9]*.checkpoint.*.parquet") if PART.fullmatch(file.name))
    parts += sorted(table.log.glob("_sidecars/[!.]*"))
    return (parts and parts[-1].unlink()) or bool(parts)


@attack("checkpoint-edited")
def a_checkpoint_is_that_of_an_earlier_version(table):
    older, newer = (sorted(table.log.glob(f"*00{version}.checkpoint*")) for version in (10, 20))
    if table.checkpoints == "v2" or len(older) != len(newer):
        return False
    for one, other in zip(older, newer, strict=True):
        shutil.copy(one, other)
    return True


@attack("last-checkpoint-edited")
def the_last_checkpoint_names_one_that_is_not_there(table):
    path = table.log / "_last_checkpoint"
    return path.exists() and path.write_text('{"version": 25, "size": 9}')


@attack("last-checkpoint-edited")
def the_last_checkpoint_tells_another_number_of_files(table):
    path = table.log / "_last_checkpoint"
    return path.exists() and path.write_text(json.dumps({**json.loads(path.read_text()), "numOfAddFiles": 1}))


@attack("last-checkpoint-edited")
def the_last_checkpoint_is_noise(table):
    (table.log / "_last_checkpoint").write_bytes(b"\xff\xfe[")


@attack("checksum-edited")
def append_only_is_taken_out_of_a_version_checksum(table):
    path = parts_of(table, ".crc")
    data = json.loads(path.read_text())
    data["metadata"]["configuration"] = {"delta.appendOnly": "false"}
    path.write_text(json.dumps(data))


@attack("protocol-edited")
def the_protocol_is_edited_in_a_version_checksum(table):
    path = parts_of(table, ".crc")
    data = json.loads(path.read_text())
    data["protocol"]["minReaderVersion"] = 2
    path.write_text(json.dumps(data))


@attack("checksum-edited")
def the_files_are_edited_in_a_version_checksum(table):
    path = parts_of(table, ".crc")
    data = json.loads(path.read_text())
    if "allFiles" not in data:  # Delta lists those of small tables
        return False
    data["allFiles"].pop()
    return path.write_text(json.dumps(data))


@attack("checksum-edited")
def the_number_of_files_is_edited_in_a_version_checksum(table):
    path = parts_of(table, ".crc")
    path.write_text(json.dumps({**json.loads(path.read_text()), "numFiles": 1}))


@attack("compacted-edited")
def a_compacted_commit_leaves_a_file_out(table):
    (table.log / f"{21:020d}.{29:020d}.compacted.json").write_text(table.path(29).read_text())
