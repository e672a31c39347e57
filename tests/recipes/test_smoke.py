"""Every recipe that comes along goes its whole way, in its `smoke` form: the same fields, few images, two epochs."""

from pathlib import Path

import pytest

import rung
from rung.recipe import flat
from rung.recipes import RECIPES, smoke

CHANGED = {"name", "data.per_class", "pixels.size", "train.epochs", "train.batch_size"}


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_runs_from_data_to_report(name: str, tmp_path: Path) -> None:
    recipe = RECIPES[name]()
    small = smoke(recipe)
    assert {field for field, value in flat(small).items() if value != flat(recipe)[field]} <= CHANGED
    heard: list[str] = []
    run = rung.train("digits", small, settings={"compute.threads": 1}, out=tmp_path, say=heard.append)
    rows = run.read_rows()
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[1]["train_loss"] < 1.05 * rows[0]["train_loss"]  # a few steps with dropout: it must not diverge
    assert run.state() == "finished"
    assert run.report.exists()
    assert [sentence for sentence in heard if "batch norm answers by" not in sentence] == []  # the steps of smoke are few
