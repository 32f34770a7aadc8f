"""Whether a version's contract was edited since: a release's seal names the query, not the contract that is made from it."""

from dataward.contract import Contract
from dataward.integrity.canonical import sha256
from dataward.integrity.seal import Seal
from dataward.verbs.verify import Asked, _contract

CONTRACT = Contract.model_validate(
    {"contract": "t", "source": {"path": "s"}, "target": {"path": "t"}, "keys": {"path": "k", "domain": "t"}}
)


def codes(sealed, **asked):
    return [one.code for one in _contract(CONTRACT, Seal.model_construct(contract_sha256=sealed), Asked(**asked))]


def test_the_seal_is_compared_with_what_the_run_was_made_from():
    own = sha256(CONTRACT.model_dump(mode="json", by_alias=True))
    assert codes(own) == []
    assert codes("another") == ["contract-edited"]
    assert codes("of the query", contract_sha256="of the query") == []
    assert codes(own, contract_sha256="of the query") == ["contract-edited"]
