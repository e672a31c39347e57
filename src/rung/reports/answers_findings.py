"""Findings from the saved answers: guessing, classes, confusions, confidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rung.explain import mistakes
from rung.reports.finding import Finding
from rung.reports.inputs import ReportInput
from rung.reports.tables import score_text
from rung.words import listing, percent, percent_range, plural, points, quoted

_NAMED = 6  # classes named in one sentence
_SURE = 0.9


def against_guessing(report: ReportInput) -> Iterator[Finding]:
    """Compare with always giving the commonest answer, where that is a risk: uneven classes, or a score that does not clear it."""
    scores = report.scores[report.shown_part]
    biggest, baseline = _commonest(scores)
    accuracy = scores["accuracy"]
    numbers = {"class": biggest, "baseline": baseline, "accuracy": accuracy["value"], "low": accuracy["low"], "high": accuracy["high"]}
    always = f"Always answering {quoted(biggest)} would be right on {percent(baseline)} of the {report.shown_part} images"
    found = f"the network is right on {percent(accuracy['value'])} (interval {percent_range(accuracy['low'], accuracy['high'])})"
    if accuracy["low"] <= baseline or baseline >= 1.5 / len(scores["per_class"]):
        yield Finding("chance", f"{always}; {found}: {_beside(accuracy, baseline)}.", numbers)


def _commonest(scores: Mapping[str, Any]) -> tuple[str, float]:
    """Return the class that most images of a part have, and the accuracy of whoever always answers it."""
    support = {row["name"]: row["support"] for row in scores["per_class"]}
    biggest = max(support, key=lambda name: support[name])
    return biggest, support[biggest] / scores["images"]


def _beside(accuracy: Mapping[str, float], baseline: float) -> str:
    """Say how an accuracy stands to that of always giving one answer."""
    if accuracy["high"] < baseline:
        return "worse than that"
    return "this cannot tell whether it is better than that" if accuracy["low"] <= baseline else "better than that"


def never_answered(report: ReportInput) -> Iterator[Finding]:
    """Name the classes that have images and are never answered."""
    scores = report.scores[report.shown_part]
    silent = {row["name"]: row["support"] for row in scores["per_class"] if row["support"] and not row["answered"]}
    if silent:
        images = plural(sum(silent.values()), f"{report.shown_part} image")
        are, those = "is" if sum(silent.values()) == 1 else "are", "that class" if len(silent) == 1 else "these classes"
        sentence = f"The network never answers {_named([f'{quoted(name)}' for name in silent])}, though {images} {are} of {those}."
        yield Finding("never_answered", sentence, {"classes": silent})


def classes(report: ReportInput) -> Iterator[Finding]:
    """Name the classes that are found more and less often than the mean, or say that the images cannot tell them apart."""
    scores = report.scores[report.shown_part]
    recall = {row["name"]: row["recall"]["value"] for row in scores["per_class"] if row["support"]}
    differing = mistakes.standings(scores["confusion"], scores["classes"], level=scores["level"])
    mean = scores["macro_recall"]["value"]
    together = f"at {percent(scores['level'], 0)} for {'both' if len(recall) == 2 else f'all {len(recall)}'} classes together"
    for side in ("above", "below"):
        found = {standing.name: recall[standing.name] for standing in differing if standing.side == side}
        if found:
            each = _named([f"{quoted(name)} ({percent(value)})" for name, value in found.items()])
            what = f"{'is' if len(found) == 1 else 'are'} found {'more' if side == 'above' else 'less'} often than the mean of the classes"
            yield Finding(f"{side}_average", f"{each} {what} ({percent(mean)}), {together}.", {"mean": mean, "classes": found})
    if not differing and len(recall) > 1:
        smallest = min(row["support"] for row in scores["per_class"] if row["support"])
        low, high = min(recall.values()), max(recall.values())
        sentence = (
            f"No class can be told from the mean of the classes ({percent(mean)}), {together}: recall runs from {percent(low)} to {percent(high)}, "
            f"on as few as {plural(smallest, 'image')} of a class."
        )
        yield Finding("classes_alike", sentence, {"mean": mean, "lowest": low, "highest": high, "smallest": smallest})


def categories(report: ReportInput) -> Iterator[Finding]:
    """Say how well the categories are told, part by part, where the recipe names some."""
    for part, scores in report.scores.items():
        if coarse := scores.get("categories"):
            always = dict(zip(("category", "baseline"), _commonest(coarse), strict=True))
            shown = {name: coarse[name] for name in ("accuracy", "macro_recall", "macro_f1")}
            yield Finding("categories", category_text(part, coarse), {"part": part, **shown, **always})


def category_text(part: str, coarse: Mapping[str, Any]) -> str:
    """Return the scores of a part's categories, and that of always answering the commonest one."""
    shown = {words: score_text(coarse[name]) for name, words in (("accuracy", "accuracy"), ("macro_recall", "balanced accuracy"), ("macro_f1", "macro F1"))}
    values = listing([f"{words} {share}{interval}" for words, (share, interval) in shown.items()])
    (biggest, baseline), accuracy = _commonest(coarse), coarse["accuracy"]
    always = f"Always answering {quoted(biggest)} would be right on {percent(baseline)} of these images"
    found = f"the network is right on {percent(accuracy['value'])}: {_beside(accuracy, baseline)}"
    return f"By categories ({', '.join(coarse['classes'])}), {part}: {values}. {always}; {found}."


def confusions(report: ReportInput) -> Iterator[Finding]:
    """Name the pair of classes that is confused most, or the pairs that share that place, or say that the errors are too few."""
    scores = report.scores[report.shown_part]
    pairs = mistakes.pairs(scores["confusion"], scores["classes"], scores["level"])
    if not pairs:
        return
    total, most, hardest = sum(pair.errors for pair in pairs), pairs[0], [pair for pair in pairs if pair.hardest]
    numbers = {"errors": total, "pairs": {f"{pair.first} – {pair.second}": pair.errors for pair in pairs[:_NAMED]}, "hardest": len(hardest)}
    errors = plural(total, f"{report.shown_part} error")
    ways = f"{most.first_as_second:,} {quoted(most.first)} answered {quoted(most.second)}, {most.second_as_first:,} the other way"
    if len(scores["classes"]) == 2:
        yield Finding("confusions", f"{errors}: {ways}.", numbers)
    elif total == 1:
        true, answered = (most.first, most.second) if most.first_as_second else (most.second, most.first)
        yield Finding("confusions", f"There is {errors}: {quoted(true)} answered {quoted(answered)}.", numbers)
    elif not (beats := _beats_none(most.errors, len(scores["classes"]), scores["level"])) or len(hardest) > _NAMED:
        spread = f"fall on {plural(len(pairs), 'pair')} of classes{', on each once' if most.errors == 1 else ''}"
        why = "too evenly to say" if beats else "too few to say"
        first = f"; the first by count is {quoted(most.first)} and {quoted(most.second)} ({most.errors:,})" if most.errors > 1 else ""
        yield Finding("confusions", f"The {errors} {spread}: {why} which pair is hardest{first}.", numbers)
    elif len(hardest) == 1:
        share = f"{percent(most.share.value or 0)} of the {errors}, interval {percent_range(most.share.low or 0, most.share.high or 1)}"
        yield Finding("confusions", f"{quoted(most.first)} and {quoted(most.second)} are confused most: {share} ({ways}).", numbers)
    else:
        each = listing([f"{quoted(pair.first)} and {quoted(pair.second)} ({pair.errors:,})" for pair in hardest])
        yield Finding("confusions", f"Confused most, of {errors}: {each}; which of these pairs is hardest, they cannot tell.", numbers)


def _beats_none(errors: int, classes: int, level: float) -> bool:
    """Tell whether so many errors of one pair can be told from none, by the same sign test and level as `mistakes.pairs`."""
    return 2 * 0.5**errors <= (1 - level) / max(classes * (classes - 1) // 2 - 1, 1)


def confident_mistakes(report: ReportInput) -> Iterator[Finding]:
    """Count the wrong answers given with high confidence: look-alikes, or wrong labels."""
    predictions = report.predictions[report.shown_part]
    answers = predictions.answers()
    wrong = answers != predictions.labels
    confidence = predictions.probabilities()[np.arange(len(answers)), answers]
    sure, total = int((confidence[wrong] >= _SURE).sum()), int(wrong.sum())
    if sure:
        which = "The only wrong answer" if total == 1 else f"All {total:,} wrong answers" if sure == total else f"{sure:,} of the {total:,} wrong answers"
        was, them, cause = ("was", "it", "a look-alike or a wrong label") if sure == 1 else ("were", "them", "look-alikes and wrong labels")
        sentence = f"{which} {was} given with a confidence of {percent(_SURE, 0)} or more: look at {them} under Worst mistakes in report.html, for {cause}."
        yield Finding("confident_mistakes", sentence, {"sure": sure, "wrong": total, "from": _SURE})


def calibration(report: ReportInput) -> Iterator[Finding]:
    """Compare the mean confidence with the accuracy and its interval."""
    predictions, accuracy = report.predictions[report.shown_part], report.scores[report.shown_part]["accuracy"]
    mean = float(predictions.probabilities().max(axis=1).mean())
    gap, low, high = mean - accuracy["value"], mean - accuracy["high"], mean - accuracy["low"]
    numbers = {"confidence": mean, "accuracy": accuracy["value"], "gap": gap, "low": low, "high": high}
    said = f"The mean confidence of the {report.shown_part} answers is {percent(mean)}, and {percent(accuracy['value'])} of them are right"
    if low <= 0 <= high:
        yield Finding("calibration", f"{said}: over- or under-confident, these images cannot tell.", numbers)
    else:
        size, least, most = abs(gap), min(abs(low), abs(high)), max(abs(low), abs(high))
        word = "over-confident" if gap > 0 else "under-confident"
        yield Finding("calibration", f"{said}: {word} by {points(size)} (interval {least * 100:.1f} to {most * 100:.1f}).", numbers)


def imbalance(report: ReportInput) -> Iterator[Finding]:
    """Say when the training classes are of very different size."""
    if "train" not in report.scores:
        return
    support = {row["name"]: row["support"] for row in report.scores["train"]["per_class"]}
    biggest, smallest = max(support, key=lambda n: support[n]), min(support, key=lambda n: support[n])
    if support[biggest] < 2 * support[smallest]:
        return
    settings = report.recipe.train
    balanced = [
        f"train.{name} = {value!r}" for name, value in (("class_weights", settings.class_weights), ("sampling", settings.sampling)) if value == "balanced"
    ]
    if balanced:
        remedy = f"{listing(balanced)} {'even' if len(balanced) > 1 else 'evens'} that out in training"
    elif settings.class_weights != "none":
        remedy = "the recipe gives the classes weights of its own in training"
    else:
        remedy = "the recipe does not even that out in training"
    sizes = f"Training has {plural(support[biggest], 'image')} of {quoted(biggest)} and {support[smallest]:,} of {quoted(smallest)}"
    yield Finding(
        "imbalance",
        f"{sizes}; {remedy}. Read the macro scores too.",
        {"biggest": biggest, "most": support[biggest], "smallest": smallest, "least": support[smallest]},
    )


def _named(names: Sequence[str]) -> str:
    return listing([*names[:_NAMED], f"{len(names) - _NAMED} others"] if len(names) > _NAMED else names)
