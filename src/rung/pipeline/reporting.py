"""From a run folder alone to its report."""

from __future__ import annotations

from typing import Any

from torch import nn

from rung import recipe as recipes
from rung.evaluate import predictions as answers
from rung.explain.architecture import layers, picture
from rung.models.build import build
from rung.pipeline import own_parts, pictures
from rung.recipe import Recipe
from rung.reports.html import render
from rung.reports.inputs import ReportInput
from rung.store import atomic
from rung.store.run import Run

_FILES = {
    "recipe.toml": "the whole recipe; `rung train recipe.toml` does the run again",
    "data.json": "what the data were: counts, hash, files left out",
    "environment.json": "versions and machine",
    "splits.safetensors": "which rows were fitted on, chosen on, tested on",
    "metrics.jsonl": "one row an epoch",
    "times.jsonl": "seconds of each epoch",
    "checkpoints": "last, previous and best, with their SHA-256",
    "weights.safetensors": "the weights that are scored",
    "predictions": "the answers all scores are computed from",
    "scores.json": "every score with its interval",
}


def read_recipe(run: Run) -> Recipe:
    """Return the recipe of a run, as it was resolved."""
    return recipes.from_toml(run.recipe)


def rebuild(run: Run, recipe: Recipe) -> tuple[nn.Module, int, int]:
    """Build the run's network from its folder alone, with start weights; returns it with channels and size of its input."""
    data = run.read_data()
    size, channels = data["shape"][0], data["shape"][2]
    _, own = own_parts.gather(recipe, run.folder)
    size = recipe.augment.crop or size
    network = build(recipe.network, classes=len(data["classes"]), channels=channels, size=size, seed=recipe.seed, own=own.network_factory())
    return network, channels, size


def report_input(run: Run) -> ReportInput:
    """Gather what a report says from the run's files.

    Raises: RunError if one is not there or damaged.
    """
    recipe = read_recipe(run)
    scores: dict[str, Any] = run.read_scores()
    data = run.read_data()
    predicted = {part: answers.load(run.predictions(part), data["classes"]) for part in scores}
    network, channels, size = rebuild(run, recipe)
    rows = layers(network, channels, size)
    samples, mistakes = pictures.load(run, predicted)
    kept = atomic.read_json(run.folder / "kept.json")
    opening = run.folder / "opening.json"
    times = atomic.read_lines(run.times).rows
    return ReportInput(
        recipe=recipe,
        run_id=run.id,
        data=data,
        splits_how=data["splits"],
        rows=run.read_rows(),
        times=times,
        setup_s=kept["setup_s"],
        scores=scores,
        predictions=predicted,
        environment=atomic.read_json(run.environment),
        layers=rows,
        picture=picture(rows),
        samples=samples,
        mistakes=mistakes,
        opening=atomic.read_json(opening)["opening"] if opening.exists() else None,
        kept=kept,
        command=f"rung train {run.folder}/recipe.toml",
        test_command=f"rung test {run.folder}",
        files={name: text for name, text in _FILES.items() if (run.folder / name).exists()},
    )


def write_report(run: Run) -> None:
    """Write report.html from the run's files."""
    atomic.write_text(run.report, render(report_input(run)))
