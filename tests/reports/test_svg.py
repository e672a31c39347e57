"""The drawing kit: ticks, axes, lines, labels."""

import itertools
import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rung.reports.svg import Panel, document, log_ticks, nice_ticks, text


@given(st.floats(-1e6, 1e6), st.floats(1e-4, 1e6), st.integers(3, 9))
@example(1.0, 400401.0, 3)
@example(0.86, 0.05, 5)
def test_ticks_are_round_inside_and_not_too_many(low: float, width: float, about: int) -> None:
    ticks = nice_ticks(low, low + width, about)
    assert 2 <= len(ticks) <= about + 2, "one tick alone tells no distance"
    assert all(low - 1e-6 * width <= tick <= low + width * (1 + 1e-6) for tick in ticks)
    steps = {f"{b - a:.3g}" for a, b in itertools.pairwise(ticks)}
    assert len(steps) <= 1 or width / max(abs(low), 1) < 1e-3


def test_ticks_of_a_range_without_width() -> None:
    assert nice_ticks(3, 3) == [3]


@pytest.mark.parametrize(("low", "high", "ticks"), [(0.0009, 0.11, [0.001, 0.01, 0.1]), (2, 9, [2, 5]), (0.9, 12, [1, 10])])
def test_logarithmic_ticks(low: float, high: float, ticks: list[float]) -> None:
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_pixels_run_from_corner_to_corner() -> None:
    panel = Panel((0, 10), (1, 100), y_log=True)
    assert (panel.x(0), panel.x(10)) == (panel.left, panel.right)
    assert (panel.y(1), panel.y(100)) == (panel.bottom, panel.top)
    assert panel.y(10) == pytest.approx((panel.top + panel.bottom) / 2)


def test_a_line_breaks_at_missing_values_and_a_lone_value_is_a_dot() -> None:
    drawn = Panel((1, 6), (0, 1)).line([1, 2, 3, 4, 5, 6], [0.1, 0.2, math.nan, 0.4, math.inf, 0.6], "train")
    assert drawn.count("<polyline") == 1
    assert drawn.count("<circle") == 2
    assert "nan" not in drawn


def test_labels_at_line_ends_do_not_touch_and_stay_inside() -> None:
    panel = Panel((0, 1), (0, 1))
    for values in ((0.5, 0.5, 0.51), (0.0, 0.0, 0.01), (1.0, 1.0, 0.99)):
        drawn = panel.end_labels([(value, f"line {i}", "") for i, value in enumerate(values)])
        heights = [float(y) for y in re.findall(r' y="([\d.]+)"', drawn)]
        assert all(b - a >= 13.9 for a, b in itertools.pairwise(heights))
        assert panel.top - 5 <= heights[0]
        assert heights[-1] <= panel.bottom + 5


def test_texts_are_escaped() -> None:
    picture = document(10, 10, 'of "<b>"', text(0, 0, "<script>&\x00"))
    root = ElementTree.fromstring(picture)
    assert root.attrib["aria-label"] == 'of "<b>"'
    assert root[0].text == "<script>&\\x00"
