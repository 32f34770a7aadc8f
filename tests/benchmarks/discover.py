"""Discovery: scores on the labelled set (``tests/labelled.py``, seeds from 501 on), and its rate beside Presidio's pattern recognisers.

Run by ``make bench``; writes bench/discover.json. Presidio runs without a language model: its predefined recognisers that are
made of patterns, on the same texts, one process, one core.
"""

import json
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from common import spread
from faker import Faker
from tests.labelled import columns

from dataward.privacy.discover.scanner import scanner
from dataward.privacy.discover.score import judge_column

SEEDS = range(501, 511)
SHORT, LONG, ROUNDS = 20_000, 4_000, 5
PRESIDIO_SHORT, PRESIDIO_LONG = 300, 150
"""Presidio is timed on fewer of the same texts: it would take minutes."""


def scores() -> dict[str, object]:
    """Columns told right and wrong, and how often findings of each confidence are right."""
    right, wrong, missed, bins = 0, 0, 0, dict[str, list[bool]]()
    mistakes: Counter[str] = Counter()
    for seed in SEEDS:
        for one in columns(seed):
            counted = Counter(one.values)
            found = judge_column(one.name, scanner().look(list(counted), list(counted.values())))
            hit = found.class_ == one.label
            right += hit and one.label is not None
            wrong += found.class_ is not None and not hit
            missed += one.label is not None and not hit
            if not hit:
                mistakes[f"{one.kind.split()[0] if one.label else one.kind} -> {found.class_}"] += 1
            if found.class_:
                low = min(int(found.confidence.value * 10), 9) / 10
                bins.setdefault(f"{low:.1f} to {low + 0.1:.1f}", []).append(hit)
        print(f"seed {seed}", file=sys.stderr)
    calibration = {
        name: {"findings": len(hits), "right": round(sum(hits) / len(hits), 4)} for name, hits in sorted(bins.items())
    }
    return {
        "columns with a class": right + missed, "precision": round(right / (right + wrong), 4), "recall": round(right / (right + missed), 4),
        "f1": round(2 * right / (2 * right + wrong + missed), 4), "calibration": calibration, "mistakes": dict(mistakes.most_common()),
    }  # fmt: skip


def texts() -> tuple[list[str], list[str]]:
    """Short values of ten kinds, half of them sensitive; and texts of about 150 characters, some with something inside."""
    f, r = Faker("en_US"), random.Random(7)
    f.seed_instance(7)
    kinds = (
        f.email,
        f.phone_number,
        f.credit_card_number,
        f.ipv4,
        f.ssn,
        f.iban,
        f.word,
        f.uuid4,
        lambda: str(r.randrange(10**9)),
        f.city,
    )
    short = [kinds[n % len(kinds)]() for n in range(SHORT)]
    long = []
    for n in range(LONG):
        text = f.text(130)
        long.append(
            f"{text} {(f.email, f.credit_card_number, f.ipv4)[n % 3]()}" if n % 4 == 0 else f"{text} {f.sentence(3)}"
        )
    return short, long


def presidio():
    """All of Presidio's predefined recognisers that need no model, as one function of a text."""
    import tldextract
    from presidio_analyzer import PatternRecognizer, predefined_recognizers

    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())  # the list that it brings; it would ask the network
    made = []
    for name in predefined_recognizers.__all__:
        kind = getattr(predefined_recognizers, name)
        if isinstance(kind, type) and issubclass(kind, PatternRecognizer):
            try:
                made.append(kind(supported_language="en"))
            except TypeError:
                continue

    def analyze(text):
        return [found for one in made for found in one.analyze(text, one.supported_entities, None)]

    return analyze, len(made)


def per_text(of, some) -> float:
    begun = time.perf_counter()
    of(some)
    return (time.perf_counter() - begun) / len(some) * 1e6


def rates() -> dict[str, object]:
    short, long = texts()
    analyze, recognisers = presidio()
    ours = scanner()
    ratios: dict[str, list[float]] = {"short values": [], "texts of 150 characters": [], "the same, every span": []}
    microseconds: dict[str, list[float]] = {}
    for turn in range(ROUNDS + 1):
        measured = {
            "short values": (
                per_text(ours.look, short),
                per_text(lambda some: [analyze(t) for t in some], short[:PRESIDIO_SHORT]),
            ),
            "texts of 150 characters": (
                per_text(ours.look, long),
                per_text(lambda some: [analyze(t) for t in some], long[:PRESIDIO_LONG]),
            ),
        }
        spans = per_text(lambda some: [ours.spans(t) for t in some], long)
        measured["the same, every span"] = (spans, measured["texts of 150 characters"][1])
        if turn:  # the first round warms up
            for name, (mine, theirs) in measured.items():
                ratios[name].append(theirs / mine)
                microseconds.setdefault(f"dataward, {name}", []).append(mine)
                microseconds.setdefault(f"presidio, {name}", []).append(theirs)
        print(f"round {turn} of {ROUNDS}", file=sys.stderr)
    return {
        "presidio's recognisers": recognisers,
        "presidio / dataward": {name: spread(values) for name, values in ratios.items()},
        "microseconds a text": {name: spread(values) for name, values in microseconds.items()},
    }


if __name__ == "__main__":
    told = {"scores": scores(), "rates": rates()}
    Path("bench").mkdir(exist_ok=True)
    Path("bench/discover.json").write_text(json.dumps(told, indent=2) + "\n")
    print(json.dumps(told, indent=2))
