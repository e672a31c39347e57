"""A training in its run folder: begin, fit (also after an interruption), measure."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from safetensors.torch import save as save_tensors
from torch import nn

from rung.data.describe import describe
from rung.data.imageset import PARTS, ImageSet
from rung.errors import DataError, RunError
from rung.evaluate import ensemble
from rung.evaluate import predictions as answers
from rung.evaluate.apart import with_twins_apart
from rung.evaluate.categories import in_categories
from rung.evaluate.metrics import Scores, score
from rung.evaluate.predictions import Predictions
from rung.models.build import parameter_counts
from rung.pipeline import starting
from rung.pipeline.own_parts import check_read, kept_with_run
from rung.pipeline.prepare import Prepared, Progress
from rung.recipe import to_toml
from rung.store import arrays, atomic
from rung.store.run import Run
from rung.training import memory
from rung.training.environment import environment
from rung.training.forward import logits
from rung.training.journal import Journal, RunJournal
from rung.training.loop import StepEnd, TrainResult, train
from rung.training.losses import build_loss
from rung.training.process import computing, random_states_kept, stop_signals

Observe = Callable[[StepEnd], None]
Scoring = Callable[[str, int, int], None]


def begin(run: Run, prepared: Prepared) -> None:
    """Write down what the run is, before the first step: its recipe last, for a folder with a recipe can be resumed."""
    recipe, files = kept_with_run(prepared.recipe, prepared.own)
    for name, text in files.items():
        atomic.make_folder((run.folder / name).parent)
        atomic.write_text(run.folder / name, text)
    about: dict[str, Any] = {"content": prepared.images.content_hash(), "splits": prepared.splits.how, "sealed": len(prepared.splits.test)}
    described = describe(prepared.images).to_json()
    about["problems"] = [problem.to_json() for problem in prepared.problems]
    if start := prepared.own.start:
        about["start"] = {"run": start.run, "weights_sha256": start.sha256}
    atomic.write_json(run.data, described | about | {"warnings": [*described["warnings"], *prepared.warnings]})
    with computing(prepared.recipe.compute):
        atomic.write_json(run.environment, environment(prepared.recipe.compute.device))
    parts = {part: getattr(prepared.splits, part) for part in PARTS}
    arrays.write(run.splits, parts, {"how": prepared.splits.how})
    if prepared.own.start:
        starting.write(run.folder, prepared.own.start)
    atomic.write_text(run.recipe, to_toml(recipe))


def check_same_data(run: Run, images: ImageSet) -> None:
    """Compare data with what the run began with, before anything is made of them.

    Raises: DataError saying what differs; nothing has been trained then.
    """
    stored, found = run.read_data(), describe(images).to_json()
    if stored["hash"] != found["hash"]:
        differing = [key for key in ("classes", "counts", "shape") if stored[key] != found[key]]
        what = "; ".join(f"{key}: then {stored[key]}, now {found[key]}" for key in differing) or _other_content(stored, images)
        raise DataError(f"the data of {run.folder.name} have changed since it began ({what}): put them back, or begin a new run")


def _other_content(stored: Mapping[str, Any], images: ImageSet) -> str:
    if stored.get("content") == images.content_hash():
        return "the same images and labels in another order"
    return "the same counts and classes, but other pixels or labels"


def check_same_splits(run: Run, prepared: Prepared) -> None:
    """Compare the parts with those that the run began with; raises RunError."""
    stored_splits, _ = arrays.read(run.splits)
    for part in PARTS:
        if not np.array_equal(stored_splits[part], getattr(prepared.splits, part)):
            raise RunError(f"the {part} rows of {run.folder.name} are not those it began with: splits.safetensors or the recipe was changed")


def fit(prepared: Prepared, journal: Journal, observe: Observe | None = None, network: nn.Module | None = None) -> tuple[nn.Module, TrainResult]:
    """Train the prepared recipe's network; goes on from what the journal holds. Leaves torch's own random states as they were.

    network: one from `prepared.network()` that somebody watches; it is made here unless given.
    """
    recipe, own = prepared.recipe, prepared.own
    with random_states_kept(recipe.compute), computing(recipe.compute), memory.in_steps(recipe):
        network = network or prepared.network()
        result = train(
            network,
            prepared.training(),
            replace(prepared.part("validation"), views="one") if len(prepared.splits.validation) else None,  # more views cost as much as the training
            recipe.train,
            seed=recipe.seed,
            precision=recipe.compute.precision,
            loss=build_loss(recipe.train, own.loss),
            journal=journal,
            class_weights=prepared.class_weights(),
            metrics={metric.name: metric for metric in own.metrics},
            callbacks=own.callbacks,
            observe=observe,
        )
    return network, result


def fit_run(
    run: Run,
    prepared: Prepared,
    setup_s: float,
    observe: Observe | None = None,
    every_s: float = 30.0,
    say: Callable[[str], None] = lambda sentence: None,
    scoring: Scoring | None = None,
) -> list[str]:
    """Fit in the run's folder, obeying Ctrl-C and SIGTERM, keep the weights, and score train and validation.

    setup_s: seconds from the start to here, written down apart from training. every_s: seconds between checkpoints.
    Returns what is to be said about the checkpoint it went on from; say(sentence) hears it before the first step.
    scoring(part, done, total) is called with images answered.

    Raises: RunError if an object of the user's was passed in Python and could not be read back, or the run is an ensemble, which nothing trains.
    """
    started = time.perf_counter()
    if members := ensemble.load(run.folder):
        raise RunError(f"{run.id} is {members.words} and is not trained, and the answers that it kept are gone: make it again with `{members.command}`")
    check_read(part for _, part in prepared.own.all())
    with stop_signals() as stop_signal:
        journal = RunJournal(run.folder, prepared.recipe.compute.device, every_s, stop_signal, say)
        network, result = fit(prepared, journal, observe)
    counts = parameter_counts(network)
    weights = save_tensors(result.weights)
    kept = {
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "epoch": result.kept_epoch,
        "how": _how_kept(prepared),
        "stopped": result.stopped,
        "notes": journal.notes,
        "parameters": counts.total,
        "trainable_parameters": counts.trainable,
        "setup_s": setup_s,
        "fit_s": time.perf_counter() - started,
    }
    atomic.write_bytes(run.weights, weights)
    atomic.write_json(run.kept, kept)
    parts = [part for part in ("train", "validation") if len(getattr(prepared.splits, part))]
    write_scores(run, prepared, {part: measure(run, prepared, network, part, scoring and partial(scoring, part)) for part in parts})
    return journal.notes


def _how_kept(prepared: Prepared) -> str:
    train = prepared.recipe.train
    return {"best": f"best by {train.monitor}", "last": "the last epoch", "averaged": f"moving average of the weights (decay {train.ema_decay})"}[train.keep]


def predict_part(prepared: Prepared, network: nn.Module, part: str, scoring: Progress | None = None) -> Predictions:
    """Return the network's answers to one part, in evaluation mode; scoring(done, total) is called with images answered."""
    rows, batches, asked = prepared.scored(part), prepared.part(part), itertools.count()

    def tell() -> None:
        if scoring:
            scoring(next(asked) * batches.at_once(), len(rows))

    with computing(prepared.recipe.compute):
        values = logits(network, batches, prepared.recipe.compute.precision, tell)
    if scoring:
        scoring(len(rows), len(rows))
    return Predictions(part, prepared.images.classes, values.cpu().numpy(), prepared.images.labels[rows], rows, prepared.images.digests[rows])


def measure(run: Run, prepared: Prepared, network: nn.Module, part: str, scoring: Progress | None = None) -> Predictions:
    """Predict one part and save the predictions."""
    predicted = predict_part(prepared, network, part, scoring)
    answers.save(run.predictions(part), predicted)
    return predicted


def write_scores(run: Run, prepared: Prepared, predicted: Mapping[str, Predictions]) -> None:
    """Add the scores of these parts to scores.json; the file is what says that a run is finished."""
    scores: Mapping[str, Any] = run.read_scores() if run.scored() else {}
    atomic.write_json(run.scores, {**scores, **{part: _scores(prepared, predictions).to_json() for part, predictions in predicted.items()}})


def scored_again(run: Run, prepared: Prepared) -> bool:
    """Write the scores of a run whose training ended from the answers that are kept, those of an opened test part too; False if some are not there.

    Raises: RunError if they cannot be used, or a metric that was passed in Python could not be read back.
    """
    parts = [part for part in ("train", "validation") if len(getattr(prepared.splits, part))]
    if not all(map(atomic.exists, (run.kept, run.weights, *map(run.predictions, parts)))):
        return False
    if atomic.exists(run.opening) and atomic.exists(run.predictions("test")):
        parts.append("test")
    check_read(prepared.own.metrics)
    write_scores(run, prepared, {part: answers.load(run.predictions(part), prepared.images.classes) for part in parts})
    return True


def _scores(prepared: Prepared, predictions: Predictions) -> Scores:
    """Score one part, by categories too where there are some; of those that were not fitted on also the images without a near-duplicate in train."""
    scores = score(predictions, costs=prepared.costs, own={metric.name: metric for metric in prepared.own.metrics})
    if prepared.categories:
        scores = replace(scores, categories=score(in_categories(predictions, prepared.categories)))
    if predictions.part == "train":
        return scores
    return with_twins_apart(scores, predictions, prepared.twins.beside(predictions.rows, prepared.splits.train, len(prepared.images)))
