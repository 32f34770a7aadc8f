"""SageMaker training job: train on what processing.py wrote, and put the data's proof beside the model.

SageMaker sets SM_CHANNEL_TRAIN and SM_MODEL_DIR. Without a proof that holds there is no model.
"""

import csv
import json
import math
import os
import sys
from pathlib import Path

FEATURES, LABEL, STEPS, RATE = ("orders",), "returned", 400, 0.5


def fitted(rows):
    """Logistic regression by gradient descent on scaled features; returns weights, bias and scales."""
    values = [[float(row[name]) for name in FEATURES] for row in rows]
    scales = [max(abs(value[i]) for value in values) or 1.0 for i in range(len(FEATURES))]
    points = [[v / s for v, s in zip(value, scales)] for value in values]
    labels = [float(row[LABEL]) for row in rows]
    weights, bias = [0.0] * len(FEATURES), 0.0
    for _ in range(STEPS):
        errors = [
            1 / (1 + math.exp(-bias - sum(w * x for w, x in zip(weights, p)))) - y for p, y in zip(points, labels)
        ]
        bias -= RATE * sum(errors) / len(rows)
        weights = [w - RATE * sum(e * p[i] for e, p in zip(errors, points)) / len(rows) for i, w in enumerate(weights)]
    return {"features": FEATURES, "weights": weights, "bias": bias, "scales": scales}


def main():
    train, model = Path(os.environ["SM_CHANNEL_TRAIN"]), Path(os.environ["SM_MODEL_DIR"])
    proof_file = train / "dataward.json"
    proof = json.loads(proof_file.read_text()) if proof_file.exists() else {}
    if proof.get("holds") is not True:
        print(f"{train} has no proof of Dataward that holds: run processing.py first", file=sys.stderr)
        sys.exit(1)
    with (train / "train.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    model.mkdir(parents=True, exist_ok=True)
    (model / "model.json").write_text(json.dumps(fitted(rows), indent=2) + "\n")
    (model / "dataward.json").write_text(json.dumps(proof, indent=2) + "\n")
    print(f"trained on {len(rows)} rows of {proof['target']} version {proof['version']}")


if __name__ == "__main__":
    main()
