"""data.categories in a run: scored beside the classes, in scores.json, the report and what `rung test` says."""

import re
from pathlib import Path

import numpy as np
import pytest

import rung
from rung.errors import RecipeError
from rung.evaluate import predictions as answers
from rung.evaluate.categories import in_categories, parse
from rung.evaluate.metrics import score
from rung.reports.answers_findings import category_text
from rung.reports.compare_page import score_table
from rung.words import PERCENT
from tests.command import caller

TEXT = "even=0,2,4,6,8; odd=1,3,5,7,9"
TINY = {
    "data.per_class": 20,
    "train.batch_size": 64,
    "train.epochs": 2,
    "network.filters": [8],
    "network.convolutions": 1,
    "compute.threads": 1,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> rung.Run:
    return rung.train("digits", "digits", settings=TINY | {"data.categories": TEXT}, out=tmp_path_factory.mktemp("runs"), name="run")


def test_scores_json_has_them_beside_the_fine_ones(run: rung.Run) -> None:
    found = run.read_scores()["validation"]
    predicted = answers.load(run.predictions("validation"))
    assert len(found["confusion"]) == 10
    assert found["categories"] == score(in_categories(predicted, parse(TEXT, predicted.classes))).to_json()
    assert found["categories"]["classes"] == ["even", "odd"]
    assert np.sum(found["categories"]["confusion"]) == found["images"]
    assert run.read_scores()["train"]["categories"]["accuracy"]["low"] is not None


def test_the_report_and_test_show_them(run: rung.Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Balanced accuracy, by categories" in run.report.read_text()
    code, out, _ = caller(monkeypatch, capsys)("test", str(run.folder))
    assert code == 0
    assert "By categories (even, odd), test: accuracy " in out
    coarse = run.read_scores()["test"]["categories"]
    share = max(row["support"] for row in coarse["per_class"]) / coarse["images"]
    assert re.search(rf"Always answering “(even|odd)” would be right on {100 * share:.1f}{PERCENT} of these images; the network is right on ", out)
    assert run.read_scores()["test"]["categories"]["images"] == run.read_scores()["test"]["images"]


@pytest.mark.parametrize(("right", "says"), [(0.70, "worse than that"), (0.82, "this cannot tell whether it is better than that"), (0.95, "better than that")])
def test_the_commonest_category_is_named_with_its_score(right: float, says: str) -> None:
    """Four species of five eat plants: who always says so is right on 80 %."""
    labels = np.arange(1000) % 5 == 0
    answered = np.where(np.random.default_rng(0).permutation(1000) < 1000 * right, labels, ~labels)
    logits = np.stack([~answered, answered], axis=1).astype(np.float32)
    predicted = answers.Predictions("validation", ("herbivore", "omnivore"), logits, labels.astype(np.int64), np.arange(1000), np.arange(1000))
    said = category_text("validation", score(predicted).to_json())
    assert said.endswith(
        f"Always answering “herbivore” would be right on 80.0{PERCENT} of these images; the network is right on {100 * right:.1f}{PERCENT}: {says}."
    )


def test_runs_beside_each_other_have_a_column_of_them(run: rung.Run, tmp_path: Path) -> None:
    more = TINY | {"split.seed": 0, "train.epochs": 1}
    other, plain, coarser = (
        rung.train("digits", "digits", settings=more | {"data.categories": text, "seed": seed} if text else more, out=tmp_path)
        for text, seed in ((TEXT, 1), (None, 0), ("small=0,1,2,3,4; large=5,6,7,8,9", 0))
    )
    found = rung.compare([run, other], anyway=True)
    mine = found.groups[0].categories
    assert mine is not None
    assert mine.to_json() == run.read_scores()["validation"]["categories"]["accuracy"]
    table = score_table(found)
    assert table.headings[5] == "accuracy by categories"
    assert re.fullmatch(rf"{100 * (mine.value or 0):.1f}{PERCENT} \([\d.]+ to [\d.]+{PERCENT}\)", table.rows[0][5])
    assert [bool(row[5]) for row in score_table(rung.compare([other, plain])).rows] == [True, False]
    several = rung.compare([other, coarser], anyway=True)
    assert [group.categories for group in several.groups] == [None, None]
    assert "Their recipes name different categories, so scores by categories are left out." in several.notes
    assert "accuracy by categories" not in score_table(several).headings


def test_training_is_on_the_classes(run: rung.Run, tmp_path: Path) -> None:
    plain = rung.train("digits", "digits", settings=TINY, out=tmp_path)
    assert plain.weights.read_bytes() == run.weights.read_bytes()
    assert plain.read_scores()["validation"]["categories"] is None
    assert "by categories" not in plain.report.read_text()


def test_they_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^data.categories leaves out '1', '3', '5', '7', '9'"):
        rung.train("digits", "digits", settings=TINY | {"data.categories": "even=0,2,4,6,8"}, out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_images_that_are_loaded_already_may_have_them() -> None:
    from rung.pipeline.ready import ready

    images = rung.load("digits", settings={"data.per_class": 5})
    made = ready(images, "digits", {"data.categories": TEXT}, {}, None, lambda sentence: None, classes=None, size=None, grey=False)
    assert made.categories is not None
    assert made.categories.names == ("even", "odd")
