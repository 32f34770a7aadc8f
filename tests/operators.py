"""Operators applied to Arrow columns, which the tests of operators share."""

import pyarrow as pa
from hypothesis import strategies as st

from dataward.contract import Document, problems_of
from dataward.inference import Protector
from dataward.privacy.protect import compiled, key_of
from tests.cases import cases
from tests.keys import THIRD_VERSION as RING

ALPHABETS = {
    "digits": "0123456789",
    "hex": "0123456789abcdef",
    "lower": "abcdefghijklmnopqrstuvwxyz",
    "base36": "0123456789abcdefghijklmnopqrstuvwxyz",
    "base62": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "greek": "αβγδεζηθικλμνξοπρστυφχψω",
}

ANY_TEXT = st.text(max_size=60) | st.sampled_from(
    ["", "e\u0301\u0323", "👩‍👩‍👧‍👦", "مرحبا بالعالم", "\u202eabc", "a\0b", "\ud800", "x\udfffy"]
)

relaxed = cases(0.6)


def protector(columns, default="keep"):
    made, problems = problems_of(Document.parse(
        f"contract: t\nsource: {{path: a}}\ntarget: {{path: b}}\nkeys: {{path: k, domain: people}}\ncolumns: {columns}\ndefault: {default}\n"
    ))  # fmt: skip
    assert not problems, [str(problem) for problem in problems]
    return Protector(made, RING)


def protected(protection, values, kind=None):
    """The column ``a`` under one protection."""
    table = pa.table({"a": pa.array(values, kind)})
    return protector(f"{{a: {{protect: {protection}}}}}")(table)["a"].to_pylist()


def leaf(protection, kind=None):
    """The operator itself."""
    made = compiled(
        protector(f"{{a: {{protect: {protection}}}}}").contract, key_of(RING), pa.schema([("a", kind or pa.string())])
    )
    return made.columns[0][1].operator
