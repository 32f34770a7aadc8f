"""``dataward init``: create a project."""

from __future__ import annotations

import argparse
import shlex

from dataward.cli.parsing import Verb
from dataward.cli.say import print_json
from dataward.errors import UsageError

__all__ = ["add"]

AWS = ("prefix", "account", "region", "env")


def add(verb: Verb) -> None:
    """Add the verb."""
    command = verb(
        "init", _init, "Lay out a project in a new folder: a contract that runs, templates, roles, examples."
    )
    command.add_argument("folder", metavar="DIR", help="a new or empty folder")
    platform = command.add_mutually_exclusive_group()
    platform.add_argument("--aws", dest="platform", action="store_const", const="aws", default="",
                          help="with CloudFormation, SageMaker, Airflow and Step Functions")  # fmt: skip
    platform.add_argument("--databricks", dest="platform", action="store_const", const="databricks",
                          help="with an asset bundle and Unity Catalog tables")  # fmt: skip
    command.add_argument("--prefix", help="with --aws: what the buckets' names begin with (acme-data)")
    command.add_argument("--account", metavar="ID", help="with --aws: the AWS account (123456789012, an example)")
    command.add_argument("--region", help="with --aws: the AWS region (eu-west-1)")
    command.add_argument("--env", help="with --aws: env of the encryption context (prod)")


def _init(arguments: argparse.Namespace) -> int:
    from dataward.verbs.init import Asked, init

    named = {name: getattr(arguments, name) for name in AWS if getattr(arguments, name) is not None}
    if named and arguments.platform != "aws":
        raise UsageError(f"--{next(iter(named))} goes with --aws")
    made = init(Asked(arguments.folder, arguments.platform, **named))
    if arguments.json:
        print_json({"folder": arguments.folder, "files": made})
        return 0
    print(f"{arguments.folder}: {len(made)} files")
    for path in made:
        print(f"  {path}")
    print("next:")
    print(f"  cd {shlex.quote(arguments.folder)}")
    print("  dataward keys create contracts/customers.yaml")
    print("  dataward publish --contract contracts/customers.yaml")
    return 0
