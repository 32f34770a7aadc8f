"""A log in a Delta table, for ledgers in a catalog: the same entries, in rows instead of files.

A row is a file of the log (``name``, ``data``). Derived files (tiles, pointers) are rebuilt in memory when the table is
read, so reading costs O(n) here. Delta orders the writers: the bundle of size n is the n-th transaction of one
``txnAppId``, and of two writers one wins.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dataward.contract import Location
from dataward.errors import DatawardError, ProofError, TargetError
from dataward.integrity.log.tiles import WIDTH, bundle_path, framed, path, unpacked
from dataward.tables import commits, delta
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["SCHEMA", "TableStore"]

SCHEMA = "ledger_seq bigint, ledger_file string, ledger_data binary"
BUNDLES = "tile/entries/"
APP = "dataward/ledger"


class TableStore:
    """The files of a log in a Delta table; statements and keys are committed with the entry that needs them."""

    def __init__(self, place: Location) -> None:
        """Set the table; nothing is read."""
        self.place = place
        self._files: dict[str, bytes] | None = None
        self._waiting: dict[str, bytes] = {}

    def __str__(self) -> str:
        """Return the name of the table."""
        return str(self.place)

    def create(self, name: str, data: bytes) -> bool:
        """Create a file; a bundle is committed with all waiting files, in its turn."""
        if self.exists(name):
            return False
        if name.startswith(BUNDLES):
            return self._entered(data)
        if not name.startswith(("tile/", "index/")):
            self._waiting[name] = data
        self._held()[name] = data
        return True

    def put(self, name: str, data: bytes) -> None:
        """Create or replace a file; a checkpoint is committed, derived files are kept in memory."""
        if name == "checkpoint":
            self._saved([(self._size(), name, data)], f"{APP}/checkpoint", self._size())
        self._held()[name] = data

    def read(self, name: str) -> bytes | None:
        """Return the content of a file; None where there is none."""
        return self._held().get(name)

    def exists(self, name: str) -> bool:
        """Return whether a file of this name exists."""
        return name in self._held()

    def names(self, folder: str) -> list[str]:
        """Return the names of all files in a folder and below."""
        return sorted(name for name in self._held() if name.startswith(f"{folder}/") or not folder)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; for committed ones, the table's earlier versions are deleted too."""
        gone = [name for name in names if name in self._held()]
        for name in gone:
            del self._held()[name]
        if stored := [name for name in gone if name.startswith("statements/")]:
            from dataward.tables import maintenance

            spark = _session(self.place)
            maintenance.append_only(spark, self.place, False)
            ids = spark.createDataFrame([(name,) for name in stored], "ledger_file string")
            metadata = {"seq": self._size(), "redacted": len(stored), "run_id": f"redact-{secrets.token_hex(6)}"}
            maintenance.delete_rows(spark, self.place, "ledger_file", ids, metadata)
            maintenance.append_only(spark, self.place, True)
            maintenance.forget_past(spark, self.place, metadata)

    def _held(self) -> dict[str, bytes]:
        if self._files is None:
            self._files = self._read()
        return self._files

    def _read(self) -> dict[str, bytes]:
        spark = _session(self.place)
        if not delta.exists(spark, self.place):
            return {}
        files: dict[str, bytes] = {}
        bundles: dict[int, list[bytes]] = {}
        frame = delta.read(spark, self.place, delta.latest_version(spark, self.place))
        if "ledger_file" not in frame.columns:
            raise ProofError(
                f"ledger {self}: it is a table of an older Dataward. Run: dataward ledger migrate CONTRACT"
            )
        for seq, name, data in frame.orderBy("ledger_seq").collect():
            if name.startswith(BUNDLES):
                bundles.setdefault(seq // WIDTH, []).append(bytes(data))
            else:
                files[name] = bytes(data)
        for index, entries in bundles.items():
            files[bundle_path(index * WIDTH + len(entries))] = b"".join(framed(entry) for entry in entries)
        _derived(files, [entry for index in sorted(bundles) for entry in bundles[index]])
        return files

    def _size(self) -> int:
        names = [name for name in self._held() if name.startswith(BUNDLES)]
        return sum(len(unpacked(self._held()[name])) for name in names)

    def _entered(self, bundle: bytes) -> bool:
        """Commit the last entry of a bundle as the transaction of its number."""
        entry, seq = unpacked(bundle)[-1], self._size()
        rows = [(seq, BUNDLES + str(seq), entry)] + [(seq, *file) for file in self._waiting.items()]
        try:
            self._saved(rows, APP, seq)
        except DatawardError:
            raise
        except Exception as error:
            if "another writer" not in reason(error):
                raise TargetError(f"ledger {self.place}: {reason(error)}") from None
        self._files, waiting = None, self._waiting
        if self._entry(seq) == entry:
            self._waiting = {}
            return True
        self._held().update({name: data for name, data in waiting.items() if name not in self._held()})
        return False

    def _entry(self, seq: int) -> bytes | None:
        """Return a committed entry; None where there is none."""
        first = seq - seq % WIDTH
        for name, data in self._held().items():
            if name.startswith(path("entries", first // WIDTH)) and seq % WIDTH < len(held := unpacked(data)):
                return held[seq % WIDTH]
        return None

    def _saved(self, rows: list[tuple[int, str, bytes]], app: str, turn: int) -> None:
        spark = _session(self.place)
        frame = spark.createDataFrame([(seq, name, bytearray(data)) for seq, name, data in rows], SCHEMA)
        with suppress(*([] if app == APP else [Exception])):  # the next writer writes a missing checkpoint
            transaction = commits.Transaction(app, {"seq": turn}, ("ledger_seq",))
            commits.append_in_turn(spark, frame.coalesce(1), self.place, transaction, turn)


def _derived(files: dict[str, bytes], entries: list[bytes]) -> None:
    """Build tiles and pointers of the entries under the checkpoint."""
    from dataward.integrity.log.entries import derived
    from dataward.integrity.log.merkle import leaf_hash
    from dataward.integrity.log.notes import Checkpoint, parse
    from dataward.integrity.log.tiles import Tiles, extended

    covered = 0
    with suppress(ValueError):
        covered = Checkpoint.parsed(parse(files.get("checkpoint", b"")).text).size
    files.update(extended(Tiles(files.get, 0), [leaf_hash(entry) for entry in entries[:covered]]))
    files.update(derived(entries[:covered]))


def _session(place: Location) -> SparkSession:
    from pyspark.sql import SparkSession

    session: Any = SparkSession.getActiveSession()
    if session is None:
        raise TargetError(f"ledger {place}: it is a table of the catalog, which needs a Spark session: start one first")
    return session  # type: ignore[no-any-return]
