"""How an attack is listed, and the edits that several attacks make."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.deltamade import ADD, META, PROTOCOL, Table, unquoted


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
