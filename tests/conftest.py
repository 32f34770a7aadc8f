"""How many cases a law is tried on (Hypothesis' hundred; in `make test` a quarter of them), and which quarter of tests runs."""

import zlib

from hypothesis import settings

settings.register_profile("quick", max_examples=25)


def pytest_addoption(parser):
    parser.addoption(
        "--quarter", type=int, help="run only the quarter of tests whose name hashes to this number modulo 4"
    )


def pytest_collection_modifyitems(config, items):
    """Keep the tests of one quarter. The hash of a name, unlike its place in the list, stays when other tests come or go."""
    quarter = config.getoption("--quarter")
    if quarter is None:
        return
    others = [item for item in items if zlib.crc32(item.nodeid.encode()) % 4 != quarter % 4]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]
