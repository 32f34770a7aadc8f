"""What discover and profile show of tables with many columns, and of numbers that a CSV file holds as texts."""

import pytest

from dataward.cli.discovery import MANY, _print
from dataward.cli.profile import _as_texts
from dataward.cli.tables import failed_rules
from dataward.contract.reserved import MALFORMED
from dataward.privacy.discover.detectors import DETECTORS
from dataward.privacy.discover.scanner import Scanner
from dataward.privacy.discover.score import residues
from dataward.profiling.column import ColumnProfile
from dataward.quality.rules.well_formed import WellFormed
from dataward.verbs.discover import html
from dataward.verbs.profile import Profile


def found(plain):
    nothing = {"class": None, "confidence": {"value": 0, "low": 0, "high": 0}, "evidence": ["nothing"], "inside": [], "free_text": False}  # fmt: skip
    mail = {**nothing, "name": "mail", "class": "email", "confidence": {"value": 1, "low": 1, "high": 1}}
    note = {**nothing, "name": "note", "free_text": True}
    columns = [mail, note, *({**nothing, "name": f"c{n}"} for n in range(plain))]
    return {"source": "s", "rows": 3, "looked": 3, "columns": columns, "warnings": ["3 of 3 records are <odd>"]}


@pytest.mark.parametrize("plain", [0, MANY, MANY + 1])
def test_columns_without_findings_are_rows_while_they_are_few_and_else_one_line(plain, capsys):
    _print(found(plain))
    lines = capsys.readouterr().out.splitlines()
    page = html("s", [found(plain)])
    assert "3 of 3 records are &lt;odd&gt;" in page
    assert page.count("<code>c") == (plain if plain <= MANY else 1)
    assert len(lines) == 3 + (plain if plain <= MANY else 1)
    if plain > MANY:
        assert lines[-1].startswith(f"  nothing was found in {plain} further columns: c0, c1, ")
        assert f"Nothing was found in {plain} further columns: <code>c0, c1, " in page
    assert ("further" in page) == (plain > MANY)


def test_numbers_and_times_that_are_texts_are_named_and_sensitive_ones_are_not():
    def text(name, inferred=None, sensitive=None):
        return ColumnProfile(name, "string", 9, 0, 9, 0, inferred=inferred, inferred_share=1.0, sensitive=sensitive)

    columns = (
        text("a", "number"),
        text("b"),
        text("c", "timestamp"),
        text("d", "integer", "national_id"),
        text("e", "boolean"),
    )
    [hint] = _as_texts(Profile("s", 9, columns))
    assert hint.startswith("read as texts: a, c. With --option inferSchema=true ")
    assert _as_texts(Profile("s", 9, columns[1:2])) == []


def test_measures_with_a_fraction_hold_no_number_of_an_id():
    measures = ["92.584726072391", "89.432255991095", "79.290733694828", "87.483037694785"]  # of a normal distribution
    scanner = Scanner(DETECTORS)
    assert residues(scanner.look(measures)) == ()
    cards = ["4111111111111111", "5500005555555559"]
    assert [class_ for class_, _ in residues(scanner.look([*measures, *cards]))] == ["payment_card"]


def test_the_series_of_records_that_are_well_formed_names_no_column_of_datawards_own():
    assert WellFormed.of(MALFORMED, "id").series == "record is well formed"


def test_rules_that_failed_in_a_published_run_are_named_those_that_divert_most_first():
    def verdict(rule, action="quarantine", failed=None, measured=None, outcome="FAILED"):
        return {
            "rule": rule,
            "outcome": outcome,
            "action": action,
            "failed_rows": failed,
            "measured": measured,
            "expected": "> 1",
        }

    few, most = verdict("few", failed=1, measured=0.9), verdict("most", failed=2000, measured=0.1)
    warned = verdict("warned", "warn", measured=0.5)
    assert failed_rules([warned, few, verdict("good", outcome="PASSED"), most]) == [
        "  2,000 rows failed: most",
        "  1 row failed: few",
        "  measured 0.5, expected > 1 failed (warning): warned",
    ]
    lines = failed_rules([few] * 12)
    assert (len(lines), lines[-1]) == (11, "  and 2 more rules: see the report")
    assert failed_rules([]) == []
