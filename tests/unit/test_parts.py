"""The parts of the long tests name modules that are there, and none has much more to do than another."""

from pathlib import Path

from tests.conftest import PARTS, SECONDS, _places


def test_every_module_with_a_time_exists():
    folder = Path(__file__).parents[1]
    assert [name for name in SECONDS if not (folder / Path(name).parent / f"test_{Path(name).name}.py").is_file()] == []


def test_a_part_takes_little_longer_than_the_longest_module_or_the_mean():
    places = _places()
    loads = [sum(SECONDS[name] for name in SECONDS if places[name] == part) for part in range(PARTS)]
    assert max(loads) <= 1.25 * max(max(SECONDS.values()), sum(loads) / PARTS)
