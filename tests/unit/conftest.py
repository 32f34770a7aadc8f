"""Fixtures that several modules share: a place for a ledger, and a table of thirty sealed versions, made once and copied."""

import os
import tempfile
from pathlib import Path

import pytest

from dataward.contract import Location


@pytest.fixture
def place(tmp_path):
    return Location(path=str(tmp_path / "people_ledger"))


@pytest.fixture(scope="session")
def quick_folder():
    """A folder in memory where the system has one: there, copies of many small files take a third of the time."""
    memory = "/dev/shm"
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def thirty_sealed(quick_folder):
    from tests.sealedmade import made

    root = quick_folder / "sealed"
    whole = made(root / "made")
    return lambda: whole.copy(root / "copy")


@pytest.fixture
def sealed(thirty_sealed):
    return thirty_sealed()


@pytest.fixture
def cloud(monkeypatch, tmp_path):
    """The fake services of keys, which the environment names."""
    from dataward.keys import web
    from tests.keyservices import environment, services

    monkeypatch.setattr(web, "PAUSE", 0.001)
    monkeypatch.setattr(web, "LONGEST_PAUSE", 0.01)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        "VAULT_NAMESPACE",
        "VAULT_CACERT",
        "VAULT_ROLE_ID",
        "VAULT_K8S_ROLE",
        "AZURE_CLIENT_ID",
        "REQUESTS_CA_BUNDLE",
    ):
        monkeypatch.delenv(name, raising=False)
    with services() as made:
        for name, value in environment(made.url, tmp_path).items():
            monkeypatch.setenv(name, value)
        yield made
