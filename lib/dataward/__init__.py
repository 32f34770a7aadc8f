"""Dataward checks, masks and seals Delta tables at Spark scale before analytics or AI may use them.

The map::

    cli          one command line for every verb
    publish      source -> judge -> split -> protect -> commit -> seal -> report
    verify       recompute a seal                 history    versions with their seals
    plan         a contract file, checked         contract   what may be written in it
    quality      DQDL rules, engines, verdicts    privacy    keys and protections
    integrity    digest, seal, ledger             report     result model, JSON and HTML
    tables       pinned reads, Delta commits      session    the way to a SparkSession

From Python::

    from dataward.plan import plan
    from dataward.publish import publish

    result = publish(spark, plan("people.yaml"))
"""

from importlib.resources import files

__all__ = ["__version__"]

__version__ = (files(__name__) / "VERSION").read_text(encoding="utf-8").strip()
