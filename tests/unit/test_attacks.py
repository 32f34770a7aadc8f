"""Every tampering of tests/attacks is found and rightly named, without Spark and without a key; nothing legitimate is."""

import shutil
from dataclasses import replace

import pytest

from dataward.integrity.findings import CODES
from dataward.integrity.manifest import states
from dataward.integrity.proof.data import check_data
from dataward.integrity.proof.delta import check_log, look
from dataward.integrity.proof.tail import check_tail, check_unattested
from dataward.tables.deltalog.folder import folder
from tests.attacks import ATTACKS
from tests.deltamade import SHAPES, thirty
from tests.legitimate import OPERATIONS
from tests.unit.test_manifest import manifests


def findings(root, chain):
    looked = look(folder(str(root)), chain)
    told = check_log(looked)
    if not any(one.code in ("other-table", "table-missing") for one in told):
        told += (
            check_tail(looked, {state.mark: state.version for state in states(chain)})
            + check_unattested(looked)
            + check_data(looked, looked.state)[0]
        )
    return told


LONG = ("merge", "multipart")  # much like others; each shape takes some seconds


@pytest.fixture(
    scope="module", params=[pytest.param(one, marks=pytest.mark.long) if one in LONG else one for one in SHAPES]
)
def sealed(request, quick_folder):
    """A table of thirty sealed versions, and a function that gives copies of it."""
    root = quick_folder / request.param
    root.mkdir()
    made = thirty(root / "made", request.param)
    chain, _ = manifests(made.root)

    def copied():
        shutil.rmtree(root / "copy", ignore_errors=True)
        shutil.copytree(made.root, root / "copy")
        return replace(made, root=root / "copy", adds=dict(made.adds))

    return copied, chain


def test_every_attack_is_named(sealed):
    copied, chain = sealed
    seen, missed = set(), {}
    for attack in ATTACKS:
        table = copied()
        done = attack.run(table)
        if done is False or done == []:  # the shape has nothing to attack
            continue
        told = {one.code for one in findings(table.root, chain) if one.fails}
        if attack.code not in told:
            missed[attack.name] = attack.code, told
        seen.add(attack.name)
    assert missed == {}
    assert len(seen) >= 50


def test_nothing_is_found_where_nothing_was_done(sealed):
    copied, chain = sealed
    assert findings(copied().root, chain) == []


def test_attacks_are_many_and_their_codes_documented():
    assert len({attack.run for attack in ATTACKS}) >= 50
    assert {attack.code for attack in ATTACKS} <= CODES.keys()


def test_nothing_legitimate_is_a_failure_and_what_it_is_is_named(sealed):
    copied, chain = sealed
    seen, wrong = set(), {}
    for operation in OPERATIONS:
        table = copied()
        if operation.run(table) is False:
            continue
        told = findings(table.root, chain)
        if any(one.fails for one in told) or (operation.note and operation.note not in {one.code for one in told}):
            wrong[operation.name] = list(map(str, told))
        seen.add(operation.name)
    assert wrong == {}
    assert len(seen) >= 17
    assert len(OPERATIONS) >= 20
