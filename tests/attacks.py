"""What somebody with write access to a table's folder may do to it, one named function each, and the code that must name it.

An attack takes the table as its writer left it; it returns False where the table's shape has nothing to attack.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dataward.tables.deltalog.actions import action
from dataward.tables.deltalog.log import PART
from tests.deltamade import ADD, META, PROTOCOL, Table, rows, thirty, unquoted, without_vector


@dataclass(frozen=True)
class Attack:
    name: str
    code: str
    run: Callable[[Table], Any]


ATTACKS: list[Attack] = []


def attack(code: str):
    def listed(function):
        ATTACKS.append(Attack(function.__name__, code, function))
        return function

    return listed


def live(table: Table) -> list[Path]:
    return sorted(table.root / unquoted(add["path"]) for add in table.adds.values())


def edit(path: Path, kind: str, change: Callable[[dict[str, Any]], Any]) -> bool:
    """Change the first action of a kind in a file of JSON lines; False where there is none."""
    lines, done = [json.loads(line) for line in path.read_text().splitlines()], False
    for line in lines:
        if kind in line and not done and change(line[kind]) is not False:
            done = True
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return done


def edit_checkpoint(table: Table, kind: str, change: Callable[[dict[str, Any]], Any]) -> bool:
    """Change the first action of a kind in the newest checkpoint, wherever it lies."""
    newest = sorted(table.log.glob("*.checkpoint*"))[-1].name.split(".")[0]
    files = sorted(
        [*table.log.glob(f"{newest}.checkpoint*"), *table.log.glob("_sidecars/*")],
        key=lambda file: file.stat().st_mtime,
    )
    if any(file.suffix == ".json" and edit(file, kind, change) for file in files):
        return True
    for file in reversed(files):
        if file.suffix != ".parquet":
            continue
        found = pq.read_table(file)
        if kind not in found.column_names:
            continue
        bodies = found[kind].to_pylist()
        for body in bodies:
            if body is not None:
                body = plain(body)
                position = next(i for i, one in enumerate(bodies) if one is not None)
                change(body)
                bodies[position] = body
                of = {"add": ADD, "metaData": META, "protocol": PROTOCOL}[kind]
                pq.write_table(found.set_column(found.column_names.index(kind), kind, pa.array(bodies, of)), file)
                return True
    return False


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """Maps as dictionaries, which Arrow gives as pairs."""
    return {
        name: dict(value) if name in ("partitionValues", "configuration") else value for name, value in body.items()
    }


def hiding(add: dict[str, Any]) -> dict[str, str]:
    """Statistics by which readers skip the file."""
    told = json.loads(add["stats"])
    told["minValues"]["id"] = 9 * 10**9
    return {"stats": json.dumps(told)}


def schema_with(change: Callable[[list[dict[str, Any]]], Any], body: dict[str, Any]) -> None:
    schema = json.loads(body["schemaString"])
    change(schema["fields"])
    body["schemaString"] = json.dumps(schema)


TXN = pa.struct([("appId", pa.string()), ("version", pa.int64())])


def parts_of(table: Table, ending: str) -> Path:
    return sorted(table.log.glob(f"*{ending}"))[-1]


# data


@attack("data-file-missing")
def a_data_file_is_deleted(table):
    live(table)[0].unlink()


@attack("data-file-changed")
def a_byte_of_a_data_file_is_flipped(table):
    file = live(table)[-1]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@attack("data-file-changed")
def a_data_file_is_written_anew_with_other_values(table):
    file = live(table)[0]
    found = pq.ParquetFile(file).read()
    pq.write_table(found.set_column(0, "id", pa.array([7] * len(found), pa.int64())), file)


@attack("data-file-changed")
def a_data_file_is_cut(table):
    file = live(table)[0]
    file.write_bytes(file.read_bytes()[:-1])


@attack("data-file-changed")
def bytes_are_appended_to_a_data_file(table):
    file = live(table)[0]
    file.write_bytes(file.read_bytes() + b"x")


@attack("data-file-swapped")
def a_data_file_is_replaced_by_another_one(table):
    shutil.copy(live(table)[1], live(table)[0])


@attack("data-file-swapped")
def two_data_files_change_places(table):
    one, other = live(table)[:2]
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


@attack("data-file-missing")
def a_data_file_becomes_a_folder(table):
    file = live(table)[0]
    file.unlink()
    file.mkdir()


@attack("data-file-missing")
def a_data_file_becomes_a_dangling_link(table):
    file = live(table)[0]
    file.unlink()
    file.symlink_to("nowhere")


@attack("deletion-vector-changed")
def a_deletion_vector_is_changed(table):
    files = vectors(table)
    return files and files[0].write_bytes(b"\1other!")


@attack("deletion-vector-missing")
def a_deletion_vector_is_deleted(table):
    files = vectors(table)
    return (files and files[0].unlink()) or bool(files)


@attack("deletion-vector-changed")
def a_deletion_vector_is_emptied_so_that_its_rows_come_back(table):
    files = vectors(table)
    return files and files[0].write_bytes(b"")


def vectors(table: Table) -> list[Path]:
    """Files of the deletion vectors of the newest version."""
    found = [action("add", add) for add in table.adds.values() if "deletionVector" in add]
    return sorted(table.root / str(one.vector.path) for one in found)


# commits


@attack("commit-edited")
def an_add_is_taken_out_of_a_commit(table):
    path = table.path(7)
    path.write_text("".join(line for line in path.read_text().splitlines(True) if '"add"' not in line))


@attack("file-list-edited")
def an_add_is_put_into_a_commit(table):
    path = table.path(4)
    path.write_text(path.read_text() + json.dumps(table.file([(666, "x@y.z")])) + "\n")


@attack("file-list-edited")
def a_remove_is_put_into_a_commit(table):
    path = table.path(25)
    path.write_text(path.read_text() + json.dumps(table.remove(next(iter(table.adds.values())))) + "\n")


@attack("file-list-edited")
def a_file_is_renamed_in_a_commit(table):
    return edit(table.path(28), "add", lambda add: add.update(path="part-00666-x.parquet"))


@attack("file-entry-edited")
def the_size_of_a_file_is_edited_in_a_commit(table):
    return edit(table.path(28), "add", lambda add: add.update(size=1))


@attack("statistics-edited")
def statistics_are_edited_in_a_commit_so_that_readers_skip_a_file(table):
    return edit(table.path(29), "add", lambda add: add.update(hiding(add)))


@attack("partition-value-edited")
def a_partition_value_is_edited_in_a_commit(table):
    return table.partitioned and edit(table.path(29), "add", lambda add: add.update(partitionValues={"mail": "other"}))


@attack("deletion-vector-edited")
def a_deletion_vector_is_taken_off_a_file_in_a_commit(table):
    return "delta.enableDeletionVectors" in table.metadata["configuration"] and edit(
        table.path(27), "add", lambda add: add.pop("deletionVector", None)
    )


@attack("commit-edited")
def user_metadata_of_a_commit_is_edited(table):
    return edit(
        table.path(12), "commitInfo", lambda info: info.update(userMetadata='{"dataward": 1, "run_id": "other"}')
    )


@attack("commit-edited")
def the_time_of_a_commit_is_edited(table):
    return edit(table.path(12), "commitInfo", lambda info: info.update(timestamp=1))


@attack("commit-edited")
def a_commit_gets_a_space_more(table):
    table.path(3).write_text(table.path(3).read_text() + "\n")


@attack("commit-damaged")
def a_commit_is_overwritten_with_noise(table):
    table.path(9).write_bytes(random.Random(1).randbytes(300))


@attack("commit-removed")
def a_commit_is_removed_from_the_middle(table):
    table.path(15).unlink()


@attack("commit-removed")
def the_oldest_commits_are_removed_beyond_what_a_checkpoint_holds(table):
    for version in range(25):
        table.path(version).unlink()


@attack("schema-edited")
def the_schema_is_edited_in_the_first_commit(table):
    return edit(
        table.path(0), "metaData", lambda body: body.update(schemaString=body["schemaString"].replace("long", "string"))
    )


@attack("column-mapping-edited")
def the_column_mapping_is_edited_in_the_first_commit(table):
    mapped = {"metadata": {"delta.columnMapping.physicalName": "mail"}}
    return edit(table.path(0), "metaData", lambda body: schema_with(lambda fields: fields[0].update(mapped), body))


@attack("property-edited")
def a_table_property_is_edited_in_the_first_commit(table):
    return edit(table.path(0), "metaData", lambda body: body["configuration"].update({"delta.appendOnly": "false"}))


@attack("protocol-edited")
def the_protocol_is_edited_in_the_first_commit(table):
    return edit(table.path(0), "protocol", lambda body: body.update(minWriterVersion=1))


@attack("commit-unattested")
def rows_are_appended_by_somebody_else(table):
    table.append([(666, "x@y.z")], None)


@attack("commit-unattested")
def a_file_is_removed_by_somebody_else(table):
    table.commit("DELETE", None, table.remove(next(iter(table.adds.values()))))


@attack("commit-rows-differ")
def rows_are_changed_under_the_name_of_optimize(table):
    old = next(add for add in table.adds.values() if "deletionVector" not in add)
    new = table.file([(666, "x@y.z")])
    new["add"] |= {"dataChange": False, "partitionValues": old["partitionValues"]}
    table.commit("OPTIMIZE", None, table.remove(old, False), new)


@attack("commit-rows-differ")
def rows_are_deleted_by_a_vector_under_the_name_of_optimize(table):
    table.delete_by_vector(without_vector(table), None, (1 if not table.partitioned else 0,), neutral=True)


@attack("commit-rows-differ")
def a_vector_is_purged_and_another_row_than_it_deletes_is_left_out(table):
    old = next((add for add in table.adds.values() if "deletionVector" in add), None)
    if old is None:
        return False
    found = pq.ParquetFile(table.root / unquoted(old["path"])).read().to_pylist()
    new = table.file([(row["id"], row["mail"]) for row in found[:-1]])
    new["add"] |= {"dataChange": False}
    table.commit("REORG", None, table.remove(old, False), new)
    return True


@attack("commit-rows-differ")
def rows_are_changed_under_the_name_of_optimize_with_a_vector_that_deletes_nothing(table):
    old = without_vector(table)
    new = table.file([(666, "x@y.z"), (667, "x@y.z")])
    vector = {"storageType": "i", "pathOrInlineDv": "rubbish", "sizeInBytes": 9, "cardinality": 0}
    new["add"] |= {"dataChange": False, "partitionValues": old["partitionValues"], "deletionVector": vector}
    table.commit("OPTIMIZE", None, table.remove(old, False), new)


@attack("commit-rows-differ")
def a_file_is_dropped_under_the_name_of_optimize(table):
    old = next(add for add in table.adds.values() if "deletionVector" not in add)
    table.commit("OPTIMIZE", None, table.remove(old, False))


@attack("statistics-edited")
def rows_are_hidden_by_the_statistics_of_an_optimize_that_keeps_them(table):
    old = next(add for add in table.adds.values() if "deletionVector" not in add)
    rows = pq.ParquetFile(table.root / unquoted(old["path"])).read().to_pylist()
    new = table.file([(row["id"], row.get("mail") or old["partitionValues"].get("mail")) for row in rows])
    new["add"] |= {"dataChange": False, "partitionValues": old["partitionValues"]}
    new["add"] |= hiding(new["add"])
    table.commit("OPTIMIZE", None, table.remove(old, False), new)


@attack("statistics-edited")
def rows_are_hidden_by_statistics_that_are_computed_anew(table):
    old = next(iter(table.adds.values()))
    table.commit("COMPUTE STATISTICS", None, {"add": {**old, "dataChange": False, **hiding(old)}})


@attack("partition-value-edited")
def a_sealed_version_is_restored_with_other_partition_values(table):
    return table.partitioned and restored(table, lambda add: add.update(partitionValues={"mail": "other"}))


@attack("statistics-edited")
def a_sealed_version_is_restored_with_statistics_that_hide_a_file(table):
    return restored(table, lambda add: add.update(hiding(add)))


def restored(table: Table, change: Callable[[dict[str, Any]], Any]) -> bool:
    """Remove a file, and list it again in a RESTORE, changed: the version has the files of a sealed one."""
    old = next(iter(table.adds.values()))
    table.commit("DELETE", None, table.remove(old))
    again = dict(old)
    change(again)
    table.commit("RESTORE", None, {"add": again}, parameters={"version": "29"})
    return True


@attack("commit-unattested")
def a_change_that_never_was_is_put_into_the_change_feed(table):
    feed = table.file([(666, "x@y.z")])["add"]
    cdc = {"path": feed["path"], "partitionValues": feed["partitionValues"], "size": feed["size"], "dataChange": False}
    table.commit("WRITE", None, {"cdc": cdc})


@attack("commit-unattested")
def a_change_that_never_was_is_put_into_the_change_feed_in_the_name_of_a_run(table):
    feed = table.file([(666, "x@y.z")])["add"]
    cdc = {"path": feed["path"], "partitionValues": feed["partitionValues"], "size": feed["size"], "dataChange": False}
    table.commit("WRITE", "r30", {"cdc": cdc})


@attack("log-file-unknown")
def a_commit_is_added_under_a_name_of_fewer_digits(table):
    lines = [json.dumps({"commitInfo": {"operation": "WRITE"}}), json.dumps(table.file([(666, "x@y.z")]))]
    (table.log / f"{30:019d}.json").write_text("\n".join(lines))


@attack("log-file-unknown")
def a_checkpoint_is_added_under_a_name_that_delta_takes_and_never_gives(table):
    rows(table.log / f"{29:020d}.checkpoint.x.parquet", [("protocol", table.protocol), ("metaData", table.metadata)])


@attack("log-file-unknown")
def a_checkpoint_in_parts_is_added_with_numbers_of_one_digit(table):
    rows(table.log / f"{29:020d}.checkpoint.1.1.parquet", [("protocol", table.protocol), ("metaData", table.metadata)])


@attack("version-without-entry")
def a_commit_is_forged_in_the_name_of_dataward(table):
    table.append([(666, "x@y.z")], "r30")


@attack("commit-damaged")
def a_later_commit_is_noise(table):
    table.path(30).write_bytes(b"\0\1\2")


@attack("commit-removed")
def a_later_commit_leaves_a_gap(table):
    table.path(31).write_text(json.dumps({"commitInfo": {"operation": "WRITE"}}))


# the end of the log, the folder


@attack("log-tail-cut")
def the_tail_of_the_log_is_cut(table):
    for version in (28, 29):
        table.path(version).unlink()


@attack("folder-rolled-back")
def the_folder_is_rolled_back_to_a_backup(table):
    for version in range(24, 30):
        for line in table.path(version).read_text().splitlines():
            if "add" in (found := json.loads(line)):
                added = action("add", found["add"])
                (table.root / (added.vector.path if added.vector else added.path)).unlink()
        table.path(version).unlink()
        (table.log / f"{version:020d}.crc").unlink(missing_ok=True)


@attack("other-table")
def another_tables_folder_is_put_here(table):
    shutil.rmtree(table.root)
    thirty(table.root, "append")


@attack("table-missing")
def the_log_is_deleted(table):
    shutil.rmtree(table.log)


@attack("table-missing")
def the_folder_is_deleted(table):
    shutil.rmtree(table.root)


# what readers take instead of commits


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
