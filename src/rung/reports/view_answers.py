"""What the page shows of the answers: headline, scores, confusions, classes, confidence, mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from rung.data.imageset import PARTS
from rung.evaluate.predictions import MOST_TRAIN
from rung.explain import mistakes
from rung.reports import pictures, plots, tables
from rung.reports.finding import LABELS
from rung.reports.findings import findings, verdict
from rung.reports.inputs import ReportInput
from rung.words import PERCENT, percent, plural

_MATRIX_CLASSES = 20  # up to here the confusion table shows every count, above it is a map
_LISTED_CLASSES = 24  # above this the lowest classes are shown and the rest is folded away
_LOWEST = 12


def view(report: ReportInput) -> dict[str, Any]:
    """Return the variables of the templates that are about answers."""
    part, scores = report.shown_part, report.scores[report.shown_part]
    shared = {"part": part, "images_shown": scores["images"], "classes": report.classes}
    return shared | _opening(report) | _scores(report) | _confusions(report) | _classes(report) | _confidence(report) | _mistakes(report)


def _opening(report: ReportInput) -> dict[str, Any]:
    accuracy = report.scores[report.shown_part]["accuracy"]
    shown = percent(accuracy["value"])
    before, score, after = verdict(report).sentence.partition(shown)
    return {
        "verdict_before": before,
        "verdict_score": score,
        "verdict_after": after,
        "findings": findings(report),
        "labels": LABELS,
    }


def _drawn_note(report: ReportInput) -> str:
    """Say that not all training images were answered, or nothing."""
    drawn = report.recipe.train.evaluation_views != "one" and report.scores.get("train", {}).get("images") == MOST_TRAIN
    return f"Of train {MOST_TRAIN:,} images at most are answered, the same for all seeds: several views of each are asked." if drawn else ""


def _scores(report: ReportInput) -> dict[str, Any]:
    parts = [part for part in PARTS if part in report.scores]
    level = report.scores[report.shown_part]["level"]
    strip = plots.score_strip([(part, report.scores[part]["accuracy"]) for part in parts], "accuracy")
    sealed_images = report.sealed_images
    sealed = {"size": plural(sealed_images, "image"), "command": report.test_command} if sealed_images and "test" not in report.scores else None
    return {
        "scores": report.scores,
        "scored_parts": parts,
        "drawn_note": _drawn_note(report),
        "score_rows": tables.score_rows({part: report.scores[part] for part in parts}),
        "score_strip": Markup(strip),
        "sealed": sealed,
        "interval_meaning": (
            f"All intervals on this page are at {level * 100:g}{PERCENT} and cover images: where the score could lie with as many other images "
            "of the same kind, this network held fixed. What another seed would change is not in them."
        ),
    }


def _confusions(report: ReportInput) -> dict[str, Any]:
    scores = report.scores[report.shown_part]
    confusion = np.array(scores["confusion"], dtype=np.int64)
    many = len(report.classes) > _MATRIX_CLASSES
    coarse = scores.get("categories")
    return {
        "category_cells": tables.confusion_cells(coarse["confusion"]) if coarse else [],
        "categories": coarse["classes"] if coarse else [],
        "confusion_map": Markup(pictures.confusion_map(confusion, report.classes)) if many else None,
        "every_class_named": pictures.name_step(len(report.classes)) == 1,
        "turned": max(map(len, report.classes)) > 3,
        "confusion_cells": [] if many else tables.confusion_cells(scores["confusion"]),
        "confused_pairs": tables.pair_rows(scores, 14 if many else 8) if len(report.classes) > 2 else [],
        "wrong_shown": int(confusion.sum() - np.trace(confusion)),
    }


def _classes(report: ReportInput) -> dict[str, Any]:
    scores = report.scores[report.shown_part]
    standings = mistakes.standings(scores["confusion"], scores["classes"], level=scores["level"])
    table = tables.class_table(scores, {standing.name: standing.side for standing in standings})
    folded = len(table.rows) > _LISTED_CLASSES
    lowest = sorted((row for row in table.rows if row.support), key=lambda row: (row.order[2], row.name))[:_LOWEST] if folded else []
    what = f"The {_LOWEST} classes of lowest F1 of {len(table.rows)}" if folded else "Every class"
    return {
        "class_table": table,
        "lowest_rows": lowest,
        "class_caption": (
            f"{what}, on the {report.shown_part} images, each score with its interval. Recall: of its images, the share found; precision: of the answers "
            "that name it, the share that is right. Dashed: mean recall; above, below average: where the exact interval for all classes together excludes it."
        ),
    }


def _confidence(report: ReportInput) -> dict[str, Any]:
    part, scores = report.shown_part, report.scores[report.shown_part]
    predictions = report.predictions[part]
    areas = {row["name"]: row["auc"]["value"] for row in scores["per_class"] if row["auc"]["value"] is not None}
    roc = plots.roc(predictions, areas)
    images = plural(scores["images"], f"{part} image")
    error = scores["calibration_error"]
    return {
        "roc": Markup(roc.svg),
        "roc_caption": f"ROC, one class against the rest, on {images}. {roc.legend}",
        "reliability": Markup(plots.reliability(predictions, scores["level"])),
        "reliability_caption": (
            f"Reliability on {images}: on the dotted line confidence and accuracy agree; below it the network is too sure. Bars: intervals. "
            f"Calibration error {percent(error['value'])}, over 15 bins of equal width; the grey columns show how many answers each holds."
        ),
    }


def _mistakes(report: ReportInput) -> dict[str, Any]:
    scores = report.scores[report.shown_part]
    confusion = np.array(scores["confusion"])
    wrong = int(confusion.sum() - np.trace(confusion))
    shown, images = len(report.mistakes), plural(scores["images"], f"{report.shown_part} image")
    which = "The only" if wrong == 1 else f"All {wrong:,}" if shown == wrong else f"The worst {shown} of {wrong:,}"
    return {
        "mistakes": [
            {
                "image": pictures.image_uri(mistake.image),
                "true": mistake.true,
                "answered": mistake.answered,
                "confidence": percent(mistake.confidence),
                "true_confidence": percent(mistake.true_confidence),
                "source": mistake.source,
            }
            for mistake in report.mistakes
        ],
        "mistakes_caption": (
            f"{which} wrong {'answer' if wrong == 1 else 'answers'} on the {images}{', the surest first' if shown > 1 else ''}. "
            "Bold: the label; below it the answer and its confidence, and what the label got."
        ),
        "no_mistakes": f"None: there is no wrong answer on the {images}." if not wrong else f"{plural(wrong, 'wrong answer')} on {images}; no picture is kept.",
    }
