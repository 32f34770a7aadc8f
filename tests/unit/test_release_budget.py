"""Requests of threads of one process share transactions; no Spark: what enters them is replaced."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataward.contract import Location
from dataward.errors import TargetError
from dataward.release import budget


@pytest.fixture
def transactions(monkeypatch):
    """Batches that were entered, each taking a while; never two at once. The second one fails."""
    made, inside = [], threading.Lock()

    def entered(spark, place, asked):
        assert inside.acquire(blocking=False)
        made.append(list(asked))
        number = len(made)
        time.sleep(0.05)
        inside.release()
        if number == 2:
            raise TargetError("the disk is full")
        return [f"answer to {one}" for one in asked]

    monkeypatch.setattr(budget, "_entered", entered)
    return made


def test_threads_share_transactions_and_each_gets_its_own_answer_or_its_batchs_error(transactions, tmp_path):
    place = Location(path=str(tmp_path))

    def ask(number):
        try:
            return budget.ask(None, place, number) == f"answer to {number}"
        except TargetError:
            return number

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(320)))
    assert sorted(one for batch in transactions for one in batch) == list(range(320))
    assert len(transactions) < 80  # one at a time would be 320
    assert {one for one in answers if one is not True} == set(transactions[1])
    assert budget.ask(None, place, 7) == "answer to 7"
