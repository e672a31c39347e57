"""The few images a report shows, kept with the run so that it can be written again without the data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from rung import keys
from rung.data.augment import augment
from rung.data.batches import resident
from rung.data.pixels import to_float
from rung.evaluate.predictions import Predictions
from rung.explain.mistakes import worst
from rung.pipeline.prepare import Prepared
from rung.recipe import Augment
from rung.reports.inputs import Samples, WrongAnswer
from rung.store import arrays as arrays_file
from rung.store import atomic
from rung.store.run import Run

_SAMPLES = 21  # three rows of seven
_COPIES = 3  # of each sample, at most
_MISTAKES = 24

Images = npt.NDArray[np.uint8]


def kept(run: Run) -> bool:
    """Return whether the images have been kept."""
    return atomic.exists(run.pictures)


def save(run: Run, prepared: Prepared, predicted: Predictions) -> None:
    """Keep sample images before and after augmentation, and the worst mistakes of one part."""
    places = _sample_places(prepared)
    rows = prepared.splits.train[places]
    arrays: arrays_file.Arrays = {"samples": prepared.images.images[rows], "sample_labels": prepared.images.labels[rows]}
    for number, images in enumerate(_augmented(prepared, places)):
        arrays[f"augmented_{number}"] = images
    mistakes = np.array([mistake.index for mistake in worst(predicted, _MISTAKES)], dtype=np.int64)
    arrays["mistake_indices"] = mistakes
    arrays["mistakes"] = prepared.images.images[predicted.rows[mistakes]]
    sources = [prepared.images.sources[row] for row in predicted.rows[mistakes]]
    arrays_file.write(run.pictures, arrays, {"part": predicted.part, "sources": sources})


def _sample_places(prepared: Prepared) -> npt.NDArray[np.int64]:
    """Choose places among the training rows that show as many classes as fit, by a draw of the run's seed."""
    train = prepared.splits.train
    order = keys.permutation(prepared.recipe.seed, "samples", 0, len(train))
    _, first = np.unique(prepared.images.labels[train[order]], return_index=True)
    chosen = np.concatenate([order[np.sort(first)], np.delete(order, first)])
    return chosen[:_SAMPLES]


def _augmented(prepared: Prepared, places: npt.NDArray[np.int64]) -> list[Images]:
    """Augment the samples as an epoch would, or make the copies that training sees beside them; empty where the recipe augments nothing."""
    settings = prepared.recipe.augment
    if settings == Augment():
        return []
    if settings.offline_copies:
        return np.split(prepared.copies(places), settings.offline_copies)[:_COPIES]
    rows = prepared.splits.train[places]
    images = to_float(resident(prepared.images.images[rows], torch.device("cpu")))
    row_keys = keys.row_keys(keys.stream(prepared.recipe.seed, "sample draws", 0), torch.from_numpy(rows))
    changed = augment(images, row_keys, settings, prepared.own.augmentations)
    return [(changed.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()]


def load(run: Run, predictions: dict[str, Predictions]) -> tuple[Samples | None, list[WrongAnswer]]:
    """Read the kept images back, with the words that belong to them.

    Raises: RunError if the file is damaged.
    """
    path = run.pictures
    if not atomic.exists(path):
        return None, []
    arrays, about = arrays_file.read(path)
    predicted = predictions[about["part"]]
    classes = predicted.classes
    draws = tuple(arrays[name] for name in sorted(arrays) if name.startswith("augmented_"))
    samples = Samples(arrays["samples"], draws, tuple(classes[label] for label in arrays["sample_labels"]))
    probabilities, answered = predicted.probabilities(), predicted.answers()
    mistakes = [
        WrongAnswer(
            image,
            true=classes[predicted.labels[index]],
            answered=classes[answered[index]],
            confidence=float(probabilities[index, answered[index]]),
            true_confidence=float(probabilities[index, predicted.labels[index]]),
            source=source,
        )
        for image, index, source in zip(arrays["mistakes"], arrays["mistake_indices"], about["sources"], strict=True)
    ]
    return samples, mistakes
