"""The mistakes of S4, the CNN ladder, in what was concluded: names, choices on test, two changes at once, curves that were misread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any, Final

import numpy as np

from rung.data.imageset import TEST
from rung.evaluate.intervals import wilson
from rung.pipeline import reporting
from rung.replays.mistakes.record import Figure, Found, Leads, Said
from rung.replays.mistakes.trial import Trained, Trial, refused
from rung.reports import training_findings
from rung.reports.ladder_findings import findings as ladder_findings
from rung.store import atomic
from rung.study.curse import Decided, expected_fall
from rung.study.ladder import Ladder
from rung.study.measured import Floats, Measured
from rung.study.plan import plan_of

_PLAIN: Final = {"augment.flip_horizontal": False, "augment.shift_pixels": 0.0, "augment.fill": "reflect"}
_BEFORE: Final = {"network.batch_norm": "none", "network.dense_batch_norm": False, "network.block_dropout": 0.3, "network.dense_dropout": 0.3}  # CNN 4
_NORM: Final = {"network.batch_norm": "after_activation", "network.dense_batch_norm": True}
_TEST_IMAGES: Final = 10_000
_MANY: Final = 10_000
_REPORTED_TEST, _LOGGED_VALIDATION = 0.6805, 0.7645  # of CNN 4 v1


def same_network_twice(trial: Trial) -> Found:
    """Climb a step whose candidates are one network under two names, and see how far apart its F1 lies from seed to seed."""
    images, settings = trial.cifar10(grey=True), {"network.block_dropout": [0.3, 0.3, 0.3], "network.dense_dropout": 0.3}
    group = [{"name": "v3", **settings}, {"name": "v5", **settings}]
    climbed = trial.ladder(images, "cnn_9", {**_PLAIN, "network.block_dropout": [0.2, 0.2, 0.2]}, [{"name": "dropout", "group": group}], metric="macro_f1")
    found = climbed.steps[0].named("v3").values
    apart = tuple(abs(one - other) for one, other in combinations(found, 2))
    return Found(
        wrong=(Figure("macro F1 by which two names of this network differ, if each is one training of it with a seed of its own", apart, "points"),),
        right=(Figure("validation macro F1 of this one network, from seed to seed; with the same seed both names are one training", found),),
        said=tuple(Said("rung ladder", sentence) for step in climbed.steps for sentence in step.told if "same network" in sentence),
    )


def chosen_on_test(trial: Trial) -> Found:
    """Choose among candidates on the author's test part, and score the chosen one on images that chose nothing."""
    images = trial.cifar10(grey=True, test=trial.asked)
    rates = {"start": (0.3, 0.4, 0.5), "less": (0.1, 0.2, 0.3), "least": (0.0, 0.1, 0.2), "even": (0.2, 0.2, 0.2), "more": (0.4, 0.4, 0.4)}
    trained = {name: trial.each_seed(trial.prepared(images, trial.recipe("cnn_9", {**_PLAIN, "network.block_dropout": rate}))) for name, rate in rates.items()}
    right = {name: [_right(one, "test") for one in several] for name, several in trained.items()}
    asked = {name: [float(values.mean()) for values in several] for name, several in right.items()}
    fresh = {name: [one.accuracy() for one in several] for name, several in trained.items()}
    start, *others = (_measured(name, several) for name, several in right.items())
    best = max((start, *others), key=lambda one: one.mean).name
    tests = int((images.parts == TEST).sum())
    return Found(
        wrong=(Figure(f"how far the best of {len(rates)} is above their mean on the {tests:,} test images that chose it", _ahead(asked, asked), "points"),),
        right=(Figure(f"how far the same weights are above the mean on {trial.asked:,} images that chose nothing", _ahead(asked, fresh), "points"),),
        said=(Said("rung ladder", expected_fall([Decided(start, tuple(others), best)]).reason),),
        leads=Leads("higher", same=True),
    )


def _ahead(chosen_by: Mapping[str, list[float]], scores: Mapping[str, list[float]]) -> tuple[float, ...]:
    """Return how far the candidate that has the highest of `chosen_by` is above the mean of all in `scores`, of each seed.

    The mean takes out which images are hard.
    """
    names, found = list(chosen_by), []
    for seed in range(len(chosen_by[names[0]])):
        best = max(names, key=lambda name, seed=seed: chosen_by[name][seed])  # type: ignore[misc]
        found.append(scores[best][seed] - float(np.mean([scores[name][seed] for name in names])))
    return tuple(found)


def _right(trained: Trained, part: str) -> Floats:
    answers = trained.answers(part)
    right: Floats = (answers.answers() == answers.labels).astype(np.float64)
    return right


def _measured(name: str, right: list[Floats]) -> Measured:
    images = np.stack(right)
    return Measured(name, 1, 1, tuple(range(len(right))), images.mean(axis=1), images)


def two_changes_in_one_step(trial: Trial) -> Found:
    """Put batch norm in and change the dropout rates in one step, and credit batch norm with both; measure it alone too."""
    images = trial.cifar10(grey=True)
    ways: dict[str, dict[str, Any]] = {"before": {}, "norm": _NORM, "both": {**_NORM, "network.block_dropout": (0.3, 0.4, 0.5)}}
    accuracy = {}
    for name, settings in ways.items():
        recipe = trial.recipe("cnn_9", {**_PLAIN, **_BEFORE, **settings})
        accuracy[name] = [one.accuracy() for one in trial.each_seed(trial.prepared(images, recipe))]
    gains = {name: tuple(after - before for before, after in zip(accuracy["before"], accuracy[name], strict=True)) for name in ("norm", "both")}
    step = {"name": "batch norm", "field": ["network.batch_norm", "network.block_dropout"], "candidates": {}}
    return Found(
        wrong=(Figure("accuracy gained by a step that puts batch norm in and changes dropout, credited to batch norm", gains["both"], "points"),),
        right=(Figure("accuracy gained by batch norm alone", gains["norm"], "points"),),
        said=(refused("rung ladder", lambda: plan_of({"data": "cifar10", "step": [step]})),),
    )


def winner_not_carried_on(trial: Trial) -> Found:
    """Climb the author's steps of activations and rates as he carried them on; the ladder says what its file keeps and what the scores would have kept."""
    images = trial.cifar10(grey=True)
    group = [
        {"name": "v3 sigmoid", "network.activation": "sigmoid", "network.dense_activation": "sigmoid"},
        {"name": "v4 relu/tanh", "network.dense_activation": "tanh"},
    ]
    steps: list[dict[str, Any]] = [
        {"name": "activation", "group": group, "keep": "v4 relu/tanh"},
        {"name": "learning rate", "field": "train.learning_rate", "candidates": [0.001], "keep": "start"},
    ]
    climbed = trial.ladder(images, "cnn_9", {**_PLAIN, "network.dense_activation": "relu"}, steps)
    values = {one.name: one.values for one in climbed.steps[0].candidates}
    rates = {one.name: one.values for one in (climbed.steps[1].start, *climbed.steps[1].candidates)}
    return Found(
        wrong=(
            Figure("validation accuracy of “v3 sigmoid”, which the text names the winner", values["v3 sigmoid"]),
            Figure("validation accuracy of the rate 0.0004, which was kept", rates["start"]),
        ),
        right=(
            Figure("validation accuracy of “v4 relu/tanh”, which the next step used", values["v4 relu/tanh"]),
            Figure("validation accuracy of the rate 0.001, which was left", rates["0.001"]),
        ),
        said=tuple(Said("rung ladder", sentence) for sentence in (*(step.reason for step in climbed.steps), *_of_the_file(climbed))),
        leads=Leads("higher"),
    )


def _of_the_file(climbed: Ladder) -> list[str]:
    """Return what is said of steps whose kept one the ladder's file names."""
    return [one.sentence for one in ladder_findings(climbed) if one.kind == "file"]


def score_from_nowhere(trial: Trial) -> Found:
    """Set the reported test accuracy beside the validation accuracy of its printed log, and see how far two such parts lie apart in real runs."""
    images = trial.cifar10(grey=True, test=trial.asked)
    recipe = trial.recipe("cnn_9", {**_PLAIN, "network.block_dropout": 0.5, "network.dense_dropout": 0.5, "train.keep": "last"})
    apart = [one.accuracy() - one.accuracy("test") for one in trial.each_seed(trial.prepared(images, recipe))]
    reported = {name: round(share * _TEST_IMAGES) for name, share in (("validation", _LOGGED_VALIDATION), ("test", _REPORTED_TEST))}
    with trial.folder(images, recipe) as ran:
        report = reporting.report_input(ran.run)
        scores = {name: {"accuracy": wilson(hits, _TEST_IMAGES, 0.95).to_json()} for name, hits in reported.items()}
        judged = [one.sentence for one in training_findings.gap(replace(report, scores=scores))]
        rows = atomic.read_lines(ran.run.metrics).rows
        atomic.keep_lines(ran.run.metrics, len(rows) - 1)
        changed = refused("rung report, after a row of the log was taken out", lambda: training_findings.read_curves(reporting.report_input(ran.run)))
    return Found(
        wrong=(),
        right=(Figure("validation less test accuracy of one network", tuple(apart), "points"),),
        reported=(
            Figure("test accuracy of CNN 4 v1", (_REPORTED_TEST,), "exact"),
            Figure("validation accuracy in the last row of its log", (_LOGGED_VALIDATION,), "exact"),
        ),
        said=(*(Said("report, of these two numbers", sentence) for sentence in judged), changed),
    )


def over_fit_called_under_fit(trial: Trial) -> Found:
    """Train a network without dropout until its validation loss rises, and see what its training loss does meanwhile."""
    lowest, last, first, end = [], [], [], []
    said: tuple[Said, ...] = ()
    few = {"train.batch_size": 16} if trial.size.images < _MANY else {}  # as many steps as over-fitting takes
    images, recipe = trial.cifar10(grey=True), trial.recipe("cnn_1", {"train.early_stopping": None, **few})
    for seed in trial.seeds:
        with trial.folder(images, recipe, seed) as ran:
            best = min(ran.rows, key=lambda row: float(row["validation_loss"]))
            lowest.append(float(best["validation_loss"]))
            last.append(float(ran.rows[-1]["validation_loss"]))
            first.append(float(best["train_accuracy"]))
            end.append(float(ran.rows[-1]["train_accuracy"]))
            said = said or ran.said("overfit")
    return Found(
        wrong=(Figure("validation loss of the last epoch, called under-fitting", tuple(last), "number"),),
        right=(
            Figure("validation loss of the best epoch", tuple(lowest), "number"),
            Figure("training accuracy of the best epoch", tuple(first)),
            Figure("training accuracy of the last epoch: what does not fit its training images does not get there", tuple(end)),
        ),
        said=said,
        leads=Leads("higher", same=True),
    )
