"""Eight writers publish to tables and a ledger at once, on disk and in S3: acknowledged = committed = in the ledger = rows."""

import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from dataward.contract import Location
from dataward.integrity import ledger
from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.tables.deltalog.folder import folder
from dataward.tables.deltalog.log import read_commit, read_listing
from dataward.verbs.verify import Asked, verify_contract
from tests.aws import aws
from tests.iam_lake import SETTINGS
from tests.installed import SPARK4

pytestmark = pytest.mark.long

WRITERS = 8
SCHEMA = "id long, mail string"


def raced(lake, contracts, each):
    """Publish from all contracts at once, and return the runs that were acknowledged as (target, version, run ID)."""
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


def contracts(lake, root, tables):
    """A contract for each writer, with a source of one row: writer n writes table n modulo the number of tables."""
    files = []
    for number in range(WRITERS):
        lake.source([(number, "a@x.org")], SCHEMA, f"source{number}")
        text = (
            f"contract: t{number}\nsource: {{format: delta, path: {lake.root}/source{number}}}\n"
            f"target: {{path: '{root}/target{number % tables}', mode: append}}\nledger: {{path: '{root}/one_ledger'}}\n"
            f"keys: {{path: {lake.root}/keys, domain: t}}\nengine: spark\ncolumns: {{}}\ndefault: keep\ndiscovery: off\n"
        )
        file = lake.root / f"c{number}.yaml"
        file.write_text(text)
        files.append(file)
    return files


def committed(place):
    """Runs in the commits of a table, as (target, version, run ID)."""
    table = folder(place)
    found = [read_commit(table, version) for version in read_listing(table).commits]
    return [(place, commit.version, commit.info.run_id) for commit in found if commit.info.run_id]


def race(lake, root, tables, each):
    """Let all writers publish so often, and compare what they were told with tables and ledger."""
    files = contracts(lake, root, tables)
    told = sorted(raced(lake, files, each))
    assert len(told) == WRITERS * each
    sealed = [
        (entry.seal.target, entry.seal.version, entry.seal.run_id)
        for entry in ledger.entries(Location(path=f"{root}/one_ledger"))
        if entry.body.kind == "seal"
    ]
    assert sorted(sealed) == told
    places = [f"{root}/target{number}" for number in range(tables)]
    assert sorted(one for place in places for one in committed(place)) == told
    for number, place in enumerate(places):
        rows = lake.spark.read.format("delta").load(place).select("id").collect()
        assert Counter(row.id for row in rows) == dict.fromkeys(range(number, WRITERS, tables), each)
        proof = verify_contract(None, plan(files[number]).contract, Asked(every=True))
        assert proof.holds, proof.wrong
        assert {version for target, version, _ in told if target == place} <= {one.version for one in proof.versions}


@pytest.mark.parametrize(("tables", "each"), [(1, 6), (4, 2)])
def test_eight_writers_at_once_lose_and_double_nothing(lake, tables, each):
    race(lake, lake.root, tables, each)


@contextmanager
def bucket(spark):
    """A bucket of moto's server that the session reaches over s3a; the name is new: Hadoop keeps its connections by bucket."""
    name = f"lake-{secrets.token_hex(4)}"
    with aws() as made:
        hadoop = spark.sparkContext._jsc.hadoopConfiguration()
        settings = {**SETTINGS, "fs.s3a.endpoint": made.endpoint, "fs.s3a.attempts.maximum": "5"}
        for key, value in settings.items():
            hadoop.set(key, value)
        made.client("s3").create_bucket(Bucket=name)
        yield f"s3a://{name}"
        for key in settings:
            hadoop.unset(key)


@pytest.mark.skipif(SPARK4, reason="hadoop-aws for Spark 4 brings a bundle of 686 MB")
@pytest.mark.parametrize(("tables", "each"), [(1, 2), (4, 1)])
def test_eight_writers_at_once_lose_and_double_nothing_in_s3(lake, tables, each):
    with bucket(lake.spark) as root:
        race(lake, root, tables, each)
