"""The figures of numbers: what is drawn where, and when nothing is."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from rung.evaluate import ranking
from rung.evaluate.predictions import Predictions
from rung.reports import plots
from rung.reports.plots import Curve, Marks
from rung.words import PERCENT

CURVES = [Curve("train", "train", "train_loss"), Curve("validation", "validation", "validation_loss")]
NONE = Marks(None, None, None)


def rows(*losses: float | None) -> list[dict[str, float | int | None]]:
    return [{"epoch": i + 1, "train_loss": loss, "validation_loss": None if loss is None else loss + 1, "learning_rate": 0.1} for i, loss in enumerate(losses)]


def made_up(classes: int, images: int = 600, noise: float = 2.0) -> Predictions:
    generator = np.random.default_rng(classes)
    labels = generator.integers(0, classes, images)
    logits = (3 * np.eye(classes)[labels] + noise * generator.normal(size=(images, classes))).astype(np.float32)
    numbers = np.arange(images)
    return Predictions("validation", tuple(f"class {k}" for k in range(classes)), logits, labels, numbers, numbers)


def areas(predictions: Predictions) -> dict[str, float]:
    return {curve.name: float(np.trapezoid(curve.true_positive, curve.false_positive)) for curve in ranking.roc(predictions, points=2000)}


def texts(drawn: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(drawn).iter() if element.tag == "text"]


def test_curves_have_a_line_and_a_name_each() -> None:
    drawn = plots.curve_panel(rows(2, 1, 0.5, 0.4), CURVES, "loss", NONE)
    assert drawn.count("<polyline") == 2
    assert {"train", "validation", "loss", "epoch"} <= set(texts(drawn))
    assert "train ends at 0.4000" in drawn


def test_curves_without_values_are_left_out() -> None:
    only_train = [{"epoch": 1, "train_loss": 1.0}, {"epoch": 2, "train_loss": 0.5}]
    assert "validation" not in texts(plots.curve_panel(only_train, CURVES, "loss", NONE))
    assert plots.curve_panel([{"epoch": 1}], CURVES, "loss", NONE) == ""
    assert plots.rate_panel([{"epoch": 1}], NONE) == ""


def test_best_epoch_and_overfit_are_marked_at_their_epochs() -> None:
    log = rows(*np.linspace(2, 1, 11))
    drawn = plots.curve_panel(log, CURVES, "loss", Marks(6, 7, 11))
    best = re.search(r'<line class="best" x1="([\d.]+)"', drawn)[1]
    band = re.search(r'<rect class="overfit" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawn)
    left, right = 50, 400 - 74
    assert float(best) == pytest.approx((left + right) / 2, abs=0.1)
    assert float(band[1]) == pytest.approx(left + 0.6 * (right - left), abs=0.1)
    assert float(band[1]) + float(band[2]) == pytest.approx(right, abs=0.1)
    assert {"best 6", "over-fit"} <= set(texts(drawn))
    without = plots.curve_panel(log, CURVES, "loss", NONE)
    assert "overfit" not in without
    assert "best" not in without


def test_the_scored_value_is_a_ring_inside_the_panel() -> None:
    curve = Curve("train", "train", "train_loss", single=9.0)
    assert 'class="ring train"' in plots.curve_panel(rows(2, 1), [curve], "loss", Marks(None, None, 2))
    top = re.search(r'class="ring train" cx="[\d.]+" cy="([\d.]+)"', plots.curve_panel(rows(2, 1), [curve], "loss", Marks(None, None, 2)))
    assert float(top[1]) >= 26
    assert "ring" not in plots.curve_panel(rows(2, 1), [curve], "loss", NONE)


def test_losses_over_decades_get_a_logarithmic_axis() -> None:
    assert {"1", "0.1", "0.01"} <= set(texts(plots.curve_panel(rows(3, 1, 0.1, 0.004), CURVES[:1], "loss", NONE)))


def test_shares_are_written_in_percent_and_never_above_hundred() -> None:
    log = [{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 1.0}]
    ticks = texts(plots.curve_panel(log, CURVES[:1], "accuracy", NONE, shares=True))
    assert f"100{PERCENT}" in ticks
    assert not any(tick.startswith("110") for tick in ticks)


def test_the_words_above_a_panel_clear_a_ring_at_its_upper_end() -> None:
    log = [{"epoch": e, "train_accuracy": 0.5 + 0.05 * e} for e in range(1, 11)]
    drawn = plots.curve_panel(log, [Curve("train", "train", "train_accuracy", single=1.0)], "accuracy", Marks(9, None, 9), shares=True)
    word = float(re.search(r'<text x="[\d.]+" y="([\d.]+)" class="mark"', drawn)[1])
    ring = float(re.search(r'<circle class="ring train" cx="[\d.]+" cy="([\d.]+)" r="4.5"', drawn)[1])
    assert ring - 4.5 - word >= 3


@pytest.mark.parametrize("count", [1, 2, 3, 900])
def test_any_number_of_epochs(count: int) -> None:
    drawn = plots.curve_panel(rows(*np.linspace(2, 1, count)), CURVES, "loss", Marks(1, None, 1))
    ticks = [float(t.replace(",", "")) for t in re.findall(r'text-anchor="middle">([\d,.]+)</text>', drawn)]
    assert all(t == int(t) and 1 <= t <= count for t in ticks)
    assert "nan" not in drawn


def test_score_strip_draws_every_part_and_survives_missing_intervals() -> None:
    drawn = plots.score_strip([("train", {"value": 0.99, "low": 0.98, "high": 0.995}), ("test", {"value": 0.9, "low": None, "high": None})], "accuracy")
    assert {"train", "test", "accuracy"} <= set(texts(drawn))
    assert drawn.count("<circle") == 2


def test_roc_of_two_classes_is_one_curve() -> None:
    predictions = made_up(2)
    figure = plots.roc(predictions, areas(predictions))
    assert figure.svg.count("<polyline") == 1
    assert f"class 1: {areas(predictions)['class 1']:.4f}" in texts(figure.svg)
    assert "0.5 is chance" in figure.legend


def test_roc_names_the_three_lowest_classes() -> None:
    predictions = made_up(10)
    area = areas(predictions)
    lowest = sorted(area, key=lambda name: area[name])[:3]
    figure = plots.roc(predictions, area)
    assert [t for t in texts(figure.svg) if t.startswith("class")] == [f"{name}: {area[name]:.4f}" for name in lowest]
    assert figure.svg.count("<polyline") == 10
    assert "3 lowest of 10" in figure.legend


def test_roc_of_many_classes_is_a_band() -> None:
    predictions = made_up(60, 3000)
    figure = plots.roc(predictions, areas(predictions))
    assert 'class="band"' in figure.svg
    assert figure.svg.count("<polyline") == 4
    assert len(figure.svg) < 20_000


def test_roc_names_no_class_that_is_as_good_as_one_left_out() -> None:
    labels = np.repeat(np.arange(5), 40)
    logits = (9 * np.eye(5)[labels]).astype(np.float32)
    logits[0] = [0, 9, 0, 0, 0]
    numbers = np.arange(200)
    predictions = Predictions("validation", tuple("abcde"), logits, labels, numbers, numbers)
    area = areas(predictions)
    assert [t[0] for t in texts(plots.roc(predictions, area).svg) if t[1:2] == ":"] == sorted(name for name in area if area[name] < 1)
    perfect = Predictions("validation", tuple("abcde"), (9 * np.eye(5)[labels]).astype(np.float32), labels, numbers, numbers)
    figure = plots.roc(perfect, areas(perfect))
    assert "none is named" in figure.legend
    assert figure.svg.count("<polyline") == 5


@pytest.mark.parametrize(("rates", "decades"), [([0.1, 0.01, 0.001], True), ([0.1, 0.05, 0.04], False), ([0.1, 0.05, 1e-8], False), ([0.1, 0.1, 0.0], False)])
def test_learning_rates_are_logarithmic_only_where_they_drop_by_steps(rates: list[float], decades: bool) -> None:
    ticks = texts(plots.rate_panel([{"epoch": i + 1, "learning_rate": rate} for i, rate in enumerate(rates)], NONE))
    assert ({"0.1", "0.01", "0.001"} <= set(ticks)) == decades


def test_roc_with_one_class_present_is_no_picture() -> None:
    predictions = made_up(3)
    only = Predictions("validation", predictions.classes, predictions.logits, np.zeros_like(predictions.labels), predictions.rows, predictions.digests)
    assert plots.roc(only, {}).svg == ""


@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0, 9.0])
def test_the_shown_corner_of_a_curve_is_the_curve(noise: float) -> None:
    predictions = made_up(4, noise=noise)
    curve = ranking.roc(predictions, points=2000)[0]
    limit = plots._roc_limit([curve])
    xs, ys = plots._cut(plots._corners(curve), limit)
    assert max(xs) <= limit + 1e-9
    assert min(ys) >= 1 - limit - 1e-9
    assert len(xs) > 1
    share = np.linspace(0, 1, 51)[:, None, None]
    points = np.column_stack([xs, ys])
    drawn = (points[:-1] + share * (points[1:] - points[:-1])).reshape(-1, 2)
    for x, y in zip(curve.false_positive, curve.true_positive, strict=True):
        if x <= limit and y >= 1 - limit:
            assert np.abs(drawn - (x, y)).sum(axis=1).min() < 0.03 * limit


def test_reliability_has_a_point_for_every_filled_bin_and_counts_all_answers() -> None:
    predictions = made_up(10)
    drawn = plots.reliability(predictions, 0.95)
    confidence = predictions.probabilities().max(axis=1)
    filled = len(np.unique(np.ceil(confidence * 15)))
    assert drawn.count("<circle") == filled
    label = ElementTree.fromstring(drawn).attrib["aria-label"]
    assert sum(int(n.replace(",", "")) for n in re.findall(r"([\d,]+) answers at", label)) == 600


def test_equal_input_gives_equal_figures() -> None:
    predictions = made_up(10)
    assert plots.roc(predictions, areas(predictions)) == plots.roc(predictions, areas(predictions))
    assert plots.reliability(predictions, 0.95) == plots.reliability(predictions, 0.95)
