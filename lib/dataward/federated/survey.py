"""Sums over sites without a model: one question, one answer. The verb of the survey interprets the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from dataward.contract.base import Name
from dataward.contract.load import read_model
from dataward.errors import SiteRefused
from dataward.federated.course import State
from dataward.federated.encode import Integers, Numbers, to_fixed, to_signed
from dataward.federated.plan import Agreed, SiteEntry, more_than_half, unreadable_keys

__all__ = ["SurveyPlan", "Tally", "read_survey"]

RETRIES = 20


class SurveyPlan(Agreed):
    """Rules that are judged over several sites' tables together."""

    survey: Name
    rules: str = Field(min_length=1, description="DQDL, as in a contract")
    columns: dict[str, str] = Field(
        min_length=1, description="Spark's type of each column that the rules name, e.g. double"
    )
    sites: tuple[SiteEntry, ...] = Field(min_length=2, max_length=1000)
    minimum_sites: int = Field(ge=2)
    timeout: float = Field(default=60, gt=0, le=86_400, description="seconds that a site may take for one answer")
    output: str = Field(min_length=1, description="folder of the result and of the coordinator's progress")

    @model_validator(mode="after")
    def _holds_together(self) -> SurveyPlan:
        more_than_half(self.sites, self.minimum_sites)
        return self

    @property
    def plan(self) -> str:
        """Name of the survey."""
        return self.survey


def read_survey(path: str | Path) -> SurveyPlan:
    """Read a survey; raises ContractError with all mistakes."""
    survey = read_model(path, SurveyPlan)
    unreadable_keys(path, survey.sites)
    return survey


class Tally:
    """The course of a survey: one sum of a fixed number of integers, each with its own scale."""

    columns: tuple[str, ...] = ()
    steps = 1 + RETRIES
    noise = None

    def __init__(self, survey: SurveyPlan, scales: Sequence[float]) -> None:
        """Keep the scales; a site and the coordinator derive them from the same rules."""
        self.plan, self._scales = survey, np.asarray(scales, dtype=np.float64)

    def start(self) -> State:
        """Return the state before the sum."""
        return State("fit", 0, 0.0, (), (), {})

    def ask(self, state: State) -> dict[str, Any]:
        """Return the question."""
        return {"kind": "tally"}

    def size(self, question: Mapping[str, Any]) -> int:
        """Return the number of integers; raise SiteRefused for another question."""
        if dict(question) != self.ask(self.start()):
            raise SiteRefused("the survey has one question, and it is another one")
        return len(self._scales)

    def contribution(self, question: Mapping[str, Any], rows: Numbers) -> Integers:
        """Return a site's numbers in fixed point."""
        parts = [to_fixed(rows[n : n + 1], scale, len(self.plan.sites)) for n, scale in enumerate(self._scales)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)

    def take(self, state: State, question: Mapping[str, Any], integers: Integers) -> State:
        """Store the sums and finish."""
        return replace(state, phase="done", evaluation={"sums": (to_signed(integers) / self._scales).tolist()})
