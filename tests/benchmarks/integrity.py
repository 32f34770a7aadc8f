"""The ledger and verify without Spark: appends and proofs beside 100,000 entries, and verify of a table of 10,000 sealed versions.

``python tests/benchmarks/integrity.py [VERSIONS] [ENTRIES]``: the table and its ledger are made by hand, not by Spark, once.
"""

import hashlib
import json
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from common import spread
from tests.deltamade import Table
from tests.logs import PEOPLE, RING, built
from tests.sealedmade import seal
from tests.unit.test_manifest import manifests

from dataward.contract import Location, load
from dataward.integrity import ledger
from dataward.integrity.dsse import Ed25519Signer
from dataward.integrity.ledger import About
from dataward.integrity.log import entries as pointers
from dataward.integrity.log import merkle, notes, tiles
from dataward.integrity.log.entries import Body
from dataward.integrity.statement import Statement, Subject, predicate_type
from dataward.keys import create_keyring, local_keyring, signing_key
from dataward.tables.store import Local
from dataward.verbs.verify import Asked, verify_contract

WORK = Path("bench/integrity")
LISTED = 50


def written(root: Path, ring, bodies: list[Body]) -> None:
    """Write a ledger of these entries at once, with its tiles, pointers and checkpoint."""
    log = ledger.open_log(Location(path=str(root)))
    signer = ledger.signer_of(log, ring, "people", 1)
    key = signing_key(ring, "people", 1)
    made = [body.entry(signer.name, number, key) for number, body in enumerate(bodies)]
    files = dict(tiles.extended(tiles.Tiles({}.get, 0), [merkle.leaf_hash(entry) for entry in made]))
    for first in range(0, len(made), tiles.WIDTH):
        part = made[first : first + tiles.WIDTH]
        files[tiles.bundle_path(first + len(part))] = b"".join(map(tiles.framed, part))
    root_hash = merkle.root(tiles.Tiles(files.get, len(made)).node, len(made))
    for name, data in (files | pointers.derived(made)).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    checkpoint = notes.Checkpoint(signer.name, len(made), root_hash)
    Local(root).put("checkpoint", str(signer.sign(checkpoint.text)).encode())


class LikeDelta(Table):
    """A table whose version checksums list the files of small tables only, as Delta's own do."""

    def checksum(self) -> None:
        if len(self.adds) <= LISTED:
            super().checksum()


def sealed_table(versions: int) -> Path:
    """A table of so many versions, each with a seal; returns its contract."""
    root = (WORK / f"v{versions}").resolve()
    contract = root / "contract.yaml"
    if contract.exists():
        return contract
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    create_keyring(root / "keys").current("people")
    ring = local_keyring(root / "keys")
    table = LikeDelta(root / "table")
    table.create()
    for number in range(1, versions):
        table.append([(number, "a@x.org")], f"r{number}")
    target, bodies = f"{root}/table", []
    statements = root / "table_ledger/statements"
    statements.mkdir(parents=True)
    signer = Ed25519Signer(signing_key(ring, "people", 1))
    for number, manifest in enumerate(manifests(table.root)[0]):
        made = seal(manifest.version, f"r{number}", target)
        subject = (Subject("manifest", manifest.sha256),)
        statement = Statement(subject, predicate_type("seal"), made.model_dump(mode="json")).signed(signer).text()
        name = hashlib.sha256(statement).hexdigest()
        (statements / name).write_bytes(statement)
        (statements / manifest.sha256).write_bytes(manifest.text())
        about = {"table": manifest.table, **({"whole": True} if manifest.whole else {})}
        bodies.append(Body("seal", made.time, name, ("people", 1), pointers.digest(f"r{number}"), ledger.table_id(target), number,
                           manifest.version, manifest.sha256, about))  # fmt: skip
    written(root / "table_ledger", ring, bodies)
    contract.write_text(
        f"contract: people\nsource: {{path: none}}\ntarget: {{path: {target}}}\nkeys: {{path: {root}/keys, domain: people}}\n"
        "columns: {}\ndefault: keep\n"
    )
    return contract


def timed(function, times: int = 3) -> tuple[dict[str, float], object]:
    spent, found = [], None
    for _ in range(times):
        begun = time.perf_counter()
        found = function()
        spent.append(time.perf_counter() - begun)
    return spread(spent), found


def main() -> None:
    given = [int(text) for text in sys.argv[1:3]]
    versions, entries = [*given, *(10_000, 100_000)[len(given) :]]
    told: dict[str, object] = {}
    contract = load(sealed_table(versions))
    newest, proof = timed(lambda: verify_contract(None, contract, Asked()))
    assert proof.holds, [check.detail for check in proof.checks if not check.holds]
    every, proof = timed(lambda: verify_contract(None, contract, Asked(every=True)), 1)
    assert (proof.holds, len(proof.versions)) == (True, versions), proof.checks
    told[f"verify, newest of {versions:,} versions, seconds"] = newest
    told[f"verify --all of {versions:,} versions, seconds"] = every
    for size in (1_000, entries):
        root = (WORK / f"log{size}").resolve()
        shutil.rmtree(root, ignore_errors=True)
        place = built(root, size)
        number = iter(range(100))
        append, _ = timed(lambda place=place, number=number: ledger.record(
            place, RING, "people", "note", b"more", About(f"more{next(number)}", PEOPLE)), 9)  # fmt: skip
        proofs, _ = timed(lambda place=place, size=size: ledger.open_log(place).proof(size // 3), 9)
        found, _ = timed(lambda place=place: ledger.find(place, "r997", PEOPLE, "note"), 9)
        told[f"ledger of {size:,} entries: append, seconds"] = append
        told[f"ledger of {size:,} entries: inclusion proof, seconds"] = proofs
        told[f"ledger of {size:,} entries: find the entry of a run, seconds"] = found
        shutil.rmtree(root)
    for name, value in told.items():
        print(f"{value['median']:>10.3f}  {name}")
    Path("bench").mkdir(exist_ok=True)
    Path("bench/integrity.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
