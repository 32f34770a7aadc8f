"""Discovery without Spark: texts, evidence, classes with their bounds, spans, custom detectors, redact_text."""

import random
import re
import string
from collections import Counter
from hashlib import sha256

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.contract import CustomDetector, Document, problems_of
from dataward.contract.load import detectors
from dataward.contract.protections import RedactText
from dataward.errors import ContractError
from dataward.privacy.discover.checksums import mod97
from dataward.privacy.discover.columns import by_path
from dataward.privacy.discover.context import told_by_name
from dataward.privacy.discover.custom import with_custom
from dataward.privacy.discover.detectors import CLASSES, DETECTORS, detector
from dataward.privacy.discover.evidence import Evidence
from dataward.privacy.discover.fold import fold, fold_with_places
from dataward.privacy.discover.scanner import scanner
from dataward.privacy.discover.score import interval, judge_column
from dataward.privacy.protect.operator import Key, Rows
from dataward.privacy.protect.redact_text import RedactTextOperator
from dataward.privacy.protect.token import macs
from tests.cases import cases
from tests.labelled import checked, columns
from tests.shapes import text_of


def found(name, values, custom=None):
    known = with_custom(custom or {})
    counted = Counter(values)
    return judge_column(name, scanner(known).look(list(counted), list(counted.values())), known)


def spans(text, custom=None):
    return [(text[s.start : s.end], s.class_) for s in scanner(with_custom(custom or {})).spans(text)]


# texts


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("４１１１‐１１１１", "4111-1111"), ("٤١١١", "4111"), ("a\u00a0b", "a b"), ("a\u200bb", "ab"), ("−5", "-5"),
        ("ａ＠ｂ．ｏｒｇ", "a@b.org"), ("\ud800x", "\ufffdx"), ("plain", "plain"), ("e\u0301", "e"), ("5\u20114", "5-4"),
    ],
)  # fmt: skip
def test_fold(given, seen):
    assert fold(given) == seen


@given(st.text(st.characters(), max_size=40))
def test_places_lead_back_into_the_given_text(text):
    folded, places = fold_with_places(text)
    assert folded == fold(text)
    if places is not None:
        assert len(places) == len(folded) + 1
        assert places == sorted(places)
        assert places[-1] == len(text)


# the labelled set


def test_columns_of_42_classes_and_15_locales_are_told_and_others_are_not():
    right = wrong = missed = 0
    sure: list[bool] = []
    for one in columns(301, rows=60):
        told = found(one.name, one.values)
        right += bool(one.label) and told.class_ == one.label
        wrong += told.class_ is not None and told.class_ != one.label
        missed += one.label is not None and told.class_ != one.label
        if told.class_ and told.confidence.value >= 0.9:
            sure.append(told.class_ == one.label)
    f1 = 2 * right / (2 * right + wrong + missed)
    assert f1 >= 0.98, (right, wrong, missed)
    assert sum(sure) / len(sure) >= 0.9


def test_the_set_has_every_class_and_the_default_policy_speaks_of_each():
    labels = {one.label for one in columns(1, rows=1)} - {None}
    assert len(labels) >= 40
    assert labels == CLASSES - {"protected"}
    text = "contract: t\nsource: {path: a}\ntarget: {path: b}\nkeys: {path: k, domain: t}\npolicy: conf/policies/default.yaml\ncolumns: {}\n"
    contract, problems = problems_of(Document.parse(text))
    assert not problems
    assert CLASSES - {"protected"} <= set(contract.policy.classes) | {"cloud_key"}


CHECKED = [pytest.param(one, pattern, id=f"{one.class_}: {pattern.name}") for one, pattern in checked()]


@pytest.mark.parametrize(("one", "pattern"), CHECKED)
def test_as_many_random_texts_of_its_shape_pass_a_check_as_it_says(one, pattern):
    r = random.Random(pattern.name)
    texts = [text_of(pattern.regex, r) for _ in range(800)]
    rate = sum(map(bool, pattern.check(texts))) / len(texts)
    assert rate <= 1.4 * pattern.chance + 0.03
    assert rate >= pattern.chance / 6 - 0.015


@pytest.mark.parametrize("size", range(8, 20))
def test_random_digits_are_nothing_at_any_length(size):
    r = random.Random(size)
    values = ["".join(r.choice(string.digits) for _ in range(size)) for _ in range(400)]
    assert found("order_no", values).class_ is None
    assert found("c1", values).class_ is None


# evidence

texts = st.lists(
    st.one_of(st.sampled_from(["a@b.org", "4111111111111111", "x", "", None]), st.text(max_size=20)), max_size=30
)


@given(texts, texts)
@cases(0.6)
def test_the_evidence_of_two_parts_is_that_of_the_whole(a, b):
    whole, parts = scanner().look([*a, *b]), scanner().look(a)
    parts.add(scanner().look(b))
    assert (whole.values, whole.nulls, whole.characters, whole.smallest) == (
        parts.values, parts.nulls, parts.characters, parts.smallest,
    )  # fmt: skip
    single = {name: c for name, c in whole.whole.items() if ":" in name}
    assert {name: c.matched for name, c in single.items()} == {name: parts.whole[name].matched for name in single}
    assert Evidence.of_data(whole.as_data()) == whole


def test_bounds_narrow_with_the_sample_and_hold_the_value():
    r = random.Random(1)
    widths = []
    for size in (2, 10, 100, 1000):
        values = [f"user{r.randrange(10**9)}@example.org" for _ in range(size)]
        sure = found("c1", values).confidence
        assert sure.low <= sure.value <= sure.high
        widths.append(sure.high - sure.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.01


def test_wilson_intervals_are_the_textbooks():
    assert interval(0, 10)[1:] == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert interval(5, 10)[1:] == pytest.approx((0.2366, 0.7634), abs=1e-3)


def test_one_card_in_ten_by_chance_is_no_card():
    r = random.Random(2)
    values = ["4" + "".join(r.choice(string.digits) for _ in range(15)) for _ in range(2000)]
    assert found("c1", values).class_ is None
    assert found("c1", ["0000000000000000"] * 50).class_ is None


def test_evidence_holds_no_value():
    told = found("mail", ["canary-value-77@example.org"] * 5 + [f"u{n}@x.org" for n in range(50)])
    assert told.class_ == "email"
    assert "canary" not in repr(told)


# names of columns


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("customerEMail_2", {"email"}), ("ip_address", {"ip_address"}), ("email_count", set()), ("phone_model", set()), ("product_name", set()),
        ("first_name", {"person_name"}), ("tabular", set()), ("emailaddress", {"email"}), ("is_email_valid", set()), ("Geburtsdatum", {"birth_date"}),
        ("spin", set()), ("companion", set()), ("user.home_address", {"postal_address"}), ("Straße", {"postal_address"}),
    ],
)  # fmt: skip
def test_names_speak_on_the_boundaries_of_words(name, classes):
    assert set(told_by_name(name, DETECTORS)) == classes


# nested columns


def test_leaves_of_nested_columns_and_of_json():
    batch = pa.RecordBatch.from_pylist(
        [
            {"a": [{"mail": "a@b.org"}], "m": [("k", "v")], "j": '{"u": {"mail": "c@d.org"}, "n": [1, 2]}', "b": True, "i": 5},
            {"a": [], "m": [], "j": '{"u": {"mail": null}}', "b": None, "i": None},
        ],
        schema=pa.schema({"a": pa.list_(pa.struct({"mail": pa.string()})), "m": pa.map_(pa.string(), pa.string()), "j": pa.string(), "b": pa.bool_(), "i": pa.int32()}),
    )  # fmt: skip
    got = {path: values.to_pylist() for path, values in by_path(batch)}
    assert got == {
        "a.mail": ["a@b.org"], "m.key": ["k"], "m.value": ["v"], "j": [], "j: u.mail": ["c@d.org"], "j: n": ["1", "2"], "i": ["5", None],
    }  # fmt: skip


def test_keys_of_json_that_are_data_are_looked_at_and_name_no_path():
    rows = [f'{{"user{n}@x.org": 1, "ok": 2}}' for n in range(60)]
    got = dict(by_path(pa.RecordBatch.from_pydict({"j": pa.array(rows)})))
    assert "x.org" not in "".join(got)
    assert len(got["j: key"]) == 61


# spans


def test_spans_in_text():
    text = "Call Dr. Ada Smith at +49 30 901820 or ada@x.org; card ４１１１‐１１１１‐１１１１‐１１１１, SSN: 078-05-1120, key AKIAIOSFODNN7EXAMPLE."
    assert spans(text) == [
        ("Dr. Ada Smith", "person_name"), ("+49 30 901820", "phone"), ("ada@x.org", "email"), ("４１１１‐１１１１‐１１１１‐１１１１", "payment_card"),
        ("078-05-1120", "national_id"), ("AKIAIOSFODNN7EXAMPLE", "cloud_key"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "order 4111111111111112 shipped", "ref 41111111111111112345", "v1.2.3.4 released", "x4111111111111111", "call me at 5 or 6", "sum 123-45-6789-12",
        "ratio 3.14 of 2.71", "commit da39a3ee5e6b4b0d3255bfef95601890afd80709", "", "2024-01-05T10:00:00",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_left(text):
    assert spans(text) == []


def test_a_word_near_makes_digits_a_number_of_something():
    assert spans("passport no C01X00T47 shown") == [("C01X00T47", "passport")]
    assert spans("part no C01X00T47 shown") == []
    assert (
        spans("IBAN and later, after a long, long while, far beyond what anybody would call near it, 1234567 units")
        == []
    )


@pytest.mark.parametrize(
    ("text", "class_"),
    [
        ("Authorization: Basic YWRhOnNlY3JldA==", "api_token"), ("%B4111111111111111^LOVELACE/ADA^30121010000000000000?", "payment_card"),
        ("(01)00643169001763(17)160712(10)ABC123", "device_id"), ("Set-Cookie: SID=31d4d96e407aad42; Path=/", "session_cookie"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "jwt"), ("Server=a;Password=hunter22;", "url_password"),
        ("2001:db8:85a3::8a2e:370:7334", "ip_address"), ("00:1A:2B:3C:4D:5E", "mac_address"), ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "crypto_wallet"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "crypto_wallet"), ("GB82 WEST 1234 5698 7654 32", "iban"), ("1HGCM82633A004352", "vin"),
    ],
)  # fmt: skip
def test_well_known_examples_stand_alone_in_text(text, class_):
    assert class_ in {found_as for _, found_as in spans(f"see {text}")}


def test_a_long_text_of_near_misses_is_gone_through_once():
    assert spans("Ab Cd " * 20_000) == []


def test_the_longest_of_overlapping_spans_stays():
    assert spans("see postgresql://ada:secret@db.example.org:5432/x now") == [
        ("postgresql://ada:secret@db.example.org:5432/x", "url_password")
    ]


@given(st.text(st.characters(), max_size=60), st.text(st.characters(), max_size=60))
@cases(1.5)
def test_spans_are_ordered_apart_and_inside_of_any_text(before, after):
    text = f"{before} ada@example.org {after}"
    last = 0
    for span in scanner().spans(text):
        assert last <= span.start < span.end <= len(text)
        last = span.end
    assert any("ada@example.org" in text[s.start : s.end] for s in scanner().spans(text))


# custom detectors

STAFF = CustomDetector(regex=r"E-[0-9]{6}", ignore=("E-000000",))


def test_a_custom_detector_finds_columns_and_spans():
    custom = {"staff_id": STAFF}
    r = random.Random(1)
    values = [f"E-{r.randrange(10**6):06}" for _ in range(50)]
    assert found("c1", values, custom).class_ == "staff_id"
    assert spans("by E-123456, not E-000000", custom) == [("E-123456", "staff_id")]
    assert found("c1", ["E-000000"], custom).class_ is None


def test_with_keywords_it_counts_only_near_one():
    custom = {
        "ward": CustomDetector.model_validate(
            {"class": "hospital_ward", "regex": "W[0-9]{2}", "keywords": ["ward"], "proximity": 10}
        )
    }
    r = random.Random(1)
    values = [f"W{r.randrange(100):02}" for _ in range(80)]
    assert found("c1", values, custom).class_ is None
    assert found("patient_ward", values, custom).class_ == "hospital_ward"
    assert spans("ward W12", custom) == [("W12", "hospital_ward")]
    assert spans("W12", custom) == []
    assert spans("the ward, which is far away: W12", custom) == []


def test_a_minimum_share():
    custom = {"x": CustomDetector(regex="x[0-9]+", minimum_share=0.9)}
    values = [f"x{n}" for n in range(80)] + [f"y{n}" for n in range(20)]
    assert found("c1", values, custom).class_ != "x"


@pytest.mark.parametrize(
    ("regex", "said"),
    [("(a)\\\\1", "RE2"), ("(?=a)b", "RE2"), ("a*", "empty text"), ("(", "RE2"), ("(x{1000}){1000}", "RE2")],
)
def test_patterns_that_could_run_away_are_refused(tmp_path, regex, said):
    file = tmp_path / "d.yaml"
    file.write_text(f'detectors:\n  mine: {{regex: "{regex}"}}\n')
    with pytest.raises(ContractError, match=said) as caught:
        detectors(file)
    assert caught.value.problems[0].line == 2


def test_a_file_of_detectors_tells_unknown_keys(tmp_path):
    file = tmp_path / "d.yaml"
    file.write_text("detectors:\n  mine: {regex: a, keyword: [b]}\n")
    with pytest.raises(ContractError, match="did you mean 'keywords'"):
        detectors(file)


def test_tokens_inside_of_text_are_never_something_else():
    digests = (sha256(f"{n}".encode()).hexdigest()[:32] for n in range(10**6))
    unlucky = next(digest for digest in digests if re.match("ad[0-9]{2}", digest) and mod97([digest.upper()])[0])
    assert [span.class_ for span in scanner().spans(f"to {unlucky}")] == ["iban"]
    assert scanner().spans(f"to <EMAIL:v1.{unlucky}>, v2.{unlucky}") == []


def test_a_file_of_detectors_that_says_a_thing_twice_is_refused(tmp_path):
    file = tmp_path / "d.yaml"
    file.write_text("detectors:\n  mine: {regex: a}\n  mine: {regex: b}\n")
    with pytest.raises(ContractError, match="remove one of the two"):
        detectors(file)


# redact_text

SECRET = bytes(32)


def redacted(text, **given):
    operator = RedactTextOperator(RedactText(**given), Key("d", 1, SECRET))
    made, bad = operator.apply(
        pa.array([text], pa.string()), Rows(pa.RecordBatch.from_pydict({"t": pa.array([text], pa.string())}))
    )
    assert bad is None
    return made.to_pylist()[0]


def test_what_is_found_in_text_is_replaced_by_the_token_of_its_class():
    token = macs(SECRET, [b"ada@x.org"]).tobytes()[:16].hex()
    assert redacted("Mail ADA@x.org, please") == f"Mail <EMAIL:v1.{token}>, please"
    assert redacted("Mail ａｄａ＠x.org ☎", tokens=False) == "Mail <EMAIL> ☎"
    assert redacted(None) is None
    assert redacted("nothing here") == "nothing here"


def test_only_the_classes_that_are_asked_for():
    assert redacted("ada@x.org 10.20.30.140", classes=["ip_address"], tokens=False) == "ada@x.org <IP_ADDRESS>"


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=50), st.integers(0, 4))
@cases()
def test_the_text_around_stays_as_it_was(text, times):
    plain = re.sub(r"[@0-9]", "", fold(text))
    if spans(plain):
        return
    whole = plain + " ada@x.org" * times
    assert redacted(whole, tokens=False, classes=["email"]) == plain + " <EMAIL>" * times


def test_every_detector_explains_itself():
    for one in DETECTORS:
        assert one.explains
        assert detector(one.class_) is one
