"""Rules judged over sites by sums: the verdicts are those of all rows together."""

import numpy as np
import pytest

from dataward.errors import ContractError
from dataward.federated.site import Memory, Site, accept
from dataward.federated.survey import read_survey
from dataward.federated.transport import InProcess
from dataward.quality.metrics import KINDS, Metric
from dataward.verbs import survey as verb
from dataward.verbs.site import init

SURVEY = """\
survey: quality
rules: |
  Rules = [
    RowCount between 2 and 1000,
    Completeness "x" > 0.9,
    IsComplete "x",
    ColumnValues "x" > 0 with threshold > 0.5,
    Mean "x" between 1 and 3,
    StandardDeviation "x" < 2,
    Sum "x" > 100000,
    ColumnCorrelation "x" "y" > 0.5
  ]
columns: {{x: double, y: double}}
sites:
{sites}
minimum_sites: 2
output: {root}/out
"""
NAMES = ("north", "south", "west")


@pytest.fixture
def asked(tmp_path):
    for name in (*NAMES, "coordinator"):
        init(tmp_path / "keys", name)
    entries = [
        f'  - {{name: {name}, url: "https://127.0.0.1:1", public_key: {tmp_path}/keys/{name}.pub}}' for name in NAMES
    ]
    (tmp_path / "survey.yaml").write_text(SURVEY.format(root=tmp_path, sites="\n".join(entries)))
    return tmp_path / "survey.yaml"


def state_of(metric, x, y):
    """The mergeable state as Spark would measure it, by numpy."""
    kind, n = metric.kind, float(len(x))
    if kind == "size":
        return (n,)
    if kind == "completeness":
        return (n, n)
    if kind == "compliance":
        return (float((x > 0).sum()) if ">" in str(metric.predicate) else n, n)
    if kind == "mean":
        return (n, x.sum())
    if kind == "sum":
        return (x.sum(),)
    if kind == "standard_deviation":
        return (n, x.mean(), x.var())
    return (n, x.mean(), y.mean(), x.var(), y.var(), float(np.cov(x, y, bias=True)[0, 1]))


def run(asked, data, transport=None):
    from dataward.federated.certificates import private_key

    survey = read_survey(asked)
    tally, _, metrics = verb.tally_of(survey, str(asked))
    sites = {}
    for name, (x, y) in data.items():
        numbers = np.array([part for metric in metrics for part in verb._sums(metric, state_of(metric, x, y))])
        key = private_key(asked.parent / f"keys/{name}.key")
        accepted = accept(survey, survey.public_keys(), numbers, {"version": 1}, tally)
        sites[name] = Site(name, key, (accepted,), Memory(asked.parent / name))
    return verb.survey(asked, asked.parent / "keys/coordinator.key", transport=transport or InProcess(sites))


def test_verdicts_over_sites_are_those_of_all_rows_together(asked):
    draw = np.random.default_rng(0)
    data = {name: (draw.normal(1 + i, 1, 100), draw.normal(size=100)) for i, name in enumerate(NAMES)}
    data = {name: (x, x + y) for name, (x, y) in data.items()}
    done = run(asked, data)
    x, y = (np.concatenate([pair[i] for pair in data.values()]) for i in (0, 1))
    measured = [one.measured for one in done.verdicts]
    expected = [300, 1, 1, (x > 0).mean(), x.mean(), x.std(), x.sum(), np.corrcoef(x, y)[0, 1]]
    assert measured == pytest.approx(expected, rel=1e-4)
    assert [one.outcome for one in done.verdicts] == ["PASSED"] * 6 + ["FAILED", "PASSED"]
    assert not done.holds
    assert done.rows == 300
    assert done.sites == NAMES
    assert (asked.parent / "out/survey.json").exists()


def test_a_column_without_a_type_is_named(asked):
    asked.write_text(asked.read_text().replace("columns: {x: double, y: double}", "columns: {x: double}"))
    with pytest.raises(ContractError, match=r"gives no type of 'y'; add columns: \{y: double\}"):
        verb.tally_of(read_survey(asked), str(asked))


def test_every_layout_has_a_scale_for_each_part_of_a_state_and_is_undone(asked):
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(2, 50))
    for kind, layout in verb.LAYOUTS.items():
        metric = Metric(
            kind, ("x", "y")[: 2 if kind == "correlation" else 1], predicate="`x` > 0" if kind == "compliance" else None
        )
        state = state_of(metric, x, y)
        sums = verb._sums(metric, state)
        assert len(sums) == len(layout) == len(KINDS[kind].parts(metric))
        assert verb._state(metric, np.array(sums)) == pytest.approx(state)


@pytest.mark.parametrize("rule", ['IsUnique "x"', 'ColumnValues "x" in [1] and (IsUnique "x")', "DistinctValuesCount \"x\" > 1",
                                  'CustomSql "select 1" = 1', 'ColumnLength "x" > 1 and Uniqueness "x" > 0.5'])  # fmt: skip
def test_a_rule_that_is_no_function_of_sums_is_refused_with_its_line(asked, rule):
    text = asked.read_text().replace("RowCount between 2 and 1000", rule)
    asked.write_text(text)
    with pytest.raises(ContractError, match="no function of sums over sites"):
        verb.tally_of(read_survey(asked), str(asked))
