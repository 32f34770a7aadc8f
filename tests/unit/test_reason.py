"""Why Spark failed: names and classes come through, values never."""

import pytest

from dataward.errors import TargetError
from dataward.tables.reason import SAFE, reason

CANARY = "ada@canary.org"


class Kind:
    def __init__(self, name):
        self.name = name

    def getSimpleName(self):
        return self.name


class Thrown:
    """A Java exception as py4j shows it; those of Spark and Delta know their class and fields."""

    def __init__(self, kind, message, cause=None, error_class=None, fields=None):
        self.kind, self.message, self.cause = kind, message, cause
        if error_class:
            self.getErrorClass, self.getMessageParameters = lambda: error_class, lambda: fields

    def getMessage(self):
        return self.message

    def getClass(self):
        return Kind(self.kind)

    def getCause(self):
        return self.cause


class Failed(Exception):
    def __init__(self, java):
        super().__init__("An error occurred while calling o17.collect")
        self.java_exception = java


def of(error_class, **fields):
    return Failed(Thrown("AnalysisException", f"record {CANARY}", error_class=error_class, fields=fields))


@pytest.mark.parametrize(("error", "told"), [
    (of("DELTA_NOT_NULL_CONSTRAINT_VIOLATED", columnName="mail"),
     "a column that must not be null would hold null (DELTA_NOT_NULL_CONSTRAINT_VIOLATED; column mail)"),
    (of("DELTA_VIOLATE_CONSTRAINT_WITH_VALUES", constraintName="adult", expression=f"mail = '{CANARY}'", values=CANARY),
     "a CHECK constraint of the table does not hold (DELTA_VIOLATE_CONSTRAINT_WITH_VALUES; constraint adult)"),
    (of("DELTA_VERSION_NOT_FOUND", userVersion="99", earliest="0", latest="3"),
     "there is no such version (DELTA_VERSION_NOT_FOUND; version 99; the versions there are 0, 3)"),
    (of("PATH_NOT_FOUND", path=f"s3://lake/in/mail={CANARY}/part-0.parquet"),
     "there is nothing at this path (PATH_NOT_FOUND; path s3://lake/in/...)"),
    (of("UNRESOLVED_COLUMN.WITH_SUGGESTION", objectName="`agee`", proposal=CANARY),
     "there is no such column (UNRESOLVED_COLUMN.WITH_SUGGESTION; column agee)"),
    (of("DUPLICATED_MAP_KEY", key=CANARY, mapKeyDedupPolicy=CANARY), "Spark refused it (DUPLICATED_MAP_KEY)"),
    (of("A_CLASS_OF_TOMORROW", option="charset", value=CANARY), "Spark refused it (A_CLASS_OF_TOMORROW; option charset)"),
    (Failed(Thrown("SparkException", "Job aborted due to stage failure", Thrown("PatternSyntaxException", f"near index 3 {CANARY}"))),
     "a regular expression does not compile"),
    (Failed(Thrown("SparkException", f"task failed on {CANARY}", Thrown("IllegalStateException", CANARY))), "Spark failed with IllegalStateException"),
    (ValueError(CANARY), "it failed with ValueError"),
    (TargetError("lake/t: run r1 is writing it; wait"), "lake/t: run r1 is writing it; wait"),
    (OSError(21, "Is a directory", CANARY), "is a directory"),
    (OSError("No space left on device"), "the disk is full"),
    (Failed(Thrown("SparkException", CANARY, Thrown("IOException", "No space left on device"), "TASK_WRITE_FAILED", {"path": "lake/t"})), "the disk is full"),
])  # fmt: skip
def test_names_come_through_and_values_do_not(error, told):
    assert reason(error) == told
    assert CANARY not in reason(error)


def test_no_field_that_may_hold_a_value_is_safe():
    safe = {name for names in SAFE.values() for name in names}
    assert not safe & {
        "value",
        "values",
        "expression",
        "expr",
        "sqlExpr",
        "key",
        "keyValue",
        "badRecord",
        "row",
        "message",
        "proposal",
        "actual",
        "input",
    }
