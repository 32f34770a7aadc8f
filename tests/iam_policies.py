"""Policies of verbs, what of them can be left out, and an AWS that enforces them."""

import copy
import functools
import http.client
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from dataward.access import iam
from dataward.access.iam_evaluate import allows, as_list
from dataward.access.iam_verbs import QUERIES
from dataward.contract import Location
from dataward.verbs.iam import subject
from tests.aws import moto
from tests.iam_lake import KEY, QUERY, SYNTHESIS
from tests.iam_lake import contract_of as contract
from tests.iam_wire import ACCOUNT, REGION

HOME = iam.Account(ACCOUNT, REGION)

REPORTS = "s3a://lake-TAG/reports"


def policy_of(verb, of=None, account=HOME, query=None):
    if verb in QUERIES:
        text = (SYNTHESIS if verb == "synthesize" else QUERY).format(tag="TAG", key=KEY)
        made, more = subject(str(query or _written(text)), verb)
        return iam.policy(made.contract, verb, replace(account, more=more))
    place = Location(path=f"s3a://lake-TAG/folder/{verb}")
    more = {"folder": place, "checkpoint": place, "budgets": Location(path="s3a://lake-TAG/gold/budgets")}
    return iam.policy(of or contract(heads=()), verb, replace(account, more=more), REPORTS)


@functools.cache
def _written(text):
    file = Path(tempfile.mkdtemp()) / "query.yaml"
    file.write_text(text)
    return file


def without(policy):
    """Every statement that lacks one action, one resource or one value of a condition: its name, number and rest (None: nothing)."""
    for number, statement in enumerate(policy["Statement"]):
        for field in ("Action", "Resource"):
            values = as_list(statement[field])
            for value in values:
                rest = {**statement, field: [v for v in values if v != value]}
                yield f"{statement['Sid']}: {value}", number, rest if len(values) > 1 else None
        for operator, keys in statement.get("Condition", {}).items():
            for key, values in keys.items():
                if key == "s3:prefix" or key == "kms:EncryptionContext:domain":
                    for value in as_list(values):
                        rest = copy.deepcopy(statement)
                        rest["Condition"][operator][key] = [v for v in as_list(values) if v != value]
                        yield f"{statement['Sid']}: {key} {value}", number, rest


def lacking(policy):
    """Every action of a policy, and the policy without it.

    First those that make something: an attempt that fails later may have made what the next ones then find.
    """
    actions = {action for one in policy["Statement"] for action in as_list(one["Action"])}
    for action in sorted(actions, key=lambda one: (not re.search(":(Put|Generate)", one), one)):
        rest = [{**one, "Action": [a for a in as_list(one["Action"]) if a != action]} for one in policy["Statement"]]
        yield action, {**policy, "Statement": [one for one in rest if one["Action"]]}


def part(policy, number, rest):
    """The policy with another statement at a number."""
    statements = [*policy["Statement"][:number], *([rest] if rest else []), *policy["Statement"][number + 1 :]]
    return {**policy, "Statement": statements}


def spare(policy, requests):
    """What of a policy (of Allow statements) no request needs: only those that one statement alone allows can tell."""
    only = [[] for _ in policy["Statement"]]
    for request in requests:
        by = [n for n, one in enumerate(policy["Statement"]) if allows({"Statement": [one]}, request)]
        if len(by) == 1:
            only[by[0]].append(request)
    return [
        what
        for what, number, rest in without(policy)
        if all(rest is not None and allows({"Statement": [rest]}, request) for request in only[number])
    ]


def enforce(free_calls):
    connection = http.client.HTTPConnection(moto())
    connection.request("POST", "/moto-api/reset-auth", str(free_calls), {"Content-Type": "text/plain"})
    connection.getresponse().read()
