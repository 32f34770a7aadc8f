"""Attacks on data files and deletion vectors."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dataward.tables.deltalog.actions import action
from tests.attacks.made import attack, live
from tests.deltamade import Table


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
