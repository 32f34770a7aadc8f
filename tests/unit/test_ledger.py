"""The hash chain of older ledgers: what was changed, moved or removed is named before it is migrated."""

from dataclasses import replace
from importlib.resources import files

import pytest

from dataward.integrity import migrate
from dataward.integrity.canonical import canonical, sha256
from dataward.integrity.seal import Seal, SealedCommit, SealedContent, _sources, code_version
from dataward.keys import signing_key
from tests.keys import RING, STRANGER

FILES = (migrate.FileContent("part-0.parquet", 2, "ab" * 32),)
FILES_SHA256 = sha256(canonical([[one.path, one.rows, one.digest] for one in FILES]))


def seal(number):
    return Seal(
        contract="people", contract_sha256="0", run_id=f"r{number}", target="lake/people", version=number, time="t", who="me",
        source={}, verdicts=[], rows={}, protections=[], quarantine=None,
        content=SealedContent(digest="d", nonce="n", rows=2, files_sha256=FILES_SHA256),
        commit=SealedCommit(file="f", sha256="s"), code={}, key={"domain": "people", "version": 1},
    )  # fmt: skip


def chain(length, ring=RING):
    entries, previous = [], migrate.START
    for number in range(length):
        draft = migrate.ChainEntry(number, seal(number).text(), FILES, previous, "", "")
        message = migrate.CONTEXT + bytes.fromhex(draft.computed_hash)
        signature = signing_key(ring, "people", 1).sign(message).hex()
        entries.append(replace(draft, hash=draft.computed_hash, signature=signature))
        previous = entries[-1].hash
    return entries


def test_a_chain_that_holds():
    assert migrate.chain_flaws(chain(4), RING) == []
    assert migrate.chain_flaws([], RING) == []


@pytest.mark.parametrize(("change", "entry", "words"), [
    (lambda e: replace(e, seal_text=e.seal_text.replace('"run_id":"r1"', '"run_id":"rX"')), 1, "its seal or its hash was changed"),
    (lambda e: replace(e, files=()), 1, "its seal or its hash was changed"),
    (lambda e: replace(e, hash="0" * 64), 1, "its seal or its hash was changed"),
    (lambda e: replace(e, signature="00" * 64), 1, "not by this keyring's key"),
    (lambda e: replace(e, previous="1" * 64), 1, "does not follow entry 0"),
])  # fmt: skip
def test_a_changed_entry_is_named(change, entry, words):
    entries = chain(3)
    entries[entry] = change(entries[entry])
    told = migrate.chain_flaws(entries, RING)
    assert any(f"ledger entry {entry}" in flaw and words in flaw for flaw in told), told


def test_a_removed_entry_is_named():
    entries = chain(4)
    del entries[1]
    assert "one was removed" in migrate.chain_flaws(entries, RING)[0]


def test_a_chain_written_anew_under_another_key_is_refused():
    forged = chain(3, STRANGER)
    assert len(migrate.chain_flaws(forged, RING)) == 3


def test_a_changed_entry_whose_hashes_were_recomputed_fails_its_signature():
    entries = chain(2)
    text = entries[1].seal_text.replace('"who":"me"', '"who":"you"')
    forged = replace(entries[1], seal_text=text)
    entries[1] = replace(forged, hash=forged.computed_hash)
    assert "signature" in migrate.chain_flaws(entries, RING)[0]


def test_canonical_text_is_one_for_one_meaning():
    assert canonical({"b": 1, "a": "é"}) == '{"a":"\\u00e9","b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))


def test_code_version_covers_every_file_that_runs_or_decides():
    names = {name for name, _ in _sources(files("dataward"), "")}
    decide = (
        "spark/Hmac.java",
        "privacy/discover/words/names.txt",
        "contract/functions.txt",
        "quality/dqdl/grammar.lark",
    )
    assert names >= {*decide, "spark/jars.sha256", "integrity/seal.py", "VERSION"}
    assert not [name for name in names if name.endswith(".pyc")]


def test_code_version_is_of_the_sources():
    told = code_version()
    assert len(told["sha256"]) == 64
    assert told["version"].count(".") == 2
