"""What ``import dataward`` gives: curated, lazy, and no module of another name in its way."""

import subprocess
import sys

import pyarrow as pa
import pytest

import dataward
from dataward.errors import UsageError


def test_every_public_name_resolves():
    for name in dataward.__all__:
        assert getattr(dataward, name) is not None
    assert dataward.__all__ == sorted(dataward.__all__)
    assert callable(dataward.publish)
    assert callable(dataward.profile)


def test_importing_the_package_imports_none_of_its_rooms():
    code = "import sys, dataward; print([m for m in sys.modules if m.startswith('dataward.') or m in ('pyspark', 'numpy')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_name_that_is_not_public_is_an_attribute_error():
    assert not hasattr(dataward, "pubish")


@pytest.mark.parametrize("rows", [[{"id": 1}], pa.table({"id": [1]})], ids=["list", "arrow"])
def test_rows_that_are_no_frame_of_spark_are_a_usage_error_that_says_how_to_pass_them(rows):
    for contract in (["people.yaml"], [None, "people.yaml"]):
        with pytest.raises(UsageError, match=r"source is a .*, not a DataFrame of Spark: pass spark.createDataFrame"):
            dataward.publish(*contract, source=rows)
