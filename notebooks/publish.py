# Databricks notebook source
# MAGIC %md
# MAGIC # Publish a table with Dataward
# MAGIC A contract goes in; a checked, masked, sealed Delta table, a quarantine and a report come out. Install the wheel as a
# MAGIC cluster library (`docs/databricks.md` says what else), then set the contract's path and the folder of reports in the widgets above.

# COMMAND ----------

import os

import dataward


def asked(name, default):
    """Return a widget's value, which a job passes as a parameter; where there are no widgets, that of an environment variable."""
    try:
        widgets = dbutils.widgets
    except NameError:
        return os.environ.get(f"DATAWARD_{name.upper()}", default)
    widgets.text(name, default)
    return widgets.get(name)


contract = asked("contract", "conf/contracts/people.yaml")
reports = asked("reports", "reports")
run_id = asked("run_id", "") or None

# COMMAND ----------

# MAGIC %md
# MAGIC ## Publish
# MAGIC `publish` works in a session of its own beside `spark`: none of your settings change.

# COMMAND ----------

planned = dataward.plan(contract)
result = dataward.publish(spark, planned, run_id, report_folder=reports, progress=print)
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
