"""Judge commits without a seal: which changed rows, which provably changed none, and which only claim so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from dataward.integrity.findings import Finding, fail, note
from dataward.integrity.manifest import Attested, ManifestCommit, ManifestFile, Step, following, steps, unhashed
from dataward.integrity.proof.delta import Looked
from dataward.integrity.proof.same_rows import Unequal, parquet, same_rows
from dataward.integrity.proof.statistics import hiding
from dataward.tables.deltalog.actions import Damaged
from dataward.tables.deltalog.folder import Folder, Missing
from dataward.tables.deltalog.log import read_commit

__all__ = ["check_tail", "check_unattested"]

LARGEST = 256 * 1024 * 1024
"""Most bytes of a commit's files whose rows are compared here; larger commits need --rows."""


Restorable = Mapping[int, int]
"""Sealed versions by the mark of their state."""


def check_tail(looked: Looked, restorable: Restorable) -> list[Finding]:
    """Return the effects of the commits after the newest sealed version; ``restorable``: the sealed versions."""
    state, found = looked.state.copy(), list[Finding]()
    expected = looked.sealed + 1
    for commit in looked.tail:
        if commit.version != expected:
            found.append(fail("commit-removed", f"{expected:020d}.json", f"version {commit.version} is there"))
        expected = commit.version + 1
        described = unhashed(commit)
        step = following(state, described)
        state = step.state
        if described.ours and described.run_id and (described.changes_data or described.added):
            remedy = f"rerun it with --run-id {described.run_id} to seal it; if it was sealed, the end of the ledger was cut off"
            found.append(fail("version-without-entry", _place(described), remedy))
        elif not described.ours or any(
            (described.added, described.removed, described.feed, described.metadata, described.protocol)
        ):
            found += judged(looked, step, described, restorable)
    return found


def check_unattested(looked: Looked) -> list[Finding]:
    """Return the effects of commits outside of Dataward before the newest sealed version.

    A commit without a remaining effect, because a later run replaced every row, is not reported.
    """
    found: list[Finding] = []
    earlier: dict[int, int] = {}
    numbers = {manifest.version for manifest in looked.chain}
    for number, step in enumerate(steps(looked.chain)):
        state, commit = step.state, step.commit
        if number and commit is not None and (not commit.ours or (state.version not in numbers and _alters(step))):
            found += judged(looked, step, commit, earlier)
        elif commit is not None and commit.ours and all(since == commit.version for since in state.since.values()):
            found.clear()
        if state.version in numbers:
            earlier[state.mark] = state.version
    return found


def _alters(step: Step) -> bool:
    """Return whether a commit changes columns or feed and no file, which no run does in a version that it does not seal."""
    commit = step.commit
    if commit is None or commit.added or commit.removed:
        return False
    if commit.feed:
        return True
    earlier = step.before.metadata if step.before else None
    return commit.metadata is not None and bool(_columns(earlier, commit.metadata))


def judged(looked: Looked, step: Step, commit: ManifestCommit, restorable: Restorable) -> Iterator[Finding]:
    """Yield the effect of a commit outside of Dataward."""
    place, again = _place(commit), {one.key for one in commit.added if one.key in step.gone}
    yield from _described_again(step, commit, place)
    if commit.feed and not commit.changes_data:
        yield fail("commit-unattested", place, f"it added {len(commit.feed)} files to the change data feed")
    elif not (again or commit.removed or commit.added):
        yield note("commit-neutral", place, "it changed no file" + _changed(step.before, commit))
    elif again.issuperset(one.key for one in commit.added) and not commit.removed:
        yield note("commit-neutral", place, "it listed files again that the version has")
    elif (same := _restored(looked, step.state, restorable)) is not None and not commit.feed:
        yield note("commit-neutral", place, f"its files are those of sealed version {same.version}")
        yield from _described_otherwise(looked, same, commit)
    elif commit.changes_data:
        yield fail(
            "commit-unattested", place, f"it added {len(commit.added)} and removed {len(commit.removed)} data files"
        )
    else:
        yield _rows(looked.table, step, commit)
        yield from _misleading(looked, commit)


def _misleading(looked: Looked, commit: ManifestCommit) -> Iterator[Finding]:
    """Yield a finding where the statistics of new files could make readers skip rows of them."""
    try:
        found = read_commit(looked.table, commit.version)
    except (Missing, Damaged):  # the log was cleaned up, or the finding is another one
        return
    if sum(one.size for one in found.added) > LARGEST:
        return
    for added in found.added:
        with suppress(Missing, Unequal, ValueError):
            if why := hiding(added, parquet(looked.table, added.path)):
                yield fail("statistics-edited", _place(commit), f"{added.path}: {why}")


def _described_again(step: Step, commit: ManifestCommit, place: str) -> Iterator[Finding]:
    """Yield a finding for each kind of difference between a listed file and what the version had of it."""
    both = [(step.gone[one.key], one) for one in commit.added if one.key in step.gone]
    yield from _differing(both, place, DESCRIBED)


DESCRIBED = (
    ("file-entry-edited", "size"),
    ("partition-value-edited", "partition"),
    ("statistics-edited", "statistics"),
)
"""Codes of differences in the fields of a listed file."""


def _differing(
    both: Sequence[tuple[ManifestFile, ManifestFile]], place: str, described: Sequence[tuple[str, str]]
) -> Iterator[Finding]:
    for code, name in described:
        differing = [new.path for old, new in both if getattr(old, name) != getattr(new, name)]
        if differing:
            yield fail(code, place, ", ".join(sorted(differing)[:3]))


def _place(commit: ManifestCommit) -> str:
    return f"version {commit.version} ({commit.operation})"


def _changed(before: Attested | None, commit: ManifestCommit) -> str:
    """Return the parts of the metadata that a commit set, in words."""
    if commit.protocol:
        return "; it set the protocol" + ("" if not commit.metadata else " and the metadata")
    if not commit.metadata:
        return ""
    earlier = before.metadata if before else None
    old, new = (earlier or {}).get("configuration", {}), commit.metadata["configuration"]
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    columns = _columns(earlier, commit.metadata)
    return f"; it set {', '.join([*names, *columns])}" if names or columns else "; it set the schema"


def _columns(earlier: Mapping[str, Any] | None, metadata: Mapping[str, Any]) -> list[str]:
    """Return which columns a schema adds, drops, renames or gives another type, in words; by their fields in the files."""
    old, new = _fields(earlier), _fields(metadata)
    if not old:
        return []
    both = [(old[name], new[name]) for name in old if name in new]
    return [
        *(f"new column {one['name']}" for name, one in new.items() if name not in old),
        *(f"no column {one['name']}" for name, one in old.items() if name not in new),
        *(f"column {one['name']} as {again['name']}" for one, again in both if one["name"] != again["name"]),
        *(f"another type of column {again['name']}" for one, again in both if one["type"] != again["type"]),
    ]


def _fields(metadata: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    """Return the well-formed columns of a schema, which anybody may have written, by the fields of the files that they show."""
    schema = (metadata or {}).get("schema")
    listed = schema.get("fields") if isinstance(schema, dict) else None
    found: dict[str, Mapping[str, Any]] = {}
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and {"name", "type"} <= one.keys():
            mapped = one["metadata"] if isinstance(one.get("metadata"), dict) else {}
            found[str(mapped.get("delta.columnMapping.physicalName", one["name"]))] = one
    return found


def _partition_fields(metadata: Mapping[str, Any] | None) -> set[str]:
    """Return the fields of partition columns, if a file contains them (Delta 4 writes them); readers take their values from the log."""
    listed = (metadata or {}).get("partition_columns")
    return {field for field, one in _fields(metadata).items() if isinstance(listed, list) and one["name"] in listed}


def _restored(looked: Looked, state: Attested, restorable: Restorable) -> Attested | None:
    """Return the sealed version that has the same files; None where there is none."""
    version = restorable.get(state.mark)
    sealed = looked.at(version) if version is not None else None
    return sealed if sealed is not None and sealed.files.keys() == state.files.keys() else None


def _described_otherwise(looked: Looked, sealed: Attested, commit: ManifestCommit) -> Iterator[Finding]:
    """Yield a finding for each kind of difference between restored files and the sealed ones.

    Delta may write statistics anew, so only those are findings that hide rows.
    """
    place, both = _place(commit), [(sealed.files[one.key], one) for one in commit.added if one.key in sealed.files]
    yield from _differing(both, place, DESCRIBED[:2])
    if any(old.statistics != new.statistics for old, new in both):
        yield from _misleading(looked, commit)


def _rows(table: Folder, step: Step, commit: ManifestCommit) -> Finding:
    """Compare the rows of the files that a commit removed and added, as multisets."""
    place, removed, gone = _place(commit), step.gone, list(step.gone.values())
    if not removed.keys() >= set(commit.removed) or sum(one.size for one in (*gone, *commit.added)) > LARGEST:
        return note("commit-unproven", place, "its files are too large to compare here; use --rows")
    try:
        equal = same_rows(table, gone, commit.added, _partition_fields(step.state.metadata))
    except Missing as error:
        return note("commit-unproven", place, f"{error} is gone, so that its rows cannot be compared; use --rows")
    except TypeError:
        return note("commit-unproven", place, "its files have columns of other types; use --rows")
    except Unequal as error:
        return fail("commit-rows-differ", place, str(error))
    if equal:
        return note("commit-neutral", place, "its files hold the same rows as those that it removed")
    return fail("commit-rows-differ", place)
