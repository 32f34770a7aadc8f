"""Format-preserving encryption: the standard's cipher, forms that are kept, values that come back."""

import os
import random

import fastfpe.ff1
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataward.privacy.protect.ff1 import FF1, shortest
from tests.operators import ALPHABETS, leaf, protected, relaxed

# FF1


@pytest.mark.parametrize("share", [0.02, pytest.param(1, marks=pytest.mark.long)])
def test_ff1_equals_fastfpe_on_a_million_cases(share):
    """Six alphabets, every length from the shortest allowed to 60."""
    rng, key, cases = np.random.default_rng(5), os.urandom(32), 0
    for name, alphabet in ALPHABETS.items():
        least = shortest(len(alphabet))
        for length in range(least, 61):
            fast = len(alphabet) ** (length - length // 2) < 2**56
            count = int(share * (9_000 if fast else 150))
            ff1, letters = FF1(key, len(alphabet)), np.array(list(alphabet))
            numerals = rng.integers(0, len(alphabet), (count, length)).astype(np.uint8)
            tweak = rng.bytes(length % 4)
            made = ff1.encrypt(numerals, tweak)
            texts = ["".join(row) for row in letters[numerals]]
            expected = [fastfpe.ff1.encrypt(key.hex(), tweak.hex(), alphabet, text) for text in texts]
            assert ["".join(row) for row in letters[made]] == expected, (name, length)
            assert (ff1.decrypt(made, tweak) == numerals).all()
            cases += count
    assert cases >= share * 1_000_000


def test_ff1_refuses_small_domains():
    for radix, length in ((10, 5), (36, 3), (62, 3), (2, 19), (1000, 1)):
        with pytest.raises(ValueError, match="below 1,000,000"):
            FF1(bytes(32), radix).encrypt(np.zeros((1, length), np.uint16))
    assert [shortest(radix) for radix in (2, 10, 36, 62, 1000)] == [20, 6, 4, 4, 2]


@relaxed
@given(st.data())
def test_fpe_keeps_the_form_and_comes_back(data):
    name = data.draw(st.sampled_from([n for n in ALPHABETS if n not in ("hex", "greek")]) | st.just(ALPHABETS["greek"]))
    characters = ALPHABETS.get(name, name)
    first, last = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    least = shortest(len(characters)) + first + last
    body = st.lists(st.sampled_from(characters), min_size=least, max_size=least + 20)
    text = st.builds(
        lambda c, cuts: "".join(x + (" -"[i % 2] if i in cuts else "") for i, x in enumerate(c)),
        body,
        st.sets(st.integers(0, 40)),
    )
    values = data.draw(st.lists(text | st.none(), max_size=30))
    protection = f"{{fpe: {{alphabet: {name}, keep_first: {first}, keep_last: {last}}}}}"
    made = protected(protection, values, pa.string())
    for before, after in zip(values, made, strict=True):
        if before is None:
            assert after is None
            continue
        assert [c if c in " -" else "x" for c in before] == [c if c in " -" else "x" for c in after]
        bare, now = before.translate({32: None, 45: None}), after.translate({32: None, 45: None})
        assert set(now) <= set(characters)
        assert (now[:first], now[len(now) - last :]) == (bare[:first], bare[len(bare) - last :])
    back, bad = leaf(protection).reverse(pa.array(made, pa.string()))
    assert back.to_pylist() == values
    assert bad is None


@relaxed
@given(
    st.lists(st.integers(100_000, 2**63 - 1) | st.none(), max_size=30), st.sampled_from(["int64", "int32", "uint64"])
)
@example([6_944_728_879_858_275_328], "uint64")  # one walk leads beyond int64
def test_fpe_of_integers_is_a_permutation_of_those_with_as_many_digits(values, kind):
    most = np.iinfo(kind).max
    values = [v if v is None or v <= most else v % 10**9 + 10**6 for v in values]
    made = protected("fpe", values, getattr(pa, kind)())
    assert [m and len(str(m)) for m in made] == [v and len(str(v)) for v in values]
    back, bad = leaf("fpe", pa.int64()).reverse(pa.array(made, getattr(pa, kind)()))
    assert back.to_pylist() == values
    assert bad is None


def test_fpe_refuses_numbers_beyond_int64():
    assert protected("{fpe: {invalid: null}}", [2**63 - 1, 2**63, 2**64 - 1], pa.uint64())[1:] == [None, None]


def test_an_alphabet_may_mix_scripts():
    values = ["123-456-7890", "0123456789", "12 34 56 é7"]
    for given_ in (values, values[:1], values[1:2]):
        made = protected("{fpe: {alphabet: 0123456789é}}", given_)
        assert set("".join(made)) <= set("0123456789é -")
        assert leaf("{fpe: {alphabet: 0123456789é}}").reverse(pa.array(made))[0].to_pylist() == given_


def luhn(digits):
    total = sum(sum(divmod(int(d) * (1 + i % 2), 10)) for i, d in enumerate(reversed(digits)))
    return total % 10 == 0


def test_cards_keep_their_check_digit_right():
    cards = [
        base + str(next(d for d in range(10) if luhn(base + str(d))))
        for base in ("".join(random.choices("0123456789", k=15)) for _ in range(500))
    ]
    for first, last in ((0, 0), (6, 4), (6, 0)):
        protection = f"{{fpe: {{format: card, keep_first: {first}, keep_last: {last}}}}}"
        made = protected(protection, cards)
        assert all(luhn(m) for m in made)
        assert all(m[:first] == c[:first] for m, c in zip(made, cards, strict=True))
        if last:
            assert all(m[-last:-1] == c[-last:-1] for m, c in zip(made, cards, strict=True))
        assert sum(m == c for m, c in zip(made, cards, strict=True)) < 3
        assert leaf(protection).reverse(pa.array(made))[0].to_pylist() == cards
