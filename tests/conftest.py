"""How many cases a law is tried on (Hypothesis' hundred; in `make test` a quarter of them), and which tests run: a quarter, or those without Deequ."""

import zlib
from importlib.metadata import version

from hypothesis import settings

settings.register_profile("quick", max_examples=25)


def pytest_addoption(parser):
    parser.addoption(
        "--quarter", type=int, help="run only the quarter of tests whose name hashes to this number modulo 4"
    )


def pytest_collection_modifyitems(config, items):
    """Keep the tests of one quarter, and on Spark 4 those that need no Deequ.

    The hash of a name, unlike its place in the list, stays when other tests come or go.
    """
    quarter, has_deequ = config.getoption("--quarter"), version("pyspark").startswith("3.")
    others = [
        item
        for item in items
        if (quarter is not None and zlib.crc32(item.nodeid.encode()) % 4 != quarter % 4)
        or (not has_deequ and _needs_deequ(item))
    ]
    if not others:
        return
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def _needs_deequ(item):
    """Whether a test has the marker ``deequ``, or the engine of that name as a parameter."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return "deequ" in parameters or item.get_closest_marker("deequ") is not None
