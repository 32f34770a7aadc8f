"""Ctrl-C as a terminal sends it: SIGINT to the job, its JVM and its Python workers at once."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from dataward.spark.java import find_java
from tests.jvm import QUICK

pytestmark = pytest.mark.long

CONTRACT = """\
contract: people
source: {format: csv, path: people.csv, options: {header: true}, schema: 'id INT, mail STRING'}
target: {path: lake/people}
quarantine: {path: lake/quarantine}
keys: {path: keys, domain: people}
columns: {mail: {class: email, protect: encrypt}}
default: keep
discovery: off
"""


@pytest.mark.parametrize("when", ["it reads", "it has committed"])
def test_ctrl_c_ends_in_one_line_and_the_rerun_that_it_names_finishes_the_run(workplace, when):
    workplace.contract(CONTRACT)
    rows = "".join(f"{n},person.{n}@example.org\n" for n in range(300_000))
    (workplace.root / "people.csv").write_text(f"id,mail\n{rows}")
    environment = {**os.environ, "JAVA_HOME": find_java(), "PYSPARK_PYTHON": sys.executable, "JDK_JAVA_OPTIONS": QUICK}
    errors = workplace.root / "stderr"
    with errors.open("w") as stderr:
        job = subprocess.Popen(
            [sys.executable, "-m", "dataward.cli", "publish", "--contract", "c.yaml"],
            cwd=workplace.root, env=environment, stdout=stderr, stderr=stderr, start_new_session=True,
        )  # fmt: skip
        log = workplace.root / "lake/people/_delta_log/00000000000000000000.json"
        while job.poll() is None and not (log.exists() if when == "it has committed" else "pin " in errors.read_text()):
            time.sleep(0.02)
        os.killpg(job.pid, signal.SIGINT)
        code = job.wait(timeout=600)
    said = errors.read_text()
    lines = [line for line in said.splitlines() if not line.startswith("NOTE: Picked up")]
    run_id = re.search(r"run id (\S+)", said).group(1)
    assert lines[1] == f"  run id {run_id}", said
    assert code == 3, said[-3000:]
    last = [line for line in lines if line.startswith("dataward:")][-1]
    committed = "version 0 is committed and not sealed yet" in last
    assert last.startswith("dataward: interrupted: ")
    assert f"--run-id {run_id}" in last
    assert committed == log.exists() == (when == "it has committed"), last
    assert lines[-1] == last, lines[lines.index(last) :]
    assert workplace.dataward("publish", "--contract", "c.yaml", "--run-id", run_id).code == 0
    assert workplace.dataward("verify", "--contract", "c.yaml").code == 0
