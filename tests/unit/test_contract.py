"""Contracts: what is accepted, and what every kind of mistake is told."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from dataward.contract import Contract, Document, json_schema, problems_of
from dataward.errors import ContractError
from dataward.pipeline.plan import plan
from dataward.privacy.discover.classes import NEAR, _distance

ROOT = Path(__file__).parents[2]

GOOD = """\
contract: people
source: {format: csv, path: data/people.csv, options: {header: true}}
target: {path: lake/people, mode: merge, on: [rec_id]}
quarantine: {path: lake/people_quarantine}
keys: {provider: local, path: conf/keys, domain: people}
rules: |
  Rules = [
    RowCount > 1000,
    Completeness "postcode" > 0.95 labels=["severity"="warning"]
  ]
columns:
  rec_id: {protect: keep}
  soc_sec_id: {class: national_id, protect: token}
  address_1: {class: postal_address, protect: {mask: {keep_last: 4}}}
default: refuse
limits: {quarantined: 0.10}
"""

# (what is replaced, by what, line of the error, words of the error, words of the remedy)
MISTAKES = [
    ("contract: people\n", "", 1, "'contract' is missing", "add it"),
    ("contract: people", "contract: 7", 1, "text is expected", "quotes"),
    ("contract: people", "contract: a b", 1, "form that is not allowed", "match"),
    ("source: {", "sorce: {", 2, "unknown key 'sorce'", "did you mean 'source'"),
    ("format: csv", "format: cvs", 2, "not one of the values", "'csv'"),
    ("path: data/people.csv, ", "", 2, "exactly one of 'path' and 'table'", ""),
    ("path: data/people.csv", "path: data/p.csv, table: people", 2, "exactly one of 'path' and 'table'", ""),
    ("path: data/people.csv", "table: 'people; drop table x'", 2, "'table' is a name", ""),
    ("{header: true}", "[header]", 2, "mapping", "key: value"),
    ("{header: true}", "{mode: FAILFAST}", 2, "'mode' is set by Dataward", ""),
    ("format: csv, ", "format: csv, version: 3, ", 2, "'version' goes with format delta", ""),
    ("format: csv, ", "format: parquet, schema: 'a INT', ", 2, "'schema' goes with csv and json", ""),
    ("format: csv, ", "format: delta, version: -1, ", 2, "greater than or equal to 0", ""),
    ("mode: merge", "mode: mrege", 3, "not one of the values", "'merge'"),
    (", on: [rec_id]", "", 3, "merge needs 'on'", ""),
    ("mode: merge", "mode: append", 3, "only merge takes it", ""),
    ("mode: merge, on: [rec_id]", "mode: replace", 3, "replace needs 'partition'", ""),
    ("mode: merge, on: [rec_id]", "mode: replace, partition: {a: 1}", 3, "not in 'partition_by'", ""),
    ("on: [rec_id]", "on: rec_id", 3, "a list is expected", "[a, b]"),
    ("on: [rec_id]", "on: [address_1]", 14, "merge key 'address_1' is protected by mask", ""),
    ("mode: merge, on: [rec_id]", "profile: true", 3, "'profile' goes with mode refresh", ""),
    ("mode: merge, on: [rec_id]", "partition_by: [soc_sec_id]", 13, "partition column 'soc_sec_id'", ""),
    ("lake/people_quarantine", "lake/people", 4, "target and quarantine have the same place lake/people", ""),
    ("default: refuse", "history: {path: lake/people}", 15, "target and history have the same place lake/people", ""),
    ("default: refuse", "history: {path: a, table: b}", 15, "at most one of 'path' and 'table'", ""),
    ("default: refuse", "history: {table: 'a;b'}", 15, "'table' is a name such as people", ""),
    ("data/people.csv", "lake/people", 3, "source and target have the same place", ""),
    ("{path: lake/people_quarantine}", "{path: q, drop: true}", 4, "exactly one of 'path', 'table' and 'drop", ""),
    ("{path: lake/people_quarantine}", "{table: 'a;b'}", 4, "'table' is a name such as people", ""),
    ("{path: lake/people_quarantine}", "lake/q", 4, "a mapping of keys to values", ""),
    ("provider: local", "provider: kms", 5, "not one of the values", "'local'"),
    (", domain: people", "", 5, "'domain' is missing", "add it"),
    ("provider: local", "provider: aws_kms", 5, "aws_kms needs 'key'", ""),
    ("provider: local", "provider: local, key: alias/x", 5, "provider local takes none", ""),
    ("provider: local, path: conf/keys", "provider: databricks, path: scope", 5, "SCOPE/NAME of a secret", ""),
    ("path: conf/keys", "path: s3://conf/keys", 5, "a provider whose 'key' wraps it", ""),
    ("protect: token", "protect: {shred: {path: k}}", 13, "column 'soc_sec_id': shred needs erasure", ""),
    ("default: refuse", "erasure: {subject: address_1}", 15, "by which nobody is found again", ""),
    (
        "default: refuse",
        "erasure: {subject: soc_sec_id, retain: {column: soc_sec_id, days: 3}}",
        15,
        "must be 'keep'",
        "",
    ),
    ("default: refuse", "erasure: {subject: soc_sec_id, retain: {column: state}}", 15, "'days' is missing", "add it"),
    (
        "default: refuse",
        "access: {reidentify: [{principals: [], classes: [a], purposes: [b], rows_per_day: 1}]}",
        15,
        "at least 1",
        "",
    ),
    ("default: refuse", "audit: {sinks: [{kind: kafka, url: x}]}", 15, "unknown kind 'kafka'", "'cloudwatch', 'http'"),
    ("default: refuse", "audit: {sinks: [{path: x}]}", 15, "'kind' is missing", "add it"),
    ("default: refuse", "audit: {sinks: [{kind: jsonl, pth: x}]}", 15, "unknown key 'pth'", "did you mean 'path'"),
    ("default: refuse", "quasi_identifiers: {state: [{bounds: 7}]}", 15, "a list is expected here", "write [a, b]"),
    ("default: refuse", "heads: [{bucket: x}]", 15, "unknown key 'bucket'", "remove it, or use 'directory', 's3'"),
    (
        "default: refuse",
        "access: {grants: [{groups: [a], verbs: [read], until: 1.3.2027}]}",
        15,
        "a date is expected here",
        "2027-03-31",
    ),
    (
        "default: refuse",
        "access:\n  grants:\n  - {groups: [a], verbs: [read]}\n  - {groups: [a], verbs: [reed]}",
        18,
        "verb 'reed' is unknown; did you mean 'read'",
        "docs/access.md",
    ),
    ("default: refuse", "quasi_identifiers: {state: [{wide: 5}]}", 15, "unknown key 'wide'", "did you mean 'width'"),
    ("RowCount", "RowCnt", 8, "unknown rule type 'RowCnt'", "did you mean 'RowCount'"),
    ("RowCount > 1000", "RowCount", 8, "RowCount needs a condition", "add one"),
    ("RowCount > 1000", "ReferentialIntegrity 'a' = 1", 8, "cannot stand here", "expected"),
    ("RowCount > 1000", 'SchemaMatch "a" = 1', 8, "the contract has no reference 'a'", "add references"),
    ("RowCount > 1000", 'RowCount > "many"', 8, "compares with numbers", "none"),
    ("RowCount > 1000", "RowCount > avg(last(3))", 8, "the contract keeps none", "add history: {}"),
    ("RowCount > 1000", 'DetectAnomalies "RowCount"', 8, "the contract keeps none", "add history: {}"),
    ("RowCount > 1000", "RowCount > $limit", 8, "there is no constant $limit", "above Rules"),
    ("RowCount > 1000", 'Mean "a" "b" > 1', 8, "takes 1 parameter, not 2", "Mean"),
    ("RowCount > 1000", 'IsComplete "a" > 1', 8, "takes no condition", "remove"),
    ("RowCount > 1000", 'Mean "a" > 1 with threshold > 0.5', 8, "takes no 'with threshold'", "condition"),
    ("RowCount > 1000", 'DataFreshness "a" > 3', 8, "compares with durations", "hours"),
    ("RowCount > 1000", 'ColumnDataType "a" = "Blob"', 8, "compares with a type", "date"),
    (
        "RowCount > 1000",
        'ColumnValues "a" betwen 1 and 3',
        8,
        "'1' cannot stand here",
        "before it, did you mean 'between'? Else: expected",
    ),
    (
        "RowCount > 1000",
        'ColumnValues "a" > 3 wiht threshold > 0.9',
        8,
        "'wiht' cannot stand here",
        "did you mean 'with'? Else: ",
    ),
    ("RowCount > 1000,", "RowCount > 1000", 9, "cannot stand here", "expected"),
    ('"severity"="warning"', '"severity"="loud"', 9, "severity 'loud' is unknown", "warning"),
    ("  ]\n", "\n", 10, "ends too early", "]"),
    ("protect: token", "protect: tokn", 13, "unknown operator 'tokn'", "did you mean 'token'"),
    ("protect: token", "protect: hash", 13, "unknown operator 'hash'", "use one of"),
    (", protect: token", "", 13, "'protect' is missing", "add it"),
    ("class: national_id", "class: National-Id", 13, "form that is not allowed", "match"),
    ("class: national_id", "class: natoinal_id", 13, "class 'natoinal_id' is unknown", "did you mean 'national_id'"),
    (
        "class: national_id, protect: token",
        "class: helth_id, protect: token",
        13,
        "class 'helth_id' is unknown",
        "did you mean 'health_id'",
    ),
    (
        "class: national_id, protect: token",
        "protect: {json: {fields: {a: {class: e_mail, protect: token}}, rest: keep}}",
        13,
        "class 'e_mail' is unknown",
        "did you mean 'email'",
    ),
    (
        "default: refuse",
        "access: {reidentify: [{principals: [a], classes: [emial], purposes: [b], rows_per_day: 1}]}",
        15,
        "class 'emial' is unknown",
        "did you mean 'email'",
    ),
    ("class: national_id", "clas: national_id", 13, "unknown key 'clas'", "did you mean 'class'"),
    ("keep_last: 4", "keep_lst: 4", 14, "unknown key 'keep_lst'", "did you mean 'keep_last'"),
    ("keep_last: 4", "keep_last: -1", 14, "greater than or equal to 0", ""),
    ("protect: token", "protect: {token: {bits: 64}}", 13, "greater than or equal to 128", ""),
    ("protect: token", "protect: {fpe: {length: 5}}", 13, "domain below 1,000,000", ""),
    ("protect: token", "protect: {fpe: {format: card, keep_first: 6, keep_last: 5}}", 13, "domain below 1,000,000", ""),
    ("class: national_id, protect: token", "class: postcode, protect: fpe", 13, "domain below 1,000,000", ""),
    ("protect: token", "protect: {fpe: {alphabet: aab}}", 13, "two or more different characters", ""),
    ("protect: token", "protect: {fpe: {alphabet: base36, check: luhn}}", 13, "goes with the alphabet digits", ""),
    ("protect: token", "protect: {fpe: {invalid: {fallback: keep}}}", 13, "a fallback protects the value", ""),
    ("protect: token", "protect: {fpe: {invalid: keep}}", 13, "write error, null or {fallback", ""),
    (
        "protect: token",
        "protect: {fpe: {invalid: {fallback: tokn}}}",
        13,
        "unknown operator 'tokn'",
        "did you mean 'token'",
    ),
    ("protect: token", "protect: {generalize: {width: 5, prefix: 2}}", 13, "exactly one of width", ""),
    ("protect: token", "protect: {generalize: {bounds: [5, 1]}}", 13, "ascend", ""),
    ("protect: token", "protect: date_shift", 13, "'by' is missing", "add it"),
    ("protect: token", "protect: pick", 13, "exactly one of 'values' and 'file'", ""),
    (
        "protect: token",
        "protect: {json: {fields: {a: {protect: drop}}, rest: keep}}",
        13,
        "drop does not work inside JSON",
        "",
    ),
    (
        "protect: token",
        "protect: {json: {fields: {a: {protcet: token}}, rest: keep}}",
        13,
        "unknown key 'protcet'",
        "'protect'",
    ),
    ("default: refuse", "policy: nowhere.yaml\ndefault: refuse", 15, "policy nowhere.yaml cannot be read", "path"),
    (
        "default: refuse",
        "joins: [{column: rec_id, with: nowhere.yaml, share: 1}]\ndefault: refuse",
        15,
        "the contract it names is wrong",
        "",
    ),
    (
        "default: refuse",
        "joins: [{column: rec_id, with: c.yaml}]\ndefault: refuse",
        15,
        "either 'share' (0 to 1) or 'never",
        "",
    ),
    (
        "default: refuse",
        "rules_after: 'Rules = [ RowCnt > 1 ]'\ndefault: refuse",
        15,
        "unknown rule type 'RowCnt'",
        "'RowCount'",
    ),
    ("{mask: {keep_last: 4}}", "{mask: {}, drop: {}}", 14, "write one operator", ""),
    ("rec_id: {protect: keep}", "rec_id: {protect: {fpe: {invalid: null}}}", 12, "would make keys null", ""),
    ("  soc_sec_id:", "  REC_ID: {protect: keep}\n  soc_sec_id:", 11, "name the same column", ""),
    ("  soc_sec_id:", "  rec_id: {protect: drop}\n  soc_sec_id:", 13, "stands here twice", "remove one"),
    ("default: refuse", "default: allow", 15, "not one of the values", "'refuse'"),
    ("quarantined: 0.10", "quarantined: 10", 16, "less than or equal to 1", ""),
    ("limits: {", "limit: {", 16, "unknown key 'limit'", "did you mean 'limits'"),
    ("default: refuse", "checks: checks.py\ndefault: refuse", 15, "form that is not allowed", "match"),
    ("default: refuse", "\tdefault: refuse", 15, "not YAML", ""),
    ("default: refuse", "default: [refuse", 16, "not YAML", ""),
    (GOOD, "", 1, "the file is empty", "contract: NAME"),
    (GOOD, "- a\n- b\n", 1, "a contract is a mapping", "contract: NAME"),
]


def test_a_mistake_inside_of_one_of_several_forms_is_one_problem_at_its_own_place(tmp_path):
    source = "source: {format: csv, path: data/people.csv, options: {header: true}}"
    assert source in GOOD
    (tmp_path / "people.yaml").write_text(GOOD.replace(source, "source: {path: x, sealed: {ledgr: y}}"))
    with pytest.raises(ContractError) as caught:
        plan(tmp_path / "people.yaml")
    assert [(one.where, one.remedy) for one in caught.value.problems] == [
        ("source.sealed.ledgr", "did you mean 'ledger'?")
    ]


def test_a_list_whose_entry_is_wrong_is_not_called_too_short(tmp_path):
    (tmp_path / "people.yaml").write_text(GOOD + "audit: {sinks: [{kind: kafka, url: x}]}\n")
    with pytest.raises(ContractError) as caught:
        plan(tmp_path / "people.yaml")
    assert [problem.where for problem in caught.value.problems] == ["audit.sinks.0"]


@pytest.mark.parametrize(("old", "new", "line", "words", "remedy"), MISTAKES)
def test_mistake_is_told_with_file_line_and_remedy(tmp_path, old, new, line, words, remedy):
    assert old in GOOD
    file = tmp_path / "people.yaml"
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ContractError) as caught:
        plan(file)
    told = [problem for problem in caught.value.problems if words in problem.what]
    assert told, str(caught.value)
    assert told[0].file == str(file)
    assert told[0].line == line
    assert remedy in told[0].remedy
    assert re.match(rf"{re.escape(str(file))}:{line}: ", str(told[0]))


def test_mistakes_of_a_policy_are_told_where_they_stand(tmp_path):
    (tmp_path / "p.yaml").write_text(
        "policy: p\nclasses:\n  email: {protect: tokn}\n  note: {protect: drop, colums: [a]}\n"
    )
    (tmp_path / "c.yaml").write_text(GOOD.replace("default: refuse", f"policy: {tmp_path}/p.yaml\ndefault: refuse"))
    with pytest.raises(ContractError) as caught:
        plan(tmp_path / "c.yaml")
    assert [(p.file, p.line) for p in caught.value.problems] == [(f"{tmp_path}/p.yaml", 3), (f"{tmp_path}/p.yaml", 4)]
    assert "did you mean 'columns'" in str(caught.value)


def test_more_than_thirty_kinds_of_mistake_are_covered():
    assert len({words for _, _, _, words, _ in MISTAKES}) >= 30


def test_all_mistakes_at_once(tmp_path):
    text = (
        GOOD.replace("format: csv", "format: cvs")
        .replace("RowCount", "RowCnt")
        .replace("protect: token", "protect: tokn")
    )
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ContractError) as caught:
        plan(tmp_path / "c.yaml")
    assert [problem.line for problem in caught.value.problems] == [2, 8, 13]


REFRESHED = GOOD.replace("mode: merge, on: [rec_id]", "mode: refresh, partition_by: [state]").replace(
    "default: refuse", "default: refuse\nengine: spark"
)


@pytest.mark.parametrize(("rule", "words"), [
    ('CustomSql "select 1" = 1', "it reads all rows"), ('KAnonymity "state" >= 2', "it reads all rows"),
    ('NoOutliers "age"', "it compares rows of all partitions"), ('NoDuplicates "surname"', "it compares rows of all partitions"),
    ('(IsUnique "rec_id") or (IsComplete "state")', "uniqueness inside of a rule by row needs all rows"),
    ('DataFreshness "at" <= 1 days', "it depends on the time of the run"),
    ('ColumnValues "at" > (now() - 3 days)', "it depends on the time of the run"),
    ('ReferentialIntegrity "rec_id" "others.id" = 1', None), ('DistinctValuesCount "state" > 1', None), ('IsUnique "rec_id"', None),
    ('(IsUnique "rec_id") and (RowCount > 1)', None), ('ColumnExists "state"', None),
])  # fmt: skip
def test_what_cannot_be_told_from_parts_is_refused_under_mode_refresh(tmp_path, rule, words):
    file = tmp_path / "people.yaml"
    source = "source: {format: csv, path: people.csv, schema: 'rec_id bigint, state string, at timestamp'}"
    text = re.sub(r"source: .*", source + "\nreferences: {others: {path: lake/others}}", REFRESHED, count=1)
    file.write_text(re.sub(r"  Rules = \[.*?\n  \]", f"  Rules = [\n    {rule}\n  ]", text, count=1, flags=re.S))
    if words is None:
        assert plan(file).suite.rules
        return
    with pytest.raises(ContractError) as caught:
        plan(file)
    (told,) = caught.value.problems
    assert words in told.what
    assert told.what.startswith(rule)
    assert told.line == file.read_text().splitlines().index(f"    {rule}") + 1


@pytest.mark.parametrize(("old", "new", "words"), [
    (", partition_by: [state]", "", "mode refresh needs 'partition_by'"),
    ("engine: spark", "engine: deequ", "mode refresh needs engine: spark"),
    ("engine: spark", "engine: spark", "mode refresh of csv needs source.schema"),
    ("engine: spark", "engine: spark\nparity: true", "'parity' needs all rows"),
    ("engine: spark", "engine: spark\ntreat: {normalise: {state: {trim: true}}}", "'treat' needs all rows"),
])  # fmt: skip
def test_what_does_not_go_with_mode_refresh(tmp_path, old, new, words):
    file = tmp_path / "people.yaml"
    schema = "" if "schema" in words else ", schema: 'rec_id bigint, state string'"
    file.write_text(REFRESHED.replace(old, new).replace("people.csv", f"people.csv{schema}", 1))
    with pytest.raises(ContractError, match=words):
        plan(file)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "a directory"),
        (lambda path: path.write_bytes(b"contract: \xff"), "not UTF-8"),
    ],
)
def test_unreadable_file(tmp_path, make, words):
    make(tmp_path / "c.yaml")
    with pytest.raises(ContractError, match=words):
        plan(tmp_path / "c.yaml")


def test_good_contract(tmp_path):
    (tmp_path / "c.yaml").write_text(GOOD)
    planned = plan(tmp_path / "c.yaml")
    contract = planned.contract
    assert contract.target.on == ("rec_id",)  # 'on' stays a word (YAML 1.2)
    assert contract.column("ADDRESS_1").protect.keep_last == 4
    assert contract.column("soc_sec_id").sensitive
    assert not contract.column("rec_id").sensitive
    assert str(contract.ledger_location) == "lake/people_ledger"
    # a merge's keys are checked whether or not a rule says so
    assert [rule.text for rule in planned.suite.rules][-1] == 'IsPrimaryKey "rec_id"'


def test_contract_is_frozen(tmp_path):
    contract, problems = problems_of(Document.parse(GOOD))
    assert not problems
    with pytest.raises(ValueError, match="frozen"):
        contract.default = "keep"


def test_digest_is_of_what_it_says_not_of_how_it_is_written(tmp_path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(
        "# a comment\n" + GOOD.replace("{path: lake/people_quarantine}", "\n  path: lake/people_quarantine")
    )
    (tmp_path / "c.yaml").write_text(GOOD.replace("keep_last: 4", "keep_last: 3"))
    one, same, other = (plan(tmp_path / f"{name}.yaml").sha256 for name in "abc")
    assert one == same != other


@pytest.mark.parametrize("path", sorted((ROOT / "conf/contracts").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_contracts_are_well_formed_and_match_the_json_schema(path):
    plan(path)
    jsonschema.validate(Document.read(path).data, json_schema())


def test_json_schema_refuses_what_the_models_refuse():
    data = Document.parse(GOOD.replace("protect: token", "protect: tokn")).data
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json_schema())
    assert json.loads(json.dumps(json_schema()))["properties"].keys() == {
        field.alias or name for name, field in Contract.model_fields.items()
    }


@given(st.text(max_size=200))
def test_any_text_is_a_contract_or_a_contract_error(text):
    try:
        contract, problems = problems_of(Document.parse(text))
    except ContractError as error:
        assert all(problem.line >= 1 for problem in error.problems)
    else:
        assert contract is not None or problems


@given(st.text("abcd_", max_size=8), st.text("abcd_", max_size=8))
def test_letters_between_two_names_are_counted_as_rapidfuzz_counts_them(one, two):
    assert min(_distance(one, two), NEAR + 1) == OSA.distance(one, two, score_cutoff=NEAR)
