"""Compare a version from a file of the log with the version from manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dataward.integrity.findings import Finding, fail
from dataward.integrity.manifest import Attested, ManifestCommit, ManifestFile, digest
from dataward.tables.deltalog.actions import Added, Key, plain
from dataward.tables.deltalog.log import CommitFile, State

__all__ = ["Agreed", "compare_commit", "compare_files", "compare_metadata", "compare_state"]

MAPPING = "delta.columnMapping."
SHOWN = 5  # most listed differences of a kind


@dataclass(frozen=True)
class Agreed:
    """Listed files that were found equal to sealed ones: the next checkpoint lists most of them again."""

    pairs: dict[Key, tuple[ManifestFile, Added]] = field(default_factory=dict)

    def others(self, sealed: Mapping[Key, ManifestFile], found: Mapping[Key, Added]) -> list[Key]:
        """Return the keys of both whose two sides are not the very objects that were compared before."""
        known: Any = self.pairs.get
        none = (None, None)
        return [
            key
            for key, one in found.items()
            if (pair := known(key, none))[1] is not one or pair[0] is not sealed.get(key)
            if key in sealed
        ]


def compare_state(sealed: Attested, found: State, where: str, agreed: Agreed | None = None) -> list[Finding]:
    """Return the differences of a version from its attested state."""
    return [
        *compare_metadata(sealed.metadata, found.metadata, where),
        *compare_protocol(sealed.protocol, found.protocol, where),
        *compare_files(sealed.files, found.files, where, agreed),
    ]


def compare_commit(sealed: ManifestCommit, found: CommitFile, where: str) -> list[Finding]:
    """Return the differences of a commit's actions from the attested ones."""
    added = {one.key: one for one in sealed.added}, {one.key: one for one in found.added}
    differences = list(compare_files(*added, where))
    if set(sealed.removed) != {one.key for one in found.removed}:
        differences.append(fail("file-list-edited", where, "the files that it removes were edited"))
    if sealed.metadata or found.metadata:
        differences += compare_metadata(sealed.metadata, found.metadata, where)
    if sealed.protocol or found.protocol:
        differences += compare_protocol(sealed.protocol, found.protocol, where)
    return differences


def compare_protocol(sealed: dict[str, Any] | None, found: dict[str, Any] | None, where: str) -> Iterator[Finding]:
    """Yield a finding where the protocols differ."""
    if sealed != found:
        yield fail("protocol-edited", where, f"it says {_protocol(found)}, sealed is {_protocol(sealed)}")


def _protocol(protocol: dict[str, Any] | None) -> str:
    if not protocol:
        return "nothing"
    features = sorted({*protocol["reader_features"], *protocol["writer_features"]})
    return f"reader {protocol['reader']}, writer {protocol['writer']}" + (
        f" ({', '.join(features)})" if features else ""
    )


def compare_metadata(sealed: dict[str, Any] | None, found: dict[str, Any] | None, where: str) -> Iterator[Finding]:
    """Yield a finding for each differing part of the metadata."""
    if plain(sealed) == plain(found):
        return
    if not sealed or not found:
        what = "the metadata was taken out" if sealed else "metadata was put in"
        yield fail("schema-edited", where, what)
        yield fail("property-edited", where, what)
        return
    if sealed["id"] != found["id"]:
        yield fail("other-table", where, f"table {found['id']}, sealed is {sealed['id']}")
    mine, theirs = (_without_mapping(one["schema"]) for one in (sealed, found))
    if plain(mine) != plain(theirs) or sealed["partition_columns"] != found["partition_columns"]:
        yield fail("schema-edited", where, "columns, types, nullability, comments or partition columns differ")
    elif plain(sealed["schema"]) != plain(found["schema"]):
        yield fail("column-mapping-edited", where, "IDs or physical names of columns differ")
    settings = (one["configuration"] for one in (sealed, found))
    names = sorted(_different(*settings))
    if mapped := [name for name in names if name.startswith(MAPPING)]:
        yield fail("column-mapping-edited", where, ", ".join(mapped))
    others = [name for name in names if not name.startswith(MAPPING)]
    others += [name for name in ("name", "description", "provider") if sealed[name] != found[name]]
    if others:
        yield fail("property-edited", where, ", ".join(others))


def _different(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> set[str]:
    return {name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name)}


def _without_mapping(schema: Any) -> Any:
    """Return a schema without its mapping of columns to fields of files."""
    if isinstance(schema, list):
        return [_without_mapping(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: _without_mapping(value) for name, value in schema.items() if not str(name).startswith(MAPPING)}


def compare_files(
    sealed: Mapping[Key, ManifestFile], found: Mapping[Key, Added], where: str, agreed: Agreed | None = None
) -> Iterator[Finding]:
    """Yield a finding for each kind of difference; ``agreed``: compare what was not compared before, and remember it."""
    missing = [] if sealed.keys() <= found.keys() else [key for key in sealed if key not in found]
    extra = [] if found.keys() <= sealed.keys() else [key for key in found if key not in sealed]
    paths = {path for path, _ in missing} & {path for path, _ in extra}
    differing: dict[str, list[str]] = {}
    if paths:
        differing["deletion-vector-edited"] = sorted(paths)
    for key in [*missing, *extra]:
        if key[0] not in paths:
            difference = f"{key[0]} ({'sealed, but not listed' if key in sealed else 'listed, but not sealed'})"
            differing.setdefault("file-list-edited", []).append(difference)
    # Checkpoints may omit statistics altogether.
    with_statistics = any(one.statistics for one in found.values())
    agreed = agreed if agreed is not None and with_statistics else Agreed()
    for key in agreed.others(sealed, found):
        codes = list(_entry(sealed[key], found[key], with_statistics))
        for code in codes:
            differing.setdefault(code, []).append(key[0])
        if not codes:
            agreed.pairs[key] = sealed[key], found[key]
    for code, names in differing.items():
        more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
        yield fail(code, where, ", ".join(sorted(names)[:SHOWN]) + more)


def _entry(sealed: ManifestFile, found: Added, with_statistics: bool) -> Iterator[str]:
    if sealed.size != found.size:
        yield "file-entry-edited"
    if sealed.partition != digest(found.partition):
        yield "partition-value-edited"
    if with_statistics and sealed.statistics != digest(found.statistics):
        yield "statistics-edited"
    if sealed.vector and found.vector and sealed.vector.cardinality != found.vector.cardinality:
        yield "deletion-vector-edited"
