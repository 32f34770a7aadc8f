"""Contracts, policies and detector files as text that nobody trusts: every file gives a plan or mistakes with lines."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataward.contract import Contract, Document
from dataward.contract.document import DEEPEST, LONGEST, REPEATED
from dataward.contract.load import detectors, policy_of
from dataward.errors import ContractError
from dataward.pipeline.plan import plan

RICH = """\
contract: people
source: {format: csv, path: data/people.csv, options: {header: true}, schema: 'id INT, mail STRING'}
target: {path: lake/people, mode: merge, on: [id]}
quarantine: {path: lake/people_quarantine}
keys: {provider: local, path: conf/keys, domain: people}
treat:
  normalise: {mail: {trim: true, case: lower}, born: {date: [yyyy], else: 'null'}, price: {number: {decimal: ','}, as: int}}
  duplicates: {same: {similar: {name: {as: name, weight: 2}}, above: 0.9, block: [mail], keep: newest, by: at}}
  outliers: {price: {method: iqr, factor: 3, per: [mail]}}
  missing: {price: {with: mean, per: [mail]}, mail: {constant: 1}, at: {lookup: {reference: r, on: {id: id}, take: at}}}
rules: "Rules = [ RowCount > 1 ]"
references: {r: {path: lake/r, version: 3}}
columns:
  id: {protect: keep}
  mail: {class: email, protect: {token: {bits: 128, invalid: {fallback: redact}}}}
  card: {class: payment_card, protect: {fpe: {format: card, keep_first: 6}}}
  born: {protect: {date_shift: {by: id, days: 3}}}
  zip: {protect: {generalize: {width: 5}}}
  pay: {protect: {perturb: {scale: 2.5}}}
  json: {protect: {json: {fields: {a.b: {class: email, protect: token}}, rest: keep}}}
  name: {class: person_name, protect: {pick: {values: [a, b]}}}
default: keep
discovery: {gate: warn, rows: 1000, confidence: 0.9}
history: {keep: 90}
windows: {column: at, length: 1 hour}
limits: {quarantined: 0.10}
access: {reidentify: [{principals: [a], classes: [email], purposes: [b], rows_per_day: 1}]}
erasure: {subject: id, retain: {column: at, days: 3}}
quasi_identifiers: {zip: [{width: 5}]}
"""
POLICY = "policy: p\nclasses:\n  email: {protect: token, one_way: true, columns: ['*mail*']}\nfrequency_share: 0.1\n"
DETECTORS = "detectors:\n  badge:\n    regex: 'B-[0-9]{4}'\n    keywords: [badge]\n    minimum_share: 0.1\n"

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

# (text, line, words of the mistake)
EVIL = [
    (BOMB, 5, "aliases repeat more than"),
    ("columns: &c\n  a: *c\n", 2, "*c stands inside of what it repeats"),
    ("contract: x\ncolumns: *nobody\n", 2, "*nobody repeats what is named nowhere above"),
    ("contract: x\ncolumns: " + "[" * 5000 + "\n", 2, f"more than {DEEPEST} levels"),
    ("\n".join(" " * n + "a:" for n in range(200)), DEEPEST + 1, f"more than {DEEPEST} levels"),
    ("a: &a0 [1]\n" + "".join(f"b{n}: &a{n + 1} [*a{n}]\n" for n in range(500)), DEEPEST, f"more than {DEEPEST} levels"),
    ("contract: x\nlimits: {quarantined: 0123}\n", 2, "0123 is octal to some readers"),
    ("contract: x\nlimits: {quarantined: 0899}\n", 2, "0899 is octal to some readers"),
    ("contract: x\nlimits: {quarantined: 1e400}\n", 2, "1e400 is no number that can be used"),
    ("contract: x\nlimits: {quarantined: .inf}\n", 2, ".inf is no number that can be used"),
    ("contract: x\nlimits: {quarantined: -.INF}\n", 2, "-.INF is no number"),
    ("contract: x\nlimits: {quarantined: .nan}\n", 2, ".nan is no number that can be used"),
    ("contract: x\nlimits: {quarantined: " + "9" * 5000 + "}\n", 2, "too large a number"),
    ("contract: x\nhistory: {keep: 99999999999999999999}\n", 2, "too large a number"),
    ("contract: x\nhistory: {keep: !!timestamp 2024-99-99}\n", 2, "the tag !!timestamp is not read here"),
    ("contract: x\nhistory: !!python/object/apply:os.system [ls]\n", 2, "the tag !!python/object/apply:os.system"),
    ("contract: x\ncolumns: {? [a, b] : keep}\n", 2, "a list or mapping cannot be a key"),
    ('contract: x\ncolumns: {"": {protect: keep}}\n', 2, "a key is empty"),
    ("contract: x\n---\ncontract: y\n", 2, "a second YAML document begins here"),
    ("contract: x\nrules: \x07\n", 2, "a control character stands here"),
    ("contract: x\nrules:\n\t- a\n", 3, "the line begins with a tab"),
    ("#" * (LONGEST + 1), 1, "larger than"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "words"), EVIL)
@pytest.mark.parametrize("read", [plan, policy_of, detectors], ids=["contract", "policy", "detectors"])
def test_text_that_means_harm_is_a_mistake_with_its_line(tmp_path, text, line, words, read):
    file = tmp_path / "file.yaml"
    file.write_text(text)
    with pytest.raises(ContractError) as caught:
        read(file)
    told = [problem for problem in caught.value.problems if words in problem.what]
    assert told, str(caught.value)[:2000]
    assert (told[0].file, told[0].line) == (str(file), line)
    assert told[0].remedy


def test_what_aliases_repeat_within_reason_is_read():
    said = Document.parse("a: &mail {class: email}\nb: [*mail, *mail]\nc: &n 7\nd: *n\n")
    assert said.data == {"a": {"class": "email"}, "b": [{"class": "email"}] * 2, "c": 7, "d": 7}
    assert not said.problems
    whole = Document.parse(f"a: &a [{'x,' * 99}x]\nb: [{'*a,' * (REPEATED // 101)}]\n")
    assert len(whole.data["b"]) == REPEATED // 101


def test_numbers_and_words_of_the_core_schema():
    said = Document.parse(
        "{a: 0x1F, b: 0o17, c: -5, d: 1e3, e: '0123', f: .5, g: yes, h: 2024-01-01, 7: ~, i: !!str 0123, j: 0}"
    )
    assert said.data == {
        "a": 31, "b": 15, "c": -5, "d": 1000.0, "e": "0123", "f": 0.5, "g": "yes", "h": "2024-01-01", "7": None, "i": "0123", "j": 0,
    }  # fmt: skip
    assert not said.problems


def test_of_very_many_mistakes_the_first_hundred_are_told(tmp_path):
    (tmp_path / "c.yaml").write_text(
        "contract: x\ncolumns:\n" + "".join(f"  c{n}: {{protect: tokn}}\n" for n in range(20_000))
    )
    with pytest.raises(ContractError) as caught:
        plan(tmp_path / "c.yaml")
    assert len(caught.value.problems) == 101
    assert any(
        problem.what == "19,903 more mistakes" for problem in caught.value.problems
    )  # source, target and keys are missing
    (tmp_path / "c.yaml").write_text("contract: x\nnumbers: [" + "0123, " * 1000 + "]\n")
    with pytest.raises(ContractError) as caught:
        plan(tmp_path / "c.yaml")
    assert len(caught.value.problems) == 100


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"\xef\xbb\xbfcontract: x\n")
    assert Document.read(tmp_path / "c.yaml").data == {"contract": "x"}


ODD = st.one_of(
    st.none(), st.booleans(), st.text(max_size=8), st.floats(), st.sampled_from([-1, 0, 1, 10**9, 2**63 - 1, -(2**63), 10**25]),
    st.sampled_from(["token", "x" * 70, "*", "$[", "((((((", "9" * 30, "a.b", "`", "keep", "\u0000", "\ud800", "1 hour", "99999999999999 weeks"]),
    st.lists(st.text(max_size=3), max_size=2), st.dictionaries(st.text(max_size=3), st.none() | st.text(max_size=3), max_size=2),
    st.just([[]]), st.just({"a": {"b": {}}}),
)  # fmt: skip


def _places(data, place=()):
    yield place
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from _places(value, (*place, key))


def _changed(data, place, value):
    if not place:
        return value
    made = copy.copy(data)
    made[place[0]] = _changed(data[place[0]], place[1:], value)
    return made


def _survives(read, text, folder):
    (folder / "fuzzed.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        read(folder / "fuzzed.yaml")
    except ContractError as error:
        assert error.problems
        assert all(problem.line >= 1 for problem in error.problems)
        words = " ".join(problem.what for problem in error.problems)
        assert not any(
            own in words for own in ("nput should", "valid dictionary", "unable to parse", "valid boolean", "pydantic")
        ), words


SHAPES = [(plan, RICH), (policy_of, POLICY), (detectors, DETECTORS)]


@settings(deadline=None)
@given(st.data())
def test_any_value_at_any_place_gives_a_plan_or_mistakes(tmp_path_factory, data):
    read, text = data.draw(st.sampled_from(SHAPES))
    whole = Document.parse(text).data
    for _ in range(data.draw(st.integers(1, 2))):
        whole = _changed(whole, data.draw(st.sampled_from(list(_places(whole)))), data.draw(ODD))
    _survives(read, json.dumps(whole, ensure_ascii=data.draw(st.booleans())), tmp_path_factory.getbasetemp())


@settings(deadline=None)
@given(st.data())
def test_any_text_gives_a_plan_or_mistakes(tmp_path_factory, data):
    read, text = data.draw(st.sampled_from(SHAPES))
    start, end = sorted((data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))))
    piece = data.draw(
        st.text(alphabet=":-[]{}&*!|>'\"%@`,?#\n\t ax0.~\\\ufeff\x00\x85\u2028", max_size=12) | st.text(max_size=6)
    )
    _survives(read, text[:start] + piece + text[min(end, start + 20) :], tmp_path_factory.getbasetemp())


def test_the_contract_that_is_fuzzed_uses_most_keys():
    said = Document.parse(RICH).data
    assert len(said.keys() & Contract.model_fields.keys()) >= 16


# (what is replaced, by what, words of the mistake)
ABSURD = [
    ("keep: 90", "keep: 9223372036854775807", "less than or equal to 36500"),
    ("length: 1 hour", "length: 99999999999999999999 weeks", "a form that is not allowed"),
    ("days: 3}}}", "days: 99999}}}", "less than or equal to 36500"),
    ("{format: card, keep_first: 6}", "{length: 999999999999}", "less than or equal to 10000"),
    ("price: {number: {decimal: ','}, as: int}", "price: {unit: {column: u, to: 'kg**9**9**9', from: [kg]}}", "is no unit"),
    ("price: {number: {decimal: ','}, as: int}", "price: {unit: {column: u, to: kg, from: ['9**9**9']}}", "is no unit"),
    ("RowCount > 1 ]", "ColumnValues 'at' > (now() - 900000 days) ]".replace("'", '\\"'), "cannot be moved by more than"),
    ("version: 3", "version: 9223372036854775808", "too large a number"),
    ("{gate: warn, rows: 1000", "{gate: warn, rows: 9223372036854775807", "less than or equal to"),
    ("quarantined: 0.10", "quarantined: 'much'", "a number is expected here"),
    ("{header: true}", "{header: [a]}", "a plain value is expected here"),
    ("{token: {bits: 128, ", "{token: {bits: 128.5, ", "a whole number is expected here"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), ABSURD)
def test_absurd_settings_are_mistakes(tmp_path, old, new, words):
    assert old in RICH
    (tmp_path / "c.yaml").write_text(RICH.replace(old, new))
    with pytest.raises(ContractError) as caught:
        plan(tmp_path / "c.yaml")
    line = RICH[: RICH.index(old)].count("\n") + 1
    assert any(
        words in problem.what and problem.line == line and problem.remedy for problem in caught.value.problems
    ), str(caught.value)


@pytest.mark.parametrize("unit", ["kg", "degC", "km/h", "m/s**2", "1/s", "kg * m / s^2", "°C", "inch_H2O_39F", "µm"])
def test_units_as_people_write_them_are_taken(tmp_path, unit):
    given = RICH.replace(
        "price: {number: {decimal: ','}, as: int}", f"price: {{unit: {{column: u, to: '{unit}', from: ['{unit}']}}}}"
    )
    (tmp_path / "c.yaml").write_text(given)
    try:
        plan(tmp_path / "c.yaml")
    except ContractError as error:
        assert "is no unit" not in str(error)
