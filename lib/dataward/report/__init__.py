"""Report the result of a run: one model, written as JSON and rendered as one HTML page."""

from dataward.report.html import draw
from dataward.report.model import Phase, Place, RunResult
from dataward.report.write import is_remote, place, put, write

__all__ = ["Phase", "Place", "RunResult", "draw", "is_remote", "place", "put", "write"]
