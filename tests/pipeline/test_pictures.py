"""The gallery of a report: three rows of seven training images, and what training makes of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rung
from benchmarks.torture.runs import small
from rung import recipe as recipes
from rung.data.load import load
from rung.pipeline.own_parts import OwnParts
from rung.pipeline.prepare import prepare
from rung.store import arrays

SETTINGS = {"train.epochs": 1, "data.per_class": 10}


def gallery(folder: Path, settings: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the images that a run on digits keeps for its report, and the report in words."""
    run = rung.train("digits", small(), settings={**SETTINGS, **settings}, out=str(folder), name="run")
    return arrays.read(folder / "run" / "pictures.safetensors")[0], " ".join(run.report.read_text(encoding="utf-8").split())


def test_twenty_one_images_before_and_after_with_every_class(tmp_path: Path) -> None:
    kept, page = gallery(tmp_path, {"augment.shift_pixels": 2})
    assert kept["samples"].shape == kept["augmented_0"].shape == (21, 8, 8, 1)
    assert "augmented_1" not in kept
    assert set(kept["sample_labels"][:10].tolist()) == set(range(10))
    assert not np.array_equal(kept["samples"], kept["augmented_0"])
    assert "21 training images before augmentation; below each, the same image after augmentation, as training sees it." in page


@pytest.mark.parametrize(("copies", "shown", "words"), [(1, 1, "its 1 copy"), (2, 2, "its 2 copies"), (5, 3, "3 of its 5 copies")])
def test_copies_made_once_are_those_that_are_trained_on(tmp_path: Path, copies: int, shown: int, words: str) -> None:
    settings = {**SETTINGS, "augment.rotation_degrees": 72, "augment.offline_copies": copies}
    kept, page = gallery(tmp_path, settings)
    assert sum(name.startswith("augmented_") for name in kept) == shown
    recipe = recipes.change(small(), settings)
    prepared = prepare(recipe, load(recipe.data, recipe.pixels), OwnParts())
    seen = {image.tobytes() for image in prepared.copies(np.arange(len(prepared.splits.train)))}
    assert all(image.tobytes() in seen for number in range(shown) for image in kept[f"augmented_{number}"])
    assert f"below each, {words}, made once and merged with it: training sees both." in page
