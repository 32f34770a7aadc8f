"""A witness over HTTP as C2SP tlog-witness describes it, and a time stamping authority over ``openssl ts``."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def consistent(old: int, new: int, proof: list[bytes], old_root: bytes, new_root: bytes) -> bool:
    """RFC 6962, section 2.1.2, by recursion over the definition of the proof."""

    def roots(m: int, n: int, whole: bool) -> tuple[bytes, bytes]:
        if m == n:
            known = old_root if whole else proof.pop(0)
            return known, known
        split = 1 << (n - 1).bit_length() - 1
        if m <= split:
            before, after = roots(m, split, whole)
            return before, _node(after, proof.pop(0))
        before, after = roots(m - split, n - split, False)
        left = proof.pop(0)
        return _node(left, before), _node(left, after)

    try:
        found = roots(old, new, True)
    except IndexError:
        return False
    return not proof and found == (old_root, new_root)


class Witness:
    """What the witness remembers: by origin the log's key, and the size and root that it cosigned last."""

    def __init__(self) -> None:
        self.key, self.name = Ed25519PrivateKey.generate(), "witness.example/w1"
        self.logs: dict[str, bytes] = {}
        self.seen: dict[str, tuple[int, bytes]] = {}
        self.lock, self.url, self.asked = Lock(), "", 0
        self.lies = False

    @property
    def _public(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def _id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n\x04" + self._public).digest()[:4]

    @property
    def vkey(self) -> str:
        public = base64.b64encode(b"\x04" + self._public).decode()
        return f"{self.name}+{self._id.hex()}+{public}"

    def answer(self, body: str) -> tuple[int, str]:
        self.asked += 1
        request, _, note = body.partition("\n\n")
        first, *hashes = request.split("\n")
        text, _, signatures = note.rpartition("\n\n")
        text += "\n"
        origin, size_text, root_text = text.split("\n")[:3]
        old, size, root = int(first.removeprefix("old ")), int(size_text), base64.b64decode(root_text)
        if origin not in self.logs:
            return 404, ""
        if not any(self._signed(origin, line, text) for line in signatures.splitlines()):
            return 403, ""
        if old > size:
            return 400, ""
        with self.lock:
            known, known_root = self.seen.get(origin, (0, b""))
            if old != known or (old == size and root != known_root):
                return 409, f"{known}\n"
            proof = [base64.b64decode(line) for line in hashes]
            if old and not consistent(old, size, proof, known_root, root):
                return 422, ""
            self.seen[origin] = (size, root)
        message = f"cosignature/v1\ntime 1700000000\n{text}".encode()
        signature = self.key.sign(b"lie" if self.lies else message)
        encoded = base64.b64encode(self._id + (1700000000).to_bytes(8, "big") + signature).decode()
        return 200, f"\u2014 {self.name} {encoded}\n"

    def _signed(self, origin: str, line: str, text: str) -> bool:
        name, encoded = line.split(" ")[1:]
        try:
            Ed25519PublicKey.from_public_bytes(self.logs[origin]).verify(base64.b64decode(encoded)[4:], text.encode())
        except InvalidSignature:
            return False
        return name == origin


class Authority:
    """A time stamping authority with a root of its own; every token is made by OpenSSL."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url, self.broken = folder, "", False
        run = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-keyout", "root.key", "-out", "root.pem",
               "-subj", "/CN=root", "-addext", "basicConstraints=critical,CA:TRUE"]  # fmt: skip
        self._run(run)
        self._run(
            [
                "openssl",
                "req",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                "tsa.key",
                "-out",
                "tsa.csr",
                "-subj",
                "/CN=tsa",
            ]
        )
        (folder / "ext").write_text("extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n")
        self._run(["openssl", "x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
                   "-days", "30", "-out", "tsa.pem", "-extfile", "ext"])  # fmt: skip
        (folder / "tsa.cnf").write_text(
            "[tsa]\ndefault_tsa = t\n[t]\nserial = serial\nsigner_cert = tsa.pem\nsigner_key = tsa.key\n"
            "signer_digest = sha256\ndefault_policy = 1.2.3.4\ndigests = sha256\naccuracy = secs:1\n"
        )
        (folder / "serial").write_text("01\n")

    @property
    def roots(self) -> str:
        return str(self.folder / "root.pem")

    def answer(self, query: bytes) -> tuple[int, bytes]:
        if self.broken:
            return 500, b""
        (self.folder / "query").write_bytes(query)
        self._run(
            ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-section", "t", "-queryfile", "query", "-out", "reply"]
        )
        return 200, (self.folder / "reply").read_bytes()

    def _run(self, command: list[str]) -> None:
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)


@contextmanager
def _served(answer: object) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = answer(self.path, self.rfile.read(int(self.headers["Content-Length"])))  # type: ignore[operator]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def witness() -> Iterator[Witness]:
    made = Witness()

    def answer(path: str, body: bytes) -> tuple[int, bytes]:
        status, text = made.answer(body.decode()) if path == "/w/add-checkpoint" else (404, "")
        return status, text.encode()

    with _served(answer) as url:
        made.url = f"{url}/w"
        yield made


@contextmanager
def authority() -> Iterator[Authority]:
    with tempfile.TemporaryDirectory() as folder:
        made = Authority(Path(folder))
        with _served(lambda _, body: made.answer(body)) as url:
            made.url = url
            yield made
