"""Tables that Spark wrote: every tampering is found and named with public keys alone, and nothing that Spark rightly does is one."""

import shutil

import pytest

from dataward.integrity.dsse import pem
from tests.attacks import ATTACKS
from tests.sealedmade import RING, Sealed, enter
from tests.sparkmade import KINDS, OPERATIONS, operated, taken, thirty_of
from tests.unit.test_manifest import manifests

pytestmark = pytest.mark.long

KEYS = pem(RING.public_key("people", 1)).encode()


@pytest.fixture(scope="module")
def written(spark, tmp_path_factory):
    """Sealed tables by kind."""
    root, found = tmp_path_factory.mktemp("written"), {}
    for kind in KINDS:
        sealed = found[kind] = Sealed(root / kind, thirty_of(spark, kind, root / kind / "table"))
        for manifest in manifests(sealed.table.root)[0]:
            enter(sealed, manifest.version, f"r{manifest.version}", manifest)
    return found


def told(sealed):
    return sealed.prove(sealed.trust(KEYS)).findings


@pytest.mark.parametrize("kind", KINDS)
def test_every_attack_on_a_table_of_spark_is_named(written, tmp_path, kind):
    whole = written[kind]
    assert told(whole) == ()
    seen, missed = set(), {}
    for attack in ATTACKS:
        sealed = whole.copy(tmp_path / "copy")
        done = attack.run(sealed.table)
        if done is False or done == []:  # this kind of table has nothing to attack
            continue
        found = {one.code for one in told(sealed) if one.fails}
        if attack.code not in found:
            missed[attack.name] = attack.code, found
        seen.add(attack.name)
    shutil.rmtree(tmp_path / "copy")
    assert missed == {}
    assert len(seen) >= 50


@pytest.mark.parametrize("part", range(3))
def test_nothing_that_spark_rightly_does_is_tampering(spark, written, tmp_path, part):
    wrong = {}
    for name, (kind, code, _) in list(OPERATIONS.items())[part::3]:
        copy = written[kind].copy(tmp_path / name.replace(" ", "_").replace(",", ""))
        operated(spark, name, copy.table.root)
        found = told(copy)
        if any(one.fails for one in found) or (code and code not in {one.code for one in found}):
            wrong[name] = list(map(str, found))
    assert wrong == {}
    assert len(OPERATIONS) >= 20


@pytest.mark.parametrize("kind", KINDS)
def test_spark_wrote_what_its_kind_says(written, kind):
    table = taken(written[kind].table.root, kind)
    names = [path.name for path in table.log.iterdir() if path.name[0] != "."]
    assert table.version == 29
    assert any(".checkpoint." in name for name in names)
    assert (kind == "merge") == any(".0000000002.0000000002" in name or ".0000000003" in name for name in names)
    assert (kind == "checkpointed") == (table.log / "_sidecars").exists()
    assert (kind == "vectors") == any("deletionVector" in add for add in table.adds.values())
    assert (kind == "partitioned") == any(path.name.startswith("mail=") for path in table.root.iterdir())
