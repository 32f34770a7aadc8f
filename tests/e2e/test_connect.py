"""Engine ``spark`` against a real local Spark Connect server: no JVM in the process that judges."""

import json

import pytest


@pytest.mark.long
def test_every_documented_rule_over_connect(workplace):
    done = workplace.script("connect.py", str(workplace.root))
    assert done.code == 0, done.err[-3000:]
    told = json.loads(done.out.splitlines()[-1])
    assert told["statistics"] == pytest.approx([5, 0.8, 0.5, 12, 41, 31, 11.8532], abs=1e-3)
    for (rule, measured, outcome), verdict in zip(told["expected"], told["verdicts"], strict=True):
        expected = None if measured == "none" else pytest.approx(float(measured), abs=1e-4)
        assert (verdict[2], verdict[1]) == (outcome, expected), (rule, verdict)
