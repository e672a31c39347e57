"""Checks of what goes into the network: the parts, every row once an epoch, pixels and labels as the files have them, validation left alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from rung.audit.preflight import expected
from rung.audit.preflight.outcome import Outcome, concluded, skipped
from rung.audit.preflight.watch import Forward, Trace
from rung.data.batches import Batch, Batches
from rung.data.imageset import pixel_digests
from rung.data.split import Splits
from rung.recipe import Augment, Pixels
from rung.words import plural

Ints = npt.NDArray[np.int64]

_EPOCHS = 3  # of every second one a fault can be that the first does not have
_BALANCED_LEVEL = 1e-4  # of a false alarm, shared by all classes


@dataclass(frozen=True)
class Held:
    """What the files hold of some rows: images uint8 (N,H,W,C), of the size that the network is given, and labels int64 (N,)."""

    images: npt.NDArray[np.uint8]
    labels: Ints

    def __len__(self) -> int:
        return len(self.labels)


def parts_apart(splits: Splits) -> Outcome:
    """No row is in two parts."""
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    names = list(parts)
    shared = {(a, b): len(np.intersect1d(parts[a], parts[b])) for i, a in enumerate(names) for b in names[i + 1 :]}
    total = sum(shared.values())
    sizes = ", ".join(f"{name} {len(rows):,}" for name, rows in parts.items())
    return concluded(
        "parts-apart",
        f"{total:,} rows in two parts",
        f"No row is in two parts ({sizes}).",
        [f"{plural(count, 'row')} of {a} {'is' if count == 1 else 'are'} in {b} too." for (a, b), count in shared.items() if count],
        "Whatever is measured on such a part is measured on images that were fitted: make the parts anew.",
        rows=total,
    )


def rows_once(training: Batches, wanted: int, batch_size: int, trace: Trace, few: Held, pixels: Pixels) -> Outcome:
    """Every training row is in one batch of each epoch, in another order each time; counted over whole epochs, and in a training of few rows.

    wanted: rows that an epoch should have; few: the rows of the watched training.
    """
    corner = replace(training.corner(), settings=Augment(), own_augmentations=())
    problems: list[str] = []
    orders: list[Ints] = []
    steps: list[int] = []
    for epoch in range(_EPOCHS):
        batches = [batch.rows for batch in corner.training(epoch, batch_size)]
        rows = torch.cat(batches).cpu().numpy() if batches else np.zeros(0, np.int64)
        orders.append(rows)
        steps.append(len(batches))
        if training.balanced:
            problems += _unbalanced(epoch, rows, training)
        elif not np.array_equal(np.bincount(rows, minlength=wanted), np.ones(wanted)):
            counts = np.bincount(rows, minlength=wanted)
            problems.append(
                f"Epoch {epoch + 1} took {plural(len(batches), 'step')} with {len(rows):,} images: {int((counts[:wanted] == 0).sum()):,} of the {wanted:,} "
                f"training rows were not seen, {int((counts > 1).sum()):,} more than once."
            )
    if wanted > 2 and any(np.array_equal(orders[0], order) for order in orders[1:]):
        problems.append("Two epochs have the same order of rows.")
    problems += _in_the_loop(trace, few, pixels)
    return concluded(
        "rows-once",
        f"{len(orders[-1]):,} of {wanted:,} rows, {plural(steps[-1], 'step')} an epoch",
        f"In each of {_EPOCHS} epochs of {plural(steps[0], 'step')} every one of the {wanted:,} training rows came once, in another order each time."
        if not training.balanced
        else f"Each of {_EPOCHS} epochs had {wanted:,} rows, drawn so that the classes came equally often.",
        problems,
        "An epoch is not what it says: look at how batches are made, and at an iterator that ran dry.",
        rows=wanted,
        steps=steps[0],
        fewest_rows=min(len(np.unique(order)) for order in orders),
        fewest_steps=min(steps),
    )


def _unbalanced(epoch: int, rows: Ints, training: Batches) -> Iterator[str]:
    """Say where classes that should be drawn equally often were not: counts outside the binomial interval."""
    from scipy.stats import binom

    labels = training.labels.cpu().numpy()
    present = np.unique(labels)
    counts = np.bincount(labels[rows], minlength=training.classes)[present]
    level = _BALANCED_LEVEL / len(present)
    low, high = binom.ppf([level / 2, 1 - level / 2], len(labels), 1 / len(present))
    if len(rows) != len(labels) or counts.min() < low or counts.max() > high:
        yield (
            f"Epoch {epoch + 1} of balanced sampling had {len(rows):,} rows and {counts.min():,} to {counts.max():,} of a class; "
            f"{len(labels):,} rows and {int(low):,} to {int(high):,} were to be expected."
        )


def _in_the_loop(trace: Trace, few: Held, pixels: Pixels) -> Iterator[str]:
    """Say where the loop itself did not give every row to the network once an epoch."""
    for epoch in range(len(trace.rows)):
        seen = [forward.images for forward in trace.forwards if forward.training and forward.epoch == epoch]
        images = torch.cat(seen) if seen else torch.zeros(0)
        if len(images) != len(few):
            yield f"A training of {len(few)} rows gave {len(images)} images to the network in epoch {epoch + 1}, in {plural(len(seen), 'step')}."
            continue
        missing, twice, strange = expected.how_often(expected.digests(images, pixels), few.images)
        if not strange and missing:
            yield f"A training of {len(few)} rows left {missing} out in epoch {epoch + 1} and gave {twice} to the network more than once."


def pixels_kept(trace: Trace, fitted: Held, chosen: Held, sample: Batches, sampled: Held, pixels: Pixels) -> Outcome:
    """The values that the network is given, augmentation off, are those of the stored images, scaled and normalised once, in training and in evaluation.

    fitted, chosen: training and validation rows of the watched training; sample: batches of some training rows, sampled: what they hold.
    """
    places = {
        "in training": (_seen(trace, training=True), fitted),
        "in evaluation": (_seen(trace, training=False), chosen),
        "in batches of training rows": (torch.cat([batch.images.cpu() for batch in sample.training(0, 64)]), sampled),
    }
    problems = []
    recognised = total = 0
    for where, (images, held) in places.items():
        if not len(images):
            continue
        known = int(np.isin(expected.digests(images, pixels), pixel_digests(held.images)).sum())
        recognised, total = recognised + known, total + len(images)
        if known < len(images):
            values, right = images.double(), _as_it_should_be(held, pixels)
            problems.append(
                f"Of {len(images)} images that the network was given {where} {known} are the stored ones: their values have the mean {values.mean():.3g} and "
                f"the deviation {values.std():.3g}, where {right.mean():.3g} and {right.std():.3g} would be right."
            )
    wanted = _as_it_should_be(sampled, pixels)
    return concluded(
        "pixels",
        f"{recognised:,} of {total:,} as stored",
        f"The network is given the stored images, scaled once: values with the mean {wanted.mean():.2f} and the deviation {wanted.std():.2f}.",
        problems,
        "Images are scaled or normalised more than once, not at all, or otherwise in training than in evaluation.",
        recognised=recognised,
        images=total,
        mean=float(wanted.mean()),
        deviation=float(wanted.std()),
    )


def _seen(trace: Trace, training: bool) -> torch.Tensor:
    found = [forward.images for forward in trace.forwards if forward.training == training]
    return torch.cat(found) if found else torch.zeros(0)


def _as_it_should_be(held: Held, pixels: Pixels) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = held.images.astype(np.float64)
    if pixels.normalise == "none":
        return values
    values = values / 255
    return values if pixels.normalise == "unit" else (values - np.array(pixels.mean)) / np.array(pixels.deviation)


def labels_kept(sample: Batches, sampled: Held, augmented: list[Batch], augmented_labels: Ints, pixels: Pixels) -> Outcome:
    """Every image comes with the label that the files give it.

    sample: batches of some training rows, sampled: what they hold; augmented: batches of the recipe as it is, of rows with augmented_labels.
    """
    batches = list(sample.training(0, 64))
    images, labels = torch.cat([batch.images.cpu() for batch in batches]), torch.cat([batch.labels for batch in batches]).cpu().numpy()
    truth = expected.labels_of(expected.digests(images, pixels), sampled.images, sampled.labels)
    known = truth >= 0
    if not known.any():
        return skipped("labels", "The images that the network is given are not the stored ones, so their labels cannot be looked up.")
    wrong = int((truth[known] != labels[known]).sum())
    problems = [f"{wrong:,} of {int(known.sum()):,} training images came with the label of another image."] if wrong else []
    problems += list(_targets(batches))
    changed = sum(int((batch.labels.cpu().numpy() != augmented_labels[batch.rows.cpu().numpy()]).sum()) for batch in augmented)
    if changed:
        problems.append(f"{changed:,} of {len(augmented_labels):,} augmented images came with the label of another image.")
    problems += list(_targets(augmented))
    return concluded(
        "labels",
        f"{int(known.sum()) - wrong:,} of {int(known.sum()):,} right",
        f"All of {int(known.sum()):,} training images came with their own label.",
        problems,
        "Images and labels have come apart on the way: look for an order that was changed for one of them only.",
        wrong=wrong,
        images=int(known.sum()),
    )


def _targets(batches: list[Batch]) -> Iterator[str]:
    """Say where what the loss is given is neither the labels nor shares of the classes."""
    for batch in batches:
        if batch.targets.is_floating_point():
            sums = batch.targets.sum(dim=1)
            if batch.targets.min() < 0 or (sums - 1).abs().max() > 1e-4:
                yield f"The shares of the classes of mixed images sum to {sums.min():.3g} to {sums.max():.3g}, not to 1."
                return
        elif not torch.equal(batch.targets, batch.labels):
            yield "The targets that the loss is given are not the labels."
            return


def validation_alone(validation: Batches, held: Held, rows: int, wanted: int, trace: Trace, chosen: Held, pixels: Pixels) -> Outcome:
    """Validation is the same twice, never augmented, and all of it, in its order.

    validation: batches of some validation rows with the recipe's augmentation, held: what these hold; rows: how many there are in all, wanted: how many there
    should be; chosen: the validation rows of the watched training.
    """
    first, second = (torch.cat([batch.images.cpu() for batch in validation.evaluation()]) for _ in range(2))
    problems = []
    if rows != wanted:
        problems.append(f"The validation part has {rows:,} rows and should have {wanted:,}.")
    if first.shape != second.shape or not torch.equal(first, second):
        problems.append("Validation images differ between two passes.")
    changed = len(held) - int(_in_order(first, held, pixels).sum())
    if changed:
        problems.append(f"{changed:,} of {len(held):,} validation images are changed, left out or in another place when the network is given them.")
    labels = torch.cat([batch.labels.cpu() for batch in validation.evaluation()]).numpy()
    if not np.array_equal(labels, held.labels):
        problems.append("The labels of the validation images are not those of the files, in their order.")
    for epoch in range(len(trace.rows)):
        seen = _after_epoch(trace, epoch)
        if len(chosen) and not _in_order(torch.cat([f.images for f in seen]) if seen else torch.zeros(0), chosen, pixels).all():
            problems.append(f"The validation after epoch {epoch + 1} did not give the {len(chosen)} validation images to the network as they are stored.")
            break
    return concluded(
        "validation",
        f"{changed:,} of {len(held):,} changed",
        f"Validation gives the stored images, the same twice, in their order ({len(held):,} of {wanted:,} looked at).",
        problems,
        "Validation must see images as prediction will: no augmentation, no shuffling, none left out.",
        changed=changed,
        images=len(held),
    )


def _after_epoch(trace: Trace, epoch: int) -> list[Forward]:
    return [forward for forward in trace.forwards if not forward.training and forward.epoch == epoch]


def _in_order(images: torch.Tensor, held: Held, pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Return for each held row whether the image in its place is the stored one, bool (N,)."""
    if len(images) != len(held) or images.shape[2:] != held.images.shape[1:3]:
        return np.zeros(len(held), dtype=bool)
    values = expected.grey_levels(images, pixels)
    same: npt.NDArray[np.bool_] = np.abs(values - held.images).reshape(len(held), -1).max(axis=1) <= expected.OFF_LEVEL
    return same
