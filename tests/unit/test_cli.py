"""The command line, without Spark."""

import json
import subprocess
import sys

import pytest

from dataward import __version__
from dataward.cli import main
from tests.unit.test_contract import GOOD


@pytest.mark.parametrize(
    "argv", [[], ["publihs"], ["publish"], ["verify", "--contract", "x", "--version", "new"], ["contract"]]
)
def test_wrong_usage_is_exit_2(argv, capsys):
    assert main(argv) == 2
    assert "usage: dataward" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["publish", "--help"]])
def test_help_and_version_are_exit_0(argv, capsys):
    assert main(argv) == 0
    assert capsys.readouterr().out


def test_contract_check(tmp_path, capsys):
    file = tmp_path / "people.yaml"
    file.write_text(GOOD)
    assert main(["contract", "check", str(file)]) == 0
    assert "is well formed: 3 rules" in capsys.readouterr().out
    file.write_text(GOOD.replace("RowCount", "RowCnt"))
    assert main(["contract", "check", str(file), "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["problems"][0]["line"] == 8
    assert "did you mean 'RowCount'" in err


@pytest.mark.parametrize("verb", ["publish", "verify", "history"])
def test_a_wrong_contract_stops_every_verb_before_spark_starts(tmp_path, capsys, verb):
    (tmp_path / "c.yaml").write_text("contract: x\n")
    assert main([verb, "--contract", str(tmp_path / "c.yaml"), "--json"]) == 2
    assert {p["where"] for p in json.loads(capsys.readouterr().out)["problems"]} == {"source", "target", "keys"}


def test_contract_schema_and_keys(tmp_path, capsys):
    assert main(["contract", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Contract"
    assert main(["keys", "create", str(tmp_path / "k"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["current"] == 1
    assert main(["keys", "create", str(tmp_path / "k")]) == 3


def test_checking_a_contract_loads_no_spark(tmp_path):
    (tmp_path / "c.yaml").write_text(GOOD)
    code = (
        "import sys; from dataward.cli import main; assert main(['contract', 'check', sys.argv[1]]) == 0; "
        "assert not {'pyspark', 'pydeequ', 'delta', 'boto3', 'pandas'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "c.yaml")], check=True)


def test_version_is_one_everywhere():
    from importlib.metadata import version

    assert version("dataward") == __version__
