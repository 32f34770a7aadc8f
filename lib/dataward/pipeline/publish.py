"""The main job: source -> judge -> split -> protect -> commit -> seal -> report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dataward import report
from dataward.contract.reserved import MALFORMED, RUN_ID
from dataward.errors import (
    AccountingError,
    ContractError,
    DatawardError,
    Interrupted,
    KeyringError,
    ProtectionError,
    SourceChanged,
    TargetError,
)
from dataward.integrity.canonical import sha256
from dataward.integrity.seal import Seal
from dataward.keys import KeyProvider, Keyring, has_keyring, open_keys
from dataward.pipeline import resume as rerun
from dataward.pipeline.breaches import broken
from dataward.pipeline.decide import Counted, reasons_of_counts
from dataward.pipeline.examine import examine
from dataward.pipeline.metric_history import drawn, recall, remember
from dataward.pipeline.plan import Plan, against_keys, against_names, against_place, against_schema, against_target
from dataward.pipeline.refresh import Refresh
from dataward.pipeline.repair import Mended, mend, to_mend
from dataward.pipeline.run import Progress, Run, as_dicts, pinned, place_of
from dataward.pipeline.seal import same_keys, seal_version
from dataward.pipeline.windows import windowed
from dataward.privacy.discover.gates import look
from dataward.privacy.erased import ERASED, Memory
from dataward.privacy.protect import (
    Protected,
    attempt,
    output_schema,
    protect_in_window,
    shadows,
    statistics_columns,
    stopping,
)
from dataward.privacy.protect.compiled import key_of
from dataward.privacy.protect.row_ids import with_row_ids
from dataward.privacy.utility import parity
from dataward.quality.internal import SOURCE_ROW, row_id
from dataward.quality.judge import Judgement, judge
from dataward.quality.repair.changes import only_changed
from dataward.quality.repair.fit import normalised
from dataward.quality.rules import NotErased, RowRule
from dataward.quality.split import failed_rows
from dataward.quality.suite import Suite
from dataward.report import RunResult
from dataward.spark.session import demand_encryption, interruptible, isolated
from dataward.spark.sql import identifier
from dataward.tables import commits, delta
from dataward.tables.declared import Declared, declared
from dataward.tables.reason import reason
from dataward.tables.source import Pin

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Publish", "carry_out", "publish"]


def publish(
    spark: SparkSession,
    plan: Plan,
    run_id: str | None = None,
    report_folder: str = "reports",
    progress: Progress = lambda line: None,
) -> RunResult:
    """Carry a contract out. A rerun of a run id changes nothing that the run has done, and finishes what it has not.

    Raises:
        DatawardError: see ``dataward.errors``; the target's newest version is then what it was, or a whole new one.
    """
    return carry_out(spark, report_folder, lambda own, held: Publish(own, plan, run_id, progress, held))


def carry_out(spark: SparkSession, report_folder: str, made: Callable[[SparkSession, ExitStack], Publish]) -> RunResult:
    """Make a run in a session of its own, carry it out, and write its report."""
    try:
        with isolated(spark) as own, ExitStack() as held:
            return made(own, held).reported(report_folder)
    except Exception as error:
        if isinstance(error.__context__, Interrupted):  # to tidy up failed too: the signal has reached the JVM
            raise error.__context__ from None
        raise


def outcome(result: RunResult) -> str:
    """What became of a run, for an error that came after all of it was done."""
    if result.status == "published":
        return f"{result.target.path} version {result.target.version} is published and sealed by run {result.run_id}."
    return f"The run {result.run_id} ended ({result.status}): nothing was published."


class Publish(Run):
    """A run that publishes what its source holds."""

    seal: Seal | None = None
    table: Declared | None = None
    writing = False
    """Whether the target may have a version of this run."""
    part_of_many = False
    """Whether the rows are a part only of what the contract publishes, of which all may be diverted."""

    def reported(self, folder: str) -> RunResult:
        """Carry it out and write its report, unless that was done before.

        Raises:
            Interrupted: by Ctrl-C; the message says what is committed, and how to finish the run.
        """
        self.progress(f"  run id {self.run_id}")
        with interruptible(self.spark):
            try:
                result = self.carried_out()
            except KeyboardInterrupt:
                raise Interrupted(self.standing()) from None
        if result.status == "unchanged" and result.seal:  # the run that sealed it has written the report
            return result.model_copy(update={"report": report.place(result, folder)})
        try:
            return report.write(self.spark, result, folder)
        except TargetError as error:
            raise TargetError(f"{outcome(result)} Only its report is missing: {error}") from None

    def standing(self) -> str:
        """What of this run is committed after an interruption, and what finishes it; one line."""
        target = self.contract.target
        if self.seal is not None:
            return (
                f"interrupted: {target} version {self.seal.version} is committed and sealed; the report was not written"
            )
        finish = f"rerun with --run-id {self.run_id} to"
        try:
            commit = commits.found_late(self.spark, target, self.run_id) if self.writing else None
        except Exception as error:  # the JVM may have been stopped by the same signal
            return f"interrupted: whether {target} has a version of this run is not known ({reason(error)}); {finish} finish it"
        if commit is not None:
            return f"interrupted: {target} version {commit.version} is committed and not sealed yet; {finish} seal it"
        return f"interrupted: nothing of this run is in {target}; {finish} finish it"

    def carried_out(self) -> RunResult:
        """The whole way of the data."""
        contract = self.contract
        with self.phase("pin") as told:
            keys = self.opened_keys()
            against_place(self.spark, self.plan)
            before = rerun.done_before(self.spark, self.plan, self.run_id) if self.may_be_a_rerun else (None, None)
            sealed, earlier = before
            if sealed:
                return self.unchanged(sealed.seal)
            source, self.others = self.pinned(earlier)
            now = datetime.fromisoformat(earlier["as_of"]) if earlier else self.started.replace(microsecond=0)
            references = {alias: other.frame.drop(MALFORMED) for alias, other in self.others.items()}
            suite = against_schema(self.spark, self.plan, source.frame, references, now)
            against_names(self.spark, self.plan, source.frame)
            against_keys(self.spark, self.plan, keys, source.frame)
            self.past = recall(self.spark, self.plan, self.run_id, now)
            self.forgotten = Memory(self.spark, contract, keys)
            suite = self.without_erased(suite)
            taken = self.taken(keys, source, earlier)
            self.rows_erased = self.count_erased(taken)
            frame = self.identifiable(taken)
            self.fits_target(keys, source)
            told(f"{source.described}, {self.refresh}" if self.refresh else source.described)
        self.mended = self.treated(suite, frame, references, now)
        self.try_protections(keys, suite, now)
        deterministic = [name for name in source.columns if contract.column(name).protect.guessable]
        with self.phase("judge") as told:
            judged = judge(
                self.spark,
                self.mended.frame,
                suite,
                now,
                contract.engine,
                references,
                contract.checks,
                sensitive=[name for name in source.columns if contract.sensitive(name)],
                internal=self.mended.internal,
                estimate=deterministic,
                count=self.mended.metrics,
                past=self.past,
                measure=self.refresh.measure if self.refresh else None,
                seconds=contract.limits.seconds,
            )
            self.mended = self.mended.counted(contract, judged)
            if self.refresh:
                self.mended = self.refresh.completed(suite, judged.diverting, now, self.identifiable)
            rerun.same_verdicts(self.run_id, earlier, self.settled(judged))
            told(f"{judged}{self.refresh.also}" if self.refresh else str(judged))
        with self.phase("split") as told:
            rows_in = self.rows_in(judged)
            diverted = self.diverted_rows(judged, now) + self.mended.rows_diverted
            reasons = self.reasons_to_stop(judged, diverted, rows_in)
            told(f"{diverted:,} of {rows_in:,} rows diverted")
        plain, changes = self.mended.plain, self.mended.changes(contract)
        if not reasons and contract.discovery.gate != "off":
            with self.phase("discover") as told:
                seen = plain if changes is None else plain.unionByName(changes.select(*map(identifier, plain.columns)))
                self.found = look(self.spark, contract, keys, seen, min(judged.rows, rows_in))
                told(str(self.found))
            self.warnings = self.found.warnings
            reasons = self.reasons_to_hide()
        protecting, protections = protect_in_window(self.spark, contract, keys, plain, judged.columns_of_few_values())
        if reasons:
            self.remember(suite, judged, now, stopped=True)
            return self.result("stopped", source, judged, protections, reasons=reasons)
        good, bad = self.parted(keys, judged, now)
        if self.nothing_left():
            return self.result("unchanged", source, judged, protections, rows=self.rows_left(judged))
        ready = protecting(good)
        if reasons := self.examined(good, ready, references, now, deterministic):
            self.remember(suite, judged, now, stopped=True)
            return self.result("stopped", source, judged, protections, reasons=reasons)
        self.remember(suite, judged, now, stopped=False)
        with self.phase("commit") as told:
            metadata = self.metadata(source, judged, now, protections)
            quarantine = self.to_quarantine(keys, protecting(bad, strict=False), diverted, metadata)
            self.keep_changes(keys, None if changes is None else protecting(changes, strict=False), metadata)
            if self.changed(source):
                raise SourceChanged(
                    f"source {contract.source} or a reference: its files changed after they were judged. Nothing was "
                    "published; rerun"
                )
            statistics = statistics_columns(contract, ready)
            beside = shadows(contract, keys, ready.columns)
            swapped = self.refresh.where if self.refresh else None
            self.writing = True
            commit = commits.commit_target(
                self.spark, ready, contract.target, self.run_id, metadata, statistics, commits.Manner(beside, swapped)
            )
            rows = self.accounted(source, judged, commit, quarantine, diverted)
            self.add_windows(suite, now, metadata)
            told(f"{contract.target} version {commit.version}, {commit.rows:,} rows")
        with self.phase("seal") as told:
            seal = self.seal = self.certified(keys, source, judged, protections, commit, quarantine, rows)
            told(f"content {seal.content.digest[:16]}, key {seal.key['domain']} v{seal.key['version']}")
        if contract.parity:
            with self.phase("parity") as told:
                protected = [name for name in plain.columns if contract.column(name).protect.op not in ("keep", "drop")]
                self.kept = parity(good, delta.read(self.spark, contract.target, commit.version), protected)
                told(f"{len(self.kept)} columns")
        return self.result("published", source, judged, protections, rows, commit, quarantine, seal)

    def nothing_left(self) -> bool:
        """Whether the run ends without a version, as there is no row for it."""
        return False

    def rows_left(self, judged: Judgement) -> dict[str, int]:
        """The rows of such a run."""
        return {"in": self.rows_in(judged), "published": 0, "quarantined": 0, "dropped": 0}

    # before anything is read

    def opened_keys(self) -> Keyring:
        """The keyring, with the key that will seal unwrapped: what is refused is refused before anything is written."""
        contract = self.contract
        if contract.keys.spill == "encrypted":
            demand_encryption(self.spark)
        try:
            keys = open_keys(contract.keys)
        except KeyringError:
            if has_keyring(contract.keys) or not delta.exists(self.spark, contract.ledger_location):
                raise
            raise KeyringError(
                f"there is no keyring {contract.keys.path}, and {contract.target} was sealed before (ledger "
                f"{contract.ledger_location}): restore it from your backup. A new one has other keys"
            ) from None
        domain = contract.keys.domain
        same_keys(self.spark, contract, keys)
        keys.key("seal", domain, keys.current(domain))
        return keys

    def pinned(self, earlier: dict[str, Any] | None) -> tuple[Pin, dict[str, Pin]]:
        rerun.no_stream_before(self.spark, self.contract)
        later = self.contract.target.mode == "refresh"  # files are looked at once it is known which of them are read
        return rerun.pinned(self.spark, self.contract, self.run_id, earlier, schema_only=later)

    def changed(self, source: Pin) -> bool:
        return any(place.changed(self.spark) for place in (source, *self.others.values()))

    # what a run takes in: all of it, unless it refreshes

    refresh: Refresh | None = None

    def taken(self, keys: KeyProvider, source: Pin, earlier: dict[str, Any] | None) -> DataFrame:
        contract = self.contract
        if contract.target.mode != "refresh":
            return source.frame
        self.refresh = Refresh(self.spark, contract, self.plan.sha256, keys, source, self.others, earlier)
        self.held.callback(self.refresh.release)
        return self.refresh.frame

    def identifiable(self, frame: DataFrame) -> DataFrame:
        known = self.contract.quarantine or self.contract.treat.changes
        frame = frame.withColumn(SOURCE_ROW, row_id(frame)) if known else frame
        if not self.forgotten.exists():
            return frame
        flagged = self.forgotten.flagged(frame)
        return flagged.where(f"not {ERASED}").drop(ERASED) if self.drops_erased else flagged

    def rows_in(self, judged: Judgement) -> int:
        return (self.refresh.rows if self.refresh else super().rows_in(judged)) + self.rows_erased

    # people whom the table was asked to forget

    forgotten: Memory
    rows_erased = 0
    """Rows of theirs that are dropped before anything is judged."""

    @property
    def drops_erased(self) -> bool:
        return self.contract.erasure is not None and self.contract.erasure.returns == "drop"

    def without_erased(self, suite: Suite) -> Suite:
        """The suite with a rule that diverts rows of erased people, where the contract does not drop them."""
        if not self.forgotten.exists() or self.drops_erased or self.contract.erasure is None:
            return suite
        return replace(suite, rules=(NotErased.of(ERASED, self.contract.erasure.subject), *suite.rules))

    def count_erased(self, taken: DataFrame) -> int:
        if not (self.drops_erased and self.forgotten.exists()):
            return 0
        return self.forgotten.flagged(taken).where(ERASED).count()

    def try_protections(self, keys: KeyProvider, suite: Suite, now: datetime) -> None:
        """Protect some rows before the long passes, so that a value which stops the run does so in seconds.

        Rows that a rule is going to divert stop nothing. Which rows are duplicates is only asked where a value was refused.

        Raises:
            ProtectionError: a value that would be published cannot be protected.
        """
        columns = stopping(self.contract, keys, self.mended.plain)
        if not columns:
            return
        rules = [rule for rule in suite.rules if isinstance(rule, RowRule) and not rule.warns_only]
        alone = [rule for rule in rules if not rule.flags()]
        with self.phase("try") as told:
            told(", ".join(columns))
            try:
                attempt(self.contract, keys, self.mended.parted(alone, now)[0], columns)
            except ProtectionError:
                if alone == rules:
                    raise
                if self.refresh is None:  # duplicates may lie in partitions that are not read
                    attempt(self.contract, keys, self.mended.parted(rules, now)[0], columns)

    # what is judged

    def treated(self, suite: Suite, frame: DataFrame, references: dict[str, DataFrame], now: datetime) -> Mended:
        if not to_mend(self.contract, suite):
            return Mended(frame)
        with self.phase("treat") as told:
            mended = mend(self.spark, self.plan, suite, frame, references, now, self.past)
            self.held.callback(mended.release)
            told(mended.begun)
        return mended

    def settled(self, judged: Judgement) -> list[list[Any]]:
        """What a rerun must come to again: verdicts and repairs."""
        return [*judged.settled, *([repair.treatment, repair.what, repair.count] for repair in self.mended.repairs)]

    def diverted_rows(self, judged: Judgement, now: datetime) -> int:
        """Exact number of rows to divert; a job of its own where rules overlap or keys were counted by their hashes."""
        if self.refresh:  # the verdicts count those of other partitions too
            return failed_rows(self.mended.frame, judged.diverting, now) if judged.diverting else 0
        by_key = self.contract.engine == "spark" and any(rule.flags() for rule in judged.diverting)
        if len(judged.diverting) > 1 or by_key:
            return failed_rows(self.mended.frame, judged.diverting, now)
        return sum(verdict.failed_rows or 0 for verdict in judged.verdicts if verdict.action == "quarantine")

    def reasons_to_stop(self, judged: Judgement, diverted: int, rows: int) -> list[str]:
        reasons = [
            f"{verdict.rule}: {verdict.outcome}" + (f" ({verdict.message})" if verdict.message else "")
            for verdict in judged.verdicts
            if verdict.action == "stop"
        ]
        whole = judged.rows + self.mended.rows_diverted
        counted = Counted(whole, rows, diverted)
        return reasons + reasons_of_counts(self.contract, counted, self.part_of_many)

    def reasons_to_hide(self) -> list[str]:
        """Residue that nobody may read; a contract that does not speak of sensitive columns is refused."""
        found = self.found
        problems = found.problems(self.plan.document.file, self.plan.document.line_of(("columns",)))
        if self.contract.discovery.gate == "warn":
            self.warnings += [*(problem.what for problem in problems), *found.residue]
            return []
        if problems:
            raise ContractError(problems)
        return [f"discovery: {residue}" for residue in found.residue]

    def examined(
        self,
        good: DataFrame,
        ready: DataFrame,
        references: dict[str, DataFrame],
        now: datetime,
        deterministic: list[str],
    ) -> list[str]:
        """Reasons to stop that the protected rows give, and what the target declares."""
        reasons: list[str] = []
        if self.contract.asks_output:
            with self.phase("examine") as told:
                self.output = examine(self.spark, self.plan, good, ready, references, now, deterministic)
                told(str(self.output))
            reasons += self.output.reasons
        return reasons + broken(self.contract, self.table, good, ready)

    # what is written

    def fits_target(self, keys: KeyProvider, source: Pin) -> None:
        """Announce what will become of the target's schema; a column that does not fit it is refused."""
        plain = normalised(source.frame, self.contract.treat).drop(MALFORMED)
        mode = self.contract.target.mode
        whole = mode == "overwrite" or (self.refresh is not None and self.refresh.base is None)
        self.table = declared(self.spark, self.contract.target)
        changes = against_target(
            self.spark, self.plan, self.table, *output_schema(self.contract, keys, plain.schema), whole
        )
        self.schema_changes = [f"schema of {self.contract.target}: the run {change}" for change in changes]
        for change in self.schema_changes:
            self.progress(f"  {change}")

    def parted(self, keys: KeyProvider, judged: Judgement, now: datetime) -> tuple[DataFrame, DataFrame]:
        """(rows to publish, rows to divert)."""
        good, bad = self.mended.parted(judged.diverting, now)
        return good.drop(SOURCE_ROW), bad

    def identified(self, keys: KeyProvider, frame: DataFrame) -> DataFrame:
        """With a keyed id in the place of the row that it is in the source."""
        return with_row_ids(frame, SOURCE_ROW, self.run_id, key_of(keys)("token", self.contract.keys.domain))

    def metadata(self, source: Pin, judged: Judgement, now: datetime, made: tuple[Protected, ...]) -> dict[str, Any]:
        """What both commits of this run say about themselves; enough to finish the run after an interruption."""
        states = {"states": self.refresh.keep(self.run_id, self.plan.sha256)} if self.refresh else {}
        return {
            **states,
            "contract": self.contract.contract,
            "contract_sha256": self.plan.sha256,
            "verdicts_sha256": sha256(self.settled(judged)),
            "source": pinned(source),
            "references": {alias: pinned(other) for alias, other in self.others.items()},
            "as_of": now.isoformat(),
            "key_versions": {one.column: f"{one.domain} v{one.key_version}" for one in made if one.domain},
        }

    def to_quarantine(
        self, keys: KeyProvider, bad: DataFrame, diverted: int, metadata: dict[str, Any]
    ) -> delta.Commit | None:
        """Before the target: a run that ends between the two has lost no row."""
        place = self.contract.quarantine_location
        if place is None or not diverted:
            return None
        from pyspark.sql import functions as F

        known = self.identified(keys, bad).withColumn(RUN_ID, F.lit(self.run_id))
        return commits.append_once(self.spark, known, place, self.run_id, metadata)

    def keep_changes(self, keys: KeyProvider, changes: DataFrame | None, metadata: dict[str, Any]) -> None:
        """Each changed cell before and after, beside the columns by which its row is found."""
        from pyspark.sql import functions as F

        contract, place = self.contract, self.contract.changes_location
        if changes is None or place is None:
            return
        finds = {name.lower() for name in (*contract.target.on, *contract.target.partition_by)}
        finds |= {contract.erasure.subject.lower()} if contract.erasure else set()
        own = {name: name.lower() in finds for name in self.mended.plain.columns}
        told = self.identified(keys, only_changed(changes, own)).withColumn(RUN_ID, F.lit(self.run_id))
        self.changes = place_of(place, commits.append_once(self.spark, told, place, self.run_id, metadata))

    def accounted(
        self, source: Pin, judged: Judgement, commit: delta.Commit, quarantine: delta.Commit | None, diverted: int
    ) -> dict[str, int]:
        """Rows in = published + quarantined + dropped, or the commit is taken back."""
        to_quarantine = quarantine.rows if quarantine else 0
        dropped = diverted if self.contract.quarantine and self.contract.quarantine.drop else 0
        dropped += self.rows_erased
        rows_in = self.rows_in(judged)
        rows = {"in": rows_in, "published": commit.rows, "quarantined": to_quarantine, "dropped": dropped}
        if rows_in == commit.rows + to_quarantine + dropped and not self.changed(source):
            return rows
        raise self.taken_back(
            commit,
            f"rows in ({rows_in}) != published ({commit.rows}) + quarantined ({to_quarantine}) + dropped ({dropped})",
        )

    def remember(self, suite: Suite, judged: Judgement, now: datetime, stopped: bool) -> None:
        """Before anything is committed: a run that ends between is finished under its id, and is in the history once."""
        if self.contract.history is None:
            return
        with self.phase("remember") as told:
            self.lines = tuple(drawn(self.past, suite, judged, now))
            remember(self.spark, self.plan, self.run_id, now, suite, judged, self.past, stopped)
            told(f"{len(judged.verdicts)} verdicts")

    def add_windows(self, suite: Suite, now: datetime, metadata: dict[str, Any]) -> None:
        """What the rules come to in each window, once for each run."""
        from pyspark.sql import functions as F

        if self.contract.windows:
            rows = windowed(self.contract, suite, self.mended.frame, now).withColumn("run_id", F.lit(self.run_id))
            commits.append_once(self.spark, rows, self.contract.windows_location, self.run_id, metadata)

    def taken_back(self, commit: delta.Commit, why: str) -> AccountingError:
        """The error to raise; the target is what it was before."""
        commits.restore(self.spark, self.contract.target, commit)
        return AccountingError(
            f"{self.contract.target}: {why}, or the source's files changed while they were read. Version {commit.version} was "
            "taken back; rerun with a new --run-id"
        )

    def certified(self, *given: Any) -> Seal:
        """The seal; where it cannot be made, the error says which rerun makes it."""
        commit = given[4]
        try:
            return self.sealed(*given)
        except Exception as error:
            why = str(error) if isinstance(error, DatawardError) else reason(error)
            raise TargetError(
                f"{self.contract.target} version {commit.version} is committed and not sealed yet: {why}. Mend it and rerun "
                f"with --run-id {self.run_id}: that seals this version, and writes no other"
            ) from None

    def sealed(
        self,
        keys: Keyring,
        source: Pin,
        judged: Judgement,
        protections: tuple[Protected, ...],
        commit: delta.Commit,
        quarantine: delta.Commit | None,
        rows: dict[str, int],
    ) -> Seal:
        contract = self.contract
        return seal_version(
            self.spark,
            contract,
            self.plan.sha256,
            keys,
            self.run_id,
            commit.version,
            source={"described": source.described, **pinned(source)},
            references={alias: {"described": pin.described, **pinned(pin)} for alias, pin in self.others.items()},
            verdicts=as_dicts(judged.verdicts),
            verdicts_before=as_dicts(self.mended.verdicts_before),
            repairs=as_dicts(self.mended.repairs),
            rows=rows,
            protections=as_dicts(protections),
            verdicts_after=as_dicts(self.output.verdicts),
            joins=as_dicts(self.output.joins),
            quarantine=place_of(contract.quarantine_location, quarantine).model_dump() if quarantine else None,
            changes=self.changes.model_dump() if self.changes else None,
            since=self.refresh.base.run_id if self.refresh and self.refresh.base else None,
            **self.more_to_seal,
        )
