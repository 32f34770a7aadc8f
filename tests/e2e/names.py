"""Run by test_names.py under spark-submit: makes tables of the catalog, or shows what is in them. ``names.py make|show PREFIX``."""

import json
import sys

from dataward.spark import session

spark = session.get()
what, prefix = sys.argv[1:]
if what == "make":
    spark.sql(f"create database if not exists {prefix}")
    spark.sql(
        f"create table {prefix}.raw using delta as select id, concat('ada', id, '@x.org') as mail, 'a' as team from range(6)"
    )
    spark.sql(f"insert into {prefix}.raw values (7, 'nobody', 'a')")
    spark.sql(f"create table {prefix}.teams using delta as select 'a' as team")
    if prefix.count(".") == 0:
        spark.sql(f"create view {prefix}.seen as select * from {prefix}.raw where id > 0")
    else:  # another table, which a name that loses its catalog would find
        spark.sql("create database lake")
        spark.sql("create table lake.people using delta as select 'theirs' as whose")
else:
    tables = {
        row.tableName: spark.table(f"{prefix}.{row.tableName}")
        for row in spark.sql(f"show tables in {prefix}").collect()
    }
    counts = {name: frame.count() for name, frame in tables.items()}
    place = spark.sql(f"describe detail {prefix}.people").first().location
    decoy = [row.whose for row in spark.table("lake.people").collect()] if prefix.count(".") else []
    print(json.dumps({"counts": counts, "place": place, "decoy": decoy}))
