"""The pre-flight of a training: what is looked at in which order. Each part runs through what a real training runs through."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import numpy as np
import torch

from rung.audit.preflight import augmenting, evaluating, expected, learning, losses, rows
from rung.audit.preflight.outcome import Outcome, Preflight, concluded, skipped
from rung.data.affine import shrink
from rung.data.batches import Batches
from rung.pipeline import own_parts
from rung.pipeline.preflight import trainings, trial
from rung.pipeline.preflight.judging import judge
from rung.pipeline.preflight.trainings import Watched
from rung.pipeline.preflight.views import views
from rung.pipeline.prepare import Prepared, with_train
from rung.recipe import Fast, OwnNetwork
from rung.training.forward import logits
from rung.training.losses import Loss, build_loss
from rung.training.process import computing, random_states_kept
from rung.training.schedules import rate_factor, total_steps

Progress = Callable[[int, int], None]

_COMPARED = 1024  # rows whose pixels and labels are compared
_VIEWED, _FEWEST_VIEWED = 128, 32  # rows that are augmented in all ways
_ASKED, _FEWEST_ASKED = 96, 16  # rows that are asked in all orders and companies
_SAMPLED_STEPS = 1000  # of a schedule
_OF_FEW = ("first-loss", "loss-encoding", "loss-numbers", "gradients-reach", "gradients-fresh", "evaluation")  # that need the whole of it


def preflight(prepared: Prepared, progress: Progress = lambda done, total: None) -> Preflight:
    """Run all checks on what a training would start from; progress(done, total) counts stages.

    Raises: ResourceError where memory runs out, RunError where own code fails outside of a watched training: what goes wrong in those is an outcome.
    """
    started = time.perf_counter()
    compute = prepared.recipe.compute
    outcomes: list[Outcome] = []
    stages = (_few_rows, _first_steps, _augmentation, _by_heart)
    with random_states_kept(compute), computing(compute), own_parts.explained(prepared.own):
        for done, stage in enumerate(stages):
            progress(done, len(stages))
            outcomes += stage(prepared)
    seconds = time.perf_counter() - started
    about = (prepared.images.name, prepared.recipe.name, prepared.recipe.seed, compute.device, compute.precision, int(compute.threads))
    return Preflight(*about, tuple(outcomes), seconds)


def _loss(prepared: Prepared) -> Loss:
    return build_loss(prepared.recipe.train, prepared.own.loss)


def _few_rows(prepared: Prepared) -> Iterator[Outcome]:
    """Check what goes into the network, the loss, gradients and evaluation, on a watched training of few rows."""
    yield rows.parts_apart(prepared.splits)
    run = trainings.few_rows(prepared)
    trace, recipe, fitted, chosen = run.trace, run.prepared.recipe, run.held("train"), run.held("validation")
    went = f"A training of {len(fitted)} rows went through."
    stop = [f"A training of {len(fitted)} rows broke off: {trace.stopped}"] if trace.stopped else []
    yield concluded("training", f"{len(trace.losses)} steps", went, stop, "The checks that need it are left out: mend this first.", steps=len(trace.losses))
    pixels, loss, classes = recipe.pixels, _loss(prepared), prepared.images.classes
    wanted = len(prepared.splits.train) * (1 + prepared.recipe.augment.offline_copies)
    yield rows.rows_once(trial.corner(prepared), wanted, prepared.recipe.train.batch_size, trace, fitted, pixels)
    yield from _as_stored(prepared, run)
    if stop:
        yield from (skipped(name, f"The training it looks at broke off: {trace.stopped}") for name in _OF_FEW)
        return
    weights = expected.class_weights(recipe.train, fitted.labels, classes)
    first = expected.labels_of(expected.digests(trace.forwards[0].images, pixels), fitted.images, fitted.labels)
    if prepared.own.start:
        yield skipped("first-loss", "The training begins from the weights of a run, which know something already.")
    else:
        yield losses.first_loss(trace, first[first >= 0] if (first >= 0).any() else fitted.labels, weights, recipe.train, loss)
    yield losses.loss_encoding(recipe.train, loss, len(classes), trace)
    yield losses.loss_numbers(trace, fitted, chosen, weights, recipe.train, loss, pixels)
    yield learning.gradients_reach(trace, isinstance(recipe.network, OwnNetwork | Fast))
    yield _fresh(run, weights, loss)
    asked = trial.some(prepared.images, _unseen(prepared), trial.fewer(prepared, _ASKED, _FEWEST_ASKED), "asked", recipe.seed)
    batches = trial.unaugmented(trial.with_rows(prepared, asked, asked[:0])).part("train")
    yield evaluating.evaluation(run.network, batches, recipe.compute.precision)


def _unseen(prepared: Prepared) -> trial.Rows:
    """Return the validation rows; where there are none, the training rows, which evaluation treats alike."""
    return prepared.splits.validation if len(prepared.splits.validation) else prepared.splits.train


def _as_stored(prepared: Prepared, run: Watched) -> Iterator[Outcome]:
    """Check pixels, labels and validation, of the watched rows and of a sample of all."""
    pixels, splits, seed = prepared.recipe.pixels, prepared.splits, prepared.recipe.seed
    plain = trial.unaugmented(prepared)
    compared = trial.fewer(prepared, _COMPARED, _VIEWED)
    sample = trial.some(prepared.images, splits.train, compared, "compared", seed)
    batches = _only(plain.training(), np.searchsorted(splits.train, sample))
    held = trial.held(prepared, sample)
    yield rows.pixels_kept(run.trace, run.held("train"), run.held("validation"), batches, held, pixels)
    viewed = sample[: trial.fewer(prepared, _VIEWED, _FEWEST_VIEWED)]
    augmented = with_train(trial.with_rows(prepared, viewed, viewed[:0]), sampling="each_once").training()
    labels = np.tile(prepared.images.labels[viewed], 1 + prepared.recipe.augment.offline_copies)
    yield rows.labels_kept(batches, held, list(augmented.training(0, 64)), labels, pixels)
    if not len(splits.validation):
        yield skipped("validation", "The recipe fits on train and validation together: there is no validation part.")
        return
    part = prepared.part("validation")
    chosen = np.sort(trial.some(prepared.images, splits.validation, compared, "compared", seed))
    few = _only(part, np.searchsorted(splits.validation, chosen))
    yield rows.validation_alone(few, trial.held(prepared, chosen), len(part), len(splits.validation), run.trace, run.held("validation"), pixels)


def _only(batches: Batches, places: trial.Rows) -> Batches:
    """Return batches of these places alone, each once."""
    kept = torch.from_numpy(places).to(batches.labels.device)
    return replace(batches, images=batches.images[kept], labels=batches.labels[kept], sources=(), balanced=False)


def _fresh(run: Watched, weights: expected.Floats, loss: Loss) -> Outcome:
    trace, recipe, fitted = run.trace, run.prepared.recipe, run.held("train")
    steps = [forward for forward in trace.forwards if forward.training]
    if trace.second is None or len(steps) < 2:
        return skipped("gradients-fresh", "The training took fewer than two steps.")
    labels = expected.labels_of(expected.digests(steps[1].images, recipe.pixels), fitted.images, fitted.labels)
    if (labels < 0).any():
        return skipped("gradients-fresh", "The images that the network is given are not the stored ones, so their gradients cannot be worked out.")
    wanted = expected.gradients(run.network, trace.second, steps[1].images, labels, weights, loss, recipe.train, recipe.compute.precision)
    return learning.gradients_fresh(trace, wanted)


def _first_steps(prepared: Prepared) -> Iterator[Outcome]:
    """Check the learning rate and, where there is augmentation, whether it acts and varies, on the first steps of the training asked for."""
    run = trainings.first_steps(prepared)
    train, trace = prepared.recipe.train, run.trace
    batches = trial.corner(prepared)
    per_epoch = batches.steps(train.batch_size)
    total = total_steps(train, per_epoch)
    seen = [rate_factor(train, step, total, per_epoch) for step in range(max(len(trace.losses), 1))]
    planned = [rate_factor(train, int(step), total, per_epoch) for step in np.linspace(0, total - 1, min(total, _SAMPLED_STEPS))]
    course = float(np.mean(planned) / np.mean(seen)) if np.mean(seen) else 0.0
    classes = len(prepared.images.classes)
    labels = np.arange(classes)
    uniform = float(expected.loss_values(train, _loss(prepared), torch.zeros(classes, classes), labels).mean())
    yield learning.learning_rate(trace, uniform, train.learning_rate or 0.0, total, course)
    if not augmenting.on(prepared.recipe.augment) and not prepared.own.augmentations:
        yield from (skipped(name, "The recipe has no augmentation.") for name in ("augmentation-acts", "augmentation-varies"))
        return
    viewed = trial.fewer(prepared, _VIEWED, _FEWEST_VIEWED)
    chosen = trial.some(prepared.images, prepared.splits.train, viewed, "viewed", prepared.recipe.seed)
    made = views(with_train(trial.with_rows(prepared, chosen, chosen[:0]), sampling="each_once"))
    seen_images = [forward.images for forward in trace.forwards if forward.training]
    if seen_images:
        yield augmenting.acts(made, _changed_share(prepared, batches, seen_images), sum(map(len, seen_images)))
    else:
        yield skipped("augmentation-acts", f"The training it looks at broke off: {trace.stopped}")
    yield augmenting.varies(made, prepared.recipe.augment, len(prepared.own.augmentations))


def _changed_share(prepared: Prepared, batches: Batches, given: list[torch.Tensor]) -> float:
    """Return the share of the images given to the network, step by step, that are not the stored ones of these steps, shrunk where sizes rise.

    batches: which rows come when; given: float32 (N,C,H,W) of each of the first steps.
    """
    steps = (batch.rows for epoch in count() for batch in batches.training(epoch, prepared.recipe.train.batch_size))
    changed = 0
    for images, drawn in zip(given, steps, strict=False):  # there is always another epoch
        if not len(images):  # a fault of the batches, which rows-once tells
            continue
        places = drawn.cpu().numpy() % len(prepared.splits.train)
        stored = torch.from_numpy(trial.held(prepared, prepared.splits.train[places]).images).permute(0, 3, 1, 2)
        wanted = shrink(stored.float(), images.shape[-1])
        found = torch.from_numpy(expected.grey_levels(images, prepared.recipe.pixels)).permute(0, 3, 1, 2)
        changed += int(augmenting.changed(found, wanted).sum()) if found.shape == wanted.shape else len(images)
    return changed / max(sum(map(len, given)), 1)


def _augmentation(prepared: Prepared) -> Iterator[Outcome]:
    """Check whether augmentation keeps labels."""
    settings = [name for name in augmenting.on(prepared.recipe.augment) if name not in augmenting.MIXES]
    if not settings and not prepared.own.augmentations:
        yield skipped("augmentation-keeps-labels", "The recipe has no augmentation that should keep labels.")
        return
    judged = judge(with_train(prepared, sampling="each_once"))
    if isinstance(judged, str):
        yield skipped("augmentation-keeps-labels", f"The small network that judges could not be fitted: {judged}")
    else:
        yield augmenting.keeps_labels(judged)


def _by_heart(prepared: Prepared) -> Iterator[Outcome]:
    """Check that one batch can be learned, which weights are kept then, and that permuted labels give chance."""
    tries, run = trainings.one_batch(prepared)
    first = run.trace.losses[0] if run.trace.losses else float("nan")
    yield learning.one_batch(tries, len(run.held("train")), first, run.trace.stopped)
    if run.result is None:
        yield skipped("kept-weights", f"The training it looks at broke off: {run.trace.stopped}")
    else:
        yield _kept(run)
    trace, fitted, asked = trainings.permuted_labels(prepared, tries[-1].factor)
    if fitted is None or asked is None:
        yield skipped("permuted-labels", f"The training it looks at broke off: {trace.stopped}")
    else:
        yield learning.permuted_labels(fitted, asked)


def _kept(run: Watched) -> Outcome:
    """Check which weights the training of one batch kept."""
    assert run.result is not None
    train, part = run.prepared.recipe.train, run.prepared.part("validation")
    answers = logits(run.network, part, run.prepared.recipe.compute.precision)
    loss = float(_loss(run.prepared)(answers, part.labels).double().mean())
    scored = run.network.state_dict()
    same = all(torch.equal(value, scored[name].cpu()) for name, value in run.result.weights.items())
    return learning.kept_weights(run.trace.rows, run.result.kept_epoch, same, loss, train.keep, train.monitor)
