"""Decide whether a verb may run, and record its outcome. No other module does.

Every function of the API that touches data is ``@guarded("VERB")``. Of nested calls, only the outermost is decided and recorded.
A verb that calls another asks once.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pydantic import BaseModel

from dataward.access.decide import Asking, Decision, Principal, TableFacts, decide
from dataward.access.events import Begun, Outcome
from dataward.access.policies import Policies, of_access
from dataward.access.principals import of_arn, of_databricks, of_process
from dataward.access.sight import table_facts
from dataward.access.site import Settings, settings
from dataward.access.verbs import FINDING, Verb, verb
from dataward.contract import Contract
from dataward.errors import DatawardError, NotPermitted, RunError, TargetError, UsageError
from dataward.integrity import ledger
from dataward.integrity.seal import code_version
from dataward.pipeline import connect
from dataward.pipeline.trail import Trail, subject_of
from dataward.spark.session import platform

__all__ = ["asker", "caller", "guarded", "permit", "permit_column", "watched"]

P = ParamSpec("P")
R = TypeVar("R")

_INSIDE: ContextVar[bool] = ContextVar("dataward_guarded", default=False)
_CALLERS: ContextVar[list[tuple[Contract | None, Principal]] | None] = ContextVar("dataward_callers", default=None)
"""Principals of the running verb, each with its contract; None outside of a verb."""


def guarded(name: str, of: str = "source") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decide a verb before a function runs, and record its outcome.

    The contract is taken from the function's arguments (a plan, plans, or a contract), and so are ``spark``, ``purpose`` and
    ``ticket``. Where the function takes a plan, a caller may give the path of its contract. Verbs on columns are decided inside the
    function, which knows the columns.

    Args:
        name: the verb.
        of: argument with the place that a verb without a contract is about.
    """
    known = verb(name)

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            if isinstance(contract := given.arguments.get("plan"), str | Path):
                from dataward.pipeline.plan import plan as read_plan

                given.arguments["plan"] = read_plan(contract)
            with _watching(known, {**given.arguments, "source": given.arguments.get(of)}) as finish:
                result = function(*given.args, **given.kwargs)
                finish(result)
                return result

        return run

    return wrap


def watched(name: str, **given: Any) -> AbstractContextManager[Callable[[Any], None]]:
    """Decide a verb, and record the outcome of the block that follows.

    For code that is not a function of a plan; ``given`` are ``contract`` (or None), ``spark``, ``purpose``, ``source`` and ``ticket``. The
    block may call the yielded function with a result; the event then contains the numbers of the result.
    """
    return _watching(verb(name), given)


@contextmanager
def _watching(known: Verb, given: Mapping[str, Any]) -> Iterator[Callable[[Any], None]]:
    """Decide a call, and record its outcome; inside another verb, do neither."""
    if _INSIDE.get():
        yield lambda result: None
        return
    token, callers = _INSIDE.set(True), _CALLERS.set([])
    calls: list[_Call] = []
    came: list[Outcome] = []
    try:
        contracts = _contracts(given)
        for contract in contracts:
            calls += _begun(known, contract, given)
        for call in calls:
            call.decide()
        for contract in contracts:  # after the decision: a refusal is an event as well
            connect.refuse(given.get("spark"), contract, known.name)
        yield lambda result: came.append(came_to(known, result))
    except BaseException as error:
        with suppress(TargetError):  # the verb's own error says more
            _end(calls, failed(error))
        raise
    finally:
        _INSIDE.reset(token)
        _CALLERS.reset(callers)
    _end(calls, came[-1] if came else Outcome("success"))


@dataclass(frozen=True)
class _Call:
    """One call of a verb on one contract, or on none."""

    verb: Verb
    contract: Contract | None
    governing: Settings
    who: Principal
    begun: Begun
    spark: Any

    @property
    def trail(self) -> Trail | None:
        return Trail(self.governing.audit, self.contract) if self.governing.audit else None

    def decide(self) -> None:
        if self.verb.on != "Table":
            return
        table = table_facts(self.contract) if self.contract else TableFacts("", self.begun.subject.table)
        asking = Asking(self.who, self.verb.name, table, None, self.begun.purpose, self.begun.ticket)
        governing = [one for one in (self.governing.access, self.governing.binding) if one is not None and one.governed]
        for access in governing:
            permit(of_access(access), asking)
        if governing and self.verb.name == "publish" and self.contract and _changed(self.contract):
            for access in governing:
                permit(of_access(access), replace(asking, verb="change_contract"))

    def end(self, outcome: Outcome) -> None:
        if self.trail:
            self.trail.end(self.begun, outcome, self.spark)


def _changed(contract: Contract) -> bool:
    """Return whether the contract differs from the contract of the newest seal."""
    with suppress(DatawardError):  # a ledger that cannot be read stops the run itself
        seal = ledger.newest_seal(contract.ledger_location, contract.target)
        return seal is not None and seal.contract_sha256 != subject_of(contract).sha256
    return False


def _begun(known: Verb, contract: Contract | None, given: Mapping[str, Any]) -> Iterator[_Call]:
    """Identify the principal, and record that the verb begins; yield nothing where neither access nor audit is configured."""
    governing = settings(contract)
    if governing.silent:
        if (
            known.writes
        ):  # its seal names the principal: whoever cannot be identified learns it before anything is written
            caller(given.get("spark"), contract)
        return
    who = caller(given.get("spark"), contract)
    purpose, ticket = (str(_named(given, word) or "") for word in ("purpose", "ticket"))
    subject = subject_of(contract, str(given.get("source") or given.get("root") or ""))
    begun = Begun(known, who, subject, code_version()["version"], purpose, ticket)
    call = _Call(known, contract, governing, who, begun, given.get("spark"))
    if call.trail:
        call.trail.begin(begun)
    yield call


def _end(calls: Sequence[_Call], outcome: Outcome) -> None:
    for call in calls:
        call.end(outcome)


def failed(error: BaseException) -> Outcome:
    """Return the outcome of an error. A denial keeps its message; any other is left out, as it may contain what a caller typed."""
    if isinstance(error, NotPermitted):
        return Outcome("denied", str(error), "denied")
    return Outcome("failure", "", type(error).__name__)


_DETAILS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("version", "rows", "entry", "left_today", "skipped"), lambda value: type(value) is int),
    **dict.fromkeys(("run_id", "condition"), lambda value: isinstance(value, str)),
    "entries": lambda value: isinstance(value, list | tuple) and all(type(one) is int for one in value),
    "sees": lambda value: isinstance(value, dict) and all(isinstance(one, str) for one in value.values()),
}
"""Attributes of results that events contain, with their kinds: numbers, and names of runs and columns."""


def came_to(known: Verb, result: Any) -> Outcome:
    """Return the outcome of a result; a failed proof and a stopped run are failures."""
    details: dict[str, Any] = {}
    if not (is_dataclass(result) or isinstance(result, BaseModel)):  # a frame answers to any name
        return Outcome("success")
    for name, fits in _DETAILS.items():
        if fits(value := getattr(result, name, None)):
            details[name] = value
    if isinstance(rows := getattr(result, "rows", None), dict) and all(type(one) is int for one in rows.values()):
        details["rows"] = dict(rows)
    if (target := getattr(result, "target", None)) is not None and hasattr(target, "version"):
        details["version"] = target.version
    if known.class_uid == FINDING and hasattr(result, "columns"):
        details["columns"] = [{"column": one.column, "class": one.class_} for one in result.columns]
    if getattr(result, "status", "") == "stopped":
        return Outcome("failure", "the data failed the contract", "stopped", details)
    if getattr(result, "holds", True) is False:
        return Outcome("failure", "the proof does not hold", "proof", details)
    return Outcome("success", details=details)


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


def _named(given: Mapping[str, Any], word: str) -> Any:
    """Return an argument, or the attribute of that name of an argument object."""
    if word in given:
        return given[word]
    return next((getattr(value, word) for value in given.values() if hasattr(value, word)), None)


def _contracts(given: Mapping[str, Any]) -> list[Contract | None]:
    """Return the contracts among the arguments of a call, or ``[None]``."""
    found: list[Contract | None] = []
    for value in given.values():
        for one in value if isinstance(value, list | tuple) else (value,):
            # A plan is known by its contract: its module takes long to import, and verification has no use for it.
            contract = one if isinstance(one, Contract) else getattr(one, "contract", None)
            if isinstance(contract, Contract):
                found.append(contract)
    return found or [None]


def permit_column(contract: Contract, verb: str, name: str) -> None:
    """Decide a verb on one column of a contract; without policies everybody may.

    Raises:
        NotPermitted: no policy permits it.
    """
    governing = settings(contract)
    table = table_facts(contract)
    for access in (governing.access, governing.binding):
        if access is not None and access.governed:
            permit(of_access(access), Asking(caller(None, contract), verb, table, table.column(name)))


def caller(spark: Any, contract: Contract | None) -> Principal:
    """Return the principal of the running verb, for its records; asks the platform once in each verb.

    Raises:
        KeyringError: STS refused, or could not be reached.
        UsageError: the contract names a platform that does not provide the identity here.
    """
    known = _CALLERS.get()
    for other, principal in known or ():
        if other is contract:
            return principal
    principal = asker(spark, contract, settings(contract))
    if known is not None:
        known.append((contract, principal))
    return principal


def asker(spark: Any, contract: Contract | None, governing: Settings) -> Principal:
    """Return the principal: with keys in KMS the caller according to STS, on Databricks the session's user, else the process's user.

    No environment variable changes it. The identity is as strong as the platform: whoever can read a local keyring can decrypt values
    without this package (docs/access.md).

    Raises:
        KeyringError: STS refused, or could not be reached.
        UsageError: the contract names a platform that does not provide the identity here.
    """
    identity = governing.access.identity
    if identity == "sts" or (identity == "auto" and contract is not None and contract.keys.provider == "aws_kms"):
        try:
            from dataward.keys.aws import caller
        except ImportError:
            raise RunError("identity sts needs boto3: pip install 'dataward[aws]'") from None
        return of_arn(caller())
    if identity == "databricks" or (identity == "auto" and _on_databricks()):
        if spark is None or not _on_databricks():
            raise UsageError("identity databricks needs a Spark session on Databricks: call this verb with one, there")
        named = of_access(governing.access).named("Group") if governing.access.governed else ()
        return of_databricks(spark, named)
    return of_process()


def _on_databricks() -> bool:
    """Return whether this is Databricks: by the environment and by its folder, which a user cannot create.

    Elsewhere Spark takes the user from an environment variable.
    """
    return platform() == "databricks" and Path("/databricks").is_dir()
