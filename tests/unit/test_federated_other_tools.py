"""Verified data in other people's training: PyTorch and Hugging Face data sets, runs of MLflow. No Spark."""

from __future__ import annotations

import sys
import types

import pyarrow as pa
import pytest

from dataward.cli import main
from dataward.errors import ProofError, UsageError
from dataward.verbs.datasets import hugging_face_dataset, hugging_face_of, torch_dataset, torch_of
from dataward.verbs.mlflow import log_model
from tests.unit.test_federated_model import trained  # noqa: F401 - the fixture

TABLE = pa.table({"id": list(range(5000)), "name": [f"n{i}" for i in range(5000)]})


@pytest.fixture
def torch(monkeypatch):
    """What this package needs of PyTorch, which is too large to install for a test; a worker is chosen by the test."""
    module, utils, data = (types.ModuleType(name) for name in ("torch", "torch.utils", "torch.utils.data"))
    data.IterableDataset, data.worker = type("IterableDataset", (), {}), None
    data.get_worker_info = lambda: data.worker
    module.utils, utils.data = utils, data
    for name, made in (("torch", module), ("torch.utils", utils), ("torch.utils.data", data)):
        monkeypatch.setitem(sys.modules, name, made)
    return data


def test_a_torch_data_set_yields_every_row_once_however_many_workers_share_it(torch):
    found = torch_of(TABLE)
    assert isinstance(found, torch.IterableDataset)
    assert len(found) == 5000
    assert list(found) == TABLE.to_pylist()
    shared = []
    for number in range(3):
        torch.worker = types.SimpleNamespace(id=number, num_workers=3)
        shared += list(found)
    assert sorted(row["id"] for row in shared) == list(range(5000))


def test_a_hugging_face_data_set_has_the_rows_and_names_the_version():
    found = hugging_face_of(TABLE, "version 3, published by run r")
    assert found.num_rows == 5000
    assert found[7] == {"id": 7, "name": "n7"}
    assert found.info.description == "version 3, published by run r"


def test_a_library_that_is_not_installed_is_named_before_anything_is_read(monkeypatch):
    for name, function in (("torch", torch_dataset), ("datasets", hugging_face_dataset)):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(UsageError, match=f"{name} is not installed: pip install"):
            function(None, "contract.yaml")


@pytest.fixture
def store(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return (tmp_path / "runs").as_uri()


def test_mlflow_has_the_models_parameters_metrics_data_sets_with_seals_and_files(trained, store, capsys):  # noqa: F811
    import mlflow

    _, done, _ = trained
    assert main(["mlflow", "--model", done.path, "--experiment", "wards", "--tracking", store]) == 0
    (run,) = mlflow.search_runs(experiment_names=["wards"], output_format="list")
    assert run.data.params["plan_sha256"] == done.card["training"]["plan_sha256"]
    assert run.data.params["epsilon"] == "none"
    assert run.data.metrics["accuracy"] == pytest.approx(done.card["evaluation"]["accuracy"])
    assert run.data.tags["dataward.model_sha256"] == done.sha256
    inputs = run.inputs.dataset_inputs
    assert {one.dataset.name for one in inputs} == {"north/ward", "south/ward", "west/ward"}
    assert {tag.key: tag.value for tag in inputs[0].tags}["seal_sha256"] == "ab" * 32
    logged = {item.path for item in mlflow.MlflowClient().list_artifacts(run.info.run_id, "dataward")}
    assert {"dataward/model.json", "dataward/card.html", "dataward/statement.json"} <= logged


def test_a_model_whose_proof_does_not_hold_is_not_logged(trained, store, tmp_path):  # noqa: F811
    import shutil

    _, done, _ = trained
    shutil.copytree(done.path, tmp_path / "copy")
    (tmp_path / "copy/card.json").write_text("{}")
    with pytest.raises(ProofError, match=r"nothing is logged.*card\.json"):
        log_model(tmp_path / "copy", "wards", store)
