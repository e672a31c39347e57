"""docs/from-keras.md against the code: what its tables name can be set, and its example says what the script says."""

import re
import tomllib
from pathlib import Path

import pytest

import rung
from rung.models.build import build, parameter_counts
from rung.recipe import CNN, MLP, OwnNetwork, Recipe, change, flat, from_toml

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "from-keras.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]
FIELDS = {name for network in (CNN(), MLP(), OwnNetwork(source="a.py:b")) for name in flat(Recipe(network=network))}
PARTS = {name.partition(".")[0] for name in FIELDS if "." in name}
EXAMPLE = ROOT / "examples" / "from_keras.toml"


def settings(cell: str) -> dict[str, object]:
    """Return what the code of a cell sets: `train.epochs = 30` is {"train.epochs": 30}; of two ways to say it, joined by "or", the first."""
    return {
        name: value
        for piece in re.findall(r"`([a-z_]+(?:\.[a-z0-9_]+)? = [^`]+)`", cell)
        for name, value in ((piece.partition(" = ")[0], tomllib.loads(f"value = {piece.partition(' = ')[2]}")["value"]),)
    }


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:40] for row in ROWS])
def test_every_row_says_something_that_can_be_set(row: list[str]) -> None:
    assert len(row) == 3 or (len(row) == 2 and row[1]), "a line of Keras, what rung has for it, what differs"
    keras, ours = row[:2]
    assert keras
    assert ours
    kind = settings(ours).get("network.kind", "cnn")
    start = Recipe(network=CNN(filters=(8, 8, 8), dense=(8,)) if kind == "cnn" else MLP(dense=(8, 8)))
    if kind != "own":
        change(start, settings(ours))
    for cell in row[1:]:
        named = re.findall(r"`([a-z_]+\.[a-z0-9_]+)(?= = |`)", cell)
        assert [name for name in named if name.partition(".")[0] in PARTS and name not in FIELDS] == []
        for piece, value in settings(cell).items():
            change(start if piece != "network.source" else Recipe(network=OwnNetwork(source="a.py:b")), {**settings(ours), piece: value})


def test_every_field_of_the_example_is_on_the_page_and_the_page_shows_the_files() -> None:
    assert f"```toml\n{EXAMPLE.read_text(encoding='utf-8')}```" in PAGE
    script = (ROOT / "examples" / "from_keras.py").read_text(encoding="utf-8")
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        assert block in script


def test_the_example_has_the_network_that_keras_counts() -> None:
    recipe = from_toml(EXAMPLE)
    counts = parameter_counts(build(recipe.network, classes=10, channels=1, size=8, seed=0))
    assert (counts.total, counts.trainable) == (36_298, 36_106)
    assert f"{counts.total:,}" in PAGE


def test_the_example_trains(tmp_path: Path) -> None:
    run = rung.train("digits", str(EXAMPLE), settings={"train.epochs": 1, "data.per_class": 10}, out=str(tmp_path))
    assert run.report.exists()
