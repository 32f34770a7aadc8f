"""Check the log of a Delta table against the manifests of its sealed versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dataward.integrity.findings import Finding, fail, note
from dataward.integrity.manifest import Attested, Manifest, ManifestCommit, attested, following, states, unhashed
from dataward.integrity.proof.compare import (
    Agreed,
    compare_commit,
    compare_files,
    compare_metadata,
    compare_protocol,
    compare_state,
)
from dataward.integrity.proof.remembered import SUMMED, Remembered, marks_of
from dataward.tables.deltalog.actions import Added, Damaged, action, plain, read_json
from dataward.tables.deltalog.checkpoint import Known, read_checkpoint
from dataward.tables.deltalog.folder import Folder, Missing
from dataward.tables.deltalog.log import (
    LOG,
    Checkpoint,
    CommitFile,
    Listing,
    State,
    commit_of,
    metadata_of,
    protocol_of,
    read_commit,
    read_listing,
)

__all__ = ["Looked", "check_log", "look"]


@dataclass(frozen=True)
class Looked:
    """A table's log with its chain of manifests, which begins with a whole one and ends with the newest sealed version.

    Attributes:
        table: the table's folder.
        chain: the manifests.
        listing: the files of the log.
        tail: the commits after the newest sealed version, from their files.
    """

    table: Folder
    chain: tuple[Manifest, ...]
    listing: Listing
    tail: tuple[CommitFile, ...] = ()
    damaged: tuple[int, ...] = ()

    @property
    def sealed(self) -> int:
        """The newest sealed version."""
        return self.chain[-1].version

    @cached_property
    def commits(self) -> dict[int, ManifestCommit]:
        """Attested commits by version."""
        return {commit.version: commit for manifest in self.chain for commit in manifest.commits}

    @cached_property
    def paths(self) -> dict[str, str]:
        """Path of every data file in the chain by its SHA-256."""
        listed = [one for manifest in self.chain for one in manifest.files or ()]
        listed += [one for commit in self.commits.values() for one in commit.added]
        return {one.sha256: one.path for one in listed if one.sha256}

    @cached_property
    def state(self) -> Attested:
        """State of the newest sealed version."""
        return attested(self.chain)

    def at(self, version: int) -> Attested | None:
        """Return the attested state of a version; None where the chain does not cover it."""
        return next((one for one in states(self.chain) if one.version == version), None)


def look(table: Folder, chain: Sequence[Manifest]) -> Looked:
    """Read the log's listing, and the commits after the newest sealed version."""
    listing, tail, damaged = read_listing(table), [], []
    for version in listing.commits:
        if version > chain[-1].version:
            try:
                tail.append(read_commit(table, version))
            except (Damaged, Missing):
                damaged.append(version)
    return Looked(table, tuple(chain), listing, tuple(tail), tuple(damaged))


def check_log(looked: Looked) -> list[Finding]:
    """Return the differences of the log from the seals, up to the newest sealed version and in summaries of later ones."""
    if looked.listing.newest is None:
        return [fail("table-missing", str(looked.table))]
    if others := list(_other_table(looked)):
        return others
    unknown = [fail("log-file-unknown", name) for name in looked.listing.unknown]
    remembered = Remembered({commit.version: commit.marks for commit in looked.tail})
    return [*unknown, *_end(looked), *_commits(looked, remembered), *_summaries(looked, remembered)]


def _other_table(looked: Looked) -> Iterator[Finding]:
    """Yield a finding where the folder has no commit of the sealed table, but those of another table."""
    ours, ids = 0, set()
    for version, name in looked.listing.commits.items():
        try:
            commit = commit_of(version, looked.table.read(f"{LOG}/{name}"))
        except (Damaged, Missing):
            continue
        sealed = looked.commits.get(version)
        ours += sealed is not None and sealed.sha256 == commit.sha256
        if commit.metadata:
            ids.add(commit.metadata["id"])
        if ours:
            return
    for checkpoint in looked.listing.checkpoints:
        try:
            ids.add((read_checkpoint(looked.table, checkpoint).metadata or {}).get("id"))
        except Damaged:
            continue
    table = looked.chain[-1].table
    if ids and table not in ids:
        yield fail("other-table", str(looked.table), f"it holds table {', '.join(map(str, ids))}; sealed is {table}")


def _end(looked: Looked) -> Iterator[Finding]:
    """Yield a finding where the log ends before the newest sealed version."""
    newest = looked.listing.newest
    assert newest is not None  # noqa: S101 - asked before
    if newest >= looked.sealed:
        return
    lost = [commit for version, commit in looked.commits.items() if version > newest]
    names = {one.path.rpartition("/") for commit in lost for one in commit.added if one.sha256}
    there = any(name in looked.table.names(folder) for folder, _, name in names)
    there = there or any(version > newest for version in looked.listing.checksums)
    code = "log-tail-cut" if there else "folder-rolled-back"
    yield fail(code, str(looked.table), f"its newest version is {newest}, and version {looked.sealed} is sealed")


def _commits(looked: Looked, remembered: Remembered) -> Iterator[Finding]:
    """Yield the differences in the files of attested commits."""
    listing, newest = looked.listing, looked.listing.newest
    assert newest is not None  # noqa: S101 - asked before
    oldest = min(listing.commits, default=newest + 1)
    held = max((one.version for one in listing.checkpoints if one.complete), default=-1)
    cleaned = 0
    for version, sealed in looked.commits.items():
        if version > newest:
            continue
        name = f"{version:020d}.json"
        try:
            found = commit_of(version, looked.table.read(f"{LOG}/{name}"))
        except Missing:
            if version < oldest and held >= oldest - 1:
                cleaned += 1
            else:
                yield fail("commit-removed", name)
        except Damaged as error:
            yield fail("commit-edited", name)
            yield fail("commit-damaged", name, str(error))
        else:
            remembered.commits[version] = found.marks
            if found.sha256 != sealed.sha256:
                differences = compare_commit(sealed, found, name)
                yield fail(
                    "commit-edited",
                    name,
                    "" if differences else "what it tells of itself was edited, no file or schema",
                )
                yield from differences
    if cleaned:
        yield note(
            "log-cleaned",
            f"{oldest:020d}.json",
            f"it is the oldest commit that is left; {cleaned} sealed ones went before",
        )
    for version in looked.damaged:
        yield fail("commit-damaged", f"{version:020d}.json")


def _summaries(looked: Looked, remembered: Remembered) -> Iterator[Finding]:
    """Yield the differences in checkpoints, version checksums, compacted commits and _last_checkpoint."""
    listing, agreed, known, read = looked.listing, Agreed(), Known({}), list[State]()
    wanted, problems = _last_checkpoint(looked)
    by_version: dict[int, list[Checkpoint]] = {}
    for checkpoint in listing.checkpoints:
        by_version.setdefault(checkpoint.version, []).append(checkpoint)
    compacted: dict[int, list[tuple[int, str]]] = {}
    for (first, last), name in listing.compacted.items():
        compacted.setdefault(last, []).append((first, name))
    for state in _with_tail(looked):
        remembered.advance(state.version)
        for checkpoint in by_version.get(state.version, ()):
            where = checkpoint.files[0]
            if not checkpoint.complete:
                yield fail(
                    "checkpoint-damaged", where, f"{len(checkpoint.files)} of {checkpoint.parts} parts are there"
                )
                continue
            try:
                held = read_checkpoint(looked.table, checkpoint, known)
            except Damaged as error:
                yield fail("checkpoint-damaged", where, str(error))
                continue
            read += [held] if wanted and state.version == wanted["version"] else []
            yield from _edited("checkpoint-edited", where, compare_state(state, held, where, agreed))
            yield from _marked(remembered, held, state, where)
        if state.version in listing.checksums:
            yield from _checksum(looked.table, state, listing.checksums[state.version], remembered)
        for first, name in compacted.get(state.version, ()):
            yield from _compacted(looked.table, state, first, name)
    yield from problems
    if wanted and read:
        name = "_last_checkpoint"
        yield from _edited("last-checkpoint-edited", name, list(_told_of(wanted, read[-1], name)))


def _marked(remembered: Remembered, held: State, state: Attested, where: str) -> Iterator[Finding]:
    """Yield a finding where a checkpoint says otherwise what writers remember; where that is not known, it is from then on."""
    if words := remembered.other(held.marks, state.metadata):
        yield fail("checkpoint-edited", where, words)
    remembered.begin(held.marks)
    if held.parsed:
        yield note("statistics-unproven", where)


def _edited(code: str, where: str, differences: Sequence[Finding]) -> Iterator[Finding]:
    if differences:
        yield fail(code, where)
        yield from differences


def _with_tail(looked: Looked) -> Iterator[Attested]:
    """Yield the states of all versions of the chain and, from the files of later commits, of later versions."""
    state = Attested(-1)
    for state in states(looked.chain):
        yield state
    for commit in looked.tail:
        if commit.version != state.version + 1:
            return
        yield (state := following(state, unhashed(commit)).state)


def _checksum(table: Folder, state: Attested, name: str, remembered: Remembered) -> Iterator[Finding]:
    try:
        data = read_json(table.read(f"{LOG}/{name}"))
        if not isinstance(data, dict):
            raise Damaged("it is no JSON object")
        if not {"numFiles", "tableSizeBytes"} <= data.keys():
            raise Damaged("it lacks what every version checksum has")
        differences = list(_checksum_differs(state, data, name))
        marks = {kind: marks_of(kind, data.get(field_name)) for kind, field_name in SUMMED.items()}
        words = [remembered.other(found, state.metadata, (kind,)) for kind, found in marks.items() if found is not None]
    except (Damaged, Missing) as error:
        yield fail("checksum-edited", name, f"it cannot be read: {error}")
        return
    yield from _edited("checksum-edited", name, differences)
    yield from (fail("checksum-edited", name, one) for one in words if one)


def _checksum_differs(state: Attested, data: dict[str, Any], name: str) -> Iterator[Finding]:
    for kind, parse, compare in (
        ("metadata", metadata_of, compare_metadata),
        ("protocol", protocol_of, compare_protocol),
    ):
        body = data.get(kind)
        if isinstance(body, dict):
            yield from compare(getattr(state, kind), parse(body), name)
        elif body is not None:
            raise Damaged(f"its {kind} is malformed")
    listed = data.get("allFiles")
    if isinstance(listed, list):
        adds = [action("add", one) if isinstance(one, dict) else None for one in listed]
        found = {one.key: one for one in adds if isinstance(one, Added)}
        yield from compare_files(state.files, found, name)
    for field_name, right in (("numFiles", len(state.files)), ("tableSizeBytes", state.size)):
        if field_name in data and data[field_name] != right:
            yield fail(
                "file-list-edited", name, f"it says {field_name} {str(data[field_name])[:40]}, sealed are {right:,}"
            )


def _compacted(table: Folder, state: Attested, first: int, name: str) -> Iterator[Finding]:
    try:
        found = commit_of(state.version, table.read(f"{LOG}/{name}"))
    except (Damaged, Missing) as error:
        yield fail("compacted-edited", name, f"it cannot be read: {error}")
        return
    fresh = {key: one for key, one in state.files.items() if state.since.get(key, -1) >= first}
    differences = list(compare_files(fresh, {one.key: one for one in found.added}, name))
    if any(removed.key in state.files for removed in found.removed):
        differences.append(fail("file-list-edited", name, "it removes a file that the version has"))
    differences += compare_metadata(state.metadata, found.metadata, name) if found.metadata else ()
    differences += compare_protocol(state.protocol, found.protocol, name) if found.protocol else ()
    yield from _edited("compacted-edited", name, differences)


def _last_checkpoint(looked: Looked) -> tuple[dict[str, Any] | None, list[Finding]]:
    """Return what _last_checkpoint says of a checkpoint, or a finding where it would mislead a reader; an outdated one does not."""
    name = "_last_checkpoint"
    try:
        data = read_json(looked.table.read(f"{LOG}/{name}"))
        if not isinstance(data, dict) or not isinstance(data.get("version"), int):
            raise Damaged("it names no version")
    except Missing:
        return None, []
    except Damaged as error:
        return None, [fail("last-checkpoint-edited", name, str(error))]
    version, parts = data["version"], data.get("parts") or 1
    there = [one for one in looked.listing.checkpoints if one.version == version and one.complete]
    named = data.get("v2Checkpoint")
    if isinstance(named, dict):
        there = [one for one in there if one.files[0] == str(named.get("path")).rsplit("/", 1)[-1]]
    elif there:
        there = [one for one in there if one.parts == parts]
    if there:
        return data, []
    words = f"it names a checkpoint of version {version}, which is not there in that form"
    return None, [fail("last-checkpoint-edited", name, words)]


def _told_of(data: dict[str, Any], held: State, name: str) -> Iterator[Finding]:
    files = data.get("numOfAddFiles")
    if files is not None and files != len(held.files):
        yield fail("file-list-edited", name, f"it says {str(files)[:40]} files, the checkpoint has {len(held.files):,}")
    named = data.get("v2Checkpoint")
    actions = named.get("nonFileActions") if isinstance(named, dict) else None
    for one in actions if isinstance(actions, list) else ():
        for kind, body in one.items() if isinstance(one, dict) else ():
            try:
                if kind == "metaData" and plain(metadata_of(body)) != plain(held.metadata):
                    yield from compare_metadata(held.metadata, metadata_of(body), name)
                if kind == "protocol":
                    yield from compare_protocol(held.protocol, protocol_of(body), name)
            except Damaged as error:
                yield fail("schema-edited", name, str(error))
