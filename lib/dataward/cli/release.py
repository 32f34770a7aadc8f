"""The verbs release, synthesize and budget."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING

from dataward.cli.parsing import Verb, with_run_id
from dataward.cli.say import print_json, say
from dataward.errors import UsageError

if TYPE_CHECKING:
    from dataward.verbs.budget import State

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verbs."""
    command = verb("release", _release, "Answer a query with differential privacy, pay from a budget, seal the answer.")
    command.add_argument("query", metavar="QUERY", help="the query (YAML)")
    with_run_id(command, "name of this run; under the same name nothing is drawn or paid twice")
    way = command.add_mutually_exclusive_group()
    way.add_argument("--plan", action="store_true", help="forecast errors and cost; nothing is read or spent")
    way.add_argument("--audit", action="store_true", help="attack the query on worst-case neighbours; nothing is spent")
    way.add_argument("--verify", action="store_true", help="verify the newest sealed answer")
    command.add_argument(
        "--draws", type=int, default=40_000, metavar="N", help="with --audit: draws per neighbour (40000)"
    )
    command = verb(
        "synthesize", _synthesize, "Write a synthetic table with differential privacy, paid from a budget and sealed."
    )
    command.add_argument("file", metavar="FILE", help="what to synthesize (YAML)")
    with_run_id(command, "name of this run; under the same name nothing is drawn or paid twice")
    command.add_argument(
        "--utility",
        metavar="REPORT",
        help="new file: compare with the real rows, without noise; for those who may see them",
    )
    action = verb.group("budget", "Show, set or reserve privacy budgets.")
    command = _with_account(action("show", _show, "Show caps, what is spent and what is reserved."), required=False)
    command = _with_amount(_with_account(action("set", _set, "Set the cap of a table and unit.")))
    command.add_argument(
        "--composition",
        choices=("basic", "zcdp"),
        default="basic",
        help="how charges add up: epsilons (basic), or zCDP's rhos, better for many releases (zcdp)",
    )
    command = _with_amount(_with_account(action("reserve", _reserve, "Set a part aside for releases that name it.")))
    command.add_argument("--name", required=True, metavar="NAME", help="as queries name it: spend: {reservation: NAME}")


def _with_account(command: argparse.ArgumentParser, required: bool = True) -> argparse.ArgumentParser:
    command.add_argument("budgets", metavar="BUDGETS", help="the table of budgets: a path, or table:NAME")
    command.add_argument("--table", required=required, metavar="T", help="the asked table: a path, or table:NAME")
    command.add_argument("--unit", required=required, metavar="COLUMN", help="its column of units, or row")
    return command


def _with_amount(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("--epsilon", required=True, type=float, metavar="E")
    command.add_argument("--delta", type=float, default=0.0, metavar="D", help="default: 0")
    return command


def _release(arguments: argparse.Namespace) -> int:
    from dataward.release.query import load

    query = load(arguments.query)
    if arguments.plan:
        return _plan(arguments)
    if arguments.audit:
        return _audit(arguments)
    if arguments.verify:
        return _verify(arguments)
    from dataward.spark import session
    from dataward.verbs.release import release

    spark = session.get()
    say(f"release {query.release}: {query.source} -> {query.target}")
    done = release(spark, query, arguments.run_id, say)
    if arguments.json:
        print_json(dataclasses.asdict(done))
        return 0
    cost = done.cost
    say(
        f"{done.status}: {done.target} version {done.version}, {done.groups:,} groups, of {done.source['described']} version "
        f"{done.source['version']}",
        f"  charged epsilon {cost.epsilon:g}, delta {cost.delta:g} ({done.mechanism} noise) to {query.spend.budget}; run id {done.run_id}",
    )
    return 0


def _synthesize(arguments: argparse.Namespace) -> int:
    from dataward.release.synthesis import load_synthesis
    from dataward.spark import session
    from dataward.verbs.synthesize import synthesize

    wanted = load_synthesis(arguments.file)
    spark = session.get()
    say(f"synthesize {wanted.synthesize}: {wanted.source} -> {wanted.target}")
    done = synthesize(spark, wanted, arguments.run_id, arguments.utility, say)
    if arguments.json:
        print_json(dataclasses.asdict(done))
        return 0
    made = done.released
    say(
        f"{made.status}: {made.target} version {made.version}, {made.groups:,} rows; charged epsilon {made.cost.epsilon:g}, "
        f"delta {made.cost.delta:g} to {wanted.spend.budget}; run id {made.run_id}"
    )
    if done.utility:
        found = done.utility
        print(
            f"distance of columns: {max(found.marginals.values()):.3f} at most; of pairs {found.pairs[0]:.3f} on average, "
            f"{found.pairs[1]:.3f} at most"
        )
        print(
            f"'{found.predicted}' predicted on real rows: {found.synthetic:.3f} trained on synthetic ones, "
            f"{found.real:.3f} on real ones, {found.majority:.3f} without a model"
        )
        print(f"{arguments.utility} holds exact comparisons with the real table: not for publication")
    return 0


def _plan(arguments: argparse.Namespace) -> int:
    from dataward.spark import session
    from dataward.verbs.release import plan_release

    planned = plan_release(session.get(), arguments.query)
    if arguments.json:
        print_json(dataclasses.asdict(planned))
        return 0
    cost = planned.cost
    print(
        f"{planned.release} would cost epsilon {cost.epsilon:g}, delta {cost.delta:g}, with {planned.mechanism} noise"
    )
    if planned.threshold is not None:
        print(f"  groups of fewer than about {planned.threshold:,} units are left out (noise included)")
    for one in planned.forecasts:
        what = f" of {one.what}" if one.what else ""
        where = f" in a group of {one.of:,} rows" if one.of else ""
        print(f"  {one.answer}: ± {one.half_width:,.6g}{what}{where}")
    print(f"NOT COVERED: {planned.covered}" if planned.covered else "the budget covers it; nothing was spent")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from dataward.spark import session
    from dataward.verbs.release import verify_release

    proof = verify_release(session.get(), arguments.query)
    if arguments.json:
        print_json({**dataclasses.asdict(proof), "holds": proof.holds})
        return 0 if proof.holds else 1
    print(f"{proof.target} version {proof.version}, sealed {proof.sealed_at} by run {proof.run_id}")
    for check in proof.checks:
        print(
            f"  {'note  ' if check.warning else 'ok    ' if check.holds else 'FAILED'}  {check.name:<9} {check.detail}"
        )
    print("the proof holds" if proof.holds else "THE PROOF DOES NOT HOLD")
    return 0 if proof.holds else 1


def _audit(arguments: argparse.Namespace) -> int:
    if arguments.draws < 1000:
        raise UsageError(f"--draws {arguments.draws}: a bound needs at least 1000")
    from dataward.spark import session
    from dataward.verbs.release import audit_release

    found = audit_release(session.get(), arguments.query, arguments.draws)
    if arguments.json:
        print_json({**dataclasses.asdict(found), "holds": found.holds})
        return 0 if found.holds else 1
    for check in found.checks:
        print(f"  {'ok    ' if check.holds else 'FAILED'}  {check.name}: {check.detail}")
    print(
        f"epsilon is at least {found.bound:.3f} with confidence 95%; claimed is {found.epsilon:g}, delta {found.delta:g} "
        f"({found.draws:,} draws per neighbour)"
    )
    print("no attack succeeded" if found.holds else "AN ATTACK SUCCEEDED: do not release by this query")
    return 0 if found.holds else 1


def _show(arguments: argparse.Namespace) -> int:
    from dataward.spark import session
    from dataward.verbs.budget import show

    states = show(session.get(), arguments.budgets, arguments.table, arguments.unit)
    if arguments.json:
        print_json([dataclasses.asdict(state) for state in states])
        return 0
    for state in states:
        _print_state(state)
    if not states:
        print(
            f"{arguments.budgets}: no budget is set; dataward budget set {arguments.budgets} --table T --unit COLUMN --epsilon E"
        )
    return 0


def _set(arguments: argparse.Namespace) -> int:
    from dataward.spark import session
    from dataward.verbs.budget import Amount, set_cap

    cap = Amount(arguments.epsilon, arguments.delta)
    state = set_cap(session.get(), arguments.budgets, arguments.table, arguments.unit, cap, arguments.composition)
    return _told(arguments, state)


def _reserve(arguments: argparse.Namespace) -> int:
    from dataward.spark import session
    from dataward.verbs.budget import Amount, reserve

    amount = Amount(arguments.epsilon, arguments.delta)
    state = reserve(session.get(), arguments.budgets, arguments.table, arguments.unit, arguments.name, amount)
    return _told(arguments, state)


def _told(arguments: argparse.Namespace, state: State) -> int:
    if arguments.json:
        print_json(dataclasses.asdict(state))
    else:
        _print_state(state)
    return 0


def _print_state(state: State) -> None:
    print(f"{state.dataset}, unit {state.unit} ({state.composition} composition)")
    print(f"  cap       epsilon {state.cap.epsilon:g}, delta {state.cap.delta:g}")
    print(f"  spent     epsilon {state.spent.epsilon:.6g}, delta {state.spent.delta:.3g}, by {state.charges} charge(s)")
    for name, (held, used) in state.reservations.items():
        print(
            f"  reserved  epsilon {held.epsilon:g}, delta {held.delta:g} for {name}, of which {used.epsilon:g} and {used.delta:g} are spent"
        )
    left = max(0.0, state.cap.epsilon - state.bound.epsilon), max(0.0, state.cap.delta - state.bound.delta)
    print(f"  left      epsilon {left[0]:.6g}, delta {left[1]:.3g}")
