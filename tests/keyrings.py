"""What holds of a keyring in every service that keeps it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from dataward.contract import Keys
from dataward.errors import KeyringError
from dataward.keys import create_keyring, open_keys


def takes_writers_in_turn(named: Keys) -> None:
    """It is created once, and of four writers at once each adds its domain."""
    create_keyring(named)
    with pytest.raises(KeyringError, match="never overwritten"):
        create_keyring(named)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: open_keys(named).add_domain(f"d{n}"), range(4)))
    ring = open_keys(named)
    assert sorted(ring.domains) == ["d0", "d1", "d2", "d3"]
    assert not any(ring.trouble(domain, 1) for domain in ring.domains)
