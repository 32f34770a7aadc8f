"""The journey with names of the catalog in place of paths: two parts (Hive, Glue), and three (a catalog of its own)."""

import shutil
import subprocess

import pyspark
import pytest

from dataward.spark import jars
from tests.e2e.conftest import ROOT

pytestmark = pytest.mark.long

CONTRACT = """\
contract: people
source: {{table: {prefix}.{source}{format}}}
target: {{table: {prefix}.people, mode: {mode}}}
quarantine: {{table: {prefix}.people_quarantine}}
ledger: {{{ledger}}}
history: {{table: {prefix}.people_history}}
keys: {{path: keys, domain: people}}
references: {{teams: {{table: {prefix}.teams}}}}
engine: spark
columns:
  id: {{protect: keep}}
  mail: {{class: email, protect: token}}
  team: {{protect: keep}}
erasure: {{subject: mail}}
discovery: off
rules: |
  Rules = [ IsPrimaryKey "id", ColumnValues "mail" matches ".+@.+", ReferentialIntegrity "team" "teams.team" = 1.0 ]
"""


def contract(workplace, name, prefix, mode, source="raw", ledger="", **more):
    given = {"format": "", "ledger": ledger or f"table: {prefix}.people_ledger", **more}
    return workplace.contract(CONTRACT.format(prefix=prefix, mode=mode, source=source, **given), f"{name}.yaml")


def journey(workplace, prefix, conf):
    """Publish in two modes, verify, rotate, erase, list; the exit codes and what the tables hold."""
    names = str(ROOT / "tests/e2e/names")
    (workplace.root / "who").write_text("ada3@x.org")
    whole, keyed = (
        contract(workplace, "whole", prefix, "overwrite"),
        contract(workplace, "keyed", prefix, "merge, on: [id]"),
    )
    done = workplace.submit_each(
        (names, "make", prefix),
        ("publish", "--contract", whole, "--run-id", "r1"),
        ("publish", "--contract", keyed, "--run-id", "r2"),
        ("publish", "--contract", keyed, "--run-id", "r2"),
        ("verify", "--contract", whole, "--rows"),
        ("rotate", "people", "--contract", keyed),
        ("erase", "--contract", keyed, "--subject", "@who", "--ticket", "T1"),
        ("history", "--contract", keyed),
        ("verify", "--contract", keyed, "--rows"),
        (names, "show", prefix),
        conf=conf,
    )  # fmt: skip
    bad = [(number, one.code, one.out[-800:]) for number, one in enumerate(done) if one.code]
    assert bad == [], f"{bad}\n{done[0].err[-3000:]}"
    return done[-1].document


def warehouse(workplace):
    return {"spark.sql.warehouse.dir": str(workplace.root / "warehouse"), "spark.master": "local[2]"}


def test_two_part_names_of_spark_catalog_carry_the_whole_journey(workplace):
    found = journey(workplace, "lake", warehouse(workplace))
    assert (found["counts"]["people"], found["counts"]["people_quarantine"]) == (5, 2)
    assert found["place"].endswith("/warehouse/lake.db/people")


def test_three_part_names_are_the_tables_of_their_own_catalog(workplace):
    """``spark_catalog`` has a schema and table of the same name, which a name that loses its catalog would find."""
    if shutil.which("javac") is None:
        pytest.skip("no javac: the second catalog is a class of its own")
    classes = workplace.root / "classes"
    classes.mkdir()
    libraries = ":".join([str(path) for path in jars.ensure()] + [f"{pyspark.__path__[0]}/jars/*"])
    java = str(ROOT / "tests/e2e/Elsewhere.java")
    subprocess.run(["javac", "-cp", libraries, "-d", str(classes), java], check=True, capture_output=True)
    conf = {**warehouse(workplace), "spark.sql.catalog.unity": "Elsewhere"}
    conf["spark.driver.extraClassPath"] = ":".join([str(classes), *map(str, jars.ensure())])
    found = journey(workplace, "unity.lake", conf)
    assert (found["counts"]["people"], found["counts"]["people_quarantine"]) == (5, 2)
    assert (found["place"].rpartition("/warehouse/")[2], found["decoy"]) == ("else_lake.db/people", ["theirs"])


def test_a_view_of_the_catalog_is_a_source_pinned_by_the_versions_that_it_reads(workplace):
    file = contract(
        workplace, "seen", "lake", "overwrite", "seen", f"path: {workplace.root}/ledger", format=", format: view"
    )
    names = str(ROOT / "tests/e2e/names")
    done = workplace.submit_each(
        (names, "make", "lake"), ("publish", "--contract", file, "--json"), conf=warehouse(workplace)
    )
    assert [one.code for one in done] == [0, 0], done[0].err[-3000:]
    described = done[1].document["source"]["described"]
    assert described.startswith("lake.seen (a view, ")
    assert described.endswith("/lake.db/raw @ version 1)")
    place = workplace.root / "warehouse/lake.db/people"
    assert workplace.dataward("verify", "--contract", file, "--table", str(place)).code == 0  # without Spark
