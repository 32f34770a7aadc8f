"""``dataward suggest``: tested rules for a table without rules; corruptions that a contract's rules would not notice."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from dataward.cli.discovery import drafts_next, refuse_existing, write_draft
from dataward.cli.parsing import Verb, options_of, with_source
from dataward.cli.say import print_json, say
from dataward.errors import UsageError

if TYPE_CHECKING:
    from dataward.verbs.suggest import Suggestions

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verb."""
    command = verb(
        "suggest", _suggest, "Suggest rules for a table, each tried on loads it has not seen and on corruptions."
    )
    command.add_argument("source", metavar="SOURCE", nargs="?", help="a path, or a table of the catalog")
    with_source(command)
    command.add_argument(
        "--draft", metavar="FILE", help="write a contract with the rules; an existing file is left alone"
    )
    command.add_argument(
        "--mutate", metavar="CONTRACT", help="instead: which corruptions would the rules of this contract notice?"
    )


def _suggest(arguments: argparse.Namespace) -> int:
    from dataward.contract import detectors
    from dataward.contract.draft import Drafting
    from dataward.pipeline.plan import plan
    from dataward.spark import session
    from dataward.verbs.discover import Asked, discover, drafted, source_of
    from dataward.verbs.suggest import mutate, suggest

    if (arguments.source is None) == (arguments.mutate is None):
        raise UsageError("give a SOURCE to suggest rules for, or --mutate CONTRACT")
    if arguments.mutate and (arguments.draft or arguments.format or arguments.option or arguments.detectors):
        raise UsageError("--draft, --format, --option and --detectors go with a SOURCE: leave out --mutate")
    refuse_existing(arguments.draft)
    if arguments.mutate:
        found = mutate(session.get(), plan(arguments.mutate), say)
    else:
        custom = detectors(arguments.detectors) if arguments.detectors else {}
        spark = session.get()
        source = source_of(spark, arguments.source, arguments.format, options_of(arguments))
        found = suggest(spark, source, custom, say)
        if arguments.draft:
            held = discover(spark, source, Asked(custom=custom))
            how = Drafting(detectors_path=arguments.detectors, rules=[one.rule for one in found.rules])
            write_draft(arguments.draft, drafted(source, held, how))
            say(*drafts_next(arguments.draft))
    if arguments.json:
        print_json(dataclasses.asdict(found))
    else:
        _print(found)
    return 0


def _print(found: Suggestions) -> None:
    print(f"{found.source}: {found.rows:,} rows, {len(found.rules)} rules")
    for one in found.rules:
        print(f"  {one.rule}" + (f"   # {one.why}" if one.why else ""))
        if one.caught:
            print(f"      notices {_some(one.caught)}")
    if found.left_out:
        print("left out, as they would have raised false alarms:")
    for one in found.left_out:
        print(f"  {one.rule[:100]}: on {one.alarms} of {one.loads} loads")
    print(
        f"{found.tried - len(found.unnoticed)} of {found.tried} corruptions are noticed"
        + (":" if found.unnoticed else "")
    )
    for name in found.unnoticed:
        print(f"  nothing would notice that {name}")


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
