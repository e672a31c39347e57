# mypy: disable-error-code="type-arg, no-untyped-def"
"""Backpropagation in a few lines of numpy, checked against finite differences. Notebooks bring the text of these functions along, as `notebook_figures`."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np


def activations() -> dict[str, tuple[Callable, Callable]]:
    """Return each activation, and its slope written by the value that came out of it."""
    return {
        "ReLU": (lambda z: np.maximum(z, 0), lambda a: (a > 0).astype(float)),
        "tanh": (np.tanh, lambda a: 1 - a**2),
        "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda a: a * (1 - a)),
    }


def start_weights(widths: list[int], scale: float = 1.0, seed: int = 0) -> list:
    """Return a weight matrix and a bias for each layer; scale 1: Glorot's uniform rule."""
    drawn = np.random.default_rng(seed)
    limits = [scale * (6 / (a + b)) ** 0.5 for a, b in itertools.pairwise(widths)]
    return [[drawn.uniform(-1, 1, (a, b)) * s, np.zeros(b)] for (a, b), s in zip(itertools.pairwise(widths), limits, strict=True)]


def forward(weights: list, images: np.ndarray, name: str) -> list[np.ndarray]:
    """Return what goes in and what comes out of every layer; the last are probabilities (softmax)."""
    values = [images]
    for number, (matrix, bias) in enumerate(weights, 1):
        z = values[-1] @ matrix + bias
        if number < len(weights):
            values.append(activations()[name][0](z))
        else:
            powers = np.exp(z - z.max(axis=1, keepdims=True))
            values.append(powers / powers.sum(axis=1, keepdims=True))
    return values


def loss_of(weights: list, images: np.ndarray, labels: np.ndarray, name: str) -> float:
    """Return the mean cross-entropy: minus the logarithm of the probability of the true class."""
    return float(-np.log(np.maximum(forward(weights, images, name)[-1][np.arange(len(labels)), labels], 1e-12)).mean())


def backward(weights: list, images: np.ndarray, labels: np.ndarray, name: str) -> list:
    """Return the gradient of the loss for every weight and bias, from the last layer back to the first."""
    values = forward(weights, images, name)
    error = values[-1].copy()  # softmax and cross-entropy together: probability minus 1 at the true class
    error[np.arange(len(labels)), labels] -= 1
    error /= len(labels)
    gradients: list = []
    for layer in range(len(weights) - 1, -1, -1):
        gradients.insert(0, [values[layer].T @ error, error.sum(axis=0)])  # what came in, times the error that goes out
        if layer:
            error = (error @ weights[layer][0].T) * activations()[name][1](values[layer])  # through the weights, times the slope
    return gradients


def by_differences(weights: list, images: np.ndarray, labels: np.ndarray, name: str, step: float = 1e-5) -> list:
    """Return the same gradients without any rule: each weight is moved a little up and down, and the loss is measured."""
    gradients = [[np.zeros_like(part) for part in layer] for layer in weights]
    for layer, slopes in zip(weights, gradients, strict=True):
        for part, slope in zip(layer, slopes, strict=True):
            for at in np.ndindex(part.shape):
                kept = part[at]
                part[at] = kept + step
                higher = loss_of(weights, images, labels, name)
                part[at] = kept - step
                lower = loss_of(weights, images, labels, name)
                part[at] = kept
                slope[at] = (higher - lower) / (2 * step)
    return gradients
