"""Parts, order of rows, pixels, labels and validation: what passes, what fails and in which words."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rung.audit.preflight import expected, rows
from rung.audit.preflight.rows import Held
from rung.data.batches import Batch, Batches
from rung.data.split import Splits
from rung.recipe import Augment, Pixels
from tests.audit.preflight.made import PIXELS, batches, forward, given, some, trace


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
    monkeypatch.setattr(Batches, "_order", lambda self, epoch: torch.from_numpy(np.random.default_rng(epoch).permutation(400)))
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
