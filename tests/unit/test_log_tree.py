"""Trees, tiles and notes give what RFC 6962, C2SP and Go's implementation give."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.integrity.log import merkle, notes, tiles
from dataward.integrity.log.entries import Body
from dataward.integrity.log.proofs import InclusionProof

# Leaves and roots of the test data of Certificate Transparency's reference implementation.
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]

ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"

GO_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def hashed(count):
    return [merkle.leaf_hash(b"%d" % number) for number in range(count)]


def nodes_of(hashes):
    return lambda level, index: merkle.root_of(hashes[index << level : (index + 1) << level])


def test_roots_are_those_of_the_reference_implementation():
    hashes = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in LEAVES]
    assert [merkle.root_of(hashes[: n + 1]).hex() for n in range(8)] == ROOTS
    assert [merkle.root(nodes_of(hashes), n + 1).hex() for n in range(8)] == ROOTS
    assert merkle.root_of([]) == merkle.root(nodes_of([]), 0) == hashlib.sha256().digest()


@given(st.integers(1, 300), st.data())
def test_proofs_hold_for_their_trees_and_for_no_other(size, data):
    hashes = hashed(size)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    head, before = merkle.root_of(hashes), merkle.root_of(hashes[:old])
    path = merkle.inclusion(nodes_of(hashes), index, size)
    assert merkle.holds_inclusion(index, size, hashes[index], path, head)
    assert not merkle.holds_inclusion(index, size, hashes[index], path, bytes(32))
    assert not merkle.holds_inclusion(index, size, bytes(32), path, head)
    assert not merkle.holds_inclusion(index, size, hashes[index], [*path, bytes(32)], head)
    between = merkle.consistency(nodes_of(hashes), old, size)
    assert merkle.holds_consistency(old, size, between, before, head)
    if old:
        assert not merkle.holds_consistency(old, size, between, bytes(32), head)
        assert not merkle.holds_consistency(old, size, between, before, bytes(32))
        assert not merkle.holds_consistency(old, size, [*between, bytes(32)], before, head)


@given(st.integers(0, 700), st.integers(1, 700))
def test_tiles_written_in_two_turns_give_the_root_of_all_leaves(first, more):
    hashes, files = hashed(first + more), {}
    for start, end in ((0, first), (first, first + more)):
        files.update(tiles.extended(tiles.Tiles(files.get, start), hashes[start:end]))
    assert merkle.root(tiles.Tiles(files.get, first + more).node, first + more) == merkle.root_of(hashes)
    assert all(len(data) % 32 == 0 and len(data) <= 8192 for data in files.values())


def test_names_of_tiles_are_those_of_the_specification():
    assert tiles.path(0, 1234067) == "tile/0/x001/x234/067"
    assert tiles.path("entries", 5, 17) == "tile/entries/005.p/17"
    assert [tiles.bundle_path(n) for n in (1, 256, 257)] == [
        "tile/entries/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/1",
    ]


def test_a_note_that_go_signed_verifies_and_a_changed_one_does_not():
    key = notes.Verifier.parsed(GO_KEY)
    assert key.vkey == GO_KEY
    assert key.signed(notes.parse(GO_NOTE))
    assert str(notes.parse(GO_NOTE)) == GO_NOTE
    assert not key.signed(notes.parse(GO_NOTE.replace("your problem", "our problem")))
    with pytest.raises(ValueError, match="hash in this key's text"):
        notes.Verifier.parsed(GO_KEY.replace("c74f20a3", "c74f20a4"))


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)))
def test_what_others_wrote_is_parsed_or_refused(data):
    for parser in (notes.parse, tiles.unpacked, Body.parsed, lambda d: InclusionProof.parsed(d.decode()),
                   lambda d: notes.Checkpoint.parsed(d.decode()), lambda d: notes.Verifier.parsed(d.decode())):  # fmt: skip
        try:
            parser(data)
        except ValueError:
            continue
