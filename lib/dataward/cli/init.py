"""``dataward init``: create a project."""

from __future__ import annotations

import argparse

from dataward.cli.parsing import Verb
from dataward.cli.say import print_json

__all__ = ["add"]


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
    command.add_argument("--prefix", default="acme-data", help="with --aws: what the buckets' names begin with")
    command.add_argument("--account", default="123456789012", metavar="ID", help="with --aws: the AWS account")
    command.add_argument("--region", default="eu-west-1", help="with --aws: the AWS region")
    command.add_argument("--env", default="prod", help="with --aws: env of the encryption context")


def _init(arguments: argparse.Namespace) -> int:
    from dataward.verbs.init import Asked, init

    names = ("folder", "platform", "prefix", "account", "region", "env")
    made = init(Asked(**{name: getattr(arguments, name) for name in names}))
    if arguments.json:
        print_json({"folder": arguments.folder, "files": made})
        return 0
    print(f"{arguments.folder}: {len(made)} files")
    for path in made:
        print(f"  {path}")
    print("next:")
    print(f"  cd {arguments.folder}")
    print("  dataward keys create contracts/customers.yaml")
    print("  dataward publish --contract contracts/customers.yaml")
    return 0
