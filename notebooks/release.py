# Databricks notebook source
# MAGIC %md
# MAGIC # Answers that may leave
# MAGIC Spending by city, told so that nobody can find out whether any one customer is in the table. What is proved and what is assumed:
# MAGIC `docs/privacy-guarantees.md`.

# COMMAND ----------

import os
import random
from pathlib import Path

import dataward

lake = os.environ.get("DATAWARD_LAKE", "lake/release")
keys = Path(f"{lake}/keys")
if not keys.exists():
    dataward.create_keyring(keys)

# COMMAND ----------

# MAGIC %md
# MAGIC ## A published table
# MAGIC Customers are tokens here: the same customer has the same token, so that the column can be the privacy unit.

# COMMAND ----------

chance = random.Random(4)
orders = [
    (
        f"customer {chance.randrange(900)}",
        chance.choice(["Bern"] * 5 + ["Oslo"] * 3 + ["Rome"]),
        round(chance.uniform(1, 300), 2),
    )
    for _ in range(6000)
]
orders.append(("customer 1", "Kiel", 12.0))
spark.createDataFrame(orders, "customer string, city string, amount double").write.format("delta").mode(
    "overwrite"
).save(f"{lake}/raw")
contract = Path(f"{lake}/orders.yaml")
contract.write_text(f"""
contract: orders
source: {{path: {lake}/raw}}
target: {{path: {lake}/orders}}
keys: {{path: {keys}, domain: orders}}
columns:
  customer: {{class: customer, protect: token}}
default: keep
discovery: off
""")
published = dataward.publish(
    spark, dataward.plan(contract), report_folder=os.environ.get("DATAWARD_REPORTS", "reports")
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## A budget
# MAGIC Everything that is ever told about these customers may cost epsilon 3 in all.

# COMMAND ----------

from dataward.verbs.budget import Amount, set_cap, show

set_cap(spark, f"{lake}/budgets", f"{lake}/orders", "customer", Amount(3.0, 1e-5))

# COMMAND ----------

# MAGIC %md
# MAGIC ## The query, its errors, and an attack on it
# MAGIC Cities are taken from the data: those with few customers are left out. The plan tells how far off answers will be before anything is spent.

# COMMAND ----------

from dataward.verbs.release import audit_release, plan_release, release, verify_release

query = Path(f"{lake}/spend_by_city.yaml")
query.write_text(f"""
release: spend_by_city
source: {{path: {lake}/orders}}
unit: customer
bounds: {{rows_per_unit: 8, groups_per_unit: 3}}
group_by: {{city: unknown}}
answers:
  - count
  - count_distinct: customer
  - mean: {{column: amount, between: [0, 300]}}
spend: {{epsilon: 2.0, delta: 1.0e-6, from: {lake}/budgets}}
target: {{path: {lake}/spend_by_city}}
keys: {{path: {keys}, domain: release}}
""")
planned = plan_release(spark, query)
display(
    spark.createDataFrame(
        [(one.answer, one.of, float(one.half_width)) for one in planned.forecasts],
        "answer string, in_a_group_of bigint, half_width double",
    )
)
audited = audit_release(spark, query, draws=2000)
display(
    spark.createDataFrame(
        [(check.name, check.holds, check.detail) for check in audited.checks],
        "check string, holds boolean, detail string",
    )
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## The answer
# MAGIC A row per city, an interval beside each answer. Kiel, where one customer bought once, is not told.

# COMMAND ----------

released = release(spark, query, run_id="first")
again = release(spark, query, run_id="first")  # the same run: neither drawn nor paid again
proof = verify_release(spark, query)
display(spark.read.format("delta").load(f"{lake}/spend_by_city"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## What is left
# MAGIC One unit of epsilon. A second release of this price would be refused.

# COMMAND ----------

(state,) = show(spark, f"{lake}/budgets")
display(
    spark.createDataFrame(
        [(state.cap.epsilon, state.spent.epsilon, state.charges)], "cap double, spent double, charges bigint"
    )
)
