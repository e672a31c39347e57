"""How numbers are written in sentences and tables."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (133, "2 min 13 s"),
        (3599.7, "1 h 00 min"),
        (7_440, "2 h 04 min"),
    ],
)
def test_durations_are_rounded_before_they_are_cut_into_units(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.25104, "0.2510"), (2.3026, "2.303"), (12.3456, "12.35"), (0.0012345, "0.0012"), (0.00012345, "0.0001234"), (0, "0"), (math.inf, "inf")],
)
def test_losses_keep_four_digits(value: float, text: str) -> None:
    assert words.decimal(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.01, "1.0 point"), (0.019, "1.9 points"), (0.0, "0.0 points"), (-0.0004, "0.0 points"), (-0.004, "-0.4 points")])
def test_points(value: float, text: str) -> None:
    assert words.points(value) == text


def test_lists_and_plurals() -> None:
    assert [words.listing(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert [words.plural(n, "class", "classes") for n in (1, 2, 12_000)] == ["1 class", "2 classes", "12,000 classes"]


@given(st.text(max_size=60), st.integers(1, 50))
def test_shortened_names_fit_and_short_ones_stay(text: str, length: int) -> None:
    short = words.shorten(text, length)
    assert len(short) <= length
    assert short == text or (len(text) > length and "…" in short)


def test_shortened_names_keep_their_end() -> None:
    assert words.shorten("a_very_long_class_name_17", 12).endswith("_17")


@given(st.text(alphabet=st.characters(), max_size=40))
def test_visible_text_can_always_be_written_and_hides_nothing(text: str) -> None:
    seen = words.visible(text)
    seen.encode("utf-8")
    assert "\u202e" not in seen
    assert "\x00" not in seen


def test_visible_text_escapes_what_turns_lines_and_bytes_that_are_no_text() -> None:
    assert words.visible("a\u202eb") == "a\\u202eb"
    assert words.visible(b"caf\xe9.png".decode("utf-8", "surrogateescape")) == "caf\\xe9.png"
    assert words.visible("日本語 👩‍🚀\nnext") == "日本語 👩‍🚀\nnext"


def test_the_interval_of_a_size_has_the_sign_of_a_negative_end_only() -> None:
    assert words.points_range(0.0723, 0.1283) == "7.23 to 12.83"
    assert words.points_range(-0.067, -0.00001) == "−6.70 to 0.00"
