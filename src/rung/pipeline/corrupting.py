"""Runs asked about corrupted images: the network rebuilt, the images loaded, what was answered before taken from the run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from rung.data.imageset import ImageSet
from rung.errors import RunError
from rung.evaluate.corruptions import Images
from rung.pipeline import execute
from rung.pipeline.execute import Scoring
from rung.pipeline.predicting import answered, trained_network
from rung.pipeline.prepare import Progress, load_images, resolve_compute
from rung.recipe import Recipe
from rung.store import arrays, atomic, lock
from rung.study import alike, robust
from rung.study.entry import Entry
from rung.study.robust import Robustness
from rung.training.process import computing


def check(entries: Sequence[Entry], part: str) -> None:
    """Check that the runs have the part open, and answered the same images of it in the same preprocessing; raises RunError."""
    for entry in entries:
        if part == "train":
            raise RunError("corrupted images are taken from validation, or from an opened test part: what was fitted on says too little")
        if part not in entry.scores:
            sealed = "is sealed, and rung robust never opens it: `rung test` does, when all is chosen" if part == "test" else "is not there"
            raise RunError(f"the {part} part of {entry.id} {sealed}")
    found = [one.sentence for one in alike.differing(entries, (part,))]
    if found:
        raise RunError(f"these runs cannot be asked the same corrupted images: {'; '.join(found)}. Measure each by itself")


def measured(entries: Sequence[Entry], part: str, most: int, data: ImageSet | None, progress: Progress | None, scoring: Scoring | None) -> list[Robustness]:
    """Return the robustness of each run, measured where it is not known yet, and kept in its folder."""
    found: list[Robustness] = []
    loaded: dict[str, ImageSet] = {}
    for entry in entries:
        places = robust.chosen(entry, part, most)
        known = robust.load(entry.run)
        if known is None or (known.part, known.rows, known.weights_sha256) != (part, robust.rows_key(entry, part, places), entry.kept["weights_sha256"]):
            source = entry.recipe.data.model_dump_json() + entry.recipe.pixels.model_dump_json()
            if source not in loaded:
                loaded[source] = data if data is not None else _images(entry, progress)
            images = loaded[source]
            execute.check_same_data(entry.run, images)
            rows = entry.predictions(part).rows[places]
            known = _asked(entry, part, places, np.ascontiguousarray(images.images[rows]), scoring)
            with lock.hold(entry.run.folder):
                robust.save(entry.run, known)
        found.append(known)
    return found


def _images(entry: Entry, progress: Progress | None) -> ImageSet:
    if not entry.recipe.data.sources:
        raise RunError(f"the images of {entry.id} were passed in Python: pass them again, as data=")
    return load_images(entry.recipe, progress)


def _asked(entry: Entry, part: str, places: robust.Places, images: Images, scoring: Scoring | None) -> Robustness:
    recipe = entry.recipe
    there = not recipe.compute.device.startswith("cuda") or torch.cuda.is_available()
    compute = recipe.compute if there else resolve_compute(recipe.compute.model_copy(update={"device": "cpu", "precision": "auto"}), 0.0)
    network = trained_network(entry.run, recipe).to(compute.device)
    ask = partial(_answers, network, recipe, len(entry.data["classes"]), compute.device, compute.precision)
    with computing(compute):
        return robust.measure(entry, part, places, images, ask, partial(scoring, f"{entry.id}, corrupted") if scoring else lambda done, total: None)


def _answers(network: torch.nn.Module, recipe: Recipe, classes: int, device: str, precision: str, images: Images) -> robust.Places:
    chosen: robust.Places = answered(network, images, recipe, classes, device, precision).argmax(1).numpy()
    return chosen


def sample(entry: Entry) -> Images | None:
    """Return a training image that the run keeps for its report, uint8 (1,H,W,C), None where it keeps none."""
    if not atomic.exists(entry.run.pictures):
        return None
    kept: Images = arrays.read(entry.run.pictures)[0]["samples"]
    return kept[:1] if len(kept) else None
