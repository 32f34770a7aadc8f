"""A second key's signature lets a column do less than the policy asks, for exactly what was signed."""

import json
from datetime import date

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from dataward.cli import main
from dataward.contract import load
from dataward.contract.approvals import encoded, key_of, trouble
from dataward.errors import ContractError
from dataward.integrity.seal import Seal
from dataward.pipeline.facts import Facts
from dataward.report import Place

CONTRACT = """
contract: people
source: {{path: a}}
target: {{path: b}}
keys: {{path: k, domain: d}}
policy: {root}/policy.yaml
columns:
  mail: {{class: email, protect: keep}}
  ssn: {{class: national_id, protect: token}}
"""


@pytest.fixture
def house(tmp_path):
    """A policy with approvers dpo and cfo, whose keys lie beside it, and a contract that keeps a column against it."""
    lines = ["policy: house", "classes: {email: {protect: token}, national_id: {protect: token}}", "approvers:"]
    for name in ("dpo", "cfo"):
        key = Ed25519PrivateKey.generate()
        (tmp_path / f"{name}.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        lines += [f"  {name}: |", *(f"    {line}" for line in public.splitlines())]
    (tmp_path / "policy.yaml").write_text("\n".join(lines) + "\n")
    (tmp_path / "c.yaml").write_text(CONTRACT.format(root=tmp_path))
    return tmp_path


def approved(house, capsys, *more, by="dpo", key="dpo", column="mail"):
    argv = [
        "access",
        "approve",
        str(house / "c.yaml"),
        "--column",
        column,
        "--by",
        by,
        "--key",
        str(house / f"{key}.pem"),
        *more,
    ]
    assert main(argv) == 0
    text = capsys.readouterr().out
    (house / "c.yaml").write_text(CONTRACT.format(root=house) + text)
    return text


def refused(house, words):
    with pytest.raises(ContractError, match=words):
        load(house / "c.yaml")


def test_a_kept_column_is_refused_until_an_approver_has_signed_it(house, capsys):
    refused(
        house,
        "c.yaml:8: columns.mail: keep does less than policy 'house' asks for class email; .*, or have it approved",
    )
    approved(house, capsys, "--reason", "newsletter, ticket 7", "--until", "2999-12-31")
    contract = load(house / "c.yaml")
    (approval,) = contract.approvals
    assert (approval.by, approval.until, approval.reason) == ("dpo", date(2999, 12, 31), "newsletter, ticket 7")


@pytest.mark.parametrize(("change", "words"), [
    (("by: \"dpo\"", "by: \"cfo\""), "the signature is not by 'cfo'"),
    (("by: \"dpo\"", "by: \"eve\""), "'eve' is no approver of policy 'house'"),
    (("target: {path: b}", "target: {path: other}"), "the signature is not by 'dpo' under this column's line as it is now"),
    (("class: email, protect: keep", "class: email, protect: {mask: {keep_last: 4}}"), "the signature is not by 'dpo'"),
    (("until: \"2999-12-31\"", "until: \"2999-12-30\""), "the signature is not by 'dpo'"),
    (("reason: \"why\"", "reason: \"other\""), "the signature is not by 'dpo'"),
    (("column: \"mail\"", "column: \"ssn\""), "the signature is not by 'dpo'"),
    (("column: \"mail\"", "column: \"nail\""), "has no line for column 'nail'"),
    (("contract: people", "contract: folk"), "the signature is not by 'dpo'"),
])  # fmt: skip
def test_nothing_of_what_was_signed_can_be_changed(house, capsys, change, words):
    approved(house, capsys, "--until", "2999-12-31", "--reason", "why")
    text = (house / "c.yaml").read_text()
    assert change[0] in text
    (house / "c.yaml").write_text(text.replace(*change))
    refused(house, words)


def test_another_key_under_the_approvers_name_is_refused(house, capsys):
    approved(house, capsys, key="cfo")
    refused(house, "the signature is not by 'dpo'")


def test_an_approval_ends(house, capsys):
    approved(house, capsys, "--until", "2020-01-31")
    refused(house, "the approval by 'dpo' ended on 2020-01-31")


def test_without_a_policy_no_signature_counts(house, capsys):
    approved(house, capsys)
    text = (house / "c.yaml").read_text()
    (house / "c.yaml").write_text(text.replace(f"policy: {house}/policy.yaml\n", ""))
    refused(house, "without a policy there is nobody whose signature counts")


def test_the_signed_bytes_are_those_of_dsse():
    """Its published example: DSSEv1 29 http://example.com/HelloWorld 11 hello world."""
    said = {"b": 1, "a": "é"}
    body = '{"a":"é","b":1}'.encode()
    kind = b"application/vnd.dataward.approval+json"
    assert encoded(said) == b"DSSEv1 38 " + kind + b" " + str(len(body)).encode() + b" " + body
    assert len(kind) == 38


def test_only_ed25519_keys_approve(house, capsys):
    from cryptography.hazmat.primitives.asymmetric import ec

    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(ValueError, match="no Ed25519 key"):
        key_of(other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
    with pytest.raises(ValueError, match="no public key"):
        key_of("hello")
    (house / "dpo.pem").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert (
        main(
            [
                "access",
                "approve",
                str(house / "c.yaml"),
                "--column",
                "mail",
                "--by",
                "dpo",
                "--key",
                str(house / "dpo.pem"),
            ]
        )
        == 2
    )
    assert "not an Ed25519 key" in capsys.readouterr().err


def test_an_approval_stands_in_the_seal(house, capsys):
    approved(house, capsys, "--reason", "why")
    dumped = [one.model_dump(mode="json") for one in load(house / "c.yaml").approvals]
    facts = Facts({"described": "a", "version": 1}, {"in": 1}, Place(path="b"), [], approvals=dumped)
    assert facts.of(Seal)["approvals"] == dumped
    assert json.loads(json.dumps(dumped))[0]["by"] == "dpo"
    assert trouble({}, load(house / "c.yaml").approvals[0], "") != ""
