"""``dataward verify``: prove that a table equals its seal; without Spark unless rows are requested."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from itertools import groupby
from typing import TYPE_CHECKING

from dataward.cli.parsing import Verb, with_contract
from dataward.cli.say import print_json, say
from dataward.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dataward.contract import Contract
    from dataward.integrity.findings import Finding
    from dataward.tables.aws import StorageState
    from dataward.verbs.verify import Asked, Progress, Proof

__all__ = ["add"]

WIDTH, SLOW = 30, 0.5  # characters of the bar; seconds before it is shown
SHOWN = 5  # findings of one code that are printed


def add(verb: Verb) -> None:
    """Add the verb."""
    command = with_contract(verb("verify", _verify, "Prove that the target is as it was sealed, without Spark."))
    command.add_argument(
        "--version",
        type=int,
        dest="table_version",
        metavar="N",
        help="default: the newest sealed version, and what came after it",
    )
    command.add_argument(
        "--all", action="store_true", dest="every", help="every sealed version, and every entry of the ledger"
    )
    command.add_argument("--public-key", action="append", default=[], metavar="PEM",
                         help="trusted public keys (of: dataward keys public); default: the contract's keyring")  # fmt: skip
    command.add_argument("--head", action="append", default=[], metavar="FILE",
                         help="a checkpoint of the ledger that was kept elsewhere, which the ledger must continue")  # fmt: skip
    command.add_argument("--table", metavar="PATH", help="the table's folder, where it is not the contract's")
    command.add_argument("--report", metavar="DIR", help="also compare the run's report in this folder with the seal")
    command.add_argument(
        "--rows", action="store_true", help="also recompute the keyed digest of the rows, with Spark and the keyring"
    )
    command.add_argument(
        "--storage", action="store_true", help="also report encryption, TLS, versions and locks of the tables' buckets"
    )
    command.add_argument("--bundle", metavar="ZIP", help="also write proofs, statements and a checker, for use offline")
    command.add_argument(
        "--test-result", metavar="FILE", help="also write the verdicts as a signed in-toto test result"
    )


def _verify(arguments: argparse.Namespace) -> int:
    from dataward.contract import load
    from dataward.pipeline.guard import watched

    if arguments.rows and arguments.public_key:
        raise UsageError("--rows needs the keyring, and --public-key is for those who have none: give one of the two")
    contract = load(arguments.contract)
    with watched("verify", contract=contract) as finish:  # bundle, test result and storage belong to the same call
        return _proved(arguments, contract, finish)


def _proved(arguments: argparse.Namespace, contract: Contract, finish: Callable[[Proof], None]) -> int:
    from dataward.verbs.verify import Asked, verify_contract

    asked = Asked(
        version=arguments.table_version,
        every=arguments.every,
        public_keys=tuple(arguments.public_key),
        heads=tuple(arguments.head),
        table=arguments.table,
        reports=arguments.report,
        rows=arguments.rows,
        progress=_bar() if sys.stderr.isatty() else (lambda done, total, size: None),
    )
    spark = None
    if arguments.rows:
        from dataward.spark import session

        spark = session.get()
    proof = verify_contract(spark, contract, asked)
    finish(proof)
    written = list(_written(arguments, contract, asked, proof))
    states = _storage(contract) if arguments.storage else ()
    if arguments.json:
        storage = {"storage": [dataclasses.asdict(state) for state in states]} if arguments.storage else {}
        print_json({**dataclasses.asdict(proof), "holds": proof.holds, **storage})
    else:
        _print(proof)
        for state in states:
            print(f"bucket {state.bucket}, which is no part of the proof:")
            for name, good, words in state.lines():
                print(f"  {'ok    ' if good else 'note  '}  {name:<10} {words}")
    say(*written)
    return 0 if proof.holds else 1


def _storage(contract: Contract) -> tuple[StorageState, ...]:
    from dataward.verbs.preflight import storage_of

    states = storage_of(contract)
    if not states:
        say("warning: --storage: no table of this contract is in S3")
    return states


def _written(arguments: argparse.Namespace, contract: Contract, asked: Asked, proof: Proof) -> list[str]:
    written = []
    if arguments.bundle:
        from dataward.verbs.bundle import bundle

        made = bundle(contract, asked, arguments.bundle)
        written.append(f"bundle: {made.path} proves {len(made.versions)} version(s); check it with the check.py inside")
    if arguments.test_result:
        from dataward.verbs.bundle import write_test_result

        write_test_result(contract, asked, proof.version, arguments.test_result)
        written.append(f"test result: {arguments.test_result}")
    return written


def _print(proof: Proof) -> None:
    print(f"{proof.target} version {proof.version}, sealed {proof.sealed_at} by run {proof.run_id}")
    for check in proof.checks:
        mark = "note  " if check.warning else "ok    " if check.holds else "FAILED"
        findings = [one for one in proof.findings if str(one) in check.detail]
        first, *more = list(_folded(findings)) or [check.detail]
        print(f"  {mark}  {check.name:<9} {first}")
        for line in more:
            print(f"  {'':<6}  {'':<9} {line}")
    for version in proof.versions:
        gone = f", {len(version.gone)} gone" if version.gone else ""
        print(f"  version {version.version:<6} {version.state:<9} {version.files:,} file(s){gone}")
    print("the proof holds" if proof.holds else "THE PROOF DOES NOT HOLD")


def _folded(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield the findings as lines, the first few of each code; a wrong keyring makes one for every entry."""
    for code, same in groupby(findings, key=lambda one: one.code):
        lines = [str(one) for one in same]
        yield from lines[:SHOWN]
        if (more := len(lines) - SHOWN) > 0:
            yield f"{code}: and {more:,} more; --json lists every one"


def _bar() -> Progress:
    """Return a progress bar on stderr, which appears once hashing has taken a while."""
    begun, read = time.monotonic(), [0]

    def show(done: int, total: int, size: int) -> None:
        read[0] += size
        if time.monotonic() - begun < SLOW:
            return
        filled = WIDTH * done // max(total, 1)
        end = "\n" if done == total else ""
        print(
            f"\r[{'#' * filled}{'.' * (WIDTH - filled)}] {done:,}/{total:,} files, {read[0] / 1e6:,.0f} MB",
            end=end,
            file=sys.stderr,
            flush=True,
        )

    return show
