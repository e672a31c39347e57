"""Each check of the pre-flight on records made by hand: what passes, what fails and in which words."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rung.audit.preflight import augmenting, evaluating, expected, learning, losses, rows
from rung.audit.preflight.augmenting import Judged, Views
from rung.audit.preflight.learning import Try
from rung.audit.preflight.rows import Held
from rung.audit.preflight.watch import Enough, Forward, Moment, Trace, Watch
from rung.data.batches import Batch, Batches, resident
from rung.data.split import Splits
from rung.evaluate.predictions import Predictions
from rung.recipe import Augment, Pixels, Train
from rung.training.loop import StepEnd
from rung.training.losses import LOSSES, build_loss

DRAWS = np.random.default_rng(0)
PIXELS = Pixels(size=4, colour="grey", normalise="standard", mean=(0.4,), deviation=(0.3,))


def some(count: int, classes: int = 4) -> Held:
    return Held(DRAWS.integers(0, 256, (count, 4, 4, 1), dtype=np.uint8), np.arange(count) % classes)


def batches(held: Held, classes: int = 4, pixels: Pixels = PIXELS, **fields: Any) -> Batches:
    images = resident(held.images, torch.device("cpu"))
    return Batches(images, torch.from_numpy(held.labels), classes, pixels, fields.pop("settings", Augment()), 0, **fields)


def given(held: Held, pixels: Pixels = PIXELS) -> torch.Tensor:
    return torch.cat([batch.images for batch in batches(held, pixels=pixels).evaluation()])


def trace(**fields: Any) -> Trace:
    base = Trace((), (2.0, 1.9), (), {}, {}, 0.1, None)
    return replace(base, **fields)


def forward(held: Held, chosen: slice = slice(None), epoch: int = 0, training: bool = True, logits: torch.Tensor | None = None) -> Forward:
    images = given(held)[chosen]
    return Forward(epoch, training, images, torch.zeros(len(images), 4) if logits is None else logits)


def test_rows_in_two_parts_are_counted() -> None:
    parts = [np.arange(5), np.arange(4, 8), np.array([8, 4])]
    found = rows.parts_apart(Splits(*parts, "made"))
    assert (found.state, found.numbers["rows"]) == ("failed", 3)
    assert "1 row of train is in validation too." in found.sentence
    assert rows.parts_apart(Splits(np.arange(5), np.arange(5, 8), np.arange(8, 9), "made")).state == "ok"


@pytest.mark.parametrize("pixels", [PIXELS, Pixels(normalise="unit"), Pixels(normalise="none")])
def test_what_the_network_is_given_is_known_again_by_its_pixels(pixels: Pixels) -> None:
    held = some(20)
    seen = given(held, pixels)
    assert (expected.labels_of(expected.digests(seen, pixels), held.images, held.labels) == held.labels).all()
    assert expected.how_often(expected.digests(seen[[0, 0, 1]], pixels), held.images) == (18, 1, 0)
    changed = seen * 0.97 + 0.001
    assert (expected.labels_of(expected.digests(changed, pixels), held.images, held.labels) == -1).all()


def test_an_image_with_two_labels_has_none() -> None:
    image = np.zeros((2, 4, 4, 1), dtype=np.uint8)
    assert expected.labels_of(expected.digests(given(Held(image, np.array([0, 1]))), PIXELS), image, np.array([0, 1])).tolist() == [-1, -1]


def test_rows_are_counted_over_whole_epochs_and_in_the_loop() -> None:
    held = some(10)
    seen = trace(forwards=(forward(held, slice(5)), forward(held, slice(5, 10))), rows=({},))
    found = rows.rows_once(batches(held), 10, 4, seen, held, PIXELS)
    assert found.state == "ok", found.sentence
    assert found.numbers["steps"] == 3
    twice = trace(forwards=(forward(held, slice(5)), forward(held, slice(5))), rows=({},))
    assert "left 5 out in epoch 1 and gave 5 to the network more than once" in rows.rows_once(batches(held), 10, 4, twice, held, PIXELS).sentence
    short = trace(forwards=(forward(held, slice(5)),), rows=({},))
    assert "A training of 10 rows gave 5 images to the network in epoch 1, in 1 step." in rows.rows_once(batches(held), 10, 4, short, held, PIXELS).sentence


def test_an_epoch_of_one_step_and_a_repeated_order_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    held = some(10)
    whole = Batches.training
    monkeypatch.setattr(Batches, "training", lambda self, epoch, size: (b for step, b in enumerate(whole(self, epoch, size)) if epoch % 2 == 0 or step == 0))
    found = rows.rows_once(batches(held), 10, 4, trace(), held, PIXELS)
    assert "Epoch 2 took 1 step with 4 images: 6 of the 10 training rows were not seen, 0 more than once." in found.sentence
    assert found.numbers["fewest_steps"] == 1
    monkeypatch.setattr(Batches, "training", lambda self, epoch, size: whole(self, 0, size))
    assert rows.rows_once(batches(held), 10, 4, trace(), held, PIXELS).sentence == "Two epochs have the same order of rows."


def test_balanced_sampling_is_held_to_the_binomial_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(np.zeros((400, 1, 1, 1), dtype=np.uint8), np.repeat([0, 1], [350, 50]))
    fair = batches(held, classes=2, balanced=True)
    assert rows.rows_once(fair, 400, 64, trace(), held, PIXELS).state == "ok"
    monkeypatch.setattr(Batches, "_order", lambda self, epoch: np.random.default_rng(epoch).permutation(400))
    assert "Epoch 1 of balanced sampling had 400 rows and 50 to 350 of a class" in rows.rows_once(fair, 400, 64, trace(), held, PIXELS).sentence


def test_pixels_scaled_twice_are_found_where_they_are() -> None:
    held, chosen = some(8), some(4)
    good = (forward(held), forward(chosen, training=False))
    found = rows.pixels_kept(trace(forwards=good), held, chosen, batches(held), held, PIXELS)
    assert (found.state, found.measured) == ("ok", "20 of 20 as stored")
    twice = replace(good[1], images=(good[1].images - 0.4) / 0.3)
    found = rows.pixels_kept(trace(forwards=(good[0], twice)), held, chosen, batches(held), held, PIXELS)
    assert "Of 4 images that the network was given in evaluation 0 are the stored ones" in found.sentence
    assert "in training" not in found.sentence


def test_labels_of_other_images_are_found() -> None:
    held = some(12)
    rolled = batches(replace(held, labels=np.roll(held.labels, 1)))
    found = rows.labels_kept(rolled, held, [], held.labels, PIXELS)
    assert (found.state, found.numbers["wrong"]) == ("failed", 12)
    assert "12 of 12 training images came with the label of another image." in found.sentence
    whole = list(batches(held).training(0, 5))
    assert rows.labels_kept(batches(held), held, whole, held.labels, PIXELS).state == "ok"
    assert "12 of 12 augmented images came with the label of another" in rows.labels_kept(batches(held), held, whole, (held.labels + 1) % 4, PIXELS).sentence
    strange = PIXELS.model_copy(update={"mean": (0.123,)})
    assert rows.labels_kept(batches(held), held, [], held.labels, strange).state == "skipped"


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.tensor([[0.5, 0.6], [0.5, 0.5]]), "sum to 1 to 1.1, not to 1"),
        (torch.tensor([[1.5, -0.5], [0.5, 0.5]]), "not to 1"),
        (torch.tensor([1, 0]), "The targets that the loss is given are not the labels."),
    ],
)
def test_targets_are_labels_or_shares_that_sum_to_one(targets: torch.Tensor, message: str) -> None:
    held = some(2, 2)
    labels = torch.tensor([0, 1])
    wrong = Batch(given(held), targets, labels, torch.arange(2))
    assert message in rows.labels_kept(batches(held, 2), held, [wrong], held.labels, PIXELS).sentence


def test_validation_that_is_changed_shuffled_or_short_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    held, fitted = some(9), some(4)
    seen = trace(forwards=(forward(fitted), forward(held, training=False)), rows=({},))
    part = batches(held, settings=Augment(shift_pixels=1.0))
    assert rows.validation_alone(part, held, 9, 9, seen, held, PIXELS).state == "ok"
    assert "The validation part has 8 rows and should have 9." in rows.validation_alone(part, held, 8, 9, seen, held, PIXELS).sentence
    late = trace(forwards=(forward(held, slice(8), training=False),), rows=({},))
    assert "The validation after epoch 1 did not give the 9 validation images" in rows.validation_alone(part, held, 9, 9, late, held, PIXELS).sentence
    backwards = Held(held.images[::-1].copy(), held.labels)
    assert "8 of 9 validation images are changed, left out or in another place" in rows.validation_alone(part, backwards, 9, 9, seen, held, PIXELS).sentence
    assert "The labels of the validation images are not those of the files" in (
        rows.validation_alone(part, replace(held, labels=held.labels[::-1]), 9, 9, seen, held, PIXELS).sentence
    )
    whole = Batches.evaluation
    noise = torch.Generator().manual_seed(0)
    monkeypatch.setattr(Batches, "evaluation", lambda self: (replace(b, images=b.images + torch.rand(1, generator=noise)) for b in whole(self)))
    assert "Validation images differ between two passes." in rows.validation_alone(part, held, 9, 9, seen, held, PIXELS).sentence


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


def test_class_weights_are_part_of_the_first_loss() -> None:
    weights = expected.class_weights(Train(class_weights={"a": 3.0}), LABELS, tuple("abcdef"))
    assert weights.tolist() == [3, 1, 1, 1, 1, 1]
    found = losses.first_loss(trace(losses=(3 * np.log(6),)), np.zeros(4, dtype=np.int64), weights, Train(), build_loss(Train()))
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
    assert "The training broke off: why" in learning.one_batch([Try(1, 0, 0.0, float("nan"))], 32, 2.3, "why").sentence


def answers(found: np.ndarray, labels: np.ndarray) -> Predictions:
    return Predictions("validation", tuple("abcd"), np.eye(4, dtype=np.float32)[found], labels, np.arange(len(labels)), np.arange(len(labels)))


def test_chance_is_a_binomial_interval() -> None:
    labels, others = DRAWS.integers(0, 4, 400), DRAWS.integers(0, 4, 400)
    learned = answers(labels[:60], labels[:60])
    found = learning.permuted_labels(learned, answers(others, labels))
    assert found.state == "ok"
    assert found.numbers["low"] == pytest.approx(0.18, abs=0.02)
    assert found.numbers["high"] == pytest.approx(0.32, abs=0.02)
    leaked = np.where(DRAWS.random(400) < 0.2, labels, others)
    assert "chance is" in learning.permuted_labels(learned, answers(leaked, labels)).sentence
    assert "too few for chance" in learning.permuted_labels(answers(others[:60], labels[:60]), answers(leaked, labels)).sentence


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


class Net(nn.Module):
    """Linear, after a batch norm or a dropout that can be stuck in one mode."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.head = inner, nn.Linear(16, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.inner(images).flatten(1))


class Always(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(images, 0.5)


class Centred(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images - images.mean(0)


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (nn.BatchNorm2d(1), ""),
        (nn.Dropout(0.5), ""),
        (Always(), "when the images are asked twice"),
        (Centred(), "when the images are asked in other company"),
    ],
)
def test_answers_depend_on_the_image_alone(inner: nn.Module, message: str) -> None:
    torch.manual_seed(0)
    found = evaluating.evaluation(Net(inner), batches(some(30)), "float32")
    assert (found.state == "ok") == (not message)
    assert message in found.sentence


def test_a_network_scored_in_training_mode_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(model: nn.Module, part: Batches, precision: str) -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([model(batch.images) for batch in part.evaluation()])

    monkeypatch.setattr(evaluating, "logits", asked)
    found = evaluating.evaluation(Net(nn.BatchNorm2d(1)), batches(some(30)), "float32")
    assert "1 of 1 batches were answered with a part of the network in training mode" in found.sentence
    assert "Answering changed 3 tensors of the network, such as inner.running_mean." in found.sentence


PLAIN = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(3))
FLIPPED = PLAIN.flip(3)
HALF = torch.cat([FLIPPED[:20], PLAIN[20:]])
VIEWS = Views(PLAIN, {"flip_horizontal": HALF}, HALF, torch.cat([PLAIN[:20], FLIPPED[20:]]), HALF, HALF, HALF)


def test_augmentation_that_is_set_and_not_used_is_found() -> None:
    assert augmenting.acts(VIEWS, 0.5, 64).state == "ok"
    assert "none of the 64 that the network was given in the first steps was changed" in augmenting.acts(VIEWS, 0.0, 64).sentence
    assert "changed none of 40 images" in augmenting.acts(replace(VIEWS, first=PLAIN), 0.0, 64).sentence
    idle = replace(VIEWS, each={"flip_horizontal": HALF, "zoom_fraction": PLAIN})
    assert "zoom_fraction alone changed none of 40 images." in augmenting.acts(idle, 0.5, 64).sentence


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"second": HALF}, "All of 40 images are the same in two epochs."),
        ({"alike": PLAIN[:1].expand(40, -1, -1, -1)}, "40 rows with the same image are all changed alike"),
        ({"again": PLAIN}, "come out otherwise the second time"),
        ({"apart": PLAIN}, "depends on the batch it is in"),
    ],
)
def test_augmentation_varies_between_epochs_and_images_and_repeats_itself(fields: dict[str, Any], message: str) -> None:
    flips = Augment(flip_horizontal=True)
    assert augmenting.varies(VIEWS, flips, 0).state == "ok"
    found = augmenting.varies(replace(VIEWS, **fields), flips, 0)
    assert found.state == "failed"
    assert message in found.sentence


def test_mixup_draws_once_a_step_and_may() -> None:
    alike = replace(VIEWS, alike=PLAIN[:1].expand(40, -1, -1, -1), apart=PLAIN)
    assert augmenting.varies(alike, Augment(mixup_alpha=0.4), 0).state == "ok"
    assert augmenting.on(Augment(mixup_alpha=0.4, fill="edge", flip_vertical=True)) == ["flip_vertical", "mixup_alpha"]


def judged(after: np.ndarray, far: np.ndarray | None = None, plain: np.ndarray | None = None) -> Judged:
    labels = np.arange(400) % 4
    return Judged(labels, labels if plain is None else plain, {"turn()": (after, np.ones(400) if far is None else far)}, tuple("abcd"), 2000)


def test_augmentation_that_turns_labels_into_others_is_found() -> None:
    labels = np.arange(400) % 4
    assert augmenting.keeps_labels(judged(labels)).state == "ok"
    found = augmenting.keeps_labels(judged((labels + 1) % 4))
    assert found.state == "failed"
    assert "'a', recognised in 100" in found.sentence
    assert "taken for 'b' in 100" in found.sentence


def test_one_class_that_becomes_another_is_found_though_most_survives() -> None:
    labels = np.arange(400) % 4
    found = augmenting.keeps_labels(judged(np.where(labels == 2, 3, labels)))
    assert found.numbers["survives_turn()"] > 0.6
    assert "'c', recognised in 100" in found.sentence


def test_what_happens_to_every_third_image_does_not_hide_behind_the_others() -> None:
    labels = np.arange(400) % 4
    third = np.arange(400) % 3 == 0
    found = augmenting.keeps_labels(judged(np.where(third, (labels + 1) % 4, labels), far=np.where(third, 2.0, 1.0)))
    assert found.state == "failed"


def test_a_judge_that_knows_nothing_says_nothing() -> None:
    labels = np.arange(400) % 4
    assert "knows too little" in augmenting.keeps_labels(judged(labels, plain=np.zeros(400, dtype=np.int64))).sentence
    assert "too few to judge by" in augmenting.keeps_labels(judged(labels, far=np.eye(400)[0])).sentence


def test_a_watch_sees_calls_steps_and_gradients_and_ends_in_time() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.ReLU(), nn.Linear(3, 4))
    network[1].bias.requires_grad_(False)
    watch = Watch(network, steps=2)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)

    def five_steps() -> None:
        for step in range(5):
            optimizer.zero_grad()
            loss = network(torch.rand(3, 1, 4, 4)).square().sum()
            loss.backward()
            optimizer.step()
            watch.observe(StepEnd(step + 1, 5, loss.item()))

    with watch.looking(), pytest.raises(Enough):
        five_steps()
    seen = watch.trace("why")
    assert (len(seen.forwards), len(seen.losses), seen.stopped) == (2, 2, "why")
    assert set(seen.reached) == {"1.weight", "3.weight", "3.bias"}
    assert seen.changed == {"1.weight": True, "1.bias": False, "3.weight": True, "3.bias": True}
    assert seen.moved > 0
    assert seen.second is not None
    assert set(seen.second.gradients) == set(seen.reached)
    network(torch.rand(1, 1, 4, 4))
    assert len(watch.forwards) == 2, "nothing is looked at afterwards"


def test_gradients_worked_out_apart_contain_l2_and_clipping() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Dropout(0.5), nn.Linear(8, 4))
    train = Train(l2_dense=0.1, clip_norm=0.2)
    images, labels = torch.rand(6, 1, 4, 4), np.arange(6) % 4
    state = {"cpu": torch.get_rng_state()}
    moment = Moment({name: value.clone() for name, value in network.state_dict().items()}, state, {})
    found = expected.gradients(network, moment, images, labels, np.ones(4), build_loss(train), train, "float32")
    torch.set_rng_state(state["cpu"])
    (nn.functional.cross_entropy(network(images), torch.from_numpy(labels)) + 0.1 * network[1].weight.square().sum()).backward()
    nn.utils.clip_grad_norm_(network.parameters(), 0.2)
    for name, parameter in network.named_parameters():
        assert torch.allclose(found[name], parameter.grad, atol=1e-6), name
