"""What the page shows of the run itself: training curves, data, samples, network, settings, times, how to do it again."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from rung.reports import pictures, plots, tables
from rung.reports.inputs import ReportInput
from rung.reports.training_findings import in_training, kept_words, loss_name, monitor_name, read_curves
from rung.words import count, duration, listing, plural

FILE_NOTES = {"Files left out": "dropped", "Files repaired": "repaired"}
_COMMON = {"validation_loss", "validation_accuracy", "validation_objective"}


def view(report: ReportInput) -> dict[str, Any]:
    """Return the variables of the templates that are about the run."""
    shared = {"recipe": report.recipe, "run_id": report.run_id, "title": f"{report.recipe.name} on {report.data['name']}", "facts": _facts(report)}
    return shared | _training(report) | _data(report) | _samples(report) | _network(report) | _record(report)


def _facts(report: ReportInput) -> list[str]:
    height, width, channels = report.data["shape"]
    parameters = sum(row.parameters for row in report.layers)
    seconds = sum(float(t["train_s"]) + float(t["evaluate_s"]) for t in report.times) + (report.setup_s or 0)
    images = sum(sum(counts.values()) for counts in report.part_counts().values())
    if report.members and report.members.averaged == "probabilities":
        network = f"ensemble of {len(report.members.members)} networks"
    else:
        network = report.recipe.network.kind.upper() if report.recipe.network.kind != "own" else "own network"
    facts = [
        plural(images, "image"),
        plural(len(report.classes), "class", "classes"),
        f"{width} × {height} pixels, {'grey' if channels == 1 else 'colour'}",
        f"{network}, {plural(parameters, 'parameter')}",
    ]
    if report.rows:
        facts.append(f"{plural(len(report.rows), 'epoch')}{f' in {duration(seconds)}' if report.times else ''}")
    return [*facts, f"seed {report.recipe.seed}"]


def _training(report: ReportInput) -> dict[str, Any]:
    kept = report.kept.get("epoch")
    scored = kept_words(report, "how") if report.members else f"epoch {kept}, {kept_words(report, 'how')}"
    if not report.rows:
        return {"panels": [], "curves_caption": "", "scored_weights": scored}
    loss = loss_name(report.recipe)
    found = read_curves(report)
    marks = plots.Marks(found.best_epoch, found.overfit_from, kept)

    def single(part: str, key: str) -> float | None:
        return report.scores[part][key]["value"] if part in report.scores else None

    def curves(key: str, score: str, rings: bool) -> list[plots.Curve]:
        return [plots.Curve(part, part, f"{part}_{key}", single(part, score) if rings else None) for part in ("train", "validation")]

    panels = [
        plots.curve_panel(report.rows, curves("loss", "log_loss", loss == "loss"), loss, marks),
        plots.curve_panel(report.rows, curves("accuracy", "accuracy", True), "accuracy", marks, shares=True),
        plots.rate_panel(report.rows, marks),
    ]
    own = dict.fromkeys(key for row in report.rows for key in row if key.startswith("validation_") and key not in _COMMON)
    panels += [plots.curve_panel(report.rows, [plots.Curve("validation", "validation", key)], key.removeprefix("validation_"), marks) for key in own]
    return {"panels": [Markup(p) for p in panels if p], "curves_caption": _curves_caption(report, marks), "scored_weights": scored}


def _curves_caption(report: ReportInput, marks: plots.Marks) -> str:
    train = f"Train (dashed): {count(report.times[0]['images'])} images an epoch, " if report.times else "Train (dashed): "
    sentences = [f"{train}a running mean in training mode{in_training(report)}, so it is not the train score of the table."]
    if "validation" in report.scores:
        sentences.append(f"Validation: {plural(report.scores['validation']['images'], 'image')}, measured after each epoch.")
    if any(float(row.get("penalty") or 0) for row in report.rows):
        sentences.append("Losses are without the L2 penalty.")
    if report.recipe.train.class_weights != "none":
        sentences.append("The training loss is weighted by class, the validation loss is not.")
    sentences.append(f"Rings: the scored weights (epoch {marks.scored}) in evaluation mode.")
    if marks.best is not None:
        sentences.append(f"Best: by {monitor_name(report.recipe)}.")
    if marks.overfit_from is not None:
        sentences.append(f"Shaded: over-fit from epoch {marks.overfit_from}.")
    return " ".join(sentences)


def _data(report: ReportInput) -> dict[str, Any]:
    data, counts = report.data, report.part_counts()
    table = tables.count_table(counts, report.classes, report.recipe.augment.offline_copies)
    height, width, channels = data["shape"]
    totals = {name: [values[i] for _, values in table.rows] for i, name in enumerate(table.parts)}
    return {
        "data_rows": [
            ("Name", data["name"]),
            ("Images", f"{width} × {height} pixels, {'grey' if channels == 1 else 'colour'}"),
            ("Parts", report.splits_how),
            ("SHA-256", data["hash"]),
            *((name, "none") for name, key in FILE_NOTES.items() if not data.get(key)),
        ],
        "data_warnings": list(data.get("warnings", ())),
        "data_problems": [problem for problem in data.get("problems", ()) if problem["severity"] != "note"],
        "data_remarks": list(data.get("remarks", ())),
        "file_notes": [(name, list(data[key])) for name, key in FILE_NOTES.items() if data.get(key)],
        "counts": table,
        "counts_caption": "Images by class and part" + ("; of the sealed part only the counts are known" if report.sealed_images else ""),
        "counts_summary": listing([_range(name, values) for name, values in totals.items()]) + f", over {len(table.rows)} classes.",
    }


def _range(name: str, values: list[int]) -> str:
    spread = f"{min(values):,} in each class" if min(values) == max(values) else f"{min(values):,} to {max(values):,} a class"
    return f"{name} {plural(sum(values), 'image')} ({spread})"


def _samples(report: ReportInput) -> dict[str, Any]:
    samples = report.samples
    if samples is None or not len(samples.before):
        return {"samples": [], "samples_caption": ""}
    shown = [
        {"name": name, "before": pictures.image_uri(samples.before[i]), "after": [pictures.image_uri(draw[i]) for draw in samples.after]}
        for i, name in enumerate(samples.classes)
    ]
    first = plural(len(shown), "training image")
    copies, draws = report.recipe.augment.offline_copies, len(samples.after)
    if not draws:
        return {"samples": shown, "samples_caption": f"{first}, which training sees as they are."}
    some = f"{draws} of its {plural(copies, 'copy', 'copies')}" if copies > draws else f"its {plural(copies, 'copy', 'copies')}"
    drawn = "the same image" if draws == 1 else f"{draws} draws of it"
    below = f"{some}, made once and merged with it: training sees both" if copies else f"{drawn} after augmentation, as training sees it"
    return {"samples": shown, "samples_caption": f"{first} before augmentation; below each, {below}."}


def _network(report: ReportInput) -> dict[str, Any]:
    rows = [
        {
            "name": row.name,
            "what": f"{row.kind} {row.detail}".strip(),
            "output": "–" if row.output is None else " × ".join(f"{n:,}" for n in row.output),
            "parameters": row.parameters,
            "trainable": row.trainable,
        }
        for row in report.layers
    ]
    return {
        "picture": Markup(pictures.checked_svg(report.picture)) if report.picture else "",
        "layer_rows": rows,
        "parameters_total": sum(row.parameters for row in report.layers),
        "parameters_trainable": sum(row.trainable for row in report.layers),
    }


def _record(report: ReportInput) -> dict[str, Any]:
    changed, rest = tables.settings(report.recipe)
    return {
        "settings_changed": changed,
        "settings_rest": rest,
        "time_rows": tables.time_rows(report.times, report.setup_s),
        "environment_rows": tables.environment_rows(report.environment),
        "command": report.command,
        "again_note": (
            "It is made of the weights of these runs, weight for weight."
            if report.members
            else "The recipe carries the seed and every value that the machine or the data decided; with equal data and versions the result is the same."
        ),
        "files": list((report.files or {}).items()),
    }
