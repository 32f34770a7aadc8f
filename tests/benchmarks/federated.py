"""Federated training: accuracy beside central training over ten seeds, with and without privacy, and the time of a round.

    make bench BENCH=federated

With FLOWER=/path/to/venv/bin/python (a venv with ``flwr[simulation]`` and scikit-learn, no part of this project's) the same model
and data also run with Flower's SecAgg+.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parents[2]))  # it shares the tests' sites

from tests.federation import Federation, split

from dataward.federated.certificates import certificate
from dataward.federated.server import Server
from dataward.federated.transport import Https

DATA = {"breast cancer": load_breast_cancer(), "digits": load_digits()}
WAYS: dict[str, dict[str, Any]] = {
    "gradient": {"rounds": 60, "training": {"holdout": 0.1, "l2": 0.003}},
    "gradient, skewed": {"rounds": 60, "training": {"holdout": 0.1, "l2": 0.003}, "skewed": True},
    "fedavg": {"rounds": 30, "training": {"holdout": 0.1, "algorithm": "fedavg"}},
    "fedprox, skewed": {"rounds": 40, "training": {"holdout": 0.1, "algorithm": "fedprox", "epochs": 1, "proximal": 0.1}, "skewed": True},
}  # fmt: skip
SEEDS = range(100, 110)
"""Seeds of the reported figures; the settings above were chosen on seeds 0 to 9 only."""
PRIVATE = {"breast cancer": 3.0, "digits": 8.0}


def private(name: str) -> dict[str, Any]:
    """The plan under privacy: bounds are public, every third site may drop out."""
    how: dict[str, Any] = {"holdout": 0.1}
    return {
        "rounds": 20,
        "bounds": True,
        "training": how,
        "privacy": {"epsilon": PRIVATE[name], "delta": 1e-5, "retries": 1},
    }


def accuracy(name: str, seed: int, how: dict[str, Any]) -> tuple[float, float, float]:
    """Return (federated accuracy, central accuracy, seconds a round)."""
    train, labels, test, truth = split(DATA[name], seed)
    with tempfile.TemporaryDirectory() as root:
        made = Federation(Path(root), train, labels, **how)
        begun = time.perf_counter()
        progress = made.train()
        seconds = (time.perf_counter() - begun) / progress.state.round
        found = made.accuracy(progress, test, truth)
    central = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(train, labels).score(test, truth)
    return found, central, seconds


def table(seeds: Sequence[int]) -> None:
    for name in DATA:
        for way, how in {**WAYS, f"private, epsilon {PRIVATE[name]:g}": private(name)}.items():
            results = np.array([accuracy(name, seed, dict(how)) for seed in seeds])
            mean = results.mean(axis=0)
            print(f"{name:<14} {way:<20} federated {mean[0]:.4f} central {mean[1]:.4f} points lost {100 * (mean[1] - mean[0]):5.2f} "
                  f"{mean[2]:.3f} s a round", flush=True)  # fmt: skip


def over_tls() -> float:
    """Seconds a round over HTTP with mutual TLS: breast cancer, three sites, FedAvg."""
    train, labels, _, _ = split(DATA["breast cancer"], 0)
    own = Ed25519PrivateKey.generate()
    with tempfile.TemporaryDirectory() as root:
        made = Federation(Path(root), train, labels, rounds=20, training={"algorithm": "fedavg"})
        servers = {
            name: Server(("127.0.0.1", 0), site, made.keys[name], certificate(own)) for name, site in made.sites.items()
        }
        for server in servers.values():
            threading.Thread(target=server.serve_forever, daemon=True).start()
        urls = {name: f"https://127.0.0.1:{server.server_address[1]}" for name, server in servers.items()}
        begun = time.perf_counter()
        progress = made.train(Https(urls, made.pems, own, 30))
        seconds = (time.perf_counter() - begun) / progress.sequence
        for server in servers.values():
            server.shutdown()
    return seconds


if __name__ == "__main__":
    table(SEEDS[: int(sys.argv[1])] if len(sys.argv) > 1 else SEEDS)
    print(f"over TLS: {over_tls():.3f} s a secure sum")
    if flower := os.environ.get("FLOWER"):
        subprocess.run([flower, str(Path(__file__).parent / "federated_flower.py")], check=True)
