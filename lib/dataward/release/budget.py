"""The table of budgets: entries are appended in serial transactions, also by concurrent writers.

The n-th append is the n-th transaction of one application, so that of several writers with the same state one wins and the
others decide again on the new state. Concurrent requests of threads of one process are decided in one transaction.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, fields
from typing import TYPE_CHECKING

from dataward.contract import Location
from dataward.errors import TargetError
from dataward.release.account import Entry, decided
from dataward.tables import commits, delta
from dataward.tables.reason import reason

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["ask", "entries", "found"]

APP = "dataward/budget"
TRIES = 100
SCHEMA = (
    "turn bigint, place int, nonce string, kind string, dataset string, unit string, run_id string, epsilon double, delta double, "
    "rho double, hidden double, purpose string, reservation string, composition string, sha256 string, draw string, secret string, "
    "who string, time string, reason string"
)


class _Queue:
    """Requests of this process that wait for one table, and the only thread that answers them.

    An interrupted caller leaves its request, which is decided all the same: a rerun finds the charge.
    """

    def __init__(self) -> None:
        self.lock, self.writer = threading.Lock(), ThreadPoolExecutor(1, "dataward-budget")
        self.waiting: list[tuple[Entry, Future[Entry]]] = []


_QUEUES: dict[str, _Queue] = defaultdict(_Queue)
_MAKING = threading.Lock()
GATHERS = 0.02
"""Seconds before a transaction, in which threads that were just answered ask again and get into the same one."""


def ask(spark: SparkSession, place: Location, asked: Entry) -> Entry:
    """Enter a cap, reservation or charge if it fits, and return the entry: the same, an earlier charge, or a refusal.

    Raises:
        TargetError: the table cannot be written.
    """
    with _MAKING:
        queue = _QUEUES[str(place)]
    mine: Future[Entry] = Future()
    with queue.lock:
        queue.waiting.append((asked, mine))
    queue.writer.submit(_answer, spark, place, queue)
    return mine.result()


def _answer(spark: SparkSession, place: Location, queue: _Queue) -> None:
    """Answer all waiting requests in one transaction; none wait if the one before has answered them."""
    if not queue.waiting:
        return
    time.sleep(GATHERS)
    with queue.lock:
        batch, queue.waiting = queue.waiting, []
    try:
        answers = _entered(spark, place, [one for one, _ in batch])
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)
    except BaseException as error:
        for _, future in batch:
            future.set_exception(error)


def _entered(spark: SparkSession, place: Location, asked: list[Entry]) -> list[Entry]:
    """Decide requests on the newest state and append new entries; repeat while another writer was faster."""
    for tried in range(TRIES):
        turn, known = _read(spark, place)
        answers: list[Entry] = []
        new: list[Entry] = []
        for one in asked:
            answers.append(decided((*known, *new), one))
            if answers[-1] not in known and answers[-1] not in new:
                new.append(answers[-1])
        if not new:
            return answers
        nonce = uuid.uuid4().hex
        rows = [(turn + 1, number, nonce, *astuple(one)) for number, one in enumerate(new)]
        try:
            frame = spark.createDataFrame(rows, SCHEMA).coalesce(1)
            transaction = commits.Transaction(APP, {"turn": turn + 1, "nonce": nonce})
            commits.append_in_turn(spark, frame, place, transaction, turn + 1)
        except Exception as error:
            if "another writer" not in (why := reason(error)) and _turn(spark, place) == turn:
                raise TargetError(f"budget {place}: {why}. Nothing was entered; mend it and rerun") from None
        if _is_mine(spark, place, turn + 1, nonce):
            return answers
        time.sleep(random.uniform(0, min(2.0, 0.05 * 2 ** min(tried, 6))))
    raise TargetError(f"budget {place}: another writer was always faster. Nothing was entered; run it again")


def entries(spark: SparkSession, place: Location) -> list[Entry]:
    """Return all entries, oldest first; none without a table."""
    return list(_read(spark, place)[1])


def found(spark: SparkSession, place: Location, asked: Entry) -> Entry | None:
    """Return the charge of a run on a data set and unit; None where it was not charged."""
    same = (one for one in entries(spark, place) if one.kind == "charge" and one.run_id == asked.run_id)
    return next((one for one in same if (one.dataset, one.unit) == (asked.dataset, asked.unit)), None)


def _read(spark: SparkSession, place: Location) -> tuple[int, tuple[Entry, ...]]:
    """Return the number of the newest transaction, and the entries."""
    if not delta.exists(spark, place):
        return 0, ()
    rows = delta.delta_table(spark, place).toDF().collect()
    rows.sort(key=lambda row: (row.turn, row.place))
    names = [field.name for field in fields(Entry)]
    return (rows[-1].turn if rows else 0), tuple(Entry(**{name: row[name] for name in names}) for row in rows)


def _turn(spark: SparkSession, place: Location) -> int:
    return _read(spark, place)[0]


def _is_mine(spark: SparkSession, place: Location, turn: int, nonce: str) -> bool:
    """Return whether the transaction of a number is this one: Delta silently skips a known number."""
    if not delta.exists(spark, place):
        return False
    newest = delta.history(spark, place, limit=1)[0].metadata
    if newest.get("turn") == turn:
        return bool(newest["nonce"] == nonce)
    return bool(delta.delta_table(spark, place).toDF().where(f"turn = {turn} and nonce = '{nonce}'").count())
