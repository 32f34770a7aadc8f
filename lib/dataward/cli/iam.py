"""``dataward iam``: the smallest IAM policy of a verb on a contract."""

from __future__ import annotations

import argparse
import dataclasses
import json

from dataward.cli.parsing import Verb
from dataward.cli.say import flushed, print_json, say
from dataward.errors import UsageError

__all__ = ["add"]


def add(verb: Verb) -> None:
    """Add the verb."""
    command = verb(
        "iam",
        _iam,
        "Print the smallest IAM policy with which a verb carries out a contract; needs no Spark and no AWS.",
    )
    command.add_argument(
        "contract",
        metavar="CONTRACT",
        help="the table's contract (YAML); for release, synthesize and budget-* a query, for site-serve and intersect also a site's file",
    )
    command.add_argument("verb", metavar="VERB", help="publish, verify, erase, ...; a wrong name lists them all")
    command.add_argument(
        "--role",
        default="",
        metavar="SERVICE",
        help="glue, emr (serverless), emr-ec2 or sagemaker: adds the trust policy",
    )
    command.add_argument("--account", default="", metavar="ID", help="12 digits; default: the account of the KMS key")
    command.add_argument(
        "--region", default="", metavar="R", help="default: the region of the KMS key, then AWS_REGION"
    )
    command.add_argument("--report", default="", metavar="DIR", help="folder of reports in S3, as the job is given it")
    command.add_argument(
        "--folder", default="", metavar="S3", help="S3 folder that the verb's command line names: --stream, --out, --to"
    )
    command.add_argument("--bucket-key", default="", metavar="ARN", help="KMS key that encrypts the buckets (SSE-KMS)")
    command.add_argument("--log-group", default="", metavar="NAME", help="CloudWatch Logs group of events and metrics")
    command.add_argument(
        "--location", action="append", default=[], metavar="T=S3", help="folder of a table that the catalog names"
    )
    command.add_argument("--cloudformation", action="store_true", help="print a CloudFormation template with the role")
    command.add_argument(
        "--diff", metavar="FILE", help="compare with a policy, or with CloudTrail records (.json, .gz, a folder)"
    )


def _iam(arguments: argparse.Namespace) -> int:
    from dataward.verbs.iam import PSEUDO, Asked, compare, grant, subject, template

    if arguments.cloudformation and not arguments.role:
        raise UsageError("--cloudformation makes a role: say which service takes it with --role")
    names = [f.name for f in dataclasses.fields(Asked) if f.name != "locations"]
    asked = Asked(**{name: getattr(arguments, name) for name in names}, locations=_locations(arguments.location))
    if arguments.cloudformation and not asked.account:
        asked = dataclasses.replace(asked, account=PSEUDO[0], region=asked.region or PSEUDO[1])
    planned, more = subject(arguments.contract, arguments.verb)
    given = grant(planned, asked, more)
    if arguments.diff:
        return _differences(arguments, compare(given.policy, arguments.diff))
    if arguments.cloudformation:
        document = template({f"{planned.name} {arguments.verb}": given})
    elif arguments.json or arguments.role:
        document = dataclasses.asdict(given)
    else:
        document = given.policy
    if not arguments.json:
        say(*(f"note: {note}" for note in given.notes))
    flushed(json.dumps(document, indent=2) + "\n")
    return 0


def _differences(arguments: argparse.Namespace, found: list) -> int:  # type: ignore[type-arg]
    if arguments.json:
        print_json({"differences": [dataclasses.asdict(difference) for difference in found]})
        return 1 if found else 0
    for difference in found:
        print(f"{difference.kind:<9} {difference.action} on {difference.resource}: {difference.remedy}")
    say(f"{arguments.diff}: " + (f"{len(found)} difference(s)" if found else "nothing missing, unused or too wide"))
    return 1 if found else 0


def _locations(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not (equals and path.startswith("s3")):
            raise UsageError(f"--location {text}: write TABLE=s3://BUCKET/FOLDER")
        found[name.replace("`", "")] = path
    return found
