"""How many Spark jobs a publish takes: all of them, from the first look at the source to the seal."""

import pytest

from dataward.spark.held import hold

ROWS = [(n, f"p{n}@example.org", str(n % 7), float(n % 100), None if n % 50 == 0 else "a", f"2020-01-{n % 28 + 1:02d}")
        for n in range(3000)]  # fmt: skip
SCHEMA = "id bigint, mail string, region string, amount double, note string, day string"
RULES = 'RowCount > 10,\nIsUnique "id",\nIsComplete "id",\nColumnValues "amount" >= 0'
MAIL = "{mail: {class: email, protect: token}}"
SMALL = {"rules": RULES, "columns": MAIL, "discovery": "{}"}
BESIDE = "engine: spark\nquarantine: {{path: {root}/quarantine}}\nhistory: {{}}"


def jobs_of_second(lake, jobs_of, **contract):
    """The jobs of a publish into a table that is there, and the one before it."""
    lake.source(ROWS, SCHEMA)
    with jobs_of() as first:
        lake.publish(**contract)
    with jobs_of() as second:
        assert lake.publish().status == "published"
    return first["jobs"], second["jobs"]


def test_a_small_publish_takes_twelve_jobs_at_most(lake, jobs_of):
    assert max(jobs_of_second(lake, jobs_of, **SMALL, extra="engine: spark")) <= 12


def test_with_quarantine_and_history_it_takes_twenty_at_most(lake, jobs_of):
    rules = RULES.replace(">= 0", "> 0") + ',\nIsComplete "note"'  # rows that fail both are counted once, in the scan
    assert max(jobs_of_second(lake, jobs_of, **SMALL | {"rules": rules}, extra=BESIDE)) <= 20
    bad = [row for row in ROWS if row[3] == 0 or row[4] is None]
    assert lake.read("quarantine").count() == 2 * len(bad)
    assert len(bad) < sum(row[3] == 0 for row in ROWS) + sum(row[4] is None for row in ROWS)


EVERYTHING = """{
  changes: true,
  normalise: {region: {trim: true}, note: {case: upper}},
  duplicates: {people: {similar: {mail: {as: text}}, above: 0.999, block: [mail]}},
  outliers: {amount: {do: winsorise}},
  missing: {amount: {with: median, per: [region]}}}"""
MORE = """
windows: {{column: day, length: 1 day}}
erasure: {{subject: mail}}
parity: true
limits: {{quarantined: 0.5}}
quasi_identifiers: [region, day]
policy: conf/policies/default.yaml
references: {{regions: {{format: delta, path: {root}/regions}}}}
joins: [{{column: mail, with: {root}/other.yaml, share: 0.1}}]
rules_after: 'Rules = [ ColumnValues "mail" matches "v[0-9]+[.][0-9a-f]{{32}}", IsUnique "mail" ]'
"""
ALL_RULES = (
    RULES.replace('IsUnique "id"', 'IsPrimaryKey "id"')
    + """,
    IsComplete "note",
    RowCount >= 0.5 * avg(last(3)),
    DetectAnomalies "Mean" "amount",
    ReferentialIntegrity "region" "regions.region" = 1,
    DistinctValuesCount "region" >= 2,
    Entropy "region" > 0.1"""
)


@pytest.mark.long
def test_every_feature_takes_sixty_jobs_at_most(lake, jobs_of):
    lake.source([(str(n),) for n in range(7)], "region string", "regions")
    lake.source(ROWS, SCHEMA)
    lake.publish(**SMALL, extra="engine: spark")
    (lake.root / "other.yaml").write_text((lake.root / "contract.yaml").read_text())
    contract = SMALL | {"rules": ALL_RULES, "treat": EVERYTHING}
    (lake.root / "target").rename(lake.root / "other")
    other = (lake.root / "other.yaml").read_text().replace("/target,", "/other,")
    (lake.root / "other.yaml").write_text(other)
    lake.forget()
    assert max(jobs_of_second(lake, jobs_of, **contract, extra=BESIDE + MORE)) <= 60


def test_a_held_frame_begins_a_plan_of_its_own(spark, jobs_of):
    frame = spark.range(100).selectExpr("id", "id % 7 as `a.b`").where("id > 3")
    held = hold(frame)
    with jobs_of() as told:
        assert held.frame.selectExpr("sum(id)").first()[0] == sum(range(4, 100))
        assert held.frame.columns == ["id", "a.b"]
    assert told["jobs"] == 1
    plan = held.frame.where("id < 50")._jdf.queryExecution().toString()
    assert "ExistingRDD" in plan
    assert "Range" not in plan  # nothing of how it was made
    held.release()
    assert held.frame.count() == 96  # computed again
