"""Which columns may hold a value that stops a run: those are tried before the long passes, and no others."""

import pyarrow as pa
import pytest

from dataward.contract import Document, problems_of
from dataward.privacy.protect import compiled, key_of
from tests.keys import ZEROS


@pytest.mark.parametrize(
    ("line", "stops"),
    [
        ("{class: email, protect: token}", False),
        ("{class: phone, protect: token}", True),
        ("{class: phone, protect: {token: {canonical: false}}}", False),
        ("{class: phone, protect: {token: {invalid: null}}}", False),
        ("{class: phone, protect: {token: {invalid: {fallback: {token: {canonical: false}}}}}}", False),
        ("{protect: keep}", False),
        ("{protect: encrypt}", False),
        ("{protect: {mask: {keep_last: 4}}}", False),
        ("{protect: redact_text}", False),
        ("{protect: fpe}", True),
        ("{protect: {fpe: {invalid: {fallback: redact}}}}", False),
        ("{class: phone, protect: {fpe: {invalid: {fallback: token}}}}", True),
        ("{protect: {date_shift: {by: b, format: '%Y'}}}", True),
        ("{protect: {generalize: {prefix: 3}}}", True),
        ("{protect: {generalize: {prefix: 3, invalid: null}}}", False),
        ("{protect: {json: {fields: {p: {protect: token}}, rest: keep}}}", True),
        ("{protect: {json: {fields: {p: {protect: token}}, rest: keep, invalid: null}}}", False),
        ("{protect: {json: {fields: {p: {class: phone, protect: token}}, rest: keep, invalid: null}}}", True),
    ],
)
def test_a_value_that_stops_a_run(line, stops):
    text = "contract: t\nsource: {path: a}\ntarget: {path: b}\nkeys: {path: k, domain: d}\ndefault: keep\n"
    contract, problems = problems_of(Document.parse(f"{text}columns: {{a: {line}}}\n"))
    assert not problems
    schema = pa.schema([("a", pa.string()), ("b", pa.string())])
    (_, leaf), _ = compiled(contract, key_of(ZEROS), schema).columns
    assert leaf.may_stop is stops
