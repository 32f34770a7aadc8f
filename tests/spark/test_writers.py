"""Eight writers publish to one table and its ledger at once: acknowledged = committed = in the ledger = rows."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.verbs.verify import Asked, verify_contract

pytestmark = pytest.mark.long

WRITERS, EACH = 8, 25
SCHEMA = "id long, mail string"


def raced(lake, contracts, each):
    """Publish from all contracts at once, and return the runs that were acknowledged by version of their target."""
    plans = [plan(file) for file in contracts]

    def write(number):
        return [
            (str(plans[number].contract.target), found.target.version, found.run_id)
            for n in range(each)
            if (found := publish(lake.spark, plans[number], f"w{number}-{n}", str(lake.root / "reports"))).status
            == "published"
        ]

    with ThreadPoolExecutor(len(plans)) as pool:
        return [one for runs in pool.map(write, range(len(plans))) for one in runs]


def contracts(lake, target):
    """A contract for each writer, with a source of one row."""
    files = []
    for number in range(WRITERS):
        lake.source([(number, "a@x.org")], SCHEMA, f"source{number}")
        text = (
            f"contract: t{number}\nsource: {{format: delta, path: {lake.root}/source{number}}}\n"
            f"target: {{path: {lake.root}/{target(number)}, mode: append}}\nledger: {{path: {lake.root}/one_ledger}}\n"
            f"keys: {{path: {lake.root}/keys, domain: t}}\nengine: spark\ncolumns: {{}}\ndefault: keep\ndiscovery: off\n"
        )
        file = lake.root / f"c{number}.yaml"
        file.write_text(text)
        files.append(file)
    return files


@pytest.mark.parametrize("tables", [1, 4])
def test_eight_writers_at_once_lose_and_double_nothing(lake, tables):
    each = EACH if tables == 1 else 2
    files = contracts(lake, lambda number: f"target{number % tables}")
    told = raced(lake, files, each)
    assert len(told) == WRITERS * each
    sealed = {
        (entry.seal.target, entry.seal.version, entry.seal.run_id)
        for entry in lake.entries("one_ledger")
        if entry.body.kind == "seal"
    }
    assert sealed == set(told)
    for number in range(tables):
        rows = Counter(row[0] for row in lake.rows(f"target{number}", "id"))
        assert rows == dict.fromkeys(range(number, WRITERS, tables), each)
        proof = verify_contract(None, plan(files[number]).contract, Asked(every=True))
        assert proof.holds, proof.wrong
        mine = {version for target, version, _ in told if target.endswith(f"target{number}")}
        assert mine <= {one.version for one in proof.versions}
