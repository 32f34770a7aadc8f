"""Spark Connect: sessions of a run, and Dataward's own code on the server's Python workers.

A run works in a second session of the same server, so that the user's settings and temporary views stay as they are. Where a
platform gives no second session, the user's is used, and its settings are restored afterwards.
"""

from __future__ import annotations

import atexit
import hashlib
import io
import json
import logging
import os
import tempfile
import threading
import time
import warnings
import weakref
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.errors import SessionError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["activate", "connected", "fingerprint", "isolated", "to_arrow", "unlogged", "wants_remote"]

FREE: dict[str, list[tuple[float, Any]]] = {}
"""Second sessions that no run uses at present, with the time of their last use, by the ID of the session that they were made for."""
IDLE = 600.0
"""Seconds after which a session is not used again: a server forgets idle ones, and the code that was sent to them."""
LOCK = threading.Lock()
PATIENCE = 20
"""Seconds in which a server must answer."""
READY: set[str] = set()
"""IDs of sessions whose workers have this version of Dataward."""
SOURCES = (".py", ".java", ".json", ".lark", ".txt", ".sha256", "VERSION")


def wants_remote() -> bool:
    """Return whether this process asks for Spark Connect: ``SPARK_REMOTE`` is set, or such a session was started."""
    return "SPARK_REMOTE" in os.environ or "SPARK_CONNECT_MODE_ENABLED" in os.environ


def connected() -> Any:
    """Return the active session of Spark Connect, or a new one at ``SPARK_REMOTE``.

    Raises:
        SessionError: the server cannot be reached, a package of the client is missing, or the server has no Delta.
    """
    where = os.environ.get("SPARK_REMOTE", "the active session's server").partition(";")[0]  # a token may follow
    try:
        from pyspark.sql import SparkSession
        from pyspark.sql.connect.session import SparkSession as Remote

        spark: Any = Remote.getActiveSession()
        if spark is None:
            _answers(os.environ.get("SPARK_REMOTE", ""), where)
            spark = SparkSession.builder.getOrCreate()
            _close_at_exit(spark)
    except SessionError:
        raise
    except ImportError as error:
        raise SessionError(
            f"Spark Connect needs a package that is missing ({error.name or _short(error)}): pip install 'dataward[connect]'"
        ) from None
    except Exception as error:
        raise SessionError(f"Spark Connect at {where}: no session ({_short(error)})") from None
    try:
        spark.sql("describe history delta.`/dataward/no/such/table`").collect()
    except Exception as error:
        said = str(error)
        if "PARSE_SYNTAX_ERROR" in said or "ParseException" in said:
            raise SessionError(
                f"Spark Connect at {where}: the server has no Delta. Start it with io.delta:delta-spark and the settings of "
                "conf/spark/ (spark.sql.extensions, spark.sql.catalog.spark_catalog)"
            ) from None
    return spark


def _answers(url: str, where: str) -> None:
    """Check that a server answers: the client itself would try for minutes.

    Raises:
        SessionError: it does not.
    """
    if not url.startswith("sc://"):
        return
    import grpc
    from pyspark.sql.connect import client

    builder: Any = getattr(client, "DefaultChannelBuilder", None) or client.ChannelBuilder  # Spark 4; 3.5
    with builder(url).toChannel() as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=PATIENCE)
        except grpc.FutureTimeoutError:
            raise SessionError(
                f"Spark Connect at {where}: no server answered within {PATIENCE} s. Check --remote (or SPARK_REMOTE), and that it runs"
            ) from None


def _short(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


@contextmanager
def isolated(spark: Any, settings: Mapping[str, str], as_before: Mapping[str, str]) -> Iterator[Any]:
    """Yield a second session of a Connect session's server, with settings, whose workers have this Dataward; see the module.

    ``as_before``: settings by which values are as in Spark 3.5. A platform that refuses them uses its own, which is a warning.
    """
    own = _second(spark)
    shared = own is None
    own = spark if own is None else own
    wanted = {**settings, **as_before}
    before, views = _settings(own, wanted), _views(own)
    active = _active()
    try:
        with unlogged():
            if other := [key for key in _apply(own, wanted) if key in as_before]:
                warnings.warn(
                    "this platform does not let a session set how Spark 3.5 reads some values, so that rare ones may differ from those "
                    f"of other sessions (docs/connect.md): {', '.join(other)}",
                    stacklevel=2,
                )
            activate(own)
            _provide(own)
            yield own
    finally:
        activate(active or spark)
        with suppress(Exception):  # the server may be gone: the block's own error says more
            _restore(own, before, _settings(own, wanted))
            for name in _views(own) - views:
                own.catalog.dropTempView(name)
            if not shared:
                with LOCK:
                    FREE.setdefault(spark.session_id, []).append((time.monotonic(), own))


@contextmanager
def unlogged() -> Iterator[None]:
    """Suppress the logs of Spark Connect's client: they print whole plans, with the functions that hold keys, and errors with data."""
    manager = logging.root.manager
    loggers = [logging.getLogger(name) for name in list(manager.loggerDict) if name.startswith("pyspark.sql.connect")]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


def _second(spark: Any) -> Any:
    """Return another session of the same server; None where the platform gives none."""
    with LOCK:
        waiting = FREE.pop(spark.session_id, [])
        fresh = [one for one in waiting if time.monotonic() - one[0] < IDLE]
        if fresh:
            FREE[spark.session_id] = fresh[:-1]
            return fresh[-1][1]
    with suppress(Exception):
        made = type(spark)(connection=spark.client._builder)
        made.conf.get("spark.sql.session.timeZone")  # the server's answer
        _close_at_exit(made)
        return made
    return None


def _close_at_exit(spark: Any) -> None:
    """Close a session's channel before Python ends its threads: PySpark 4.2 closes it when none is left that could, and waits for ever."""
    kept = weakref.ref(spark.client)

    def close() -> None:
        if (client := kept()) is not None:
            with suppress(Exception):
                client.close()

    atexit.register(close)


def _settings(spark: Any, names: Iterable[str]) -> dict[str, str]:
    """Return the settings of a session; those with some names, where the platform does not list them."""
    with suppress(Exception):
        return {row[0]: row[1] for row in spark.sql("SET").collect()}
    found = {}
    for name in names:
        with suppress(Exception):  # hidden
            found[name] = spark.conf.get(name)
    return found


def _views(spark: Any) -> set[str]:
    with suppress(Exception):
        return {row[0] for row in spark.sql("SHOW VIEWS").where("isTemporary").select("viewName").collect()}
    return set()


def _apply(spark: Any, settings: Mapping[str, str]) -> list[str]:
    """Set what changes the meaning of values; returns the settings that the platform refuses and hides: it has Spark's defaults.

    Raises:
        SessionError: the platform refuses a setting and has another value.
    """
    refused, hidden = [], []
    for key, value in settings.items():
        try:
            spark.conf.set(key, value)
        except Exception:
            try:
                if str(spark.conf.get(key)).lower() != value.lower():
                    refused.append(f"{key}={value}")
            except Exception:
                hidden.append(key)
    if refused:
        raise SessionError(f"this Spark Connect session refuses settings that Dataward needs: {', '.join(refused)}")
    return hidden


def _restore(spark: Any, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    for key in after.keys() - before.keys():
        with suppress(Exception):  # not a setting of the session
            spark.conf.unset(key)
    for key, value in before.items():
        if after.get(key) != value:
            with suppress(Exception):
                spark.conf.set(key, value)


def _active() -> Any:
    from pyspark.sql.connect.session import SparkSession

    return SparkSession.getActiveSession()


def activate(spark: Any) -> None:
    """Set the active session of this thread."""
    type(spark)._active_session.session = spark


def to_arrow(frame: Any) -> pa.Table:
    """Collect a frame of Spark Connect as an Arrow table."""
    if hasattr(frame, "toArrow"):  # Spark 4
        return frame.toArrow()
    client = frame.sparkSession.client
    return client.to_table(frame._plan.to_proto(client))[0]


@cache
def fingerprint() -> str:
    """Return the SHA-256 (hex) of this package's files."""
    hashed = hashlib.sha256()
    for name, data in _package():
        hashed.update(f"{name} {hashlib.sha256(data).hexdigest()}\n".encode())
    return hashed.hexdigest()


def _package() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the files of this package, sorted."""
    found: list[tuple[str, bytes]] = []
    pending = [("dataward", files("dataward"))]
    while pending:
        name, place = pending.pop()
        for entry in place.iterdir():
            inside = f"{name}/{entry.name}"
            if entry.is_dir() and entry.name != "__pycache__":
                pending.append((inside, entry))
            elif entry.is_file() and entry.name.endswith(SOURCES):
                found.append((inside, entry.read_bytes()))
    yield from sorted(found)


def _provide(spark: Any) -> None:
    """Give the server's Python workers this version of Dataward, unless they have it.

    Raises:
        SessionError: the workers lack a package, or have another version of Python.
    """
    if spark.session_id in READY:
        return
    mine = fingerprint()
    found = _asked(spark)
    if found.get("fingerprint") != mine:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder, f"dataward-{mine[:16]}.zip")
            archive.write_bytes(_zipped())
            try:
                spark.addArtifacts(str(archive), pyfile=True)
            except Exception as error:
                raise SessionError(
                    f"Dataward cannot be sent to the Python of the Spark Connect server ({_short(error)}): install it there, in "
                    "this version (on Databricks: %pip install dataward, or the environment of the job)"
                ) from None
        found = _asked(spark)
    if found.get("fingerprint") != mine:
        why = found.get("error") or f"it has another Dataward ({found.get('place')})"
        raise SessionError(
            f"the Python of the Spark Connect server cannot run Dataward: {why}. Install the same version of Dataward there, with "
            "its dependencies (on Databricks: %pip install dataward, or the environment of the job)"
        )
    READY.add(spark.session_id)


def _zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _package():
            archive.writestr(zipfile.ZipInfo(name), content)
    return data.getvalue()


def _asked(spark: Any) -> dict[str, str]:
    """Ask a worker for its Dataward: its fingerprint, or the error of its import."""
    try:
        row = spark.range(1).mapInArrow(_probe(), "answer string").first()
    except Exception as error:
        return {"error": _short(error)}
    return dict(json.loads(row[0])) if row else {"error": "no answer"}


def _probe() -> Any:
    """Return a function that is sent with its code, because the workers may not have this module."""

    def answer(batches: Iterable[Any]) -> Iterator[Any]:
        import importlib
        import json

        import pyarrow

        for _ in batches:
            try:
                _, own = map(importlib.import_module, ("dataward.privacy.protect.compiled", "dataward.spark.remote"))
                found = {"fingerprint": own.fingerprint(), "place": str(own.__file__)}
            except Exception as error:
                found = {"error": f"{type(error).__name__}: {error}"}
            yield pyarrow.RecordBatch.from_arrays([pyarrow.array([json.dumps(found)])], names=["answer"])

    answer.__module__ = "__main__"
    return answer
