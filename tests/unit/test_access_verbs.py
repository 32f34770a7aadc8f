"""Every verb asks before it starts: `dataward access`, exit codes, policies of the machine and of a contract."""

import json

import pytest

from dataward.access.decide import Asking, Principal
from dataward.access.reidentify import budget
from dataward.cli import main
from tests.policies import CONTRACT, PEOPLE, REIDENTIFY, contract_with


def test_the_commands_answer_with_exit_codes(tmp_path, capsys):
    file, tests = tmp_path / "c.yaml", tmp_path / "cases.yaml"
    file.write_text(CONTRACT)
    assert main(["access", "explain", "bob", "read", str(file)]) == 4
    assert 'access.grants.0 would permit it, if principal in Group::"analysts" and' in capsys.readouterr().out
    assert (
        main(["access", "explain", "bob", "read", str(file), "--groups", "analysts", "--purpose", "fraud", "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["rows"] == "state = 'nsw'"
    assert main(["access", "who-can", "read", str(file), "--purpose", "fraud"]) == 0
    assert capsys.readouterr().out.startswith("group   analysts: permitted by access.grants.0")
    assert main(["access", "sees", "bob", str(file), "--groups", "analysts", "--purpose", "fraud", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["columns"] == {"mail": "masked", "state": "clear"}
    tests.write_text("contract: c.yaml\ncases:\n  - {who: bob, groups: [analysts], verb: read, purpose: fraud, see: {mail: masked}, expect: allow}\n"
                     "  - {who: bob, verb: publish, expect: allow}\n")  # fmt: skip
    assert main(["access", "test", str(tests)]) == 1
    assert "case 2: bob publish: expected allow, found deny (no policy permits it)" in capsys.readouterr().out
    assert main(["access", "explain", "bob", "raed", str(file)]) == 2
    assert "did you mean 'read'?" in capsys.readouterr().err
    assert main(["access", "schema"]) == 0
    assert "entity User in [Group]" in capsys.readouterr().out


@pytest.mark.parametrize(("change", "words"), [
    (("verbs: [read]", "verbs: [raed]"), "verb 'raed' is unknown; did you mean 'read'?"),
    (("groups: [analysts], ", ""), "a grant names principals or groups, or says anyone: true"),
    (("rows: \"state = 'nsw'\"", 'rows: "state = (select 1)"'), "access.grants.0.rows: "),
    (("  grants:", "  policy: nowhere.cedar\n  grants:"), "access.policy: nowhere.cedar: No such file or directory; see docs/access.md"),
])  # fmt: skip
def test_a_mistake_in_access_is_a_mistake_of_the_contract(tmp_path, capsys, change, words):
    (tmp_path / "c.yaml").write_text(CONTRACT.replace(*change))
    assert main(["contract", "check", str(tmp_path / "c.yaml")]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "c.yaml:" in told


def test_a_verb_is_denied_before_it_starts(tmp_path):
    from dataward.errors import NotPermitted
    from dataward.pipeline.guard import guarded
    from dataward.pipeline.plan import plan

    (tmp_path / "c.yaml").write_text(CONTRACT)
    ran = []

    @guarded("publish")
    def publish(spark, plan, run_id=None):
        ran.append(run_id)

    @guarded("erase")
    def erase(spark, plans):
        ran.append("erase")

    planned = plan(tmp_path / "c.yaml")
    for call in (lambda: publish(None, planned), lambda: erase(None, [planned])):
        with pytest.raises(NotPermitted, match="may not (publish|erase) people: no policy permits it"):
            call()
    assert ran == []
    (tmp_path / "c.yaml").write_text(CONTRACT[: CONTRACT.index("access:")])
    publish(None, plan(tmp_path / "c.yaml"), run_id="r")
    assert ran == ["r"]


def test_a_verb_inside_of_a_verb_is_not_asked_again(tmp_path):
    from dataward.pipeline.guard import guarded
    from dataward.pipeline.plan import plan

    text = CONTRACT.replace(
        "groups: [analysts], verbs: [read], see: {email: masked}, rows: \"state = 'nsw'\", purposes: [fraud]",
        "anyone: true, verbs: [erase]",
    )
    (tmp_path / "c.yaml").write_text(text)
    inner = guarded("verify")(lambda spark, plan: "verified")
    outer = guarded("erase")(lambda spark, plan: inner(spark, plan))
    assert outer(None, plan(tmp_path / "c.yaml")) == "verified"


def test_the_machines_settings_govern_contracts_without_their_own(tmp_path, monkeypatch):
    from dataward.access import site

    monkeypatch.setattr(site, "SITE", tmp_path / "site.yaml")
    assert site.settings(contract_with()).silent
    site.SITE.write_text(
        "access: {grants: [{groups: [ops], verbs: [publish]}]}\naudit: {sinks: [{kind: jsonl, path: e.jsonl}]}\n"
    )
    assert site.settings(None).access.governed
    assert site.settings(contract_with()).access.grants[0].groups == ("ops",)
    own = site.settings(contract_with(access={"grants": [{"anyone": True, "verbs": ["read"]}]}))
    assert (own.access.grants[0].anyone, own.audit is not None) == (True, True)


def test_a_machines_binding_policies_hold_beside_the_contracts_own(tmp_path, monkeypatch):
    """Who writes a contract cannot grant what the machine's settings do not."""
    from dataward.access import site
    from dataward.errors import NotPermitted
    from dataward.pipeline.guard import guarded
    from dataward.pipeline.plan import plan

    monkeypatch.setattr(site, "SITE", tmp_path / "site.yaml")
    (tmp_path / "c.yaml").write_text(
        CONTRACT[: CONTRACT.index("access:")] + "access: {grants: [{anyone: true, verbs: [look, manage]}]}\n"
    )
    calls = [guarded(name)(lambda spark, plan, name=name: name) for name in ("verify", "rotate")]
    planned = plan(tmp_path / "c.yaml")
    assert [call(None, planned) for call in calls] == ["verify", "rotate"]
    site.SITE.write_text("binding: true\naccess: {grants: [{anyone: true, verbs: [look, operate]}]}\n")
    assert calls[0](None, planned) == "verify"
    with pytest.raises(NotPermitted, match="may not rotate people"):
        calls[1](None, planned)
    allowed = {"reidentify": REIDENTIFY, "grants": [{"anyone": True, "verbs": ["verify"]}]}
    ask = Asking(Principal("ana"), "reidentify", PEOPLE, purpose="fraud")
    assert budget(contract_with(access=allowed), ask, {"e": "email"}) == (0, "the machine's settings do not permit it")


@pytest.mark.parametrize("verbs", ["[operate]", "[operate, change_contract]"])
def test_publishing_a_changed_contract_asks_who_may_change_it(tmp_path, monkeypatch, verbs):
    from dataward.errors import NotPermitted
    from dataward.pipeline import guard
    from dataward.pipeline.plan import plan

    (tmp_path / "c.yaml").write_text(
        CONTRACT[: CONTRACT.index("access:")] + f"access: {{grants: [{{anyone: true, verbs: {verbs}}}]}}\n"
    )
    planned = plan(tmp_path / "c.yaml")
    publish = guard.guarded("publish")(lambda spark, plan: "published")

    def seal(sha256):
        return lambda *_: type("Seal", (), {"contract_sha256": sha256})()

    monkeypatch.setattr(guard.ledger, "newest_seal", lambda *_: None)
    assert publish(None, planned) == "published"
    monkeypatch.setattr(guard.ledger, "newest_seal", seal(planned.sha256))
    assert publish(None, planned) == "published"
    monkeypatch.setattr(guard.ledger, "newest_seal", seal("another"))
    if "change" in verbs:
        assert publish(None, planned) == "published"
    else:
        with pytest.raises(NotPermitted, match="may not change_contract people"):
            publish(None, planned)


def test_every_test_that_the_threat_model_names_exists():
    import re
    from pathlib import Path

    text = Path("docs/threat-model.md").read_text()
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)
    assert len(named) > 15
    for file, name in named:
        found = [*Path("tests/unit").glob(file), *Path("tests/spark").glob(file)]
        assert sum(f"def {name}(" in one.read_text() for one in found) == 1, name
    for path in re.findall(r"`(tests/\w+/\w+\.py)`", text):
        assert Path(path).exists(), path
