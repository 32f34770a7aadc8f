"""One contract with every operator and thirty rules, published by whatever session this process has, as comparable facts.

    python -m tests.e2e.everywhere FOLDER NAME [SPARK_REMOTE]

FOLDER holds what all sessions share (the data and the keyring, which the first one writes), NAME names this session: its tables go
to FOLDER/NAME, its facts to FOLDER/NAME.json. :func:`differences` compares the facts of two sessions. Spark 3.5 and 4, classic and
Connect run it alike.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = 60
RANDOM = ("secret_note", "salary", "diagnosis", "ticket")
"""Columns whose operators give other bytes in each run, or in each vault: only their nulls are compared, and the digest is without them."""

SCHEMA = (
    "id INT, family STRING, name STRING, email STRING, phone STRING, ssn STRING, card STRING, born DATE, seen TIMESTAMP, "
    "visit DATE, amount DECIMAL(12,2), score DOUBLE, age INT, zip STRING, city STRING, note STRING, raw STRING, badge STRING, "
    "secret_note STRING, salary DOUBLE, diagnosis STRING, ticket STRING, country STRING, flags ARRAY<STRING>, "
    "home STRUCT<street: STRING, floor: INT>, big BIGINT, unused STRING, gone STRING"
)

RULES = """
  Rules = [
    RowCount = 60,
    ColumnCount = 28,
    IsPrimaryKey "id",
    IsComplete "name",
    IsUnique "email",
    Completeness "score" > 0.8,
    Uniqueness "ssn" > 0.9,
    UniqueValueRatio "ssn" > 0.5,
    DistinctValuesCount "city" = 5,
    ColumnValues "age" between 17 and 90,
    ColumnValues "age" > 20 with threshold > 0.5,
    ColumnValues "country" in ["DE", "FR", "US"],
    ColumnValues "email" matches "^[a-z0-9.]+@example[.]org$",
    ColumnValues "born" < "2010-01-01",
    ColumnValues "seen" >= "2026-01-01 00:00:00",
    ColumnLength "zip" = 5,
    ColumnLength "name" between 2 and 30,
    ColumnDataType "big" = "Long",
    ColumnExists "card",
    Mean "age" between 20 and 80,
    Sum "amount" > 100,
    StandardDeviation "age" < 40,
    Entropy "city" > 1,
    ColumnCorrelation "age" "score" > -1.0,
    DataFreshness "visit" <= 40000 days,
    CustomSql "select count(*) from primary where amount < 0" = 0,
    (ColumnValues "score" >= 0) or (ColumnValues "score" = NULL),
    (IsComplete "city") and (ColumnLength "country" = 2),
    RowCountMatch "people" = 1.0,
    ReferentialIntegrity "city" "people.city" = 1,
    AggregateMatch "sum(age)" "sum(people.age)" = 1 labels=["severity"="warning"],
    IsComplete "raw" labels=["severity"="warning"],
    ColumnValues "zip" matches "^[0-9]+$" where "country <> 'FR'",
    SchemaMatch "people" = 1 labels=["severity"="warning"]
  ]
"""

COLUMNS = """
  id: {protect: keep}
  family: {class: person_name, protect: token}
  name: {class: person_name, protect: {pick: {values: [Ada, Berta, Carl, Dora, Emil, Fritz, Gerda]}}}
  email: {class: email, protect: token}
  phone: {class: phone, protect: {token: {region: DE}}}
  ssn: {class: national_id, protect: encrypt}
  card: {class: payment_card, protect: {fpe: {format: card}}}
  born: {class: birth_date, protect: {date_shift: {by: id, days: 20}}}
  seen: {protect: {generalize: {part: day}}}
  visit: {protect: keep}
  amount: {protect: keep}
  score: {protect: {generalize: {width: 5}}}
  age: {protect: {generalize: {bounds: [0, 18, 30, 50, 70, 120]}}}
  zip: {class: postcode, protect: {mask: {keep_first: 2}}}
  city: {protect: keep}
  note: {protect: redact_text}
  raw: {protect: {json: {fields: {$.mail: {class: email, protect: token}, $.n: {protect: keep}}, rest: redact}}}
  badge: {class: device_id, protect: {token: {bits: 256}}}
  country: {protect: keep}
  flags: {protect: keep}
  home.street: {class: postal_address, protect: token}
  home.floor: {protect: keep}
  big: {protect: token}
  unused: {protect: "null"}
  gone: {protect: drop}
"""

RANDOM_COLUMNS = """
  secret_note: {protect: encrypt_random}
  salary: {protect: {perturb: {scale: 10, noise: laplace}}}
  diagnosis: {class: diagnosis, protect: {shred: {path: LAKE/shred}}}
  ticket: {class: username, protect: {vault: {path: LAKE/vault}}}
"""
DROPPED = "".join(f"  {name}: {{protect: drop}}\n" for name in RANDOM)


def rows() -> list[dict[str, object]]:
    """The data: nulls, text beyond ASCII, spellings of one value, extremes."""
    cities = ["Köln", "Lyon", "Springfield", "München", "Århus"]
    return [
        {
            "id": n,
            "family": f"Family {n // 3}",
            "name": ["Zoë", "Łukasz", "O'Neil", "李雷", "Ann"][n % 5] + f" {n}",
            "email": f"person.{n}@example.org",
            "phone": [f"+49 30 1234{n:03d}", f"030/1234{n:03d}", None][n % 3],
            "ssn": f"{100 + n}-45-{6000 + n}",
            "card": ["4111 1111 1111 1111", "5555555555554444", None][n % 3],
            "born": f"{1950 + n % 50}-0{1 + n % 9}-{10 + n % 18}",
            "seen": f"2026-0{1 + n % 9}-11T0{n % 10}:15:30.123456Z",
            "visit": f"2025-{1 + n % 12:02d}-28",
            "amount": 10.25 * n + 0.5,
            "score": None if n % 11 == 0 else n / 7,
            "age": 18 + n if n != 7 else 200,
            "zip": f"{10000 + 137 * n}",
            "city": cities[n % 5],
            "note": [f"call me at person.{n}@example.org, card 4111111111111111", "nothing", None, "ümläut"][n % 4],
            "raw": json.dumps({"mail": f"a{n}@example.org", "n": n, "more": "secret"}) if n % 6 else None,
            "badge": f"B-{n:06d}",
            "secret_note": f"hidden {n}",
            "salary": 1000.0 + n,
            "diagnosis": ["E11.9", "I10", None][n % 3],
            "ticket": f"user{n % 10}",
            "country": ["DE", "FR", "US", "XX"][n % 4] if n < 8 else ["DE", "FR", "US"][n % 3],
            "flags": ["a", None, "ü"][: n % 4],
            "home": {"street": f"Street {n % 7}", "floor": n % 4} if n % 5 else None,
            "big": 9007199254740993 + n,
            "unused": "x",
            "gone": "y",
        }
        for n in range(ROWS)
    ]


def prepare(folder: Path) -> None:
    """Write what all sessions share, once."""
    from dataward.keys import create_keyring

    if (folder / "data").exists():
        return
    (folder / "data").mkdir(parents=True)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows()]
    (folder / "data/people.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "data/more.json").write_text("\n".join(lines[:20]) + "\n", encoding="utf-8")
    create_keyring(folder / "keys")


def contract(
    folder: Path, name: str, table: str, columns: str, target: str = "mode: overwrite", rules: str = RULES
) -> Path:
    """Write a contract of this session and return its file."""
    lake = folder / name
    lake.mkdir(exist_ok=True)
    source = f'{{format: json, path: {folder}/data/people.json, schema: "{SCHEMA}"}}'
    text = f"""contract: {table}
source: {source}
target: {{path: {lake}/{table}, {target}}}
quarantine: {{path: {lake}/{table}_quarantine}}
keys: {{provider: local, path: {folder}/keys, domain: people, spill: plain}}
references:
  people: {source}
engine: spark
discovery: {{gate: "off"}}
erasure: {{subject: id}}
limits: {{quarantined: 0.5}}
rules: |{rules}
columns:{columns.replace("LAKE", str(lake))}
"""
    file = lake / f"{table}.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def facts(folder: Path, name: str) -> dict[str, object]:
    """Publish with every operator, and again without the random ones; return what sessions are compared by."""
    from dataward.integrity.digest import unmasked
    from dataward.integrity.ledger import newest_seal
    from dataward.keys import open_keys
    from dataward.pipeline.plan import plan
    from dataward.pipeline.publish import publish
    from dataward.spark import session

    spark = session.get()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    spark.conf.set("spark.sql.shuffle.partitions", "7")
    spark.range(3).createOrReplaceTempView("primary")  # a name that runs use for views of their own
    told: dict[str, object] = {"spark": spark.version, "session": type(spark).__module__}
    for table, columns in (("full", COLUMNS + RANDOM_COLUMNS), ("fixed", COLUMNS + DROPPED)):
        planned = plan(contract(folder, name, table, columns))
        result = publish(spark, planned, f"run-{table}", report_folder=str(folder / name / "reports"))
        assert result.status == "published", result.reasons
        seal = newest_seal(planned.contract.ledger_location, planned.contract.target)
        assert seal is not None
        content, secret = seal.content, open_keys(planned.contract.keys).key("digest", "people", 1)
        total = unmasked(content.digest, content.rows, secret, content.nonce, content.schema_sha256)
        told[table] = {
            "rows": _rows(spark, planned.contract.target.path),
            "quarantined": _rows(
                spark, planned.contract.quarantine_location.path, without=("dataward_run_id", "run_id")
            ),
            "verdicts": [[one["rule"], one["outcome"], one["measured"]] for one in result.verdicts],
            "counts": dict(result.rows),
            "lanes": list(total.lanes) if table == "fixed" else None,
            "schema_sha256": content.schema_sha256,
            "measured": content.measured,
        }
    told["own"] = [spark.conf.get("spark.sql.shuffle.partitions"), int(spark.table("primary").count())]
    return told


def _rows(spark: object, path: str, without: tuple[str, ...] = ()) -> list[dict[str, object]]:
    frame = spark.read.format("delta").load(path)
    found = [json.loads(row[0]) for row in frame.selectExpr("to_json(struct(*)) as row").collect()]
    kept = (
        [{key: value for key, value in row.items() if not key.strip("_").endswith(without)} for row in found]
        if without
        else found
    )
    return sorted(kept, key=lambda row: row["id"])


def differences(one: dict[str, object], other: dict[str, object]) -> list[str]:
    """What differs between the facts of two sessions, in words; empty where they agree."""
    found = []
    for table in ("full", "fixed"):
        mine, theirs = one[table], other[table]
        found += [f"{table}: {key}" for key in ("counts", "lanes", "schema_sha256") if mine[key] != theirs[key]]
        for left, right in zip(mine["verdicts"], theirs["verdicts"], strict=True):
            if left[:2] != right[:2] or not _near(left[2], right[2]):
                found.append(f"{table}: {left} is {right}")
        for what in ("rows", "quarantined"):
            if len(mine[what]) != len(theirs[what]):
                found.append(f"{table}: {len(mine[what])} {what} against {len(theirs[what])}")
                continue
            for left, right in zip(mine[what], theirs[what], strict=True):
                for key in sorted(left.keys() | right.keys()):
                    a, b = left.get(key), right.get(key)
                    same = (a is None) == (b is None) and type(a) is type(b) if key in RANDOM else a == b
                    if not same:
                        found.append(f"{table}: {what} of id {left['id']}, {key}: {a!r} against {b!r}")
    return found


def _near(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-9 * max(1.0, abs(one))
    return one == other


def module(python: str, *arguments: str) -> str:
    """Run a module of these tests in a process of its own, with a Python that has some Spark; return what it printed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYSPARK_", "SPARK_"))}
    kept |= {"PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}", "TZ": "UTC"}
    done = subprocess.run(
        [python, "-m", *arguments], capture_output=True, text=True, env=kept, timeout=1800, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


if __name__ == "__main__":
    place, called = Path(sys.argv[1]).resolve(), sys.argv[2]
    if len(sys.argv) > 3:
        os.environ["SPARK_REMOTE"] = sys.argv[3]
    prepare(place)
    text = json.dumps(facts(place, called), ensure_ascii=False)
    (place / f"{called}.json").write_text(text, encoding="utf-8")
    print(text)
