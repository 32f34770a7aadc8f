"""What policies, keys and gates do with an operator follows from its facts alone."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import pyarrow as pa
import pytest

from dataward.contract import Column, having
from dataward.contract.operation import ALIASED, ENCRYPTED, Operation
from dataward.contract.policy import ClassPolicy, Policy
from dataward.contract.protections import OPERATORS as PARAMETERS
from dataward.privacy.protect import OPERATORS, compiled, key_of
from dataward.privacy.protect.encrypt import Encrypting
from dataward.privacy.protect.texts import joined, texts
from tests.keys import ZEROS
from tests.operators import protector


class Sealed(Operation):
    """A keyed, reversible operator that only this test knows."""

    op: Literal["sealed"] = "sealed"
    strength: ClassVar[int] = ENCRYPTED
    reversible: ClassVar[bool] = True
    keyed: ClassVar[bool] = True


@dataclass(frozen=True)
class SealedOperator(Encrypting):
    """Its implementation: a toy cipher, every byte changed by the first byte of the key."""

    parameters: Sealed
    purpose: ClassVar[str] = "encrypt"

    def encrypted(self, values):
        data, starts = joined(texts(values))
        return data ^ self.secret[0], starts

    def decrypted(self):
        return lambda data: bytes(byte ^ self.secret[0] for byte in data)


def policy(protect, **more):
    return Policy(policy="p", classes={"email": ClassPolicy(protect=protect, **more)})


def line(protect):
    return Column.model_validate({"class": "email", "protect": protect})


def shortfalls(given, asked, **more):
    return [what for what, _ in policy(asked, **more).too_little("mail", given)]


def test_facts_agree_with_the_implementations():
    assert PARAMETERS.keys() == OPERATORS.keys()
    for name, implementation in OPERATORS.items():
        facts = PARAMETERS[name]
        assert facts.keyed == (implementation.purpose is not None), name
        assert facts.reversible == (hasattr(implementation, "reverse") or facts.entered), name


def test_an_operator_without_a_strength_cannot_be_defined():
    with pytest.raises(TypeError, match="Vague states no strength"):

        class Vague(Operation):
            op: Literal["vague"] = "vague"


def test_a_new_operator_is_ranked_by_its_facts():
    sealed = Column.model_construct(class_="email", protect=Sealed(), domain=None)
    assert shortfalls(sealed, {"mask": {"keep_last": 4}}) == []
    assert shortfalls(sealed, "token") == ["sealed does less than policy 'p' asks for class email"]
    assert shortfalls(sealed, "mask", one_way=True) == [
        "sealed can be reversed, and class email is one-way in policy 'p'"
    ]
    assert Sealed().silent
    assert not Sealed().injective


def test_a_new_operator_is_its_model_its_implementation_and_a_line_in_the_registry(monkeypatch):
    monkeypatch.setitem(OPERATORS, "sealed", SealedOperator)
    column = Column.model_construct(class_="email", protect=Sealed(), domain=None)
    contract = protector("{mail: {protect: keep}}").contract.model_copy(update={"columns": {"mail": column}})
    batch = pa.record_batch({"mail": ["ada@x.org", None, "ada@x.org"]})
    made = compiled(contract, key_of(ZEROS), batch.schema)
    stored = made.apply(batch)["mail"]
    assert [text and text[:3] for text in stored.to_pylist()] == ["v1.", None, "v1."]
    assert "ada" not in str(stored)
    assert made.columns[0][1].operator.reverse(stored).to_pylist() == [b"ada@x.org", None, b"ada@x.org"]


JSON = {"json": {"fields": {"a": {"protect": "encrypt"}}, "rest": "token"}}


@pytest.mark.parametrize(
    ("given", "enough"),
    [
        (JSON, True),
        ("redact", True),
        ({"json": {"fields": {"a": {"protect": "token"}, "b": {"protect": "redact"}}, "rest": "token"}}, True),
        ({"json": {"fields": {"b": {"protect": "redact"}}, "rest": "token"}}, True),  # a is token there, which is more
        ({"mask": {"keep_last": 4}}, False),
        ("encrypt", False),
        ({"json": {"fields": {"a": {"protect": "mask"}}, "rest": "token"}}, False),
        ({"json": {"fields": {"a": {"protect": "encrypt"}}, "rest": "keep"}}, False),
    ],
)
def test_a_policy_that_asks_for_json_is_met_place_by_place(given, enough):
    assert (shortfalls(line(given), JSON) == []) == enough


def test_messages_name_the_operators_by_fact():
    assert having("findable") == ("token", "encrypt", "fpe", "keep")
    assert having("injective") == ("token", "encrypt", "fpe", "vault", "keep")
    assert {name for name, kind in PARAMETERS.items() if kind.strength == ALIASED} == {"token", "pick"}
