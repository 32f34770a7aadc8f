"""The same training over HTTP with mutual TLS: what is on the wire, who gets in, what a kill does."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sklearn.datasets import load_breast_cancer

from dataward.errors import SiteRefused
from dataward.federated.certificates import certificate
from dataward.federated.coordinator import Unreachable
from dataward.federated.encode import unpack
from dataward.federated.server import Server
from dataward.federated.transport import Https
from tests.federation import NAMES, Federation, Watched, split

COORDINATOR = Ed25519PrivateKey.generate()


@contextlib.contextmanager
def serving(made):
    """Every site behind a server of its own; gives their addresses."""
    pem = certificate(COORDINATOR)
    servers = {name: Server(("127.0.0.1", 0), site, made.keys[name], pem) for name, site in made.sites.items()}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield {name: f"https://127.0.0.1:{server.server_address[1]}" for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()


class Proxy:
    """Passes bytes on to a port, and keeps them."""

    def __init__(self, port: int) -> None:
        self.seen = bytearray()
        self._port, self._listener = port, socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            far = socket.create_connection(("127.0.0.1", self._port))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source, sink) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self.seen += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def test_a_wire_capture_has_no_raw_row_and_masked_bytes_are_uniform(tmp_path):
    train, labels, _, _ = split(load_breast_cancer(), 0)
    made = Federation(tmp_path, train, labels, rounds=20)
    with serving(made) as urls:
        proxies = {name: Proxy(int(url.rpartition(":")[2])) for name, url in urls.items()}
        carried = Https({name: proxy.url for name, proxy in proxies.items()}, made.pems, COORDINATOR, 20)
        watched = Watched({})
        watched.inner = carried
        progress = made.coordinator(watched).run()
        carried.close()
    assert progress.incidents == ()
    assert progress.state.evaluation["accuracy"] > 0.9
    captured = b"".join(bytes(proxy.seen) for proxy in proxies.values())
    assert len(captured) > 100_000
    # Eight bytes of a raw value stand in a capture of this size by chance once in 10^13.
    values = np.unique(train[train > 0])
    assert all(value.tobytes() not in captured for value in values[:300])
    assert b"vector" not in captured  # all of it is inside of TLS
    masked = [answer["vector"] for _, stage, _, answer in watched.seen if stage == "mask"]
    data = np.concatenate([unpack(text, np.uint64, len(text) * 3 // 4 // 8) for text in masked]).view(np.uint8)
    counts = np.bincount(data, minlength=256)
    chi = float(((counts - len(data) / 256) ** 2 / (len(data) / 256)).sum())
    assert abs(chi - 255) < 6 * np.sqrt(2 * 255)
    bits = np.unpackbits(data)
    assert abs(bits.mean() - 0.5) < 6 * 0.5 / np.sqrt(len(bits))


@pytest.fixture
def small(tmp_path):
    draw = np.random.default_rng(1)
    inputs = draw.normal(size=(90, 2))
    return Federation(tmp_path, inputs, (inputs[:, 0] > 0).astype(int), rounds=3)


def test_only_the_coordinator_is_answered_and_only_the_plans_sites_are_asked(small):
    stranger = Ed25519PrivateKey.generate()
    with serving(small) as urls:
        with pytest.raises(Unreachable):
            Https(urls, small.pems, stranger, 5).call("north", "hello", {})
        swapped = {"north": urls["south"]}
        with pytest.raises(Unreachable):
            Https(swapped, small.pems, COORDINATOR, 5).call("north", "hello", {})
        plain = ssl.create_default_context()
        plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
        port = int(urls["north"].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as raw, contextlib.suppress(OSError):
            secured = plain.wrap_socket(raw)
            secured.sendall(b"POST /v1/hello HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
            assert secured.recv(100) == b""
        with pytest.raises(SiteRefused, match="uses protocol 1"):
            Https(urls, small.pems, COORDINATOR, 5).call("north", "hello", {})


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [("POST", "/v1/hello", b"[1]", 400), ("POST", "/v1/hello", b"{", 400), ("POST", "/v1/eval", b"{}", 409),
     ("POST", "/v1/__init__", b"{}", 409), ("GET", "/v1/hello", b"", 501), ("POST", "/v1/mask", b'{"session": 5}', 409)],
)  # fmt: skip
def test_a_malformed_request_is_refused_and_the_site_goes_on(small, method, path, body, status):
    with serving(small) as urls:
        carried = Https(urls, small.pems, COORDINATOR, 5)
        connection = carried._connected("north")
        connection.request(method, path, body)
        assert connection.getresponse().status == status
        connection.close()
        assert small.train(carried).state.phase == "done"


def test_a_silent_client_holds_up_nobody(small):
    with serving(small) as urls:
        port = int(urls["north"].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)):
            assert small.train(Https(urls, small.pems, COORDINATOR, 5)).incidents == ()


PROCESS = """
import sys, json, pathlib
import numpy as np
sys.path[:0] = {paths!r}
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.federation import Federation
from dataward.federated.server import Server
from dataward.federated.transport import Https
from dataward.federated.certificates import certificate
root = pathlib.Path({root!r})
draw = np.random.default_rng(1)
inputs = draw.normal(size=(900, 8))
made = Federation(root, inputs, (inputs[:, 0] > 0).astype(int), rounds={rounds})
made.keys = {{name: load_pem_private_key((root / (name + ".key")).read_bytes(), None) for name in ("north", "south", "west", "coordinator")}}
own = made.keys.pop("coordinator")
made.pems = {{name: (root / (name + ".pub")).read_bytes() for name in made.keys}}
made.sites = {{name: made.site(name) for name in made.keys}}
who = sys.argv[1]
if who == "coordinator":
    urls = {{name: (root / (name + ".url")).read_text() for name in made.keys}}
    progress = made.coordinator(Https(urls, made.pems, own, 10)).run()
    print(json.dumps({{"weights": progress.state.body["weights"], "run": progress.run, "incidents": [i.site for i in progress.incidents]}}))
else:
    server = Server(("127.0.0.1", int(sys.argv[2])), made.sites[who], made.keys[who], (root / "coordinator.pub").read_bytes())
    (root / (who + ".url")).write_text(f"https://127.0.0.1:{{server.server_address[1]}}")
    server.serve_forever()
"""


def _start(root, who, rounds=25, port=0):
    text = PROCESS.format(paths=sys.path, root=str(root), rounds=rounds)
    return subprocess.Popen(
        [sys.executable, "-c", text, who, str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def _until(holds, seconds=600):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.long
def test_a_site_and_then_the_coordinator_are_killed_in_the_middle_and_the_run_ends(tmp_path):
    """kill -9 of real processes: the round goes on without the site, the site comes back, the coordinator resumes the same run."""
    for name in (*NAMES, "coordinator"):
        key = Ed25519PrivateKey.generate()
        (tmp_path / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        (tmp_path / f"{name}.pub").write_bytes(certificate(key))
    processes = {name: _start(tmp_path, name) for name in NAMES}
    try:
        _until(lambda: all((tmp_path / f"{name}.url").exists() for name in NAMES))
        kept = tmp_path / "progress.json"
        first = processes["coordinator"] = _start(tmp_path, "coordinator")
        _until(lambda: kept.exists() and '"round": 5' in kept.read_text())
        os.kill(processes["west"].pid, signal.SIGKILL)
        _until(lambda: json.loads(kept.read_text())["incidents"])
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        port = int((tmp_path / "west.url").read_text().rpartition(":")[2])
        processes["again"] = _start(tmp_path, "west", port=port)
        second = _start(tmp_path, "coordinator")
        out, errors = second.communicate(timeout=600)
        assert second.returncode == 0, errors
        ended = json.loads(out)
        assert set(ended["incidents"]) == {"west"}
        assert json.loads(kept.read_text())["run"] == ended["run"]
        assert json.loads(kept.read_text())["state"]["round"] == 25
    finally:
        for process in processes.values():
            process.kill()
            process.communicate()
