"""The quarters of the long tests name modules that are there, each once."""

from pathlib import Path

from tests.conftest import QUARTERS


def test_every_module_of_a_quarter_exists_and_is_in_one_quarter():
    names = " ".join(QUARTERS).split()
    folder = Path(__file__).parents[1]
    missing = [name for name in names if not (folder / name.replace("/", "/test_")).with_suffix(".py").exists()]
    assert missing == []
    assert len(names) == len(set(names))
