# Databricks notebook source
# MAGIC %md
# MAGIC # From a dirty table to a clean, published version
# MAGIC A small table with what real ones have: spellings, three ways to write a date, people entered twice, a typing error of a factor of a
# MAGIC hundred, and gaps. Each step is one line in the contract; nothing is repaired without being counted.

# COMMAND ----------

import os
from pathlib import Path

import dataward

lake = os.environ.get("DATAWARD_LAKE", "lake/clean")
reports = os.environ.get("DATAWARD_REPORTS", "reports")

# COMMAND ----------

people = [
    (1, "martha", "Jones", "nsw", "19800102", 41.0),
    (2, "Marhta ", "jones", "N.S.W.", "02/01/1980", 41.0),
    (3, "peter", "smith", "vic", "19750505", 38.5),
    (4, "petra", "kramer", "Victoria", "1990-09-09", 39.0),
    (5, "n/a", "okoye", "nsw", "soon", 40.0),
    (6, "ines", "garcia", "vic", "19880808", 4100.0),
    (7, "tomas", "novak", None, "19790707", None),
    (8, "li", "wang", "nsw", "19910303", 40.5),
    (9, "amara", "diallo", "vic", "19860606", 39.5),
]
columns = "id int, given_name string, surname string, state string, born string, hours double"
spark.createDataFrame(people, columns).write.format("delta").mode("overwrite").save(f"{lake}/raw")

# COMMAND ----------

# MAGIC %md
# MAGIC ## A first look
# MAGIC What is in the columns, before anybody reads a row: names and dates of birth want protection.

# COMMAND ----------

found = dataward.discover(spark, dataward.Source(path=f"{lake}/raw"), dataward.Asked())
display(
    spark.createDataFrame(
        [(one.column, one.class_, one.confidence.value) for one in found.columns],
        "column string, class string, confidence double",
    )
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## The contract

# COMMAND ----------

keys = Path(f"{lake}/keys")
if not keys.exists():
    dataward.create_keyring(keys)
contract = Path(f"{lake}/people.yaml")
contract.write_text(f"""
contract: people
source: {{path: {lake}/raw}}
target: {{path: {lake}/people}}
quarantine: {{path: {lake}/people_quarantine}}
keys: {{path: {keys}, domain: people}}
treat:
  normalise:
    given_name: {{trim: true, case: lower, null_when: [n/a]}}
    surname: {{case: lower}}
    state: {{values: {{NSW: [n.s.w.], VIC: [victoria]}}}}
    born: {{date: [yyyyMMdd, dd/MM/yyyy, yyyy-MM-dd]}}
  duplicates:
    people: {{similar: {{given_name: name, surname: name, born: date}}, above: 0.9, block: [born, surname]}}
  outliers:
    hours: {{method: mad, do: 'null'}}
  missing:
    hours: {{with: median}}
    state: {{constant: NSW}}
rules: |
  Rules = [
    IsPrimaryKey "id",
    IsComplete "state",
    Mean "hours" between 35 and 45,
    NoDuplicates "given_name" "surname" "born" with similarity = 0.9
  ]
columns:
  given_name: {{class: person_name, protect: token}}
  surname: {{class: person_name, protect: token}}
  born: {{class: date_of_birth, protect: {{generalize: {{part: year}}}}}}
default: keep
""")
planned = dataward.plan(contract)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Publish
# MAGIC The rules judge twice, before and after; the report shows both.

# COMMAND ----------

result = dataward.publish(spark, planned, report_folder=reports, progress=print)
result.status, result.rows, result.report

# COMMAND ----------

display(
    spark.createDataFrame(
        [(one["treatment"], one["what"], one["count"]) for one in result.repairs],
        "treatment string, what string, count bigint",
    )
)

# COMMAND ----------

display(
    spark.createDataFrame(
        [
            (before["rule"], before["outcome"], after["outcome"])
            for before in result.verdicts_before
            for after in result.verdicts
            if before["rule"] == after["rule"]
        ],
        "rule string, before string, after string",
    )
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## What was diverted, and why

# COMMAND ----------

display(spark.read.format("delta").load(f"{lake}/people_quarantine").select("id", "failed_rules", "failed_columns"))

# COMMAND ----------

proof = dataward.verify(spark, planned)
proof.holds
