"""Flower's apps carry the same training: in an environment of its own (`make test-flower`), as Flower pins what Spark's needs otherwise."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

pytest.importorskip("flwr", reason="Flower is installed by `make test-flower` in an environment of its own")

from flwr.app import Context, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from dataward.errors import RunError
from dataward.federated.certificates import certificate
from dataward.federated.flower import Flower
from dataward.federated.server import Server
from dataward.verbs.flower import client, server
from tests.federation import NAMES, Federation

TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1  # as Flower's runner sets them


class Grid:
    """Flower's grid without its network: messages go through the client app of each node in a thread."""

    def __init__(self, configurations):
        self.nodes = dict(enumerate(configurations, 101))
        self.replies, self.seen, self.lost = {}, [], set()

    def get_node_ids(self):
        return list(self.nodes)

    def push_messages(self, messages):
        ids = []
        for message in messages:
            message.metadata.__dict__["_message_id"] = f"m{len(self.seen)}"
            self.seen.append(message)
            ids.append(message.metadata.message_id)
            threading.Thread(target=self._run, args=(message,)).start()
        return ids

    def _run(self, message):
        node = message.metadata.dst_node_id
        if node in self.lost:
            return
        context = Context(1, node, self.nodes[node], RecordDict(), {})
        reply = client(message, context)
        self.seen.append(reply)
        self.replies[message.metadata.message_id] = reply

    def pull_messages(self, ids):
        return [self.replies.pop(one) for one in ids if one in self.replies]


@pytest.fixture
def nodes(tmp_path):
    """Sites behind servers that trust the key of their Flower node only; gives the federation and the nodes' configurations."""
    draw = np.random.default_rng(1)
    inputs = draw.normal(size=(90, 2))
    made = Federation(tmp_path, inputs, (inputs[:, 0] > 0).astype(int), rounds=2, timeout=30)
    servers, configurations = [], []
    for name, site in made.sites.items():
        key = Ed25519PrivateKey.generate()
        (tmp_path / f"{name}-node.key").touch(0o600)
        (tmp_path / f"{name}-node.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        (tmp_path / f"{name}.pub").write_bytes(made.pems[name])
        servers.append(Server(("127.0.0.1", 0), site, made.keys[name], certificate(key)))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        configurations.append(
            {
                "site": name,
                "url": f"https://127.0.0.1:{servers[-1].server_address[1]}",
                "public_key": str(tmp_path / f"{name}.pub"),
                "key": str(tmp_path / f"{name}-node.key"),
            }
        )
    yield made, configurations
    for one in servers:
        one.shutdown()
        one.server_close()


def test_the_model_is_bit_for_bit_that_of_a_training_without_flower(nodes, tmp_path):
    made, configurations = nodes
    grid = Grid(configurations)
    progress = made.train(Flower(grid, NAMES, 30))
    assert progress.incidents == ()
    draw = np.random.default_rng(1)
    inputs = draw.normal(size=(90, 2))
    (tmp_path / "plain").mkdir()
    plain = Federation(tmp_path / "plain", inputs, (inputs[:, 0] > 0).astype(int), rounds=2, timeout=30)
    assert progress.state.data() == plain.train().state.data()
    assert {message.metadata.message_type for message in grid.seen} == {"query.dataward"}
    text = "".join(message.content["dataward"]["json"] for message in grid.seen)
    assert '"vector"' in text
    assert not [value for value in inputs.ravel() if repr(value) in text]


def test_a_node_that_is_lost_is_left_out_and_one_that_claims_another_site_is_refused(nodes):
    made, configurations = nodes
    grid = Grid(configurations)
    carry = Flower(grid, NAMES, 5)
    grid.lost.add(102)
    progress = made.train(carry)
    assert progress.state.phase == "done"
    assert {(one.site, one.what.split(" within")[0]) for one in progress.incidents} == {
        ("south", "its Flower node does not answer")
    }


def test_a_node_in_the_name_of_another_site_does_not_reach_it(nodes):
    made, configurations = nodes
    liar = {**configurations[2], "site": "south"}
    progress = made.train(Flower(Grid([configurations[0], liar, configurations[2]]), NAMES, 5))
    assert [(one.site, one.what) for one in progress.incidents] == [
        ("south", "its greeting is not signed by the plan's key for it")
    ]


def test_settings_that_lack_something_are_named(nodes):
    _, configurations = nodes
    grid = Grid([{key: value for key, value in one.items() if key != "key"} for one in configurations])
    with pytest.raises(RunError, match="no Flower node answers for north, south, west: start a SuperNode for each"):
        Flower(grid, NAMES, 0.5)
    with pytest.raises(Exception, match="the run's configuration lacks plan, key"):
        server(grid, Context(1, 0, {}, RecordDict(), {}))
