"""Events queried, compared with the ledger's digests, and joined with CloudTrail's records."""

import gzip
import json
from datetime import datetime, timedelta, timezone

import pytest

from dataward.access.correlate import Place, correlate, records_in
from dataward.access.decide import Principal
from dataward.access.events import Begun, Outcome, Subject, event
from dataward.access.verbs import VERBS
from dataward.cli import main
from dataward.contract import Contract
from dataward.errors import UsageError
from dataward.keys import create_keyring
from dataward.pipeline.guard import guarded
from dataward.pipeline.plan import plan
from dataward.verbs.audit import check, flush, places_of, since
from dataward.verbs.iam import compare

CONTRACT = """
contract: people
source: {{path: a}}
target: {{path: {root}/lake/people}}
keys: {{path: {root}/keys, domain: people}}
columns: {{mail: {{class: email, protect: token}}}}
access: {{grants: [{{anyone: true, verbs: [history, audit, keys_list, audit_flush, audit_seal]}}]}}
audit: {{sinks: [{{kind: jsonl, path: {root}/out.jsonl}}], spool: {root}/spool, batch: 4}}
"""


@pytest.fixture
def file(tmp_path):
    create_keyring(tmp_path / "keys")
    (tmp_path / "c.yaml").write_text(CONTRACT.format(root=tmp_path))
    return tmp_path / "c.yaml"


def worked(file, times):
    history = guarded("history")(lambda spark, plan, purpose="": [])
    for number in range(times):
        history(None, plan(file), purpose=f"p{number % 2}")


def test_the_query_filters_by_who_verb_status_and_time(file, capsys):
    worked(file, 3)
    assert main(["keys", "list", str(file)]) == 0
    assert main(["keys", "disable", str(file), "people", "1"]) == 4
    capsys.readouterr()
    assert main(["audit", "--contract", str(file), "--verb", "history", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["unmapped"]["dataward"]["purpose"] for one in found] == ["p0", "p1", "p0"]
    assert main(["audit", "--contract", str(file), "--status", "denied", "--since", "1h"]) == 0
    assert "keys_disable" in capsys.readouterr().out
    me = found[0]["actor"]["user"]["name"]
    for argv, count in (
        (["--who", me], 3),
        (["--who", "nobody-else"], 0),
        (["--since", "2999-01-01"], 0),
        (["--table", "people"], 3),
    ):
        assert main(["audit", "--contract", str(file), "--verb", "history", *argv, "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)) == count
    assert main(["audit", "--contract", str(file), "--since", "soon"]) == 2


@pytest.mark.parametrize("change", [
    lambda line: "x", lambda line: line.replace('"time":', '"tim":'), lambda line: line.replace('"uid":', '"uuid":'),
    lambda line: line.replace('"time":', '"time":"x","t":'), lambda line: line.replace('"unmapped":', '"mapped":'), lambda line: "[]",
    lambda line: line.replace('"actor":', '"factor":'), lambda line: line.replace('"log_name":', '"log":'), lambda line: "é" + line,
])  # fmt: skip
@pytest.mark.parametrize("verb", [[], ["check"]])
def test_a_line_that_is_no_event_any_more_is_named(file, tmp_path, capsys, change, verb):
    worked(file, 5)
    first, second, *rest = (tmp_path / "out.jsonl").read_text().splitlines()
    assert change(second) != second
    (tmp_path / "out.jsonl").write_text("\n".join([first, change(second), *rest, ""]), encoding="utf-8")
    assert main(["audit", *verb, "--contract", str(file)]) == 1
    assert "out.jsonl: line 2 is no event: it was changed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "ago"), [("90m", timedelta(minutes=90)), ("24h", timedelta(hours=24)), ("7d", timedelta(days=7))]
)
def test_a_length_before_now_is_a_time(text, ago):
    assert abs(datetime.now(timezone.utc) - ago - since(text)) < timedelta(minutes=1)
    assert since("2026-11-25") == datetime(2026, 11, 25, tzinfo=timezone.utc)


@pytest.mark.parametrize("read", [lambda path: list(records_in(path)), lambda path: compare({}, path)])
def test_a_damaged_file_of_cloudtrail_is_refused_by_name(tmp_path, read):
    whole = gzip.compress(json.dumps({"Records": [{"eventName": str(n)} for n in range(99)]}).encode(), mtime=0)
    for number, data in enumerate((b"", b"x", whole[:-9], whole[:20] + b"\xff" * 20 + whole[40:])):
        (tmp_path / f"{number}.json.gz").write_bytes(data)
        with pytest.raises(UsageError, match=f"{number}.json.gz: "):
            read(str(tmp_path / f"{number}.json.gz"))


@pytest.mark.parametrize("records", ["null", "[3]", "{}"])
def test_records_of_another_shape_are_refused(tmp_path, records):
    (tmp_path / "t.json").write_text(f'{{"Records": {records}}}')
    if records == "{}":
        assert list(records_in(str(tmp_path / "t.json"))) == []
        return
    with pytest.raises(UsageError, match="not a file of CloudTrail"):
        list(records_in(str(tmp_path / "t.json")))


def test_a_length_before_all_time_is_refused():
    with pytest.raises(UsageError, match="write a time such as"):
        since("999999999999d")


def test_a_contract_without_audit_says_how_to_have_events(tmp_path, capsys):
    text = CONTRACT.format(root=tmp_path)
    (tmp_path / "c.yaml").write_text(text[: text.index("access:")])
    assert main(["audit", "--contract", str(tmp_path / "c.yaml")]) == 2
    assert "add audit: {sinks:" in capsys.readouterr().err


def test_digests_of_batches_are_in_the_ledger_and_a_changed_removed_or_invented_event_shows(file, tmp_path):
    worked(file, 9)
    done = check(None, plan(file))
    assert (done.batches, done.events, done.flaws) == (2, 8, ())
    assert flush(None, plan(file), seal=True).entry is not None
    sealed = check(None, plan(file))
    assert (sealed.holds, sealed.batches) == (True, 3)
    out = tmp_path / "out.jsonl"
    lines = out.read_text().splitlines()
    for segment in (tmp_path / "spool" / "people").glob(
        "events-*"
    ):  # what the spool still holds is no help to who changes the sink
        segment.write_text("")

    def flaws(changed):
        out.write_text("".join(line + "\n" for line in changed))
        return check(None, plan(file)).flaws

    assert flaws(lines) == ()
    assert flaws([lines[0], lines[1].replace('"p1"', '"p2"'), *lines[2:]])[0].startswith("events 1 to 4 of spool")
    assert "events 3 of spool" in flaws(lines[:2] + lines[3:])[0]
    assert "are missing" in flaws(lines[2:])[0]
    swapped = [
        lines[1].replace('"sequence":2', '"sequence":1'),
        lines[0].replace('"sequence":1', '"sequence":2'),
        *lines[2:],
    ]
    assert "are not those that were sealed" in flaws(swapped)[0]


def test_the_commands_flush_seal_and_check_exit_by_what_they_find(file, tmp_path, capsys):
    worked(file, 2)
    assert main(["audit", "seal", "--contract", str(file)]) == 0
    assert "the digest is entry 0 of the ledger" in capsys.readouterr().out
    assert main(["audit", "check", "--contract", str(file)]) == 0
    assert "the events are those that were sealed" in capsys.readouterr().out
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    (tmp_path / "out.jsonl").write_text("\n".join(lines[1:]) + "\n")
    for segment in (tmp_path / "spool" / "people").glob("events-*"):
        segment.write_text("")
    assert main(["audit", "check", "--contract", str(file), "--json"]) == 1
    assert "events 1 of spool" in json.loads(capsys.readouterr().out)["flaws"][0]
    (tmp_path / "out.jsonl").unlink()
    (tmp_path / "out.jsonl").mkdir()
    with pytest.warns(UserWarning, match="wait in"):
        worked(file, 1)
    assert main(["audit", "flush", "--contract", str(file)]) == 3
    assert "DOWN  jsonl" in capsys.readouterr().out


def test_who_cannot_sign_is_told_so_by_seal_and_is_not_bothered_by_other_verbs(file, tmp_path, capsys):
    worked(file, 2)
    (tmp_path / "keys").rename(tmp_path / "elsewhere")
    assert main(["audit", "seal", "--contract", str(file)]) == 3
    assert "keyring" in capsys.readouterr().err
    worked(file, 4)  # a batch is full, and nobody here can seal it
    (tmp_path / "elsewhere").rename(tmp_path / "keys")
    assert main(["audit", "seal", "--contract", str(file)]) == 0
    assert "the digest is entry" in capsys.readouterr().out


NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
ROLE = "arn:aws:sts::111122223333:assumed-role/Publisher/job-1"
PLACE = Place(("lake/people", "lake/people_ledger"), ("people",), "prod")


def verb_event(name, start, seconds, who=ROLE, status="success"):
    begun = Begun(VERBS[name], Principal(who, "sts"), Subject("people", "s3://lake/people"), "1.0", time=start)
    return event(begun, Outcome(status), start + timedelta(seconds=seconds))


def record(action, what="lake/people/part-0.parquet", time=NOON, who=ROLE, **more):
    """A record of CloudTrail as AWS writes it."""
    bucket, _, key = what.partition("/")
    made = {
        "eventVersion": "1.11", "userIdentity": {"type": "AssumedRole", "arn": who, "accountId": "111122223333"},
        "eventTime": f"{time:%Y-%m-%dT%H:%M:%SZ}", "eventSource": "s3.amazonaws.com", "eventName": action, "awsRegion": "eu-central-1",
        "sourceIPAddress": "10.0.0.9", "eventID": f"{action}-{what}-{time:%H%M%S}", "eventCategory": "Data",
        "requestParameters": {"bucketName": bucket, "key": key},
    }  # fmt: skip
    return {**made, **more}


def decrypt(domain="people", env="prod", time=NOON, who=ROLE):
    given = {"encryptionContext": {"domain": domain, "env": env, "version": "1", "purpose": "derivation"}}
    return record("Decrypt", time=time, who=who, eventSource="kms.amazonaws.com", requestParameters=given)


EVE = "arn:aws:iam::111122223333:user/eve"
CASES = [
    ("a write of a publish", record("PutObject"), True),
    ("a read of a publish", record("GetObject", time=NOON + timedelta(seconds=100)), True),
    ("a key of a publish", decrypt(), True),
    ("somebody else at the same time", record("GetObject", who=EVE), False),
    ("a key opened by somebody else", decrypt(who=EVE), False),
    ("the same role before", record("GetObject", time=NOON - timedelta(minutes=5)), False),
    ("the same role later", record("PutObject", time=NOON + timedelta(minutes=30)), False),
    ("a write while the role only verified", record("DeleteObject", time=NOON + timedelta(hours=2)), False),
    ("a read while the role verified", record("GetObject", time=NOON + timedelta(hours=2)), True),
    ("a read when a verb was denied", record("GetObject", time=NOON + timedelta(hours=4)), False),
    ("an attempt that AWS denied", record("GetObject", errorCode="AccessDenied"), False),
    ("a record without a time", {**record("GetObject"), "eventTime": "?"}, False),
    ("a record without a principal", {**record("GetObject"), "userIdentity": {}}, False),
    ("another table", record("GetObject", what="lake/people2/part-0.parquet"), None),
    ("another bucket", record("GetObject", what="else/people/part-0.parquet"), None),
    ("another domain", decrypt(domain="orders"), None),
    ("another environment", decrypt(env="test"), None),
    ("a listing", record("ListObjects"), None),
    ("another service", record("GetObject", eventSource="sqs.amazonaws.com"), None),
]  # fmt: skip


def test_each_access_is_explained_by_a_verb_of_its_principal_or_named():
    events = [
        verb_event("publish", NOON - timedelta(seconds=10), 120),
        verb_event("verify", NOON + timedelta(hours=2), 5),
        verb_event("erase", NOON + timedelta(hours=4), 5, status="denied"),
    ]
    for words, one, want in CASES:
        found = correlate(events, [one], PLACE)
        assert (len(found.explained), len(found.unexplained)) == {True: (1, 0), False: (0, 1), None: (0, 0)}[want], (
            words
        )
    whole = correlate(events, [one for _, one, _ in CASES], PLACE)
    assert (len(whole.explained), len(whole.unexplained)) == (4, 9)
    assert whole.explained[0][1] == events[0]["metadata"]["uid"]
    assert {one.who for one in whole.unexplained} == {EVE, ROLE, ""}


def test_records_are_read_from_files_as_cloudtrail_lays_them_out(tmp_path):
    folder = tmp_path / "AWSLogs" / "111122223333" / "CloudTrail" / "eu-central-1" / "2026" / "11" / "25"
    folder.mkdir(parents=True)
    (folder / "a.json.gz").write_bytes(gzip.compress(json.dumps({"Records": [record("GetObject")]}).encode()))
    (folder / "b.json").write_text(json.dumps({"Records": [record("PutObject")]}))
    (folder / "digest.txt").write_text("no record")
    assert [one["eventName"] for one in records_in(tmp_path)] == ["GetObject", "PutObject"]
    for name, data in (("c.json", b"{}"), ("d.json.gz", b"\x1f\x8bnothing"), ("e.json", b"[1]")):
        (tmp_path / "bad").mkdir(exist_ok=True)
        (tmp_path / "bad" / name).write_bytes(data)
        with pytest.raises(UsageError, match=name):
            list(records_in(tmp_path / "bad"))
        (tmp_path / "bad" / name).unlink()
    with pytest.raises(UsageError, match="no file of CloudTrail"):
        list(records_in(tmp_path / "bad"))


def test_what_is_watched_are_the_contracts_tables_in_s3_and_its_domains_in_kms(file):
    def contract(path, keys):
        return Contract.model_validate(
            {"contract": "people", "source": {"path": "a"}, "target": {"path": path}, "keys": keys}
        )

    kms = {"provider": "aws_kms", "path": "s3://conf/ring", "domain": "people", "key": "alias/x", "env": "prod"}
    assert places_of(contract("s3a://lake/people", kms)) == PLACE
    assert places_of(contract("s3://lake/people", {"path": "k", "domain": "d"})).domains == ()
    with pytest.raises(UsageError, match="is at s3://"):
        places_of(contract("lake/people", {"path": "k", "domain": "d"}))


def test_the_command_names_what_no_verb_explains_and_exits_1(file, tmp_path, capsys, monkeypatch):
    worked(file, 1)
    monkeypatch.setattr("dataward.verbs.audit.places_of", lambda contract: PLACE)
    me = json.loads((tmp_path / "out.jsonl").read_text())["actor"]["user"]["name"]
    now = datetime.now(timezone.utc)
    trail = tmp_path / "trail.json"
    trail.write_text(json.dumps({"Records": [record("GetObject", time=now, who=me)]}))
    assert main(["audit", "correlate", "--contract", str(file), "--cloudtrail", str(trail)]) == 0
    assert "1 of 1 accesses are explained" in capsys.readouterr().out
    trail.write_text(
        json.dumps({"Records": [record("GetObject", time=now, who=me), record("GetObject", time=now, who=EVE)]})
    )
    assert main(["audit", "correlate", "--contract", str(file), "--cloudtrail", str(trail)]) == 1
    out = capsys.readouterr().out
    assert f"GetObject  lake/people/part-0.parquet  by {EVE} from 10.0.0.9" in out
    assert main(["audit", "correlate", "--contract", str(file), "--cloudtrail", str(trail), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["unexplained"][0]["who"] == EVE
    assert main(["audit", "correlate", "--contract", str(file)]) == 2


@pytest.mark.parametrize("change", [("/out.jsonl", "s3://lake/out.jsonl"), ("/spool", "dbfs:/spool")])
def test_spools_and_files_of_events_are_on_the_machines_own_disk(file, tmp_path, change, capsys):
    file.write_text(file.read_text().replace(f"{tmp_path}{change[0]}", change[1]))
    assert main(["contract", "check", str(file)]) == 2
    assert "give a local path" in capsys.readouterr().err


def test_protection_without_spark_asks_once_for_all_records(file, tmp_path):
    from dataward.errors import NotPermitted
    from dataward.inference import Protector

    with pytest.raises(NotPermitted, match="may not protect people"):
        Protector(file)
    file.write_text(file.read_text().replace("[history, audit", "[protect, history, audit"))
    protector = Protector(file)
    assert protector({"mail": "ada@x.org"}) == protector({"mail": "ada@x.org"}) != {"mail": "ada@x.org"}
    told = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [one["unmapped"]["dataward"]["status"] for one in told] == ["denied", "success"]
    assert "ada@x.org" not in (tmp_path / "out.jsonl").read_text()
