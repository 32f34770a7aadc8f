"""Two sites learn how many keys they share, or which: as Python's sets do, and nothing else."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import threading

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from dataward.errors import ContractError, SiteRefused, SourceError, UsageError
from dataward.federated import intersect as core
from dataward.federated.certificates import certificate
from dataward.federated.coordinator import Unreachable
from dataward.federated.intersect import IntersectPlan, Party, Sender, ask, keys_of
from dataward.federated.server import Server
from dataward.federated.site import Memory, Site
from dataward.federated.transport import Https
from dataward.verbs.intersect import _written, verify_intersection
from tests.unit.test_federated_https import Proxy

pytest.importorskip("private_set_intersection", reason="pip install --no-deps 'openmined.psi>=2.0.6,<2.1'")

SIGNERS = {name: Ed25519PrivateKey.generate() for name in ("north", "south")}
PEMS = {name: certificate(key) for name, key in SIGNERS.items()}
COORDINATOR = Ed25519PrivateKey.generate()
TABLE = {"version": 3, "protections": {}}


def plan(**changes):
    sites = [{"name": name, "url": "https://127.0.0.1:1", "public_key": name} for name in SIGNERS]
    return IntersectPlan.model_validate(
        {"intersect": "shared", "key": "id", "sites": sites, "receiver": "north", "output": "out", **changes}
    )


def party(name, keys, asked=None, table=TABLE):
    return Party(asked or plan(), PEMS, name, SIGNERS[name], table, keys)


class Wire:
    """Passes JSON to a sender, and keeps it; ``bend`` may change an answer."""

    def __init__(self, sender, bend=lambda answer: answer, peer="north"):
        self.sender, self.bend, self.seen = sender, bend, []
        self.peer = SIGNERS[peer].public_key()

    def call(self, site, stage, message):
        text = json.dumps(message)
        answer = json.dumps(self.sender.answer(json.loads(text), self.peer))
        self.seen += [text, answer]
        return self.bend(json.loads(answer))


def sender(tmp_path, keys, asked=None, runs=10_000, table=TABLE):
    return Sender(party("south", keys, asked, table), Memory(tmp_path), runs, contextlib.nullcontext)


some_keys = st.sets(st.text(max_size=6) | st.integers().map(str), max_size=8)


@settings(max_examples=12, deadline=None)
@given(some_keys, some_keys, some_keys)
def test_size_and_keys_are_those_of_sets(tmp_path_factory, ours, theirs, both):
    ours, theirs = sorted(ours | both), sorted(theirs | both)
    for reveal in ("size", "keys"):
        asked = plan(reveal=reveal)
        other = sender(tmp_path_factory.mktemp("s"), theirs, asked)
        found = ask(party("north", ours, asked), Wire(other))
        shared = set(ours) & set(theirs)
        assert found.size == len(shared)
        assert found.keys == (tuple(sorted(shared)) if reveal == "keys" else None)
        assert found.sizes == {"north": len(ours), "south": len(theirs)}


def test_messages_hold_no_key_no_hash_of_one_and_differ_in_every_run(tmp_path):
    ours, theirs = [f"canary-{n}" for n in range(20)], [f"canary-{n}" for n in range(10, 25)]
    other = sender(tmp_path, theirs)
    first, second = Wire(other), Wire(other)
    assert ask(party("north", ours), first).size == ask(party("north", ours), second).size == 10
    text = "".join(first.seen)
    assert "canary" not in text
    raw = b"".join(core._bytes(json.loads(one).get(part)) for one in first.seen for part in ("request", "setup", "response")
                   if part in json.loads(one))  # fmt: skip
    assert len(raw) > 33 * (20 + 20 + 15)
    for key in {*ours, *theirs}:
        assert key.encode() not in raw
        assert hashlib.sha256(key.encode()).digest() not in raw
    elements = [set(core._parsed(core._library().Request, core._bytes(json.loads(wire.seen[0])["request"])).encrypted_elements)
                for wire in (first, second)]  # fmt: skip
    assert len(elements[0]) == 20
    assert not elements[0] & elements[1], "blinded by a fresh secret"


def test_a_response_for_sizes_is_in_another_order_than_the_request(tmp_path):
    """Otherwise the receiver would learn which of its keys are shared."""
    keys = [str(n) for n in range(40)]
    asked = plan()
    other = sender(tmp_path, keys[:20], asked)
    psi = core._library()
    client = psi.client.CreateWithNewKey(True)  # a receiver that would like to know more
    request = client.CreateRequest(keys)
    request.reveal_intersection = False
    me = party("north", keys, asked)
    body = request.SerializeToString()
    said = me.signed("r", keys=40, sent=core.sha256(body))
    answer = other.answer({**said, "request": core._packed(body)}, SIGNERS["north"].public_key())
    response = core._parsed(psi.Response, core._bytes(answer["response"]))
    assert list(response.encrypted_elements) == sorted(response.encrypted_elements)


def test_runs_are_limited_and_a_recorded_request_is_not_answered_again(tmp_path):
    other = sender(tmp_path, ["a"], runs=2)
    wire = Wire(other)
    ask(party("north", ["a"]), wire)
    with pytest.raises(SiteRefused, match="has answered 1 run"):
        other.answer(json.loads(wire.seen[0]), SIGNERS["north"].public_key())
    ask(party("north", ["a"]), Wire(other))
    again = sender(tmp_path, ["a"], runs=2)  # a restart forgets nothing
    with pytest.raises(SiteRefused, match=r"has answered 2 run.s. of this plan, and its file allows no more"):
        ask(party("north", ["a"]), Wire(again))


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"plan": "0" * 64}, "not signed by the receiver for this plan"),
        ({"sent": "0" * 64}, "not signed by the receiver for this plan"),
        ({"request": "@"}, "no valid base64|not valid base64"),
        ({"site": "south"}, "not signed by the receiver"),
        ({"signature": None}, "not signed by the receiver"),
    ],
)
def test_a_changed_request_is_refused_and_costs_no_run(tmp_path, changed, match):
    other = sender(tmp_path, ["a"], runs=1)
    bent = type("Bent", (), {"answer": lambda self, message, peer: other.answer({**message, **changed}, peer)})()
    with pytest.raises(SiteRefused, match=match):
        ask(party("north", ["a"]), Wire(bent))
    assert ask(party("north", ["a"]), Wire(other)).size == 1


def test_only_the_receivers_connection_is_answered(tmp_path):
    with pytest.raises(SiteRefused, match="only the receiver of plan 'shared' is answered"):
        ask(party("north", ["a"]), Wire(sender(tmp_path, ["a"]), peer="south"))


def test_another_plan_too_many_keys_and_other_protections_are_refused(tmp_path):
    small = plan(most_keys=3)
    other = sender(tmp_path, ["a"], small)
    with pytest.raises(SiteRefused, match="not signed by the receiver for this plan"):
        ask(party("north", ["a"], plan(most_keys=4)), Wire(other))
    with pytest.raises(UsageError, match=r"allows 3 keys .most_keys., and the table has 4"):
        ask(party("north", list("abcd"), small), Wire(other))
    cheat = dataclasses.replace(party("north", list("abcd"), small))
    body = core._library().client.CreateWithNewKey(False).CreateRequest(list("abcd")).SerializeToString()
    said = {**cheat.signed("r", keys=1, sent=core.sha256(body)), "request": core._packed(body)}
    with pytest.raises(SiteRefused, match="more than 3 keys"):
        other.answer(said, SIGNERS["north"].public_key())
    token = {
        "version": 1,
        "protections": {"id": {"protection": "token", "domain": "p", "key_version": 1, "fingerprint": "x"}},
    }
    with pytest.raises(SiteRefused, match="protected by other operators or keys at the two sites"):
        ask(party("north", ["a"], table=token), Wire(sender(tmp_path / "t", ["a"])))
    pinned = plan(sites=[{"name": n, "url": "https://127.0.0.1:1", "public_key": n, "version": 7} for n in SIGNERS])
    with pytest.raises(SiteRefused, match="it uses version 3 of its table, and the plan says 7"):
        ask(party("north", ["a"], pinned), Wire(sender(tmp_path / "v", ["a"], pinned)))


@pytest.mark.parametrize("bend", [
    lambda answer: {**answer, "setup": core._packed(b"")},
    lambda answer: {**answer, "signature": "00" * 64},
    lambda answer: {**answer, "run": "other"},
    lambda answer: {},
])  # fmt: skip
def test_a_changed_answer_is_refused_and_names_the_sender(tmp_path, bend):
    with pytest.raises(SiteRefused) as caught:
        ask(party("north", ["a", "b"]), Wire(sender(tmp_path, ["a"]), bend))
    assert caught.value.site in ("south", "")


def test_garbage_inside_of_a_signed_message_is_refused(tmp_path):
    me = party("north", ["a"])
    for body in (b"\xff\xff", core._library().Request(encrypted_elements=[b"no point"]).SerializeToString()):
        said = {**me.signed("r" + body.hex()[:4], keys=1, sent=core.sha256(body)), "request": core._packed(body)}
        with pytest.raises(SiteRefused, match="malformed|no part of an intersection"):
            sender(tmp_path, ["a"]).answer(said, SIGNERS["north"].public_key())


def test_over_tls_the_receiver_has_one_stage_the_coordinator_the_others_and_strangers_none(tmp_path):
    site = Site("south", SIGNERS["south"], (), Memory(tmp_path), (sender(tmp_path, ["canary-1", "canary-2"]),))
    server = Server(("127.0.0.1", 0), site, SIGNERS["south"], certificate(COORDINATOR))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    proxy = Proxy(server.server_address[1])
    try:
        receiver = Https({"south": proxy.url}, PEMS, SIGNERS["north"], 30)
        assert ask(party("north", ["canary-2", "canary-3"]), receiver).size == 1
        assert b"canary" not in proxy.seen
        assert len(proxy.seen) > 1000
        with pytest.raises(SiteRefused, match="only the coordinator is answered at this stage"):
            receiver.call("south", "hello", {})
        with pytest.raises(SiteRefused, match="only the receiver of plan"):
            ask(party("north", ["canary-2"]), Https({"south": proxy.url}, PEMS, COORDINATOR, 30))
        with pytest.raises(Unreachable):
            ask(party("north", ["a"]), Https({"south": proxy.url}, PEMS, Ed25519PrivateKey.generate(), 30))
        with pytest.raises(SiteRefused, match="has not accepted this plan"):
            ask(party("north", ["a"], plan(key="other")), receiver)
    finally:
        server.shutdown()
        server.server_close()


def test_each_answer_is_decided_and_recorded(tmp_path):
    calls = []

    @contextlib.contextmanager
    def watched():
        calls.append("begun")
        yield
        calls.append("ended")

    other = Sender(party("south", ["a"]), Memory(tmp_path), 1, watched)
    ask(party("north", ["a"]), Wire(other))
    assert calls == ["begun", "ended"]
    with pytest.raises(SiteRefused):
        ask(party("north", ["a"]), Wire(other))
    assert calls == ["begun", "ended", "begun"]


def test_the_card_is_signed_and_names_what_was_changed(tmp_path):
    asked = plan(reveal="keys")
    me = party("north", ["a", "b", "c"], asked)
    done = _written(tmp_path / "out", me, ask(me, Wire(sender(tmp_path, ["b", "c", "d"], asked))))
    assert (done.size, done.sizes) == (2, {"north": 3, "south": 3})
    keys = tmp_path / "out/keys.jsonl"
    assert keys.read_text() == '{"id": "b"}\n{"id": "c"}\n'
    assert keys.stat().st_mode & 0o777 == 0o600
    assert all(check.holds for check in verify_intersection(tmp_path / "out"))
    assert {check.name for check in verify_intersection(tmp_path / "out")} == {
        "signature", "card.json", "keys.jsonl", "site north", "site south",
    }  # fmt: skip
    card = json.loads((tmp_path / "out/card.json").read_text())
    assert not {"b", "c"} & set(card["statements"]["south"])
    card["statements"]["south"]["keys"] = 4
    (tmp_path / "out/card.json").write_text(json.dumps(card))
    assert [check.name for check in verify_intersection(tmp_path / "out") if not check.holds] == [
        "card.json",
        "site south",
    ]
    sized = party("north", ["a"])
    _written(tmp_path / "out", sized, ask(sized, Wire(sender(tmp_path / "s", ["a"]))))
    assert not keys.exists(), "keys of an earlier run do not stay"


def test_keys_are_distinct_text_without_nulls():
    table = pa.table({"id": [3, None, 3, 5], "name": ["x", None, "x", " x"], "part": [0.1, 0.2, 0.3, 0.4]})
    assert keys_of(table, "id") == ["3", "5"]
    assert keys_of(table, "name") == ["x", " x"]
    with pytest.raises(SourceError, match="key 'part' is double: intersections are of text or whole numbers"):
        keys_of(table, "part")


def test_a_plan_with_mistakes_is_refused(tmp_path):
    (tmp_path / "p.yaml").write_text(
        "intersect: x\nkey: id\nreceiver: west\noutput: o\nsites:\n"
        '  - {name: north, url: "https://h:1", public_key: a}\n  - {name: south, url: "https://h:1", public_key: b}\n'
    )
    with pytest.raises(ContractError, match="'receiver' is one of the two 'sites'"):
        core.read_intersection(tmp_path / "p.yaml")


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "private_set_intersection", None)
    with pytest.raises(UsageError, match=r"pip install 'dataward\[intersect\]'"):
        ask(party("north", ["a"]), Wire(sender(tmp_path, ["a"])))


def test_a_site_that_only_receives_does_not_listen(tmp_path):
    from dataward.federated.plan import read_site
    from dataward.verbs.site import init, load

    for name in SIGNERS:
        init(tmp_path, name)
    (tmp_path / "c.yaml").write_text("contract: c\nsource: {path: a}\ntarget: {path: b}\nkeys: {path: k, domain: d}\n")
    entries = "".join(
        f'  - {{name: {name}, url: "https://h:1", public_key: {tmp_path}/{name}.pub}}\n' for name in SIGNERS
    )
    (tmp_path / "p.yaml").write_text(f"intersect: x\nkey: id\nreceiver: north\noutput: o\nsites:\n{entries}")
    (tmp_path / "site.yaml").write_text(
        f"site: north\nkey: {tmp_path}/north.key\nlisten: {{port: 0}}\ncontract: {tmp_path}/c.yaml\n"
        f"plans: [{tmp_path}/p.yaml]\nstate: {tmp_path}/state\n"
    )
    with pytest.raises(UsageError, match="site 'north' answers nobody: it is the receiver of its plans, and asks by"):
        load(None, read_site(tmp_path / "site.yaml"))
