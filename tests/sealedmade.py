"""Tables written by hand, sealed in a real ledger without Spark."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

from dataward.contract import Location
from dataward.integrity import ledger
from dataward.integrity.dsse import Signer
from dataward.integrity.proof.proof import Proved, Request, prove
from dataward.integrity.proof.trust import Trust, from_keyring, from_pem
from dataward.integrity.seal import Seal, SealedCommit, SealedContent
from dataward.tables.deltalog.folder import folder
from tests.deltamade import Table, thirty
from tests.keys import RING
from tests.unit.test_manifest import manifests


@dataclass
class Sealed:
    """A table's folder and its ledger."""

    root: Path
    table: Table

    @property
    def target(self) -> Location:
        return Location(path="lake/people")  # as entries name it, wherever the folder was moved

    @property
    def place(self) -> Location:
        return Location(path=str(self.root / "ledger"))

    def trust(self, pem: bytes | None = None) -> Trust:
        log = ledger.open_log(self.place)
        return from_pem(log, [pem]) if pem else from_keyring(log, RING)

    def prove(self, trust: Trust | None = None, **request) -> Proved:
        log = ledger.open_log(self.place)
        trust = trust or self.trust()
        request = Request(**{"erased": ledger.erased(log, trust), **request})
        return prove(log, folder(str(self.table.root)), ledger.table_id(self.target), trust, request)

    def codes(self, **request) -> set[str]:
        return {one.code for one in self.prove(**request).findings if one.fails}

    def head(self):
        note = ledger.open_log(self.place).checkpoint()
        assert note is not None
        return note

    def statements(self) -> Path:
        return self.root / "ledger" / "statements"

    def copy(self, to: Path) -> Sealed:
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.root, to)
        return Sealed(to, dataclasses.replace(self.table, root=to / "table", adds=dict(self.table.adds)))


def seal(version: int, run_id: str, target: str = "lake/people", **more) -> Seal:
    fields = {
        "contract_sha256": "0",
        "time": f"2026-11-25T00:{version:02d}:00+00:00",
        "source": {},
        "verdicts": [],
        "rows": {},
    }
    return Seal(contract="people", run_id=run_id, target=target, version=version, who="me", protections=[], quarantine=None,
                content=SealedContent(digest="d", nonce="n", rows=2, files_sha256="0"), commit=SealedCommit(file="f", sha256="s"),
                code={}, key={"domain": "people", "version": 1}, **{**fields, **more})  # fmt: skip


def made(root: Path, shape: str = "append") -> Sealed:
    """A table of thirty versions, each sealed."""
    table = thirty(root / "table", shape)
    found = Sealed(root, table)
    for manifest in manifests(table.root)[0]:
        enter(found, manifest.version, f"r{manifest.version}", manifest)
    return found


def enter(sealed: Sealed, version: int, run_id: str, manifest, signer: Signer | None = None, **more) -> None:
    about = {"table": manifest.table, **({"whole": True} if manifest.whole else {})}
    attached = ledger.Attached(manifest.text(), more=about, signer=signer)
    ledger.append(sealed.place, RING, seal(version, run_id, **more), attached)
