"""How many cases a law is tried on (Hypothesis' hundred; in `make test` a quarter of them), and which tests run: a quarter, or those without Deequ."""

import zlib
from importlib.metadata import version
from pathlib import Path

from hypothesis import HealthCheck, settings

# A slow machine is no failure, nor is what a strategy happens to draw.
settings.register_profile("whole", deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("quick", settings.get_profile("whole"), max_examples=25)
settings.load_profile("whole")

QUARTERS = (
    "e2e/connect spark/names spark/erase spark/keys_kms spark/quarantine spark/changes spark/risk spark/notebook unit/federated_accuracy",
    "e2e/package spark/release e2e/names spark/repair e2e/interrupted e2e/sources spark/outliers spark/laundering spark/publish "
    "unit/log_elsewhere unit/init",
    "spark/iam_wire spark/erase_ordinary spark/rotate spark/stream spark/rotate_inside spark/memory spark/anonymize spark/suggest "
    "spark/digest unit/attacks unit/log_writers",
    "e2e/jobs e2e/s3 spark/refresh spark/features spark/killed_writes spark/reidentify spark/engines_agree spark/duplicates "
    "spark/discover unit/killed unit/cloudtrail unit/audit_sinks unit/federated_https unit/operators_fpe",
)
"""Modules with long tests by quarter, balanced by measured time. Any other module goes where the hash of its name says.

A module is never divided: its tests share what its fixtures make, which takes most of the time of many.
"""


def pytest_addoption(parser):
    parser.addoption("--quarter", type=int, help="run only the modules of this quarter of the tests, 0 to 3")


def pytest_collection_modifyitems(config, items):
    """Keep the tests of one quarter, and on Spark 4 those that need no Deequ."""
    quarter, has_deequ = config.getoption("--quarter"), version("pyspark").startswith("3.")

    def stays(item):
        return (quarter is None or _quarter_of(item.path) == quarter) and (has_deequ or not _needs_deequ(item))

    others = [item for item in items if not stays(item)]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = filter(stays, items)


def _quarter_of(path: Path) -> int:
    """Return the quarter of a module. The hash of a name, unlike its place in a list, stays when other modules come or go."""
    name = f"{path.parent.name}/{path.stem.removeprefix('test_')}"
    listed = [number for number, names in enumerate(QUARTERS) if name in names.split()]
    return listed[0] if listed else zlib.crc32(name.encode()) % len(QUARTERS)


def _needs_deequ(item):
    """Whether a test has the marker ``deequ``, or the engine of that name as a parameter."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "deequ" in parameters or item.get_closest_marker("deequ") is not None
