"""The command line, without Spark."""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import warnings
from importlib import import_module

import pytest

from dataward import __version__
from dataward.cli import ROOMS, _parser, main
from dataward.cli.rights import _subject
from dataward.cli.say import print_json
from dataward.cli.tables import importing
from dataward.errors import Interrupted, UsageError
from dataward.verbs.budget import location
from dataward.verbs.quarantine import Shown
from tests.unit.test_contract import GOOD


@pytest.mark.parametrize(
    "argv", [[], ["publihs"], ["publish"], ["verify", "--contract", "x", "--version", "new"], ["contract"]]
)
def test_wrong_usage_is_exit_2(argv, capsys):
    assert main(argv) == 2
    assert "usage: dataward" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], ("dataward: name one of these verbs", "publish", "reconcile")),
        (["keys"], ("dataward keys: name one of these actions", "migrate", "Use a disabled version again.")),
        (["quarentine", "list"], ("there is no verb 'quarentine': did you mean 'quarantine'?",)),
        (["xyz"], ("there is no verb 'xyz' (usage:",)),
    ],
)
def test_a_missing_or_misspelt_verb_is_answered_by_those_that_there_are(argv, words, capsys):
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize(
    "action", [["list"], ["show", "--run", "r"], ["release", "--run", "r"], ["discard", "--run", "r", "--reason", "w"]]
)
def test_no_option_hides_what_a_verb_does(action):
    arguments = _parser().parse_args(["quarantine", *action, "--contract", "c.yaml"])
    assert callable(arguments.run)


@pytest.mark.parametrize("submitted", [True, False])
def test_a_librarys_warning_never_reaches_the_document(monkeypatch, capsys, submitted):
    """spark-submit joins stderr to stdout."""
    if submitted:
        monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    monkeypatch.setattr("dataward.contract.json_schema", lambda: warnings.warn("old", UserWarning, stacklevel=1))
    assert main(["contract", "schema"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("null\n", "" if submitted else "dataward: warning: old\n")


def test_ctrl_c_is_one_line_and_exit_3_also_where_the_jvm_is_gone(monkeypatch, capsys):
    class Gone:
        def __getattr__(self, name):
            raise ConnectionError

    def interrupted():
        raise Interrupted("interrupted: t version 1 is committed and not sealed yet; rerun with --run-id r to seal it")

    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    monkeypatch.setattr("pyspark.SparkContext._active_spark_context", type("Context", (), {"_jvm": Gone()}))
    monkeypatch.setattr("dataward.contract.json_schema", interrupted)
    assert main(["contract", "schema"]) == 3
    assert capsys.readouterr().err == (
        "dataward: interrupted: t version 1 is committed and not sealed yet; rerun with --run-id r to seal it\n"
    )


def test_a_file_that_cannot_be_written_is_named_and_no_other_message_is_shown(monkeypatch, capsys):
    def failing(error):
        def run():
            raise error

        return run

    monkeypatch.setattr(
        "dataward.contract.json_schema", failing(PermissionError(13, "Permission denied", "/ro/x.html"))
    )
    assert main(["contract", "schema"]) == 3
    assert capsys.readouterr().err == "dataward: /ro/x.html: Permission denied\n"
    monkeypatch.setattr("dataward.contract.json_schema", failing(OSError("geheim")))
    assert main(["contract", "schema"]) == 3
    assert "geheim" not in capsys.readouterr().err


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
    assert json.loads(capsys.readouterr().out)["created"] is True
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


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "Łé"), ("latin-1", "\\u0141é"), ("utf-8", "Łé")])
def test_a_name_that_the_terminal_cannot_show_ends_no_command(tmp_path, encoding, shown):
    (tmp_path / "Łé.yaml").write_text(GOOD, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "dataward.cli", "contract", "check", "Łé.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("latin-1" if encoding == "latin-1" else "utf-8").startswith(
        f"{shown}.yaml: contract 'people'"
    )


@pytest.mark.parametrize(("argv", "words"), [
    (["keys", "list", "vault://secret/ring"], "goes with provider vault"),
    (["access", "approve", "c.yaml", "--column", "x", "--by", "b", "--key", "k", "--reason", "x" * 501], "reason: .*500 characters"),
])  # fmt: skip
def test_what_does_not_fit_on_the_command_line_is_a_usage_error(capsys, argv, words):
    assert main(argv) == 2
    assert re.search(words, capsys.readouterr().err)


@pytest.mark.parametrize("text", ["", "table:", "table:a b;c"])
def test_a_place_that_is_none_is_a_usage_error(text):
    with pytest.raises(UsageError, match="at least 1 character|is a name such as"):
        location(text)


def test_a_null_of_a_diverted_row_is_null(monkeypatch, capsys):
    shown = Shown({'IsComplete "a"': 1}, ("a", "b"), ((None, 1),))
    monkeypatch.setattr("dataward.cli.quarantine._session", lambda arguments: (None, None))
    monkeypatch.setattr("dataward.verbs.quarantine.show", lambda *_: shown)
    assert main(["quarantine", "show", "--contract", "c.yaml", "--run", "r1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == [{"a": None, "b": "1"}]


def test_a_number_that_json_cannot_hold_is_null(capsys):
    print_json({"mean": float("nan"), "bounds": (float("-inf"), 1.5)})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {"mean": None, "bounds": [None, 1.5]}


def test_the_first_value_of_a_file_has_no_byte_order_mark(tmp_path):
    """Of a subject that Windows' editor saved, an erasure would find nothing, and its proof would hold."""
    (tmp_path / "who").write_bytes("\ufeffann\r\n".encode())
    assert _subject(f"@{tmp_path}/who") == "ann"
    (tmp_path / "who").write_text("ann\nbob\n")
    with pytest.raises(UsageError, match="who: it holds 2 lines: one person at a time"):
        _subject(f"@{tmp_path}/who")
    (tmp_path / "who").write_bytes("ann".encode("utf-16"))
    with pytest.raises(UsageError, match="who: not UTF-8 text: save it as UTF-8"):
        _subject(f"@{tmp_path}/who")


def test_a_record_may_hold_other_line_breaks_and_a_wrong_one_is_named_by_its_own_line(tmp_path, monkeypatch, capsys):
    given = []
    monkeypatch.setattr("dataward.inference.score", lambda model, contract, records: given.extend(records) or [])
    file = tmp_path / "records.jsonl"
    argv = ["score", "m", "--contract", "c.yaml", "--records", str(file)]
    file.write_text('\ufeff{"note": "one\u2028two"}\n\n{"note": "\x85"}\n', encoding="utf-8")
    assert (main(argv), given) == (0, [{"note": "one\u2028two"}, {"note": "\x85"}])
    file.write_text('{"a": 1}\n\nnothing\n')
    assert main(argv) == 2
    assert "line 3 is no JSON object" in capsys.readouterr().err


def test_dqdl_fmt(tmp_path, capsys, monkeypatch):
    file = tmp_path / "rules.dqdl"
    file.write_text('Rules = [ IsComplete "a",   RowCount>3 # why\n]')
    assert main(["dqdl", "fmt", str(file)]) == 0
    assert capsys.readouterr().out == 'Rules = [\n  IsComplete "a",\n  RowCount > 3  # why\n]\n'
    monkeypatch.setattr("sys.stdin", io.StringIO("Rules = [ RowCount > avg(last(3)) ]"))
    assert main(["dqdl", "fmt", "-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"dqdl": "Rules = [\n  RowCount > avg(last(3))\n]\n"}


@pytest.mark.parametrize(("text", "words"), [
    (b"Rules = [\n RowCount >> 3 ]", ":2: column 12: '>' cannot stand here; expected"),
    (b"hello", "there is no 'Rules = [ ... ]' here"),
    (b"\xff\xfe", "not UTF-8"),
    (None, "No such file"),
])  # fmt: skip
def test_dqdl_fmt_of_no_ruleset_is_exit_2(tmp_path, capsys, text, words):
    file = tmp_path / "rules.dqdl"
    if text is not None:
        file.write_bytes(text)
    assert main(["dqdl", "fmt", str(file)]) == 2
    out, err = capsys.readouterr()
    assert (out, words in err) == ("", True), err


def test_dqdl_fmt_starts_in_well_under_half_a_second(tmp_path):
    """What takes time is importing: nothing of Spark, pydantic or cryptography may come in."""
    code = "import sys; from dataward.cli import main; main(['dqdl', 'fmt', sys.argv[1]]); print(*sys.modules, file=sys.stderr)"
    (tmp_path / "r.dqdl").write_text("Rules = [ RowCount > 1 ]")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "r.dqdl")], capture_output=True, text=True, check=True
    )
    assert not {"pyspark", "pydantic", "cryptography", "pandas", "numpy"} & set(done.stderr.split())


@pytest.mark.parametrize("verb", [["contract", "schema"], ["contract", "schema", "--json"], ["--help"]])
def test_a_reader_that_has_seen_enough_is_no_failure(verb):
    command = [sys.executable, "-c", "import sys; from dataward.cli import main; sys.exit(main(sys.argv[1:]))", *verb]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    _, err = process.communicate()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("argv", [
    ["publish", "--contract", "c"], ["quarantine", "release", "--contract", "c", "--run", "r"], ["restore", "--contract", "c", "--to", "1"],
    ["release", "q"], ["synthesize", "q"], ["release-set", "publish", "s"],
])  # fmt: skip
def test_a_run_id_that_no_run_can_have_is_refused_before_anything_is_read(argv, capsys):
    assert main([*argv, "--run-id", "a b/../c"]) == 2
    assert "use up to 100 letters, digits, dots, dashes and underscores" in capsys.readouterr().err


@pytest.mark.parametrize(("argv", "words"), [
    (["--every", "soon", "--stream", "c"], '--every soon: write a number and a unit, such as "30 seconds"'),
    (["--every", "30 seconds"], "--every goes with --stream CHECKPOINT"),
])  # fmt: skip
def test_every_is_an_interval(tmp_path, capsys, argv, words):
    (tmp_path / "c.yaml").write_text(GOOD)
    assert main(["publish", "--contract", str(tmp_path / "c.yaml"), *argv]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rules", "words"), [("RowCount > 1", "1 rule, 1 column"), ("RowCount > 1, RowCount > 2", "2 rules, 1 column")]
)
def test_one_rule_is_a_rule(tmp_path, capsys, rules, words):
    source = "contract: c\nsource: {path: a}\ntarget: {path: b}\nkeys: {path: k, domain: d}\ncolumns: {id: {protect: keep}}\n"
    (tmp_path / "c.yaml").write_text(f"{source}rules: 'Rules = [ {rules} ]'\n")
    assert main(["contract", "check", str(tmp_path / "c.yaml")]) == 0
    assert capsys.readouterr().out.endswith(f"is well formed: {words}\n")


def test_a_pattern_that_runs_away_is_a_warning_of_contract_check(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(GOOD.replace("RowCount > 1000", 'ColumnValues "state" matches "^(a+)+$"'))
    assert main(["contract", "check", str(tmp_path / "c.yaml")]) == 0
    assert f"warning: {tmp_path}/c.yaml:8: rules: " in capsys.readouterr().out
    assert main(["contract", "check", str(tmp_path / "c.yaml"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["warnings"]) == 1


def test_a_command_imports_the_room_of_its_verb():
    """What :data:`ROOMS` lists is what each room adds, so that no verb is missing in a parser of one room."""
    for room, verbs in ROOMS.items():
        parser = _parser(verbs[:1])
        (holder,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
        assert tuple(holder.choices) == verbs, room
    (whole,) = (action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    assert list(whole.choices) == [verb for verbs in ROOMS.values() for verb in verbs]


def test_a_module_is_imported_while_something_else_happens(tmp_path, monkeypatch):
    (tmp_path / "seen_meanwhile.py").write_text("")
    (tmp_path / "broken_meanwhile.py").write_text("raise OSError('at import')")
    monkeypatch.syspath_prepend(tmp_path)
    with importing("seen_meanwhile"), importing("broken_meanwhile"), importing("missing_meanwhile"):
        pass
    assert "seen_meanwhile" in sys.modules
    with pytest.raises(OSError, match="at import"):
        import_module("broken_meanwhile")
