"""What the command says about an erasure, on given results."""

import pytest

from dataward.cli import main
from dataward.verbs.erase import Erased

NOBODY = "was about this person: check the identifier"


@pytest.mark.parametrize(
    ("rows", "source_rows", "more", "said"),
    [({"t": 0}, 0, [], True), ({"t": 1}, 0, [], False), ({"t": 0}, 2, [], False), ({}, 0, ["--prove"], False)],
)
def test_an_identifier_that_nobody_has_is_not_passed_off_as_an_erasure(
    rows, source_rows, more, said, tmp_path, monkeypatch, capsys
):
    done = Erased(
        rows=rows, files=1, bytes=2, forms=1, short=0, shared=0, residues=(), unread=(), source_rows=source_rows, entries=(), shredded=False,
    )  # fmt: skip
    monkeypatch.setattr("dataward.pipeline.plan.plan", lambda file: None)
    monkeypatch.setattr("dataward.spark.session.get", lambda: None)
    monkeypatch.setattr("dataward.verbs.erase.erase", lambda *given: done)
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    assert main(["erase", "--contract", "c.yaml", "--subject", "a", "--ticket", "t", *more]) == 0
    out = capsys.readouterr().out
    assert (NOBODY in out) == said
    assert "for 1 value\n" in out
