"""Runs that end early or would leave nothing: the target is what it was, or a version that a named rerun seals."""

import shutil

import pytest

from dataward import report
from dataward.errors import Interrupted, KeyringError, TargetError
from dataward.keys import create_keyring, local_keyring
from dataward.pipeline import publish as publish_module
from dataward.pipeline import seal as sealing
from dataward.pipeline.plan import plan
from dataward.tables import commits
from dataward.verbs.rotate import rotate

SCHEMA = "id int, mail string, age int"
ROWS = [(1, "a@x.org", 30), (2, "b@x.org", 40)]
COLUMNS = "{mail: {class: email, protect: token}}"


@pytest.fixture
def published(made_once):
    def fill(lake):
        lake.source(ROWS, SCHEMA)
        lake.publish("r1", columns=COLUMNS)

    return made_once(fill)


def csv(lake, text):
    (lake.root / "in.csv").write_text(text)
    return f"{{format: csv, path: {lake.root}/in.csv, options: {{header: true}}, schema: '{SCHEMA}'}}"


def test_a_header_alone_does_not_replace_the_rows_of_the_target(published):
    before = published.rows()
    empty = {"source": csv(published, "id,mail,age\n"), "columns": COLUMNS}
    stopped = published.publish("r2", **empty)
    assert stopped.status == "stopped"
    assert "the source has no rows" in stopped.reasons[0]
    assert (published.rows(), published.versions()) == (before, 1)
    allowed = "quarantine: {{path: {root}/quarantine}}\nlimits: {{empty: allow}}"
    assert published.publish("r3", **empty, extra=allowed).rows["published"] == 0
    assert (published.rows(), published.verify().holds) == ([], True)


def test_a_run_of_which_every_record_is_malformed_stops(published):
    stopped = published.publish("r2", source=csv(published, "id,mail,age\nx,a,1\ny,b,2\n"), columns=COLUMNS)
    assert stopped.status == "stopped"
    assert "all 2 rows fail a rule or are malformed" in stopped.reasons[0]
    assert (published.versions(), (published.root / "quarantine").exists()) == (1, False)


def test_a_keyring_that_did_not_seal_the_table_is_refused_and_the_old_one_is_taken_again(published):
    keys, kept = published.root / "keys", published.root / "kept"
    shutil.move(keys, kept)
    with pytest.raises(KeyringError, match="was sealed before.*restore it from your backup"):
        published.publish("r2")
    create_keyring(keys)
    with pytest.raises(KeyringError, match="is not the one that sealed .* version 0: .*no domain 't'"):
        published.publish("r2")
    local_keyring(keys).add_domain("t")
    with pytest.raises(KeyringError, match="version 1 of domain 't' is another secret"):
        published.publish("r2")
    with pytest.raises(KeyringError, match="version 1 of domain 't' is another secret"):
        rotate(published.spark, "t", [plan(published.root / "contract.yaml")])
    assert local_keyring(keys).current("t") == 1
    assert published.versions() == 1
    shutil.move(kept, keys)
    assert published.publish("r2").status == "published"


def test_a_version_that_could_not_be_sealed_is_sealed_by_the_rerun_that_the_error_names(published, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "content_of", lambda *given: 1 / 0)
        with pytest.raises(TargetError, match="version 1 is committed and not sealed yet.*--run-id r2"):
            published.publish("r2")
    assert not published.verify().holds
    assert published.publish("r2").target.version == 1
    assert (published.versions(), published.verify().holds) == (2, True)


@pytest.mark.parametrize(("where", "words"), [
    ("before", "nothing of this run is in .*--run-id r2 to finish it"),
    ("after", "target version 1 is committed and not sealed yet; rerun with --run-id r2 to seal it"),
    ("sealed", "target version 1 is committed and sealed; rerun with --run-id r2 to complete its report")])  # fmt: skip
def test_ctrl_c_says_what_is_committed_and_what_finishes_it(published, monkeypatch, where, words):
    commit = commits.commit_target

    def interrupted(*given, **more):
        if where == "after":
            commit(*given, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        owner, name = (publish_module, "result") if where == "sealed" else (commits, "commit_target")
        patch.setattr(owner, name, interrupted)
        with pytest.raises(Interrupted, match=words) as stop:
            published.publish("r2")
    assert "\n" not in str(stop.value)
    assert published.publish("r2").status == ("unchanged" if where == "sealed" else "published")
    assert (published.versions(), published.verify().holds) == (2, True)


def test_a_report_that_cannot_be_written_does_not_hide_that_the_table_is_published(published, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(report, "write", lambda *given: (_ for _ in ()).throw(TargetError("report x: full")))
        with pytest.raises(
            TargetError, match="version 1 is published and sealed by run r2. Only its report is missing: report x"
        ):
            published.publish("r2")
    assert published.verify().holds
