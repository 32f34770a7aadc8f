"""Erasure: what was planted is found before, in whatever file it lies, and nowhere after; holds and retention are kept."""

import json
import re
import shutil

import pytest
from pyspark.sql import functions as F

from dataward.access.decide import Principal
from dataward.cli import main
from dataward.contract import Location
from dataward.errors import NotPermitted, UsageError
from dataward.integrity import ledger
from dataward.keys import local_keyring
from dataward.pipeline.plan import plan
from dataward.pipeline.publish import publish
from dataward.privacy import residue
from dataward.privacy.needles import Needle, forms
from dataward.privacy.reidentify import originals
from dataward.privacy.residue import search
from dataward.tables import delta
from dataward.verbs.erase import Asked, erase
from dataward.verbs.verify import verify

pytestmark = pytest.mark.long

SCHEMA = "id string, mail string, note string, card string, born string"
PEOPLE = [
    (
        f"person-{n:03d}",
        f"ada{n}@canary.example",
        f'note about {n} ünï "q"',
        f"{4539578763621 + n:013d}",
        f"1990-01-0{n % 9 + 1}",
    )
    for n in range(20)
]
COLUMNS = """
  id: {class: person_id, protect: token}
  mail: {class: email, protect: {encrypt: {}}}
  note: {class: note, protect: {vault: {path: ROOT/vault}}}
  card: {class: account, protect: {fpe: {alphabet: digits}}}
  born: {protect: keep}
"""
EXTRA = "quarantine: {{path: {root}/quarantine}}\nerasure: {{subject: id}}\n"
MINE, OTHER = PEOPLE[3], PEOPLE[4]


@pytest.fixture
def table(made_once):
    def published(lake):
        lake.source(PEOPLE, SCHEMA)
        rules = 'ColumnValues "born" != "1990-01-08"'  # person-007 and person-016 go to the quarantine
        columns = COLUMNS.replace("ROOT", str(lake.root))
        lake.publish("r1", rules=rules, columns=columns, target="mode: append", extra=EXTRA)

    return made_once(published)


def erased(lake, subject=MINE[0], *files, **more):
    plans = [plan(file) for file in (lake.root / "contract.yaml", *files)]
    return erase(lake.spark, plans, Asked(subject, "T-9", reports=str(lake.root / "reports"), **more))


def read_back(lake, column, version=None):
    contract = plan(lake.root / "contract.yaml").contract
    rows = delta.read(
        lake.spark, contract.target, delta.latest_version(lake.spark, contract.target) if version is None else version
    )
    import pyarrow as pa

    values = pa.array([row[0] for row in rows.orderBy("born", "id").select(column).collect()])
    found = originals(lake.spark, contract, contract.column(column), local_keyring(lake.root / "keys"), values, {1})
    return sorted(text.decode() for text in found if text)


def test_a_person_is_gone_from_every_file_and_the_others_stay(table):
    before = erased(table, prove=True)
    assert not before.holds
    assert {one.kind for one in before.residues} >= {"data"}
    done = erased(table)
    assert done.holds
    assert done.rows == {f"{table.root}/target": 1, f"{table.root}/quarantine": 0, f"{table.root}/vault": 1}
    assert (done.source_rows, done.short) == (1, 0)
    assert read_back(table, "mail") == sorted(row[1] for row in PEOPLE if row != MINE and row[4] != "1990-01-08")
    assert read_back(table, "note") == sorted(row[2] for row in PEOPLE if row != MINE and row[4] != "1990-01-08")
    assert verify(table.spark, plan(table.root / "contract.yaml")).holds
    quarantined = erased(table, "person-007")
    assert (quarantined.holds, quarantined.rows[f"{table.root}/quarantine"]) == (True, 1)
    records = [
        record for record in ledger.records(Location(path=f"{table.root}/target_ledger")) if record.kind == "erasure"
    ]
    assert [(record.method, record.ticket, len(record.subject)) for record in records] == [("delete", "T-9", 64)] * 2
    assert records[0].subject != records[1].subject


def test_planted_in_twelve_places_found_before_and_nowhere_after(table):
    """The values of one person lie in files that no table shows any more, and where values should never have come."""
    spark, root = table.spark, table.root
    target, contract = f"{root}/target", plan(root / "contract.yaml").contract
    orders = root / "orders.yaml"  # another table, joined by token
    path = table.source([(n, PEOPLE[n % 6][0]) for n in range(12)], "nr bigint, person string", "orders_source")
    orders.write_text(
        f"contract: orders\nsource: {{path: {path}}}\ntarget: {{path: {root}/orders}}\nkeys: {{path: {root}/keys, domain: t}}\n"
        "columns: {nr: {protect: keep}, person: {class: person_id, protect: token}}\nerasure: {subject: person}\n"
    )
    publish(spark, plan(orders), "o1", str(root / "reports"))
    name = f"delta.`{target}`"
    spark.sql(
        f"alter table {name} set tblproperties ('delta.enableChangeDataFeed' = 'true', 'delta.enableDeletionVectors' = 'true')"
    )
    spark.sql(f"update {name} set born = '1990-02-01' where born = '1990-01-04'")  # change data, and an older version
    spark.sql(
        f"alter table {name} unset tblproperties ('delta.dataSkippingNumIndexedCols', 'delta.dataSkippingStatsColumns')"
    )
    whole = spark.read.format("delta").load(target)
    ours = next(r for r in whole.collect() if read_one(table, r.mail) == MINE[1])
    other = next(r for r in whole.collect() if r.id != ours.id)
    stray = [ours.asDict() | {"born": MINE[1]}, other.asDict() | {"born": "zzz"}]
    spark.createDataFrame(stray, whole.schema).coalesce(1).write.format("delta").mode("append").save(
        target
    )  # minima and maxima
    spark.sql(f"delete from {name} where born = '{MINE[1]}'")  # a deletion vector hides it, and history names it
    log = spark._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, target)
    log.checkpoint()
    (root / "target/_delta_log/00000000000000000001.crc").write_text(json.dumps({"stats": MINE[1]}))
    report = next((root / "reports").rglob("report.html"))
    report = root / "reports/t/r1/report.html"
    report.write_text(report.read_text().replace("</main>", f"<p>{MINE[1]}</p></main>"))
    with pytest.MonkeyPatch.context() as patch:  # a seal that says too much
        patch.setattr("dataward.pipeline.seal.caller", lambda *_: Principal(MINE[1]))
        publish(spark, plan(root / "contract.yaml"), "r2", str(root / "reports"))
    table.spark.createDataFrame([ours], whole.schema).withColumn("run_id", F.lit("r1")).write.format("delta").mode(
        "append"
    ).save(f"{root}/quarantine")
    before = erased(table, MINE[0], orders, prove=True)
    kinds = {
        (one.path.removeprefix("file:").removeprefix(str(root)).split("/")[1], one.kind) for one in before.residues
    }
    assert kinds >= {("target", "data"), ("target", "log"), ("target", "checkpoint"), ("target", "checksum"), ("target", "change data"),
                     ("quarantine", "data"), ("reports", "file"), ("target_ledger", "file"), ("orders", "data"), ("vault", "data")}  # fmt: skip
    with_vectors = list((root / "target").rglob("deletion_vector*"))
    assert with_vectors
    done = erased(table, MINE[0], orders)
    assert done.residues == (), [(one.kind, one.named, one.path) for one in done.residues]
    assert done.holds
    assert not [one for one in with_vectors if one.exists()]
    assert MINE[1] not in report.read_text()
    assert "[erased]" in report.read_text()
    # by another tool as well: the bytes of all that is there, and every value of every Parquet file
    whole = b"".join(
        file.read_bytes() for file in root.rglob("*") if file.is_file() and "source" not in file.parts[len(root.parts)]
    )
    assert MINE[1].encode() not in whole
    assert ours.id.encode() not in whole
    assert spark.read.format("delta").load(f"{root}/orders").count() == 10
    # the chain holds although a seal was taken out, and only because an erasure says so
    place = contract.ledger_location
    keys = local_keyring(root / "keys")
    assert ledger.flaws(place, keys).flaws == ()
    chain = ledger.entries(place)
    assert [entry.seq for entry in chain if not entry.seal_text] == [1]
    assert ledger.entries(place, "redaction")[0].seal_text.startswith('{"redacted":[1],')
    kept = root / "target_ledger/statements" / chain[0].body.statement
    moved = kept.rename(root / "kept")
    assert [flaw.message.partition(" (")[0] for flaw in ledger.flaws(place, keys).flaws] == [
        "ledger entry 0: its statement is missing, and no erasure says so"
    ]
    moved.rename(kept)
    # What others changed before the erasure stays unsealed: of the two rows that were added by hand, one is another person's.
    proof = verify(spark, plan(root / "contract.yaml"))
    assert [str(one) for one in proof.findings if one.fails] == ["rows-changed: version 12: 35 rows, sealed are 34"]


def read_one(lake, text):
    import pyarrow as pa

    contract = plan(lake.root / "contract.yaml").contract
    return originals(
        lake.spark, contract, contract.column("mail"), local_keyring(lake.root / "keys"), pa.array([text]), {1}
    )[0].decode()


SHREDDED = """
  id: {class: person_id, protect: token}
  mail: {class: email, protect: {shred: {path: ROOT/subjects}}}
  note: {class: note, protect: {shred: {path: ROOT/subjects}}}
  card: {class: account, protect: redact}
  born: {protect: keep}
"""


@pytest.fixture
def shreddable(made_once):
    def published_twice(lake):
        lake.source(PEOPLE, SCHEMA)
        lake.publish("r1", columns=SHREDDED.replace("ROOT", str(lake.root)), target="mode: append", extra=EXTRA)
        lake.source([*PEOPLE[:6], ("person-003", None, "more of 3", None, None)], SCHEMA)
        lake.publish("r2")

    return made_once(published_twice)


def test_a_shredded_subject_is_unreadable_in_every_version_and_all_others_readable(shreddable):
    lake, backup = shreddable, shreddable.root / "backup"
    shutil.copytree(lake.root / "target", backup)
    mails = sorted(row[1] for row in PEOPLE)
    assert read_back(lake, "mail", 0) == mails
    assert read_back(lake, "mail", 1) == sorted(mails + [row[1] for row in PEOPLE[:6]])
    assert "more of 3" in read_back(lake, "note")
    versions = lake.versions()
    done = erased(lake, also=(str(backup),))
    assert done.holds, done.residues
    assert done.rows == {f"{lake.root}/subjects": 1}
    assert lake.versions() == versions  # nothing was deleted: the old versions stay
    left = [row[1] for row in PEOPLE if row != MINE]
    assert read_back(lake, "mail", 0) == sorted(left)
    assert read_back(lake, "mail", 1) == sorted(left + [row[1] for row in PEOPLE[:6] if row != MINE])
    assert not [text for text in read_back(lake, "note") if "about 3 " in text or text == "more of 3"]
    assert verify(lake.spark, plan(lake.root / "contract.yaml")).holds
    old = lake.spark.read.format("delta").load(str(backup)).count()
    assert old == 27  # the copy is there, and as unreadable
    lake.publish("r3")  # the source still has them: a new key, which opens nothing of the old
    assert len(read_back(lake, "mail", 1)) == len(left) + 5


def test_a_value_without_a_subject_cannot_be_shredded(lake):
    lake.source([(None, "a@x.org", "n", "1", "b")], SCHEMA)
    from dataward.errors import ProtectionError

    with pytest.raises(ProtectionError, match="shred needs a subject"):
        lake.publish(columns=SHREDDED.replace("ROOT", str(lake.root)), extra=EXTRA)
    assert lake.versions() == 0


def test_keys_of_subjects_are_rotated_without_touching_the_table(shreddable):
    from dataward.verbs.rotate import rotate

    lake = shreddable
    file = lake.root / "contract.yaml"
    before = read_back(lake, "mail")
    lake.source([*PEOPLE, PEOPLE[3]], SCHEMA)
    rotate(lake.spark, "t", [plan(file)])
    rotate(lake.spark, "t", [plan(file)], finish=True)
    local_keyring(lake.root / "keys").set_enabled("t", 1, False)
    assert read_back(lake, "mail") == before
    lake.publish("r4")
    assert lake.read("subjects").count() == 20  # the subjects were found again


@pytest.mark.parametrize(("erasure", "why"), [
    ("{{subject: id, hold: litigation 2026-17}}", "legal hold: litigation 2026-17"),
    ("{{subject: id, retain: {{column: born, days: 20000}}}}", "1 row\\(s\\) must be kept for 20000 days")])  # fmt: skip
def test_what_a_hold_or_retention_forbids_is_refused_and_entered(lake, erasure, why):
    lake.source(PEOPLE, SCHEMA)
    lake.publish("r1", columns=COLUMNS.replace("ROOT", str(lake.root)), extra=EXTRA.replace("{{subject: id}}", erasure))
    with pytest.raises(NotPermitted, match=why):
        erased(lake)
    record = ledger.records(Location(path=f"{lake.root}/target_ledger"))[-1]
    assert (record.kind, record.method) == ("erasure", "refused")
    assert re.search(why, record.reason)
    assert lake.read().count() == 20
    assert verify(lake.spark, plan(lake.root / "contract.yaml")).holds


def test_statistics_never_hold_a_person(table):
    """Delta's trap, closed by construction: neither sensitive columns nor the subject have minima and maxima."""
    for file in (table.root / "target/_delta_log").glob("*.json"):
        for name in ("id", "mail", "note", "card"):
            assert f'\\"{name}\\":\\"' not in file.read_text()


def test_a_hidden_or_damaged_file_is_read_or_named(lake, tmp_path):
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / ".hidden").write_text("x secret-value y")
    (folder / "_also").write_text(json.dumps({"a": json.dumps({"v": 'quo"ted-välue'})}))
    (folder / "broken.parquet").write_bytes(b"PAR1 nothing of the kind PAR1")
    needles = [Needle("one", "secret-value"), Needle("two", 'quo"ted-välue'), Needle("three", "abc")]
    found = search(lake.spark, [str(folder)], needles)
    assert {(one.path.rsplit("/", 1)[-1], one.named) for one in found.residues} == {
        (".hidden", "one"),
        ("_also", "two"),
    }
    assert [path.rsplit("/", 1)[-1] for path in found.unread] == ["broken.parquet"]
    assert "secret" not in repr(needles)


@pytest.mark.parametrize("shift", range(3))
def test_base64_is_found_wherever_the_value_begins(shift):
    import base64

    coded = base64.b64encode(b"x" * shift + b"someone@x.org" + b"tail")
    assert any(shape in coded for shape in forms("someone@x.org"))


def test_wrong_asks(table, monkeypatch, capsys):
    file = table.root / "none.yaml"
    file.write_text((table.root / "contract.yaml").read_text().replace("erasure: {subject: id}", ""))
    with pytest.raises(UsageError, match="add erasure"):
        erase(table.spark, [plan(file)], Asked("a", "t"))
    monkeypatch.setattr("dataward.spark.session.get", lambda: table.spark)
    argv = [
        "erase",
        "--contract",
        str(table.root / "contract.yaml"),
        "--ticket",
        "T",
        "--report",
        str(table.root / "reports"),
    ]
    (table.root / "who").write_text(MINE[0] + "\n")
    assert main([*argv, "--subject", f"@{table.root}/who", "--prove", "--json"]) == 1
    told = capsys.readouterr().out
    assert json.loads(told)["holds"] is False
    assert MINE[0] not in told
    assert MINE[1] not in told
    assert main([*argv, "--subject", MINE[0]]) == 0
    out = capsys.readouterr().out
    assert "the proof holds" in out
    assert "the source still holds 1 row(s)" in out
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    assert main([*argv, "--subject", MINE[0]]) == 2
    assert residue.SHORTEST == 5
