"""Sites, plans and data for the tests of federated training, all in one process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dataward.federated.certificates import certificate
from dataward.federated.coordinator import Coordinator, Progress, Store
from dataward.federated.course import Course, standardised
from dataward.federated.plan import TrainingPlan
from dataward.federated.rows import inputs_of, rows_of
from dataward.federated.site import Memory, Site, accept
from dataward.federated.transport import InProcess

NAMES = ("north", "south", "west")


class Federation:
    """Sites with rows of one data set. ``skewed``: each site has other labels than the others."""

    def __init__(self, root: Path, inputs: Any, labels: Any, names: tuple[str, ...] = NAMES, skewed: bool = False,
                 bounds: bool = False, **plan: Any) -> None:  # fmt: skip
        self.root, self.columns = root, [f"x{number}" for number in range(inputs.shape[1])]
        self.keys = {name: Ed25519PrivateKey.generate() for name in names}
        self.pems = {name: certificate(key) for name, key in self.keys.items()}
        low, high = inputs.min(axis=0), inputs.max(axis=0)
        features = [
            {"name": name, "bounds": [float(a), float(max(b, a + 1e-3))]} if bounds else {"name": name}
            for name, a, b in zip(self.columns, low, high, strict=True)
        ]
        classes = sorted(set(labels.tolist()))
        given = plan.pop("model", {})
        model = {"type": "logistic" if len(classes) == 2 else "softmax", "features": features, "label": "y"}
        if given.get("type") != "linear":
            model["classes"] = classes
        whole = {
            "plan": "p", "model": {**model, **given}, "rounds": 20, "minimum_sites": len(names) // 2 + 1, "output": {"path": "out"},
            "sites": [{"name": name, "url": "https://127.0.0.1:1", "public_key": name} for name in names], **plan,
        }  # fmt: skip
        self.plan = TrainingPlan.model_validate(whole)
        order = np.argsort(labels, kind="stable") if skewed else np.arange(len(labels))
        self.tables = {
            name: self.table(inputs[part], labels[part])
            for name, part in zip(names, np.array_split(order, len(names)), strict=True)
        }
        self.sites = {name: self.site(name) for name in names}

    def table(self, inputs: Any, labels: Any) -> pa.Table:
        return pa.table({**{name: inputs[:, i] for i, name in enumerate(self.columns)}, "y": labels})

    def site(self, name: str, plan: TrainingPlan | None = None, fit: Any = None, **more: Any) -> Site:
        plan, memory = plan or self.plan, Memory(self.root / name)
        rows = rows_of(plan, self.tables[name], name.encode())  # a fixed key: the same rows are held out in every run
        table = more.pop("table", {"version": 3, "protections": {}})
        return Site(name, self.keys[name], (accept(plan, self.pems, rows, table, Course(plan, fit), **more),), memory)

    def coordinator(
        self, transport: Any = None, plan: TrainingPlan | None = None, lines: list[str] | None = None
    ) -> Coordinator:
        carry = transport or InProcess(self.sites)
        say = lines.append if lines is not None else lambda line: None
        return Coordinator(plan or self.plan, self.pems, carry, Store(self.root / "progress.json"), say)

    def train(self, transport: Any = None) -> Progress:
        return self.coordinator(transport).run()

    def accuracy(self, progress: Progress, inputs: Any, labels: Any) -> float:
        course = self.coordinator().course
        state = progress.state
        encoded = inputs_of(self.plan.model, self.table(inputs, labels), False)
        outputs = course.family.scores(course.chosen(state), standardised(encoded, state.center, state.spread))
        predicted = (outputs[:, 0] > 0).astype(int) if outputs.shape[1] == 1 else outputs.argmax(axis=1)
        return float((predicted == labels).mean())


class Watched:
    """A transport that keeps what passes, and may fail or answer something else."""

    def __init__(self, sites: Mapping[str, Site], instead: Any = None) -> None:
        self.inner, self.instead, self.seen = InProcess(sites), instead, []

    def call(self, site: str, stage: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = self.instead(site, stage, message) if self.instead else None
        answer = answer if answer is not None else self.inner.call(site, stage, message)
        self.seen.append((site, stage, message, answer))
        return answer


def split(data: Any, seed: int) -> tuple[Any, Any, Any, Any]:
    """Four fifths to train, one to test."""
    order = np.random.default_rng(seed).permutation(len(data.data))
    cut = len(order) * 4 // 5
    train, test = order[:cut], order[cut:]
    return data.data[train], data.target[train], data.data[test], data.target[test]
