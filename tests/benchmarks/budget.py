"""Grants a second of a budget in Delta: 32 threads of one process, one thread, and two processes; never more than the cap.

make bench BENCH=budget
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

EPSILON, CAP = 0.01, 2.0


def asked(place: str, threads: int, asks: int, name: str) -> tuple[float, int]:
    """Ask from several threads; returns seconds and the number of grants."""
    from dataward.release import budget
    from dataward.release.account import Entry
    from dataward.spark import session
    from dataward.verbs.budget import location, show

    spark = session.get()
    (state,) = show(spark, f"{place}/budgets")
    go = threading.Barrier(threads)

    def ask(number: int) -> int:
        if number < threads:
            go.wait()
        entry = Entry("charge", state.dataset, "person", f"{name}{number}", EPSILON)
        return int(budget.ask(spark, location(f"{place}/budgets"), entry).kind == "charge")

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        granted = sum(pool.map(ask, range(asks)))
    return time.perf_counter() - began, granted


def spent(place: str) -> tuple[float, int]:
    from dataward.spark import session
    from dataward.verbs.budget import show

    (state,) = show(session.get(), f"{place}/budgets")
    return state.spent.epsilon, state.charges


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        place, name, asks = sys.argv[2:]
        print(json.dumps(asked(place, 16, int(asks), name)))
        return
    from dataward.spark import session
    from dataward.verbs.budget import Amount, set_cap

    with tempfile.TemporaryDirectory() as place:
        spark = session.get()
        spark.range(1).selectExpr("id person").write.format("delta").save(f"{place}/table")
        dataset = str(Path(place).resolve())
        set_cap(spark, f"{place}/budgets", f"{place}/table", "person", Amount(CAP))
        asked(dataset, 1, 1, "warm")
        seconds, granted = asked(dataset, 1, 5, "alone")
        print(f"one thread: {granted / seconds:.2f} grants a second ({granted} grants)", flush=True)
        seconds, granted = asked(dataset, 32, 160, "crowd")
        print(f"32 threads of one process: {granted / seconds:.1f} grants a second ({granted} of 160 asks)", flush=True)
        if "--processes" in sys.argv:
            began = time.perf_counter()
            command = [sys.executable, "-W", "ignore", __file__, "--child", dataset]
            running = [subprocess.Popen([*command, name, "40"], stdout=subprocess.PIPE) for name in ("p", "q")]
            told = [json.loads(one.communicate()[0].splitlines()[-1]) for one in running]
            for seconds, granted in told:
                print(
                    f"one of two processes: {granted / seconds:.1f} grants a second ({granted} of 40 asks)", flush=True
                )
            print(f"both with their start: {time.perf_counter() - began:.0f} s", flush=True)
        epsilon, charges = spent(place)
        print(f"spent {epsilon:g} of {CAP:g} in {charges} charges", flush=True)
        if epsilon > CAP or charges != round(epsilon / EPSILON):
            sys.exit("overdrawn")


if __name__ == "__main__":
    main()
