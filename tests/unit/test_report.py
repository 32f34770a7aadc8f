"""The page: self-contained, escaped, drawn from the model alone."""

import re

from dataward.report import Phase, Place, RunResult
from dataward.report.html import page


def result(**changes):
    verdict = {"rule": 'IsComplete "<b>"', "kind": "IsComplete", "outcome": "FAILED", "measured": 0.5, "expected": "every row",
               "action": "quarantine", "failed_rows": 5, "message": ""}  # fmt: skip
    fields = {
        "run_id": "r1", "contract": "people", "status": "published", "started": "2026-11-22T00:00:00+00:00", "seconds": 1.0,
        "source": {"described": "x", "version": None},
        "rows": {"in": 10, "published": 5, "quarantined": 5, "dropped": 0}, "verdicts": [verdict],
        "protections": [{"column": "a", "class_": None, "protection": "keep", "domain": None, "key_version": None}],
        "target": Place(path="lake/people", version=1), "phases": [Phase(name="judge", seconds=1.0)],
    }  # fmt: skip
    return RunResult(**{**fields, **changes})


def test_page_fetches_nothing_and_runs_nothing():
    html = page(result())
    assert not re.search(r"<script|<link|src=|href=|url\(|@import", html)


def test_page_escapes():
    html = page(result(reasons=["<script>alert(1)</script>"], status="stopped"))
    assert "<script>" not in html
    assert "IsComplete &#34;&lt;b&gt;&#34;" in html


def test_every_number_of_the_flow_is_on_the_page():
    html = page(result(rows={"in": 1234567, "published": 1234000, "quarantined": 560, "dropped": 7}))
    for text in ("1,234,567", "1,234,000", "560", "7", "0.05 %"):
        assert text in html


def test_a_number_that_is_none_is_drawn_as_a_dash():
    """Such as a check of the user's own over a column with NaN."""
    for odd in (float("nan"), float("inf"), None):
        assert '<td class="num">-</td>' in page(result(verdicts=[{**result().verdicts[0], "measured": odd}]))


def test_a_stopped_run_shows_why_and_no_seal():
    html = page(
        result(
            status="stopped", reasons=["Mean: FAILED"], rows={"in": 10, "published": 0, "quarantined": 0, "dropped": 0}
        )
    )
    assert "Mean: FAILED" in html
    assert "not published" in html
    assert "nothing was published" in html
