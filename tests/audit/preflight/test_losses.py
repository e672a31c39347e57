"""Losses: their first value, what they ask for, and whether the numbers that are written are right."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rung.audit.preflight import expected, losses
from rung.audit.preflight.rows import Held
from rung.audit.preflight.watch import Forward, Trace
from rung.recipe import Train
from rung.training.losses import LOSSES, build_loss
from tests.audit.preflight.made import PIXELS, forward, some, trace

LOGITS = torch.randn(50, 6, generator=torch.Generator().manual_seed(1)) * 3
LABELS = np.arange(50) % 6


@pytest.mark.parametrize("train", [Train(loss=name) for name in LOSSES] + [Train(label_smoothing=0.1)], ids=[*LOSSES, "smoothed"])
def test_losses_worked_out_apart_agree_with_those_of_training(train: Train) -> None:
    right = build_loss(train)(LOGITS, torch.from_numpy(LABELS)).double().numpy()
    found = expected.losses(train, LOGITS.double().numpy(), LABELS)
    assert found is not None
    assert np.allclose(found, right, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("train", [Train(loss=name) for name in LOSSES] + [Train(label_smoothing=0.1)], ids=[*LOSSES, "smoothed"])
def test_the_losses_of_rung_want_the_label(train: Train) -> None:
    found = losses.loss_encoding(train, build_loss(train), 10, trace(forwards=(forward(some(4)),)))
    assert found.state == "ok", found.sentence


def squares(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (logits.softmax(1) - targets[:, None]).square().mean(1)


def entropy_of_shares(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(logits.softmax(1), targets, reduction="none")


def summed(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(logits, targets, reduction="sum").expand(len(logits))


def constant(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return logits.sum(1) * 0 + 1


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (squares, "For 10 of 10 labels the loss is not lowest where the answer is the label"),
        (entropy_of_shares, "comes down to 1.461 only, which is what a softmax applied twice leaves"),
        (summed, "The loss of twice as many images is 2 times as large: it is summed, not averaged."),
        (constant, "For 10 of 10 labels"),
    ],
)
def test_own_losses_that_are_wrong_are_told(loss: Any, message: str) -> None:
    found = losses.loss_encoding(Train(loss="own.py:loss"), loss, 10, trace(forwards=(forward(some(4)),)))
    assert found.state == "failed"
    assert message in found.sentence


def test_a_loss_of_rung_that_does_not_reach_its_floor_is_told() -> None:
    found = losses.loss_encoding(Train(), entropy_of_shares, 10, trace(forwards=(forward(some(4)),)))
    assert "comes down to 1.461 and should to" in found.sentence


def test_answers_that_are_a_softmax_already_are_told() -> None:
    shares = Forward(0, True, torch.zeros(3, 1, 4, 4), torch.full((3, 4), 0.25))
    assert "ends with a softmax" in losses.loss_encoding(Train(), build_loss(Train()), 4, trace(forwards=(shares,))).sentence


@pytest.mark.parametrize(("first", "state"), [(2.3, "ok"), (6.0, "ok"), (1.0, "failed"), (64 * 2.3, "failed")])
def test_the_first_loss_is_near_that_of_uniform_answers(first: float, state: str) -> None:
    labels = np.arange(10)
    found = losses.first_loss(trace(losses=(first,)), labels, np.ones(10), Train(), build_loss(Train()))
    assert (found.state, round(found.numbers["uniform"], 3)) == (state, 2.303)
    if state == "failed":
        assert "uniform answers have 2.303" in found.sentence


def test_the_first_loss_of_a_few_images_is_chance() -> None:
    found = losses.first_loss(trace(losses=(0.01,)), np.arange(7), np.ones(10), Train(), build_loss(Train()))
    assert (found.state, found.sentence) == ("skipped", "The first step has 7 images: fewer than 8, so its loss is a matter of chance.")


def test_class_weights_are_part_of_the_first_loss() -> None:
    weights = expected.class_weights(Train(class_weights={"a": 3.0}), LABELS, tuple("abcdef"))
    assert weights.tolist() == [3, 1, 1, 1, 1, 1]
    found = losses.first_loss(trace(losses=(3 * np.log(6),)), np.zeros(8, dtype=np.int64), weights, Train(), build_loss(Train()))
    assert found.numbers["uniform"] == pytest.approx(3 * np.log(6))
    counts = np.array([0, 0, 0, 1])
    assert expected.class_weights(Train(class_weights="balanced"), counts, ("a", "b", "c")).tolist() == pytest.approx([2 / 3, 2, 0])


def seen_epoch(held: Held, chosen: Held, told: float | None = None, **row: float) -> Trace:
    """A trace of one epoch of one step, with right numbers but for those given."""
    logits, checked = torch.randn(len(held), 4, generator=torch.Generator().manual_seed(2)), torch.eye(4)[chosen.labels]
    loss = nn.functional.cross_entropy
    value = float(loss(logits, torch.from_numpy(held.labels)))
    right = {
        "train_loss": value,
        "train_accuracy": float((logits.argmax(1).numpy() == held.labels).mean()),
        "validation_loss": float(loss(checked, torch.from_numpy(chosen.labels))),
        "validation_accuracy": 1.0,
    }
    forwards = (forward(held, logits=logits), forward(chosen, training=False, logits=checked))
    return trace(forwards=forwards, losses=(value if told is None else told,), rows=({**right, **row},))


def test_numbers_of_steps_and_epochs_are_worked_out_again() -> None:
    held, chosen = some(8), some(6)
    arguments = (held, chosen, np.ones(4), Train(), build_loss(Train()), PIXELS)
    found = losses.loss_numbers(seen_epoch(held, chosen), *arguments)
    assert (found.state, found.numbers["compared"]) == ("ok", 5)
    assert "The loss of step 1 is 99; worked out" in losses.loss_numbers(seen_epoch(held, chosen, 99.0), *arguments).sentence
    wrong = losses.loss_numbers(seen_epoch(held, chosen, train_accuracy=0.9, validation_loss=0.1), *arguments).sentence
    assert "The train_accuracy of epoch 1 is 0.9" in wrong
    assert "The validation_loss of epoch 1 is 0.1" in wrong
    other = replace(held, images=held.images ^ 255)
    assert losses.loss_numbers(seen_epoch(other, chosen), *arguments).state == "skipped"
    assert "2 steps called the network 1 times" in losses.loss_numbers(replace(seen_epoch(held, chosen), losses=(1.0, 1.0)), *arguments).sentence
