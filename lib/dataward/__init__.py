"""Dataward checks, masks and seals Delta tables at Spark scale before analytics or AI may use them.

The rooms, each of which imports only from rooms below it::

    cli          arguments, exit codes, what a terminal shows
    verbs        one use case per file: verify, history, profile, discover, rotate, erase, ...
    pipeline     publish and its stages: plan, repair, judge, split, protect, examine, write, seal
    profiling    profiles of tables, rules suggested from them
    quality      DQDL rules, engines, verdicts      privacy    detectors, operators, subjects
    integrity    digest, seal, ledger, residue      report     result model, JSON and HTML
    keys         providers and versions of key domains
    tables       pinned reads and Delta commits
    spark        sessions, jars, Java, workers
    contract     what may be written in a contract  errors     every error, in one tree

From Python::

    import dataward

    result = dataward.publish(spark, dataward.plan("people.yaml"))
    proof = dataward.verify(spark, dataward.plan("people.yaml"))

and where a model is served, without Spark::

    record = dataward.protect("people.yaml", {"given_name": "ada", "state": "nsw"})
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import get_data
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataward.contract import Source
    from dataward.contract.sets import load_set
    from dataward.inference import Protector, protect, score
    from dataward.keys import create_keyring
    from dataward.pipeline.plan import Plan, plan
    from dataward.report import RunResult
    from dataward.verbs.datasets import hugging_face_dataset, torch_dataset
    from dataward.verbs.diff import diff
    from dataward.verbs.discover import Asked, discover
    from dataward.verbs.history import history
    from dataward.verbs.monitor import monitor
    from dataward.verbs.preflight import preflight
    from dataward.verbs.profile import profile
    from dataward.verbs.publish import publish
    from dataward.verbs.read import read, reading
    from dataward.verbs.reconcile import reconcile
    from dataward.verbs.release_set import publish_set, read_set, verify_set
    from dataward.verbs.restore import restore
    from dataward.verbs.score import score_table
    from dataward.verbs.stream import stream
    from dataward.verbs.suggest import suggest
    from dataward.verbs.train import train
    from dataward.verbs.vacuum import vacuum
    from dataward.verbs.verify import verify

__all__ = [
    "Asked",
    "Plan",
    "Protector",
    "RunResult",
    "Source",
    "__version__",
    "create_keyring",
    "diff",
    "discover",
    "history",
    "hugging_face_dataset",
    "load_set",
    "monitor",
    "plan",
    "preflight",
    "profile",
    "protect",
    "publish",
    "publish_set",
    "read",
    "read_set",
    "reading",
    "reconcile",
    "restore",
    "score",
    "score_table",
    "stream",
    "suggest",
    "torch_dataset",
    "train",
    "vacuum",
    "verify",
    "verify_set",
]

__version__ = (
    (get_data(__name__, "VERSION") or b"").decode().strip()
)  # importlib.resources takes longer to import than all else here

_HOMES = {
    "contract": ("Source",),
    "contract.sets": ("load_set",),
    "inference": ("Protector", "protect", "score"),
    "keys": ("create_keyring",),
    "pipeline.plan": ("Plan", "plan"),
    "verbs.publish": ("publish",),
    "report": ("RunResult",),
    "verbs.datasets": ("hugging_face_dataset", "torch_dataset"),
    "verbs.diff": ("diff",),
    "verbs.discover": ("Asked", "discover"),
    "verbs.history": ("history",),
    "verbs.monitor": ("monitor",),
    "verbs.preflight": ("preflight",),
    "verbs.profile": ("profile",),
    "verbs.read": ("read", "reading"),
    "verbs.reconcile": ("reconcile",),
    "verbs.release_set": ("publish_set", "read_set", "verify_set"),
    "verbs.score": ("score_table",),
    "verbs.restore": ("restore",),
    "verbs.stream": ("stream",),
    "verbs.suggest": ("suggest",),
    "verbs.train": ("train",),
    "verbs.vacuum": ("vacuum",),
    "verbs.verify": ("verify",),
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: one verb needs little of the package."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"dataward.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
