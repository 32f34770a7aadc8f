"""Dataward checks, masks and seals Delta tables at Spark scale before analytics or AI may use them.

The map::

    cli          one command line for every verb
    publish      source -> judge -> split -> protect -> commit -> seal -> report
    verify       recompute a seal                 history    versions with their seals
    inference    protection without Spark
    plan         a contract file, checked         contract   what may be written in it
    quality      DQDL rules, engines, verdicts    privacy    keys and protections
    integrity    digest, seal, ledger             report     result model, JSON and HTML
    tables       pinned reads, Delta commits      session    the way to a SparkSession

From Python::

    from dataward.plan import plan
    from dataward.publish import publish

    result = publish(spark, plan("people.yaml"))

and where a model is served, without Spark::

    import dataward

    record = dataward.protect("people.yaml", {"given_name": "ada", "state": "nsw"})
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataward.inference import Protector, protect

__all__ = ["Protector", "__version__", "protect"]

__version__ = (files(__name__) / "VERSION").read_text(encoding="utf-8").strip()


def __getattr__(name: str) -> Any:
    """``protect`` and ``Protector`` on first use: most of the package needs neither Arrow nor cryptography."""
    if name in ("Protector", "protect"):
        from dataward import inference

        return getattr(inference, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
