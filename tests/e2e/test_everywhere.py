"""One contract with every operator and 34 rules in four sessions: Spark 3.5 and Spark 4, each classic and through Spark Connect.

`make test-everywhere` makes the environment of Spark 4 first; without it, its two sessions are left out. Each further environment of
the checkout (`make SPARK=4.0.1 setup`) adds its two.
"""

import copy
import json
import sys

import pytest

from tests.e2e.connect_server import serving
from tests.e2e.everywhere import ROOT, differences, module
from tests.installed import SPARK4

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(SPARK4, reason="starts from Spark 3.5, and runs the Python of Spark 4 itself"),
]
OTHERS = sorted(ROOT.glob(".venv-spark4*/bin/python"))
"""The Pythons that have Spark 4."""
SESSIONS = [("connect-3.5", sys.executable)]
SESSIONS += [
    (f"{kind}-{python.parts[-3].removeprefix('.venv-spark')}", str(python))
    for python in OTHERS
    for kind in ("classic", "connect")
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The data and the keyring of all four sessions."""
    return tmp_path_factory.mktemp("everywhere")


@pytest.fixture(scope="module")
def first(shared):
    """What the classic session of Spark 3.5 wrote."""
    return _facts(shared, "classic-3", sys.executable)


def _facts(folder, name, python, *remote):
    module(python, "tests.e2e.everywhere", str(folder), name, *remote)
    return json.loads((folder / f"{name}.json").read_text())


@pytest.mark.parametrize(("name", "python"), SESSIONS, ids=[name for name, _ in SESSIONS])
def test_every_session_gives_the_same_rows_tokens_verdicts_and_digest(first, shared, tmp_path, name, python):
    version = name.partition("-")[2]
    connect = name.startswith("connect")
    if connect:
        with serving(tmp_path, python) as server:
            found = _facts(shared, name, python, server.url)
    else:
        found = _facts(shared, name, python)
    assert (found["spark"][: len(version)], "connect" in found["session"]) == (version, connect)
    assert differences(first, found) == []
    assert first["own"] == found["own"] == ["7", 3]  # the settings and views of the user's session
    assert found["fixed"]["measured"] == "written"


def test_the_comparison_is_of_all_operators_and_sees_a_token_a_verdict_and_a_digest(first):
    rules = [rule for rule, *_ in first["full"]["verdicts"] if not rule.startswith("record is ")]
    assert len(rules) == 34
    assert first["full"]["counts"]["quarantined"] > 0
    assert first["fixed"]["lanes"] is not None
    for change in (
        lambda facts: facts["fixed"]["rows"][3].update(family="v1.00"),
        lambda facts: facts["full"]["verdicts"][5].__setitem__(1, "FAILED?"),
        lambda facts: facts["fixed"]["lanes"].__setitem__(0, 1),
    ):
        other = copy.deepcopy(first)
        change(other)
        assert len(differences(first, other)) == 1
