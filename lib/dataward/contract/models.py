"""The contract as frozen data. YAML keys are the field names (``class``, ``schema`` and ``with`` by alias)."""

from __future__ import annotations

from functools import cached_property
from itertools import combinations
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from dataward.contract.access import Access, Approval, Audit
from dataward.contract.base import Misfit, Model, Name
from dataward.contract.discovery import Discovery, OrOff
from dataward.contract.heads import Head
from dataward.contract.operation import Fallible
from dataward.contract.places import History, Location, Quarantine, Source, Target
from dataward.contract.policy import Policy
from dataward.contract.protections import (
    Column,
    Drop,
    Generalize,
    Json,
    Keep,
    Protection,
    Redact,
    Shred,
    Vault,
    having,
    written_form,
)
from dataward.contract.reserved import SHADOW
from dataward.contract.settings import Erasure, Join, Keys, Limits, Lineage, PrivateMetrics, Retention, Storage, Windows
from dataward.contract.treatment import Kind, Treatment

__all__ = ["Contract", "json_schema"]


def _without_forms(given: Any) -> Any:
    """Convert a list of names to columns without coarser forms."""
    names = isinstance(given, list | tuple) and all(isinstance(name, str) for name in given)
    return dict.fromkeys(given, ()) if names else given


class Contract(Model):
    """One table: where it comes from, what must be true, how it is protected, where it goes."""

    contract: Name = Field(description="the contract's own name")
    source: Source
    target: Target
    quarantine: Quarantine | None = Field(
        default=None, description="without one, a run in which a row fails a row rule stops"
    )
    ledger: Location | None = Field(default=None, description="default: the target's place with '_ledger' appended")
    heads: tuple[Head, ...] = Field(
        default=(), description="where checkpoints of the ledger are kept, outside the table's reach"
    )
    keys: Keys
    treat: Treatment = Field(default_factory=Treatment, description="what is repaired before the rules judge")
    rules: str = Field(default="", description="DQDL: Rules = [ ... ]")
    engine: Literal["deequ", "spark"] = Field(
        default="deequ",
        description="what measures the rules: deequ (PyDeequ), or spark (DataFrames, the fewest passes). Without the line: deequ, or spark "
        "where there is no Deequ (Spark 4, Spark Connect)",
    )
    composites: Literal["row", "column"] = Field(
        default="row",
        description="how (A) and (B) is judged: row by row where it can be, or by column (Glue's default)",
    )
    references: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Source] = Field(
        default_factory=dict, description="other tables that rules look at, by the alias that they use"
    )
    checks: str | None = Field(
        default=None,
        pattern=r"^[^:]+:[A-Za-z_][A-Za-z0-9_]*$",
        description="FILE.py:FUNCTION or MODULE:FUNCTION; FUNCTION(spark) returns PyDeequ Check objects",
    )
    policy: Annotated[Policy | None, WithJsonSchema({"type": "string", "description": "a policy's YAML file"})] = None
    columns: dict[str, Column] = Field(default_factory=dict)
    default: Literal["refuse", "keep", "redact", "drop"] = Field(
        default="refuse", description="what happens to a column that no line names"
    )
    discovery: Annotated[Discovery, OrOff] = Field(default_factory=Discovery)
    history: History | None = Field(
        default=None,
        description="keep what every run measures, for rules that compare with the past; {} for the defaults",
    )
    windows: Windows | None = Field(default=None, description="what the rules come to per window of event time")
    limits: Limits = Field(default_factory=Limits)
    storage: Storage | None = Field(default=None, description="what connections and writes to S3 must be")
    lineage: Lineage | None = Field(default=None, description="OpenLineage events: a file, or an endpoint's url")
    access: Access = Field(default_factory=Access)
    approvals: tuple[Approval, ...] = Field(default=(), description="signed exceptions to the policy's protections")
    audit: Audit | None = Field(
        default=None, description="where the event of every verb goes; without it, none is kept"
    )
    erasure: Erasure | None = Field(default=None, description="without it, 'dataward erase' has nobody to look for")
    retention: Retention | None = Field(
        default=None, description="how long old versions stay readable; default: Delta's week"
    )
    rules_after: str = Field(default="", description="DQDL about the protected rows, judged before they are published")
    joins: tuple[Join, ...] = Field(default=(), description="columns of other tables that must join, or must not")
    quasi_identifiers: Annotated[
        dict[str, tuple[Generalize, ...]],
        BeforeValidator(_without_forms),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "array", "items": {"type": "string"}},
                    {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "object"}}},
                ]
            }
        ),
    ] = Field(
        default_factory=dict,
        description="columns by which, together, people could be recognised: the report shows the crowds they stand in. A list of "
        "names, or name: [generalize parameters from fine to coarse] for 'dataward anonymize'",
    )
    metrics: Literal["exact", "private"] = Field(
        default="exact",
        description="private: reports, history and profiles hold no exact number of the rows; what 'private_metrics' names is "
        "released with differential privacy",
    )
    private_metrics: PrivateMetrics | None = Field(default=None, description="with metrics: private")
    parity: bool = Field(default=False, description="report what protection keeps of each column; two more passes")

    @field_validator("columns", mode="after")
    @classmethod
    def _names_differ(cls, columns: dict[str, Column]) -> dict[str, Column]:
        # Spark compares column names without case: two lines for one column would be a coin toss.
        seen: dict[str, str] = {}
        for name in columns:
            if name.lower() in seen:
                raise ValueError(f"'{name}' and '{seen[name.lower()]}' name the same column (Spark ignores case)")
            seen[name.lower()] = name
        return columns

    @model_validator(mode="after")
    def _holds_together(self) -> Contract:
        if "primary" in self.references:
            raise Misfit("'primary' is the source itself: call the reference something else", "references", "primary")
        if callers := [alias for alias, place in self.references.items() if place.format in ("frame", "kafka")]:
            kind = self.references[callers[0]].format
            raise Misfit(
                f"reference '{callers[0]}' has format {kind}, which goes with 'source' only: name a path or a table",
                "references",
                callers[0],
            )
        for name in self.target.on:
            _fits_key(name, self.column(name).protect)
        for name in self.target.partition_by:
            if not self.column(name).protect.keeps:
                raise Misfit(
                    f"partition column '{name}' must be 'keep': its values stand in directory names", "columns", name
                )
        for name in self.target.partition:
            if name not in self.target.partition_by:
                raise Misfit(f"'partition' names '{name}', which is not in 'partition_by'", "target", "partition")
        self._refuse_clashes()
        return self

    def _refuse_clashes(self) -> None:
        """Raise ValueError where two tables have one place, or one lies in another's folder, whose vacuum would delete its files."""
        places = [("source", self.source), *self.tables.items()]
        for (one, place), (other, beside) in combinations(places, 2):
            if place.same(beside):
                raise Misfit(f"{one} and {other} have the same place {place}: give each a place of its own", other)
            if place.holds(beside) or beside.holds(place):
                raise Misfit(
                    f"{one} ({place}) and {other} ({beside}) lie one inside the other: put them side by side", other
                )
        for head in (Location(path=head.directory) for head in self.heads if head.directory):
            for what, place in self.tables.items():
                if place.same(head) or place.holds(head):
                    raise Misfit(
                        f"heads lie in the {what}'s folder ({place}), where whoever can change it can change them too: name "
                        "a folder of another owner",
                        "heads",
                    )

    @model_validator(mode="after")
    def _tells_privately(self) -> Contract:
        if (self.metrics == "private") != (self.private_metrics is not None):
            raise Misfit(
                "'metrics: private' and 'private_metrics' go together: add private_metrics: {unit: COLUMN, rows_per_unit: N, "
                "between: {COLUMN: [low, high]}, epsilon: E, from: BUDGETS}, or remove the other",
                "metrics" if self.metrics == "private" else "private_metrics",
            )
        if self.metrics == "private":
            of_rows = ("windows", "parity", "quasi_identifiers")
            if given := [name for name in of_rows if getattr(self, name)]:
                raise Misfit(
                    f"'{given[0]}' reports exact numbers of the rows: with metrics: private remove it", given[0]
                )
            if self.target.profile:
                raise Misfit(
                    "'target.profile' keeps exact sketches of the rows: with metrics: private remove it",
                    "target",
                    "profile",
                )
        return self

    @model_validator(mode="after")
    def _refreshes(self) -> Contract:
        if self.target.mode != "refresh":
            return self
        if self.engine != "spark":
            raise Misfit("mode refresh needs engine: spark, which adds up what partitions come to", "target", "mode")
        if self.source.format in ("frame", "jdbc", "kafka", "iceberg"):
            raise Misfit(
                f"mode refresh reads changed partitions of files or of a Delta table: with source format {self.source.format} use "
                "another mode",
                *("target", "mode"),
            )
        if self.source.format in ("csv", "json") and self.source.schema_ is None:
            raise Misfit(
                f"mode refresh of {self.source.format} needs source.schema: without it every file is read", "source"
            )
        # Properties of the whole table, which its parts do not determine.
        of_all = ("checks", "treat", "rules_after", "quasi_identifiers", "windows", "parity")
        if given := [name for name in of_all if getattr(self, name)]:
            raise Misfit(
                f"mode refresh reads changed partitions alone, and '{given[0]}' needs all rows: remove one of the two",
                given[0],
            )
        return self

    @model_validator(mode="after")
    def _finds_people(self) -> Contract:
        if self.erasure is None:
            if shredding := [name for name, line in self.columns.items() if line.protect.shreds]:
                raise Misfit(
                    f"column '{shredding[0]}': shred needs erasure: {{subject: COLUMN}}, whose keys it uses",
                    *("columns", shredding[0]),
                )
            return self
        subject, retain = self.erasure.subject, self.erasure.retain
        if subject.lower() in {name.lower() for name in (*self.treat.normalise, *self.treat.missing)}:
            raise Misfit(
                f"'{subject}' is treated: a person is found by the value that the source holds",
                *("erasure", "subject"),
            )
        if not (operator := self.column(subject).protect).findable:
            raise Misfit(
                f"'{subject}' is protected by {operator.op}, by which nobody is found again: subjects need "
                f"{', '.join(having('findable'))}",
                *("erasure", "subject"),
            )
        if retain and not self.column(retain.column).protect.keeps:
            raise Misfit(f"'{retain.column}' must be 'keep': its dates are compared", "erasure", "retain")
        return self

    def column(self, name: str) -> Column:
        """Return the entry of a column, or what ``default`` gives a column without one; names compare without case."""
        return self.line(name)

    def line(self, name: str, path: tuple[str, ...] = ()) -> Column:
        """Return the column entry with the longest matching path prefix."""
        return self.decided(name, path) or Column(protect=_FALLBACKS.get(self.default, Keep()))

    def decided(self, name: str, path: tuple[str, ...] = ()) -> Column | None:
        """Return the same as :meth:`line`, or None where no entry matches."""
        for length in range(len(path), -1, -1):
            if line := self._lines.get(".".join((name, *path[:length])).lower()):
                return line
        if (shadowed := self.shadowed(name)) is not None:
            return self.decided(shadowed, path)
        return self.policy.by_name(".".join((name, *path))) if self.policy else None

    def shadowed(self, name: str) -> str | None:
        """Return the column for which this one holds a rotation's other key version in the target; None for a column of its own."""
        named = SHADOW.fullmatch(name)
        if named is None or name.lower() in self._lines:
            return None
        line = self.decided(named.group(1))
        return named.group(1) if line is not None and line.protect.shadowed else None

    def sensitive(self, name: str) -> bool:
        """Return whether a column, or anything inside of it, is kept out of Delta's statistics and of reports."""
        name = self.shadowed(name) or name
        if self.erasure and name.lower() == self.erasure.subject.lower():
            return True
        below = f"{name.lower()}."
        return self.line(name).sensitive or any(
            line.sensitive for path, line in self._lines.items() if path.startswith(below)
        )

    @cached_property
    def _lines(self) -> dict[str, Column]:
        return {name.lower(): line for name, line in self.columns.items()}

    def domain(self, column: Column) -> str:
        """Return the key domain of a column."""
        return column.domain or self.keys.domain

    @property
    def domains(self) -> tuple[str, ...]:
        """Every key domain that this table uses: its own, which seals it, and those of its columns."""
        lines = [*self.columns.values()]
        lines += [inner for line in lines if isinstance(line.protect, Json) for inner in line.protect.fields.values()]
        return tuple(dict.fromkeys((self.keys.domain, *(self.domain(line) for line in lines))))

    @property
    def asks_output(self) -> bool:
        """Whether the protected rows are examined before they are published."""
        return bool(self.rules_after.strip() or self.joins or self.policy or self.quasi_identifiers)

    @property
    def tables(self) -> dict[str, Location]:
        """Every table that this contract writes, by what it holds; the target first."""
        entered = {
            f"{line.protect.op} of '{line.protect.path}'": Location(path=line.protect.path)
            for line in self.columns.values()
            if isinstance(line.protect, Vault | Shred)
        }
        found = {
            "target": self.target,
            "quarantine": self.quarantine_location,
            "changes": self.changes_location,
            "ledger": self.ledger_location,
            "erased subjects": self.erased_location if self.erasure else None,
            "history": self.history_location if self.history else None,
            "states": self.states_location if self.target.mode == "refresh" else None,
            "windows": self.windows_location if self.windows else None,
            **entered,
        }
        return {what: place for what, place in found.items() if place}

    @property
    def quarantine_location(self) -> Location | None:
        """Location of the quarantine; None: diverted rows are dropped, or there is none."""
        return self.quarantine.location if self.quarantine else None

    @property
    def changes_location(self) -> Location | None:
        """Location of the table of changed cells; None: none is kept."""
        return self.target.beside("changes") if self.treat.changes else None

    @property
    def row_tables(self) -> tuple[Location, ...]:
        """Every table that holds rows, protected as the target's are; the target first."""
        return tuple(place for place in (self.target, self.quarantine_location, self.changes_location) if place)

    @property
    def ledger_location(self) -> Location:
        """Location of the ledger."""
        return self.ledger or self.target.beside("ledger")

    @property
    def erased_location(self) -> Location:
        """Location of the table of erased subjects."""
        return self.target.beside("erased")

    @property
    def states_location(self) -> Location:
        """Location of the states of partitions."""
        return self.target.beside("states")

    @property
    def windows_location(self) -> Location:
        """Location of the measurements per window."""
        return self.target.beside("windows")

    @property
    def history_location(self) -> Location:
        """Location of the history of runs."""
        return (self.history and self.history.location) or self.target.beside("history")


def _fits_key(name: str, protection: Protection) -> None:
    """Raise ValueError where a merge key's protection would not find the row again."""
    if not protection.injective:
        raise Misfit(
            f"merge key '{name}' is protected by {protection.op}, which does not keep equal values equal and others "
            f"apart: keys need {', '.join(having('injective'))}",
            *("columns", name),
        )
    if isinstance(protection, Fallible) and protection.invalid.action == "null":
        raise Misfit(f"merge key '{name}': 'invalid: null' would make keys null, which match nothing", "columns", name)


_FALLBACKS: dict[str, Redact | Drop | Keep] = {"redact": Redact(), "drop": Drop()}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a contract file, for editors."""
    schema = Contract.model_json_schema(by_alias=True)
    column = schema["$defs"]["Column"]
    column["properties"]["protect"] = written_form()
    del column["required"]  # under a policy the class is enough
    column["anyOf"] = [{"required": ["protect"]}, {"required": ["class"]}]
    schema["properties"]["discovery"] = {"anyOf": [{"$ref": "#/$defs/Discovery"}, {"enum": ["off", False]}]}
    similar = schema["$defs"]["Duplicates"]["properties"]["similar"]
    similar["additionalProperties"] = {"anyOf": [{"$ref": "#/$defs/Comparison"}, {"enum": [*get_args(Kind)]}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
