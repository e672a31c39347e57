"""Faults planted in the digits, each named by the right check; clean digits raise no error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.planted import KINDS
from rung.audit import check as checks
from rung.audit.problem import Problem
from rung.data.imageset import FACTS, TEST, TRAIN, VALIDATION, FileNote, ImageSet, pixel_digests
from rung.data.split import Splits
from rung.data.twins import find_twins

Fault = Callable[[ImageSet], ImageSet]


def rows_of(images: ImageSet, part: int) -> np.ndarray:
    return np.flatnonzero(images.parts == part)


def changed(images: ImageSet, rows: np.ndarray, pixels: np.ndarray, labels: np.ndarray | None = None) -> ImageSet:
    """Put other images, and labels where given, into some rows."""
    own, named = images.images.copy(), images.labels.copy()
    own[rows] = pixels
    if labels is not None:
        named[rows] = labels
    return replace(images, images=own, labels=named, digests=pixel_digests(own))


def found(images: ImageSet, *names: str) -> list[Problem]:
    splits = Splits(*(rows_of(images, part) for part in (TRAIN, VALIDATION, TEST)), "as given")
    wanted = {name: checks.CHECKS[name] for name in names}
    return list(checks.check(images, splits, find_twins(images), checks=wanted).problems)


def many_copies(images: ImageSet) -> ImageSet:
    return changed(images, rows_of(images, TEST)[:200], images.images[:200], images.labels[:200])


def one_copy(images: ImageSet) -> ImageSet:
    return changed(images, rows_of(images, TEST)[:1], images.images[:1], images.labels[:1])


def copies_inside(images: ImageSet) -> ImageSet:
    return changed(images, np.arange(50), images.images[50:100], images.labels[50:100])


def two_classes(images: ImageSet) -> ImageSet:
    return changed(images, np.array([0]), images.images[1:2], (images.labels[1:2] + 1) % 10)


def nearly(kind: str, count: int = 40) -> Fault:
    def fault(images: ImageSet) -> ImageSet:
        draws = np.random.default_rng(0)
        pixels = np.stack([KINDS[kind](image.repeat(3, axis=2), draws)[..., :1] for image in images.images[:count]])
        return changed(images, rows_of(images, TEST)[:count], pixels, images.labels[:count])

    return fault


def nearly_in_two_classes(images: ImageSet) -> ImageSet:
    pixels = np.clip(images.images[1:2].astype(int) * 3 // 4 + 20, 0, 255).astype(np.uint8)
    return changed(images, np.array([0]), pixels, (images.labels[1:2] + 1) % 10)


def few_of_one(count: int) -> Fault:
    def fault(images: ImageSet) -> ImageSet:
        own = np.flatnonzero((images.labels == 3) & (images.parts == TRAIN))
        return images.take(np.setdiff1d(np.arange(len(images)), own[count:]))

    return fault


def lacking_in_test(images: ImageSet) -> ImageSet:
    return images.take(np.flatnonzero((images.labels != 3) | (images.parts != TEST)))


def misspelt(images: ImageSet) -> ImageSet:
    names = ("airplane", "ship", "horse", "truck", "frog", "deer", "cat", "dog", "bird", "airplan")
    return replace(few_of_nine(images), classes=names)


def exchanged_letters(images: ImageSet) -> ImageSet:
    return replace(few_of_nine(images), classes=("circle", "square", "c10x", "pear", "bears", "c11x", "bear", "round", "oval", "cirlce"))


def few_of_nine(images: ImageSet) -> ImageSet:
    own = np.flatnonzero(images.labels == 9)
    return images.take(np.setdiff1d(np.arange(len(images)), own[20:]))


def blank(images: ImageSet) -> ImageSet:
    return changed(images, np.arange(3), np.full((3, 8, 8, 1), 90, np.uint8))


def nearly_blank(images: ImageSet) -> ImageSet:
    return changed(images, np.arange(2), np.full((2, 8, 8, 1), 90, np.uint8) + images.images[:2] // 200)


def unscaled_test(images: ImageSet) -> ImageSet:
    rows = rows_of(images, TEST)
    return changed(images, rows, np.rint(images.images[rows] / 255).astype(np.uint8))


def sixteen(images: ImageSet) -> ImageSet:
    return changed(images, np.arange(len(images)), images.images // 16)


def some_unscaled(images: ImageSet) -> ImageSet:
    return changed(images, np.arange(30), np.rint(images.images[:30] / 255).astype(np.uint8))


def label_of_none(images: ImageSet) -> ImageSet:
    return replace(images, labels=np.where(np.arange(len(images)) < 5, 10, images.labels))


def negative_label(images: ImageSet) -> ImageSet:
    return replace(images, labels=np.where(np.arange(len(images)) < 5, -1, images.labels))


def from_one(images: ImageSet) -> ImageSet:
    return replace(images, labels=images.labels + 1, classes=(*images.classes, "10"))


def crossing(images: ImageSet) -> ImageSet:
    return replace(images, groups=np.arange(len(images)) % 300)


def left_out(images: ImageSet) -> ImageSet:
    notes = (
        FileNote("a/1.png", "is damaged or cut short (image file is truncated)"),
        FileNote("a/2.png", "is a Git LFS pointer, not an image: git lfs pull"),
        FileNote("a/3.png", "is empty (0 bytes)"),
    )
    return replace(images, dropped=notes)


def repaired(images: ImageSet) -> ImageSet:
    return replace(images, repaired=(FileNote("a/1.png", "turned upright"), FileNote("a/2.png", "16 bits a channel became 8")))


def with_facts(size: int, height: int, width: int) -> Fault:
    def fault(images: ImageSet) -> ImageSet:
        facts = np.zeros(len(images), FACTS)
        facts["bytes"], facts["height"], facts["width"] = 500, 8, 8
        facts[:4] = (size, height, width, 0, 0)
        return replace(images, facts=facts)

    return fault


FAULTS: dict[str, tuple[Fault, str, str, str]] = {  # the fault, its check, its severity, words of its sentence
    "half of the test images are in train": (many_copies, "exact-duplicates", "error", "200 test images of 400 .* equal to an image in train"),
    "one test image is in train": (one_copy, "exact-duplicates", "warning", "1 test image of 400 .* is equal to an image in train"),
    "copies inside train": (copies_inside, "exact-duplicates", "warning", "50 pairs of equal images lie within one part"),
    "one image in two classes": (two_classes, "exact-duplicates", "warning", "1 pair of equal images is in two classes"),
    "test images saved again": (nearly("jpeg 90"), "near-duplicates", "warning", "test images of 400 .* nearly the same as an image in train"),
    "test images mirrored": (nearly("flipped"), "near-duplicates", "warning", "nearly the same as an image in train"),
    "test images brightened": (nearly("gamma 0.6"), "near-duplicates", "warning", "nearly the same as an image in train"),
    "test images blurred": (nearly("blurred 1.0", 150), "near-duplicates", "error", "nearly the same as an image in train"),
    "near copies in two classes": (nearly_in_two_classes, "near-duplicates", "warning", "1 pair of nearly the same images is in two classes"),
    "a rare class": (few_of_one(8), "classes", "warning", "The classes are uneven"),
    "a class of a few images": (few_of_one(8), "classes", "warning", "1 class has less than 10 training images: 3"),
    "a class not in test": (lacking_in_test, "classes", "warning", "1 class has no image in the test part: 3"),
    "a class that cannot be learnt": (few_of_one(0), "classes", "error", "1 class has no image in the train part: 3"),
    "a misspelt class": (misspelt, "classes", "warning", "“airplan” and “airplane”"),
    "a class with two letters exchanged": (exchanged_letters, "classes", "warning", "1 pair of class names may be .* “cirlce” and “circle”"),
    "blank images": (blank, "odd-images", "warning", "3 images are blank"),
    "nearly blank images": (nearly_blank, "odd-images", "warning", "2 images are nearly blank"),
    "test images in 0..1": (unscaled_test, "odd-images", "error", "The images of test have no value above 1 of 255"),
    "all images in 0..15": (sixteen, "odd-images", "warning", "No image has a value above 15 of 255"),
    "some images in 0..1": (some_unscaled, "odd-images", "warning", "30 images of 1,797 have no value above 16"),
    "a label of no class": (label_of_none, "label-range", "error", "labels run from 0 to 10, and there are 10 classes"),
    "a negative label": (negative_label, "label-range", "error", "labels run from -1 to 9"),
    "labels from 1": (from_one, "label-range", "warning", "were the classes numbered from 1"),
    "groups in two parts": (crossing, "groups", "error", "groups are in train and in test"),
    "files left out": (left_out, "files", "warning", "3 files were left out: 1 are damaged or cut short, 1 are Git LFS pointers and 1 are empty"),
    "files repaired": (repaired, "files", "note", "2 files were read otherwise than they lie there, or ignored .*turned upright"),
    "tiny files": (with_facts(90, 3, 5), "files", "warning", "4 images are less than 8 pixels wide or high"),
    "giant files": (with_facts(60 << 20, 8, 8), "files", "note", "4 images are of more than 50 million pixels or 50 MB"),
    "strips": (with_facts(500, 8, 900), "files", "warning", "4 images are more than 20 times as long as wide"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named_by_its_check(name: str, digits: ImageSet) -> None:
    fault, check, severity, words = FAULTS[name]
    problems = found(fault(digits), check)
    assert any(problem.severity == severity and _says(problem, words) for problem in problems), problems
    assert all(problem.advice and problem.check == check for problem in problems)


def _says(problem: Problem, words: str) -> bool:
    import re

    return re.search(words, problem.sentence) is not None


def test_clean_digits_raise_no_error_and_hardly_a_warning(digits: ImageSet) -> None:
    problems = found(digits, *(name for name in checks.CHECKS))
    assert [problem for problem in problems if problem.severity == "error"] == []
    assert {problem.check for problem in problems} <= {"near-duplicates", "test-size"}


def test_the_quick_checks_are_of_the_same_names() -> None:
    assert set(checks.QUICK) <= set(checks.CHECKS)
    assert all(checks.looked_at(run).endswith((".", "?")) for run in (*checks.CHECKS.values(), *checks.QUICK.values()))
