"""Intakes of a whole table, changed partitions, a micro-batch and released quarantine rows."""

from dataward.pipeline.intake.base import Intake, Judged, Pinned, Ready, Split, Waiting
from dataward.pipeline.intake.changed import ChangedPartitions
from dataward.pipeline.intake.whole import WholeTable

__all__ = ["ChangedPartitions", "Intake", "Judged", "Pinned", "Ready", "Split", "Waiting", "WholeTable"]
