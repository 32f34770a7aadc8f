"""Jobs as processes, through spark-submit, with what a user would type."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dataward.keys import create_keyring
from dataward.spark import jars, session
from dataward.spark.java import find_java
from tests.jvm import QUICK

ROOT = Path(__file__).parents[2]


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Workplace:
    """A folder to work in: a keyring, contracts, and commands run inside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        create_keyring(root / "keys")

    def contract(self, text: str, name: str = "c.yaml") -> str:
        (self.root / name).write_text(text)
        return name

    def submit(
        self,
        *arguments: str,
        job: str = "publish",
        conf: dict[str, str] | None = None,
        options: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        file_limit: int | None = None,
    ) -> Done:
        """spark-submit jobs/JOB.py ARGUMENTS, with the jars from the checked cache instead of from the network."""
        script = ROOT / "jobs" / f"{job}.py"
        return self._submit(script, arguments, conf, options, environment, file_limit)

    def submit_each(self, *runs: tuple[str, ...], conf: dict[str, str] | None = None) -> list[Done]:
        """Jobs with their arguments, one after the other in one process, as most of a job's time here is the start."""
        told = json.dumps([(job, arguments) for job, *arguments in runs])
        done = self._submit(ROOT / "tests/e2e/several.py", (told,), conf)
        assert done.code == 0, done.out[-3000:] + done.err[-3000:]
        return [Done(code, out, done.err) for code, out in done.document]

    def _submit(
        self,
        script: Path,
        arguments: tuple[str, ...],
        conf: dict[str, str] | None = None,
        options: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        file_limit: int | None = None,
    ) -> Done:
        settings = {**session.LOCAL, "spark.driver.memory": "1g", **(conf or {})}
        classpath = ",".join(str(path) for path in jars.ensure())
        command = [jars.submit_script(), "--jars", classpath, *options]
        for key, value in settings.items():
            command += ["--conf", f"{key}={value}"]
        command += [str(script), *arguments]
        return self._run(command, environment or {}, file_limit)

    def dataward(self, *arguments: str) -> Done:
        return self._run([sys.executable, "-m", "dataward.cli", *arguments], {})

    def script(self, name: str, *arguments: str) -> Done:
        """A Python file of this folder, in a process of its own that finds the tests' own modules."""
        command = [sys.executable, "-W", "ignore", str(ROOT / "tests/e2e" / name), *arguments]
        return self._run(command, {"PYTHONPATH": str(ROOT), "TZ": "UTC"})

    def _run(self, command: list[str], environment: dict[str, str], file_limit: int | None = None) -> Done:
        """``file_limit``: bytes past which no file of the process may grow, as on a full disk."""
        base = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SPARK_HOME")}
        base |= {"JAVA_HOME": find_java(), "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
        base |= {"JDK_JAVA_OPTIONS": QUICK}

        def limited() -> None:
            if file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

        made = subprocess.run(
            command,
            cwd=self.root,
            env={**base, **environment},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            preexec_fn=limited,
        )
        return Done(made.returncode, made.stdout, made.stderr)


@pytest.fixture
def workplace(tmp_path) -> Workplace:
    return Workplace(tmp_path)
