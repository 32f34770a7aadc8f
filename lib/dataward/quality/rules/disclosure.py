"""Base classes of the rules about disclosure risk, which are Dataward's own and unknown to Glue."""

from __future__ import annotations

from dataward.quality.metrics import Unmeasured
from dataward.quality.risk import TooManyValues
from dataward.quality.rules.families import Finding, Probe, Scene
from dataward.spark.compare import Incomparable
from dataward.tables.reason import reason

__all__ = ["AgainstReference", "Disclosure"]


class Disclosure(Probe):
    """A rule whose parameters are quasi-identifiers and, after them, ``others`` further parameters."""

    parameters = (1, None)
    reads = "query"
    ours = True
    others = 0

    @property
    def quasi_identifiers(self) -> tuple[str, ...]:
        """The quasi-identifiers."""
        return self.statement.parameters[: len(self.statement.parameters) - self.others]

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the source that the rule reads."""
        return self.statement.parameters

    def found(self, scene: Scene) -> float | None:
        """Measure the rule."""
        raise NotImplementedError

    def probe(self, scene: Scene) -> Finding:
        """Measure the rule."""
        try:
            number = self.found(scene)
        except TooManyValues:
            raise Unmeasured(
                f"'{self.statement.parameters[-1]}' has too many different numbers: put them in buckets"
            ) from None
        except Incomparable as error:
            raise Unmeasured(f"{error.what}: {error.remedy}") from None
        except Exception as error:
            raise Unmeasured(f"it could not be counted: {reason(error)}") from None
        return Finding(None if number is None else float(number))


class AgainstReference(Disclosure):
    """A rule that compares classes of the table with those of a reference, its last parameter."""

    parameters = (2, None)
    others = 1

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the source that the rule reads."""
        return self.quasi_identifiers

    @property
    def aliases(self) -> tuple[str, ...]:
        """References that the rule reads."""
        return (self.statement.parameters[-1],)

    def reference_columns(self) -> dict[str, tuple[str, ...]]:
        """Return the columns of each reference that the rule reads."""
        return {self.aliases[0]: self.quasi_identifiers}
