"""Run by test_connect.py in a process of its own: every verb that works over Spark Connect, as a user types it.

    python -m tests.e2e.connect_journey FOLDER SPARK_REMOTE

Prints one JSON object: for each step its exit code, what it printed on stdout (JSON), its last lines on stderr, and what it changed
of the user's settings and temporary views.
"""

import contextlib
import io
import json
import os
import sys
from functools import partial
from pathlib import Path

DATA = "id,name,mail,city,amount\n"
CONTRACT = """contract: {name}
source: {{format: csv, path: {root}/data/{data}.csv, options: {{header: true}}, schema: "id INT, name STRING, mail STRING, city STRING, amount DOUBLE"}}
target: {{path: {root}/lake/{table}, {mode}}}
quarantine: {{path: {root}/lake/{table}_quarantine}}
keys: {{provider: local, path: {root}/keys, domain: people, spill: plain}}
engine: {engine}
erasure: {{subject: id}}
history: {{}}
rules: |
  Rules = [ IsPrimaryKey "id", ColumnValues "amount" >= 0, IsComplete "name" ]
columns:
  id: {{protect: keep}}
  name: {{class: person_name, protect: token}}
  mail: {{class: email, protect: encrypt}}
  city: {{protect: keep}}
  amount: {{protect: keep}}
"""


class Journey:
    """A folder, and the steps that were done in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps: dict[str, dict[str, object]] = {}
        from dataward.spark import session

        spark = session.get()
        spark.range(3).createOrReplaceTempView("primary")  # a name that runs use for views of their own
        self._sql = partial(type(spark).sql, spark)  # as it is now: tests restrict it

    def data(self, name: str, ids: range, bad: int = 0) -> None:
        """Write a CSV file; the first ``bad`` rows have a negative amount."""
        (self.root / "data").mkdir(exist_ok=True)
        rows = [f"{n},Name {n},p{n}@example.org,City {n % 3},{-1 if k < bad else n}.5" for k, n in enumerate(ids)]
        (self.root / f"data/{name}.csv").write_text(DATA + "\n".join(rows) + "\n")

    def contract(self, name: str, table: str, data: str, mode: str, engine: str = "spark") -> str:
        """Write a contract."""
        text = CONTRACT.format(name=name, root=self.root, table=table, data=data, mode=mode, engine=engine)
        path = self.root / f"{name}.yaml"
        path.write_text(text)
        return str(path)

    def run(self, step: str, *argv: str) -> dict[str, object]:
        """Run a command in this process."""
        from dataward.cli import main

        out, err, before = io.StringIO(), io.StringIO(), self._users()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*argv, "--json"])
        printed = out.getvalue().strip()
        try:
            document = json.loads(printed) if printed else None
        except ValueError:
            document = printed[-2000:]
        changed = sorted(before ^ self._users())
        self.steps[step] = {"code": code, "out": document, "err": err.getvalue()[-1500:], "changed": changed}
        (self.root / "steps.json").write_text(json.dumps(self.steps, default=str))  # for whoever looks while it runs
        return self.steps[step]

    def release(self, contract: str, run: str, run_id: str, *more: str) -> None:
        """Release what a run diverted, under a contract without the rule that it failed, which appends."""
        looser, text = self.root / "looser.yaml", Path(contract).read_text()
        looser.write_text(text.replace('"amount" >= 0', '"amount" >= -5').replace("mode: overwrite", "mode: append"))
        self.run("release", "quarantine", "release", "--contract", str(looser), "--run", run, "--run-id", run_id, *more)

    def _users(self) -> set[tuple[str, str]]:
        """Settings and temporary views of the user's session."""
        settings = {
            (row[0], str(row[1])) for row in self._sql("SET").collect() if "lastCommitVersion" not in row[0]
        }  # Delta's own
        views = {("view", row.viewName) for row in self._sql("SHOW VIEWS").collect()}
        return settings | views | {("primary", str(self._sql("select sum(id) from primary").first()[0]))}


def journey(root: Path) -> dict[str, dict[str, object]]:
    """Do every step."""
    from dataward.keys import create_keyring

    root.mkdir(parents=True, exist_ok=True)
    os.chdir(root)
    create_keyring(root / "keys")
    trip = Journey(root)
    trip.data("first", range(1, 41), bad=2)
    trip.data("second", range(31, 61))
    trip.data("third", range(61, 72), bad=1)
    begun = trip.contract("begun", "people", "first", "mode: overwrite")
    merged = trip.contract("merged", "people", "second", "mode: merge, on: [id]")
    added = trip.contract("added", "people", "third", "mode: append")
    reports = ("--report", str(root / "reports"))
    trip.run("overwrite", "publish", "--contract", begun, "--run-id", "r1", *reports)
    trip.run("again", "publish", "--contract", begun, "--run-id", "r1", *reports)
    trip.run("append", "publish", "--contract", added, "--run-id", "r2", *reports)
    trip.run("merge", "publish", "--contract", merged, "--run-id", "r3", *reports)
    trip.run("verify", "verify", "--contract", merged)
    trip.run("rows", "verify", "--contract", merged, "--rows")
    trip.run("history", "history", "--contract", merged)
    trip.run("quarantine", "quarantine", "list", "--contract", begun)
    trip.release(begun, "r1", "r4", *reports)
    trip.run(
        "profile",
        "profile",
        str(root / "data/first.csv"),
        "--option",
        "header=true",
        "--report",
        str(root / "reports/profile"),
    )
    trip.run(
        "discover",
        "discover",
        str(root / "data/first.csv"),
        "--option",
        "header=true",
        "--report",
        str(root / "reports/d"),
    )
    trip.run("discover all", "discover", "--all", str(root / "lake"), "--report", str(root / "reports/all"))
    trip.run("diff", "diff", "1", "2", "--contract", merged)
    trip.run("restore", "restore", "--contract", merged, "--to", "2", "--run-id", "r5")
    trip.run("discard", "quarantine", "discard", "--contract", added, "--run", "r2", "--reason", "a test")
    trip.run("rotate", "rotate", "people", "--contract", merged)
    trip.run("rotated rows", "verify", "--contract", merged, "--rows")
    (root / "who").write_text("35")
    trip.run("erase", "erase", "--contract", merged, "--subject", f"@{root / 'who'}", "--ticket", "T-1", *reports)
    trip.run("erased rows", "verify", "--contract", merged, "--rows")
    trip.run("vacuum", "vacuum", "--contract", merged)
    trip.run("vacuumed rows", "verify", "--contract", merged, "--rows")
    trip.run("explain", "publish", "--contract", merged, "--explain")
    deequ = trip.contract("deequ", "other", "first", "mode: overwrite", engine="deequ")
    trip.run("deequ", "publish", "--contract", deequ, *reports)
    relative = trip.contract("relative", "other", "first", "mode: overwrite")
    text = Path(relative).read_text().replace(f"path: {root}/lake/other,", "path: lake/other,")
    Path(relative).write_text(text)
    trip.run("relative", "publish", "--contract", relative, *reports)
    short = trip.contract("short", "other", "first", "mode: overwrite")
    text = (
        Path(short)
        .read_text()
        .replace("name: {class: person_name, protect: token}", "name: {protect: {fpe: {length: 6}}}")
    )
    Path(short).write_text(text)
    trip.run("unfit", "publish", "--contract", short, *reports)
    flow = trip.contract("flow", "flow", "flow", "mode: append")
    Path(flow).write_text(Path(flow).read_text().replace("/flow.csv", "/flow"))
    (root / "data/flow").mkdir()
    for step, ids in (("stream", range(1, 5)), ("stream on", range(5, 8)), ("stream end", range(0))):
        if ids:
            trip.data(f"flow/{step}", ids)
        trip.run(step, "publish", "--contract", flow, "--stream", str(root / "checkpoint"), *reports)
    trip.run("every", "publish", "--contract", flow, "--stream", str(root / "checkpoint"), "--every", "5 minutes")
    return trip.steps


if __name__ == "__main__":
    os.environ["SPARK_REMOTE"] = sys.argv[2]
    print(json.dumps(journey(Path(sys.argv[1]).resolve()), default=str))
