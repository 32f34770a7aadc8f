"""Operators on Arrow arrays, as Spark's workers and model servers run them: laws, edges, refusals."""

import base64
import datetime as dt
import pickle
import random
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.errors import ProtectionError, UsageError
from tests.operators import ANY_TEXT, leaf, protected, protector, relaxed

# round trips


@relaxed
@given(st.lists(ANY_TEXT.filter(lambda t: t.encode(errors="ignore").decode() == t) | st.none(), max_size=40))
def test_encrypted_texts_come_back_exactly(values):
    for protection in ("encrypt", "encrypt_random"):
        made = protected(protection, values, pa.string())
        back = leaf(protection).reverse(pa.array(made, pa.string())).to_pylist()
        assert back == [None if v is None else v.encode() for v in values]
        assert all(m is None or (m.startswith("v3.") and "=" not in m) for m in made)


@relaxed
@given(st.lists(st.binary(max_size=40) | st.none(), max_size=20))
def test_encrypted_bytes_come_back_exactly(values):
    made = protected("encrypt", values, pa.binary())
    assert leaf("encrypt", pa.binary()).reverse(pa.array(made, pa.string())).to_pylist() == values


# nothing passes through


UNFIT = {
    "fpe": ["12345", "", "12345x", "１２３４５６７"],
    "{fpe: {format: card}}": ["4111 1111 1111 1112", "", "4111"],
    "{generalize: {prefix: 3}}": ["abc", "", "a"],
    "{date_shift: {by: b, format: '%Y%m%d'}}": ["20200230", "", "2020-01-01", "x"],
    "{json: {fields: {a: {protect: token}}, rest: keep}}": [
        "{",
        "",
        "[NaN]",
        '"\\ud800"',
        "1e999",
        "9" * 30,
        "[" * 100_000,
    ],
}


@pytest.mark.parametrize("protection", UNFIT)
def test_what_cannot_be_protected_stops_or_becomes_what_the_contract_says(protection):
    values = UNFIT[protection]
    table = pa.table({"a": pa.array(values), "b": ["p"] * len(values)})
    with pytest.raises(ProtectionError, match=r"^a: it holds values that \w+ cannot protect, which needs") as caught:
        protector(f"{{a: {{protect: {protection}}}}}")(table)
    assert not any(value in str(caught.value) for value in values if len(value) > 1)

    def with_invalid(invalid):
        body = protection if protection.startswith("{") else f"{{{protection}: {{}}}}"
        head = body[:-2].rstrip()
        return f"{{a: {{protect: {head}{'' if head.endswith('{') else ', '}invalid: {invalid}}}}}}}}}"

    assert protector(with_invalid("null"))(table)["a"].to_pylist() == [None] * len(values)
    fallen = protector(with_invalid("{fallback: token}"))(table)["a"].to_pylist()
    assert fallen == protected("token", values)


def test_invalid_utf8_is_never_passed_through():
    raw = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(np.array([0, 2, 5], np.int32)), pa.py_buffer(b"\xff\xfeabc")]
    )
    batch = pa.record_batch({"a": raw})
    for protection in (
        "mask",
        "fpe",
        "{generalize: {prefix: 1}}",
        "{json: {fields: {a: {protect: token}}, rest: keep}}",
    ):
        with pytest.raises(ProtectionError, match="cannot protect"):
            protector(f"{{a: {{protect: {protection}}}}}")(batch)
    assert protector("{a: {protect: token}}")(batch)["a"][0].as_py().startswith("v3.")
    with pytest.raises(ProtectionError, match="cannot protect"):
        protector("{a: {class: email, protect: token}}")(batch)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_not_perturbed_or_generalized(value):
    for protection in ("{perturb: {scale: 1}}", "{generalize: {width: 5}}", "{generalize: {bounds: [1, 2]}}"):
        with pytest.raises(ProtectionError, match="cannot protect"):
            protected(protection, [value, 1.0])


def test_nulls_stay_null_and_empty_input_stays_empty():
    kinds = {"token": pa.int64(), "encrypt": pa.date32(), "encrypt_random": pa.binary(), "fpe": pa.string(), "mask": pa.bool_(),
             "redact": pa.timestamp("us", "UTC"), "'null'": pa.int8(), "{generalize: {width: 5}}": pa.decimal128(9, 2),
             "{perturb: {scale: 1}}": pa.float32(), "{pick: {values: [a]}}": pa.string(), "{date_shift: {by: a}}": pa.date32(),
             "keep": pa.string()}  # fmt: skip
    for protection, kind in kinds.items():
        assert protected(protection, [None, None, None], kind) == [None] * 3, protection
        assert protected(protection, [], kind) == [], protection


# what each makes


def test_values_of_each_type_have_one_text():
    seen = {}
    cases = [(42, pa.int8()), (42, pa.int64()), (True, pa.bool_()), (Decimal("1.50"), pa.decimal128(9, 2)), (0.0, pa.float64()),
             (-0.0, pa.float64()), (1e-7, pa.float64()), (Decimal("0.00000001"), pa.decimal128(10, 8)), (dt.date(2020, 2, 29), pa.date32()),
             (dt.datetime(2020, 2, 29, 1, tzinfo=dt.timezone.utc), pa.timestamp("us", "America/New_York")),
             (dt.datetime(2020, 2, 29, 1), pa.timestamp("us"))]  # fmt: skip
    expected = [
        "42",
        "42",
        "true",
        "1.50",
        "0.0",
        "0.0",
        "1e-07",
        "0.00000001",
        "2020-02-29",
        "2020-02-29T01:00:00.000000Z",
        "2020-02-29T01:00:00.000000",
    ]
    for (value, kind), text in zip(cases, expected, strict=True):
        seen[text] = protected("token", [value], kind)
        assert seen[text] == protected("token", [text]), text


def test_spellings_of_one_value_get_one_token():
    groups = {
        "email": ["Ada@X.org", " ada@x.org", "ＡＤＡ@x.org"],
        "person_name": ["Zoë  Straße", "zoe\u0308 strasse", " ZOË STRASSE "],
        "national_id": ["12-34.56 a", "123456A", "12\u201134/56a"],
        "phone": ["030 123456", "+49 30 123456", "0049-30-123456"],
    }
    for class_, spellings in groups.items():
        region = ": {region: DE}" if class_ == "phone" else ""
        columns = (
            f"{{a: {{class: {class_}, protect: {{token{region}}}}}}}"
            if region
            else f"{{a: {{class: {class_}, protect: token}}}}"
        )
        table = pa.table({"a": spellings})
        assert len(set(protector(columns)(table)["a"].to_pylist())) == 1, class_
        assert len(set(protector("{a: {protect: token}}")(table)["a"].to_pylist())) == len(spellings)
    with pytest.raises(ProtectionError, match="a phone number with its country"):
        protector("{a: {class: phone, protect: token}}")(pa.table({"a": ["hello"]}))


def test_dates_of_one_entity_move_together_and_never_stay():
    days = [dt.date(2020, 1, 1) + dt.timedelta(n) for n in range(200)]
    at = [dt.datetime(2020, 1, 1, 5, n % 60, tzinfo=dt.timezone.utc) + dt.timedelta(n) for n in range(200)]
    table = pa.table(
        {
            "p": [n % 20 for n in range(200)],
            "d": days,
            "t": pa.array(at, pa.timestamp("us", "UTC")),
            "s": [f"{d:%Y%m%d}" for d in days],
        }
    )
    shift = "{date_shift: {by: p, days: 9}}"
    made = protector(
        f"{{d: {{protect: {shift}}}, t: {{protect: {shift}}}, s: {{protect: {{date_shift: {{by: p, days: 9, format: '%Y%m%d'}}}}}}}}"
    )(table)
    moved = [(a - b).days for a, b in zip(made["d"].to_pylist(), days, strict=True)]
    assert moved == [(a - b).days for a, b in zip(made["t"].to_pylist(), at, strict=True)]
    assert made["s"].to_pylist() == [f"{d:%Y%m%d}" for d in made["d"].to_pylist()]
    assert all(len({moved[n] for n in range(p, 200, 20)}) == 1 for p in range(20))
    assert 0 not in moved
    assert max(map(abs, moved)) <= 9
    assert len(set(moved)) > 5
    late = pa.table({"p": ["a"], "d": [dt.date(9999, 12, 31)]})
    results = set()
    for person in "abcdefgh":
        try:
            results.add(
                protector(f"{{d: {{protect: {shift}}}}}")(late.set_column(0, "p", pa.array([person])))["d"][0].as_py()
                is None
            )
        except ProtectionError:
            results.add("refused")
    assert results == {False, "refused"}


def test_generalize(tmp_path):
    assert protected("{generalize: {width: 10}}", [37, -1, 0], pa.int32()) == [30, -10, 0]
    assert protected("{generalize: {width: 0.5}}", [1.7, -0.1]) == [1.5, -0.5]
    assert protected("{generalize: {width: 0.25}}", [Decimal("1.70")], pa.decimal128(9, 2)) == [Decimal("1.50")]
    assert protected("{generalize: {bounds: [18, 65]}}", [17, 18, 64.9, 65]) == ["<18", "[18,65)", "[18,65)", ">=65"]
    assert protected("{generalize: {prefix: 3}}", ["90210", "éñ😀x"]) == ["902", "éñ😀"]
    day, at = dt.date(2027, 8, 19), dt.datetime(2027, 8, 19, 13, 14, 15)
    expected = {
        "week": dt.date(2027, 8, 16),
        "month": dt.date(2027, 8, 1),
        "quarter": dt.date(2027, 7, 1),
        "year": dt.date(2027, 1, 1),
        "decade": dt.date(2020, 1, 1),
    }
    for part, start in expected.items():
        assert protected(f"{{generalize: {{part: {part}}}}}", [day]) == [start]
        assert protected(f"{{generalize: {{part: {part}}}}}", [at], pa.timestamp("us")) == [
            dt.datetime(start.year, start.month, start.day)
        ]
    assert protected("{generalize: {part: hour}}", [at], pa.timestamp("us")) == [at.replace(minute=0, second=0)]
    (tmp_path / "h.csv").write_text("flu,infection,illness\ncovid,infection,illness\nfracture,injury,illness\n")
    assert protected(f"{{generalize: {{hierarchy: {tmp_path}/h.csv}}}}", ["flu", "fracture"]) == ["infection", "injury"]
    assert protected(f"{{generalize: {{hierarchy: {tmp_path}/h.csv, level: 2}}}}", ["flu"]) == ["illness"]
    with pytest.raises(ProtectionError, match="listed in"):
        protected(f"{{generalize: {{hierarchy: {tmp_path}/h.csv}}}}", ["flu", "gout"])


def test_perturbed_numbers_have_the_stated_scale():
    n = 40_000
    for noise, deviation in (("laplace", 5 * 2**0.5), ("gaussian", 5)):
        for kind in (pa.float64(), pa.int64(), pa.decimal128(12, 2)):
            given_ = pa.array([Decimal(1000) if pa.types.is_decimal(kind) else 1000] * n, kind)
            made = np.array([float(v) for v in protected(f"{{perturb: {{scale: 5, noise: {noise}}}}}", given_, kind)])
            assert abs(made.mean() - 1000) < 0.3
            assert abs(made.std() / deviation - 1) < 0.05
    with pytest.raises(ProtectionError, match="well inside its type"):
        protected("{perturb: {scale: 1000}}", [127] * 200, pa.int8())


def test_pick_is_the_same_for_the_same_value(tmp_path):
    (tmp_path / "names.txt").write_text("\ufeffAnn\nBob\n\n Cy \n")
    values = [f"person {n}" for n in range(600)]
    made = protected(f"{{pick: {{file: {tmp_path}/names.txt}}}}", values)
    assert set(made) == {"Ann", "Bob", "Cy"}
    assert min(made.count(name) for name in set(made)) > 130
    assert made == protected("{pick: {values: [Ann, Bob, Cy]}}", values)


def test_inside_of_lists_maps_structs_and_json():
    kind = pa.list_(pa.struct([("phone", pa.string()), ("kind", pa.string()), ("x", pa.int32())]))
    rows = [
        [{"phone": "0301234567", "kind": "home", "x": 1}, None],
        None,
        [],
        [{"phone": None, "kind": "k", "x": None}],
    ]
    made = protector("{c.phone: {protect: fpe}, c.x: {protect: drop}}")(pa.table({"c": pa.array(rows, kind)}))
    assert made.schema.field("c").type == pa.list_(pa.struct([("phone", pa.string()), ("kind", pa.string())]))
    out = made["c"].to_pylist()
    assert out[0][0]["phone"] != "0301234567"
    assert len(out[0][0]["phone"]) == 10
    assert (out[0][1], out[1], out[2], out[3]) == (None, None, [], [{"phone": None, "kind": "k"}])
    maps = pa.array([[("k", "v")], None, [], [("k", None)]], pa.map_(pa.string(), pa.string()))
    out = protector("{m.value: {protect: token}}")(pa.table({"m": maps}))["m"].to_pylist()
    assert out == [[("k", protected("token", ["v"])[0])], None, [], [("k", None)]]
    deep = pa.array([[[["x", None], None], None]], pa.list_(pa.list_(pa.list_(pa.string()))))
    assert protector("{d: {protect: redact}}")(pa.table({"d": deep}))["d"].to_pylist() == [
        [[["[redacted]", None], None], None]
    ]
    text = '{"user":{"mail":"A@x.org","tags":["a",{"b":true}]},"n":[1,2.5,null],"user.mail":"q"}'
    fields = "{fields: {user.mail: {class: email, protect: token}, user.tags: {protect: redact}, n: {protect: {generalize: {width: 2}}}}, rest: keep}"
    (out,) = protected(f"{{json: {fields}}}", [text])
    token = protector("{a: {class: email, protect: token}}")({"a": "a@x.org"})["a"]
    other = protector("{a: {class: email, protect: token}}")({"a": "q"})["a"]
    assert (
        out
        == f'{{"user":{{"mail":"{token}","tags":["[redacted]",{{"b":"[redacted]"}}]}},"n":[0,2.0,null],"user.mail":"{other}"}}'
    )


def test_sliced_arrays_are_read_where_they_begin():
    table = pa.table({
        "a": pa.array(["skip", "0301234567", None, "0301234568"]),
        "l": pa.array([["skip"], ["x", "y"], None, []]),
        "m": pa.array([[("s", "k")], [("p", "q")], None, []], pa.map_(pa.string(), pa.string())),
        "s": pa.array([{"f": "skip"}, {"f": "z"}, None, {"f": None}]),
    })  # fmt: skip
    guard = protector("{a: {protect: fpe}, l: {protect: mask}, m: {protect: mask}, s: {protect: mask}}")
    whole = guard(table.slice(1)).to_pylist()
    rebuilt = guard(pa.Table.from_pylist(table.slice(1).to_pylist(), table.schema)).to_pylist()
    assert whole == rebuilt


def test_ten_megabytes_and_deep_json():
    big = "ä" * 5_000_000
    for protection in ("token", "encrypt", "encrypt_random", "mask", "{generalize: {prefix: 5}}"):
        (made,) = protected(protection, [big])
        assert made != big
    assert base64.urlsafe_b64decode(protected("encrypt", [big])[0][3:] + "==")
    assert leaf("encrypt").reverse(pa.array(protected("encrypt", [big]))).to_pylist() == [big.encode()]
    digits = "".join(random.choices("0123456789", k=2_000))
    assert leaf("fpe").reverse(pa.array(protected("fpe", [digits])))[0].to_pylist() == [digits]
    nested = '{"a":' * 400 + '"x"' + "}" * 400
    (made,) = protected("{json: {fields: {z: {protect: token}}, rest: redact}}", [nested])
    assert made == '{"a":' * 400 + '"[redacted]"' + "}" * 400


@relaxed
@given(st.lists(ANY_TEXT, min_size=1, max_size=8))
def test_any_text_is_protected_or_refused_without_being_told(values):
    for protection in (
        "token",
        "encrypt",
        "mask",
        "redact",
        "fpe",
        "{pick: {values: [a, b]}}",
        "{generalize: {prefix: 2}}",
    ):
        guard = protector(f"{{a: {{protect: {protection}}}}}")
        refusals = {refusal(guard, {"a": bad}) for bad in ("", "?", "\ud800")}  # the same words whatever the value
        for value in values:
            try:
                made = guard({"a": value})["a"]
            except ProtectionError as error:
                assert str(error) in refusals
            else:
                assert made is not None
                assert made != value or len(value) < 4 or set(value) == {"*"} or value == "[redacted]"


def refusal(guard, record):
    try:
        guard(record)
    except ProtectionError as error:
        return str(error)
    return None


# refusals before any value is read


@pytest.mark.parametrize(("protection", "kind", "said"), [
    ("fpe", pa.float64(), "fpe cannot protect double"),
    ("fpe", pa.date32(), "fpe cannot protect"),
    ("{fpe: {alphabet: lower}}", pa.int64(), "goes with the alphabet digits"),
    ("mask", pa.binary(), "no characters"),
    ("{date_shift: {by: b}}", pa.string(), "give 'format'"),
    ("{date_shift: {by: b}}", pa.date32(), "'b', which is no column"),
    ("{generalize: {width: 5}}", pa.string(), "use prefix"),
    ("{generalize: {part: hour}}", pa.date32(), "no finer"),
    ("{generalize: {hierarchy: nowhere.csv}}", pa.string(), "cannot be read"),
    ("{pick: {file: nowhere.txt}}", pa.string(), "cannot be read"),
    ("{perturb: {scale: 1}}", pa.string(), "it protects numbers"),
    ("{json: {fields: {a: {protect: token}}, rest: keep}}", pa.int64(), "json cannot protect"),
    ("drop", pa.list_(pa.string()), "cannot be dropped"),
    ("{fpe: {invalid: {fallback: token}}}", pa.int64(), "its fallback string"),
    ("{vault: {path: v}}", pa.list_(pa.string()), "vault and shred protect whole columns"),
])  # fmt: skip
def test_operators_that_do_not_fit_a_type(protection, kind, said):
    with pytest.raises(UsageError, match=said):
        protector(f"{{a: {{protect: {protection}}}}}")(pa.table({"a": pa.array([], kind)}))


def test_columns_nobody_decided_about_are_refused():
    kind = pa.struct([("x", pa.string()), ("y", pa.list_(pa.struct([("z", pa.int8())])))])
    with pytest.raises(UsageError, match=r"'s\.y\.z': no line decides"):
        protector("{s.x: {protect: token}}", default="refuse")(pa.table({"s": pa.array([None], kind)}))
    assert protector("{s: {protect: redact}, s.x: {protect: token}}", default="refuse")(
        pa.table({"s": pa.array([None], kind)})
    )


def test_operators_travel_with_their_files_and_show_no_key(tmp_path):
    (tmp_path / "names.txt").write_text("Ann\nBob\n")
    operator = leaf(f"{{pick: {{file: {tmp_path}/names.txt}}}}")
    (tmp_path / "names.txt").unlink()
    again = pickle.loads(pickle.dumps(operator))  # noqa: S301
    assert again.apply(pa.array(["x"]), None)[0].to_pylist()[0] in ("Ann", "Bob")
    for protection in ("token", "encrypt", "encrypt_random", "fpe", "{vault: {path: v}}"):
        operator = leaf(protection)
        assert operator.secret.hex() not in repr(operator)
        assert repr(operator.secret) not in repr(operator)
        assert "secret" not in repr(operator)
