"""From a run folder alone to its report."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch import nn

from rung import own as own_module
from rung import recipe as recipes
from rung.evaluate import ensemble
from rung.evaluate import predictions as answers
from rung.explain.architecture import LayerRow, layers, norm_memory, picture
from rung.models.build import build
from rung.pipeline import pictures
from rung.pipeline.own_parts import OwnParts
from rung.recipe import OwnNetwork, Recipe
from rung.reports.html import render
from rung.reports.inputs import ReportInput
from rung.store import atomic
from rung.store.run import Run


def read_recipe(run: Run) -> Recipe:
    """Return the recipe of a run, as it was resolved."""
    return recipes.from_toml(run.recipe)


def rebuild(run: Run, recipe: Recipe) -> tuple[nn.Module, int, int]:
    """Build the run's network from its folder alone, with start weights; returns it with channels and size of its input."""
    own = OwnParts(network=own_module.load(recipe.network.source, run.folder)) if isinstance(recipe.network, OwnNetwork) else OwnParts()
    channels, size = input_shape(run, recipe)
    classes = len(run.read_data()["classes"])
    network = build(recipe.network, classes=classes, channels=channels, size=size, seed=recipe.seed, own=own.network_factory())
    return network, channels, size


def input_shape(run: Run, recipe: Recipe) -> tuple[int, int]:
    """Return channels and size (pixels a side) of what the run's network sees."""
    height, _, channels = run.read_data()["shape"]
    return channels, recipe.augment.crop or height


def report_input(run: Run) -> ReportInput:
    """Gather what a report says from the run's files.

    Raises: RunError if one is not there or damaged.
    """
    recipe = read_recipe(run)
    scores: dict[str, Any] = run.read_scores()
    data = run.read_data()
    predicted = {part: answers.load(run.predictions(part), data["classes"]) for part in scores}
    rows, memory = _network(run, recipe)
    samples, mistakes = pictures.load(run, predicted)
    kept = atomic.read_json(run.kept)
    times = atomic.read_lines(run.times).rows
    members = ensemble.load(run.folder)
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
        norm_memory=memory,
        samples=samples,
        mistakes=mistakes,
        opening=run.read_opening() if atomic.exists(run.opening) else None,
        kept=kept,
        command=members.command if members else f"rung train {run.folder}/recipe.toml",
        test_command=f"rung test {run.folder}",
        files=_files(run),
        members=members,
    )


def _files(run: Run) -> dict[str, str]:
    """Return the files and folders of a run by name, and what each is."""
    meanings = {
        run.recipe: "the whole recipe; `rung train recipe.toml` does the run again",
        run.data: "what the data were: counts, hash, files left out",
        run.environment: "versions and machine",
        run.splits: "which rows were fitted on, chosen on, tested on",
        run.network: "the layers of the network",
        run.metrics: "one row an epoch",
        run.times: "seconds of each epoch",
        run.checkpoints: "last, previous and best, with their SHA-256",
        run.weights: "the weights that are scored",
        run.members: "the runs that this one is the mean of",
        run.kept: "which weights these are, and why the training ended",
        run.predictions("train").parent: "the answers all scores are computed from",
        run.scores: "every score with its interval",
        run.robust: "the answers to corrupted images (`rung robust`)",
        run.pictures: "the samples and mistakes of this page",
        run.source: "your own code that the run used",
        run.opening: "the line of the ledger for this test set",
    }
    return {path.name: text for path, text in meanings.items() if atomic.exists(path)}


def _network(run: Run, recipe: Recipe) -> tuple[list[LayerRow], float | None]:
    """Return what was kept of the network: its layers and `norm_memory`; of a run that kept nothing, those of the network built again."""
    if not atomic.exists(run.network):
        network, _, _ = rebuild(run, recipe)
        return layers(network, *input_shape(run, recipe)), norm_memory(network)
    kept = atomic.read_json(run.network)
    rows = [LayerRow(**row | {"output": None if row["output"] is None else tuple(row["output"])}) for row in kept["layers"]]
    return rows, kept["norm_memory"]


def write_report(run: Run, network: nn.Module | None = None) -> None:
    """Write report.html from the run's files; what it says of `network` is kept, so that later reports need not build it again."""
    if network is not None:
        rows = [asdict(row) for row in layers(network, *input_shape(run, read_recipe(run)))]
        atomic.write_json(run.network, {"layers": rows, "norm_memory": norm_memory(network)})
    atomic.write_text(run.report, render(report_input(run)))
