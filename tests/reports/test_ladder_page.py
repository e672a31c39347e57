"""The page of a ladder: whole for every state a ladder may be in, self-contained, and safe whatever candidates are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rung.reports.ladder_page import render, write_page
from rung.reports.ladder_view import table, verdict
from rung.study.ladder import Ladder, write_ladder
from rung.study.step_noise import band
from tests.reports.made_ladders import ladder

CASES = {
    "climbs": ladder([{"32": 0.965, "64": 0.981}, {"a": 0.97, "b": 0.99}]),
    "one candidate": ladder([{"only": 0.961}]),
    "all worse": ladder([{"a": 0.95, "b": 0.93}, {"c": 0.94}]),
    "twenty": ladder([{f"c{i}": 0.955 + 0.001 * i for i in range(20)}]),
    "unfinished": ladder([{"a": 0.965}, {"b": 0.97}], decided=1, budget_minutes=10),
    "nothing decided": ladder([{"a": 0.965}], decided=0),
    "loss": ladder([{"a": 0.08, "b": 0.04}], start=0.09, metric="loss"),
    "equal scores": ladder([{"a": 0.96}], deviation=0.0),
}


def rows(run: str) -> Sequence[Mapping[str, Any]]:
    return [{"epoch": e, "train_loss": 2 / e, "validation_loss": 2.1 / e, "train_accuracy": 1 - 1 / e, "validation_accuracy": 0.9 - 0.9 / e} for e in (1, 2, 3)]


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attributes: object) -> None:
        if tag not in ("meta", "br", "wbr", "link", "img", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attributes: object) -> None:
        return

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("made", CASES.values(), ids=CASES.keys())
def test_every_ladder_has_a_whole_page_that_asks_nothing_of_the_network(made: Ladder) -> None:
    page = render(made, rows)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert not re.search(r"""(?:src|href)=["'](?!#|runs/)""", page)
    assert "url(" not in page
    assert "nan" not in page.lower().replace("nanmean", "")
    assert page == render(made, rows)


def test_the_page_shows_the_climb_the_steps_the_curves_and_the_tables() -> None:
    page = render(CASES["climbs"], rows)
    assert page.count('class="rung"') == 2
    assert page.count("<details><summary>") >= 6
    assert page.count('<svg class="plot"') == 1 + 2 + 2 * 6
    assert '<tr class="kept"><th scope="row">64' in page
    assert "because" in page
    assert r"\begin{tabular}" in page
    assert "| step | candidate |" in page


def test_names_are_text_and_never_orders() -> None:
    page = render(ladder([{"<script>alert(1)</script>": 0.97, "a|b": 0.95}]), rows)
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;" in page
    assert "a\\|b" in page


def test_a_run_without_rows_takes_only_its_curves_along() -> None:
    page = render(CASES["climbs"], lambda run: [])
    assert page.count('<svg class="plot"') == 3
    assert "5 runs" in page


def test_the_band_holds_the_start_and_grows_with_the_noise() -> None:
    quiet, loud = (ladder([{"a": 0.96}], deviation=deviation).steps[0] for deviation in (0.001, 0.01))
    (low, high), (wide_low, wide_high) = band(quiet, 0.95) or (0, 0), band(loud, 0.95) or (0, 0)
    mean = sum(quiet.start.values) / 5
    assert low < mean < high
    assert (low + high) / 2 == pytest.approx(mean)
    assert wide_high - wide_low == pytest.approx(10 * (high - low))
    assert band(replace(quiet, start=replace(quiet.start, values=()), candidates=()), 0.95) is None


def test_the_band_ends_where_scores_do_and_says_where_its_width_comes_from() -> None:
    made = ladder([{"a": 0.3}], start=0.2, deviation=0.1, seeds=2)
    assert (band(made.steps[0], 0.95) or (0, 0))[0] < 0
    page = render(made, lambda run: [])
    assert re.search(r'<text[^>]*class="tick"[^>]*>0\u202f%<', page)
    assert not re.search(r'<text[^>]*class="tick"[^>]*>[-−]', page)
    assert "pooled over the start and the candidates of the step" in page


def test_the_opening_sentence_says_what_is_kept_and_whether_more_is_to_come() -> None:
    assert verdict(CASES["nothing decided"]) == "No step is decided yet."
    assert verdict(CASES["all worse"]).startswith("Nothing was shown to be better than the start: 9")
    assert re.match(r"b, of step 2: 9\d\.\d\d\u202f% accuracy on validation, \+\d\.\d\d points against the start\.", verdict(CASES["climbs"]))
    assert "so far" in verdict(ladder([{"a": 0.99}, {"b": 0.97}], decided=1))


def test_the_table_has_one_line_a_candidate_and_the_start_of_each_step() -> None:
    found = table(CASES["climbs"])
    assert [row[:2] for row in found.rows] == [
        ("1 width", "start"),
        ("1 width", "32"),
        ("1 width", "64"),
        ("2 rate", "start"),
        ("2 rate", "a"),
        ("2 rate", "b"),
    ]
    assert {"accuracy (%)", "difference (points)", "covers", "outcome", "parameters"} <= set(found.headings)
    assert all(len(row) == len(found.headings) for row in found.rows)


def test_the_page_is_written_from_the_files_of_the_ladder_alone(tmp_path: Path) -> None:
    write_ladder(tmp_path, CASES["climbs"])
    page = write_page(tmp_path)
    assert page == tmp_path / "ladder.html"
    assert page.read_text() == render(CASES["climbs"], lambda run: [])
