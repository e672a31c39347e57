"""Scores and differences as text."""

import math

from rung.study.amounts import range_text, signed_text, signed_tick_text, size_text, tick_text, value_text
from rung.words import PERCENT


def test_shares_are_percent_and_points_with_two_decimals() -> None:
    assert value_text(0.97814, True) == f"97.81{PERCENT}"
    assert size_text(0.0031, True) == "0.31 points"
    assert range_text(-0.001, 0.0072, True) == "−0.10 to +0.72"


def test_other_scores_are_numbers() -> None:
    assert value_text(0.0823, False) == "0.0823"
    assert range_text(-0.012, math.inf, False) == "−0.0120 to no limit"


def test_a_difference_that_is_written_as_nought_has_no_sign() -> None:
    assert signed_text(-0.00001, True) == "0.00"
    assert signed_tick_text(0.0) == "0"


def test_an_axis_has_no_more_decimals_than_it_needs() -> None:
    assert [tick_text(value) for value in (0.7, 0.975)] == [f"70{PERCENT}", f"97.5{PERCENT}"]
    assert [signed_tick_text(value) for value in (-0.005, 0.01)] == ["−0.5", "+1"]
    assert [tick_text(0.25, False), signed_tick_text(-0.25, False)] == ["0.25", "−0.25"]
