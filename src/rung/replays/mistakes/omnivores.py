"""The mistakes of S3, omnivores and herbivores: another task than promised, the best of 900 epochs on test, settings that were ignored in silence."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Final

import numpy as np
import torch
from torch import nn

from rung import keys
from rung.data.batches import Batches
from rung.data.colour import contrast_brightness
from rung.data.draws import draw
from rung.data.load import from_arrays
from rung.data.pixels import to_float
from rung.own import Own
from rung.pipeline.prepare import Prepared, with_train
from rung.recipe import Recipe, change
from rung.replays.mistakes.record import Figure, Found, Leads
from rung.replays.mistakes.trial import Trained, Trial, heard_of, on_batches, refused
from rung.training import forward
from rung.training.loop import EpochEnd, StepEnd

_OMNIVORE: Final = "chimpanzee"
_ONLINE: Final = {"augment.offline_copies": 0}
_TESTS: Final = 500  # images that the author chose by
_SPLIT: Final = 0.25
_CONTRAST: Final = 0.3
_DEFAULT_RATE, _MEANT_RATE, _CLIP = 0.001, 0.00001, 0.5


def species_not_categories(trial: Trial) -> Found:
    """Train the five species, and score the two categories that the title promises with the same answers."""
    prepared = trial.prepared(trial.omnivores(), trial.recipe("omnivores", _ONLINE))
    species, categories, always = [], [], []
    for trained in trial.each_seed(prepared):
        answers = trained.answers("validation")
        omnivore = answers.classes.index(_OMNIVORE)
        chosen = answers.probabilities()[:, omnivore] > 0.5
        species.append(trained.accuracy())
        categories.append(float((chosen == (answers.labels == omnivore)).mean()))
        always.append(float((answers.labels != omnivore).mean()))
    merged = replace(prepared.images, classes=("herbivore", "omnivore"), labels=(prepared.images.labels == omnivore).astype(np.int64), coarse=None)
    with trial.folder(merged, prepared.recipe) as ran:
        said = (*ran.said("chance"), *ran.said("imbalance"))
    return Found(
        wrong=(Figure("validation accuracy of five species, reported below a title of two categories", tuple(species)),),
        right=(
            Figure("validation accuracy of the two categories, by the same networks", tuple(categories)),
            Figure("the same of whoever always says herbivore", (float(np.mean(always)),)),
        ),
        said=said,
    )


def best_of_900_on_test(trial: Trial) -> Found:
    """Score the author's test part after every epoch and keep the best, beside the score of the epoch that validation chose."""
    images = trial.omnivores(test=_TESTS if trial.size.author else trial.asked)
    prepared = trial.prepared(images, trial.recipe("omnivores", {} if trial.size.author else _ONLINE))
    best, honest, last = [], [], []
    for seed in trial.seeds:
        seen: list[float] = []
        trained = trial.trained(_watched(prepared, seen), seed)
        best.append(max(seen))
        honest.append(trained.accuracy("test"))
        last.append(seen[-1])
    of = f"the {len(prepared.splits.test):,} test images"
    return Found(
        wrong=(Figure(f"the best of {trial.size.epochs} epochs on {of}", tuple(best)),),
        right=(
            Figure(f"accuracy on {of} of the epoch that {len(prepared.splits.validation):,} validation images chose", tuple(honest)),
            Figure(f"accuracy on {of} of the last epoch", tuple(last)),
        ),
        said=(refused("rung train --set train.monitor=test_accuracy", lambda: change(prepared.recipe, {"train.monitor": "test_accuracy"})),),
        leads=Leads("higher", same=True),
    )


def _watched(prepared: Prepared, seen: list[float]) -> Prepared:
    """Return a training that scores the part named test after every epoch: rung offers no way to do so."""
    test, precision = prepared.part("test"), prepared.recipe.compute.precision

    def look(end: EpochEnd) -> None:
        answers = forward.logits(end.model, test, precision)
        seen.append((answers.argmax(1) == test.labels).double().mean().item())

    return replace(prepared, own=replace(prepared.own, callbacks=(Own("look", look, "", ""),)))


@dataclass
class _GoingOn:
    """A stage that goes on from trained weights: training accuracy of its first epoch, validation accuracy of its best, share of steps with large gradients."""

    first: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    large: list[float] = field(default_factory=list)


def _stages(trial: Trial, **ways: dict[str, float | None]) -> tuple[dict[str, _GoingOn], list[Trained], Recipe]:
    """Train, then go on from the kept weights in several ways; returns these, the trainings before and their recipe."""
    prepared = trial.prepared(trial.omnivores(), trial.recipe("omnivores", _ONLINE))
    found, before = {name: _GoingOn() for name in ways}, trial.each_seed(prepared)
    for seed, stage in zip(trial.seeds, before, strict=True):
        weights = {name: value.clone() for name, value in stage.network.state_dict().items()}
        for name, settings in ways.items():
            network, large = prepared.network(), list[bool]()
            network.load_state_dict(weights)

            def look(step: StepEnd, network: nn.Module = network, large: list[bool] = large) -> None:
                large.append(any(bool((one.grad.abs() > _CLIP).any()) for one in network.parameters() if one.grad is not None))

            going_on = with_train(prepared, epochs=max(2, trial.size.epochs // 4), **settings)
            trained = trial.trained(going_on, seed, network, look)
            found[name].first.append(float(trained.rows[0]["train_accuracy"]))
            found[name].kept.append(trained.accuracy())
            found[name].large.append(float(np.mean(large)))
    return found, before, prepared.recipe


def rate_ignored(trial: Trial) -> Found:
    """Go on from trained weights at the default rate, which the author's optimizer got, and at the rate that his code names."""
    ways, before, recipe = _stages(trial, ignored={"learning_rate": _DEFAULT_RATE}, meant={"learning_rate": _MEANT_RATE})
    return Found(
        wrong=(
            Figure("training accuracy in the first epoch of “fine-tuning” at the 0.001 that it got", tuple(ways["ignored"].first)),
            Figure("validation accuracy of its best epoch", tuple(ways["ignored"].kept)),
        ),
        right=(
            Figure("training accuracy in the first epoch at the 0.00001 that was meant", tuple(ways["meant"].first)),
            Figure("validation accuracy of its best epoch", tuple(ways["meant"].kept)),
            Figure("validation accuracy of the weights that both began with", tuple(one.accuracy() for one in before)),
        ),
        said=(refused("rung train --set train.lr=0.00001", lambda: change(recipe, {"train.lr": _MEANT_RATE})),),
        leads=Leads("lower"),
    )


def clipping_lost(trial: Trial) -> Found:
    """Go on from trained weights without clipping, as the author's new optimizer did, and with the clipping of the first stage."""
    ways, _, recipe = _stages(trial, lost={"learning_rate": _DEFAULT_RATE, "clip_value": None}, kept={"learning_rate": _DEFAULT_RATE, "clip_value": _CLIP})
    return Found(
        wrong=(
            Figure("validation accuracy of the best epoch without clipping", tuple(ways["lost"].kept)),
            Figure(f"share of the steps in which a gradient value beyond {_CLIP} went through", tuple(ways["lost"].large)),
        ),
        right=(
            Figure(f"validation accuracy of the best epoch, clipped at {_CLIP}", tuple(ways["kept"].kept)),
            Figure(f"share of the steps in which a gradient value beyond {_CLIP} went through", tuple(ways["kept"].large)),
        ),
        said=trial.told_apart(trial.omnivores(), [recipe, change(recipe, {"train.clip_value": "none"})]),
        leads=Leads("lower"),
    )


def validation_split_ignored(trial: Trial) -> Found:
    """Ask for a share of the training images for validation where validation images are given."""
    heard: list[str] = []
    prepared = trial.prepared(trial.omnivores(), trial.recipe("omnivores", {"split.validation_fraction": _SPLIT}), heard)
    fitted = len(prepared.splits.train)
    return Found(
        wrong=(Figure(f"images fitted on, as validation_split = {_SPLIT} reads", (round((1 - _SPLIT) * fitted),), "count"),),
        right=(Figure("images fitted on, for the given validation images go before it", (fitted,), "count"),),
        said=heard_of(heard, "validation_fraction"),
    )


class Uncut(Batches):
    """Batches whose contrast is changed and whose values are not cut to 0..1 afterwards, as the author's were."""

    def _augmented(self, rows: torch.Tensor, start: int, epoch: int) -> torch.Tensor:
        stream = keys.stream(self.seed, "augment", epoch)
        return contrast_brightness(to_float(self._picked(rows)), draw(keys.row_keys(stream, rows)), self.settings)


def pixels_out_of_range(trial: Trial) -> Found:
    """Change contrast without cutting values, and with; the first are what the author trained on and what a page shows as noise."""
    recipe = trial.recipe("omnivores", {**_ONLINE, "augment.rotation_degrees": 0.0, "augment.zoom_fraction": 0.0, "augment.flip_vertical": False})
    recipe = change(recipe, {"augment.flip_horizontal": False, "augment.contrast_fraction": _CONTRAST})
    prepared = trial.prepared(trial.omnivores(), recipe)
    cut = prepared.training()
    uncut = Uncut(**{one.name: getattr(cut, one.name) for one in fields(cut)})
    seen = [torch.cat([batch.images for batch in batches.training(0, recipe.train.batch_size)]) for batches in (uncut, cut)]
    outside = [float(((images < 0) | (images > 1)).float().mean()) for images in seen]
    spoilt = [float(((images < 0) | (images > 1)).flatten(1).any(dim=1).float().mean()) for images in seen]
    accuracies = [tuple(on_batches(prepared, batches, seed)[0].accuracy() for seed in trial.seeds) for batches in (uncut, cut)]
    figures = [
        (
            Figure("share of values outside of 0..1 after contrast", (values,)),
            Figure("share of images that have such values", (images,)),
            Figure("validation accuracy", accuracy),
        )
        for values, images, accuracy in zip(outside, spoilt, accuracies, strict=True)
    ]
    pictures = seen[0].permute(0, 2, 3, 1).numpy()
    return Found(figures[0], figures[1], (refused("rung.from_arrays", lambda: from_arrays(pictures, cut.labels.numpy())),), leads=Leads("lower", at=2))
