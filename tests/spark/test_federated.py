"""Two sites with sealed tables train one model over TLS; the model scores a table and records alike, and its proof holds."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from dataward.contract import Location
from dataward.errors import NotPermitted, ProofError, UsageError
from dataward.federated.plan import read_site
from dataward.inference import score as score_records
from dataward.keys import create_keyring
from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.verbs.budget import Amount, set_cap, show
from dataward.verbs.score import score_table
from dataward.verbs.site import init, load, serve
from dataward.verbs.train import train, verify_model

CONTRACT = """\
contract: patients_{site}
source: {{format: delta, path: {root}/{site}/raw}}
target: {{path: {root}/{site}/patients}}
quarantine: {{path: {root}/{site}/quarantine}}
keys: {{path: {root}/{site}/keys, domain: patients}}
discovery: off
rules: |
  Rules = [ IsComplete "patient_id", ColumnValues "age" between -1 and 121 ]
columns:
  patient_id: {{class: person_id, protect: token}}
  age: {{protect: {{generalize: {{width: 5}}}}}}
  stay: {{protect: keep}}
  ward: {{protect: keep}}
  readmitted: {{protect: keep}}
"""
PLAN = """\
plan: readmission
model:
  type: logistic
  features: [{{name: age, bounds: [0, 120]}}, {{name: stay, bounds: [0, 30]}}, {{name: ward, categories: [A, B]}}]
  label: readmitted
sites:
  - {{name: north, url: "https://127.0.0.1:{north}", public_key: {root}/keys/north.pub}}
  - {{name: south, url: "https://127.0.0.1:{south}", public_key: {root}/keys/south.pub}}
rounds: 6
minimum_sites: 2
privacy: {{epsilon: 3.0, delta: 1.0e-5, unit: patient_id}}
evaluation: {{by: [{{name: ward, categories: [A, B]}}], attributes: [ward]}}
output: {{path: {root}/model, ledger: {{path: {root}/ledger}}}}
"""
SITE = """\
site: {site}
key: {root}/keys/{site}.key
coordinator: {root}/keys/coordinator.pub
listen: {{port: 0}}
contract: {root}/{site}/contract.yaml
plans: [{root}/plan.yaml]
state: {root}/{site}/state
budget: {{path: {root}/{site}/budget}}
"""


def _patients(shift: int) -> list[tuple]:
    rows = []
    for number in range(240):
        age, stay, ward = 20 + (number * 7 + shift) % 70, (number * 5 + shift) % 15, "AB"[number % 2]
        rows.append((f"patient-{shift}-{number // 2}", age, float(stay), ward, int(age + 4 * stay > 85)))
    return rows


@pytest.fixture(scope="module")
def hospitals(spark, tmp_path_factory):
    """Both sites' tables are published, and one training is done over TLS."""
    root = tmp_path_factory.mktemp("hospitals")
    schema = "patient_id string, age int, stay double, ward string, readmitted int"
    for name in ("north", "south", "coordinator"):
        init(root / "keys", name)
    for shift, site in enumerate(("north", "south")):
        create_keyring(root / site / "keys")
        spark.createDataFrame(_patients(shift), schema).coalesce(1).write.format("delta").save(str(root / site / "raw"))
        (root / site / "contract.yaml").write_text(CONTRACT.format(root=root, site=site))
        (root / f"{site}.yaml").write_text(SITE.format(root=root, site=site))
        publish(spark, plan(root / site / "contract.yaml"), None, str(root / "reports"))
        set_cap(spark, str(root / site / "budget"), str(root / site / "patients"), "patient_id", Amount(5.0, 1e-3))
    (root / "plan.yaml").write_text(PLAN.format(root=root, north=1, south=2))
    servers = {site: serve(spark, root / f"{site}.yaml") for site in ("north", "south")}
    ports = {site: server.server_address[1] for site, server in servers.items()}
    # Addresses are no part of what sites accept.
    (root / "plan.yaml").write_text(PLAN.format(root=root, **ports))
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    lines: list[str] = []
    done = train(root / "plan.yaml", root / "keys/coordinator.key", lines.append)
    yield root, done, lines
    for server in servers.values():
        server.shutdown()
        server.server_close()


def test_a_model_is_trained_on_sealed_tables_and_its_card_names_versions_seals_and_protections(hospitals):
    _, done, lines = hospitals
    assert done.card["evaluation"]["accuracy"] > 0.6
    assert done.card["privacy"]["spent_epsilon"] <= 3.0
    assert done.card["privacy"]["unit"] == "patient_id"
    (north, south) = done.card["training"]["sites"]
    assert north["version"] == south["version"] == 0
    assert len(north["seal_sha256"]) == 64
    assert north["protections"]["age"]["protection"].startswith("generalize")
    assert north["protections"]["patient_id"]["domain"] == "patients"
    assert sum(1 for line in lines if line.startswith("round ")) == 6
    assert set(done.card["evaluation"]["groups"]["ward"]) == {"A", "B"}
    everything = "".join(file.read_text() for file in Path(done.path).iterdir())
    assert "patient-" not in everything


def test_each_site_paid_once_from_its_own_budget(spark, hospitals):
    root, _, _ = hospitals
    for site in ("north", "south"):
        (state,) = show(spark, str(root / site / "budget"))
        assert (state.spent.epsilon, state.charges) == (3.0, 1)


def test_the_proof_of_a_model_holds_and_names_what_was_changed(hospitals, tmp_path):
    import shutil

    root, done, _ = hospitals
    checks = {check.name: check for check in verify_model(done.path, root / "keys/coordinator.pub")}
    assert all(check.holds for check in checks.values()), checks
    assert "entry 0 of 1 under a signed checkpoint" in checks["ledger"].detail
    assert set(checks) >= {"signature", "model.json", "card.json", "site north", "site south", "plan", "ledger"}
    copied = tmp_path / "copy"
    shutil.copytree(done.path, copied)
    card = json.loads((copied / "card.json").read_text())
    card["privacy"]["epsilon"] = 0.1
    (copied / "card.json").write_text(json.dumps(card))
    assert [check.name for check in verify_model(copied, root / "keys/coordinator.pub") if not check.holds] == [
        "card.json"
    ]
    assert not {check.name: check for check in verify_model(copied, root / "keys/north.pub")}["signature"].holds


def test_a_table_and_its_records_have_equal_scores(spark, hospitals):
    root, done, _ = hospitals
    contract = root / "north/contract.yaml"
    scored = score_table(
        spark, done.path, plan(contract), Location(path=f"{root}/scores"), keep=("patient_id", "age", "stay")
    )
    assert (scored.rows, scored.version) == (240, 0)
    rows = spark.read.format("delta").load(f"{root}/scores").collect()
    by_key = {(row.patient_id, row.stay, row.age): (row.prediction, row.score) for row in rows}
    raw = [dict(zip(("patient_id", "age", "stay", "ward"), row, strict=False)) for row in _patients(0)]
    answers = score_records(done.path, contract, raw)
    from dataward.inference import protect

    for record, answer in list(zip(raw, answers, strict=True))[:40]:
        hidden = protect(contract, record)
        assert by_key[hidden["patient_id"], hidden["stay"], hidden["age"]] == (answer["prediction"], answer["score"])
    assert len({answer["score"] for answer in answers}) > 20
    one_by_one = [score_records(done.path, contract, [record])[0] for record in raw[:20]]
    assert one_by_one == answers[:20]


def test_inputs_that_are_protected_otherwise_than_in_training_are_refused(hospitals, tmp_path):
    root, done, _ = hospitals
    text = (root / "north/contract.yaml").read_text().replace("{generalize: {width: 5}}", "keep")
    (tmp_path / "clear.yaml").write_text(text)
    with pytest.raises(NotPermitted, match="column 'age' is protected by keep, and was protected by generalize"):
        score_records(done.path, tmp_path / "clear.yaml", [{"age": 30, "stay": 1.0, "ward": "A"}])
    with pytest.raises(UsageError, match="a record has no 'ward'"):
        score_records(done.path, root / "north/contract.yaml", [{"age": 30, "stay": 1.0}])


def test_a_site_serves_nothing_from_a_table_whose_seal_does_not_hold(spark, hospitals):
    root, _, _ = hospitals
    files = list((root / "south/patients").glob("*.parquet"))
    kept = files[0].read_bytes()
    try:
        other = next((root / "north/patients").glob("*.parquet")).read_bytes()
        files[0].write_bytes(other)
        with pytest.raises(ProofError, match="is not what was sealed, so nothing is trained on it"):
            load(spark, read_site(root / "south.yaml"))
    finally:
        files[0].write_bytes(kept)
        for crc in (root / "south/patients").glob(".*.crc"):
            crc.unlink()


def test_a_private_plan_is_not_served_without_a_budget(spark, hospitals, tmp_path):
    root, _, _ = hospitals
    text = (root / "north.yaml").read_text()
    (tmp_path / "site.yaml").write_text(
        "".join(line for line in text.splitlines(True) if not line.startswith("budget"))
    )
    with pytest.raises(UsageError, match="give the site's file a 'budget'"):
        load(spark, read_site(tmp_path / "site.yaml"))


def test_a_site_measures_what_a_survey_asks_for(spark):
    from dataward.federated.survey import SurveyPlan
    from dataward.verbs.survey import numbers_of, tally_of

    sites = [{"name": name, "url": "https://127.0.0.1:1", "public_key": name} for name in ("a", "b")]
    rules = 'Rules = [ Completeness "x" > 0, Mean "x" > 0, StandardDeviation "x" > 0, ColumnValues "x" > 1, IsComplete "s" ]'
    asked = SurveyPlan.model_validate(
        {
            "survey": "s",
            "rules": rules,
            "sites": sites,
            "minimum_sites": 2,
            "output": "o",
            "columns": {"x": "double", "s": "string"},
        }
    )
    frame = spark.createDataFrame([(1.0, "a"), (2.0, None), (None, "c"), (4.0, "d")], "x double, s string")
    _, _, metrics = tally_of(asked, "survey.yaml")
    by_kind = {}
    start, numbers = 0, numbers_of(frame, asked, metrics).tolist()
    from dataward.verbs.survey import LAYOUTS

    for metric in metrics:
        width = len(LAYOUTS[metric.kind])
        by_kind.setdefault(metric.kind, []).append(numbers[start : start + width])
        start += width
    assert by_kind["size"] == [[4.0]]
    assert by_kind["completeness"][0] == [3.0, 4.0]
    assert by_kind["mean"] == [[3.0, 7.0]]
    assert by_kind["standard_deviation"][0] == pytest.approx([3.0, 7.0, 21.0])
    assert sorted(by_kind["compliance"]) == [[2.0, 4.0], [3.0, 4.0]]
    with pytest.raises(UsageError, match="'x' is string"):
        numbers_of(spark.createDataFrame([("a", "b")], "x string, s string"), asked, metrics)
