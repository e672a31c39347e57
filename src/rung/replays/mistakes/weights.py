"""Which weights are scored: the last epoch's where nothing restored the best, a mistake of two systems."""

from __future__ import annotations

from rung.data.imageset import ImageSet
from rung.recipe import Recipe, change
from rung.replays.mistakes.record import Figure, Found, Leads, Said
from rung.replays.mistakes.trial import Trial


def last_against_best(trial: Trial, images: ImageSet, recipe: Recipe) -> Found:
    """Train with `train.keep = "last"` and compare what is scored then with the best epoch of the same log."""
    recipe = change(recipe, {"train.keep": "last"})
    monitor, last, best, epochs = recipe.train.monitor, list[float](), list[float](), list[float]()
    said: tuple[Said, ...] = ()
    for seed in trial.seeds:
        with trial.folder(images, recipe, seed) as ran:
            lowest = min(ran.rows, key=lambda row: float(row[monitor]))
            last.append(float(ran.rows[-1][monitor]))
            best.append(float(lowest[monitor]))
            epochs.append(float(ran.rows[-1]["epoch"] - lowest["epoch"]))
            if epochs[-1] and not said:
                said = ran.said("scored_weights")
    of = "with its L2 penalty " if monitor == "validation_objective" else ""
    return Found(
        wrong=(
            Figure(f"validation loss {of}of the last epoch's weights, which are scored", tuple(last), "number"),
            Figure("epochs between the best and the last", tuple(epochs), "count"),
        ),
        right=(Figure(f"validation loss {of}of the best epoch's weights", tuple(best), "number"),),
        said=said,
        leads=Leads("higher", same=True),
    )
