"""The ways in: spark-submit, a zip on real executors, a process that ends, errors with their exit codes."""

import base64
import getpass
import json
import re
import zipfile
from pathlib import Path

import pyspark
import pytest

from dataward.keys import local_keyring
from tests.e2e.conftest import Workplace

ROOT = Path(__file__).parents[2]
CANARIES = (
    "CANARYgivenZQ17",
    "canary.mail.zq42@example.org",
    "CANARYaddressZQ99",
    "CANARYbadRecordZQ55",
    "CANARYdroppedZQ31",
    "4929371288416675",
    "CANARYinJsonZQ12",
)

PEOPLE = """\
contract: people
source:
  format: csv
  path: people.csv
  options: {header: true, escape: '"'}
  schema: id INT, given_name STRING, mail STRING, address STRING, note STRING, age INT, card STRING, doc STRING
target: {path: lake/people, mode: merge, on: [id]}
quarantine: {path: lake/quarantine}
history: {}
keys: {path: keys, domain: people}
rules: |
  Rules = [
    IsComplete "given_name",
    ColumnValues "age" between 0 and 150,
    ColumnValues "mail" matches "@",
    CustomSql "select count(*) from primary where cast(mail as int) > 1" = 0
  ]
columns:
  id: {protect: keep}
  given_name: {class: person_name, protect: token}
  mail: {class: email, protect: token}
  address: {class: postal_address, protect: {mask: {keep_last: 2}}}
  note: {class: free_text, protect: drop}
  age: {protect: keep}
  card: {class: payment_card, protect: {fpe: {format: card}}}
  doc: {protect: {json: {fields: {who: {protect: encrypt}}, rest: encrypt_random}}}
"""

TREAT = """\
treat:
  normalise: {given_name: {unicode: NFKC, squeeze: true}, note: {values: {known: []}, else: keep}}
  duplicates: {d: {similar: {given_name: name, address: address}, keep: merge}}
  outliers: {age: {method: mad, do: winsorise}}
  missing: {mail: {with: mode}, age: {with: median}}
"""


def plant(root):
    given, mail, address, bad, dropped, card, inside = CANARIES
    rest = f'{card},"{{""who"":""{inside}"",""n"":[""{inside}""]}}"'
    rows = [f"{n},{given},{mail},{address},{dropped},{age},{rest}" for n, age in enumerate((30, 31, 999, -5))]
    rows += [f"9,{bad},{mail}", f"x,{bad},{mail},{address},{dropped},3,{rest}"]
    (root / "people.csv").write_text("id,given_name,mail,address,note,age,card,doc\n" + "\n".join(rows) + "\n")


def recorded(events):
    """Settings under which Spark writes its event log there, with every field of every plan."""
    events.mkdir()
    return {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.sql.debug.maxToStringFields": "1000",
    }


def canary_jobs(workplace, treat=""):
    """Beside a job that publishes: one that is stopped, after its repairs, one that fails in the middle of its write, on a value
    that cannot be protected, and one that looks for what is sensitive."""
    plant(workplace.root)
    stopped = PEOPLE.replace('IsComplete "given_name"', "RowCount > 99")
    broken = PEOPLE.replace("{mask: {keep_last: 2}}", "fpe").replace("lake/people", "lake/broken")
    return [
        ("publish", "--contract", workplace.contract(PEOPLE, "people.yaml"), "--run-id", "r1", "--json"),
        (
            "publish",
            "--contract",
            workplace.contract(stopped.replace("rules: |", f"engine: spark\n{treat}rules: |"), "s.yaml"),
        ),
        ("publish", "--contract", workplace.contract(broken, "broken.yaml")),
        ("discover", "people.csv", "--json", "--draft", "draft.yaml"),
    ]


def search(workplace, done, gated, failed, looked):
    """Every file that the jobs wrote, and all that they said, for what was planted and for keys."""
    assert [job.code for job in (done, gated, failed, looked)] == [0, 1, 1, 0], done.err[-3000:]
    assert done.document["rows"] == {"in": 6, "published": 2, "quarantined": 4, "dropped": 0}
    assert "address: it holds values that fpe cannot protect" in failed.err
    assert not list((workplace.root / "lake/broken").rglob("*.json"))
    assert {c["name"]: c["class"] for c in looked.document["columns"]}["card"] == "payment_card"
    outputs = {"stdout": done.out + gated.out + failed.out + looked.out, "stderr": done.err}
    secret = json.loads((workplace.root / "keys").read_text())["domains"]["people"]["versions"]["1"]["secret"]
    ring = local_keyring(workplace.root / "keys")
    derived = [ring.key(purpose, "people", 1) for purpose in ("token", "fpe", "encrypt", "encrypt_random")]
    forms = [
        form for key in derived for form in (key, key.hex().encode(), base64.b64encode(key), repr(key)[2:-1].encode())
    ]
    searched = 0
    for file in workplace.root.rglob("*"):
        if not file.is_file() or file.name in ("people.csv", ".people.csv.crc", "keys"):
            continue
        data = file.read_bytes()
        searched += 1
        for needle in (*CANARIES, secret, "canary.mail"):
            assert needle.encode() not in data, (needle, file)
        assert not [form for form in forms if form in data], file
    assert searched > 25
    assert any((workplace.root / "events").iterdir())
    for name, text in outputs.items():
        assert not [needle for needle in (*CANARIES, secret) if needle in text], name


NAMES = """\
contract: names
source: {format: csv, path: in.csv, options: {header: true}}
target: {path: lake/names}
quarantine: {path: lake/q}
keys: {path: keys, domain: names}
rules: 'Rules = [ IsComplete "name" ]'
columns: {id: {protect: keep}, name: {class: person_name, protect: token}}
"""
DAMAGE = """\
import pathlib
data = next(pathlib.Path("lake/names").glob("*.parquet"))
data.write_bytes(data.read_bytes()[:-40])
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A workplace, and what jobs said there: all in one process, whose start takes longer than they do."""
    workplace = Workplace(tmp_path_factory.mktemp("ran"))
    (workplace.root / "in.csv").write_text("id,name\n1,ada\n2,\n")
    (workplace.root / "damage.py").write_text(DAMAGE)
    contract = ("--contract", workplace.contract(NAMES, "names.yaml"), "--json")
    jobs = [
        ("publish", *contract),
        ("history", *contract),
        ("profile", "lake/names", "--json"),
        (str(workplace.root / "damage"),),
        ("verify", *contract),
    ]
    done = workplace.submit_each(*jobs, *canary_jobs(workplace), conf=recorded(workplace.root / "events"))
    return workplace, done[: len(jobs)], done[len(jobs) :]


def test_no_canary_in_any_file_that_a_job_wrote(ran):
    workplace, _, done = ran
    search(workplace, *done)


@pytest.mark.long
def test_no_canary_in_any_file_of_repaired_rows(workplace):
    events = recorded(workplace.root / "events")
    search(workplace, *workplace.submit_each(*canary_jobs(workplace, TREAT), conf=events))


def test_publish_history_profile_and_verify_as_json(ran):
    workplace, (published, told, profiled, _, tampered), _ = ran
    assert published.code == 0, published.err
    assert {"run_id", "status", "rows", "verdicts", "target", "report"} <= published.document.keys()
    assert {"rule", "outcome", "measured"} <= published.document["verdicts"][0].keys()
    assert (workplace.root / published.document["report"]).exists()
    assert re.search(r"^  judge .* s  2 rules: 1 passed, 1 failed$", published.err, re.MULTILINE)
    assert (told.code, told.document["versions"][0]["run_id"]) == (0, published.document["run_id"]), told.err
    assert (profiled.code, profiled.document["rows"]) == (0, 1), profiled.err
    assert (tampered.code, tampered.document["holds"]) == (1, False), tampered.err
    data = next((workplace.root / "lake/names").glob("*.parquet"))
    assert [data.name in check["detail"] for check in tampered.document["checks"] if not check["holds"]] == [True]


@pytest.mark.long
def test_executors_load_the_package_from_a_zip(workplace):
    """On a local-cluster master the executors are JVMs of their own: what they import came with --py-files."""
    package = workplace.root / "dataward.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for file in (ROOT / "lib/dataward").rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(ROOT / "lib"))
    (workplace.root / "in.csv").write_text("id\n1\n2\n")
    contract = workplace.contract(
        f"contract: t\nsource: {{format: csv, path: {workplace.root}/in.csv, options: {{header: true}}}}\n"
        f"target: {{path: {workplace.root}/lake}}\nkeys: {{path: keys, domain: t}}\ncolumns: {{id: {{protect: token}}}}\n"
        'rules: |\n  Rules = [ IsUnique "id" ]\n'
    )
    # Every Python of this run forgets the checkout that is installed here: the only dataward in reach is the zip.
    blocker = workplace.root / "site"
    blocker.mkdir()
    (blocker / "sitecustomize.py").write_text(
        f"import sys\nsys.path[:] = [p for p in sys.path if p != {str(ROOT / 'lib')!r}]\n"
    )
    conf = {"spark.master": "local-cluster[1,1,1024]", "spark.executorEnv.PYTHONPATH": str(blocker)}
    environment = {"SPARK_HOME": str(Path(pyspark.__file__).parent), "PYTHONPATH": str(blocker)}
    zipped = ("--py-files", str(package))
    refused = workplace.submit("--contract", contract, "--json", conf=conf, options=zipped, environment=environment)
    assert refused.code == 3, refused.err[-3000:]
    assert "add --conf spark.io.encryption.enabled=true" in refused.document["message"]
    conf["spark.io.encryption.enabled"] = "true"
    done = workplace.submit("--contract", contract, "--json", conf=conf, options=zipped, environment=environment)
    assert done.code == 0, done.err[-3000:]
    assert done.document["rows"]["published"] == 2
    # Without the zip there is nothing to import: this test would notice an installed package.
    without = workplace.submit("--contract", contract, conf=conf, environment=environment)
    assert without.code != 0
    assert "No module named 'dataward'" in without.out + without.err


@pytest.mark.long
def test_a_job_with_lambdas_ends_also_after_an_exception(workplace):
    (workplace.root / "in.csv").write_text("id\n1\n")
    (workplace.root / "mine.py").write_text(
        "from pydeequ.checks import Check, CheckLevel\n"
        "def checks(spark):\n    return [Check(spark, CheckLevel.Error, 'mine').hasSize(lambda n: n == 1)]\n"
        "def broken(spark):\n    checks(spark)\n    raise RuntimeError('mine CANARY')\n"
    )
    text = (
        "contract: t\nsource: {format: csv, path: in.csv, options: {header: true}}\ntarget: {path: lake}\n"
        "keys: {path: keys, domain: t}\ndefault: keep\nchecks: mine.py:checks\n"
    )
    good = workplace.dataward("publish", "--contract", workplace.contract(text), "--json")
    assert (good.code, good.document["verdicts"][-1]["outcome"]) == (0, "PASSED"), good.err
    bad = workplace.dataward(
        "publish", "--contract", workplace.contract(text.replace("mine.py:checks", "mine.py:broken"))
    )
    assert bad.code == 3
    assert "CANARY" not in bad.err


SMALL = """\
contract: t
source: {format: csv, path: in.csv, options: {header: true}}
target: {path: lake/t, mode: append}
keys: {path: keys, domain: t}
default: keep
"""


@pytest.mark.long
def test_a_full_target_stays_what_it_was(workplace):
    """No file may grow past 16 MiB: enough for Spark to start, too little for the second run's data file."""
    contract = workplace.contract(SMALL.replace("default: keep", "columns: {id: {protect: token}}"))
    (workplace.root / "in.csv").write_text("id\n1\n")
    conf = {"spark.master": "local[1]"}
    assert workplace.submit("--contract", contract, conf=conf).code == 0
    (workplace.root / "in.csv").write_text("id\n" + "".join(f"{n}\n" for n in range(700_000)))
    done = workplace.submit("--contract", contract, conf=conf, file_limit=16 << 20)
    assert done.code == 3, done.err[-2000:]
    assert "lake/t: the disk is full. Nothing of this run was published here" in done.err, done.err[-2000:]
    assert [file.name for file in (workplace.root / "lake/t/_delta_log").glob("*.json")] == [
        "00000000000000000000.json"
    ]


def test_a_session_without_delta_says_what_to_add(workplace):
    (workplace.root / "in.csv").write_text("id\n1\n")
    contract = workplace.contract(SMALL)
    done = workplace.submit(
        "--contract", contract, conf={"spark.sql.extensions": "", "spark.sql.catalog.spark_catalog": "org.x.Y"}
    )
    assert done.code == 3
    assert "setting spark.sql.extensions: add --conf spark.sql.extensions=io.delta" in done.err


RIGHTS = """\
contract: people
source: {format: csv, path: people.csv, options: {header: true}}
target: {path: lake/people}
keys: {path: keys, domain: people}
columns:
  rec_id: {class: person_id, protect: token}
  mail: {class: email, protect: {encrypt: {}}}
  plan: {protect: keep}
access: {reidentify: [{principals: [WHO], classes: [email], purposes: [support], rows_per_day: 9}]}
erasure: {subject: rec_id}
"""


@pytest.mark.long
def test_rotate_reidentify_and_erase_as_jobs_leave_no_value_in_logs(workplace):
    people = [(f"rec-canary-{n}", f"ada{n}@canary.example", "abc"[n % 3]) for n in range(9)]
    lines = ["rec_id,mail,plan", *(",".join(row) for row in people)]
    (workplace.root / "people.csv").write_text("\n".join(lines) + "\n")
    contract = workplace.contract(RIGHTS.replace("WHO", getpass.getuser()))
    (workplace.root / "subject.txt").write_text(people[4][0])
    wanted = ("--columns", "mail", "--where", "plan = 'a'", "--purpose", "support", "--ticket", "T-1", "--json")
    published, rotated, given, done = workplace.submit_each(
        ("publish", "--contract", contract),
        ("rotate", "people", "--contract", contract, "--json"),
        ("reidentify", "--contract", contract, *wanted, "--out", "out.csv"),
        ("erase", "--contract", contract, "--subject", "@subject.txt", "--ticket", "T-2", "--json"),
        conf=recorded(workplace.root / "events"),
    )
    assert published.code == 0, published.err[-3000:]
    assert (rotated.code, rotated.document["new"], rotated.document["window"]) == (0, 2, True), rotated.err[-3000:]
    assert (given.code, given.document["rows"]) == (0, 3), given.err[-3000:]
    assert "ada0@canary.example" in (workplace.root / "out.csv").read_text()
    (workplace.root / "out.csv").unlink()
    assert (done.code, done.document["holds"], done.document["rows"]) == (0, True, {"lake/people": 1}), done.err[-3000:]
    for file in workplace.root.rglob("*"):
        if file.is_file() and file.name not in ("people.csv", ".people.csv.crc", "subject.txt"):
            data = file.read_bytes()
            for rec_id, mail, _ in people:
                assert rec_id.encode() not in data, file
                assert mail.encode() not in data, file
    for job in (rotated, given, done):
        assert "canary" not in job.out + job.err
