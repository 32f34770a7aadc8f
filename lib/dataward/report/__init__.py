"""The result of a run: one model, JSON as the truth, one HTML page drawn from it."""

from dataward.report.model import Phase, Place, RunResult
from dataward.report.write import place, write

__all__ = ["Phase", "Place", "RunResult", "place", "write"]
