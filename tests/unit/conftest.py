"""Fixtures that several modules share: a place for a ledger, and a table of thirty sealed versions, made once and copied."""

import pytest

from dataward.contract import Location


@pytest.fixture
def place(tmp_path):
    return Location(path=str(tmp_path / "people_ledger"))


@pytest.fixture(scope="session")
def thirty_sealed(tmp_path_factory):
    from tests.sealedmade import made

    root = tmp_path_factory.mktemp("sealed")
    whole = made(root / "made")
    return lambda: whole.copy(root / "copy")


@pytest.fixture
def sealed(thirty_sealed):
    return thirty_sealed()
