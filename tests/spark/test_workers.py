"""What is done to Spark's Python workers."""

import importlib
import sys
import zipimport
from importlib.util import find_spec
from zipfile import ZipFile

import pyarrow as pa

from dataward.spark.workers import without_delay


def test_a_settled_worker_reads_an_archive_again_only_where_it_changed(spark, tmp_path):
    place = str(tmp_path / "some.zip")

    def read():
        """The archives whose directories are read as imports are invalidated."""
        archives, reading = [], zipimport._read_directory
        zipimport._read_directory = lambda archive: archives.append(archive) or reading(archive)
        try:
            importlib.invalidate_caches()
        finally:
            zipimport._read_directory = reading
        return ",".join(archives)

    def invalidated(batches):
        list(batches)
        with ZipFile(place, "w") as archive:
            archive.writestr("some_first.py", "")
        sys.path.append(place)
        try:
            first = find_spec("some_first") is not None and find_spec("some_second") is None
            read()
            same = read()
            with ZipFile(place, "a") as archive:
                archive.writestr("some_second.py", "")
            changed = read()
            second = find_spec("some_second") is not None
        finally:
            sys.path.remove(place)
            del sys.path_importer_cache[place]
        yield pa.RecordBatch.from_pydict({"same": [same], "changed": [changed], "found": [first and second]})

    schema = "same string, changed string, found boolean"
    row = spark.range(1).coalesce(1).mapInArrow(without_delay(invalidated), schema).first()
    assert (row["same"], row["changed"], row["found"]) == ("", place, True)
