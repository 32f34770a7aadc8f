"""Linear, logistic and softmax regression, and small perceptrons with tanh layers: losses and gradients in numpy.

Parameters are one flat vector: for each layer the weights (inputs x outputs, by row), then the biases.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dataward.federated.encode import Numbers

__all__ = ["Shape", "gradient", "gradients", "initial", "losses", "scores", "steady"]

Kind = Literal["linear", "sigmoid", "softmax"]


@dataclass(frozen=True)
class Shape:
    """Numbers of units from the inputs to the outputs, and the kind of the outputs."""

    units: tuple[int, ...]
    kind: Kind

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum((before + 1) * after for before, after in itertools.pairwise(self.units))

    def layers(self, flat: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
        """Return the weights and biases of each layer."""
        start = 0
        for before, after in itertools.pairwise(self.units):
            end = start + before * after
            yield flat[start:end].reshape(before, after), flat[end : end + after]
            start = end + after


def initial(shape: Shape, seed: int) -> Numbers:
    """Return the first parameters: 0 without hidden layers, else random ones by Glorot and Bengio (2010) from a public seed."""
    if len(shape.units) == 2:
        return np.zeros(shape.size)
    draw, parts = np.random.default_rng(seed), []
    for before, after in itertools.pairwise(shape.units):
        limit = np.sqrt(6 / (before + after))
        parts += [draw.uniform(-limit, limit, before * after), np.zeros(after)]
    return np.concatenate(parts)


def scores(shape: Shape, flat: Numbers, inputs: Numbers) -> Numbers:
    """Return the outputs before the sigmoid or softmax; shape (rows, outputs)."""
    return _forward(shape, flat, inputs)[-1]


def steady(shape: Shape, flat: Numbers, inputs: Numbers) -> Numbers:
    """Return the result of :func:`scores` with every row's bits independent of other rows (unlike BLAS's)."""
    layers = list(shape.layers(flat))
    for number, (weights, biases) in enumerate(layers):
        result = np.tile(biases, (len(inputs), 1))
        for column, row in enumerate(weights):
            result += inputs[:, column, None] * row
        inputs = np.tanh(result) if number < len(layers) - 1 else result
    return inputs


def losses(kind: Kind, outputs: Numbers, labels: Numbers) -> Numbers:
    """Return half the squared error, or the cross entropy, of each row."""
    if kind == "linear":
        return np.asarray((outputs[:, 0] - labels) ** 2 / 2)
    if kind == "sigmoid":
        return np.asarray(np.logaddexp(0, outputs[:, 0]) - labels * outputs[:, 0])
    top = outputs.max(axis=1)
    whole = top + np.log(np.exp(outputs - top[:, None]).sum(axis=1))
    return np.asarray(whole - outputs[np.arange(len(outputs)), labels.astype(int)])


def probabilities(kind: Kind, outputs: Numbers) -> Numbers:
    """Return the outputs as probabilities of the classes (of the second, for two); numeric predictions unchanged."""
    if kind == "linear":
        return outputs
    if kind == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(outputs, -500, 500))))
    grown = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def errors(kind: Kind, outputs: Numbers, labels: Numbers) -> Numbers:
    """Return the derivative of the loss by the outputs."""
    result = probabilities(kind, outputs).copy()
    if kind == "softmax":
        result[np.arange(len(labels)), labels.astype(int)] -= 1
    else:
        result[:, 0] -= labels
    return result


def gradient(shape: Shape, flat: Numbers, inputs: Numbers, labels: Numbers) -> Numbers:
    """Return the sum of the rows' gradients."""
    parts = [
        np.concatenate([(before.T @ error).ravel(), error.sum(axis=0)])
        for before, error in _backward(shape, flat, inputs, labels)
    ]
    return np.concatenate(parts[::-1])


def gradients(shape: Shape, flat: Numbers, inputs: Numbers, labels: Numbers) -> Numbers:
    """Return each row's gradient; shape (rows, parameters)."""
    parts = [
        np.concatenate([(before[:, :, None] * error[:, None, :]).reshape(len(before), -1), error], axis=1)
        for before, error in _backward(shape, flat, inputs, labels)
    ]
    return np.concatenate(parts[::-1], axis=1)


def _forward(shape: Shape, flat: Numbers, inputs: Numbers) -> list[Numbers]:
    """Return the inputs, the activations of each hidden layer, and the outputs."""
    values = [inputs]
    layers = list(shape.layers(flat))
    for number, (weights, biases) in enumerate(layers):
        result = values[-1] @ weights + biases
        values.append(np.tanh(result) if number < len(layers) - 1 else result)
    return values


def _backward(shape: Shape, flat: Numbers, inputs: Numbers, labels: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Return for each layer, last first, its inputs and the derivative of the loss by its outputs."""
    values = _forward(shape, flat, inputs)
    error = errors(shape.kind, values[-1], labels)
    for before, (weights, _) in zip(values[-2::-1], reversed(list(shape.layers(flat))), strict=True):
        yield before, error
        error = (error @ weights.T) * (1 - before**2)
