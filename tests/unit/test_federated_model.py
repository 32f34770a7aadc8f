"""A finished training: model, card, exports, statement and ledger; scores; refusals. No Spark."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from dataward.cli import main
from dataward.errors import ContractError, KeyringError, NotPermitted, SourceError, TargetError
from dataward.federated.certificates import private_key
from dataward.federated.model import Model
from dataward.federated.plan import read_plan, read_site
from dataward.federated.transport import InProcess
from dataward.inference import score as score_records
from dataward.keys import create_keyring
from dataward.verbs.site import init
from dataward.verbs.train import train, verify_model
from tests.federation import NAMES, Federation

PLAN = """\
plan: ward
model:
  type: logistic
  features: [{{name: x0, bounds: [-4, 4]}}, x1, {{name: ward, categories: [A, B]}}]
  label: y
sites:
{sites}
rounds: 5
minimum_sites: 2
evaluation: {{by: [{{name: ward, categories: [A, B]}}], attributes: [ward]}}
output: {{path: {root}/model, ledger: {{path: {root}/ledger}}}}
"""
CONTRACT = """\
contract: people
source: {{path: a}}
target: {{path: b}}
keys: {{path: {root}/ring, domain: people}}
columns: {{x0: {{protect: {protect}}}, x1: {{protect: keep}}, ward: {{protect: keep}}, name: {{protect: token}}}}
"""


class Hospital(Federation):
    def table(self, inputs, labels):
        ward = ["AB"[int(number)] for number in inputs[:, 2]]
        return super().table(inputs, labels).append_column("ward", pa.array(ward))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("trained")
    draw = np.random.default_rng(3)
    inputs = np.c_[draw.normal(size=(300, 2)), draw.integers(0, 2, 300)]
    labels = (inputs[:, 0] + inputs[:, 2] > 0.5).astype(int)
    made = Hospital(root / "sites", inputs, labels)
    for name in (*NAMES, "coordinator"):
        init(root / "keys", name)
    entries = [
        f'  - {{name: {name}, url: "https://127.0.0.1:1", public_key: {root}/keys/{name}.pub}}' for name in NAMES
    ]
    (root / "plan.yaml").write_text(PLAN.format(root=root, sites="\n".join(entries)))
    made.plan = read_plan(root / "plan.yaml")
    made.pems = made.plan.public_keys()
    made.keys = {name: private_key(root / f"keys/{name}.key") for name in NAMES}
    table = {
        "contract": "ward", "version": 7, "seal_sha256": "ab" * 32, "sealed_at": "2026-01-01T00:00:00+00:00",
        "protections": {"x0": {"protection": "generalize, width 1.0", "domain": None, "key_version": None, "fingerprint": None}},
    }  # fmt: skip
    made.sites = {name: made.site(name, table=table) for name in NAMES}
    done = train(root / "plan.yaml", root / "keys/coordinator.key", transport=InProcess(made.sites))
    create_keyring(root / "ring")
    for name, protect in (("same", "{generalize: {width: 1.0}}"), ("clear", "keep")):
        (root / f"{name}.yaml").write_text(CONTRACT.format(root=root, protect=protect))
    return root, done, made


def test_the_card_says_what_was_trained_on_what_and_how_well(trained):
    _, done, _ = trained
    card = json.loads((Path(done.path) / "card.json").read_text())
    assert card == done.card
    assert card["privacy"] is None
    assert "No noise was added" in card["limits"][-1]
    assert card["evaluation"]["accuracy"] > 0.8
    assert {one["rows"] for one in card["evaluation"]["groups"]["ward"].values()} > {0} or card["evaluation"]["groups"][
        "ward"
    ]
    assert sum(one["rows"] for one in card["evaluation"]["groups"]["ward"].values()) == card["evaluation"]["rows"]
    assert 0.4 < card["evaluation"]["attributes"]["ward"]["others"] <= 1
    assert [site["version"] for site in card["training"]["sites"]] == [7, 7, 7]
    page = (Path(done.path) / "card.html").read_text()
    assert done.sha256 in page
    assert "generalize, width 1.0" in page
    assert "<script" not in page


def test_the_exports_are_valid_cyclonedx_and_name_every_site(trained):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    _, done, _ = trained
    text = (Path(done.path) / "bom.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    assert bom["metadata"]["component"]["hashes"][0]["content"] == done.sha256
    assert [one["name"] for one in bom["components"]] == [f"{name}/ward" for name in NAMES]
    croissant = json.loads((Path(done.path) / "croissant.json").read_text())
    assert croissant["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert [one["sha256"] for one in croissant["distribution"]] == ["ab" * 32] * 3


def test_the_proof_holds_and_every_change_is_named(trained, tmp_path):
    root, done, _ = trained
    known = root / "keys/coordinator.pub"
    checks = {check.name: check for check in verify_model(done.path, known)}
    assert all(check.holds for check in checks.values()), checks
    assert checks["ledger"].detail == "entry 0 of 1 under a signed checkpoint"
    changes = {
        "model.json": lambda text: text.replace('"format":1', '"format": 1'),
        "card.html": lambda text: text.replace("accuracy", "precision"),
        "sites.json": lambda text: text.replace('"version": 7', '"version": 8', 1),
    }
    for name, change in changes.items():
        copied = tmp_path / name
        shutil.copytree(done.path, copied)
        changed = change((copied / name).read_text())
        assert changed != (copied / name).read_text()
        (copied / name).write_text(changed)
        failed = {check.name for check in verify_model(copied, known) if not check.holds}
        assert name in failed
        assert (name == "sites.json") == any(check.startswith("site ") for check in failed)
    assert "signature" in {check.name for check in verify_model(done.path, root / "keys/north.pub") if not check.holds}


def test_a_finished_training_run_again_changes_nothing(trained):
    root, done, _ = trained
    before = {file.name: file.stat().st_mtime_ns for file in Path(done.path).iterdir()}
    again = train(root / "plan.yaml", root / "keys/coordinator.key", transport=InProcess({}))
    assert again.sha256 == done.sha256
    after = {file.name: file.stat().st_mtime_ns for file in Path(done.path).iterdir()}
    assert {name for name in after if after[name] != before[name]} <= {"progress.json"}


def test_records_are_protected_and_scored_alike_one_by_one_and_together(trained):
    root, done, _ = trained
    draw = np.random.default_rng(0)
    records = [
        {"x0": float(a), "x1": float(b), "ward": "AB"[i % 2], "name": f"n{i}", "noise": "ignored"}
        for i, (a, b) in enumerate(draw.normal(size=(50, 2)))
    ]
    together = score_records(done.path, root / "same.yaml", records)
    assert together == [score_records(done.path, root / "same.yaml", [record])[0] for record in records]
    assert {answer["prediction"] for answer in together} == {"0", "1"}
    assert all(0.5 <= answer["score"] <= 1 for answer in together)


def test_scores_equal_an_independent_computation(trained):
    _, done, _ = trained
    model = Model.read(Path(done.path))
    from dataward.federated.encode import unpack

    weights = unpack(model.trained["weights"], np.float64, 5)
    inputs = np.array([1.5 / 4, -0.25, 0.0, 1.0])
    z = (inputs - model.center) / model.spread
    expected = 1 / (1 + np.exp(-(z @ weights[:4] + weights[4])))
    (score,) = model.scores(pa.table({"x0": [1.5], "x1": [-0.25], "ward": ["B"]})).ravel()
    assert score == pytest.approx(expected, rel=1e-12)


def test_inputs_with_another_protection_are_refused_by_column(trained):
    root, done, _ = trained
    with pytest.raises(
        NotPermitted, match="column 'x0' is protected by keep, and was protected by generalize, width 1.0 in training"
    ):
        score_records(done.path, root / "clear.yaml", [{"x0": 1.0, "x1": 2.0, "ward": "A"}])


@pytest.mark.parametrize(
    "change", [{"domain": "other"}, {"key_version": 2}, {"fingerprint": "00"}, {"protection": "encrypt"}]
)
def test_another_domain_key_version_key_or_operator_is_another_protection(trained, change):
    _, done, _ = trained
    sealed = {"x0": {"protection": "token", "domain": "people", "key_version": 1, "fingerprint": "ff"}}
    model = Model.read(Path(done.path))
    keyed = Model(model.plan, model.digest, model.center, model.spread, model.trained, {"north": sealed})
    keyed.permit(sealed)
    with pytest.raises(NotPermitted, match="column 'x0'"):
        keyed.permit({"x0": {**sealed["x0"], **change}})


def test_scoring_records_needs_no_spark(trained):
    root, done, _ = trained
    code = (
        "import sys; from dataward.inference import score as score_records\n"
        f"print(score_records({done.path!r}, {str(root / 'same.yaml')!r}, [{{'x0': 1.0, 'x1': 2.0, 'ward': 'A'}}]))\n"
        "assert 'pyspark' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_command_line_scores_records_verifies_and_prints_digests(trained, capsys, tmp_path):
    root, done, made = trained
    (tmp_path / "rows.jsonl").write_text(
        '{"x0": 3.0, "x1": 0.0, "ward": "B"}\n\n{"x0": -3.0, "x1": 2.0, "ward": "B"}\n'
    )
    assert main(["score", done.path, "--contract", f"{root}/same.yaml", "--records", f"{tmp_path}/rows.jsonl"]) == 0
    assert [json.loads(line)["prediction"] for line in capsys.readouterr().out.splitlines()] == ["1", "0"]
    assert main(["train", f"{root}/plan.yaml", "--verify", "--coordinator", f"{root}/keys/coordinator.pub"]) == 0
    assert "the proof holds" in capsys.readouterr().out
    assert main(["train", f"{root}/plan.yaml", "--digest"]) == 0
    assert capsys.readouterr().out.strip() == made.coordinator(InProcess(made.sites)).digest
    (tmp_path / "rows.jsonl").write_text('{"x0": 1.0}\n[]\n')
    assert (
        main(["score", done.path, "--contract", f"{root}/same.yaml", "--records", f"{tmp_path}/rows.jsonl", "--json"])
        == 2
    )
    assert "line 2 is no JSON object" in json.loads(capsys.readouterr().out)["message"]


def test_keys_are_never_overwritten_and_a_key_that_others_may_read_is_refused(tmp_path):
    key, public = init(tmp_path, "north")
    assert key.stat().st_mode & 0o777 == 0o600
    with pytest.raises(TargetError, match="never overwritten"):
        init(tmp_path, "north")
    key.chmod(0o644)
    with pytest.raises(KeyringError, match="Run: chmod 600"):
        private_key(key)
    public.chmod(0o600)
    with pytest.raises(KeyringError, match="no private key"):
        private_key(public)


def test_a_wrong_plan_names_line_and_remedy(trained, tmp_path):
    root, _, _ = trained
    text = (root / "plan.yaml").read_text()
    for old, new, what in (
        ("minimum_sites: 2", "minimum_sites: 1", "minimum_sites"),
        ("rounds: 5", "rounds: 0", "rounds"),
        ("rounds: 5", "roundz: 5", "rounds"),
        ("west.pub", "nobody.pub", "cannot be read"),
        ("attributes: [ward]", "attributes: [x0]", "attributes"),
        ("rounds: 5", "rounds: 5\nprivacy: {epsilon: 1, delta: 1.0e-5}", "public 'bounds'"),
        (
            "rounds: 5",
            "rounds: 5\ntraining: {algorithm: fedavg}\nprivacy: {epsilon: 1, delta: 1.0e-5}",
            "algorithm gradient",
        ),
    ):
        assert old in text
        (tmp_path / "plan.yaml").write_text(text.replace(old, new))
        with pytest.raises(ContractError, match=what) as caught:
            read_plan(tmp_path / "plan.yaml")
        assert all(problem.line >= 1 for problem in caught.value.problems)
    (tmp_path / "site.yaml").write_text("site: north\nkey: a\n")
    with pytest.raises(ContractError, match="'contract' is missing"):
        read_site(tmp_path / "site.yaml")
    (tmp_path / "model.json").write_text("[]")
    with pytest.raises(SourceError, match=r"no model of 'dataward train'"):
        Model.read(tmp_path)


def test_no_private_key_is_in_any_file_of_a_training(trained):
    root, done, made = trained
    written = b"".join(
        file.read_bytes()
        for folder in (Path(done.path), root / "ledger")
        for file in folder.rglob("*")
        if file.is_file()
    )
    for key in made.keys.values():
        raw = key.private_bytes_raw()
        assert raw not in written
        assert raw.hex().encode() not in written
        assert key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).split(b"\n")[1] not in written


def test_the_examples_and_the_page_load_as_they_are_shown(tmp_path, monkeypatch):
    from dataward.federated.intersect import read_intersection
    from dataward.federated.survey import read_survey
    from dataward.pipeline.plan import plan
    from tests.doc_contracts import blocks, keys_of

    texts = {place: text for place, text in blocks() if place.startswith("docs/federated.md")}
    examples = {path.name: path.read_text() for path in Path("conf/federated").glob("*.yaml")}
    contract = Path("conf/federated/patients.yaml").resolve()
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        init(tmp_path / "keys", name)
    readers = {"plan": read_plan, "site": read_site, "survey": read_survey, "intersect": read_intersection}
    read = []
    for text in (*texts.values(), *examples.values()):
        first = keys_of(text)[0]
        if first in readers:
            (tmp_path / "file.yaml").write_text(text)
            assert readers[first](tmp_path / "file.yaml")
            read.append(first)
    assert sorted(read) == ["intersect", "plan", "plan", "site", "site", "survey"]
    assert plan(contract).name == "patients"
