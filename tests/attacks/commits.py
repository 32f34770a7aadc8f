"""Attacks on commits."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq

from tests.attacks.made import attack, edit, hiding, schema_with
from tests.deltamade import Table, rows, unquoted, without_vector


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
