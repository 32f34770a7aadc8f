"""Whether a run stops by its counts of rows alone; the words of Ctrl-C at every point of a run."""

import pytest

from dataward.contract import Contract
from dataward.pipeline.decide import Counted, reasons_of_counts

MODES = {
    "overwrite": {},
    "append": {},
    "merge": {"on": ["id"]},
    "replace": {"partition": {"day": 1}, "partition_by": ["day"]},
    "refresh": {"partition_by": ["day"]},
}


def contract(mode="overwrite", **more):
    keep = {"id": {"protect": "keep"}, "day": {"protect": "keep"}}
    given = {
        "contract": "t",
        "source": {"path": "s"},
        "target": {"path": "t", "mode": mode, **MODES[mode]},
        "columns": keep,
    }
    return Contract.model_validate(
        {**given, "engine": "spark", "keys": {"path": "k", "domain": "t"}, "quarantine": {"drop": True}, **more}
    )  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_no_rows_never_replace_those_of_the_target_unless_the_contract_allows_it(mode):
    reasons = reasons_of_counts(contract(mode), Counted(0, 0, 0))
    assert bool(reasons) == (mode in ("overwrite", "replace", "refresh"))
    assert all("the source has no rows" in reason and "limits: {empty: allow}" in reason for reason in reasons)
    assert reasons_of_counts(contract(mode, limits={"empty": "allow"}), Counted(0, 0, 0)) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_run_of_which_every_row_is_diverted_stops(mode):
    [reason] = reasons_of_counts(contract(mode), Counted(7, 7, 7))
    assert reason.startswith("limits.empty: all 7 rows fail a rule")
    assert reasons_of_counts(contract(mode), Counted(7, 7, 6)) == []
    assert reasons_of_counts(contract(mode, limits={"empty": "allow"}), Counted(7, 7, 7)) == []


def test_all_rows_of_a_micro_batch_or_a_release_may_be_diverted():
    assert reasons_of_counts(contract("append"), Counted(7, 7, 7), part_of_many=True) == []


def test_a_refresh_that_reads_nothing_goes_on_and_one_whose_partitions_lose_every_row_stops():
    assert reasons_of_counts(contract("refresh"), Counted(7, 0, 0)) == []
    assert len(reasons_of_counts(contract("refresh"), Counted(7, 2, 2))) == 1


def test_the_share_of_diverted_rows_is_of_the_rows_read():
    limited = contract(limits={"quarantined": 0.5})
    assert reasons_of_counts(limited, Counted(10, 4, 2)) == []
    [reason] = reasons_of_counts(limited, Counted(10, 4, 3))
    assert reason == "limits.quarantined: 75.00% of the rows would be diverted, over 50.00%"
    [reason] = reasons_of_counts(contract(quarantine=None), Counted(4, 4, 1))
    assert "names no quarantine" in reason
