# Databricks notebook source
# MAGIC %md
# MAGIC # Publish a table with Dataward
# MAGIC A contract goes in; a checked, masked, sealed Delta table, a quarantine and a report come out. Install the wheel as a
# MAGIC cluster library (`conf/spark/databricks.conf` says what else), then set the contract's path below.

# COMMAND ----------

import os

import dataward

contract = os.environ.get("DATAWARD_CONTRACT", "conf/contracts/people.yaml")
reports = os.environ.get("DATAWARD_REPORTS", "reports")

# COMMAND ----------

# MAGIC %md
# MAGIC ## Publish
# MAGIC `publish` works in a session of its own beside `spark`: none of your settings change.

# COMMAND ----------

planned = dataward.plan(contract)
result = dataward.publish(spark, planned, report_folder=reports, progress=print)
result.status, result.rows

# COMMAND ----------

display(
    spark.createDataFrame(
        [(v["rule"], v["outcome"], v["measured"]) for v in result.verdicts],
        "rule string, outcome string, measured double",
    )
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Prove
# MAGIC Everything that the seal says is recomputed: content, commit file, ledger chain, signatures.

# COMMAND ----------

proof = dataward.verify(spark, planned)
for check in proof.checks:
    print("ok    " if check.holds else "FAILED", check.name, check.detail)

# COMMAND ----------

display(
    spark.createDataFrame(
        [(r.version, r.time, r.run_id, r.sealed) for r in dataward.history(spark, planned)],
        "version bigint, time string, run_id string, sealed boolean",
    )
)
