"""The steps of demo and tour, with a command line that only notes what it is asked."""

from pathlib import Path

import pytest

from dataward import demo


@pytest.mark.parametrize("which", ["demo", "tour"])
def test_what_a_walk_looks_at_it_has_published_itself(which, tmp_path, monkeypatch, capsys):
    asked = []

    def noted(argv):
        asked.append(list(argv))
        if "--draft" in argv:
            Path(argv[argv.index("--draft") + 1]).write_text("contract: flights\ntarget: {path: lake/flights}\n")
        return 0

    for folder in ("conf/contracts", "lake/people", "reports/flights/r", "reports/flights_suggested/r"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "conf/keys").touch()
    (tmp_path / "lake/people/a.parquet").write_bytes(b"abc")
    for name in ("flights", "flights_suggested"):
        (tmp_path / f"reports/{name}/r/report.html").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "main", noted)
    monkeypatch.setattr(demo, "prepare", lambda: None)
    getattr(demo, which)()
    published = set()
    for argv in asked:
        if argv[0] == "publish":
            published.add(argv[-1])
        elif argv[0] in ("history", "verify"):
            assert argv[-1] in published, argv
    shown = "flights" if which == "demo" else "flights_suggested"
    assert f"browser:\n  {tmp_path}/reports/{shown}/r/report.html" in capsys.readouterr().out
