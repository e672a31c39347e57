"""Names rule, never positions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.data.classes import class_name, folded, mapping, natural, parse, shown
from rung.errors import RecipeError

KNOWN = ("camel", "cattle", "chimpanzee", "elephant", "kangaroo")


def test_natural_order_counts_and_does_not_see_case() -> None:
    assert sorted(["b10", "B2", "a", "10", "9", "b2x"], key=natural) == ["9", "10", "a", "B2", "b2x", "b10"]


@given(st.lists(st.text(max_size=6), max_size=6, unique=True))
def test_natural_order_is_a_total_order(names: list[str]) -> None:
    assert sorted(names, key=natural) == sorted(reversed(names), key=natural)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("camel; kangaroo", {"camel": ("camel",), "kangaroo": ("kangaroo",)}),
        ("camel,kangaroo", {"camel": ("camel",), "kangaroo": ("kangaroo",)}),
        (
            "herbivore=camel,cattle,elephant,kangaroo; omnivore=chimpanzee",
            {"herbivore": ("camel", "cattle", "elephant", "kangaroo"), "omnivore": ("chimpanzee",)},
        ),
        (" big = elephant , camel ;cattle, kangaroo; ", {"big": ("elephant", "camel"), "cattle": ("cattle",), "kangaroo": ("kangaroo",)}),
    ],
)
def test_picking_merging_and_renaming(text: str, wanted: dict[str, tuple[str, ...]]) -> None:
    assert parse(text, KNOWN) == wanted


def test_a_class_whose_name_has_a_comma_is_taken_whole() -> None:
    assert parse("a,b; c", ("a,b", "c")) == {"a,b": ("a,b",), "c": ("c",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("camel; elefant", r"asks for 'elefant', which the data do not have: did you mean 'elephant'"),
        ("x=camel; y=camel", "uses 'camel' twice"),
        ("x=camel; x=cattle", "makes 'x' twice"),
        ("x=", "needs a name and at least one class"),
        ("=camel", "needs a name and at least one class"),
        (" ; ", "names no class"),
    ],
)
def test_what_cannot_be_picked_is_said(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse(text, KNOWN)


def test_mapping_is_in_natural_order_whatever_the_order_asked() -> None:
    classes, to = mapping({"omnivore": ("chimpanzee",), "herbivore": ("camel", "kangaroo")}, KNOWN)
    assert classes == ("herbivore", "omnivore")
    assert np.array_equal(to, [0, -1, 1, -1, 0])


def test_spellings_of_one_name_fold_together() -> None:
    assert len({folded(n) for n in ("Café au_lait", "cafe au lait", "CAFE-AULAIT", "cafe\u0301 aulait")}) == 1
    assert folded("cat") != folded("cats")


def test_names_that_are_not_utf8_can_be_shown() -> None:
    assert shown(b"caf\xe9".decode("utf-8", "surrogateescape")) == "caf\\xe9"
    assert class_name("cafe\u0301") == "caf\u00e9"
