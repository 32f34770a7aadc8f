"""The one place that decides whether a verb may run, and records what became of it.

Every function of the API that touches data is ``@guarded("VERB")``. The outermost of nested calls is decided and recorded: a
verb that calls another asks once.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from dataward.access.decide import Asking, Decision, Principal, decide
from dataward.access.policies import Policies, of_access
from dataward.access.principals import of_arn, of_databricks, of_process
from dataward.access.sight import table_facts
from dataward.access.site import Settings, settings
from dataward.access.verbs import Verb, verb
from dataward.contract import Contract
from dataward.errors import NotPermitted, UsageError
from dataward.pipeline.plan import Plan
from dataward.spark.session import platform

__all__ = ["asker", "guarded", "permit"]

P = ParamSpec("P")
R = TypeVar("R")

_INSIDE: ContextVar[bool] = ContextVar("dataward_guarded", default=False)


def guarded(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decide a verb before a function runs, and record its outcome.

    The contract is taken from the function's arguments (a plan, plans, or a contract), and so are ``spark``, ``purpose`` and
    ``ticket``. Verbs on columns are decided inside of the function, which knows the columns.
    """
    known = verb(name)

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            if _INSIDE.get():
                return function(*args, **kwargs)
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            token = _INSIDE.set(True)
            try:
                with _watched(known, given.arguments):
                    return function(*args, **kwargs)
            finally:
                _INSIDE.reset(token)

        return run

    return wrap


@contextmanager
def _watched(known: Verb, given: Mapping[str, Any]) -> Iterator[None]:
    """Decide a call for each of its contracts."""
    contracts: list[Contract | None] = [*_contracts(given)]
    for contract in contracts or [None]:
        governing = settings(contract)
        if governing.silent:
            continue
        who = asker(given.get("spark"), contract, governing)
        if governing.access.governed and known.on == "Table":
            permit(of_access(governing.access), _asking(known.name, who, contract, given))
    yield


def permit(policies: Policies, asking: Asking) -> Decision:
    """Return the decision that permits a request.

    Raises:
        NotPermitted: no policy permits it, one forbids it, or it could not be decided.
    """
    (decision,) = decide(policies, [asking])
    if not decision.allowed:
        who, purpose = asking.principal.name, f" for the purpose '{asking.purpose}'" if asking.purpose else ""
        raise NotPermitted(
            f"not permitted: '{who}' may not {asking.verb} {asking.table.name}{purpose}: {decision.why}. "
            f"See: dataward access explain '{who}' {asking.verb} CONTRACT"
        )
    return decision


def _asking(name: str, who: Principal, contract: Contract | None, given: Mapping[str, Any]) -> Asking:
    if contract is None:
        from dataward.access.decide import TableFacts

        table = TableFacts("", "", "")
    else:
        table = table_facts(contract)
    purpose, ticket = (str(_named(given, word) or "") for word in ("purpose", "ticket"))
    return Asking(who, name, table, purpose=purpose, ticket=ticket)


def _named(given: Mapping[str, Any], word: str) -> Any:
    """Return an argument, or the attribute of that name of an argument that groups several."""
    if word in given:
        return given[word]
    return next((getattr(value, word) for value in given.values() if hasattr(value, word)), None)


def _contracts(given: Mapping[str, Any]) -> list[Contract]:
    """Return the contracts among the arguments of a call."""
    found = []
    for value in given.values():
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, Plan):
                found.append(one.contract)
            elif isinstance(one, Contract):
                found.append(one)
    return found


def asker(spark: Any, contract: Contract | None, governing: Settings) -> Principal:
    """Return who asks: with keys in KMS the caller as STS knows it, on Databricks the session's user, else the process's user.

    No environment variable changes it. It is no more than the platform's word: whoever can read a local keyring can open values
    without this package (docs/access.md).

    Raises:
        KeyringError: STS refused, or could not be reached.
        UsageError: the contract asks for a platform that cannot vouch here.
    """
    identity = governing.access.identity
    if identity == "sts" or (identity == "auto" and contract is not None and contract.keys.provider == "aws_kms"):
        from dataward.keys.aws import caller

        return of_arn(caller())
    if identity == "databricks" or (identity == "auto" and _on_databricks()):
        if spark is None or not _on_databricks():
            raise UsageError("identity databricks needs a Spark session on Databricks: call this verb with one, there")
        named = of_access(governing.access).named("Group") if governing.access.governed else ()
        return of_databricks(spark, named)
    return of_process()


def _on_databricks() -> bool:
    """Whether this is Databricks: by its folder, which a user cannot make, as well as by the environment.

    Elsewhere Spark takes its user from an environment variable.
    """
    return platform() == "databricks" and Path("/databricks").is_dir()
