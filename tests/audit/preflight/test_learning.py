"""What steps do to the network: gradients, rate, one batch, chance on permuted labels, the weights that are kept."""

from typing import Any

import numpy as np
import pytest
import torch

from rung.audit.preflight import learning
from rung.audit.preflight.learning import Try
from rung.audit.preflight.watch import Moment
from rung.evaluate.predictions import Predictions
from tests.audit.preflight.made import trace


def test_gradients_that_do_not_arrive_are_named() -> None:
    fine = trace(reached={"a": True, "b": True}, changed={"a": True, "b": True})
    assert learning.gradients_reach(fine, False).state == "ok"
    found = learning.gradients_reach(trace(reached={"a": True, "b": False, "c": True}, changed={"a": True, "b": False, "c": False}), False)
    assert "No gradient reached b in 2 steps." in found.sentence
    assert "2 steps with gradients did not change c: no optimizer updates it, or the rate is next to nothing." in found.sentence
    frozen = trace(reached={"a": True}, changed={"a": True, "b": False})
    assert "b is frozen, though the recipe freezes nothing." in learning.gradients_reach(frozen, False).sentence
    assert learning.gradients_reach(frozen, True).state == "ok"
    assert "The frozen b changed." in learning.gradients_reach(trace(reached={}, changed={"b": True}), True).sentence
    many = {f"layer{number}": False for number in range(9)}
    assert "layer3 and 5 more" in learning.gradients_reach(trace(reached=many, changed=many), False).sentence


def test_gradients_of_an_earlier_step_are_found() -> None:
    right = {"a": torch.tensor([3.0, 4.0])}
    assert learning.gradients_fresh(trace(second=Moment({}, {}, right)), right).state == "ok"
    left = learning.gradients_fresh(trace(second=Moment({}, {}, {"a": torch.tensor([6.0, 8.0])})), right)
    assert "differ from those of its own images by 100.0" in left.sentence
    assert learning.gradients_fresh(trace(second=Moment({}, {}, {})), right).state == "failed"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"moved": 1e-9}, "and nothing is learned"),
        ({"moved": 3.0}, "changed the weights by 3 times their own norm"),
        ({"losses": (2.3, 99.0)}, "The loss rose to 99"),
        ({"stopped": "the loss is not finite"}, "It broke off after 2 steps: the loss is not finite"),
    ],
)
def test_a_rate_that_explodes_or_does_nothing_is_told(fields: dict[str, Any], message: str) -> None:
    found = learning.learning_rate(trace(**fields), 2.3, 0.001, 1000, 1.0)
    assert found.state == "failed"
    assert message in found.sentence
    assert learning.learning_rate(trace(), 2.3, 0.001, 1000, 1.0).state == "ok"


def test_a_batch_that_is_not_learned_is_told() -> None:
    assert learning.one_batch([Try(1, 9, 1.0, 0.1)], 32, 2.3, "").state == "ok"
    slow = learning.one_batch([Try(1, 100, 0.2, 2.2), Try(10, 40, 1.0, 0.1)], 32, 2.3, "")
    assert slow.state == "ok"
    assert "at 10 times the recipe's rate" in slow.sentence
    assert "could not be learned by heart" in learning.one_batch([Try(1, 100, 0.3, 2.0)], 32, 2.3, "").sentence
    assert "The training of one batch broke off: why" in learning.one_batch([Try(1, 0, 0.0, float("nan"))], 32, 2.3, "why").sentence


def answers(found: np.ndarray, labels: np.ndarray) -> Predictions:
    return Predictions("validation", tuple("abcd"), np.eye(4, dtype=np.float32)[found], labels, np.arange(len(labels)), np.arange(len(labels)))


def test_chance_is_a_binomial_interval() -> None:
    draws = np.random.default_rng(0)
    labels, others = draws.integers(0, 4, 400), draws.integers(0, 4, 400)
    learned = answers(labels[:60], labels[:60])
    found = learning.permuted_labels(learned, answers(others, labels))
    assert found.state == "ok"
    assert found.numbers["low"] == pytest.approx(0.18, abs=0.02)
    assert found.numbers["high"] == pytest.approx(0.32, abs=0.02)
    leaked = np.where(draws.random(400) < 0.2, labels, others)
    assert "chance is" in learning.permuted_labels(learned, answers(leaked, labels)).sentence
    assert "too few for chance" in learning.permuted_labels(answers(others[:60], labels[:60]), answers(leaked, labels)).sentence


def test_a_few_images_do_not_tell_chance_from_more() -> None:
    labels = np.arange(29) % 4
    assert (
        learning.permuted_labels(answers(labels, labels), answers(labels, labels)).sentence
        == "There are 29 other images to ask for: too few to tell chance from more."
    )


def test_always_one_class_is_chance_too() -> None:
    labels = np.repeat([0, 1], [350, 50])
    assert learning.permuted_labels(answers(labels, labels), answers(np.zeros(400, dtype=np.int64), labels)).state == "ok"


ROWS = tuple({"validation_loss": value, "validation_accuracy": 1 - value / 10} for value in (2.0, 1.0, 3.0))


@pytest.mark.parametrize(
    ("epoch", "same", "loss", "keep", "monitor", "message"),
    [
        (2, True, 1.0, "best", "validation_loss", ""),
        (2, True, 1.0, "best", "validation_accuracy", ""),
        (3, True, 3.0, "last", "validation_loss", ""),
        (3, True, 3.0, "averaged", "validation_loss", ""),
        (3, True, 3.0, "best", "validation_loss", "The epoch 3 is said to be kept; by validation_loss it should be 2."),
        (2, True, 3.0, "best", "validation_loss", "have the validation loss 3; that of the best epoch, 2, was 1, of the last 3"),
        (2, False, 1.0, "best", "validation_loss", "does not hold the weights that are saved"),
        (3, True, 1.0, "last", "validation_loss", "have the validation loss 1; that of the last epoch, 3, was 3"),
    ],
)
def test_the_scored_weights_are_the_kept_ones(epoch: int, same: bool, loss: float, keep: str, monitor: str, message: str) -> None:
    found = learning.kept_weights(ROWS, epoch, same, loss, keep, monitor)
    assert (found.state == "ok") == (not message)
    assert message in found.sentence
    assert learning.kept_weights(ROWS[:2], 2, True, 1.0, "best", "validation_loss").state == "skipped"
