"""Engine ``spark`` against a real local Spark Connect server: no JVM in the process that judges."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dataward.java import find_java

ROOT = Path(__file__).resolve().parents[2]


def test_every_documented_rule_over_connect(tmp_path):
    environment = {
        **os.environ,
        "JAVA_HOME": find_java(),
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
        "TZ": "UTC",
    }
    command = [sys.executable, "-W", "ignore", str(ROOT / "tests/e2e/connect.py"), str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=240, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["statistics"] == pytest.approx([5, 0.8, 0.5, 12, 41, 31, 11.8532], abs=1e-3)
    for (rule, measured, outcome), verdict in zip(told["expected"], told["verdicts"], strict=True):
        expected = None if measured == "none" else pytest.approx(float(measured), abs=1e-4)
        assert (verdict[2], verdict[1]) == (outcome, expected), (rule, verdict)
