#!/usr/bin/env python3
"""Check a bundle of `dataward verify --bundle` offline: Python's standard library and `cryptography`, nothing else.

    python check.py BUNDLE.zip [--public-key KEYS.pem] [--table FOLDER]

Without --public-key the keys inside the bundle are used, which proves only that the holder of those keys signed all of it:
compare their IDs with IDs from another source. With --table the files of the newest version in the bundle are hashed as well.
Exit code: 0 everything holds, 1 a check fails, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

MALFORMED = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError)
"""What reading of files that others may have written may raise."""

PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes in hex."""
    return hashlib.sha256(data).hexdigest()


def public_keys(text: bytes) -> dict[str, Any]:
    """Return the keys of a PEM text by ID."""
    keys = [load_pem_public_key(block) for block in PEM.findall(text)]
    return {sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)): key for key in keys}


def verifies(key: Any, signature: bytes, message: bytes) -> bool:
    """Return whether a signature was made by a key."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, message)
        else:
            key.verify(signature, message, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def statement(envelope: bytes, keys: dict[str, Any]) -> dict[str, Any]:
    """Return the statement of a DSSE envelope that a known key signed."""
    found = json.loads(envelope)
    kind, payload = found["payloadType"].encode(), base64.b64decode(found["payload"])
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    for one in found["signatures"]:
        if one["keyid"] in keys and verifies(keys[one["keyid"]], base64.b64decode(one["sig"]), message):
            parsed: dict[str, Any] = json.loads(payload)
            return parsed
    raise ValueError("it is not signed by a known key")


def checkpoint(note: str, keys: dict[str, Any]) -> tuple[str, int, bytes]:
    """Return origin, size and root of a signed checkpoint (C2SP signed-note, tlog-checkpoint)."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    origin, size, root = text.split("\n")[:3]
    for line in lines.splitlines():
        _, name, encoded = line.split(" ")
        data = base64.b64decode(encoded)
        for key in keys.values():
            if not isinstance(key, Ed25519PublicKey):
                continue
            raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
            identity = hashlib.sha256(name.encode() + b"\n\x01" + raw).digest()[:4]
            if name == origin and data[:4] == identity and verifies(key, data[4:], text.encode()):
                return origin, int(size), base64.b64decode(root)
    raise ValueError("its checkpoint is not signed by a known key")


def included(index: int, size: int, leaf: bytes, path: list[bytes], root: bytes) -> bool:
    """Return whether a path of hashes connects a leaf to the root (RFC 6962, RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, here = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            here = hashlib.sha256(b"\x01" + step + here).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            here = hashlib.sha256(b"\x01" + here + step).digest()
        node, last = node >> 1, last >> 1
    return last == 0 and here == root


def check_proof(text: str, entry: bytes, keys: dict[str, Any]) -> tuple[str, int]:
    """Check a tlog-proof of an entry, and return origin and size of its checkpoint."""
    head, _, note = text.partition("\n\n")
    lines = [line for line in head.split("\n") if not line.startswith("extra ")]
    if lines[0] != "c2sp.org/tlog-proof@v1":
        raise ValueError("it is no tlog-proof")
    origin, size, root = checkpoint(note, keys)
    path = [base64.b64decode(line) for line in lines[2:]]
    leaf = hashlib.sha256(b"\x00" + entry).digest()
    if not included(int(lines[1].split(" ")[1]), size, leaf, path, root):
        raise ValueError("its hashes do not lead from the entry to the signed root")
    return origin, size


def state_of(manifests: dict[str, Any], digest: str) -> dict[str, str]:
    """Return the files of a version: path to SHA-256, from its manifest and the earlier ones."""
    chain = [manifests[digest]]
    while "files" not in chain[-1]:
        chain.append(manifests[chain[-1]["predecessor"]["sha256"]])
    files: dict[tuple[str, str], Any] = {}
    for manifest in reversed(chain):
        if "files" in manifest:
            files = {key(one): one for one in manifest["files"]}
            continue
        for commit in manifest.get("commits", ()):
            gone = [files.pop(tuple(removed)) for removed in commit.get("removed", ()) if tuple(removed) in files]
            hashes = {one["path"]: one.get("sha256") for one in gone}
            for one in commit.get("added", ()):
                files[key(one)] = {**one, "sha256": one.get("sha256") or hashes.get(one["path"])}
    found = {one["path"]: one["sha256"] for one in files.values()}
    vectors = [one["vector"] for one in files.values() if one.get("vector")]
    return {**found, **{one["path"]: one["sha256"] for one in vectors if one.get("path")}}


def key(file: dict[str, Any]) -> tuple[str, str]:
    """Return the identity of a file within a version."""
    return file["path"], (file.get("vector") or {}).get("identity", "")


def hashed(folder: Path, path: str) -> str | None:
    """Return the SHA-256 of a file; None where there is none."""
    whole = hashlib.sha256()
    try:
        if not (folder / path).is_file():  # a pipe in the place of a file would block the read forever
            return None
        with (folder / path).open("rb") as file:
            while chunk := file.read(1 << 20):
                whole.update(chunk)
    except OSError:
        return None
    return whole.hexdigest()


def check_entry(
    files: dict[str, bytes], index: str, manifests: dict[str, Any], keys: dict[str, Any]
) -> tuple[int, str, str]:
    """Check an entry, its proof, statement and manifest; returns the version, the manifest's SHA-256, and a description of the proof."""
    entry = files[f"entries/{index}.json"]
    body = json.loads(entry)
    origin, size = check_proof(files[f"proofs/{index}.tlog-proof"].decode(), entry, keys)
    envelope = files[f"statements/{body['statement']}.dsse"]
    if sha256(envelope) != body["statement"]:
        raise ValueError("its statement was changed")
    content = statement(envelope, keys)
    subject, version = content["subject"][0]["digest"]["sha256"], content["predicate"]["version"]
    if subject != body["manifest"] or subject not in manifests or manifests[subject]["version"] != version:
        raise ValueError("statement, entry and manifest are not of one version")
    words = f"entry {int(index)}: version {version}, proved in log {origin} of {size} entries, sealed {content['predicate']['time']}"
    return version, subject, words


def check_table(folder: Path, files: dict[str, str]) -> list[str]:
    """Hash the files of a version, and return the differences."""
    bad = []
    for path, digest in sorted(files.items()):
        found = hashed(folder, path)
        if found != digest:
            bad.append(f"data-file-{'missing' if found is None else 'changed'}: {path}")
    return bad


def read_manifests(files: dict[str, bytes]) -> tuple[dict[str, Any], list[str]]:
    """Return the manifests of a bundle by SHA-256, and lines about those that were changed."""
    manifests, bad = dict[str, Any](), list[str]()
    for name, data in files.items():
        if name.startswith("manifests/"):
            if sha256(data) not in name:
                bad.append(f"manifest-changed: {name}")
            try:
                manifests[sha256(data)] = json.loads(data)
            except MALFORMED:
                bad.append(f"manifest-changed: {name}: it is no manifest")
    return manifests, bad


def check(files: dict[str, bytes], keys: dict[str, Any], folder: Path | None = None) -> tuple[list[str], list[str]]:
    """Check a bundle (name to bytes); returns lines of successful checks, and lines of failures."""
    good, proved = list[str](), list[tuple[int, str]]()
    manifests, bad = read_manifests(files)
    for name in sorted(name for name in files if name.startswith("entries/")):
        index = name.split("/")[1].split(".")[0]
        try:
            version, subject, words = check_entry(files, index, manifests, keys)
        except MALFORMED as error:
            bad.append(f"entry {index}: {error}")
        else:
            proved.append((version, subject))
            good.append(words)
    for name in sorted(name for name in files if name.startswith("heads/")):
        try:
            origin, size, _ = checkpoint(files[name].decode(), keys)
            good.append(f"{name}: head of {size} entries of log {origin}")
        except MALFORMED as error:
            bad.append(f"head-unsigned: {name}: {error}")
    if not proved:
        bad.append("the bundle proves no version")
    elif folder is not None:
        version, subject = max(proved)
        try:
            bad += check_table(folder, state_of(manifests, subject))
            good.append(f"the files of version {version} were hashed")
        except MALFORMED as error:
            bad.append(
                f"manifest-changed: the manifests before version {version} do not lead to a whole one: {error!r}"
            )
    return good, bad


def main(argv: list[str]) -> int:
    """Check the bundle in the arguments; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle")
    parser.add_argument("--public-key", help="keys (PEM) that you trust; default: those in the bundle")
    parser.add_argument("--table", type=Path, help="the table's folder, whose files are hashed")
    arguments = parser.parse_args(argv)
    try:
        with zipfile.ZipFile(arguments.bundle) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        keys = public_keys(Path(arguments.public_key).read_bytes() if arguments.public_key else files["keys.pem"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        print(f"the bundle or the keys cannot be read: {error}", file=sys.stderr)
        return 2
    if not keys:
        print(f"{arguments.public_key or 'keys.pem of the bundle'} holds no public key (PEM)", file=sys.stderr)
        return 2
    good, bad = check(files, keys, arguments.table)
    print(*(f"ok      {line}" for line in good), *(f"FAILED  {line}" for line in bad), sep="\n")
    print("keys: " + ", ".join(sorted(keys)))
    print("THE PROOF DOES NOT HOLD" if bad else "the proof holds")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
