"""Attacks on the end of the log, and on the whole folder."""

from __future__ import annotations

import json
import shutil

from dataward.tables.deltalog.actions import action
from tests.attacks.made import attack
from tests.deltamade import thirty


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
