"""The cells of a notebook about one run: what was asked, network, settings, curves, scores, findings, difficulties, how to do it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rung.reports import tables
from rung.reports.finding import Finding
from rung.reports.findings import findings, verdict
from rung.reports.inputs import ReportInput
from rung.reports.notebook_blocks import setting_tables
from rung.reports.notebook_cells import Cell, bullets, code, data_cell, escaped, fence, packed, table_text, words
from rung.reports.notebook_curves import rounded
from rung.reports.notebook_network import drawn, layer_rows, reasons
from rung.reports.training_findings import kept_words, loss_name, read_curves
from rung.words import PERCENT, count, plural, visible

_DIFFICULT: Final = ("openings", "batch_norm", "overfit", "diverged", "ended_early", "never_answered", "imbalance", "data", "copies")
_CURVES: Final = ("epoch", "train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "learning_rate")


def cells(report: ReportInput) -> list[Cell]:
    """Return the whole notebook; equal input gives equal cells."""
    found = findings(report)
    return [
        _opening(report),
        data_cell(_data(report), _said(report), "draw_network", "draw_curves", "draw_confusion"),
        *_asked(report),
        *_network(report),
        _settings(report),
        *_training(report),
        *_scores(report),
        *_classes(report),
        words("## Findings", "Each sentence is made from the numbers of this run.", bullets([one.sentence for one in found])),
        _difficulties(report, found),
        _again(report),
    ]


def _opening(report: ReportInput) -> Cell:
    return words(
        f"# {escaped(report.recipe.name)} on {escaped(str(report.data['name']))}",
        f"**{escaped(verdict(report).sentence)}**",
        f"Why: {escaped(report.recipe.why)}" if report.recipe.why else "",
        f"Run `{visible(report.run_id)}`. Every number and figure of this notebook comes from that run; the code below needs Python, numpy "
        "and matplotlib, and the data that stand in the next cell. Run again, it gives the same.",
    )


def _said(report: ReportInput) -> str:
    part = report.shown_part
    answers = plural(len(report.predictions[part].labels), "answer")
    return f"{plural(len(report.rows), 'epoch')}, {answers} on {part}, {plural(len(report.classes), 'class', 'classes')}"


def _data(report: ReportInput) -> dict[str, Any]:
    shown = report.predictions[report.shown_part]
    return {
        "part": report.shown_part,
        "classes": [visible(name) for name in report.classes],
        "labels": packed(shown.labels),
        "answers": packed(shown.answers()),
        "curves": curves(report.rows),
        "layers": drawn(report.layers),
        "marks": {"scored": report.kept.get("epoch"), "overfit_from": read_curves(report).overfit_from} if report.rows else {},
    }


def curves(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Return the columns of a training log that are drawn; what is not finite is None."""
    return {name: [_finite(row.get(name)) for row in rows] for name in _CURVES if any(row.get(name) is not None for row in rows)}


def _finite(value: Any) -> Any:
    """Return a number with six figures, an epoch as it is."""
    return rounded(value) if isinstance(value, float) else value


def _asked(report: ReportInput) -> list[Cell]:
    height, width, channels = report.data["shape"]
    table = tables.count_table(report.part_counts(), report.classes, report.recipe.augment.offline_copies)
    rows = [[name, *map(count, counts)] for name, counts in table.rows]
    asked = words(
        "## What was asked",
        f"Recipe `{visible(report.recipe.name)}`, seed {report.recipe.seed}, on {escaped(str(report.data['name']))}: {width} × {height} pixels, "
        f"{'grey' if channels == 1 else 'colour'}, {plural(len(report.classes), 'class', 'classes')}. Parts: {escaped(report.splits_how)}.",
        fence(report.command),
        "### Images by class and part",
        table_text(["class", *table.parts], [*rows, ["together", *map(count, table.totals)]], table.parts),
        f"No image stands in this notebook, for the data may not be yours to pass on; `{report.run_id}/report.html` shows samples before and after "
        f"augmentation, and "
        "the worst mistakes."
        if report.samples is not None or report.mistakes
        else "",
    )
    return [asked]


def _network(report: ReportInput) -> list[Cell]:
    if not report.layers:
        return []
    total, trainable = sum(row.parameters for row in report.layers), sum(row.trainable for row in report.layers)
    return [
        words(
            "## The network, and why it is built so",
            f"{count(total)} parameters, {count(trainable)} trainable.",
            bullets(reasons(report.layers)),
        ),
        code(then='draw_network(DATA["layers"])'),
        words("### Every layer", table_text(("layer", "what", "output", "parameters"), layer_rows(report.layers), ("parameters",))),
    ]


def _settings(report: ReportInput) -> Cell:
    return words("## Hyper-parameters", *setting_tables(report.recipe))


def _training(report: ReportInput) -> list[Cell]:
    if not report.rows:
        return []
    found, kept = read_curves(report), report.kept.get("epoch")
    name = loss_name(report.recipe)
    said = (
        f"Train (dashed) is a running mean in training mode; validation is measured after each epoch. The loss is "
        f"{'cross-entropy' if name == 'loss' else name}, without "
        f"an L2 penalty. Best epoch: {found.best_epoch}. Scored: epoch {kept}, {kept_words(report, 'how')}."
    )
    return [words("## Training", escaped(said)), code(then='draw_curves(DATA["curves"], DATA["marks"])')]


def _scores(report: ReportInput) -> list[Cell]:
    parts = list(report.scores)
    level = report.scores[report.shown_part]["level"]

    def text(cell: tables.Cell) -> str:
        return f"{cell.value} ({cell.interval})" if cell.interval else cell.value

    rows = [(f"{row.label} ({row.hint})", *(text(row.cells[part]) for part in parts)) for row in tables.score_rows(report.scores)]
    sealed = report.sealed_images
    return [
        words(
            "## Scores",
            f"In brackets: {level * 100:g}{PERCENT} intervals over images, this network held fixed. What another seed would change is not in them.",
            table_text(("score", *parts), rows, parts),
            f"The test part ({plural(sealed, 'image')}) is sealed: no choice was made on it. `{report.test_command}` opens it." if sealed else "",
            f"The accuracy on {report.shown_part} once more, from the answers themselves:",
        ),
        code(
            "confusion_of",
            "wilson",
            then="""
            classes = DATA["classes"]
            matrix = confusion_of(unpacked(DATA["labels"]), unpacked(DATA["answers"]), len(classes))
            right, images = np.trace(matrix), matrix.sum()
            low, high = wilson(right, images)
            print(f"{right:,} of {images:,} {DATA['part']} images right: {100 * right / images:.2f} %")
            print(f"95 % interval {100 * low:.2f} to {100 * high:.2f} %")
            """,
        ),
    ]


def _classes(report: ReportInput) -> list[Cell]:
    return [
        words(
            "## Confusion matrix, precision, recall and F1",
            "Recall: of the images of a class, the share found. Precision: of the answers that name it, the share that is right. F1: their harmonic mean. "
            "The mean over classes (macro) counts every class alike.",
        ),
        code(then='draw_confusion(matrix, classes, DATA["part"])'),
        code("class_scores", "print_classes", then="print_classes(matrix, classes)"),
    ]


def _difficulties(report: ReportInput, found: list[Finding]) -> Cell:
    data = report.data
    problems = [problem for problem in data.get("problems", ()) if problem["severity"] != "note"]
    checked = [f"{problem['severity'].capitalize()}: {problem['sentence']} {problem['advice']}" for problem in problems]
    said = [*data.get("warnings", ()), *checked, *data.get("remarks", ())]
    trained = [one.sentence for one in found if one.kind in _DIFFICULT]
    return words(
        "## Difficulties, and what was done about them",
        bullets([str(one) for one in said]) if said else "The checks of the data found nothing to warn of.",
        bullets(trained) if trained else "The checks of the training found nothing: no divergence, no over-fitting, no class that is never answered.",
    )


def _again(report: ReportInput) -> Cell:
    return words(
        "## How to do it again",
        fence(report.command),
        _how_equal(report),
        "\n\n".join(
            ["<details><summary>Versions and machine</summary>", table_text(("what", "value"), tables.environment_rows(report.environment)), "</details>"]
        ),
        f"Notes: {escaped(report.recipe.notes)}" if report.recipe.notes else "",
    )


def _how_equal(report: ReportInput) -> str:
    """Say how equal a second run is: on the processor always, on a GPU where the run was held to deterministic algorithms."""
    facts = report.environment
    same = f"With equal data (SHA-256 `{report.data['hash']}`) and versions the result is the same"
    carried = "the recipe carries the seed and every value that the machine or the data decided"
    if facts.get("device") in (None, "cpu"):
        return f"{same}, for {carried}. (`deterministic` below is a setting for GPUs; the processor gives the same bits without it.)"
    if facts.get("deterministic"):
        return f"{same}, for {carried}, and the run was held to deterministic algorithms."
    return f"{same} but for rounding: {carried}, but a GPU adds in an order of its own unless the run is made with `--exact`."
