"""The tables of a report as text."""

from collections.abc import Callable

import pytest

from rung import recipe as recipes
from rung.evaluate.metrics import score
from rung.evaluate.predictions import Predictions
from rung.reports import tables
from rung.reports.inputs import ReportInput
from rung.words import PERCENT


def test_scores_stand_side_by_side_with_their_intervals(digits_report: ReportInput) -> None:
    rows = {row.label: row for row in tables.score_rows(digits_report.scores)}
    accuracy = digits_report.scores["validation"]["accuracy"]
    cell = rows["Accuracy"].cells["validation"]
    assert cell.value == f"{accuracy['value'] * 100:.1f}{PERCENT}"
    assert cell.interval == f"{accuracy['low'] * 100:.1f}–{accuracy['high'] * 100:.1f}"
    assert set(rows["Accuracy"].cells) == {"train", "validation"}
    assert "Cost" not in rows
    assert rows["Log loss"].cells["train"].value == f"{digits_report.scores['train']['log_loss']['value']:.4f}"


def test_parts_of_any_size_have_the_same_decimals() -> None:
    parts = {part: {"accuracy": {"value": 0.98951, "low": low, "high": 0.996}} for part, low in (("train", 0.985), ("validation", 0.97))}
    cells = tables.score_rows(parts)[0].cells
    assert [(cell.value, cell.interval) for cell in cells.values()] == [(f"99.0{PERCENT}", "98.5–99.6"), (f"99.0{PERCENT}", "97.0–99.6")]
    assert tables.score_text(parts["train"]["accuracy"] | {"level": 0.95}) == (f"99.0{PERCENT}", f" (95{PERCENT} interval 98.5 to 99.6{PERCENT})")


def test_own_metrics_come_last_and_missing_values_are_dashes(digits_report: ReportInput) -> None:
    own = {"value": None, "low": None, "high": None, "covers": "nothing", "level": 0.95, "method": "none", "reason": "too few"}
    scores = {"train": dict(digits_report.scores["train"]) | {"own": {"kappa": own}}, "validation": digits_report.scores["validation"]}
    last = tables.score_rows(scores)[-1]
    assert (last.label, last.hint) == ("kappa", "your own metric")
    assert last.cells["train"] == tables.Cell("–", "", "too few")
    assert last.cells["validation"].value == "–"


def test_class_rows_tell_what_a_class_is_taken_for(answered: Callable[..., Predictions]) -> None:
    confusion = [[8, 2, 2, 0], [0, 10, 0, 0], [1, 1, 9, 1], [0, 3, 0, 7]]
    scores = score(answered("validation", confusion, "abcd")).to_json()
    table = tables.class_table(scores, {"b": "above"})
    assert [row.taken_for for row in table.rows] == ["b and c (2 each)", "", "3 classes (1 each)", "b (3)"]
    assert [row.standing for row in table.rows] == ["", "above", "", ""]
    assert table.rows[1].dot == 100
    assert all(0 <= row.low <= row.dot <= row.high <= 100 for row in table.rows)
    assert 0 < table.mean < 100


def test_classes_without_images_or_answers_have_no_point(answered: Callable[..., Predictions]) -> None:
    scores = score(answered("validation", [[5, 1, 0], [1, 5, 0], [0, 0, 0]], "abc")).to_json()
    row = tables.class_table(scores, {}).rows[2]
    assert (row.dot, row.low, row.high, row.recall.value) == (None, None, None, "–")


def test_confusion_cells_are_deeper_for_larger_shares() -> None:
    cells = tables.confusion_cells([[90, 10], [0, 5]])
    assert [[cell.kind for cell in row] for row in cells] == [["right", "wrong"], ["wrong", "right"]]
    assert cells[0][0].depth > cells[0][1].depth > cells[1][0].depth == 0


def test_pairs_say_which_way(answered: Callable[..., Predictions]) -> None:
    scores = score(answered("validation", [[9, 3, 0], [2, 9, 0], [0, 1, 9]], ["cat", "dog", "ship"])).to_json()
    rows = tables.pair_rows(scores)
    assert [(row.names, row.ways, row.errors) for row in rows] == [("cat – dog", "cat → dog: 3, dog → cat: 2", 5), ("dog – ship", "ship → dog: 1", 1)]
    assert len(tables.pair_rows(scores, 1)) == 1


def test_counts_by_part_with_offline_copies() -> None:
    counts = {"train": {"a": 10, "b": 5}, "validation": {"a": 2, "b": 1}, "test": {"a": 0, "b": 0}}
    table = tables.count_table(counts, ("a", "b"), 2)
    assert table.parts == ("train", "train with 2 copies", "validation")
    assert table.rows == [("a", [10, 30, 2]), ("b", [5, 15, 1])]
    assert table.totals == [15, 45, 3]
    assert tables.count_table(counts, ("a", "b"), 0).parts == ("train", "validation")


def test_settings_that_differ_come_first_with_their_defaults() -> None:
    recipe = recipes.parse(
        {"why": "w", "augment": {"shift_pixels": 2}, "network": {"kind": "mlp", "dense": [512, 256]}, "train": {"class_weights": {"a": 2.0}}}
    )
    changed, rest = tables.settings(recipe)
    values = {item.name: (item.value, item.default) for item in changed}
    assert values == {
        "seed": ("0", ""),
        "data.sources": ("none", ""),
        "augment.shift_pixels": ("2", "0"),
        "network.dense": ("512, 256", "none"),
        "network.kind": ("mlp", ""),
        "train.class_weights": ("a 2", "none"),
    }
    assert {item.name for item in changed} | {item.name for item in rest} == set(recipes.flat(recipe)) - {"name", "why", "notes"}
    assert not any(item.default for item in rest)


def test_settings_of_an_own_network() -> None:
    changed, _ = tables.settings(recipes.parse({"network": {"kind": "own", "source": "net.py:Net"}}))
    assert "network.kind" in [item.name for item in changed]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "not set"), (True, "yes"), (False, "no"), ((), "none"), ((32, 64), "32, 64"), (1e-4, "0.0001"), (12000, "12,000"), ("", "none")]
)
def test_values_of_settings_read_well(value: object, text: str) -> None:
    assert tables.setting_text(value) == text


def test_times_are_apart_and_the_first_epoch_is_not_in_the_medians() -> None:
    times = [
        {"epoch": 1, "train_s": 60.0, "evaluate_s": 1.0, "images": 1000},
        *({"epoch": e, "train_s": 2.0, "evaluate_s": 1.0, "images": 1000} for e in (2, 3)),
    ]
    rows = {name: (value, remark) for name, value, remark in tables.time_rows(times, 5.0)}
    assert rows["Set-up"][0] == "5.0 s"
    assert rows["Training"] == ("1 min 04 s", "3 epochs; median 2.0 s an epoch, 500 images a second")
    assert rows["Evaluation"][0] == "3.0 s"
    assert rows["Together"][0] == "1 min 12 s"
    assert tables.time_rows([], None) == []


def test_nested_environments_are_flattened() -> None:
    assert tables.environment_rows({"torch": "2.15.0", "gpu": {"name": "x", "memory": None}, "flags": ["a", "b"]}) == [
        ("torch", "2.15.0"),
        ("gpu name", "x"),
        ("flags", "a, b"),
    ]


def test_predictions_of_any_part_fit(digits_report: ReportInput) -> None:
    predictions: Predictions = digits_report.predictions["train"]
    table = tables.class_table(score(predictions).to_json(), {})
    assert [row.name for row in table.rows] == list(predictions.classes)
