"""The page of the checks: whole in itself, escaped, with pictures as evidence."""

from dataclasses import replace

import numpy as np

import rung
from rung.audit.check import CheckReport
from rung.audit.problem import Problem
from rung.data.imageset import FileNote
from rung.data.split import Splits
from rung.reports.check_page import render, verdict

HOSTILE = "<script>alert(1)</script>"


def report(*problems: Problem) -> CheckReport:
    return CheckReport("photos", "ab" * 32, {"train": 8, "test": 2}, "test: the 2 rows given", problems, {"groups": "Groups of rows."}, {"groups": 0.1})


def problem(severity: str, **more: object) -> Problem:
    return Problem("near-duplicates", severity, f"Found {HOSTILE}.", "Look at `a`.", **more)  # type: ignore[arg-type]


def test_the_verdict_counts_what_was_found() -> None:
    assert verdict(report(problem("error"), problem("warning"), problem("warning"))) == "Not fit for training as it is: 1 error and 2 warnings."
    assert verdict(report(problem("warning"))) == "Fit for training, with care: 1 warning."
    assert verdict(report(problem("note"))) == "Fit for training: no error and no warning, 1 note."
    assert verdict(report()) == "Fit for training: no error and no warning."


def test_pairs_are_shown_with_class_and_source_and_nothing_from_outside() -> None:
    images = rung.load("digits", settings={"data.per_class": 2})
    images = replace(images, sources=(f"{HOSTILE}/1.png", *images.sources[1:]), labels=np.where(np.arange(20) == 1, 12, images.labels))
    page = render(report(problem("warning", groups=((0, 1), (2, 3)), count=5)), images)
    assert page.count("data:image/png;base64,") == 4
    assert "2 of 5 pairs are shown." in page
    assert "1 of 3 images are shown." in render(report(problem("note", groups=((4,),), count=3)), images)
    assert "label 12" in page
    parted = render(report(problem("warning", groups=((0, 1),), count=1)), images, Splits(np.array([0]), np.array([1]), np.arange(2, 20), "by hand"))
    assert "</b>, train<br>" in parted
    assert "</b>, validation<br>" in parted
    assert HOSTILE not in page
    assert "http" not in page.replace('http-equiv="', "")
    assert "<code>a</code>" in page
    assert "Groups of rows." in page
    assert "test: 2 images" in page


def test_remarks_stand_below_their_pictures_and_what_was_not_looked_at_is_said() -> None:
    images = rung.load("digits", settings={"data.per_class": 2})
    found = replace(report(problem("error", groups=((3,), (4,)), count=2, remarks={4: "looks like 7"})), unasked={"drift": "layout", "label-errors": "layout"})
    page = render(found, images)
    assert page.count("looks like 7") == 1
    assert "Not looked at yet" in page
    assert "Because of layout</dt><dd>drift, label errors</dd>" in page
    assert "Not looked at yet" not in render(report(), images)


def test_data_that_could_not_be_read_have_a_page_without_pictures() -> None:
    page = render(report(problem("error", groups=((0, 1),), count=1)), None)
    assert "data:image" not in page
    assert "Not fit for training" in page


def test_every_file_left_out_or_repaired_is_counted_and_named_on_the_page() -> None:
    left_out = tuple(FileNote(f"a/{k}.png", f"{HOSTILE} is empty") for k in range(30))
    images = replace(rung.load("digits", settings={"data.per_class": 2}), dropped=left_out, repaired=(FileNote("b/1.png", "turned upright"),))
    page = render(report(), images).replace("<wbr>", "")
    assert "Files left out" in page
    assert "30 files" in page
    assert all(f"a/{k}.png" in page for k in range(30))
    assert "Files repaired" in page
    assert "turned upright" in page
    assert HOSTILE not in page
    assert "Files" not in render(report(), replace(images, dropped=(), repaired=()))
