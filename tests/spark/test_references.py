"""Rules across tables in a publish: references are pinned, sealed, and checked against their columns."""

from pathlib import Path

import pytest

from dataward.errors import ContractError, SourceChanged, TargetError
from dataward.pipeline import seal as sealing

FLIGHTS = [(n, f"N{n % 7}" if n % 5 else None, n % 4) for n in range(1, 41)]
RULES_ACROSS = (
    'ReferentialIntegrity "tail" "planes.tail" >= 0.5,\nRowCountMatch "planes" > 1,\nSchemaMatch "planes" < 1,\nIsUnique "n",\n'
    'CustomSql "select count(*) from primary f left anti join planes p using (tail) where tail is not null" = 13'
)


@pytest.mark.parametrize("engine", ["deequ", "spark"])
def test_rules_across_tables_that_are_pinned_and_sealed(lake, engine):
    lake.source([*FLIGHTS, (40, "N1", 1)], "n int, tail string, k int")
    lake.source([("N1",), ("N2",), ("N3",), ("N5",), ("N1",)], "tail string", "planes")
    extra = f"quarantine: {{{{path: {{root}}/quarantine}}}}\nengine: {engine}\nreferences: {{{{planes: {{{{path: {{root}}/planes}}}}}}}}"
    columns = "{tail: {class: vehicle, protect: token}}"
    result = lake.publish(
        "r1",
        rules=RULES_ACROSS + ']\nAnalyzers = [ AllStatistics "k", AllStatistics "tail" ',
        columns=columns,
        extra=extra,
    )
    assert result.status == "published", result.reasons
    assert result.rows == {"in": 41, "published": 39, "quarantined": 2, "dropped": 0}
    told = result.verdicts[0]
    assert (told["measured"], told["message"]) == (pytest.approx(20 / 33), "13 of 33 rows have no match")
    assert {row.failed_columns[0] for row in lake.read("quarantine").collect()} == {"n"}
    assert result.seal["references"]["planes"]["version"] == 0
    numbers = {(s["metric"], tuple(s["columns"])): s["measured"] for s in result.statistics}
    assert (numbers["minimum", ("k",)], numbers["maximum", ("k",)], numbers["size", ()]) == (0, 3, 41)
    assert {metric for metric, columns in numbers if columns == ("tail",)} == {
        "completeness",
        "uniqueness",
        "min_length",
        "max_length",
    }
    assert "Statistics" in Path(result.report).read_text()
    tokens = {row.tail for row in lake.read().collect()}
    assert tokens == {f"v1.{token[3:]}" if token else None for token in tokens}
    assert len(tokens) == 8
    assert lake.verify().holds


def test_a_reference_that_changed_under_an_unfinished_run(lake, monkeypatch):
    lake.source(FLIGHTS, "n int, tail string, k int")
    (lake.root / "planes.csv").write_text("tail\nN1\n")
    extra = "quarantine: {{path: {root}/quarantine}}\nreferences: {{planes: {{format: csv, path: {root}/planes.csv, options: {{header: true}}}}}}"
    contract = {"rules": 'ReferentialIntegrity "tail" "planes.tail" >= 0', "extra": extra}
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "content_of", lambda *a: 1 / 0)
        with pytest.raises(TargetError, match="version 0 is committed and not sealed yet.*--run-id r1"):
            lake.publish("r1", **contract)
    (lake.root / "planes.csv").write_text("tail\nN1\nN2\n")
    with pytest.raises(SourceChanged, match="reference 'planes'"):
        lake.publish("r1")


@pytest.mark.parametrize(("rules", "words"), [
    ('ReferentialIntegrity "tail" "planes.tali" = 1', "reference 'planes' has no column 'tali'"),
    ('ReferentialIntegrity "tial" "planes.tail" = 1', "no column 'tial'"),
    ('AggregateMatch "sum(k)" "sum(n2)" = 1', "no column 'n2'"),
])  # fmt: skip
def test_columns_of_references_are_checked(lake, rules, words):
    lake.source(FLIGHTS, "n int, tail string, k int")
    lake.source([("N1",)], "tail string", "planes")
    extra = "quarantine: {{path: {root}/quarantine}}\nreferences: {{planes: {{path: {root}/planes}}}}"
    with pytest.raises(ContractError, match=words):
        lake.publish(rules=rules, extra=extra)
