"""Shortcuts: planted in the facts of files and in borders, each found; what pictures give away by nature is none."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rung.audit.drift import statistics
from rung.audit.material import SHOWN, Material
from rung.audit.shortcuts import border_and_inner, shortcuts
from rung.data.imageset import FACTS, FORMATS, TEST, ImageSet

Make = Callable[..., Material]
Fault = Callable[[ImageSet], ImageSet]


@pytest.fixture
def material(unprobed: Make) -> Make:
    return unprobed


@pytest.fixture(scope="module")
def files(scenes: ImageSet) -> ImageSet:
    """The scenes as JPEG files of many sizes and some qualities; the number of bytes follows these and the sharpness of the picture."""
    draws = np.random.default_rng(3)
    facts = np.zeros(len(scenes), FACTS)
    facts["height"], facts["width"] = draws.integers(200, 800, (2, len(scenes)))
    facts["quality"] = draws.integers(80, 96, len(scenes))
    sharp = statistics(scenes.images, np.arange(len(scenes)))["sharpness"]
    facts["bytes"] = facts["height"] * facts["width"] * sharp / 100 * draws.uniform(0.9, 1.1, len(scenes))
    return replace(scenes, facts=facts)


def with_facts(images: ImageSet, which: np.ndarray, **values: object) -> ImageSet:
    assert images.facts is not None
    facts = images.facts.copy()
    for name, value in values.items():
        facts[name] = np.where(which, value, facts[name])
    return replace(images, facts=facts)


def framed(images: ImageSet, which: np.ndarray, width: int) -> ImageSet:
    pixels = images.images.copy()
    inside = pixels[which, width:-width, width:-width].copy()
    pixels[which] = (250, 250, 240)
    pixels[which, width:-width, width:-width] = inside
    return replace(images, images=pixels)


def smaller(images: ImageSet) -> ImageSet:
    return with_facts(images, images.labels == 1, height=180, width=180)


def saved_worse(images: ImageSet) -> ImageSet:
    return with_facts(images, images.labels == 2, quality=np.random.default_rng(0).integers(60, 84, len(images)))


def with_metadata(images: ImageSet) -> ImageSet:
    assert images.facts is not None
    images = replace(images, labels=np.random.default_rng(5).permutation(images.labels))  # so that sharpness does not tell the class already
    return with_facts(images, images.labels == 2, bytes=images.facts["bytes"] + 90_000)


def all_sizes_apart(images: ImageSet) -> ImageSet:
    return with_facts(images, images.labels >= 0, height=300 + 10 * images.labels)


def in_another_format(images: ImageSet) -> ImageSet:
    return with_facts(images, images.labels == 3, format=FORMATS.index("PNG"), quality=0)


def only_together(images: ImageSet) -> ImageSet:
    draws = np.random.default_rng(4)
    small = draws.random(len(images)) < 0.5
    good = small ^ (images.labels % 2 == 0)
    return with_facts(images, images.labels >= 0, height=np.where(small, 200, 400), width=300, quality=np.where(good, 95, 80), bytes=9000)


def one_part_saved_worse(images: ImageSet) -> ImageSet:
    return with_facts(images, images.parts == TEST, quality=np.random.default_rng(0).integers(70, 90, len(images)))


FAULTS: dict[str, tuple[Fault, str, str]] = {
    "a class of small images": (smaller, "error", "class .* from its dimensions.* image of “b” .* Usual there: 180 x 180 pixels; elsewhere: "),
    "a class of low quality": (saved_worse, "warning", "class .* from its JPEG quality.* “c” .* Usual there: quality 7\\d; elsewhere: quality 8"),
    "a class with large metadata": (with_metadata, "warning", "class .* from its file size.* “c” .* what goes with it by nature .* alone would do"),
    "a class in PNG": (in_another_format, "error", "class .* from its format.* “d” .*100\u202f% PNG; elsewhere: 100\u202f% JPEG.* Its JPEG quality tells"),
    "every class of a size": (all_sizes_apart, "error", "class .* from its dimensions.* right on 100.0\u202f% .* by chance on 25.0\u202f%"),
    "size and quality together": (only_together, "warning", "class .* from its dimensions and JPEG quality together"),
    "test saved worse": (one_part_saved_worse, "warning", "in test or in train can be told from its JPEG quality"),
    "a class in a thin frame": (lambda images: framed(images, images.labels == 1, 1), "warning", "class .* border colour.* “b” .*250, 250, 240"),
    "a class in a thick frame": (lambda images: framed(images, images.labels == 1, 4), "warning", "class .* from its border colour"),
    "test in a frame": (lambda images: framed(images, images.parts == TEST, 1), "warning", "in test or in train can be told from its border colour"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_shortcut_is_found(name: str, files: ImageSet, material: Make) -> None:
    fault, severity, words = FAULTS[name]
    images = fault(files)
    (problem,) = shortcuts(material(images))
    assert problem.severity == severity
    assert re.search(words, problem.sentence), problem.sentence
    assert problem.numbers["deviations"] >= 5
    assert problem.numbers["area_under_curve"] > problem.numbers["natural_area_under_curve"]
    assert len(problem.groups) == SHOWN
    shown = np.array([row for (row,) in problem.groups])
    kinds = images.parts if "in test" in problem.sentence else images.labels
    assert len(set(kinds[shown].tolist())) == 1


def test_only_classes_that_differ_from_the_others_themselves_are_named(files: ImageSet, material: Make) -> None:
    assert files.facts is not None
    worse = with_facts(files, files.labels >= 0, height=300, width=300, quality=np.where(files.labels == 2, 60, 92), bytes=9000)
    three = worse.take(np.flatnonzero(worse.labels != 3))
    (problem,) = shortcuts(material(replace(three, classes=three.classes[:3])))
    assert "an image of “c” above one of another class in 100.0" in problem.sentence
    assert (problem.severity, problem.numbers["classes"]) == ("error", 1)
    assert "Told so" not in problem.sentence
    two = with_facts(worse, worse.labels == 1, quality=75)
    (problem,) = shortcuts(material(two))
    assert "Told so: “b” and “c”" in problem.sentence or "Told so: “c” and “b”" in problem.sentence


def test_what_the_picture_gives_away_is_no_shortcut(files: ImageSet, scenes: ImageSet, material: Make) -> None:
    assert files.facts is not None
    medians = [np.median(files.facts["bytes"][files.labels == label]) for label in range(4)]
    assert max(medians) > 1.5 * min(medians)  # sharper classes have larger files
    assert shortcuts(material(files)) == []
    assert shortcuts(material(scenes)) == []


def test_clean_digits_have_none_and_their_border_is_content(digits: ImageSet, material: Make) -> None:
    assert shortcuts(material(digits)) == []


def test_facts_at_random_tell_nothing(files: ImageSet, material: Make) -> None:
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(files))
        few = files.take(order[:150])
        assert shortcuts(material(replace(few, labels=few.labels[np.random.default_rng(seed).permutation(150)]))) == []


def test_company_of_one_group_is_in_one_fold(files: ImageSet, material: Make) -> None:
    groups = np.arange(len(files)) % 60
    each = with_facts(files, files.labels >= 0, height=100 + 7 * (groups * 37 % 60), width=300, bytes=9000, quality=90)
    each = replace(each, labels=groups % 4, images=files.images)
    assert [p.severity for p in shortcuts(material(each))] == ["error"]
    assert shortcuts(material(replace(each, groups=groups.astype(np.int64)))) == []


def test_mean_colour_alone_is_a_note(scenes: ImageSet, material: Make) -> None:
    tint = np.array([[0, 0, 0], [60, -60, 0], [0, 60, -60], [-60, 0, 60]])[scenes.labels][:, None, None]
    pixels = np.clip(scenes.images // 2 + 64 + tint, 0, 255).astype(np.uint8)
    (problem,) = shortcuts(material(scenes, pixels=pixels))
    assert problem.severity == "note"
    assert "mean colour" in problem.sentence


def test_rows_without_a_file_are_not_asked(files: ImageSet, material: Make) -> None:
    assert files.facts is not None
    facts = files.facts.copy()
    facts[files.parts == TEST] = 0
    assert shortcuts(material(replace(files, facts=facts))) == []
    assert shortcuts(material(replace(files, facts=np.zeros_like(facts)))) == []


@pytest.mark.parametrize("rows", [1, 30])
def test_few_images_are_no_matter(rows: int, files: ImageSet, material: Make) -> None:
    assert shortcuts(material(files.take(np.arange(rows)))) == []


def test_same_seed_same_answer(files: ImageSet, material: Make) -> None:
    bad = smaller(files.take(np.arange(0, len(files), 4)))
    assert shortcuts(material(bad, seed=1)) == shortcuts(material(bad, seed=1))


@pytest.mark.parametrize("shape", [(5, 16, 16, 1), (4, 20, 17, 3)])
def test_border_and_inner_are_means(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    rows = np.array([0, 3])
    border, inner = border_and_inner(images, rows)
    ring = np.ones(shape[1:3], bool)
    ring[1:-1, 1:-1] = False
    middle = np.zeros_like(ring)
    middle[2:-2, 2:-2] = True
    np.testing.assert_allclose(border, images[rows][:, ring].mean(1))
    np.testing.assert_allclose(inner, images[rows][:, middle].mean(1))
