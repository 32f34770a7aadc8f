"""Delta tables written by hand, without Spark: small, and of every shape that the proof must know."""

from __future__ import annotations

import base64
import json
import struct
import uuid
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from dataward.tables.deltalog.actions import RFC1924, Z85

SCHEMA = {
    "type": "struct",
    "fields": [
        {"name": "id", "type": "long", "nullable": True, "metadata": {}},
        {"name": "mail", "type": "string", "nullable": True, "metadata": {}},
    ],
}
MAP = pa.map_(pa.string(), pa.string())
VECTOR = pa.struct([("storageType", pa.string()), ("pathOrInlineDv", pa.string()), ("offset", pa.int32()),
                    ("sizeInBytes", pa.int32()), ("cardinality", pa.int64())])  # fmt: skip
ADD = pa.struct([("path", pa.string()), ("partitionValues", MAP), ("size", pa.int64()), ("modificationTime", pa.int64()),
                 ("dataChange", pa.bool_()), ("stats", pa.string()), ("deletionVector", VECTOR)])  # fmt: skip
META = pa.struct([("id", pa.string()), ("name", pa.string()), ("description", pa.string()),
                  ("format", pa.struct([("provider", pa.string()), ("options", MAP)])), ("schemaString", pa.string()),
                  ("partitionColumns", pa.list_(pa.string())), ("configuration", MAP), ("createdTime", pa.int64())])  # fmt: skip
PROTOCOL = pa.struct([("minReaderVersion", pa.int32()), ("minWriterVersion", pa.int32()),
                      ("readerFeatures", pa.list_(pa.string())), ("writerFeatures", pa.list_(pa.string()))])  # fmt: skip


@dataclass
class Table:
    """A table's folder, and its state as the writer knows it."""

    root: Path
    partitioned: bool = False
    interval: int = 10
    checkpoints: str = "single"  # or multi, v2
    version: int = -1
    adds: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)
    counter: int = 0

    @property
    def log(self) -> Path:
        return self.root / "_delta_log"

    def create(self, run_id: str | None = "r0", **configuration: str) -> None:
        """The first commit, without rows."""
        self.log.mkdir(parents=True)
        columns = ["mail"] if self.partitioned else []
        features = ["deletionVectors"] if "delta.enableDeletionVectors" in configuration else []
        features += ["v2Checkpoint"] if self.checkpoints == "v2" else []
        self.metadata = {"id": str(uuid.uuid4()), "format": {"provider": "parquet", "options": {}}, "schemaString": json.dumps(SCHEMA),
                         "partitionColumns": columns, "configuration": configuration, "createdTime": 1}  # fmt: skip
        self.protocol = {"minReaderVersion": 1, "minWriterVersion": 2}
        if features:
            self.protocol = {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": features,
                "writerFeatures": features,
            }
        self.commit("CREATE TABLE", run_id, {"protocol": self.protocol}, {"metaData": self.metadata})

    def commit(
        self, operation: str, run_id: str | None, *actions: dict[str, Any], parameters: dict[str, str] | None = None
    ) -> int:
        """Write a commit with its version checksum, and a checkpoint where one is due."""
        self.version += 1
        info: dict[str, Any] = {
            "timestamp": 1000 + self.version,
            "operation": operation,
            "operationParameters": parameters or {},
        }
        if run_id:
            info["userMetadata"] = json.dumps({"dataward": 1, "run_id": run_id})
        for one in actions:
            for kind, body in one.items():
                self._note(kind, body)
        lines = [json.dumps({"commitInfo": info}), *map(json.dumps, actions)]
        self.path(self.version).write_text("\n".join(lines) + "\n")
        self.checksum()
        if self.interval and self.version and self.version % self.interval == 0:
            self.checkpoint()
        return self.version

    def _note(self, kind: str, body: dict[str, Any]) -> None:
        identity = body.get("deletionVector") or {}
        key = (
            body.get("path", ""),
            f"{identity['storageType']}{identity['pathOrInlineDv']}@{identity.get('offset')}" if identity else "",
        )
        if kind == "add":
            self.adds[key] = body
        elif kind == "remove":
            self.adds.pop(key, None)
        elif kind == "metaData":
            self.metadata = body
        elif kind == "protocol":
            self.protocol = body

    def path(self, version: int) -> Path:
        return self.log / f"{version:020d}.json"

    def file(self, rows: list[tuple[int, str]]) -> dict[str, Any]:
        """Write a data file; returns its add action."""
        self.counter += 1
        name = f"part-{self.counter:05d}-{uuid.uuid4()}.c000.snappy.parquet"
        values: dict[str, str | None] = {}
        columns = {
            "id": pa.array([one[0] for one in rows], pa.int64()),
            "mail": pa.array([one[1] for one in rows], pa.string()),
        }
        if self.partitioned:
            values = {"mail": rows[0][1]}
            name = f"mail={quote(rows[0][1])}/{name}"
            del columns["mail"]
        file = self.root / name
        file.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), file)
        stats = {
            "numRecords": len(rows),
            "minValues": {"id": min(rows)[0]},
            "maxValues": {"id": max(rows)[0]},
            "nullCount": {"id": 0},
        }
        return {"add": {"path": quote(name), "partitionValues": values, "size": file.stat().st_size, "modificationTime": 1,
                        "dataChange": True, "stats": json.dumps(stats)}}  # fmt: skip

    def append(self, rows: list[tuple[int, str]], run_id: str | None) -> int:
        groups: dict[str, list[tuple[int, str]]] = {}
        for row in rows:
            groups.setdefault(row[1] if self.partitioned else "", []).append(row)
        return self.commit("WRITE", run_id, *map(self.file, groups.values()), parameters={"mode": "Append"})

    def remove(self, add: dict[str, Any], data_change: bool = True) -> dict[str, Any]:
        body = {"path": add["path"], "deletionTimestamp": 5, "dataChange": data_change, "extendedFileMetadata": True,
                "partitionValues": add["partitionValues"], "size": add["size"]}  # fmt: skip
        return {"remove": body | ({"deletionVector": add["deletionVector"]} if "deletionVector" in add else {})}

    def replace(
        self, old: dict[str, Any], rows: list[tuple[int, str]], run_id: str | None, operation: str = "MERGE"
    ) -> int:
        """Put a new file in the place of one."""
        return self.commit(operation, run_id, self.remove(old), self.file(rows))

    def optimize(self, run_id: str | None = None) -> int:
        """All files (without deletion vectors) as one, as OPTIMIZE does."""
        olds = [add for add in self.adds.values() if "deletionVector" not in add]
        parts = [pq.ParquetFile(self.root / unquoted(add["path"])).read() for add in olds]
        whole = pa.concat_tables(parts)
        new = self.file(list(zip(whole["id"].to_pylist(), whole["mail"].to_pylist(), strict=True)))
        new["add"]["dataChange"] = False
        return self.commit("OPTIMIZE", run_id, *[self.remove(add, False) for add in olds], new)

    def delete_by_vector(
        self, old: dict[str, Any], run_id: str | None, deleted: tuple[int, ...] = (0,), neutral: bool = False
    ) -> int:
        """Mark rows of a file, which has no vector yet, as deleted; ``neutral``: say that no row changes."""
        name, data = uuid.uuid4(), bitmaps(deleted)
        framed = len(data).to_bytes(4, "big") + data + zlib.crc32(data).to_bytes(4, "big")
        (self.root / f"deletion_vector_{name}.bin").write_bytes(b"\1" + framed)
        encoded = base64.b85encode(name.bytes).decode().translate(str.maketrans(RFC1924, Z85))
        vector = {
            "storageType": "u",
            "pathOrInlineDv": encoded,
            "offset": 1,
            "sizeInBytes": len(data),
            "cardinality": len(deleted),
        }
        new = {**old, "deletionVector": vector, "dataChange": not neutral}
        operation = "OPTIMIZE" if neutral else "DELETE"
        return self.commit(operation, run_id, self.remove(old, not neutral), {"add": new})

    def purge(self, run_id: str | None = None) -> int:
        """Files with deletion vectors written anew without the deleted rows (each vector deletes the first), as REORG does."""
        actions = []
        for add in [add for add in self.adds.values() if "deletionVector" in add]:
            left = pq.ParquetFile(self.root / unquoted(add["path"])).read().slice(add["deletionVector"]["cardinality"])
            new = self.file(list(zip(left["id"].to_pylist(), left["mail"].to_pylist(), strict=True)))
            new["add"]["dataChange"] = False
            actions += [self.remove(add, False), new]
        return self.commit("REORG", run_id, *actions)

    def checksum(self) -> None:
        files = [{**add, "dataChange": False} for add in self.adds.values()]
        told = {"tableSizeBytes": sum(add["size"] for add in files), "numFiles": len(files), "numMetadata": 1, "numProtocol": 1,
                "setTransactions": [], "domainMetadata": [], "metadata": self.metadata, "protocol": self.protocol, "allFiles": files}  # fmt: skip
        (self.log / f"{self.version:020d}.crc").write_text(json.dumps(told) + "\n")

    def checkpoint(self) -> None:
        adds = [{**add, "dataChange": False} for add in self.adds.values()]
        others = [("protocol", self.protocol), ("metaData", self.metadata)]
        name, last = (
            f"{self.version:020d}.checkpoint",
            {"version": self.version, "size": len(adds) + 2, "numOfAddFiles": len(adds)},
        )
        if self.checkpoints == "v2":
            (self.log / "_sidecars").mkdir(exist_ok=True)
            sidecar = f"{uuid.uuid4()}.parquet"
            rows(self.log / "_sidecars" / sidecar, [("add", add) for add in adds])
            size = (self.log / "_sidecars" / sidecar).stat().st_size
            lines = [{"checkpointMetadata": {"version": self.version}}, *({kind: body} for kind, body in others),
                     {"sidecar": {"path": sidecar, "sizeInBytes": size, "modificationTime": 1}}]  # fmt: skip
            (self.log / f"{name}.{uuid.uuid4()}.json").write_text("\n".join(map(json.dumps, lines)) + "\n")
        elif self.checkpoints == "multi":
            rows(self.log / f"{name}.0000000001.0000000002.parquet", others)
            rows(self.log / f"{name}.0000000002.0000000002.parquet", [("add", add) for add in adds])
            last["parts"] = 2
        else:
            rows(self.log / f"{name}.parquet", others + [("add", add) for add in adds])
        (self.log / "_last_checkpoint").write_text(json.dumps(last))


def bitmaps(positions: tuple[int, ...]) -> bytes:
    """Positions below 65536 as a deletion vector's array of Roaring bitmaps."""
    header = struct.pack("<iqIIIHHI", 1681511377, 1, 0, 12346, 1, 0, len(positions) - 1, 16)
    return header + struct.pack(f"<{len(positions)}H", *sorted(positions))


def rows(path: Path, actions: list[tuple[str, dict[str, Any]]]) -> None:
    """Write actions as a checkpoint in Parquet."""
    kinds = {"add": ADD, "metaData": META, "protocol": PROTOCOL}
    columns = {
        kind: pa.array([body if one == kind else None for one, body in actions], of) for kind, of in kinds.items()
    }
    pq.write_table(pa.table(columns), path)


def unquoted(path: str) -> str:
    from urllib.parse import unquote

    return unquote(path)


def without_vector(table: Table) -> dict[str, Any]:
    """The oldest file that has no deletion vector."""
    return next(add for add in table.adds.values() if "deletionVector" not in add)


def thirty(root: Path, shape: str) -> Table:
    """A table of thirty versions: appends, merges, partitions, deletion vectors; with checkpoints in one of three layouts."""
    table = Table(
        root, partitioned=shape == "partitioned", checkpoints={"multipart": "multi", "v2": "v2"}.get(shape, "single")
    )
    table.create("r0", **({"delta.enableDeletionVectors": "true"} if shape == "vectors" else {}))
    while table.version < 29:
        number = table.version + 1
        fresh = [(10 * number, "x@y.z"), (10 * number + 1, "u v@w")]
        if shape == "merge" and number % 2 == 0:
            table.replace(next(iter(table.adds.values())), fresh, f"r{number}")
        elif shape == "vectors" and number % 3 == 0:
            table.delete_by_vector(without_vector(table), f"r{number}")
        else:
            table.append(fresh, f"r{number}")
    return table


SHAPES = ("append", "merge", "partitioned", "vectors", "multipart", "v2")
