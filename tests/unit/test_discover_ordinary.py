"""Discovery on ordinary columns: times, durations, halves of places and rare names are what they are, and random digits nobody's."""

import random
import string

import pytest
from stdnum import luhn

from dataward.contract import Discovery
from dataward.contract.protections import Column
from dataward.privacy.discover.evidence import Evidence
from dataward.privacy.discover.gates import Looked, free_text_warning
from dataward.privacy.discover.scanner import scanner
from dataward.privacy.discover.score import judge_column, residues

R = random.Random(7)
REFUSES = Discovery().confidence


def found(name, values, *beside):
    return judge_column(name, scanner().look(values), beside=(name, *beside))


def moments(shape):
    return [
        shape.format(R.randrange(1, 29), R.randrange(24), R.randrange(60), R.randrange(60), R.randrange(10**6))
        for _ in range(200)
    ]


@pytest.mark.parametrize("name", ["duration", "call_duration", "c1", "phone_seconds"])
@pytest.mark.parametrize("shape", ["{:02}.{:06}", "{:03}.{:08}", "{:02}.{:02}"])
def test_a_duration_is_no_phone(name, shape):
    values = [shape.format(R.randrange(1, 60), R.randrange(10**6)) for _ in range(200)]
    assert found(name, values).class_ is None


def test_a_number_with_one_dot_is_a_phone_where_the_column_is_called_so():
    values = [f"0{R.randrange(100, 999)}.{R.randrange(10**6, 10**7)}" for _ in range(200)]
    assert found("phone", values).class_ == "phone"
    assert found("reading", values).class_ is None


@pytest.mark.parametrize(
    "name", ["session", "session_start", "cookie", "login", "last_login", "password_changed_at", "token", "device_id"]
)
@pytest.mark.parametrize(
    "shape", ["2026-01-{:02}T{:02}:{:02}:{:02}.{:06}Z", "2026-01-{:02} {:02}:{:02}:{:02}", "2026-01-{:02}"]
)
def test_a_time_is_no_cookie_login_or_password_whatever_its_column_is_called(name, shape):
    told = found(name, moments(shape))
    assert told.class_ is None
    assert not any("not enough for" in line for line in told.evidence)


def test_days_of_birth_are_told_from_times_all_the_same():
    born = [f"{R.randrange(1940, 2005)}-{R.randrange(1, 13):02}-{R.randrange(1, 29):02}" for _ in range(200)]
    assert found("birth_date", born).class_ == "birth_date"
    assert found("born", [f"{day} 00:00:00" for day in born]).class_ == "birth_date"


def test_a_time_since_1970_under_the_name_of_a_password_is_no_password():
    assert found("password_changed_at", [str(1_760_000_000 + R.randrange(10**7)) for _ in range(200)]).class_ is None


PLACES = [f"{R.uniform(-85, 85):.6f}" for _ in range(300)]


@pytest.mark.parametrize("name", ["lat", "long", "location", "origin_lat"])
def test_half_a_place_is_refused_by_no_gate_and_a_whole_one_is(name):
    assert found(name, PLACES).confidence.value < REFUSES
    assert found("latitude", PLACES).confidence.value > REFUSES
    whole = found("lat", PLACES, "lon")
    assert (whole.class_, whole.confidence.value > REFUSES) == ("geo_coordinates", True)
    assert found("lat", PLACES, "lat_2", "name").confidence.value < REFUSES


def test_latencies_are_no_places():
    assert found("lat", [f"{R.uniform(0, 30):.1f}" for _ in range(300)]).class_ is None
    assert found("lat_ms", PLACES).class_ is None


@pytest.mark.parametrize("name", ["mothers_maiden_name", "MotherMaidenName", "maiden", "mmn", "birth_name", "surname"])
def test_a_name_that_is_in_no_list_is_a_name_where_the_column_says_so(name):
    rare = ["".join(R.choice("bdfgklmnprstvz") + R.choice("aeiou") for _ in range(4)).title() for _ in range(200)]
    assert found(name, rare).class_ == "person_name"
    assert found("c1", rare).class_ is None
    assert found("product_name", rare).class_ is None


@pytest.mark.parametrize("size", range(8, 20))
def test_inside_of_random_digits_is_nothing_either(size):
    for _ in range(4):
        values = ["".join(R.choice(string.digits) for _ in range(size)) for _ in range(1000)]
        assert residues(scanner().look(values)) == ()


def test_one_card_in_five_among_other_numbers_is_seen():
    def number(card):
        body = "4" + "".join(R.choice(string.digits) for _ in range(14))
        return body + (luhn.calc_check_digit(body) if card else R.choice(string.digits))

    share = dict(residues(scanner().look([number(n % 5 == 0) for n in range(2000)])))["payment_card"]
    assert share == pytest.approx(0.18, abs=0.03)  # of the others one in ten passes by chance


NOTES = [
    f"Seen with {who} at the market of {place} on day {n}" for n in range(40) for who, place in [("Fenwyck", "Ottery")]
]


def test_of_free_text_nobody_says_that_nothing_is_in_it():
    told = found("note", NOTES)
    assert (told.class_, told.prose) == (None, True)
    assert told.evidence[-1].startswith("names, places, addresses")
    assert not found("code", [f"A{n}" for n in range(40)]).prose
    kept = Looked((told,), unseen=(("note", free_text_warning("note", Column(protect="keep"))),))
    assert (
        str(kept) == "1 columns looked at, nothing of a known form found; free text, of which a part is seen only: note"
    )
    assert "column 'note' (kept) holds free text" in kept.warnings[0]
    assert "keep: {reason: ...}" in kept.warnings[0]
    assert str(Looked((told,))) == "1 columns looked at, nothing found"


def test_a_text_under_redact_text_is_warned_of_until_the_row_s_own_values_are_named():
    assert "also: [name, mrn]" in free_text_warning("note", Column(protect="redact_text"))
    assert free_text_warning("note", Column(protect={"redact_text": {"also": ["name"]}})) == ""


def test_evidence_that_an_earlier_version_has_kept_is_read():
    data = scanner().look(NOTES).as_data()
    data["head"] = data["head"][:4]
    assert (Evidence.of_data(data).texts, Evidence.of_data(data).is_prose) == (40, False)
