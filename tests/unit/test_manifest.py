"""Manifests: chained, they attest the state of every version; a version's manifest grows with its own files alone."""

import itertools

import pytest

from dataward.integrity.hashing import hash_files
from dataward.integrity.manifest import Manifest, after, attested, build, needed, states, steps
from dataward.tables.deltalog.folder import folder
from dataward.tables.deltalog.log import State, apply, read_commit, read_listing
from tests.deltamade import SHAPES, thirty


def manifests(root, every=1, whole_from=None):
    """A manifest for every so many versions; without earlier ones from a version on."""
    table = folder(str(root))
    chain, pending, state = [], [], State()
    for version in read_listing(table).commits:
        commit = read_commit(table, version)
        state = apply(state, commit)
        pending.append(commit)
        if (version + 1) % every or version < (whole_from or 0):
            continue
        first = whole_from and not chain
        wanted = [one.path for one in state.files.values()] + needed([commit]) if first else needed(pending)
        wanted += [one.vector.path for one in state.files.values() if first and one.vector]
        hashes = {path: one.sha256 for path, one in hash_files(table, wanted).items()}
        chain.append(
            build(
                [commit] if first else pending,
                hashes,
                chain[-1] if chain else None,
                lambda: attested(chain),
                state if first else None,
            )
        )
        pending = []
    return chain, state


def same(found, state):
    assert {key: one.size for key, one in found.files.items()} == {key: one.size for key, one in state.files.items()}
    assert all(one.sha256 for one in found.files.values())
    assert found.metadata == state.metadata
    assert found.protocol == state.protocol


@pytest.mark.parametrize("shape", SHAPES)
def test_a_chain_attests_the_newest_state(tmp_path, shape):
    thirty(tmp_path / "t", shape)
    for every in (1, 3):
        chain, state = manifests(tmp_path / "t", every)
        same(attested(chain), state)
        assert [one.version for one in states(chain)] == list(range(30))
        for one, other in itertools.pairwise(chain):
            assert (other.predecessor.version, other.predecessor.sha256) == (one.version, one.sha256)


def test_a_table_with_a_past_begins_with_a_whole_manifest(tmp_path):
    thirty(tmp_path / "t", "vectors")
    chain, state = manifests(tmp_path / "t", whole_from=7)
    assert chain[0].whole
    assert not chain[1].whole
    same(attested(chain), state)
    assert [one.version for one in states(chain)] == list(range(7, 30))


def test_every_hundredth_is_whole_and_the_others_grow_with_their_own_files(tmp_path, monkeypatch):
    monkeypatch.setattr("dataward.integrity.manifest.WHOLE_EVERY", 10)
    thirty(tmp_path / "t", "append")
    chain, state = manifests(tmp_path / "t")
    assert [one.number for one in chain if one.whole] == [0, 10, 20]
    same(attested(chain[20:]), state)
    sizes = [len(one.text()) for one in chain if not one.whole]
    assert max(sizes) < 1.2 * min(sizes)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_walk_through_versions_gives_the_state_that_each_commit_leaves(tmp_path, shape):
    table, state, walked = folder(str(thirty(tmp_path / "t", shape).root)), State(), 0
    chain, _ = manifests(tmp_path / "t")
    for step in steps(chain):
        before, state = state, apply(state, read_commit(table, step.state.version))
        assert step.state.files.keys() == state.files.keys()
        assert step.state.size == sum(one.size for one in state.files.values())
        assert step.gone.keys() == before.files.keys() - state.files.keys()
        walked += 1
    assert walked == 30
    kept = next(steps(chain)).state.copy()
    assert kept.files == {}
    assert attested(chain[:2]).files.keys() == after(kept, chain[1].commits[0]).files.keys()
    assert kept.files == {}


def test_a_file_that_is_listed_again_keeps_the_hash_of_its_first_seal(tmp_path):
    """Else somebody could change its bytes, list it again, and have the next run seal them."""
    made = thirty(tmp_path / "t", "append")
    chain, _ = manifests(made.root)
    (key, old), *_ = made.adds.items()
    (made.root / old["path"]).write_bytes(b"other rows")
    made.commit("ROW TRACKING BACKFILL", None, {"add": {**old, "dataChange": False}})
    table = folder(str(made.root))
    commit = read_commit(table, 30)
    hashes = {path: one.sha256 for path, one in hash_files(table, needed([commit])).items()}
    again = build([commit], hashes, chain[-1], lambda: attested(chain))
    assert attested([*chain, again]).files[key].sha256 == attested(chain).files[key].sha256 != hashes[old["path"]]


def test_the_text_is_canonical_and_comes_back(tmp_path):
    thirty(tmp_path / "t", "partitioned")
    for one in manifests(tmp_path / "t")[0][:3]:
        assert Manifest.parse(one.text()) == one
        assert Manifest.parse(one.text()).sha256 == one.sha256
    with pytest.raises(ValueError, match="no manifest"):
        Manifest.parse(b"{}")


def test_statistics_and_partition_values_stay_out_of_the_manifest(tmp_path):
    thirty(tmp_path / "t", "append")
    text = b"".join(one.text() for one in manifests(tmp_path / "t")[0])
    assert b"minValues" not in text
    assert b"numRecords" not in text
