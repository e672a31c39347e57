"""Findings from the training log beside the scores: which weights are scored, over-fitting, plateau, gaps, what the log's numbers are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from rung.errors import RunError
from rung.explain import curves
from rung.explain.curves import Curves
from rung.own import is_own
from rung.recipe import CNN, MLP, Recipe
from rung.reports.finding import Finding
from rung.reports.inputs import ReportInput
from rung.words import decimal, listing, percent, points, quoted

_FORGOTTEN: Final = 0.001  # share of their start values below which moving averages have settled


def read_curves(report: ReportInput) -> Curves:
    """Read the run's training log; of a validation in which batch norm had not settled, neither over-fitting nor plateau nor progress is told.

    Raises: RunError if the log is damaged.
    """
    kept = report.kept.get("epoch")
    if kept is not None and kept not in [row.get("epoch") for row in report.rows]:
        raise RunError(f"the scored weights are of epoch {kept}, but the training log has {len(report.rows)} rows without it: the log is damaged")
    found = curves.read(report.rows, monitor=report.recipe.train.monitor)
    if _unsettled(report) and _start_left(report, report.rows[-1]) > _FORGOTTEN:
        return replace(found, overfit_from=None, overfit_rise=None, plateau_from=None, still_improving=False)
    return found


def loss_name(recipe: Recipe) -> str:
    """Return "loss", with the name of any that is not the log loss of the scores."""
    train = recipe.train
    if train.loss != "cross_entropy":
        return f"loss {quoted(train.loss.rpartition(':')[2])}"
    return "loss with smoothing" if train.label_smoothing else "loss"


def monitor_name(recipe: Recipe) -> str:
    """Return in words what best epochs are chosen by."""
    if recipe.train.monitor == "validation_accuracy":
        return "validation accuracy"
    name = f"validation {loss_name(recipe)}"
    if recipe.train.monitor == "validation_loss":
        return name
    return f"{name} {'and' if name.endswith('smoothing') else 'with'} its L2 penalty"


def kept_words(report: ReportInput, key: str) -> str:
    """Return "how" the scored weights were chosen or why the training "stopped", as the run says it, the monitor in words; "" if it does not."""
    return str(report.kept.get(key, "")).replace(report.recipe.train.monitor, monitor_name(report.recipe))


def scored_weights(report: ReportInput, found: Curves) -> Iterator[Finding]:
    """Say which epoch's weights are scored, whether they are the best of the log, and whether the validation part chose them."""
    kept, best, monitor = int(report.kept["epoch"]), found.best_epoch, report.recipe.train.monitor
    name, of = monitor_name(report.recipe), f"epoch {kept} of {found.epochs}"
    numbers: dict[str, Any] = {"epoch": kept, "epochs": found.epochs, "best_epoch": best, "keep": report.recipe.train.keep}
    if report.recipe.train.keep == "averaged":
        yield Finding("scored_weights", f"The scored weights are the moving average (decay {report.recipe.train.ema_decay:g}) at the end of {of}.", numbers)
        return
    if best is None:
        yield Finding(
            "scored_weights", f"The scored weights are those of {of}, {kept_words(report, 'how')}; no validation part could have chosen others.", numbers
        )
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
        both = _against(_value(monitor, values[best]), _value(monitor, values.get(kept, math.nan)))
        sentence = f"The scored weights are those of {of}, {kept_words(report, 'how')}, not of epoch {best}, which had the best {name} ({both}){noise[told]}."
        yield Finding("scored_weights", sentence, numbers)


def _told_apart(report: ReportInput, found: Curves, kept: float, best: float) -> bool | None:
    """Tell whether two epochs differ by more than 3 deviations of one epoch's noise (accuracy: whether the best leaves the score's interval)."""
    if report.recipe.train.monitor == "validation_accuracy":
        score = report.scores["validation"]["accuracy"]
        return bool(best > score["high"])
    if found.noise is None or not math.isfinite(found.noise) or not math.isfinite(kept):
        return None
    return abs(kept - best) > 3 * math.sqrt(2) * found.noise


def _against(best: str, other: str) -> str:
    return f"{best} against {other}" if best != other else f"{best}, ahead by less than the last digit shows"


def _value(monitor: str, value: float) -> str:
    return percent(value) if monitor == "validation_accuracy" else decimal(value)


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
        f"Over-fit from epoch {found.overfit_from}: the validation {loss_name(report.recipe)} rises from {decimal(loss[lowest])} in epoch {lowest} "
        f"to {decimal(loss[last])} in epoch {last}, while the training loss goes on falling."
    )
    yield Finding("overfit", sentence, numbers)


def ending(report: ReportInput, found: Curves) -> Iterator[Finding]:
    """Say how the training ended: diverged, before the planned end, on a plateau, or still improving."""
    if found.diverged_from is not None:
        sentence = f"The training diverged: since epoch {found.diverged_from} its loss is above that of the first epoch, or not finite."
        yield Finding("diverged", sentence, {"from": found.diverged_from, "epochs": found.epochs})
    planned, reason = report.recipe.train.epochs, kept_words(report, "stopped")
    if found.epochs < planned:
        said = f" ({reason})" if reason else ""
        sentence = f"The training ended after {found.epochs} of {planned} planned epochs{said}."
        yield Finding("ended_early", sentence, {"epochs": found.epochs, "planned": planned, "reason": reason})
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
    sentence = f"The {monitor_name(report.recipe)} was still getting better at the end, beyond its noise: {course}. {more}"
    return Finding("improving", sentence, {"from": first["epoch"], "first": first[monitor], "last": report.rows[-1][monitor], "rate_left": found.rate_left})


def training_mode(report: ReportInput, found: Curves) -> Iterator[Finding]:
    """Say why the training accuracy of the log is not the train score, with both numbers of the scored epoch."""
    row = _scored_row(report)
    if row.get("train_accuracy") is None or "train" not in report.scores or _unsettled(report):
        return
    running, evaluated = float(row["train_accuracy"]), report.scores["train"]["accuracy"]["value"]
    sentence = (
        f"The training accuracy of the curves ({percent(running)} in epoch {row['epoch']}) is a running mean in training mode{in_training(report)}; "
        f"the scored weights in evaluation mode are right on {percent(evaluated)} of the training images."
    )
    yield Finding("training_mode", sentence, {"epoch": row["epoch"], "training_mode": running, "evaluation_mode": evaluated})


def loss(report: ReportInput) -> Iterator[Finding]:
    """Say that the loss of the curves is not the log loss of the scores, where it is another."""
    train, name = report.recipe.train, loss_name(report.recipe)
    if name == "loss":
        return
    part = "validation" if "validation" in report.scores else "train"
    value = report.scores[part]["log_loss"]["value"]
    if train.loss == "cross_entropy":
        what = f"have {percent(train.label_smoothing)} of each label spread over all classes, so that they cannot reach 0"
    else:
        what = f"are {quoted(train.loss.rpartition(':')[2])}{', your own' if is_own(train.loss) else ''}"
    sentence = f"The losses of the curves {what}; the log loss of the scores ({decimal(value)} on {part}) is another measure."
    yield Finding("loss", sentence, {"loss": train.loss, "label_smoothing": train.label_smoothing, "log_loss": value})


def batch_norm(report: ReportInput) -> Iterator[Finding]:
    """Say when the weights were scored before the moving averages of batch norm had settled."""
    if not _unsettled(report):
        return
    row = _scored_row(report)
    left, running, evaluated = _start_left(report, row), float(row["train_accuracy"]), report.scores["train"]["accuracy"]["value"]
    quicker = ", or set network.defaults = 'torch' (momentum 0.9)" if getattr(report.recipe.network, "defaults", "torch") == "keras" else ""
    sentence = (
        f"Batch norm had not settled: the network is right on {percent(evaluated)} of the training images in evaluation mode, and was on {percent(running)} in "
        f"training mode; after {row['step']:,} steps its averages (momentum {report.norm_memory:g}) were still {percent(left)} of what they started from. "
        f"Until they settle no score and no choice by validation means much: take more steps (more epochs, smaller batches){quicker}."
    )
    numbers = {"start_left": left, "momentum": report.norm_memory, "steps": row["step"], "training_mode": running, "evaluation_mode": evaluated}
    yield Finding("batch_norm", sentence, numbers)


def _unsettled(report: ReportInput) -> bool:
    """Whether the scored weights hold start values in moving averages, and are clearly worse in evaluation mode than the training log says."""
    row = _scored_row(report)
    if row.get("train_accuracy") is None or row.get("step") is None or "train" not in report.scores:
        return False
    return _start_left(report, row) > _FORGOTTEN and bool(report.scores["train"]["accuracy"]["high"] < row["train_accuracy"])


def _start_left(report: ReportInput, row: Mapping[str, Any]) -> float:
    """Return the share of the start values that is left in the slowest moving average after the steps of this row."""
    return 0.0 if report.norm_memory is None else float(report.norm_memory ** row["step"])


def _scored_row(report: ReportInput) -> Mapping[str, Any]:
    return next((row for row in report.rows if row["epoch"] == report.kept.get("epoch")), {})


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
