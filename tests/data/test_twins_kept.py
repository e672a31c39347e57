"""Twins are found once, and kept where that took a while."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rung
from rung.data import twins_kept
from rung.data.imageset import ImageSet
from rung.data.twins import Twins, find_twins


@pytest.fixture
def digits() -> ImageSet:
    return rung.load("digits", settings={"data.per_class": 20})


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "images"))
    monkeypatch.setattr(twins_kept, "_WORTH_S", 0.0)
    return tmp_path / "twins"


def forbidden(images: ImageSet) -> Twins:
    raise AssertionError("they are known")


def same(one: Twins, other: Twins) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("pairs", "exact", "likeness"))


def test_they_are_kept_and_taken_again(place: Path, digits: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    found = twins_kept.kept_twins(digits)
    assert same(found, find_twins(digits))
    monkeypatch.setattr(twins_kept, "find_twins", forbidden)
    assert same(twins_kept.kept_twins(replace(digits, labels=digits.labels[::-1])), found)
    assert len(list(place.iterdir())) == 1
    with pytest.raises(AssertionError, match="they are known"):
        twins_kept.kept_twins(replace(digits, images=255 - digits.images))


def test_a_damaged_file_is_written_anew(place: Path, digits: ImageSet) -> None:
    found = twins_kept.kept_twins(digits)
    (file,) = place.iterdir()
    file.write_bytes(file.read_bytes()[:40])
    assert same(twins_kept.kept_twins(digits), found)
    assert file.stat().st_size > 40


def test_without_a_place_to_keep_them_they_are_found_each_time(place: Path, digits: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write_text("a file where the folder should be")
    assert same(twins_kept.kept_twins(digits), find_twins(digits))
    monkeypatch.setenv("RUNG_CACHE", "off")
    assert same(twins_kept.kept_twins(digits), find_twins(digits))
    assert place.is_file()


def test_what_is_found_at_once_is_not_kept(place: Path, digits: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twins_kept, "_WORTH_S", 60.0)
    twins_kept.kept_twins(digits)
    assert not place.exists()
