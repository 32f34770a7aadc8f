"""Protection where a model is served: no Spark, any kind of batch, keys read once."""

import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pytest

import dataward
from dataward.errors import ContractError, KeyringError, ProtectionError, UsageError
from dataward.keys import create_keyring

CONTRACT = """\
contract: people
source: {{path: a}}
target: {{path: b}}
keys: {{path: {0}/keys, domain: people}}
columns:
  name: {{class: person_name, protect: token}}
  card: {{protect: {{fpe: {{format: card}}}}}}
  gone: {{protect: drop}}
  seen: {{protect: {{date_shift: {{by: name}}}}}}
  secret: {{protect: {{vault: {{path: v}}}}}}
  age: {{protect: keep}}
"""


@pytest.fixture
def file(tmp_path):
    create_keyring(tmp_path / "keys")
    (tmp_path / "c.yaml").write_text(CONTRACT.format(tmp_path))
    return tmp_path / "c.yaml"


def test_every_kind_of_batch_gives_the_same(file):
    rows = [
        {"name": "Ada", "card": "4111111111111111", "gone": "x", "age": 36},
        {"name": None, "card": None, "gone": None, "age": 5},
    ]
    table = pa.Table.from_pylist(rows)
    expected = dataward.protect(file, table).to_pylist()
    assert list(expected[0]) == ["name", "card", "age"]
    assert [dataward.protect(file, row) for row in rows] == expected
    assert dataward.protect(file, table.to_batches()[0]).to_pylist() == expected
    frame = dataward.protect(file, pd.DataFrame(rows, index=[7, 9]))
    assert (frame.to_dict("records"), list(frame.index)) == (expected, [7, 9])
    assert dataward.Protector(file)(table.slice(0, 0)).schema.names == ["name", "card", "age"]
    large = table.set_column(0, "name", table["name"].cast(pa.large_string()).dictionary_encode())
    assert dataward.protect(file, large).to_pylist() == expected
    viewed = dataward.Protector(file)(pa.table({"age": pa.array(["a"], pa.string_view())}))
    assert viewed.schema.types == [pa.string()]


def test_a_batch_may_lack_columns_but_not_hold_others(file):
    assert dataward.protect(file, {"age": 3}) == {"age": 3}
    assert dataward.protect(file, {}) == {}
    with pytest.raises(UsageError, match="column 'nmae': no line decides about it"):
        dataward.protect(file, {"nmae": "x"})
    with pytest.raises(UsageError, match="'seen': it reads 'name', which is no column"):
        dataward.protect(file, {"seen": pd.Timestamp("2020-01-01")})
    with pytest.raises(UsageError, match=r"vault and shred need Spark.*\(secret\)"):
        dataward.protect(file, {"secret": "x"})
    with pytest.raises(UsageError, match="fpe cannot protect double"):
        dataward.protect(file, {"card": 4.5})
    with pytest.raises(ProtectionError, match="'card' cannot be read") as caught:
        dataward.protect(file, {"card": "CANARY\ud800"})
    assert "CANARY" not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("batch", [[{"name": "ada"}], "ada", None, 7])
def test_what_is_no_batch_is_refused_by_its_type(file, batch):
    with pytest.raises(UsageError, match=rf"a {type(batch).__name__} is no batch: give one record \(a dict\)"):
        dataward.protect(file, batch)


def test_a_changed_contract_is_read_again_and_a_wrong_one_told(file, tmp_path):
    before = dataward.protect(file, {"name": "ada"})
    file.write_text(file.read_text().replace("protect: token", "protect: redact"))
    assert before["name"].startswith("v1.")
    assert dataward.protect(file, {"name": "ada"}) == {"name": "[redacted]"}
    with pytest.raises(ContractError, match="no such file"):
        dataward.protect(tmp_path / "none.yaml", {})
    (tmp_path / "keys").unlink()
    with pytest.raises(KeyringError, match="keys create"):
        dataward.Protector(file)


def test_it_needs_no_pyspark(file):
    code = (
        "import sys; sys.modules['pyspark'] = None\n"
        "import dataward\n"
        f"made = dataward.protect({str(file)!r}, {{'name': 'ada', 'card': '4111111111111111'}})\n"
        "assert made['name'].startswith('v1.') and 'delta' not in sys.modules and 'yaml' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
