"""Patterns that run away are told when the contract loads; those that people use every day are not."""

import pytest

from dataward.errors import ContractError
from dataward.pipeline.plan import plan
from dataward.quality.backtracking import left_open, runs_away

SLOW = [
    r"(a+)+b", r"^(a+)+$", r"^(\w+\s?)*$", r"(a|a)*b", r"(a|aa)+$", r"(a*)*b", r"(a*b*)*c", r"^([a-zA-Z0-9._-]+)+@x", r"(.*a){20}$",
    r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(\s*\w+\s*,?)*;", r"((ab)*)*c", r"(?:[a-z]+ ?)+$", r"^(\p{L}+)*$", r"(x+x+)+y", r"(?<n>a+)+\.",
    r"^\w+([.-]?\w+)*@\w+$", r"(((a{1000}){1000}){1000})+$", r"(a+){1,50}b",
]  # fmt: skip
QUICK = [
    r"^[^@]+@[^@]+\.[^@]+$", r"^(\d{3}-)?\d{3}$", r"^([a-z0-9]+-)*[a-z0-9]+$", r"^(\w+\.)*\w+$", r"(a+)+", r"a{1,3}b", r"(19|20)[0-9]{6}",
    r"^(?:[01]\d|2[0-3]):[0-5]\d$", r"^[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}$", r"(a++)+b", r"^(\d+,)*\d+$", r"^\s*\S+\s*$", r"[", r"(?>a+)+b", r"^(.*)$",
    r".*a.*b.*c", r"^[a-z]{2,64}$", r"^(a|b)*$", r"^(ab|cd)+$", r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$", r"^[^a-z&&[^b]]+$", r"\QA\E", "",
    "(" + "|".join(f"w{n}x" for n in range(45)) + ")*$", "(" * 3000 + "a" + ")*" * 3000 + "b",
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "words"), [
    (r"^(19|20[0-9]{6}$", "a '(' is not closed"), (r"^[a-z", "a '[' is not closed"), (r"^a)$", "a ')' closes nothing"), (r"(?<y>\d", "a '('"),
    (r"\p{L}[", "a '['"),
])  # fmt: skip
def test_a_bracket_without_its_counterpart_is_a_mistake_in_the_contract(tmp_path, pattern, words):
    rule = f'ColumnValues "id" matches "{pattern}"'
    assert left_open(pattern).startswith(words)
    (tmp_path / "c.yaml").write_text(
        "contract: c\nsource: {path: a}\ntarget: {path: b}\nkeys: {path: k, domain: d}\nrules: |\n  Rules = [\n    not ("
        + rule
        + ")\n  ]\n"
    )
    with pytest.raises(ContractError, match=r"c.yaml:7: rules: .* cannot be read: a '"):
        plan(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    "pattern",
    [*SLOW, *(one for one in QUICK if one != "["), r"\Q(\E", r"[\[(]", r"\(", r"[a[b]]", r"(?x) a # (", r"[)(]"],
)
def test_patterns_that_java_takes_are_not_called_open(pattern):
    assert left_open(pattern) == ""


@pytest.mark.parametrize("pattern", SLOW)
def test_a_loop_that_reads_the_same_in_two_ways_runs_away(pattern):
    assert runs_away(pattern)


@pytest.mark.parametrize("pattern", QUICK)
def test_patterns_of_every_day_do_not(pattern):
    assert not runs_away(pattern)


@pytest.mark.parametrize("rule", [
    'ColumnValues "id" matches "^(\\w+\\s?)*$"', 'IsComplete "id" where "id rlike \'^(a+)+$\'"', 'not (ColumnValues "id" matches "(a|aa)+$")',
    'CustomSql "select count(*) from primary where regexp_like(id, \'(x+x+)+y\')" = 0',
])  # fmt: skip
def test_a_contract_with_one_loads_with_a_warning_at_its_line(tmp_path, rule):
    (tmp_path / "c.yaml").write_text(
        "contract: c\nsource: {path: a}\ntarget: {path: b}\nkeys: {path: k, domain: d}\nrules: |\n  Rules = [\n    RowCount > 1,\n    "
        + rule
        + "\n  ]\n"
    )
    (warning,) = plan(tmp_path / "c.yaml").warnings
    assert warning.startswith(f"{tmp_path}/c.yaml:8: rules: ")
    assert "can take exponentially long" in warning
    assert "limits: {seconds: N}" in warning
