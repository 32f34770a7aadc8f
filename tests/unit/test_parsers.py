"""Every parser of a file that others may write: whatever they write is read or refused, and never another error or a hang."""

import contextlib
import gzip
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.contract import Location
from dataward.errors import KeyringError, ProofError
from dataward.integrity import ledger, records
from dataward.integrity.checker import check, public_keys
from dataward.integrity.dsse import Ed25519Signer, Envelope, pem, read_public_keys
from dataward.integrity.heads import cloudtrail
from dataward.integrity.ledger import About
from dataward.integrity.log import notes, tiles
from dataward.integrity.log.entries import Body, KeyringRules
from dataward.integrity.log.pinned import PinnedKeys
from dataward.integrity.log.proofs import InclusionProof
from dataward.integrity.manifest import Manifest
from dataward.integrity.proof.delta import check_log, look
from dataward.integrity.proof.tail import check_tail, check_unattested
from dataward.integrity.proof.trust import named_keys
from dataward.integrity.statement import Statement, Subject, predicate_type
from dataward.keys import signing_key
from dataward.keys.document import parsed as keyring
from dataward.tables import turns
from dataward.tables.deltalog.actions import Damaged, Vector
from dataward.tables.deltalog.folder import folder
from dataward.tables.deltalog.log import commit_of
from dataward.verbs.bundle import write_bundle
from dataward.verbs.verify import Asked
from tests.cases import cases
from tests.deltamade import Table
from tests.logs import PEOPLE
from tests.sealedmade import RING, Sealed, enter, seal
from tests.unit.test_manifest import manifests

SIGNER = Ed25519Signer(signing_key(RING, "people", 1))
STATEMENT = Statement((Subject("manifest", "0" * 64),), predicate_type("seal"), seal(3, "r3").model_dump(mode="json"))
ENVELOPE = STATEMENT.signed(SIGNER).text()
MANIFEST = Manifest(table="t", version=0, number=0, files=(), metadata={"a": 1}, protocol={"b": 1}).text()
KEYRING = {
    "format": 2,
    "domains": {"people": {"current": 1, "versions": {"1": {"created": "t", "fingerprint": "f", "secret": "s"}}}},
}
TURN = {"holder": "h", "run_id": "r", "since": "t", "beat": 3, "version": 4, "sha256": "0", "committed_by": "r"}
DIGEST = {"digestEndTime": "2026-11-26T00:00:00Z", "ledgerSize": 3, "ledgerCheckpoint": "x"}
COMMIT = {"add": {"path": "a", "size": 1, "partitionValues": {}, "stats": "{}", "deletionVector": {
    "storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "offset": 1, "sizeInBytes": 2, "cardinality": 1}}}  # fmt: skip


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    place = Location(path=str(tmp_path_factory.mktemp("log") / "people_ledger"))
    for number in range(3):
        ledger.record(place, RING, "people", "note", b"%d" % number, About(f"r{number}", PEOPLE))
    return ledger.open_log(place)


def entry(log):
    return log.entry(1)


def keys_of(log, data):
    """All readers of the files that name a log's keys."""
    (name,) = log.store.names("keys")
    before = log.store.read(name)
    fresh = ledger.Log(log.store)
    try:
        log.store.put(name, data)
        named_keys(fresh)
        PinnedKeys(fresh, [])
        KeyringRules(fresh, "x", RING).known(log.checkpoint())
    finally:
        log.store.put(name, before)


PARSERS = {
    "entry": (entry, lambda log, data: Body.parsed(data), ValueError),
    "note": (lambda log: log.store.read("checkpoint"), lambda log, data: notes.parse(data), ValueError),
    "checkpoint": (
        lambda log: log.checkpoint().text.encode(),
        lambda log, data: notes.Checkpoint.parsed(data.decode("utf-8", "replace")),
        ValueError,
    ),
    "bundle of entries": (
        lambda log: log.store.read("tile/entries/000.p/3"),
        lambda log, data: tiles.unpacked(data),
        ValueError,
    ),
    "proof": (
        lambda log: str(log.proof(1)).encode(),
        lambda log, data: InclusionProof.parsed(data.decode("utf-8", "replace")),
        ValueError,
    ),
    "names of keys": (lambda log: log.store.read(log.store.names("keys")[0]), keys_of, ()),
    "envelope": (lambda log: ENVELOPE, lambda log, data: Envelope.parse(data), ValueError),
    "statement": (
        lambda log: STATEMENT.text(),
        lambda log, data: Statement.parse(Envelope("application/vnd.in-toto+json", data, ())),
        ValueError,
    ),
    "record": (
        lambda log: seal(3, "r3").text().encode(),
        lambda log, data: records.parsed(data.decode("utf-8", "replace")),
        ValueError,
    ),
    "manifest": (lambda log: MANIFEST, lambda log, data: Manifest.parse(data), ValueError),
    "public keys": (
        lambda log: pem(RING.public_key("people", 1)).encode(),
        lambda log, data: read_public_keys([data]),
        KeyringError,
    ),
    "keyring": (
        lambda log: json.dumps(KEYRING).encode(),
        lambda log, data: keyring(data.decode("utf-8", "replace"), "here"),
        KeyringError,
    ),
    "turn": (lambda log: json.dumps(TURN).encode(), lambda log, data: turns._Record.of(data).beat + 1, ()),
    "digest of CloudTrail": (
        lambda log: json.dumps(DIGEST).encode(),
        lambda log, data: cloudtrail.parsed("k", gzip.compress(data), "00"),
        ProofError,
    ),
    "commit": (lambda log: json.dumps(COMMIT).encode(), lambda log, data: commit_of(0, data), Damaged),
    "deletion vector's name": (
        lambda log: b"ab^-aqEH.-t@S}K{vb[*k^",
        lambda log, data: Vector("u", data.decode("latin-1"), 1, 1, 1).path,
        Damaged,
    ),
}
JUNK = st.sampled_from([None, True, -1, 2**70, 1.5, float("inf"), float("nan"), "", "x", "\ud800", [], [1], {}, {"a": None}, [[]] * 3])  # fmt: skip
RAW = st.one_of(st.just(b"[" * 100_000), st.just(b'{"a":' * 50_000), st.just(b""), st.just(b"null"), st.just(b"7"), st.just(b'"x"'),
                st.binary(max_size=200))  # fmt: skip


@st.composite
def changed(draw, data):
    """A valid file in which some place is cut, mixed up, or holds another value."""
    how = draw(st.sampled_from(["raw", "cut", "put in", "flipped", "value", "value", "value"]))
    at = draw(st.integers(0, max(len(data) - 1, 0)))
    if how == "raw" or not data:
        return draw(RAW)
    if how == "cut":
        return data[:at]
    if how == "put in":
        return data[:at] + draw(st.binary(min_size=1, max_size=9)) + data[at:]
    if how == "flipped":
        return data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
    try:
        lines = [json.loads(line) for line in data.splitlines()]
    except ValueError:
        return data[::-1]
    here = lines  # one value, or one in each line
    while isinstance(here, dict | list) and here:
        key = draw(st.sampled_from(sorted(here) if isinstance(here, dict) else list(range(len(here)))))
        if not isinstance(here[key], dict | list) or draw(st.booleans()):
            if draw(st.booleans()):
                here[key] = draw(JUNK)
            else:
                del here[key]
            break
        here = here[key]
    return "\n".join(map(json.dumps, lines)).encode()


@pytest.mark.parametrize("name", PARSERS)
@cases()
@given(data=st.data())
def test_what_others_wrote_is_read_or_refused(log, name, data):
    sample, parse, refused = PARSERS[name]
    given = data.draw(changed(sample(log)))
    with contextlib.suppress(refused):
        parse(log, given)


@pytest.mark.parametrize("name", PARSERS)
def test_each_parser_reads_its_valid_file(log, name):
    sample, parse, _ = PARSERS[name]
    parse(log, sample(log))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """Files of a bundle, and the trusted keys."""
    root = tmp_path_factory.mktemp("bundle")
    table = Table(root / "table")
    table.create("r0")
    table.append([(1, "a"), (2, "b")], "r1")
    sealed = Sealed(root, table)
    for one in manifests(table.root)[0]:
        enter(sealed, one.version, f"r{one.version}", one)
    log = ledger.open_log(sealed.place)
    write_bundle(log, ledger.table_id(sealed.target), sealed.trust(), Asked(every=True), str(root / "b.zip"))
    with zipfile.ZipFile(root / "b.zip") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return files, public_keys(pem(RING.public_key("people", 1)).encode()), sealed.table.root


@cases()
@given(data=st.data())
def test_the_offline_checker_names_what_is_malformed_in_a_bundle(bundle, data):
    files, keys, root = bundle
    name = data.draw(st.sampled_from([one for one in sorted(files) if "/" in one]))
    given = data.draw(changed(files[name]))
    _, bad = check({**files, name: given}, keys, root)
    if name.startswith(
        ("entries/", "statements/", "manifests/")
    ):  # the lines of proofs and heads may be written in several ways
        assert bad or given == files[name]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small table with every kind of file that a log has, its chain of manifests, and the files that are JSON."""
    table = Table(tmp_path_factory.mktemp("small") / "table", interval=2, checkpoints="v2")
    table.create("r0")
    for number in range(1, 4):
        table.append([(number, "a")], f"r{number}")
    adds = "".join(line for line in table.path(3).read_text().splitlines(True) if '"add"' in line)
    (table.log / f"{3:020d}.{3:020d}.compacted.json").write_text(adds)
    table.append([(9, "z")], None)  # a later commit of somebody else
    chain = manifests(table.root)[0][:4]
    return table, chain, sorted(file for file in table.log.iterdir() if file.suffix != ".parquet" and file.is_file())


@cases(2)
@given(data=st.data())
def test_any_content_of_a_log_file_is_a_finding_and_no_crash(small, data):
    table, chain, files = small
    file = data.draw(st.sampled_from(files))
    before = file.read_bytes()
    try:
        file.write_bytes(data.draw(changed(before)))
        looked = look(folder(str(table.root)), chain)
        found = check_log(looked)
        if not any(one.code in ("other-table", "table-missing") for one in found):
            found += [*check_tail(looked, {}), *check_unattested(looked)]
        assert all(str(one) for one in found)
    finally:
        file.write_bytes(before)
