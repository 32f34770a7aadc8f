"""Jobs as processes, through spark-submit, with what a user would type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyspark
import pytest

from dataward import jars, session
from dataward.java import find_java
from dataward.privacy.keys import create_keyring

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

    def submit(self, *arguments: str, conf: dict[str, str] | None = None, job: str = "publish", python_path: bool = True,
               prefix: tuple[str, ...] = (), env: dict[str, str] | None = None, options: tuple[str, ...] = (), timeout: int = 240) -> Done:  # fmt: skip
        """spark-submit jobs/JOB.py ARGUMENTS, with the jars from the checked cache instead of from the network."""
        settings = dict(session.LOCAL) | {"spark.driver.memory": "1g"} | (conf or {})
        classpath = ",".join(str(path) for path in jars.ensure())
        command = [*prefix, str(Path(pyspark.__file__).parent / "bin/spark-submit"), "--jars", classpath, *options]
        for key, value in settings.items():
            command += ["--conf", f"{key}={value}"]
        command += [str(ROOT / "jobs" / f"{job}.py"), *arguments]
        return self._run(command, {"PYTHONPATH": str(ROOT / "lib")} if python_path else {}, env, timeout)

    def dataward(
        self, *arguments: str, prefix: tuple[str, ...] = (), env: dict[str, str] | None = None, timeout: int = 240
    ) -> Done:
        return self._run([*prefix, sys.executable, "-m", "dataward.cli", *arguments], {}, env, timeout)

    def _run(self, command: list[str], path: dict[str, str], env: dict[str, str] | None, timeout: int) -> Done:
        base = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SPARK_HOME")}
        base |= {
            "JAVA_HOME": find_java(),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            **path,
            **(env or {}),
        }
        made = subprocess.run(
            command, cwd=self.root, env=base, capture_output=True, text=True, timeout=timeout, check=False
        )
        return Done(made.returncode, made.stdout, made.stderr)


@pytest.fixture
def workplace(tmp_path) -> Workplace:
    return Workplace(tmp_path)
