"""Several jobs in one process of spark-submit, as in a workflow's task: ``several.py '[["publish", ["--contract", ...]], ...]'``.

A job is the name of one in jobs/, or the path of a script without its ending. Prints [exit code, standard output] of each.
"""

import io
import json
import runpy
import sys
from contextlib import redirect_stdout
from pathlib import Path

JOBS = Path(__file__).parents[2] / "jobs"


def run(job: str, arguments: list[str]) -> tuple[int, str]:
    sys.argv, code, out = [job, *arguments], 0, io.StringIO()
    with redirect_stdout(out):
        try:
            runpy.run_path(str(JOBS / f"{job}.py"), run_name="__main__")
        except SystemExit as stop:
            code = stop.code
    return code, out.getvalue()


if __name__ == "__main__":
    print(json.dumps([run(job, arguments) for job, arguments in json.loads(sys.argv[1])]))
