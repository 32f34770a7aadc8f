"""Run by test_connect.py in a process of its own: every documented example over Spark Connect, as JSON on stdout.

python -m tests.e2e.connect FOLDER SPARK_REMOTE
"""

import json
import os
import sys
from datetime import datetime
from pathlib import Path

from dataward.quality.judge import Options, judge
from dataward.quality.suite import suite
from dataward.spark import session
from tests.rule_docs import EXAMPLES, reference, ruleset, table

os.environ["SPARK_REMOTE"] = sys.argv[2]
spark = session.get()
assert "connect" in type(spark).__module__
made, errors = suite(ruleset(Path(sys.argv[1])) + '\nAnalyzers = [ AllStatistics "age" ]')
assert not errors
with session.isolated(spark) as own:
    frame = table(own)
    judged = judge(own, frame, made, datetime(2026, 11, 22, 12), Options("spark", {"reference": reference(frame)}))
verdicts = [[verdict.rule, verdict.measured, verdict.outcome, verdict.message] for verdict in judged.verdicts]
print(json.dumps({"expected": EXAMPLES, "verdicts": verdicts, "statistics": [s.measured for s in judged.statistics]}))
