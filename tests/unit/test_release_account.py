"""Privacy accounts on plain data: caps, charges, reservations, refusals, composition."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataward.release.account import Entry, account_of, decided

CAP = Entry("cap", "t", "id", epsilon=1.0, delta=1e-5)


def charge(run, epsilon=0.1, delta=0.0, **told):
    return Entry("charge", "t", "id", run, epsilon, delta, **told)


def asked_in_turn(known, asks):
    known = list(known)
    for one in asks:
        answer = decided(known, one)
        if answer not in known:
            known.append(answer)
    return known


def test_ten_tenths_fit_one_and_an_eleventh_does_not():
    known = asked_in_turn([CAP], [charge(f"r{n}") for n in range(11)])
    assert [one.kind for one in known[1:]] == ["charge"] * 10 + ["refusal"]
    assert account_of(known, "t", "ID").spent.epsilon == 1.0


def test_without_a_cap_nothing_is_granted():
    answer = decided([], charge("r"))
    assert answer.kind == "refusal"
    assert "no budget is set" in answer.reason
    assert decided([CAP], replace(charge("r"), unit="other")).kind == "refusal"
    assert decided([CAP], replace(charge("r"), dataset="u")).kind == "refusal"


def test_a_run_is_charged_once():
    known = asked_in_turn([CAP], [charge("r", 0.6, draw="d1", secret="s1")])
    again = decided(known, charge("r", 0.6, draw="d2", secret="s2"))
    assert (again.draw, again.secret) == ("d1", "s1")


def test_a_refusal_keeps_no_key_of_the_draw():
    refused = decided([CAP], charge("r", 1.1, draw="d", secret="s"))
    assert (refused.kind, refused.draw, refused.secret) == ("refusal", "", "")
    assert "does not cover epsilon 1.1" in refused.reason
    assert "secret" not in repr(charge("r", secret="canary"))
    assert "canary" not in repr(charge("r", secret="canary"))


def test_delta_is_a_cap_of_its_own():
    known = asked_in_turn([CAP], [charge(f"r{n}", 0.01, 4e-6) for n in range(3)])
    assert [one.kind for one in known[1:]] == ["charge", "charge", "refusal"]


def test_a_reservation_counts_whole_and_pays_only_who_names_it():
    held = Entry("reserve", "t", "id", "training", 0.6)
    known = asked_in_turn([CAP], [held, charge("a", 0.5), charge("b", 0.4), charge("c", 0.5, reservation="training")])
    assert [one.kind for one in known[1:]] == ["reserve", "refusal", "charge", "charge"]
    assert decided(known, charge("d", 0.2, reservation="training")).kind == "refusal", "0.1 is left in it"
    assert decided(known, charge("d", 0.1, reservation="training")).kind == "charge"
    assert "no reservation 'other'" in decided(known, charge("d", 0.1, reservation="other")).reason
    given_up = [*known, replace(held, epsilon=0.0)]
    assert account_of(given_up, "t", "id").bound.epsilon == 0.9, "what a reservation spent stays spent"


def test_a_lower_cap_stops_what_follows_and_gives_nothing_back():
    known = [*asked_in_turn([CAP], [charge("a", 0.8)]), replace(CAP, epsilon=0.5)]
    assert decided(known, charge("b", 0.01)).kind == "refusal"
    assert account_of(known, "t", "id").spent.epsilon == 0.8


def test_gaussian_charges_add_up_better_by_zcdp():
    cap = replace(CAP, epsilon=3.0, composition="zcdp")
    asks = [charge(f"r{n}", 0.3, 1e-6, rho=0.002) for n in range(100)]
    granted = sum(one.kind == "charge" for one in asked_in_turn([cap], asks))
    basic = sum(one.kind == "charge" for one in asked_in_turn([replace(cap, composition="basic")], asks))
    assert basic == 10
    assert granted > 50
    spent = account_of(asked_in_turn([cap], asks), "t", "id").spent
    assert 2.8 < spent.epsilon <= 3.0
    assert spent.delta == 1e-5


def test_a_pure_charge_has_half_its_epsilon_squared_as_rho():
    cap = replace(CAP, epsilon=3.0, composition="zcdp")
    pure, gaussian = (
        account_of([cap, charge("a", 0.4)], "t", "id"),
        account_of([cap, charge("a", 9.0, rho=0.08)], "t", "id"),
    )
    assert pure.spent.epsilon == pytest.approx(gaussian.spent.epsilon)


amounts = st.tuples(st.floats(0.001, 0.7), st.floats(0, 6e-6), st.sampled_from([None, 0.001, 0.02]))


@given(st.lists(amounts, max_size=25), st.sampled_from(["basic", "zcdp"]))
def test_no_series_of_asks_overdraws(asks, composition):
    cap = replace(CAP, composition=composition)
    known = asked_in_turn([cap], [charge(f"r{n}", e, d, rho=rho) for n, (e, d, rho) in enumerate(asks)])
    account = account_of(known, "t", "id")
    assert account.fits
    assert len(account.charges) + account.refusals == len(asks)
