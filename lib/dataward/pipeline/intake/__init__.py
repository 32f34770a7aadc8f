"""Intakes of a whole table, a caller's DataFrame, changed partitions, a micro-batch and released quarantine rows."""

from dataward.pipeline.intake.base import Intake, Judged, Pinned, Ready, Split, Waiting
from dataward.pipeline.intake.changed import ChangedPartitions
from dataward.pipeline.intake.given import GivenFrame
from dataward.pipeline.intake.whole import WholeTable

__all__ = ["ChangedPartitions", "GivenFrame", "Intake", "Judged", "Pinned", "Ready", "Split", "Waiting", "WholeTable"]
