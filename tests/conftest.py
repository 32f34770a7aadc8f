"""How many cases a law is tried on (Hypothesis' hundred; in `make test` a quarter of them), and which tests run: a part of them, or those without Deequ."""

import zlib
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A slow machine is no failure, nor is what a strategy happens to draw.
settings.register_profile("whole", deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("quick", settings.get_profile("whole"), max_examples=25)
settings.load_profile("whole")

PARTS = 32
SECONDS = {
    "spark/iam_wire": 442, "e2e/names": 417, "unit/iam_without": 400, "e2e/connect": 377, "e2e/serverless": 370, "spark/release": 358, "spark/erase_ordinary":
    348, "unit/audit_sinks": 320, "e2e/package": 286, "e2e/s3": 250, "spark/attacks": 229, "unit/federated_accuracy": 200,
    "spark/erase": 160, "e2e/everywhere": 159, "e2e/jobs": 150, "spark/names": 136, "spark/rotate": 132, "spark/refresh": 130,
    "spark/writers": 120, "spark/changes": 106, "e2e/interrupted": 103, "spark/killed_writes": 100, "unit/killed": 100,
    "spark/engines_agree": 80, "spark/few_jobs": 76, "spark/risk": 70, "e2e/sources": 63, "spark/memory": 62, "spark/rotate_inside": 61,
    "unit/attacks": 60, "unit/cloudtrail": 60, "unit/log_elsewhere": 60, "spark/stream": 49, "spark/laundering": 46, "spark/features":
    40, "unit/init": 40, "unit/operators_fpe": 40, "spark/anonymize": 38, "spark/publish": 30, "spark/reidentify": 30,
    "unit/federated_https": 30, "spark/versions": 27, "spark/notebook": 26, "spark/suggest": 26, "spark/discover": 25,
    "spark/quarantine": 21, "spark/duplicates": 20, "unit/log_writers": 20,
}  # fmt: skip
"""How long the long tests of a module take, where it is more than a moment; any other module goes where the hash of its name says.

A module is never divided: its tests share what its fixtures make, which takes most of the time of many.
"""


def pytest_addoption(parser):
    parser.addoption("--part", type=int, help=f"run only the modules of this part of the tests, 0 to {PARTS - 1}")


def pytest_collection_modifyitems(config, items):
    """Keep the tests of one part, and on Spark 4 those that need no Deequ."""
    part, has_deequ, places = config.getoption("--part"), version("pyspark").startswith("3."), _places()

    def stays(item):
        here = part is None or part == _part_of(item.path, places)
        return here and (has_deequ or not _needs_deequ(item))

    others = [item for item in items if not stays(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = filter(stays, items)


def pytest_sessionfinish(session, exitstatus):
    """A part may have no test with Spark, or none without."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.getoption("--part") is not None:
        session.exitstatus = pytest.ExitCode.OK


def _places():
    """Return the part of each module in SECONDS: the longest first, each where there is least to do."""
    loads, places = [0] * PARTS, {}
    for name in sorted(SECONDS, key=lambda one: (-SECONDS[one], one)):
        places[name] = loads.index(min(loads))
        loads[places[name]] += SECONDS[name]
    return places


def _part_of(path: Path, places: dict[str, int]) -> int:
    """Return the part of a module."""
    name = f"{path.parent.name}/{path.stem.removeprefix('test_')}"
    return places.get(name, zlib.crc32(name.encode()) % PARTS)


def _needs_deequ(item):
    """Whether a test has the marker ``deequ``, or the engine of that name as a parameter."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "deequ" in parameters or item.get_closest_marker("deequ") is not None
