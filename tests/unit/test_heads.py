"""Heads that are kept where the ledger's writer cannot reach: each place catches a log that was cut, rolled back or rewritten."""

import json
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from dataward.contract import Location, load
from dataward.contract.heads import Head
from dataward.errors import ProofError, TargetError
from dataward.integrity import heads, ledger
from dataward.integrity.heads.witness import Witness
from dataward.integrity.log.notes import Checkpoint, parse
from dataward.verbs.verify import Asked, proved
from tests.aws import aws
from tests.logs import RING, filled
from tests.sealedmade import enter, made
from tests.unit.test_manifest import manifests
from tests.unit.test_proof import KEYS
from tests.witness import authority, witness


@pytest.fixture
def place(tmp_path):
    made = Location(path=str(tmp_path / "people_ledger"))
    filled(made, 2)
    return made


@contextmanager
def directory(tmp_path, log):
    yield Head(directory=str(tmp_path / "audit"))


@contextmanager
def locked_bucket(tmp_path, log):
    with aws() as cloud:
        cloud.client("s3").create_bucket(Bucket="audit", ObjectLockEnabledForBucket=True)
        yield Head(s3="s3://audit/heads", retain_days=30)


@contextmanager
def log_group(tmp_path, log):
    with aws() as cloud:
        cloud.client("logs").create_log_group(logGroupName="/audit")
        yield Head(cloudwatch="/audit")


@contextmanager
def stamped(tmp_path, log):
    with authority() as tsa:
        yield Head(timestamp=tsa.url, certificate=tsa.roots)


@contextmanager
def witnessed(tmp_path, log):
    with witness() as made:
        public = RING.public_key("people", 1).public_bytes(Encoding.Raw, PublicFormat.Raw)
        made.logs[log.origin()] = public
        yield Head(witness=made.url, key=made.vkey)


PLACES = [directory, locked_bucket, log_group, stamped, witnessed]


def published(place, head):
    (one,) = heads.publish(ledger.open_log(place), [head])
    return one


@pytest.mark.parametrize("kind", PLACES)
def test_a_head_is_kept_once_found_again_and_catches_what_was_done_since(place, tmp_path, kind):
    folder, copy = Path(place.path), tmp_path / "copy"
    with kind(tmp_path, ledger.open_log(place)) as head:
        assert heads.known_heads(ledger.open_log(place), [head]) == ([], [])
        shutil.copytree(folder, copy)
        filled(place, 3)
        first = published(place, head)
        assert (first.trouble, first.size) == ("", 5)
        assert published(place, head).where == "kept before"
        filled(place, 1)
        assert published(place, head).trouble == ""
        (note,), troubles = heads.known_heads(ledger.open_log(place), [head])
        assert (Checkpoint.parsed(note.text).size, troubles) == (6, [])
        assert ledger.flaws(place, RING, [note]).flaws == ()
        if kind is stamped:  # its tokens lie in the folder: they prove a time, and their loss nothing
            return
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)  # rolled back, whole in itself
        assert "cut off, or the folder was rolled back" in published(place, head).trouble
        filled(place, 6)
        assert "history was rewritten" in published(place, head).trouble


def test_a_locked_head_can_be_neither_replaced_nor_deleted(place, tmp_path):
    with locked_bucket(tmp_path, None) as head:
        where = published(place, head).where
        assert re.fullmatch(r"s3://audit/heads/[0-9a-f]{16}/0{19}2\.checkpoint, locked until 20\d\d-\d\d-\d\d", where)
        client = boto3.client("s3")
        key = where.partition(",")[0].removeprefix("s3://audit/")
        version = client.head_object(Bucket="audit", Key=key)["VersionId"]
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(Bucket="audit", Key=key, VersionId=version, BypassGovernanceRetention=True)
        client.put_object(
            Bucket="audit", Key=key, Body=b"something else"
        )  # a new version: the old one stays, and is missed
        assert "no signed note" in published(place, head).trouble


def test_a_bucket_without_lock_is_no_place(place):
    with aws() as cloud:
        cloud.client("s3").create_bucket(Bucket="open")
        assert "Object Lock" in published(place, Head(s3="s3://open/x")).trouble
        assert "create the bucket" in published(place, Head(s3="s3://nowhere/x")).trouble
        assert "create the log group" in published(place, Head(cloudwatch="/nowhere")).trouble


def test_a_time_stamp_verifies_by_the_named_roots_alone(place, tmp_path):
    with authority() as tsa, authority() as other:
        head = Head(timestamp=tsa.url, certificate=tsa.roots)
        assert re.search(r"stamped 20\d\d-", published(place, head).where)
        stranger = Head(timestamp=tsa.url, certificate=other.roots)
        assert "does not verify" in published(place, stranger).trouble
        token = next(Path(place.path).glob("heads/*/*.tsr"))
        data = bytearray(token.read_bytes())
        data[-9] ^= 1
        token.write_bytes(data)
        assert "does not verify" in str(heads.known_heads(ledger.open_log(place), [head])[1][0])
        filled(place, 1)
        tsa.broken = True
        token.unlink()
        assert "the time stamp is missing" in published(place, head).trouble
        assert (
            "no certificates" in published(place, Head(timestamp=other.url, certificate=str(tmp_path / "none"))).trouble
        )


def test_a_witness_is_asked_from_the_size_it_knows_and_its_cosignature_checked(place, tmp_path):
    log = ledger.open_log(place)
    with witness() as made:
        head = Head(witness=made.url, key=made.vkey)
        assert "register its origin" in published(place, head).trouble
        made.logs[log.origin()] = bytes(32)
        assert "answered 403" in published(place, head).trouble
        made.logs[log.origin()] = RING.public_key("people", 1).public_bytes(Encoding.Raw, PublicFormat.Raw)
        made.lies = True
        assert "no valid cosignature" in published(place, head).trouble
        made.lies = False
        asked = made.asked
        assert published(place, head).trouble == ""  # it has size 2 already, which it answers with 409
        assert made.asked - asked == 2
        note = Witness(made.url, made.vkey, log).newest()
        assert [one.name for one in note.signatures] == [log.origin(), "witness.example/w1"]
        stored = next(Path(place.path).glob("heads/*/*.checkpoint"))
        stored.write_text(str(log.checkpoint()))
        with pytest.raises(ProofError, match="does not bear the cosignature"):
            Witness(made.url, made.vkey, log).newest()


def test_a_place_that_cannot_be_reached_is_named(place, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be" in published(place, Head(directory=str(tmp_path / "file/x"))).trouble
    assert "cannot be reached" in published(place, Head(timestamp="http://127.0.0.1:9/", certificate="x.pem")).trouble


@pytest.mark.parametrize(("line", "words"), [
    ({}, "exactly one of"), ({"directory": "x", "s3": "s3://b"}, "exactly one of"), ({"timestamp": "http://x"}, "needs 'certificate'"),
    ({"witness": "http://x"}, "needs 'key'"), ({"witness": "http://x", "key": "k"}, "NAME\\+HASH"), ({"timestamp": "file:///x"}, "pattern"),
    ({"directory": "x", "retain_days": 3}, "goes with s3"), ({"directory": "x", "key": "k"}, "only witness takes it")])  # fmt: skip
def test_a_line_of_heads_that_makes_no_sense_is_refused(line, words):
    with pytest.raises(ValidationError, match=words):
        Head(**line)


def test_a_required_place_that_fails_is_an_error_that_a_rerun_mends(place, tmp_path):
    from dataward.pipeline.heads import keep_heads

    text = (
        "contract: people\nsource: {{path: x}}\ntarget: {{path: {root}/people}}\nkeys: {{path: ring, domain: people}}\n"
        "columns: {{a: {{protect: keep}}}}\nheads:\n  - {{directory: {root}/audit}}\n  - {{directory: {root}/lax/x, required: false}}\n"
    )
    file = tmp_path / "c.yaml"
    file.write_text(text.format(root=tmp_path))
    contract = load(file)
    (tmp_path / "audit").write_text("a file where the folder should be")
    (tmp_path / "lax").write_text("")
    with pytest.raises(
        TargetError,
        match=r"it is sealed; the ledger's head of 2 entries is not kept at a required place: directory .*audit",
    ):
        keep_heads(contract, "it is sealed", "Rerun it.")
    (tmp_path / "audit").unlink()
    (warning,) = keep_heads(contract, "it is sealed", "Rerun it.")
    assert "lax/x" in warning
    assert parse(next((tmp_path / "audit").rglob("*.checkpoint")).read_bytes()).text.endswith("\n")
    assert json.loads(contract.model_dump_json())["heads"][1]["required"] is False


def test_verify_compares_the_ledger_with_the_heads_of_the_contract(tmp_path):
    sealed = made(tmp_path / "made")
    (tmp_path / "keys.pem").write_bytes(KEYS)
    (tmp_path / "c.yaml").write_text(
        f"contract: people\nsource: {{path: x}}\ntarget: {{path: lake/people}}\nledger: {{path: {sealed.place}}}\n"
        f"keys: {{path: {tmp_path}/ring, domain: people}}\ncolumns: {{a: {{protect: keep}}}}\n"
        f"heads: [{{directory: {tmp_path}/audit}}, {{timestamp: 'http://127.0.0.1:9', certificate: {tmp_path}/none}}]\n"
    )
    contract = load(tmp_path / "c.yaml")
    asked = Asked(public_keys=(str(tmp_path / "keys.pem"),), table=str(sealed.table.root))

    def codes(fails=True):
        return {one.code for one in proved(None, contract, asked).findings if one.fails is fails}

    shutil.copytree(sealed.place.path, tmp_path / "older")
    enter(sealed, 30, "r30", manifests(sealed.table.root)[0][-1])
    heads.publish(ledger.open_log(sealed.place), contract.heads[:1])
    assert "ledger-tail-cut" not in codes()
    shutil.rmtree(sealed.place.path)
    shutil.copytree(tmp_path / "older", sealed.place.path)
    assert "ledger-tail-cut" in codes()
    kept = next((tmp_path / "audit").rglob("*.checkpoint"))
    kept.write_text("x")
    assert "head-damaged" in codes()
    shutil.rmtree(tmp_path / "audit")
    assert codes() == set()
    assert any("it holds no head of this ledger" in one.detail for one in proved(None, contract, asked).findings)
