"""Suggested rules are tried on loads and corruptions; a contract's rules are scored the same way."""

import json

import pytest

from dataward.cli import main
from dataward.contract import Source
from dataward.errors import SourceError
from dataward.pipeline.plan import plan
from dataward.spark.sql import literal
from dataward.verbs.suggest import mutate, suggest

pytestmark = pytest.mark.long

SCHEMA = "id bigint, amount double, fee double, day date, colour string, mail string"


def rows(spark, lake, sql_amount="100 + 10 * randn(1)", name="source", count=2000, third="blue"):
    frame = spark.range(count).selectExpr(
        "id",
        f"{sql_amount} as amount",
        "rand(2) as fee",
        "date_add(date'2026-01-01', int(id % 90)) as day",
        f"element_at(array('red', 'green', {literal(third)}), int(id % 3) + 1) as colour",
        "concat('canary', id, '@example.org') as mail",
    )
    frame.coalesce(2).write.format("delta").mode("overwrite").save(str(lake.root / name))
    return Source(path=str(lake.root / name))


def test_rules_are_suggested_and_tried(spark, lake):
    rows(spark, lake, "120 + 10 * randn(3)")  # an earlier version, whose mean was another one
    source = rows(spark, lake)
    said = []
    found = suggest(spark, source, progress=said.append)
    rules = {one.rule.split(" between")[0].split(" in ")[0]: one for one in found.rules}
    left_out = {one.rule.split(" between")[0]: one for one in found.left_out}
    assert {
        'IsPrimaryKey "id"',
        'IsComplete "amount"',
        'ColumnValues "colour"',
        'ColumnValues "day"',
        'Mean "fee"',
    } <= set(rules)
    # Of the loads it fails the earlier version alone; the slices, the whole table and that version make six.
    assert (left_out['Mean "amount"'].alarms, left_out['Mean "amount"'].loads) == (1, 6)
    assert rules["RowCount >= 1000"].loads == 2
    assert rules["RowCount >= 1000"].caught == ("the load breaks off at 30 %",)
    assert "a tenth of the rows comes twice" in rules['IsPrimaryKey "id"'].caught
    assert "a tenth of colour is missing" in rules['ColumnValues "colour"'].caught
    assert "day is a year late" in rules['ColumnValues "day"'].caught
    assert "fee in another unit (x 100)" in rules['Mean "fee"'].caught
    assert "amount and fee are swapped" in rules['Mean "fee"'].caught
    assert found.tried == 2 + 6 + 3 + 1 + 2
    assert found.unnoticed == ("amount in another unit (x 100)",)  # its rules would have stopped the earlier version
    assert "canary" not in repr(found)
    assert said[0] == "profiling four fifths of the rows"


def test_a_draft_is_written_that_publishes(spark, lake, capsys, monkeypatch):
    rows(spark, lake, third="blue\\")  # DQDL has no way to write a text that ends in a backslash
    monkeypatch.chdir(lake.root)
    source = str(lake.root / "source")
    assert main(["suggest", source, "--draft", "drafted.yaml"]) == 0
    told = capsys.readouterr().out
    assert "corruptions are noticed" in told
    assert "notices" in told
    assert 'ColumnValues "colour"' not in told
    text = (lake.root / "drafted.yaml").read_text().replace("conf/keys", str(lake.root / "keys"))
    text = text.replace("domain: source", "domain: t").replace("lake/source", str(lake.root / "target"))
    (lake.root / "drafted.yaml").write_text(text)
    assert main(["contract", "check", "drafted.yaml"]) == 0
    assert main(["publish", "--contract", "drafted.yaml", "--report", str(lake.root / "reports")]) == 0
    assert main(["suggest", source, "--draft", "drafted.yaml"]) == 2
    assert "left alone" in capsys.readouterr().err


def test_a_contracts_rules_are_scored(spark, lake, capsys):
    rows(spark, lake)
    treat = "missing: {colour: {constant: red}}"
    lake.contract(
        rules='RowCount > 1500,\nIsComplete "colour",\nMean "amount" between 50 and 150', treat="{" + treat + "}"
    )
    found = mutate(spark, plan(lake.root / "contract.yaml"))
    caught = {one.rule: one.caught for one in found.rules}
    assert caught["RowCount > 1500"] == ("the load breaks off at 30 %",)
    assert caught['IsComplete "colour"'] == ()  # what is missing is filled before it judges
    assert caught['Mean "amount" between 50 and 150'] == (
        "amount in another unit (x 100)",
        "amount and fee are swapped",
    )
    assert "a tenth of the rows comes twice" in found.unnoticed
    assert len(found.unnoticed) == found.tried - 3
    assert main(["suggest", "--mutate", str(lake.root / "contract.yaml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tried"] == found.tried
    assert main(["suggest", "--mutate", str(lake.root / "contract.yaml")]) == 0
    assert "nothing would notice that a tenth of the rows comes twice" in capsys.readouterr().out


def test_nothing_to_suggest_from(spark, lake, capsys):
    source = Source(path=lake.source([], SCHEMA, "empty"))
    with pytest.raises(SourceError, match="there are no rows"):
        suggest(spark, source)
    assert main(["suggest"]) == 2
    assert "give a SOURCE to suggest rules for, or --mutate CONTRACT" in capsys.readouterr().err
