"""Columns on their way to the target: mistakes with their line, paths, values that cannot be protected, vaults."""

import re

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dataward.errors import (
    ContractError,
    ProtectionError,
)
from dataward.keys import local_keyring
from tests.spark.people import ROWS, SCHEMA


def test_contract_errors_against_the_schema_name_their_line(lake):
    lake.source(ROWS, SCHEMA)
    with pytest.raises(ContractError) as caught:
        lake.publish(rules='RowCount > 1,\nIsComplete "mial"')
    line = next(n for n, text in enumerate((lake.root / "contract.yaml").read_text().splitlines(), 1) if "mial" in text)
    assert [problem.line for problem in caught.value.problems] == [line]


def test_nested_columns_are_protected_by_path_or_refused(lake, spark):
    text = "select 1 as id, array('a') as mails, named_struct('x', 'raw', 'y', 2) as s, true as b"
    spark.sql(text).write.format("delta").save(str(lake.root / "source"))
    for columns, said in (
        ("{mails: {protect: drop}, b: {protect: fpe}}", "fpe cannot protect bool"),
        ("{mails: {protect: token}, s.z: {protect: token}}", "no column 's.z'"),
        ("{id: {protect: {date_shift: {by: nobody}}}}", "date_shift cannot protect int32"),
        ("{s.x: {protect: {vault: {path: v}}}}", "vault and shred protect whole columns"),
    ):
        with pytest.raises(ContractError, match=re.escape(said)):
            lake.publish(columns=columns)
    with pytest.raises(ContractError, match=r"2 column\(s\) of the source have no line: id, s.y"):
        lake.publish(columns="{mails: {protect: redact}, s.x: {protect: redact}, b: {protect: keep}}", default="refuse")
    done = lake.publish(
        columns="{mails: {protect: redact}, s.x: {protect: redact}, s.y: {protect: drop}}", default="keep"
    )
    assert done.status == "published"
    assert lake.rows() == [(1, ["[redacted]"], ("[redacted]",), True)]
    assert ("s.x", "redact", "arrow") in [(p["column"], p["protection"], p["stage"]) for p in done.protections]


def test_a_value_that_cannot_be_protected_publishes_nothing(lake, spark):
    lake.source([(1, "0301234567"), (2, "CANARY"), (3, None)], "id int, phone string")
    with pytest.raises(
        ProtectionError, match=r"^phone: it holds values that fpe cannot protect, which needs 6 or more"
    ) as caught:
        lake.publish(columns="{phone: {protect: fpe}}")
    assert "CANARY" not in str(caught.value)
    assert lake.versions() == 0
    lake.publish(columns="{phone: {protect: {fpe: {invalid: null}}}}")
    assert [row[1] is None for row in lake.rows()] == [False, True, True]
    # a row that a rule diverts does not stop the run: in the quarantine such a value is null
    done = lake.publish(rules='ColumnValues "phone" matches "[0-9]+"', columns="{phone: {protect: fpe}}")
    assert done.rows == {"in": 3, "published": 1, "quarantined": 2, "dropped": 0}
    assert sorted(lake.rows("quarantine", "id", "phone")) == [(2, None), (3, None)]


@pytest.mark.long
def test_a_vault_gives_one_random_token_per_value(lake, spark):
    lake.source([(1, "ada"), (2, "bob"), (3, "ada"), (4, None)], "id int, who string")
    columns = f"{{who: {{class: person_name, protect: {{vault: {{path: {lake.root}/vault}}}}}}}}"
    lake.publish(columns=columns)
    first = dict(lake.rows())
    assert first[1] == first[3] != first[2]
    assert first[4] is None
    lake.source([(5, "bob"), (6, "cy")], "id int, who string")
    lake.publish(columns=columns)
    second = dict(lake.rows())
    assert second[5] == first[2]
    assert second[6] not in first.values()
    rows = lake.read("vault").collect()
    assert len(rows) == 3
    key = local_keyring(lake.root / "keys").key("vault", "t", 1)
    originals = {
        row.token: AESGCM(key[32:]).decrypt(row.sealed[:12], bytes(row.sealed[12:]), row.token.encode()) for row in rows
    }
    assert originals == {first[1]: b"ada", first[2]: b"bob", second[6]: b"cy"}
    for folder in ("vault", "target"):
        for file in (lake.root / folder).rglob("*.json"):
            assert not re.search(r'minValues\\":\{[^}]*(who|lookup|token|sealed)', file.read_text())
