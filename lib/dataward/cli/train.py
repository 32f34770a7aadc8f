"""The verbs train, score and site: federated training and its models."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from dataward.cli.parsing import Verb, with_contract
from dataward.cli.say import finite, print_json, say
from dataward.errors import UsageError

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verbs."""
    command = verb("train", _train, "Train one model over several sites without moving their rows; killed, it goes on.")
    command.add_argument("plan", metavar="PLAN", help="the plan (YAML); with --verify also a training's output folder")
    command.add_argument(
        "--key",
        default="keys/coordinator.key",
        metavar="FILE",
        help="the coordinator's key (default: keys/coordinator.key)",
    )
    command.add_argument(
        "--verify", action="store_true", help="check model, card and signatures of a finished training"
    )
    command.add_argument(
        "--coordinator",
        metavar="FILE",
        help="with --verify: the coordinator's public key, as you know it from elsewhere",
    )
    command.add_argument(
        "--digest", action="store_true", help="print the digest by which sites accept the plan, and end"
    )
    command = verb("survey", _survey, "Judge rules over several sites' tables by masked sums; no row leaves its site.")
    command.add_argument("survey", metavar="SURVEY", help="the survey (YAML)")
    command.add_argument("--key", default="keys/coordinator.key", metavar="FILE", help="the coordinator's key")
    command.add_argument(
        "--digest", action="store_true", help="print the digest by which sites accept the survey, and end"
    )
    command = verb(
        "intersect", _intersect, "Learn how many keys two sites share, or which; nothing else leaves a site."
    )
    command.add_argument("plan", metavar="PLAN", help="the plan (YAML); with --verify also its output folder")
    command.add_argument("--site", metavar="SITE", help="this site's file (YAML); it is the plan's receiver")
    command.add_argument(
        "--verify", action="store_true", help="check the card and signatures of a finished intersection"
    )
    command.add_argument(
        "--digest", action="store_true", help="print the digest by which sites accept the plan, and end"
    )
    _add_uses(verb)
    action = verb.group("site", "A site of federated training.")
    command = action("init", _init, "Create a key: NAME.key stays here, NAME.pub goes into the plan.")
    command.add_argument("name", metavar="NAME", help="name of the site, or coordinator")
    command.add_argument("--dir", default="keys", metavar="DIR", help="folder of the key (default: keys)")
    command = action("serve", _serve, "Verify the site's table, load it, and answer the coordinator until interrupted.")
    command.add_argument("site", metavar="SITE", help="the site's file (YAML)")


def _add_uses(verb: Verb) -> None:
    """Add the verbs that use a trained model."""
    command = with_contract(
        verb("score", _score, "Apply a trained model to a sealed table, or to records without Spark.")
    )
    command.add_argument("model", metavar="MODEL", help="output folder of a training, or its model.json")
    way = command.add_mutually_exclusive_group(required=True)
    way.add_argument(
        "--out", metavar="PLACE", help="score the contract's target into this Delta table (a path, or table:NAME)"
    )
    way.add_argument(
        "--records", metavar="FILE", help="protect and score raw records (JSON lines; - is stdin), print answers"
    )
    command.add_argument("--keep", default="", metavar="A,B", help="with --out: columns that go with the scores")
    command.add_argument(
        "--version", type=int, dest="table_version", metavar="N", help="with --out: default: the newest sealed one"
    )
    command = verb("mlflow", _mlflow, "Log a trained model, or a verified table, with its seal to MLflow.")
    way = command.add_mutually_exclusive_group(required=True)
    way.add_argument("--model", metavar="DIR", help="output folder of a training")
    way.add_argument("--contract", metavar="FILE", help="contract whose sealed target is the data set of a run")
    command.add_argument("--experiment", default="dataward", metavar="NAME", help="default: dataward")
    command.add_argument("--tracking", metavar="URI", help="tracking server; default: as MLflow is configured")
    command.add_argument(
        "--version", type=int, dest="table_version", metavar="N", help="with --contract: default: the newest sealed"
    )


def _train(arguments: argparse.Namespace) -> int:
    from dataward.federated.plan import read_plan
    from dataward.verbs.train import train

    if arguments.verify:
        return _verify(arguments)
    if arguments.coordinator:
        raise UsageError("--coordinator goes with --verify")
    plan = read_plan(arguments.plan)
    if arguments.digest:
        return _digest(arguments, plan)
    if plan.privacy is None:
        say("warning: the plan has no 'privacy': no noise is added, and the card says so")
    if len(plan.sites) == 2 and plan.privacy is None:
        say("warning: with two sites, each can take its own part off the sum and knows the other's")
    done = train(arguments.plan, arguments.key, say)
    if arguments.json:
        print_json({"path": done.path, "sha256": done.sha256, "card": done.card})
        return 0
    evaluation = done.card["evaluation"]
    measured = next((f"{name.replace('_', ' ')} {evaluation[name]:.3f}" for name in ("accuracy", "mean_squared_error")
                     if evaluation.get(name) is not None), "nothing held out, nothing measured")  # fmt: skip
    privacy = done.card["privacy"]
    cost = f"epsilon {privacy['spent_epsilon']:.3f} of {privacy['epsilon']:g} spent" if privacy else "no noise"
    say(f"trained {done.path}/model.json in {done.card['training']['rounds']} rounds: {measured}, {cost}")
    say(f"card: {done.path}/card.html")
    return 0


def _survey(arguments: argparse.Namespace) -> int:
    from dataward.federated.survey import read_survey
    from dataward.verbs.survey import survey

    if arguments.digest:
        return _digest(arguments, read_survey(arguments.survey))
    done = survey(arguments.survey, arguments.key, say)
    if arguments.json:
        print_json({**dataclasses.asdict(done), "holds": done.holds})
    else:
        print(f"{done.survey}: {done.rows:,} rows at {', '.join(done.sites)}")
        for one in done.verdicts:
            measured = "-" if one.measured is None else f"{one.measured:.6g}"
            print(f"  {one.outcome:<8} {measured:>12}  {one.rule}" + (f"  ({one.message})" if one.message else ""))
    return 0 if done.holds else 1


def _intersect(arguments: argparse.Namespace) -> int:
    from dataward.federated.intersect import read_intersection
    from dataward.verbs.intersect import intersect, verify_intersection

    if arguments.verify:
        folder = Path(arguments.plan)
        return _checked(
            arguments, folder if folder.is_dir() else Path(read_intersection(folder).output), verify_intersection
        )
    plan = read_intersection(arguments.plan)
    if arguments.digest:
        return _digest(arguments, plan)
    if not arguments.site:
        raise UsageError("intersect needs --site SITE.yaml: the file of this site, with its table and key")
    done = intersect(arguments.plan, arguments.site)
    if arguments.json:
        print_json({"path": done.path, "size": done.size, "keys": done.sizes, "card": done.card})
    else:
        counts = ", ".join(f"{name} has {number:,}" for name, number in done.sizes.items())
        say(f"{done.size:,} keys are shared ({counts}); card: {done.path}/card.json")
        if plan.reveal == "keys":
            say(f"keys: {done.path}/keys.jsonl, readable by its owner only")
    return 0


def _checked(arguments: argparse.Namespace, folder: Path, verify: Any) -> int:
    checks = verify(folder)
    holds = all(check.holds for check in checks)
    if arguments.json:
        print_json({"path": str(folder), "checks": [dataclasses.asdict(check) for check in checks], "holds": holds})
    else:
        for check in checks:
            print(f"  {'ok    ' if check.holds else 'FAILED'}  {check.name:<15} {check.detail}")
        print("the proof holds" if holds else "THE PROOF DOES NOT HOLD")
    return 0 if holds else 1


def _digest(arguments: argparse.Namespace, plan: Any) -> int:
    from dataward.federated.certificates import public_key

    raw = {name: public_key(pem).public_bytes_raw().hex() for name, pem in plan.public_keys().items()}
    digest = plan.digest(raw)
    print_json({"plan": plan.plan, "sha256": digest}) if arguments.json else print(digest)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from dataward.federated.plan import read_plan
    from dataward.verbs.train import verify_model

    folder = Path(arguments.plan)
    if not folder.is_dir():
        folder = Path(read_plan(arguments.plan).output.path)
    code = _checked(arguments, folder, lambda place: verify_model(place, arguments.coordinator))
    if not arguments.coordinator and not arguments.json:
        say("note: the coordinator's key is the one in the folder; give the one you know with --coordinator")
    return code


def _score(arguments: argparse.Namespace) -> int:
    if arguments.records:
        if arguments.keep or arguments.table_version is not None:
            raise UsageError("--keep and --version go with --out")
        return _score_records(arguments)
    from dataward.pipeline.plan import plan
    from dataward.spark import session
    from dataward.verbs.budget import location
    from dataward.verbs.score import score_table

    keep = tuple(filter(None, arguments.keep.split(",")))
    planned = plan(arguments.contract)
    done = score_table(session.get(), arguments.model, planned, location(arguments.out), keep, arguments.table_version)
    if arguments.json:
        print_json(dataclasses.asdict(done))
    else:
        say(f"scored {done.rows:,} rows of {done.source} version {done.version} into {done.target}")
    return 0


def _score_records(arguments: argparse.Namespace) -> int:
    from dataward.inference import score as score_records

    try:
        text = sys.stdin.read() if arguments.records == "-" else Path(arguments.records).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--records {arguments.records} cannot be read ({type(error).__name__})") from None
    records = []
    for number, line in enumerate(text.split("\n"), 1):  # other line breaks may be part of a text
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            raise UsageError(f"--records {arguments.records}: line {number} is no JSON object")
        records.append(record)
    answers = score_records(arguments.model, arguments.contract, records)
    if arguments.json:
        print_json({"answers": answers})
    else:
        for answer in answers:
            print(json.dumps(finite(answer)))
    return 0


def _mlflow(arguments: argparse.Namespace) -> int:
    from dataward.verbs.mlflow import log_model, log_table

    if arguments.model:
        if arguments.table_version is not None:
            raise UsageError("--version goes with --contract")
        done = log_model(arguments.model, arguments.experiment, arguments.tracking)
    else:
        from dataward.pipeline.plan import plan
        from dataward.spark import session

        planned = plan(arguments.contract)
        done = log_table(session.get(), planned, arguments.experiment, arguments.tracking, arguments.table_version)
    if arguments.json:
        print_json(dataclasses.asdict(done))
    else:
        say(f"logged run {done.run_id} of experiment {done.experiment}: {', '.join(done.datasets)}")
    return 0


def _init(arguments: argparse.Namespace) -> int:
    from dataward.verbs.site import init

    key, public = init(arguments.dir, arguments.name)
    if arguments.json:
        print_json({"key": str(key), "public_key": str(public)})
    else:
        say(f"{key}: the private key; it stays here", f"{public}: the public key; give it to those who write the plan")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from dataward.verbs.site import serve

    server = serve(None, arguments.site)
    serving = {"site": server.site.name, "url": f"https://{server.server_address[0]!s}:{server.server_address[1]}",
            "plans": list(server.site.plans)}  # fmt: skip
    if arguments.json:
        print_json(serving)
    say(f"site {serving['site']} listens at {serving['url']} for {', '.join(server.site.plans)}; Ctrl-C ends it")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        say("site stopped; what it answered is remembered")
    finally:
        server.server_close()
    return 0
