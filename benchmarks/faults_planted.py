"""The faults that are planted in CIFAR-10: how each is planted, and which problem has to name it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import faulty as f
from benchmarks import faulty_files as files
from benchmarks.faulty import Mistake, Sample

Plant = Callable[[Sample, Path], Path | str]
ARRAYS: Final = (2_000, 500)  # training and test images
MANY: Final = (5_000, 1_000)
FILES: Final = (1_000, 250)
_AT_32: Final = {"pixels.size": 32}


@dataclass(frozen=True)
class Fault:
    """How a fault is planted, and the problem that has to name it.

    plant: writes files into an empty folder and returns what is given to rung.check. check, severity: of that problem; words: a pattern that its
    sentence has to match; least: the least count of it. size: training and test images. beside: other checks that may raise an error for the same cause.
    """

    check: str
    severity: str
    words: str
    plant: Plant
    least: int = 0
    size: tuple[int, int] = ARRAYS
    beside: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


def by(mistake: Callable[..., Sample], **options: Any) -> Plant:
    """Plant a mistake in arrays and write them as .npz."""
    change = partial(mistake, **options)
    return lambda given, folder: f.as_npz(change(given), folder)


def _official_in_two_classes(given: Sample, folder: Path) -> str:
    rows = given.train[-5:]
    files.official(given.put(rows, images=given.images[:5], labels=(given.labels[:5] + 1) % 10), folder)
    return "cifar10"


def _labels_of_another_order(given: Sample, folder: Path) -> Path:
    return files.grey_tables(f.dealt_anew(given, given.test), folder)


def _rows(start: int, stop: int) -> Mistake:
    return lambda given: f.dealt_anew(given, given.train[start:stop])


UNCHANGED: Final = Fault("", "", "", f.as_npz)  # nothing is planted
_OTHER_NUMBERS = ("shuffled-labels", "class-order")  # both see that labels of a part do not fit
FAULTS: Final[dict[str, Fault]] = {
    # Files
    "files cut short": Fault("files", "warning", "12 are damaged or cut short", files.spoiled(files.cut_short, 12), 12, FILES),
    "files of noise": Fault("files", "warning", "11 are of a format that is not read", files.spoiled(files.noise, 11), 11, FILES),
    "empty files": Fault("files", "warning", "10 are empty", files.spoiled(lambda data: b"", 10), 10, FILES),
    "Git LFS pointers": Fault("files", "warning", "12 are Git LFS pointers", files.spoiled(lambda data: files.POINTER % len(data), 12), 12, FILES),
    "web pages saved as images": Fault("files", "warning", "8 are web pages", files.spoiled(lambda data: files.WEB_PAGE, 8), 8, FILES),
    "tiny images": Fault("files", "warning", "9 images are less than 8 pixels", files.resaved(files.to_size(5, 4), 9), 9, FILES, settings=_AT_32),
    "a giant image": Fault(
        "files", "note", "1 image is of more than 50 million", files.resaved(files.to_size(7200, 7100), 1, "jpg"), 1, FILES, settings=_AT_32
    ),
    "strips": Fault("files", "warning", "7 images are more than 20 times as long", files.resaved(files.to_size(400, 10), 7), 7, FILES, settings=_AT_32),
    "thumbnails among the files": Fault(
        "files", "note", "100 images are enlarged to twice their size", files.resaved(files.to_size(12, 12), 100), 100, FILES, settings=_AT_32
    ),
    # Copies
    "40 % of the test images are in train": Fault(
        "exact-duplicates", "error", "test images of 500 .* equal to an image in train", by(f.copied_to_test, count=200), 140
    ),
    "five test images are in train": Fault("exact-duplicates", "warning", "test images of 500 .* equal to an image in train", by(f.copied_to_test, count=5), 4),
    "training images twice": Fault("exact-duplicates", "warning", "pairs of equal images lie within one part", by(f.copied_inside, count=80), 40),
    "files in two class folders": Fault("files", "warning", "12 are there in two classes", files.in_two_folders, 12, FILES),
    "official files, five images in two classes": Fault(
        "exact-duplicates", "warning", "5 pairs of equal images are in two classes", _official_in_two_classes, 5, settings={"data.per_class": 1_000}
    ),
    "40 % of the test images are in train, saved again": Fault(
        "near-duplicates", "error", "test images of 500 .* nearly the same", by(f.changed_to_test, kind="jpeg 70", count=200), 130
    ),
    "test images that are training images mirrored": Fault(
        "near-duplicates", "warning", "test images of 500 .* nearly the same", by(f.changed_to_test, kind="flipped", count=60), 40
    ),
    "test images that are training images cropped": Fault(
        "near-duplicates", "warning", "test images of 500 .* nearly the same", by(f.changed_to_test, kind="cropped by 2", count=60), 40
    ),
    "test images that are training images brightened": Fault(
        "near-duplicates", "warning", "test images of 500 .* nearly the same", by(f.changed_to_test, kind="brightness 1.2", count=60), 40
    ),
    "test images that are training images made small": Fault(
        "near-duplicates", "warning", "test images of 500 .* nearly the same", by(f.changed_to_test, kind="resized to 20", count=60), 40
    ),
    "images again, saved with loss, in another class": Fault(
        "near-duplicates", "warning", "nearly the same images are in two classes", by(f.changed_to_another_class, kind="jpeg 80", count=30), 27
    ),
    # Classes
    "a class twenty times rarer": Fault("classes", "warning", "The classes are uneven", by(f.few_of, name="deer", count=9)),
    "a class of six images": Fault("classes", "warning", "less than 10 training images: deer", by(f.few_of, name="deer", count=6)),
    "a class lacking in test": Fault("classes", "warning", "no image in the test part: ship", by(f.none_in, name="ship", test=True)),
    "a class lacking in train": Fault("classes", "error", "class 'ship' is in the test part .* not in train", by(f.none_in, name="ship", test=False)),
    "a table with a misspelt class": Fault("classes", "warning", "“airplan” and “airplane”", files.misspelt, size=FILES),
    "class numbers of test by another list": Fault(
        "class-order", "error", "another order in test than in train", by(f.renumbered_test, order=f.LISTED_ORDER), 8, beside=_OTHER_NUMBERS
    ),
    "two classes exchanged in test": Fault(
        "class-order", "error", "“horse” there looks like “ship”", by(f.renumbered_test, order=(0, 1, 2, 3, 4, 5, 6, 8, 7, 9)), 2, beside=_OTHER_NUMBERS
    ),
    # Labels
    "3 % of the labels wrong": Fault("label-errors", "warning", "of the labels seem to be wrong", by(f.wrong_labels, share=0.03), size=MANY),
    "10 % of the labels wrong": Fault("label-errors", "warning", "of the labels seem to be wrong", by(f.wrong_labels, share=0.1)),
    "40 % of the labels wrong": Fault("label-errors", "error", "of the labels seem to be wrong", by(f.wrong_labels, share=0.4), size=MANY),
    "a quarter of the ships labelled frogs": Fault(
        "label-errors", "warning", "frog and ship seem to be exchanged", by(f.mixed_up, one="ship", other="frog", share=0.25, both=False), 20, MANY
    ),
    "a tenth of ships and frogs exchanged": Fault(
        "label-errors", "note", "frog and ship seem to be exchanged", by(f.mixed_up, one="ship", other="frog", share=0.1, both=True), 20, MANY
    ),
    "all labels shuffled": Fault("shuffled-labels", "error", "No label can be told", by(lambda given: f.dealt_anew(given, np.arange(len(given.labels))))),
    "labels of test shuffled": Fault(
        "shuffled-labels", "error", "labels of the test part do not belong", by(lambda given: f.dealt_anew(given, given.test)), 500
    ),
    "grey tables, labels of test in another order": Fault(
        "shuffled-labels", "error", "labels of the test part do not belong", _labels_of_another_order, 500, beside=("class-order",)
    ),
    "a run of 500 rows with shuffled labels": Fault("shuffled-labels", "error", "rows of the train part, from .* carry labels", by(_rows(800, 1300))),
    "labels of test slipped by one row": Fault(
        "shuffled-labels", "error", "labels of the test part .* 1 row before", by(lambda given: f.slipped(given, given.test)), 500
    ),
    "labels of train slipped by one row": Fault(
        "shuffled-labels", "error", "labels of the train part .* 1 row before", by(lambda given: f.slipped(given, given.train))
    ),
    "labels slipped by one row from row 1,200 on": Fault(
        "shuffled-labels", "error", "rows of the train part, from .* 1 row before", by(lambda given: f.slipped(given, given.train[1200:]))
    ),
    "labels from 1": Fault("label-range", "error", "labels run from 1 to 10", by(f.numbered_from_one)),
    "a label that names no class": Fault("label-range", "error", "labels run from 0 to 10", by(f.beyond_the_classes)),
    # Pixels
    "blank images in several classes": Fault("odd-images", "warning", "6 images are blank", by(f.in_some(f.blank, 6)), 6),
    "negatives in test": Fault("odd-images", "error", "The test images look like negatives", by(f.in_test(f.inverted)), 500),
    "a few negatives": Fault("odd-images", "warning", "of the images seem to be negatives", by(f.in_some(f.inverted, 80)), 40),
    "test images in 0..1": Fault("odd-images", "error", "images of test have no value above 1 of", by(f.in_test(f.to_one)), 490, beside=("shuffled-labels",)),
    "test images in 0..15": Fault("odd-images", "error", "images of test have no value above 15 of", by(f.in_test(f.to_fifteen)), 490),
    "some images in 0..1": Fault("odd-images", "warning", "40 images of 2,500 have no value above 16", by(f.in_some(f.to_one, 40)), 40),
    "planes read as pixels": Fault("layout", "error", "hold planes .* that were read pixel by pixel", by(f.everywhere(f.planes_as_pixels))),
    "planes read as pixels in test": Fault("layout", "error", "most of the test part.* hold planes", by(f.in_test(f.planes_as_pixels))),
    "planes read as pixels, a few": Fault("layout", "warning", "hold planes .* that were read pixel by pixel", by(f.in_some(f.planes_as_pixels, 60)), 50),
    "pixels read as planes": Fault("layout", "error", "hold pixels that were read as planes", by(f.everywhere(f.pixels_as_planes))),
    "pickled tables of colour planes read as pixels": Fault(
        "layout", "error", "hold planes .* that were read pixel by pixel", files.colour_tables, settings={"data.layout": "interleaved"}
    ),
    "red and blue exchanged in test": Fault("layout", "error", "test part are with red and blue exchanged", by(f.in_test(f.blue_first))),
    "test images on their side": Fault("layout", "error", "test part are on their side", by(f.in_test(f.on_their_side))),
    "test images upside down": Fault("layout", "error", "test part are upside down", by(f.in_test(f.upside_down))),
    "all images on their side": Fault("layout", "warning", "All images may lie on their side", by(f.everywhere(f.on_their_side))),
    # Shortcuts
    "two classes saved with another JPEG quality": Fault(
        "shortcuts", "warning", "class of an image can be told from its .*quality", files.by_class(files.jpeg(95), files.jpeg(70), "cat", "dog"), size=FILES
    ),
    "two classes of another size": Fault(
        "shortcuts",
        "warning",
        "class of an image can be told from its .*dimensions",
        files.by_class(files.png, files.of_size(40, 36), "ship", "truck"),
        size=FILES,
        settings=_AT_32,
    ),
    "two classes with a black border": Fault(
        "shortcuts", "warning", "class of an image can be told from its .*border", by(f.in_class(f.framed, "frog", "deer"))
    ),
    "a cast of colour to each class": Fault("shortcuts", "note", "mean colour of an image nearly tells its class", by(f.own_cast)),
    "a class with a strong cast of colour": Fault(
        "shortcuts", "note", "mean colour .* ranks an image of “horse”", by(f.in_class(partial(f.redder, by=45), "horse"))
    ),
    "test files not compressed": Fault(
        "shortcuts", "warning", "in test or in train can be told from its .*size", files.by_part(files.png, files.uncompressed), size=FILES
    ),
    # Parts
    "test images brighter": Fault("drift", "warning", "Test images differ .* brightness is higher", by(f.in_test(partial(f.brighter, by=40)))),
    "test images blurred": Fault("drift", "warning", "Test images differ .* sharpness is lower", by(f.in_test(partial(f.blurred, radius=0.8)))),
    "test images with a cast of colour": Fault("drift", "warning", "Test images differ .* warmth of colour is higher", by(f.in_test(partial(f.redder, by=20)))),
    "other shares of classes in test": Fault(
        "drift", "warning", "Classes have other shares in test", by(lambda given: f.fewer_in_test(given, "bird", "cat", "deer", "dog", "frog", "horse"))
    ),
    "subjects in train and in test": Fault("groups", "warning", "groups are in train and in test", files.subjects, 50, FILES),
    "bursts of one picture in train and in test": Fault(
        "groups", "warning", "Bursts of images seem to cross train and test", files.bursts, beside=("near-duplicates",)
    ),
    "a test part of 100 images": Fault("test-size", "warning", "With 100 test images", by(lambda given: given.without(given.test[100:]))),
}
