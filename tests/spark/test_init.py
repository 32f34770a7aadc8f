"""The laid-out project on this machine: its contract publishes, and its examples train on the verified version alone."""

import json
import sys

from dataward.cli import main
from tests.unit.test_init import load


def test_a_project_publishes_and_its_examples_train_on_what_was_verified(spark, tmp_path, monkeypatch, capsys):
    project = tmp_path / "project"
    assert main(["init", str(project), "--aws"]) == 0
    monkeypatch.chdir(project)
    contract = project / "contracts" / "customers.yaml"  # the session's JVM has a working directory of its own
    text = (
        contract.read_text()
        .replace("path: data/", f"path: {project}/data/")
        .replace("path: lake/", f"path: {project}/lake/")
    )
    contract.write_text(text)
    assert main(["keys", "create", "contracts/customers.yaml"]) == 0
    assert main(["publish", "--contract", "contracts/customers.yaml", "--run-id", "first", "--metrics", "stdout"]) == 0
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
    assert (metrics[0]["RowsIn"], metrics[0]["RowsQuarantined"]) == (240, 6)  # six customers have no e-mail address
    assert main(["dashboard", "reports"]) == 0
    page = (project / "reports" / "index.html").read_text()
    assert "version 0 · key customers v1" in page
    capsys.readouterr()
    assert main(["verify", "--contract", "contracts/customers.yaml", "--json"]) == 0
    proof = json.loads(capsys.readouterr().out)
    processing, train = (load(project / f"aws/sagemaker/{name}.py", name) for name in ("processing", "train"))
    monkeypatch.setattr(processing, "verified", lambda contract: proof)
    monkeypatch.setattr(
        sys, "argv", ["processing.py", "--contract", "contracts/customers.yaml", "--out", str(tmp_path / "in")]
    )
    processing.main()
    told = (tmp_path / "in" / "train.csv").read_text()
    assert told.count("\n") == 235
    assert "@example.org" not in told  # tokens, never addresses
    monkeypatch.setenv("SM_CHANNEL_TRAIN", str(tmp_path / "in"))
    monkeypatch.setenv("SM_MODEL_DIR", str(tmp_path / "model"))
    train.main()
    kept = json.loads((tmp_path / "model" / "dataward.json").read_text())
    assert (kept["version"], kept["holds"], kept["contract"]) == (proof["version"], True, "customers")
