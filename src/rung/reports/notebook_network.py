"""Why a network is built as it is: sentences from its own layers, each with the numbers of this network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Final

from rung.words import count, listing, plural

if TYPE_CHECKING:
    from rung.explain.architecture import LayerRow

_ACTIVATIONS: Final = {
    "ReLU": "ReLU passes what is positive and stops the rest: its slope is 1 or 0, so a gradient does not shrink on its way back through many layers",
    "Tanh": "tanh bends values into −1..1: its slope is 1 at 0 and falls towards 0 for large values, where little gradient comes back",
    "Sigmoid": "the sigmoid bends values into 0..1: its slope is 0.25 at most, so each such layer takes three quarters of the gradient or more",
    "LeakyReLU": "leaky ReLU leaves a small slope where values are negative, so that no unit is dead for good",
    "ELU": "ELU bends negative values softly to −1, so that gradients come back there too",
    "GELU": "GELU is a smooth ReLU",
    "SiLU": "SiLU, a smooth ReLU, lets small negative values through",
}


def layer_rows(rows: Sequence[LayerRow]) -> list[tuple[str, str, str, str]]:
    """Return (layer, what it is, its output, its parameters) of each layer as text."""
    return [
        (row.name, f"{row.kind} {row.detail}".strip(), "–" if row.output is None else " × ".join(map(str, row.output)), count(row.parameters)) for row in rows
    ]


def drawn(rows: Sequence[LayerRow]) -> list[dict[str, object]]:
    """Return what `draw_network` draws of the layers; those that evaluation never calls have no shape, and are left out."""
    return [{"kind": row.kind, "output": list(row.output)} for row in rows if row.output and row.detail != "Identity"]


def reasons(rows: Sequence[LayerRow]) -> list[str]:
    """Return why each kind of layer is there, in the order of the way an image goes."""
    called = [row for row in rows if row.output]
    if not called:
        return []
    return [*_convolutions(called), *_poolings(called), *_norms(called), *_activations(called), *_dropouts(called), *_head(called)]


def _of(rows: Sequence[LayerRow], kind: str) -> list[LayerRow]:
    return [row for row in rows if row.kind == kind]


def _convolutions(rows: Sequence[LayerRow]) -> Iterator[str]:
    found = _of(rows, "convolution")
    if not found or not rows[0].output:
        return
    first, dense = found[0], prod(rows[0].output) * prod(found[0].output or (0,))
    yield (
        f"Convolution: neighbouring pixels belong together, and an edge is an edge wherever it lies. The first of {len(found)} looks at {first.detail} "
        f"pixels at a "
        f"time with the same weights everywhere, {plural(first.parameters, 'parameter')}; a dense layer from the same input to the same output has "
        f"{count(dense)} weights."
        if len(found) > 1
        else f"Convolution: neighbouring pixels belong together, and the same {plural(first.parameters, 'parameter')} look at each {first.detail} pixels."
    )
    maps = list(dict.fromkeys(row.output[0] for row in found if row.output))
    if len(maps) > 1 and maps == sorted(maps):
        yield (
            f"More maps as they get smaller ({' – '.join(map(str, maps))}): deeper layers tell more kinds of things apart, and need to know less well "
            f"where they are."
        )


def _poolings(rows: Sequence[LayerRow]) -> Iterator[str]:
    found = _of(rows, "pooling")
    sides = list(dict.fromkeys(row.output[-1] for row in [rows[0], *found] if row.output and len(row.output) == 3))
    if found and len(sides) > 1:
        yield (
            f"Pooling brings the maps from {sides[0]} to {sides[-1]} pixels a side: what follows sees a larger part of the image, costs less, and "
            f"minds small shifts less."
        )


def _norms(rows: Sequence[LayerRow]) -> Iterator[str]:
    found = _of(rows, "normalisation")
    if found:
        yield (
            f"Normalisation ({plural(len(found), 'layer')}) keeps the values of each map at one scale while the layers before it change, so that "
            f"larger steps stay "
            "stable. In training it uses the batch's own mean and deviation, in evaluation running averages of them."
        )


def _activations(rows: Sequence[LayerRow]) -> Iterator[str]:
    for name in dict.fromkeys(row.detail for row in _of(rows, "activation")):
        said = _ACTIVATIONS.get(name)
        yield (f"Activation: without one, all layers together would be a single linear map. {said[0].upper() + said[1:] if said else name + ' is used here'}.")


def _dropouts(rows: Sequence[LayerRow]) -> Iterator[str]:
    rates = list(dict.fromkeys(row.detail for row in _of(rows, "dropout") if row.detail and row.detail != "0"))
    if rates:
        yield (
            f"Dropout ({listing(rates)}) zeroes that share of values at random in training, never in evaluation, so that no unit can lean on a single "
            f"other: against over-fitting."
        )


def _head(rows: Sequence[LayerRow]) -> Iterator[str]:
    found, total = _of(rows, "dense"), sum(row.parameters for row in rows)
    if not found or not total:
        return
    if not _of(rows, "convolution") and rows[0].output:
        yield (
            f"Dense layers alone: each of the {count(prod(rows[0].output))} values of an image has a weight of its own to each unit, and nothing tells "
            f"the network which "
            "pixels are neighbours. What is learned at one place is not known at another."
        )
    biggest = max(found, key=lambda row: row.parameters)
    share = biggest.parameters / total
    if len(found) > 1:
        yield (
            f"Dense layers join what was found into classes. The largest, {biggest.name}, holds {count(biggest.parameters)} of {count(total)} "
            f"parameters ({share:.0%})."
        )
    last = found[-1]
    if last.output:
        yield (f"The last layer has one value a class, {last.output[0]}; softmax, which makes probabilities of them, is part of the loss.")
