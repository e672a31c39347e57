"""Findings from the training log beside the scores: which weights are scored, over-fitting, plateau, gaps, what training mode means."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rung.explain import curves
from rung.explain.curves import Curves
from rung.recipe import CNN, MLP, Recipe
from rung.reports.finding import Finding
from rung.reports.inputs import ReportInput
from rung.words import decimal, listing, percent, points

MONITORS: Final = {
    "validation_loss": "validation loss",
    "validation_objective": "validation loss with its L2 penalty",
    "validation_accuracy": "validation accuracy",
}


def read_curves(report: ReportInput) -> Curves:
    """Read the run's training log with what its recipe planned."""
    train = report.recipe.train
    kept = report.kept.get("epoch")
    return curves.read(report.rows, monitor=train.monitor, planned=train.epochs, patience=train.early_stopping, kept_epoch=kept)


def scored_weights(report: ReportInput, found: Curves) -> Iterator[Finding]:
    """Say which epoch's weights are scored, whether they are the best of the log, and whether the validation part chose them."""
    kept, best, monitor = int(report.kept["epoch"]), found.best_epoch, report.recipe.train.monitor
    name, of = MONITORS[monitor], f"epoch {kept} of {found.epochs}"
    numbers: dict[str, Any] = {"epoch": kept, "epochs": found.epochs, "best_epoch": best, "keep": report.recipe.train.keep}
    if report.recipe.train.keep == "averaged":
        yield Finding("scored_weights", f"The scored weights are the moving average (decay {report.recipe.train.ema_decay:g}) at the end of {of}.", numbers)
        return
    if best is None:
        yield Finding("scored_weights", f"The scored weights are those of {of}, {report.kept['how']}; no validation part could have chosen others.", numbers)
        return
    values = {int(row["epoch"]): float(row[monitor]) for row in report.rows if row.get(monitor) is not None}
    numbers |= {"monitor": monitor, "value": values.get(kept), "best_value": values[best]}
    if kept == best:
        chosen = (
            "; these images chose them, so the validation scores lean to the optimistic side" if report.recipe.train.keep == "best" and found.epochs > 1 else ""
        )
        yield Finding("scored_weights", f"The scored weights are those of {of}, the best by {name} ({_value(monitor, values[best])}){chosen}.", numbers)
    else:
        numbers["told_apart"] = told = _told_apart(report, found, values.get(kept, math.nan), values[best])
        noise = {
            None: "",
            True: "; that is more than one epoch's noise",
            False: "; one epoch's noise can make that difference, so which is better cannot be told",
        }
        both = f"{_value(monitor, values[best])} against {_value(monitor, values.get(kept, math.nan))}"
        sentence = f"The scored weights are those of {of}, {report.kept['how']}, not of epoch {best}, which had the best {name} ({both}){noise[told]}."
        yield Finding("scored_weights", sentence, numbers)


def _told_apart(report: ReportInput, found: Curves, kept: float, best: float) -> bool | None:
    """Tell whether two epochs differ by more than 3 deviations of one epoch's noise (accuracy: whether the best leaves the score's interval)."""
    if report.recipe.train.monitor == "validation_accuracy":
        score = report.scores["validation"]["accuracy"]
        return bool(best > score["high"])
    if found.noise is None or not math.isfinite(found.noise) or not math.isfinite(kept):
        return None
    return abs(kept - best) > 3 * math.sqrt(2) * found.noise


def _value(monitor: str, value: float) -> str:
    return percent(value, 2) if monitor == "validation_accuracy" else decimal(value)


def gap(report: ReportInput) -> Iterator[Finding]:
    """Compare train and validation, and validation and test, all in evaluation mode, with the interval of their difference."""
    for kind, upper, lower in (("gap", "train", "validation"), ("test_gap", "validation", "test")):
        if upper in report.scores and lower in report.scores:
            yield _gap(kind, upper, lower, report.scores[upper]["accuracy"], report.scores[lower]["accuracy"])


def _gap(kind: str, upper: str, lower: str, a: Mapping[str, float], b: Mapping[str, float]) -> Finding:
    """The interval of a difference of two parts' shares from the intervals of both (Newcombe, Statistics in Medicine 17, 1998)."""
    difference = a["value"] - b["value"]
    low = difference - math.hypot(a["value"] - a["low"], b["high"] - b["value"])
    high = difference + math.hypot(a["high"] - a["value"], b["value"] - b["low"])
    numbers = {upper: a["value"], lower: b["value"], "difference": difference, "low": low, "high": high}
    said = f"{upper.capitalize()} accuracy{' (evaluation mode)' if upper == 'train' else ''} is {percent(a['value'])}, {lower} {percent(b['value'])}"
    between = f"interval {_signed(low)} to {_signed(high)}"
    if low <= 0 <= high:
        return Finding(kind, f"{said}: a difference of {points(difference).replace('-', '−')} ({between}), which cannot be told from none.", numbers)
    what = "better" if difference > 0 else "worse"
    meaning = f"the network answers the images it was fitted on {what} than new ones" if kind == "gap" else f"the validation images were answered {what}"
    return Finding(kind, f"{said}: {meaning}, by {points(abs(difference))} ({between}).", numbers)


def _signed(value: float) -> str:
    """Write points with their sign; a bound near 0 gets a second decimal, so that its side of 0 is seen."""
    return f"{value * 100:.{2 if 0 < abs(value) < 0.0005 else 1}f}".replace("-", "−")


def overfitting(report: ReportInput, found: Curves) -> Iterator[Finding]:
    """Say from which epoch the validation loss rises while the training loss goes on falling."""
    if found.overfit_from is None or found.overfit_rise is None:
        return
    loss = {int(row["epoch"]): float(row["validation_loss"]) for row in report.rows if row.get("validation_loss") is not None}
    lowest, last = found.best_loss_epoch, max(loss)
    assert lowest is not None  # an onset lies after a lowest loss
    numbers = {"from": found.overfit_from, "lowest": loss[lowest], "last": loss[last], "rise": found.overfit_rise, "noise": found.noise}
    sentence = (
        f"Over-fit from epoch {found.overfit_from}: the validation loss rises from {decimal(loss[lowest])} in epoch {lowest} to {decimal(loss[last])} "
        f"in epoch {last}, while the training loss goes on falling."
    )
    yield Finding("overfit", sentence, numbers)


def ending(report: ReportInput, found: Curves) -> Iterator[Finding]:
    """Say how the training ended: diverged, unfinished, on a plateau, or still improving."""
    if found.diverged_from is not None:
        sentence = f"The training diverged: since epoch {found.diverged_from} its loss is above that of the first epoch, or not finite."
        yield Finding("diverged", sentence, {"from": found.diverged_from, "epochs": found.epochs})
    if found.unfinished:
        planned = report.recipe.train.epochs
        yield Finding("unfinished", f"Only {found.epochs} of {planned} planned epochs were run.", {"epochs": found.epochs, "planned": planned})
    if found.plateau_from is not None:
        best = max(float(row["validation_accuracy"]) for row in report.rows if row.get("validation_accuracy") is not None)
        sentence = (
            f"The best validation accuracy ({percent(best)}) has risen by less than {points(found.plateau_gain)} since epoch {found.plateau_from} "
            f"of {found.epochs}."
        )
        yield Finding("plateau", sentence, {"from": found.plateau_from, "best": best, "gain": found.plateau_gain})
    if found.still_improving:
        yield _improving(report, found)


def _improving(report: ReportInput, found: Curves) -> Finding:
    monitor = report.recipe.train.monitor
    first = report.rows[-curves.ending(len(report.rows))]
    course = f"{_value(monitor, float(first[monitor]))} in epoch {first['epoch']}, {_value(monitor, float(report.rows[-1][monitor]))} in epoch {found.epochs}"
    more = "More epochs may give more."
    if found.rate_left is not None and found.rate_left < 0.05:
        left = percent(found.rate_left) if found.rate_left >= 0.001 else f"under {percent(0.001)}"
        more = f"The learning rate had come down to {left} of its highest: a longer schedule, not more epochs alone, may give more."
    sentence = f"The {MONITORS[monitor]} was still getting better at the end, beyond its noise: {course}. {more}"
    return Finding("improving", sentence, {"from": first["epoch"], "first": first[monitor], "last": report.rows[-1][monitor], "rate_left": found.rate_left})


def training_mode(report: ReportInput, found: Curves) -> Iterator[Finding]:
    """Say why the training accuracy of the log is not the train score, with both numbers of the scored epoch."""
    row = next((row for row in report.rows if row["epoch"] == report.kept.get("epoch")), None)
    if row is None or row.get("train_accuracy") is None or "train" not in report.scores:
        return
    running, evaluated = float(row["train_accuracy"]), report.scores["train"]["accuracy"]["value"]
    sentence = (
        f"The training accuracy of the curves ({percent(running)} in epoch {row['epoch']}) is a running mean in training mode{in_training(report)}; "
        f"the scored weights in evaluation mode are right on {percent(evaluated)} of the training images."
    )
    yield Finding("training_mode", sentence, {"epoch": row["epoch"], "training_mode": running, "evaluation_mode": evaluated})


def in_training(report: ReportInput) -> str:
    """Return what is on in training mode and off in evaluation: ", on augmented images and with dropout", or that the weights still change."""
    recipe = report.recipe
    on = []
    if recipe.augment.mixup_alpha or recipe.augment.cutmix_alpha:
        on.append("on mixed images")
    elif _augments(recipe):
        on.append("on augmented images")
    if _drops(recipe):
        on.append("with dropout")
    return f", {listing([*on, 'while the weights change'])}"


def _augments(recipe: Recipe) -> bool:
    values = recipe.augment.model_dump()
    return any(values[name] for name in values if name not in ("fill", "mixup_alpha", "cutmix_alpha"))


def _drops(recipe: Recipe) -> bool:
    network = recipe.network
    if not isinstance(network, CNN | MLP):
        return False
    rates = (
        [network.dense_dropout, network.block_dropout, network.flatten_dropout] if isinstance(network, CNN) else [network.dense_dropout, network.input_dropout]
    )
    return any(any(rate) if isinstance(rate, tuple) else rate for rate in rates)
