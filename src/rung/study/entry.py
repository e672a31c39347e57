"""A finished run as a study reads it: what it was made from and what it answered, from the files of its folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rung import recipe as recipes
from rung.errors import RunError
from rung.evaluate import predictions as answers
from rung.evaluate.metrics import Scores
from rung.evaluate.predictions import Predictions
from rung.recipe import Recipe, flat
from rung.store import arrays, atomic
from rung.store.run import Run

# What may differ between runs of one recipe: words, seeds, where it ran, and what follows from the rows that were drawn.
_NOT_THE_RECIPE: Final = ("name", "why", "notes", "seed", "split.seed", "pixels.mean", "pixels.deviation", "data.sources")


@dataclass(frozen=True)
class Entry:
    """A finished run. data: data.json; rows: metrics.jsonl, empty where nothing was trained; kept: kept.json; scores: by part."""

    run: Run
    recipe: Recipe
    data: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    kept: Mapping[str, Any]
    scores: Mapping[str, Scores]

    @property
    def id(self) -> str:
        """The name of the run's folder."""
        return self.run.id

    @property
    def seed(self) -> int:
        """The seed of every draw of the training."""
        return self.recipe.seed

    @cached_property
    def splits(self) -> Mapping[str, npt.NDArray[np.int64]]:
        """The rows of each part."""
        return arrays.read(self.run.splits)[0]

    def predictions(self, part: str) -> Predictions:
        """Return the answers to a part; raises RunError if they are not there."""
        return answers.load(self.run.predictions(part), self.data["classes"])

    @cached_property
    def _asked(self) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        return {}

    def asked(self, part: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return digests and labels, each (N,), of the images of a part in the order of the answers."""
        if part not in self._asked:
            predicted = self.predictions(part)
            self._asked[part] = predicted.digests, predicted.labels
        return self._asked[part]

    def pictures(self, part: str) -> dict[int, tuple[npt.NDArray[np.uint8], str]]:
        """Return the images that the run keeps of its worst mistakes on a part, by row, each with where it came from."""
        if not atomic.exists(self.run.pictures):
            return {}
        kept, about = arrays.read(self.run.pictures)
        if about["part"] != part:
            return {}
        rows = self.predictions(part).rows[kept["mistake_indices"]].tolist()
        return {row: (image, source) for row, image, source in zip(rows, kept["mistakes"], about["sources"], strict=True)}

    @cached_property
    def source(self) -> str:
        """SHA-256 of the user's own code and of the members of an ensemble, "" where there is neither."""
        files = [path for path in (self.run.members, *sorted(self.run.source.glob("*"))) if path.is_file()]
        return hashlib.sha256(b"\0".join(atomic.read_bytes(path) for path in files)).hexdigest() if files else ""

    @cached_property
    def recipe_key(self) -> str:
        """A text that is equal for runs of one recipe that differ in their seed only."""
        return repr([(name, value) for name, value in self.settings().items()]) + self.source

    def settings(self) -> dict[str, Any]:
        """Return every field that makes the recipe what it is."""
        return {name: value for name, value in flat(self.recipe).items() if name not in _NOT_THE_RECIPE and not name.startswith("compute.")}


def read(run: Run) -> Entry:
    """Read a run's files.

    Raises: RunError if it is not finished, or a file is damaged.
    """
    if not atomic.exists(run.scores):
        raise RunError(f"{run.id} has no scores yet (it is {run.state()}): `rung resume {run.folder}` goes on with it")
    scores = {part: Scores.from_json(values) for part, values in run.read_scores().items()}
    return Entry(run, recipes.from_toml(run.recipe), run.read_data(), run.read_rows(), atomic.read_json(run.kept), scores)


def read_all(runs: Sequence[Run], least: int) -> list[Entry]:
    """Read several runs, none of them twice.

    Raises: RunError for fewer than `least`, or for a run that is named twice.
    """
    names = [run.folder.resolve() for run in runs]
    twice = sorted({run.id for run in runs if names.count(run.folder.resolve()) > 1})
    if twice:
        raise RunError(f"{', '.join(twice)} is named twice: name each run once")
    if len(runs) < least:
        raise RunError(f"{len(runs)} run was given: give {least} or more" if runs else f"no run was given: give {least} or more")
    return [read(run) for run in runs]
