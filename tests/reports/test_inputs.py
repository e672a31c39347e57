"""What a report is made of: which part it shows, how many images each part has."""

from collections.abc import Callable

import pytest

from rung.evaluate.predictions import Predictions
from rung.reports.inputs import ReportInput

Answered = Callable[..., Predictions]
MakeReport = Callable[..., ReportInput]


@pytest.mark.parametrize(("parts", "shown"), [(["train"], "train"), (["train", "validation"], "validation"), (["test", "train", "validation"], "test")])
def test_the_part_furthest_from_training_is_shown(make_report: MakeReport, answered: Answered, parts: list[str], shown: str) -> None:
    assert make_report({part: answered(part, [[3, 1], [0, 4]], "ab") for part in parts}).shown_part == shown


def test_a_sealed_part_is_what_the_others_leave(make_report: MakeReport, answered: Answered) -> None:
    report = make_report({"train": answered("train", [[6, 0], [1, 4]], "ab"), "validation": answered("validation", [[2, 0], [0, 1]], "ab")}, sealed=3)
    assert report.part_counts() == {"train": {"a": 6, "b": 5}, "validation": {"a": 2, "b": 1}, "test": {"a": 3, "b": 3}}
    assert report.sealed_images == 6


def test_an_opened_part_is_not_sealed(make_report: MakeReport, answered: Answered) -> None:
    report = make_report({"train": answered("train", [[6, 0], [1, 4]], "ab"), "test": answered("test", [[2, 0], [0, 1]], "ab")})
    assert report.part_counts()["test"] == {"a": 2, "b": 1}
    assert report.sealed_images == 0


def test_without_a_rest_there_is_no_test_part(make_report: MakeReport, answered: Answered) -> None:
    assert "test" not in make_report({"train": answered("train", [[6, 0], [1, 4]], "ab")}).part_counts()
