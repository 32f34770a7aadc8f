"""``dataward ledger``: list entries, show the head, prove an entry, check, repair, migrate."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataward.cli.parsing import Verb, with_contract
from dataward.cli.say import print_json, say
from dataward.errors import UsageError, counted

if TYPE_CHECKING:
    from dataward.contract import Contract
    from dataward.integrity.ledger import Entry
    from dataward.integrity.log.notes import Note, Verifier

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verb and its actions."""
    action = verb.group("ledger", "Show, prove, check, repair or migrate the ledger of a contract; needs no Spark.")
    command = with_contract(action("show", _show, "List the entries, newest last."))
    command.add_argument("--kind", metavar="KIND", help="only entries of this kind, such as seal, ask or erasure")
    command.add_argument("--last", type=int, default=20, metavar="N", help="only the newest N (20); 0: all")
    with_contract(
        action(
            "head",
            _head,
            "Print the newest signed checkpoint, to be kept elsewhere, and its public key.",
        )
    )
    command = with_contract(action("prove", _prove, "Print the offline proof of an entry (C2SP tlog-proof)."))
    command.add_argument("index", type=int, metavar="INDEX", help="number of the entry, as 'show' lists it")
    command.add_argument("--out", metavar="FILE", help="write the proof to FILE and the entry to FILE.entry")
    command = _with_heads(
        action("check", _check, "Check every entry, statement and tile, and the heads that were kept elsewhere.")
    )
    only = "verify by this public key, not by the keyring; may be repeated"
    command.add_argument("--key", action="append", default=[], metavar="VKEY", help=only)
    _with_heads(action("repair", _repair, "Rebuild tiles, pointers and checkpoint from the signed entries."))
    with_contract(action("publish", _publish_heads, "Keep the newest checkpoint at every place under 'heads'."))
    _add_cloudtrail(action)
    bring = "Bring a ledger of an older Dataward (a Delta table) over, with its proof; needs Spark."
    with_contract(action("migrate", _migrate, bring))


def _add_cloudtrail(action: Verb) -> None:
    export = "Export new entries in CloudTrail's format, for 'aws cloudtrail validate-logs'."
    command = with_contract(action("cloudtrail", _cloudtrail, export))
    command.add_argument("--to", required=True, metavar="S3", help="s3://BUCKET/PREFIX")
    command.add_argument(
        "--key", required=True, metavar="PEM", help="RSA key of the digests (openssl genrsa -out PEM 3072)"
    )
    command.add_argument("--account", required=True, metavar="ID", help="AWS account, 12 digits")
    command.add_argument("--region", required=True, metavar="REGION")
    command.add_argument("--trail", default="dataward", metavar="NAME", help="name of the trail (dataward)")


def _with_heads(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    with_contract(command).add_argument(
        "--head",
        action="append",
        default=[],
        metavar="FILE",
        help="a checkpoint that was kept elsewhere; may be repeated",
    )
    return command


def _contract(arguments: argparse.Namespace) -> Contract:
    from dataward.contract import load

    contract = load(arguments.contract)
    if contract.ledger_location.path is None:
        from dataward.spark import session

        session.get()
    return contract


def _show(arguments: argparse.Namespace) -> int:
    from dataward.verbs.ledger import listed

    contract = _contract(arguments)
    found = listed(contract, arguments.kind)
    shown = found[-arguments.last :] if arguments.last > 0 else found
    if arguments.json:
        print_json({"ledger": str(contract.ledger_location), "entries": [_plain(entry) for entry in shown]})
        return 0
    print(f"{contract.ledger_location}: {f'{len(found):,} entries' if len(found) != 1 else '1 entry'}")
    for entry in shown:
        print(f"  {entry.seq:>6}  {entry.body.time[:19]:<19}  {entry.body.kind:<10}  {_told(entry)}")
    return 0


def _plain(entry: Entry) -> dict[str, Any]:
    body = {
        name: value
        for name, value in dataclasses.asdict(entry.body).items()
        if name != "signature" and value not in (None, {})
    }
    return {"index": entry.seq, **body, "erased": not entry.seal_text}


def _told(entry: Entry) -> str:
    """Return run and table of an entry if its statement is a record that names them."""
    if not entry.seal_text:
        return "statement erased"
    try:
        record = entry.record
    except ValueError:
        return f"statement {entry.body.statement[:16]}, {len(entry.seal_text):,} characters"
    version = "" if record.version is None else f" version {record.version}"
    return f"{record.target}{version}  run {record.run_id}  by {record.who or '?'}"


def _head(arguments: argparse.Namespace) -> int:
    from dataward.verbs.ledger import head

    found = head(_contract(arguments))
    if arguments.json:
        print_json(dataclasses.asdict(found))
        return 0
    print(found.checkpoint, end="")
    say(f"{found.ledger}: {found.size} entries, signed by", *(f"  {key}" for key in found.keys))
    return 0


def _prove(arguments: argparse.Namespace) -> int:
    from dataward.verbs.ledger import prove

    proof, entry = prove(_contract(arguments), arguments.index)
    if arguments.out:
        _new(Path(arguments.out), str(proof).encode())
        _new(Path(f"{arguments.out}.entry"), entry)
        say(f"{arguments.out}: the proof; {arguments.out}.entry: the entry that it is about")
    if arguments.json:
        print_json({"index": proof.index, "proof": str(proof), "entry": entry.decode()})
    elif not arguments.out:
        print(proof, end="")
    return 0


def _new(path: Path, data: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}): give the name of a new file") from None


def _check(arguments: argparse.Namespace) -> int:
    from dataward.verbs.ledger import check_ledger

    contract = _contract(arguments)
    found = check_ledger(contract, _heads(arguments.head), _keys(arguments.key))
    checked = found.checked
    if arguments.json:
        print_json({"ledger": str(contract.ledger_location), "size": checked.head.size, "root": checked.head.root.hex(),
                    "uncovered": checked.uncovered, "heads": found.heads, "pointers": found.pointers, "unread": found.unread,
                    "flaws": [dataclasses.asdict(flaw) for flaw in checked.flaws]})  # fmt: skip
        return 0 if found.holds else 1
    for flaw in checked.flaws:
        print(f"  {flaw.kind:<20}  {flaw.message}")
    for line in found.unread:
        print(f"  {'head-unread':<20}  {line}")
    if checked.uncovered:
        print(f"  {counted(checked.uncovered, 'more')} not covered yet: a writer was killed; the next run covers it")
    if found.pointers:
        print(
            f"  {counted(found.pointers, 'pointer')} missing or wrong (derived, never trusted). Repair with: dataward ledger repair"
        )
    compared = f"; compared with {counted(found.heads, 'head')} kept elsewhere" if found.heads else ""
    held = (
        "every entry, statement and tile holds"
        if found.holds
        else f"{counted(len(checked.flaws) + len(found.unread), 'flaw')}"
    )
    print(f"{contract.ledger_location}: size {checked.head.size}, {held}{compared}")
    return 0 if found.holds else 1


def _publish_heads(arguments: argparse.Namespace) -> int:
    from dataward.verbs.ledger import publish_heads

    contract = _contract(arguments)
    kept = publish_heads(contract)
    contradicted = any(one.contradicts for one in kept)
    code = 1 if contradicted else 3 if any(one.trouble and one.required for one in kept) else 0
    if arguments.json:
        print_json({"ledger": str(contract.ledger_location), "heads": [dataclasses.asdict(one) for one in kept]})
        return code
    for one in kept:
        print(f"  {one.place}: " + (f"not kept: {one.trouble}" if one.trouble else one.where))
    print(
        f"{contract.ledger_location}: head of size {kept[0].size} kept at {sum(not one.trouble for one in kept)} of {len(kept)} places"
    )
    return code


def _heads(paths: Sequence[str]) -> list[Note]:
    from dataward.verbs.ledger import note_of

    return [note_of(path) for path in paths]


def _keys(texts: Sequence[str]) -> list[Verifier]:
    from dataward.integrity.log.notes import Verifier

    try:
        return [Verifier.parsed(text) for text in texts]
    except ValueError as error:
        raise UsageError(f"--key: {error}") from None


def _repair(arguments: argparse.Namespace) -> int:
    from dataward.verbs.ledger import repair

    contract = _contract(arguments)
    done = repair(contract, _heads(arguments.head))
    if arguments.json:
        print_json(
            {
                "ledger": str(contract.ledger_location),
                "size": done.head.size,
                "written": done.written,
                "removed": done.removed,
            }
        )
        return 0
    for what, names in (("written", done.written), ("removed", done.removed)):
        for name in names:
            print(f"  {what}  {name}")
    print(
        f"{contract.ledger_location}: size {done.head.size}; {counted(len(done.written), 'file')} rebuilt, {len(done.removed)} removed"
    )
    return 0


def _cloudtrail(arguments: argparse.Namespace) -> int:
    from dataward.integrity.heads.cloudtrail import Trail
    from dataward.verbs.ledger import cloudtrail

    place = re.fullmatch(r"s3a?://([^/]+)/?(.*?)/*", arguments.to)
    named = re.fullmatch(r"[a-z0-9-]+", arguments.region) and re.fullmatch(r"[A-Za-z0-9._-]{3,128}", arguments.trail)
    if not place or not named or not re.fullmatch(r"[0-9]{12}", arguments.account):
        raise UsageError(
            "give --to s3://BUCKET/PREFIX, --account with 12 digits, --region such as eu-west-1, a trail's name"
        )
    trail = Trail(place[1], place[2], arguments.account, arguments.region, arguments.trail)
    digest, keys = cloudtrail(_contract(arguments), trail, arguments.key)
    if arguments.json:
        print_json({"arn": trail.arn, "digest": digest.key if digest else None, "size": digest and digest.size, **keys})
    elif digest is None:
        print(f"{arguments.to}: nothing new since the last export")
    else:
        print(f"s3://{trail.bucket}/{digest.key}: {digest.size} entries exported so far; trail {trail.arn}")
    return 0


def _migrate(arguments: argparse.Namespace) -> int:
    from dataward.spark import session
    from dataward.verbs.ledger import migrate

    contract = _contract(arguments)
    count = migrate(session.get(), contract)
    if arguments.json:
        print_json({"ledger": str(contract.ledger_location), "entries": count})
        return 0
    print(f"{contract.ledger_location}: {count} entries brought over, their old hashes and signatures with them")
    if contract.ledger_location.path:
        print(f"The old table's files ({contract.ledger_location}/_delta_log and the Parquet files beside it) may be removed once "
              "'dataward ledger check' holds")  # fmt: skip
    return 0
