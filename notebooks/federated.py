# Databricks notebook source
# MAGIC %md
# MAGIC # Three hospitals, one model
# MAGIC Each hospital keeps its patients in a sealed table of its own. Together they train a model that says who comes back, without a row leaving a
# MAGIC hospital: the coordinator sees sums over all of them, with noise. Here the three share one session; outside, each is
# MAGIC `dataward site serve` on a machine of its own.

# COMMAND ----------

import os
import random
import threading
from pathlib import Path

import dataward
from dataward.verbs.budget import Amount, set_cap
from dataward.verbs.site import init, serve

lake = Path(os.environ.get("DATAWARD_LAKE", "lake/hospitals"))
reports = os.environ.get("DATAWARD_REPORTS", "reports")
hospitals = ("north", "south", "west")

# COMMAND ----------

# MAGIC %md
# MAGIC ## Each hospital publishes its table
# MAGIC Identifiers become tokens under a key that only this hospital has, ages become steps of five years, the version is sealed.

# COMMAND ----------

draw = random.Random(7)
columns = "patient_id string, age int, stay double, ward string, readmitted int"


def patients(hospital):
    for number in range(2000):
        age, stay, ward = draw.randint(18, 95), draw.expovariate(0.2), draw.choice(["medicine", "surgery"])
        risk = age / 20 + stay / 2 + (1 if ward == "surgery" else 0) + draw.gauss(0, 1)
        yield f"{hospital}-{number:04}", age, min(stay, 60.0), ward, int(risk > 5.5)


for hospital in hospitals:
    home = lake / hospital
    spark.createDataFrame(list(patients(hospital)), columns).write.format("delta").mode("overwrite").save(f"{home}/raw")
    if not (home / "keys").exists():
        dataward.create_keyring(home / "keys")
    (home / "contract.yaml").write_text(f"""
contract: patients_{hospital}
source: {{path: {home}/raw}}
target: {{path: {home}/patients}}
quarantine: {{path: {home}/quarantine}}
keys: {{path: {home}/keys, domain: patients}}
discovery: off
rules: |
  Rules = [ IsComplete "patient_id", ColumnValues "age" between -1 and 121 ]
columns:
  patient_id: {{class: person_id, protect: token}}
  age: {{protect: {{generalize: {{width: 5}}}}}}
  stay: {{protect: keep}}
  ward: {{protect: keep}}
  readmitted: {{protect: keep}}
""")
    result = dataward.publish(spark, dataward.plan(home / "contract.yaml"), report_folder=reports)
    print(hospital, result.status, result.rows)

# COMMAND ----------

# MAGIC %md
# MAGIC ## The plan
# MAGIC Keys say who is who; every hospital accepts the plan by its content, and sets aside what it may cost.

# COMMAND ----------

for name in (*hospitals, "coordinator"):
    if not (lake / f"parties/{name}.key").exists():
        init(lake / "parties", name)


def write_plan(ports):
    sites = "\n".join(
        f'  - {{name: {name}, url: "https://127.0.0.1:{ports.get(name, 1)}", public_key: {lake}/parties/{name}.pub}}'
        for name in hospitals
    )
    (lake / "plan.yaml").write_text(f"""
plan: readmission
model:
  type: logistic
  features: [{{name: age, bounds: [0, 120]}}, {{name: stay, bounds: [0, 60]}}, {{name: ward, categories: [medicine, surgery]}}]
  label: readmitted
sites:
{sites}
rounds: 15
minimum_sites: 2
privacy: {{epsilon: 3.0, delta: 1.0e-5, unit: patient_id}}
evaluation: {{by: [{{name: ward, categories: [medicine, surgery]}}], attributes: [ward]}}
output: {{path: {lake}/model, ledger: {{path: {lake}/training_ledger}}}}
""")


write_plan({})
for hospital in hospitals:
    set_cap(spark, f"{lake}/{hospital}/budget", f"{lake}/{hospital}/patients", "patient_id", Amount(3.0, 1e-5))
    (lake / f"{hospital}.yaml").write_text(f"""
site: {hospital}
key: {lake}/parties/{hospital}.key
coordinator: {lake}/parties/coordinator.pub
listen: {{port: 0}}
contract: {lake}/{hospital}/contract.yaml
plans: [{lake}/plan.yaml]
state: {lake}/{hospital}/site
budget: {{path: {lake}/{hospital}/budget}}
""")

# COMMAND ----------

# MAGIC %md
# MAGIC ## Train
# MAGIC Every site verifies its seal before it answers. Addresses are no part of what the sites accepted.

# COMMAND ----------

servers = {hospital: serve(spark, lake / f"{hospital}.yaml") for hospital in hospitals}
for server in servers.values():
    threading.Thread(target=server.serve_forever, daemon=True).start()
write_plan({hospital: server.server_address[1] for hospital, server in servers.items()})
done = dataward.train(lake / "plan.yaml", lake / "parties/coordinator.key", print)
for server in servers.values():
    server.shutdown()
    server.server_close()

# COMMAND ----------

card = done.card
display(
    spark.createDataFrame(
        [(one["site"], one["version"], one["seal_sha256"]) for one in card["training"]["sites"]],
        "site string, version bigint, seal string",
    )
)
print(
    f"accuracy {card['evaluation']['accuracy']:.3f}, epsilon {card['privacy']['spent_epsilon']:.2f} of {card['privacy']['epsilon']}"
)
print("membership attack:", card["evaluation"]["membership"])

# COMMAND ----------

# MAGIC %md
# MAGIC ## Score
# MAGIC A new patient's record is protected as the contract says, then scored; no Spark is needed for that.

# COMMAND ----------

answers = dataward.score(
    done.path,
    lake / "north/contract.yaml",
    [{"age": 81, "stay": 12.0, "ward": "surgery"}, {"age": 25, "stay": 1.0, "ward": "medicine"}],
)
answers
