"""What the rules about disclosure risk have in common. They are Dataward's own: Glue does not know them."""

from __future__ import annotations

from dataward.compare import Incomparable
from dataward.privacy.risk import TooManyValues
from dataward.quality.metrics import Unmeasured
from dataward.quality.rules.base import Finding, Probe, Scene
from dataward.tables.reason import reason

__all__ = ["Disclosure"]


class Disclosure(Probe):
    """Quasi-identifiers first; ``others`` more parameters after them."""

    parameters = (1, None)
    reads = "query"
    ours = True
    others = 0

    @property
    def quasi_identifiers(self) -> tuple[str, ...]:
        return self.statement.parameters[: len(self.statement.parameters) - self.others]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.statement.parameters

    def found(self, scene: Scene) -> float | None:
        raise NotImplementedError

    def probe(self, scene: Scene) -> Finding:
        try:
            found = self.found(scene)
        except TooManyValues:
            raise Unmeasured(
                f"'{self.statement.parameters[-1]}' has too many different numbers: put them in buckets"
            ) from None
        except Incomparable as error:
            raise Unmeasured(f"{error.what}: {error.remedy}") from None
        except Exception as error:
            raise Unmeasured(f"it could not be counted: {reason(error)}") from None
        return Finding(None if found is None else float(found))
