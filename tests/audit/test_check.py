"""The frame of the checks: order, severity, what is said of checks that found nothing."""

import json
from dataclasses import replace
from typing import Any

import numpy as np

import rung
from rung.audit import check as checks
from rung.audit.problem import Problem
from rung.data.imageset import TEST, ImageSet
from rung.data.split import Splits, make_splits
from rung.data.twins import Twins, find_twins
from rung.recipe import Split


def checked(images: ImageSet, **options: Any) -> checks.CheckReport:
    return checks.check(images, make_splits(images, Split(), 0), find_twins(images), **options)


def test_the_gravest_comes_first_and_clean_checks_say_what_they_looked_at() -> None:
    images = rung.load("digits", settings={"data.per_class": 10})

    def slight(material: object) -> list[Problem]:
        """Slight things."""
        return [Problem("slight", "note", "One thing.", "Nothing.")]

    def grave(material: object) -> list[Problem]:
        """Grave things."""
        return [Problem("grave", "error", "Another thing.", "All.", ((0, 1),), 1, {"share": 0.5})]

    def clean(material: object) -> list[Problem]:
        """Images of cats.

        More about it.
        """
        return []

    told: list[tuple[int, int]] = []
    three = {"slight": slight, "grave": grave, "clean": clean}
    report = checked(images, checks=three, progress=lambda done, total: told.append((done, total)))
    assert [problem.check for problem in report.problems] == ["grave", "slight"]
    assert report.clean == {"clean": "Images of cats."}
    assert report.errors == 1
    assert told == [(0, 3), (1, 3), (2, 3)]
    assert set(report.seconds) == {"slight", "grave", "clean"}
    assert json.loads(json.dumps(report.to_json()))["problems"][0]["groups"] == [[0, 1]]
    assert checked(images, checks={"clean": clean}).problems == ()


def test_groups_that_cross_parts_are_counted_with_a_pair_as_evidence() -> None:
    images = rung.load("digits", settings={"data.per_class": 10})
    parts = np.zeros(100, np.int8)
    parts[90:] = TEST
    images = replace(images, parts=parts, groups=np.r_[np.arange(90), 0, 1, 1, np.arange(100, 107)])
    splits = Splits(np.arange(90), np.arange(0), np.arange(90, 100), "by hand")
    (problem,) = checks.check(images, splits, find_twins(images), checks={"groups": checks.CHECKS["groups"]}).problems
    assert problem.numbers == {"groups": 2, "rows": 3, "share": 0.3}
    assert problem.severity == "error"
    assert "--set data.part_column=''" in problem.advice
    assert problem.groups == ((0, 90), (1, 91))
    assert "3 of 10 test images" in problem.sentence


def test_near_pairs_that_are_not_believed_are_a_warning() -> None:
    images = rung.load("digits", settings={"data.per_class": 10})
    twins = Twins(np.empty((0, 2), np.int64), np.empty(0, bool), np.empty(0, np.float32), doubted=57)
    (problem,) = checks.check(images, make_splits(images, Split(), 0), twins, checks={"near-duplicates": checks.CHECKS["near-duplicates"]}).problems
    assert (problem.severity, problem.count, problem.groups) == ("warning", 57, ())
    assert "57 pairs look like one picture" in problem.sentence


def test_checks_that_have_too_few_images_are_not_called_clean() -> None:
    images = rung.load("digits", settings={"data.per_class": 10})
    report = checked(images, checks={name: checks.CHECKS[name] for name in ("shuffled-labels", "label-errors", "label-range")})
    assert report.too_few == ("shuffled-labels", "label-errors")
    assert list(report.clean) == ["label-range"]
    assert report.to_json()["too_few"] == ["shuffled-labels", "label-errors"]
