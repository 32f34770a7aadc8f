"""Training over sites in one process: what is learned, what is refused and named, what a killed run resumes."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dataward.errors import RunError, SourceError
from dataward.federated.coordinator import Unreachable
from dataward.federated.custom import Estimator
from dataward.federated.evaluation import advantage_bound
from dataward.federated.rows import rows_of
from tests.federation import NAMES, Federation, Watched, split

CANCER, DIGITS = load_breast_cancer(), load_digits()


def central(data, seed):
    train, labels, test, truth = split(data, seed)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(train, labels).score(test, truth)


def federated(root, data, seed, **how):
    train, labels, test, truth = split(data, seed)
    made = Federation(root / str(seed), train, labels, **how)
    progress = made.train()
    return made.accuracy(progress, test, truth), progress


@pytest.fixture
def small(tmp_path):
    """Two features, one of which decides."""
    draw = np.random.default_rng(1)
    inputs = draw.normal(size=(90, 2)) * [1, 100] + [5, 1000]
    return Federation(tmp_path, inputs, (inputs[:, 0] > 5).astype(int), rounds=3)


def test_breast_cancer_by_gradients_is_as_good_as_central_training_also_where_labels_are_skewed(tmp_path):
    how = {"rounds": 30, "training": {"holdout": 0.1}}
    for seed, skewed in ((0, False), (1, True)):  # both seeds in both ways: test_federated_accuracy.py
        result = federated(tmp_path / str(skewed), CANCER, seed, skewed=skewed, **how)[0]
        assert result > central(CANCER, seed) - 0.02


def test_the_gradient_over_skewed_sites_is_the_gradient_over_all_rows(tmp_path):
    train, labels, _, _ = split(CANCER, 0)
    same = {"rounds": 3, "training": {"holdout": 0.0}}
    states = [
        Federation(tmp_path / str(skewed), train, labels, skewed=skewed, **same).train().state
        for skewed in (False, True)
    ]
    from dataward.federated.encode import unpack

    first, second = (unpack(state.body["weights"], np.float64, 31) for state in states)
    assert np.abs(first - second).max() < 1e-4


@pytest.mark.parametrize(
    "how",
    [
        {"training": {"algorithm": "fedavg"}},
        {"training": {"algorithm": "fedprox", "proximal": 0.01}},
        {"model": {"type": "mlp", "hidden": [8]}},
        {"model": {"type": "boosted", "depth": 2}, "rounds": 8},
        {"model": {"type": "softmax", "classes": [0, 1]}},
    ],
    ids=["fedavg", "fedprox", "mlp", "boosted", "softmax"],
)
def test_every_kind_of_model_learns(tmp_path, how):
    accuracy, progress = federated(tmp_path, CANCER, 0, **how)
    assert accuracy > 0.92
    assert progress.state.evaluation["accuracy"] > 0.92
    assert progress.incidents == ()


def test_a_number_is_predicted(tmp_path):
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(200, 2))
    labels = inputs @ [0.5, -0.25] + 0.1
    made = Federation(tmp_path, inputs, labels, model={"type": "linear"}, rounds=60)
    report = made.train().state.evaluation
    assert report["mean_squared_error"] < 0.01


def test_a_scikit_learn_estimator_takes_part(tmp_path):
    train, labels, _, _ = split(CANCER, 0)
    made = Federation(tmp_path, train, labels, model={"type": "custom", "size": 31}, rounds=5)
    for name in NAMES:
        made.sites[name] = made.site(name, fit=Estimator(SGDClassifier(loss="log_loss", random_state=0), classes=2))
    progress = made.train()
    assert progress.state.evaluation["accuracy"] > 0.9
    assert progress.incidents == ()


def test_missing_numbers_become_the_mean_if_the_plan_says_so_and_are_refused_otherwise(small):
    table = pa.table({"x0": [1.0, None], "x1": [1.0, 2.0], "y": [0, 1]})
    with pytest.raises(SourceError, match="column 'x0' has 1 nulls"):
        rows_of(small.plan, table, b"")
    mended = small.plan.model_copy(update={"training": small.plan.training.model_copy(update={"missing": "mean"})})
    assert np.isnan(rows_of(mended, table, b"").inputs[1, 0])


def test_labels_that_the_plan_does_not_list_are_refused_without_their_values(small):
    with pytest.raises(SourceError, match=r"label 'y' has 1 values that are none of \[0, 1\]"):
        rows_of(small.plan, pa.table({"x0": [1.0, 2.0], "x1": [1.0, 2.0], "y": [0, 737373]}), b"")


def test_all_rows_of_a_person_are_in_the_holdout_or_none(small):
    plan = small.plan.model_copy(update={"privacy": None})
    plan = type(plan).model_validate({
        **plan.model_dump(), "privacy": {"epsilon": 1, "delta": 1e-5, "unit": "who"},
        "model": {**plan.model.model_dump(), "features": [{"name": "x0", "bounds": [0, 10]}]},
    })  # fmt: skip
    table = pa.table({"x0": np.arange(60.0), "y": [0, 1] * 30, "who": [f"p{i % 20}" for i in range(60)]})
    rows = rows_of(plan, table, b"secret")
    assert (np.diff(rows.units) >= 0).all()
    by_person = {person: set(rows.holdout[rows.units == person]) for person in range(20)}
    assert all(len(found) == 1 for found in by_person.values())
    assert 0 < rows.holdout.sum() < 60
    assert (rows_of(plan, table, b"another").holdout != rows.holdout).any()
    assert [len(part) % 3 for part in rows.by_unit(2**21)] == [0] * len(list(rows.by_unit(2**21)))


def test_with_privacy_the_reported_cost_is_within_the_plan_and_attacks_are_within_the_bound(tmp_path):
    how = {"bounds": True, "rounds": 5, "privacy": {"epsilon": 3, "delta": 1e-5}}
    train, labels, _, _ = split(CANCER, 0)
    made = Federation(tmp_path, train, labels, **how)
    coordinator = made.coordinator()
    progress = coordinator.run()
    assert coordinator.course.steps == 5 + 1 + 1 + 2  # rounds, means, evaluation, retries
    assert 2.9 < coordinator.course.spent(coordinator.course.steps, progress.largest) <= 3.0
    assert coordinator.course.spent(progress.sequence, progress.largest) < 2.9  # no retry was needed
    attack = progress.state.evaluation["membership"]
    assert attack["advantage"] <= advantage_bound(3, 1e-5) + 3 * attack["standard_error"]


def test_the_coordinator_sees_no_row_no_sum_of_one_site_and_no_weight_of_one_site(tmp_path):
    """Every message holds keys, ciphertexts, masked vectors and shares; none holds the site's plain contribution."""
    train, labels, _, _ = split(CANCER, 0)
    made = Federation(tmp_path, train, labels, rounds=2)
    watched = Watched(made.sites)
    made.train(watched)
    vectors = {
        (site, i): answer["vector"] for i, (site, stage, _, answer) in enumerate(watched.seen) if stage == "mask"
    }
    assert len(vectors) == 3 * 5
    from dataward.federated.encode import pack

    questions = [message["question"] for _, stage, message, _ in watched.seen if stage == "advertise"]
    for name, site in made.sites.items():
        (accepted,) = site._accepted.values()
        for question in questions:
            plain = pack(accepted.course.contribution(question, accepted.rows))
            assert plain not in vectors.values(), name
    numbers = set(_numbers([(message, answer) for _, _, message, answer in watched.seen]))
    assert len(numbers) > 30
    assert numbers & (set(train.ravel().tolist()) - {0.0, 1.0}) == set()


def _numbers(data):
    if isinstance(data, float):
        yield data
    for part in data.values() if isinstance(data, dict) else data if isinstance(data, list | tuple) else ():
        yield from _numbers(part)


def test_a_site_that_stops_in_the_middle_of_a_round_does_not_stop_it(small):
    stages = []

    def dies(site, stage, message):
        if site == "west" and (stages or stage == "agree"):
            stages.append(stage)
            raise Unreachable("it does not answer")

    progress = small.train(Watched(small.sites, dies))
    assert progress.state.phase == "done"
    assert {incident.site for incident in progress.incidents} == {"west"}
    assert progress.excluded == ()  # it may come back


def test_a_site_that_answers_garbage_is_named_and_takes_no_part_any_more(small):
    for stage, garbage in (
        ("advertise", {"site": "west"}), ("share", {"sealed": {"north": "zz"}}), ("mask", {"vector": "AAAA"}),
        ("agree", {}), ("unmask", {"seeds": 1}),
    ):  # fmt: skip
        made = Federation(small.root / stage, *_arrays(), rounds=2)
        progress = made.train(
            Watched(
                made.sites,
                lambda site, at, message, stage=stage, garbage=garbage: (
                    garbage if (site, at) == ("west", stage) else None
                ),
            )
        )
        assert progress.excluded == ("west",), stage
        assert progress.state.phase == "done"


def test_a_site_that_masks_something_else_than_a_contribution_makes_the_sum_be_refused(small):
    from dataward.federated.encode import pack

    def noise(site, stage, message):
        if (site, stage) == ("west", "mask"):
            return {"vector": pack(np.random.default_rng(0).integers(0, 2**64, 5, dtype=np.uint64))}
        return None

    with pytest.raises(RunError, match="masked something that is no contribution"):
        small.train(Watched(small.sites, noise))


def test_a_site_with_another_plan_another_protocol_or_another_table_version_is_refused_and_named(small):
    changed = small.plan.model_copy(update={"rounds": 4})
    small.sites["west"] = small.site("west", plan=changed)
    progress = small.train()
    assert progress.excluded == ("west",)
    assert "has not accepted this plan" in progress.incidents[0].what
    made = Federation(small.root / "2", *_arrays(), rounds=2)
    entries = [made.plan.sites[0], made.plan.sites[1], made.plan.sites[2].model_copy(update={"version": 7})]
    made.plan = made.plan.model_copy(update={"sites": tuple(entries)})
    made.sites = {name: made.site(name) for name in NAMES}
    assert "serves version 3 of its table, and the plan says 7" in made.train().incidents[0].what
    made = Federation(small.root / "3", *_arrays(), rounds=2)
    older = Watched(
        made.sites, lambda site, stage, message: _older(made, message) if (site, stage) == ("west", "hello") else None
    )
    assert "is not signed by the plan's key" in made.train(older).incidents[0].what


def _older(made, message):
    answer = dict(made.sites["west"].answer("hello", message))
    return {**answer, "protocol": 0}


def test_a_site_whose_table_changes_during_the_run_is_refused_by_itself(small):
    coordinator = small.coordinator()
    calls = []

    def restarts(site, stage, message):
        calls.append(stage)
        if len(calls) == 40:  # some steps later the site is started again, and serves a newer version
            small.sites["west"] = small.site("west", table={"version": 4, "protections": {}})
            carried.inner._sites["west"] = small.sites["west"]

    carried = Watched(small.sites, restarts)
    progress = small.coordinator(carried).run()
    assert progress.state.phase == "done"
    assert any("another version of its table" in incident.what for incident in progress.incidents)
    assert coordinator.digest == progress.plan


def test_a_step_is_answered_once_also_after_the_site_was_started_again(small):
    watched = Watched(small.sites)
    small.train(watched)
    replayed = [message for site, stage, message, _ in watched.seen if site == "north" and stage == "advertise"]
    fresh = small.site("north")
    for message in replayed:
        with pytest.raises(RunError, match="a step is answered once"):
            fresh.answer("advertise", message)
    with pytest.raises(RunError, match="taken part in 1 run"):
        fresh.answer("advertise", {**replayed[0], "run": "another"})
    later = {**replayed[-1], "sequence": replayed[-1]["sequence"] + 1}
    fresh.answer("advertise", later)
    with pytest.raises(RunError, match="out of order"):
        fresh.answer("mask", {"session": "unknown", "sealed": {}})


def test_a_site_answers_no_more_steps_than_the_plan_pays_for(tmp_path):
    made = Federation(tmp_path, *_arrays(), rounds=2, bounds=True, privacy={"epsilon": 1, "delta": 1e-5, "retries": 0})
    progress = made.train()
    assert progress.sequence == 4
    site, hello = made.sites["north"], {"protocol": 1, "plan": progress.plan, "run": progress.run}
    from dataward.federated.encode import sha256

    question = made.coordinator().course.ask(made.coordinator().course.start())
    message = {**hello, "sequence": 9, "table": sha256({"version": 3, "protections": {}}), "question": question}
    with pytest.raises(RunError, match="answered all 4 steps"):
        site.answer("advertise", message)


def test_the_budget_is_charged_once_per_run_and_a_run_that_it_does_not_allow_gets_no_answer(small):
    charged = []

    def charge(run):
        charged.append(run)

    for name in NAMES:
        small.sites[name] = small.site(name, charge=charge)
    progress = small.train()
    assert charged == [progress.run] * 3

    def refuse(run):
        raise RunError("the budget is spent")

    made = Federation(small.root / "2", *_arrays(), rounds=2)
    for name in NAMES:
        made.sites[name] = made.site(name, charge=refuse)
    with pytest.raises(RunError, match="the budget is spent"):
        made.train()
    assert made.coordinator().progress.state.phase == "mean"


@pytest.mark.parametrize("after", [3, 22, 40])
def test_a_coordinator_that_was_killed_goes_on_and_comes_to_the_same_model(small, after):
    """A kill at any message; the sums are exact, so the model of the resumed run equals that of an undisturbed one."""

    class Killed(BaseException):
        pass

    calls = []

    def kill(site, stage, message):
        calls.append(stage)
        if len(calls) == after:
            raise Killed

    whole = Federation(small.root / "whole", *_arrays(), rounds=3, training={"holdout": 0.0})
    expected = whole.train().state.body["weights"]
    made = Federation(small.root / "killed", *_arrays(), rounds=3, training={"holdout": 0.0})
    with pytest.raises(Killed):
        made.train(Watched(made.sites, kill))
    begun = made.coordinator().progress
    progress = made.train()
    assert progress.run == begun.run
    assert progress.sequence >= begun.sequence
    assert progress.state.body["weights"] == expected


def test_training_stops_early_and_the_best_round_counts(tmp_path):
    made = Federation(tmp_path, *_arrays(), rounds=200, training={"patience": 2, "rate": 3.0})
    coordinator = made.coordinator()
    state = coordinator.run().state
    assert state.round < 200
    losses = [one["loss"] for one in state.history]
    assert state.best["loss"] == min(losses)
    assert coordinator.course.chosen(state) == state.best["trained"]


def _arrays():
    draw = np.random.default_rng(1)
    inputs = draw.normal(size=(90, 2)) * [1, 100] + [5, 1000]
    return inputs, (inputs[:, 0] > 5).astype(int)
