"""The figures of a ladder's page."""

from __future__ import annotations

import itertools
import re

import pytest

from rung.reports.ladder_figures import Cost, Mark, Rung, Trace, climb, costs, thousands, traces


def words(value: float) -> str:
    return f"{value:g}"


RUNGS = [
    Rung("first", (Mark("start", 0.5, None, None, "start"), Mark("a", 0.6, 0.55, 0.65, "kept"), Mark("b", 0.4, 0.35, 0.45, "dropped")), (0.45, 0.55)),
    Rung("second", (Mark("start", 0.6, None, None, "kept"), Mark("c", 0.59, 0.5, 0.68, "other")), (0.55, 0.65)),
]


def test_the_climb_draws_every_mark_its_interval_the_way_and_the_bands() -> None:
    picture = climb(RUNGS, "accuracy", words)
    assert len(re.findall("<circle", picture)) == 5
    assert len(re.findall('class="whisker', picture)) == 3
    assert len(re.findall('class="band"', picture)) == 2
    assert len(re.findall('class="line way"', picture)) == 1
    assert "a: 0.6 (0.55 to 0.65)" in picture
    assert "first: start 0.5, a 0.6 (kept), b 0.4; second" in picture


def test_many_candidates_make_the_climb_wider_and_never_narrower_than_its_marks() -> None:
    many = Rung("many", tuple(Mark(f"c{i}", 0.5 + i / 100, 0.4, 0.9, "other") for i in range(60)), None)
    picture = climb([many], "accuracy", words)
    width = float(re.findall(r'viewBox="0 0 (\d+)', picture)[0])
    places = sorted(float(x) for x in re.findall(r'<circle[^>]* cx="([\d.]+)"', picture))
    assert width > 1000
    assert min(b - a for a, b in itertools.pairwise(places)) > 10


def test_costs_are_logarithmic_where_they_are_far_apart_and_name_what_is_kept() -> None:
    near = costs([Cost("a", 1000, 0.9, "other"), Cost("b", 2000, 0.95, "kept")], "parameters", "accuracy", words)
    far = costs([Cost("a", 1e3, 0.9, "other"), Cost("b", 1e6, 0.95, "kept")], "parameters", "accuracy", words)
    assert ">10 k<" in far
    assert ">10 k<" not in near
    assert 'class="label kept"' in near
    assert costs([], "parameters", "accuracy", words) == ""


def test_one_network_alone_is_drawn_too() -> None:
    assert costs([Cost("a", 1000, 0.9, "kept")], "parameters", "accuracy", words).count("<circle") == 1


def test_traces_draw_every_training_and_leave_out_what_is_not_finite() -> None:
    lines = [Trace("train", (1.0, 2.0, 3.0), (3.0, 2.0, 1.0)), Trace("validation", (1.0, 2.0, 3.0), (3.0, float("nan"), 1.5))]
    picture = traces(lines, "loss", words, log=True)
    assert picture.count('class="line train"') == 1
    assert picture.count('class="dot validation"') == 2
    assert "nan" not in picture
    assert traces([], "loss", words) == ""


@pytest.mark.parametrize(("value", "text"), [(7, "7"), (950, "950"), (34_850, "34.9 k"), (1.2e6, "1.2 M"), (3.4e9, "3.4 G")])
def test_large_numbers_are_short(value: float, text: str) -> None:
    assert thousands(value) == text
