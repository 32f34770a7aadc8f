"""``redact_text: {also: [...]}``: a row's own known values are taken out of its text, in every place that reads the text."""

import itertools
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.contract import Document, problems_of
from dataward.errors import UsageError
from dataward.inference import Protector
from dataward.privacy.protect.canonical import CANONICAL
from dataward.privacy.protect.known import needles, occurrences
from tests.cases import cases
from tests.keys import THIRD_VERSION as RING


def protector(columns):
    text = "contract: t\nsource: {path: a}\ntarget: {path: b}\nkeys: {path: k, domain: people}\ndefault: keep\n"
    made, problems = problems_of(Document.parse(f"{text}columns: {columns}\n"))
    assert not problems, [str(problem) for problem in problems]
    return Protector(made, RING)


PEOPLE = protector(
    "{name: {class: person_name, protect: token}, mrn: {protect: token}, "
    "note: {class: free_text, protect: {redact_text: {also: [name, mrn], tokens: false, classes: [email]}}}}"
)


def told(note, name="Ada Lovelace", mrn="MR-1234567"):
    return PEOPLE({"name": name, "mrn": mrn, "note": note})["note"]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("seen ADA LOVELACE today", "seen <PERSON_NAME> today"),
        ("Lovelace, Ada: stable", "<PERSON_NAME>, <PERSON_NAME>: stable"),
        ("Mrs Lovelace's chart", "Mrs <PERSON_NAME>'s chart"),
        ("Ada\nLovelace", "<PERSON_NAME>"),
        ("ＡＤＡ Lóvelacé", "<PERSON_NAME>"),
        ("mrn MR1234567, mr 1234567; mr-12 34-567", "mrn <MRN>, <MRN>; <MRN>"),
        ("Adamant, nada, MR-12345678, XMR-1234567", "Adamant, nada, MR-12345678, XMR-1234567"),
        ("a\u200bda is here", "<PERSON_NAME> is here"),
        ("to ada.lovelace@x.org", "to <EMAIL>"),
        ("nothing of her", "nothing of her"),
        ("", ""),
        (None, None),
    ],
)
def test_known_values_are_found_on_the_boundaries_of_words(text, made):
    assert told(text) == made


def test_values_of_other_rows_stay_and_missing_ones_are_not_looked_for():
    batch = pa.table(
        {"name": ["Ada Lovelace", "unknown", None, "X"], "mrn": ["1", "2", "n/a", "4"],
         "note": ["Grace is unknown", "unknown n/a 2", "None of it", "X 4"]}
    )  # fmt: skip
    assert PEOPLE(batch)["note"].to_pylist() == ["Grace is unknown", "unknown n/a 2", "None of it", "X 4"]


@pytest.mark.parametrize(
    ("name", "text"), [("王小明", "患者王小明入院"), ("김철수", "환자 김철수는"), ("Ñuñez", "sr. nunez")]
)
def test_names_of_other_scripts(name, text):
    assert "<PERSON_NAME>" in told(text, name)
    assert not set(name) & set(told(text, name))


def test_the_token_is_that_of_the_column_also_of_a_part_of_the_name():
    made = protector(
        "{name: {class: person_name, protect: token}, mrn: {class: health_id, protect: token}, "
        "note: {protect: {redact_text: {also: [name, mrn]}}}}"
    )({"name": "Ada Lovelace", "mrn": "12-34567", "note": "Lovelace (1234567)"})
    assert made["note"] == f"<PERSON_NAME:{made['name']}> (<HEALTH_ID:{made['mrn']}>)"


def test_numbers_dates_and_bytes_are_known_by_their_text():
    made = protector("{note: {protect: {redact_text: {also: [id, raw], tokens: false, classes: [email]}}}}")
    table = pa.table({"id": [4711], "raw": [b"\xffab"], "note": ["id 4711, 47110"]})
    assert made(table)["note"].to_pylist() == ["id <ID>, 47110"]


def test_inside_of_lists_structs_and_json_each_text_meets_its_own_row():
    columns = (
        "{who: {protect: token}, notes: {protect: {redact_text: {also: [who], tokens: false}}}, "
        "doc: {protect: {json: {fields: {n: {protect: {redact_text: {also: [who], tokens: false}}}}, rest: keep}}}}"
    )
    batch = pa.table({
        "who": ["Quill", "Brandt", "Quill"],
        "notes": [["Quill", "Brandt"], [], ["ok", "Brandt", "Quill"]],
        "doc": ['{"n":["Quill","Brandt"],"k":1}', '{"n":"Brandt, quill"}', '{"n":"Quill"}'],
    })  # fmt: skip
    made = protector(columns)(batch)
    assert made["notes"].to_pylist() == [["<WHO>", "Brandt"], [], ["ok", "Brandt", "<WHO>"]]
    assert made["doc"].to_pylist() == ['{"n":["<WHO>","Brandt"],"k":1}', '{"n":"<WHO>, quill"}', '{"n":"<WHO>"}']


def test_a_fallback_meets_its_own_row_too():
    columns = "{doc: {protect: {json: {fields: {a: {protect: token}}, rest: keep, invalid: {fallback: {redact_text: {also: [who], tokens: false}}}}}}}"
    made = protector(columns)(pa.table({"who": ["Quill", "Brandt"], "doc": ['{"b":1}', "no JSON: Brandt, Quill"]}))
    assert made["doc"].to_pylist() == ['{"b":1}', "no JSON: <WHO>, Quill"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"note": ["x"], "names": ["y"]}, "reads 'name', which is no column; did you mean 'names'"),
        ({"note": ["x"], "name": [["y"]]}, "reads 'name', which is list"),
    ],
)
def test_a_column_that_cannot_be_read_is_refused_by_name(table, said):
    made = protector("{note: {protect: {redact_text: {also: [name]}}}}")
    with pytest.raises(UsageError, match=said):
        made(pa.table(table))


WORDS = st.lists(
    st.sampled_from(["ada", "Ünal", "o'neil", "12", "x", "王", "smith-jones", "of"]), min_size=1, max_size=4
)
FILL = st.text("abc ,.-1ü王\u200b", max_size=8)


@given(WORDS, FILL, FILL, st.sampled_from([" ", "-", ", ", "  "]))
@cases()
def test_no_known_value_stays_in_any_text(words, before, after, between):
    value = " ".join(words)
    wanted = needles([("name", value)])
    text = f"{before} {between.join(words).upper()} {after}"
    found = occurrences(text, wanted)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    left, place = "", 0
    for one in found:
        left, place = left + text[place : one.start] + "\n\n\n\n", one.end
    assert not occurrences(left + text[place:], wanted)
    if wanted:
        assert found


def test_labels_hold_no_value():
    assert re.fullmatch(r"<NAME:v3\.[0-9a-f]{32}>", protector(
        "{note: {protect: {redact_text: {also: [Name]}}}}")({"Name": "Ada Lovelace", "note": "ada lovelace"})["note"])  # fmt: skip
    assert CANONICAL["person_name"]("Ada  LOVELACE ") == "ada lovelace"
