"""The codes of findings: those that are documented are those that the code can give, and both ways."""

import ast
from collections.abc import Iterator
from pathlib import Path

import dataward
from dataward.integrity.findings import CODES, SECTIONS
from dataward.integrity.proof import ledger as of_ledger
from dataward.pipeline.attest import BESIDE

LIB = Path(dataward.__file__).parent
GIVING = ("fail", "note", "_edited")
WORDS = (*CODES, *(f"{name}(" for name in (*GIVING, "Flaw")), "-changed")
READ = {file: file.read_text() for file in LIB.rglob("*.py") if file.name != "findings.py"}
TREES = {file: ast.parse(text) for file, text in READ.items() if any(word in text for word in WORDS)}


def texts(node: ast.AST) -> Iterator[str]:
    """Texts below a node, without those that are only compared with others, as in ``code in {...}``."""
    if isinstance(node, ast.Compare | ast.Set) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "frozenset":
        return
    if isinstance(node, ast.JoinedStr):
        if ast.unparse(node) == "f'{what}-changed'":
            yield from (f"{what}-changed" for what in BESIDE)
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from texts(child)


def calls(*names: str) -> Iterator[ast.Call]:
    found = (node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.Call))
    return (call for call in found if getattr(call.func, "id", "") in names and call.args)


def test_every_documented_code_can_be_given():
    given = {text for tree in TREES.values() for text in texts(tree)}
    assert CODES.keys() - given == set()


def test_every_code_that_is_given_is_documented():
    given = {text for call in calls(*GIVING) for text in texts(call.args[0])}
    assert len(given) > 40
    assert given - CODES.keys() == set()
    assert set(of_ledger.CODES.values()) <= CODES.keys()


def test_every_flaw_of_a_log_has_a_code_of_its_own_or_is_damage():
    kinds = {text for call in calls("Flaw") for text in texts(call.args[0])}
    kinds |= {f"{kind}-{what}" for kind in ("statement", "manifest") for what in ("missing", "changed")}
    assert of_ledger.CODES.keys() - kinds == set()


def test_codes_are_in_one_section_each():
    assert sum(map(len, SECTIONS.values())) == len(CODES)
