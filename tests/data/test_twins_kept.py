"""Twins are found once, and kept where that took a while."""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rung
from rung.data import twins_kept
from rung.data.cache import Cache, clear, kept
from rung.data.imageset import ImageSet
from rung.data.twins import Twins, find_twins
from rung.data.twins_kept import kept_twins


@pytest.fixture
def digits() -> ImageSet:
    return rung.load("digits", settings={"data.per_class": 20})


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    made = Cache(tmp_path / "cache", worth_s=0.0)
    monkeypatch.setattr(twins_kept, "place", lambda: made)
    return made


def forbidden(images: ImageSet) -> Twins:
    raise AssertionError("they are known")


def same(one: Twins, other: Twins) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("pairs", "exact", "likeness"))


def files(cache: Cache) -> list[Path]:
    return [path for path in cache.root.rglob("*") if path.is_file()]


def test_they_are_kept_and_taken_again(cache: Cache, digits: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    found = kept_twins(digits)
    assert same(found, find_twins(digits))
    monkeypatch.setattr(twins_kept, "find_twins", forbidden)
    assert same(kept_twins(replace(digits, labels=digits.labels[::-1])), found)
    assert len(files(cache)) == 1
    with pytest.raises(AssertionError, match="they are known"):
        kept_twins(replace(digits, images=255 - digits.images))


def test_that_there_are_none_is_kept_too(cache: Cache, digits: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    none = digits.take(np.arange(3))
    assert len(kept_twins(none)) == 0
    monkeypatch.setattr(twins_kept, "find_twins", forbidden)
    assert len(kept_twins(none)) == 0


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_file_is_written_anew(cache: Cache, digits: ImageSet, damage: str) -> None:
    digits = digits.take(np.repeat(np.arange(200), 2))  # so that there are pairs to damage
    found = kept_twins(digits)
    (file,) = files(cache)
    sound = file.read_bytes()
    file.write_bytes(sound[:40] if damage == "cut" else sound[:-1] + bytes([sound[-1] ^ 1]))
    assert same(kept_twins(digits), found)
    assert file.read_bytes() == sound


def test_where_they_cannot_be_kept_they_are_found_each_time_and_that_is_said(cache: Cache, digits: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.root.write_text("a file where the folder should be")
    said: list[str] = []
    assert same(kept_twins(digits, said.append), find_twins(digits))
    assert len(said) == 1
    assert "near-duplicates are not kept in the cache" in said[0]
    assert str(cache.root) in said[0]
    monkeypatch.setattr(twins_kept, "place", lambda: None)
    assert same(kept_twins(digits, said.append), find_twins(digits))
    assert len(said) == 1


def test_what_is_found_at_once_is_not_kept(digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path / "cache", worth_s=60.0)
    monkeypatch.setattr(twins_kept, "place", lambda: cache)
    kept_twins(digits)
    assert not cache.root.exists()


def test_they_are_listed_and_cleared_with_the_images(cache: Cache, digits: ImageSet) -> None:
    kept_twins(digits)
    (one,) = kept(cache)
    (file,) = files(cache)
    assert (one.folder, one.source, one.images, one.bytes) == (file.parent, "near-duplicates in digits", 200, file.stat().st_size)
    an_hour_ago = time.time() - 3600
    for path in (file, file.parent):
        os.utime(path, (an_hour_ago, an_hour_ago))
    assert 3590 < kept(cache)[0].unused_s < 3700
    kept_twins(digits)
    assert kept(cache)[0].unused_s < 600
    assert clear(cache, unused_s=600) == []
    assert len(clear(cache)) == 1
    assert kept(cache) == files(cache) == []
