"""Which engine a contract gets from a session that has Deequ, or none."""

from types import SimpleNamespace

import pytest

from dataward.errors import SessionError
from dataward.keys import create_keyring
from dataward.pipeline import engine
from dataward.pipeline.plan import plan

TEXT = "contract: t\nsource: {{path: {root}/s}}\ntarget: {{path: {root}/t}}\nkeys: {{path: {root}/k, domain: t}}\ncolumns: {{}}\n"


@pytest.fixture
def of(tmp_path, monkeypatch):
    """The plan of a contract with some lines, fitted to a session with or without Deequ."""
    create_keyring(tmp_path / "k")

    def fitted(lines, has_deequ):
        monkeypatch.setattr(engine, "has_class", lambda spark, name: has_deequ)
        (tmp_path / "c.yaml").write_text(TEXT.format(root=tmp_path) + lines)
        planned = plan(tmp_path / "c.yaml")
        return planned, engine.with_engine(SimpleNamespace(version="4.2.0"), planned)

    return fitted


@pytest.mark.parametrize(
    ("lines", "has_deequ", "chosen"),
    [
        ("", True, "deequ"),
        ("", False, "spark"),
        ("engine: spark\n", True, "spark"),
        ("engine: spark\n", False, "spark"),
        ("engine: deequ\n", True, "deequ"),
    ],
)
def test_a_contract_without_engine_gets_one_that_the_session_has(of, lines, has_deequ, chosen):
    planned, fitted = of(lines, has_deequ)
    assert fitted.contract.engine == chosen
    assert fitted.sha256 == planned.sha256  # the contract is the same, whatever measures it


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("engine: deequ\n", "contract t: engine: deequ needs Deequ.*Spark 4.2.0.*Write engine: spark"),
        ("checks: mine.py:checks\n", "contract t: checks: mine.py:checks needs Deequ.*as rules"),
        ("engine: spark\nchecks: mine.py:checks\n", "checks: mine.py:checks needs Deequ"),
    ],
)
def test_deequ_where_there_is_none_is_refused_in_one_line_with_the_remedy(of, lines, words):
    with pytest.raises(SessionError, match=words) as refused:
        of(lines, False)
    assert "\n" not in str(refused.value)
