"""Logs of small statements, which several modules of tests fill, check and race for."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from dataward.contract import Location
from dataward.integrity import ledger
from dataward.integrity.ledger import About
from dataward.integrity.log import entries as pointers
from dataward.integrity.log import merkle, notes, tiles
from dataward.integrity.log.entries import Body
from dataward.tables.store import Local
from tests.keys import TWO_VERSIONS as RING

PEOPLE, ORDERS = Location(path="lake/people"), Location(path="lake/orders")


def filled(place, count, target=PEOPLE, ring=RING):
    return [ledger.record(place, ring, "people", "note", b"%d" % n, About(f"r{n}", target, n)) for n in range(count)]


def kinds(place, heads=(), ring=RING):
    return [flaw.kind for flaw in ledger.flaws(place, ring, heads).flaws]


def raced(place, writers, each, tables):
    """What each writer was told is in the ledger, and what is."""

    def write(number):
        target = tables[number % len(tables)]
        return [
            ledger.record(place, RING, "people", "note", b"%d/%d" % (number, n), About(f"{number}/{n}", target)).seq
            for n in range(each)
        ]

    with ThreadPoolExecutor(writers) as pool:
        told = [seq for seqs in pool.map(write, range(writers)) for seq in seqs]
    found = ledger.entries(place)
    assert sorted(told) == [entry.seq for entry in found] == list(range(writers * each))
    assert Counter(entry.seal_text for entry in found) == Counter(
        f"{w}/{n}" for w in range(writers) for n in range(each)
    )
    checked = ledger.flaws(place, RING)
    assert (checked.head.size, checked.uncovered, checked.flaws) == (writers * each, 0, ())
    for target in tables:
        assert len(ledger.entries(place, "note", target)) == writers * each // len(tables)


def on_s3(cloud):
    cloud.client("s3").create_bucket(Bucket="lake")
    return Location(path="s3a://lake/people_ledger/")


def built(root, count):
    """A log of so many entries, written at once."""
    place, store = Location(path=str(root)), Local(root)
    log = ledger.open_log(place)
    signer, key, people = (
        ledger.signer_of(log, RING, "people", 1),
        ledger.signing_key(RING, "people", 1),
        ledger.table_id(PEOPLE),
    )
    statement = log.keep(b"x")
    bodies = [Body("note", "t", statement, ("people", 1), pointers.digest(f"r{n}"), people, n) for n in range(count)]
    entries = [body.entry(signer.name, n, key) for n, body in enumerate(bodies)]
    for first in range(0, count, 256):
        part = entries[first : first + 256]
        (root / tiles.bundle_path(first + len(part))).parent.mkdir(parents=True, exist_ok=True)
        (root / tiles.bundle_path(first + len(part))).write_bytes(b"".join(map(tiles.framed, part)))
    files = dict(tiles.extended(tiles.Tiles({}.get, 0), [merkle.leaf_hash(entry) for entry in entries]))
    for n in (
        *range(0, count, 997),
        *(2**k - 1 + j for k in range(17) for j in (0, 1)),
        *range(max(count - 300, 0), count),
    ):
        if n < count:
            files[pointers.run_path("note", bodies[n].run, people)] = b"%d\n" % n
    for n in range(count):
        files[pointers.nth_path("note", people, n)] = b"%d\n" % n
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    root_hash = merkle.root(tiles.Tiles(files.get, count).node, count)
    store.put("checkpoint", str(signer.sign(notes.Checkpoint(signer.name, count, root_hash).text)).encode())
    return place
