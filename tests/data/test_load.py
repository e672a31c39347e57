"""Any source as one ImageSet: names, folders, parts, several roots, and picking classes."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from rung.data import gather
from rung.data.imageset import FACTS, FORMATS, TEST, TRAIN, VALIDATION, ImageSet, pixel_digest
from rung.data.load import from_arrays, load
from rung.data.sources import is_name
from rung.errors import DataError, RecipeError
from rung.recipe import Data, Pixels


def loaded(*sources: Path | str, pixels: Pixels | None = None, **data: object) -> ImageSet:
    return load(Data.model_validate({"sources": tuple(str(s) for s in sources), **data}), pixels or Pixels())


def fill(folder: Path, count: int, size: tuple[int, int] = (10, 10), seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, *os.fsencode(folder.name)])
    for k in range(count):
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / f"{k}.png")


def parts(images: ImageSet) -> dict[str, int]:
    return {"train": int((images.parts == TRAIN).sum()), "validation": int((images.parts == VALIDATION).sum()), "test": int((images.parts == TEST).sum())}


def test_digits_are_scikit_learns_scaled_to_255() -> None:
    images = loaded("digits")
    reference = load_digits()
    assert images.images.shape == (1797, 8, 8, 1)
    assert np.array_equal(images.images[..., 0], np.rint(reference.images * 255 / 16))
    assert np.array_equal(images.labels, reference.target)
    assert images.classes == tuple("0123456789")
    assert parts(images) == {"train": 1797, "validation": 0, "test": 0}
    assert images.validation_rule == "fraction"


def test_a_name_beats_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "digits" / "a", 2)
    fill(tmp_path / "digits" / "b", 2)
    monkeypatch.chdir(tmp_path)
    assert len(loaded("digits")) == 1797
    assert loaded("./digits").classes == ("a", "b")
    assert is_name("digits")
    assert is_name("cifar100:fish")
    assert not is_name("./digits")


def test_the_same_digits_as_files_are_the_same_images(digits_folder: Path) -> None:
    images, reference = loaded(digits_folder), loaded("digits")
    assert images.images.shape == (300, 8, 8, 1)
    rows = [int(Path(source).stem) for source in images.sources]
    assert np.array_equal(images.images, reference.images[rows])
    assert np.array_equal(images.digests, reference.digests[rows])
    assert [images.classes[k] for k in images.labels] == [reference.classes[k] for k in reference.labels[rows]]
    assert images.root_names == ("digits",)
    assert images.warnings == images.remarks == ()


def test_facts_tell_what_each_file_is(tmp_path: Path) -> None:
    fill(tmp_path / "a", 1, (10, 14))
    fill(tmp_path / "b", 30)
    Image.new("RGB", (30, 20), "red").save(tmp_path / "b" / "5.png", "JPEG", quality=60)
    (tmp_path / "b" / "7.png").write_bytes(b"")
    images = loaded(tmp_path)
    assert images.facts is not None
    rows = {source: dict(zip(FACTS.names or (), row.item(), strict=True)) for source, row in zip(images.sources, images.facts, strict=True)}
    size = (tmp_path / "b" / "5.png").stat().st_size
    assert len(rows) == 30
    assert rows["b/5.png"] == {"bytes": size, "height": 20, "width": 30, "format": FORMATS.index("JPEG"), "quality": 60}
    assert (rows["a/0.png"]["height"], rows["a/0.png"]["width"], rows["a/0.png"]["format"]) == (10, 14, FORMATS.index("PNG"))
    assert images.take(np.array([2])).facts == images.facts[2:3]


def test_facts_of_rows_that_come_from_no_file_are_zero(digits_folder: Path) -> None:
    assert loaded("digits").facts is None
    facts = loaded("digits", digits_folder).facts
    assert facts is not None
    assert (facts["bytes"] > 0).tolist() == [False] * 1797 + [True] * 300


def test_digests_of_reduced_jpegs_do_not_depend_on_the_size(tmp_path: Path) -> None:
    for k, name in enumerate(("a", "b", "b")):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.new("RGB", (400, 300), ("red", "green", "blue")[k]).save(tmp_path / name / f"{k}.jpg")
    small, large = (loaded(tmp_path, pixels=Pixels(size=size, reduced_jpeg=True)) for size in (16, 64))
    assert small.digests.tolist() == large.digests.tolist()
    assert len(set(small.digests.tolist())) == 3
    whole = loaded(tmp_path, pixels=Pixels(size=301, reduced_jpeg=True))  # nothing to reduce
    assert whole.digests.tolist() == loaded(tmp_path).digests.tolist() != small.digests.tolist()


def test_no_source_and_unknown_sources(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no data named: give a name"):
        loaded()
    with pytest.raises(DataError, match=r"'digit' is no data that rung knows.*did you mean 'digits'"):
        loaded("digit")
    (tmp_path / "x.zip").write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.zip is neither a folder nor a file of a known kind \(\.csv, \.tsv, .*give a folder"):
        loaded(tmp_path / "x.zip")


def test_natural_order_of_classes_and_files(tmp_path: Path) -> None:
    for name in ("c10", "c2", "B1"):
        fill(tmp_path / name, 11)
    images = loaded(tmp_path)
    assert images.classes == ("B1", "c2", "c10")
    assert [s for s in images.sources if s.startswith("c2/")] == [f"c2/{k}.png" for k in range(11)]


def test_subfolders_of_a_class_folder_belong_to_the_class(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "x" / "y", 2)
    fill(tmp_path / "a", 2)
    fill(tmp_path / "b", 2)
    images = loaded(tmp_path)
    assert Counter(images.classes[k] for k in images.labels) == {"a": 4, "b": 2}
    assert "a/x/y/1.png" in images.sources


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "validation", "test_set"), ("train1", "valid_1", "TEST")])
def test_parts_by_the_names_of_folders(tmp_path: Path, names: tuple[str, str, str]) -> None:
    for name, count in zip(names, (4, 3, 2), strict=True):
        for k in ("a", "b"):
            fill(tmp_path / name / k, count, seed=count)
    images = loaded(tmp_path)
    assert parts(images) == {"train": 8, "validation": 6, "test": 4}
    assert images.root_names == names
    assert images.sources[0] == f"{names[0]}/a/0.png"


def test_five_training_folders_are_roots_by_name(tmp_path: Path) -> None:
    for name in ("train1", "train2", "train10", "test"):
        for k in ("000_airplane", "001_automobile"):
            fill(tmp_path / name / k, 2, seed=len(name))
    images = loaded(tmp_path)
    assert images.root_names == ("train1", "train2", "train10", "test")
    assert np.bincount(images.roots).tolist() == [4, 4, 4, 4]
    assert parts(images) == {"train": 12, "validation": 0, "test": 4}
    one_by_one = loaded(*(tmp_path / name for name in images.root_names))
    assert (one_by_one.root_names, one_by_one.sources, one_by_one.hash()) == (images.root_names, images.sources, images.hash())


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("bicycle", "train", "tank"):
        fill(tmp_path / name, 2)
    assert loaded(tmp_path).classes == ("bicycle", "tank", "train")
    fill(tmp_path / "train" / "steam", 2)
    assert loaded(tmp_path).classes == ("bicycle", "tank", "train")


def test_parts_beside_other_folders_are_not_guessed(tmp_path: Path) -> None:
    for name in ("train", "test", "unlabelled"):
        fill(tmp_path / name / "a", 2)
    with pytest.raises(DataError, match=r"holds parts of the data \(test, train\) and other folders \(unlabelled\)"):
        loaded(tmp_path)


def test_no_training_images(tmp_path: Path) -> None:
    for k in ("a", "b"):
        fill(tmp_path / "test" / k, 2)
    with pytest.raises(DataError, match="no training images: all 4 lie in test"):
        loaded(tmp_path)


def test_several_roots_unite_their_classes_by_name(tmp_path: Path) -> None:
    for root, names in (("one", "ab"), ("two", "bc")):
        for name in names:
            fill(tmp_path / root / name, 3, seed=len(root) + ord(root[0]))
    images = loaded(tmp_path / "one", tmp_path / "two")
    assert images.name == "one+two"
    assert images.classes == ("a", "b", "c")
    assert images.root_names == ("one", "two")
    assert Counter((images.root_names[r], images.classes[k]) for r, k in zip(images.roots, images.labels, strict=True)) == {
        ("one", "a"): 3, ("one", "b"): 3, ("two", "b"): 3, ("two", "c"): 3,
    }  # fmt: skip
    assert images.sources[0] == "one/a/0.png"
    assert len(set(images.sources)) == 12


def test_roots_of_one_name_are_told_apart_and_none_is_read_twice(tmp_path: Path) -> None:
    for shop in ("north", "south"):
        for k in ("a", "b"):
            fill(tmp_path / shop / "photos" / k, 2)
    images = loaded(tmp_path / "north" / "photos", tmp_path / "south" / "photos")
    assert images.root_names == ("north/photos", "south/photos")
    with pytest.raises(DataError, match="photos is given twice"):
        loaded(tmp_path / "north" / "photos", tmp_path / "north" / "photos" / ".")
    with pytest.raises(DataError, match=r"lies in .*north, which is given too"):
        loaded(tmp_path / "north", tmp_path / "north" / "photos")
    with pytest.raises(DataError, match="digits is given 2 times"):
        loaded("digits", "digits")


def test_files_and_arrays_unite(tmp_path: Path, digits_folder: Path) -> None:
    np.savez(tmp_path / "test.npz", x=np.arange(256, dtype=np.uint8).reshape(4, 8, 8), y=np.arange(4))
    images = loaded(digits_folder, tmp_path / "test.npz", "digits")
    assert parts(images) == {"train": 2097, "validation": 0, "test": 4}
    assert images.root_names == (f"{digits_folder.parent.name}/digits", "test", "digits")
    assert images.images.shape == (2101, 8, 8, 1)


def test_picking_merging_and_renaming_work_on_any_data(digits_folder: Path) -> None:
    for source in ("digits", digits_folder):
        images = loaded(source, classes="even=0,2,4,6,8; three=3; 1")
        assert images.classes == ("1", "even", "three")
        own = [source.split("/")[0] for source in images.sources] if source is digits_folder else load_digits().target[[int(s[7:]) for s in images.sources]]
        names = {"0": "even", "2": "even", "4": "even", "6": "even", "8": "even", "3": "three", "1": "1"}
        assert [images.classes[k] for k in images.labels] == [names[str(o)] for o in own]
    with pytest.raises(RecipeError, match="asks for 'ten', which the data do not have"):
        loaded("digits", classes="ten; 1")
    with pytest.raises(DataError, match="only one class, odd"):
        loaded("digits", classes="odd=1,3")


def test_per_class_keeps_the_first_training_rows_and_the_test_part_whole(tmp_path: Path) -> None:
    for part, count in (("train", 7), ("test", 5)):
        for k in ("a", "b"):
            fill(tmp_path / part / k, count, seed=count)
    images = loaded(tmp_path, per_class=3)
    assert parts(images) == {"train": 6, "validation": 0, "test": 10}
    assert [s for s in images.sources if s.startswith("train/a")] == [f"train/a/{k}.png" for k in range(3)]
    digits = loaded("digits", per_class=5)
    assert np.bincount(digits.labels).tolist() == [5] * 10
    assert digits.sources[0] == "digits#0"


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([(10, 10), (10, 10)], 10), ([(10, 10), (12, 12)], 64), ([(10, 12), (10, 12)], 64), ([(64, 64), (64, 64)], 64), ([(70, 70), (70, 70)], 64)],
)
def test_size_auto_keeps_small_squares(tmp_path: Path, sizes: list[tuple[int, int]], expected: int) -> None:
    for name, size in zip("ab", sizes, strict=True):
        fill(tmp_path / name, 2, size)
    assert loaded(tmp_path).images.shape == (4, expected, expected, 3)
    arrays = [np.asarray(Image.open(tmp_path / name / "0.png")) for name in "ab"]
    if arrays[0].shape == arrays[1].shape:
        assert from_arrays(np.stack(arrays), [0, 1]).images.shape == (2, expected, expected, 3)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("colour", ["auto", "rgb", "grey"])
def test_size_auto_that_ends_at_64_gives_what_64_gives(tmp_path: Path, fit: str, colour: str) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)
    (tmp_path / "one" / "a").mkdir(parents=True)
    for k in range(3):
        Image.fromarray(grey + k).save(tmp_path / "one" / "a" / f"{k}.png")
    for name, size in (("b", (12, 12)), ("c", (30, 50)), ("d", (64, 64)), ("e", (20, 20)), ("f", (200, 100))):
        fill(tmp_path / "one" / name, 2, size)
    fill(tmp_path / "two" / "a", 2, (9, 9))
    for sources in ([tmp_path / "one"], [tmp_path / "two", tmp_path / "one"]):
        auto, given = (loaded(*sources, pixels=Pixels(size=size, fit=fit, colour=colour)) for size in ("auto", 64))
        assert auto.images.shape == given.images.shape
        assert auto.hash() == given.hash()


def test_colour_auto_is_grey_only_where_every_image_is(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (10, 10), dtype=np.uint8)
    for k, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.stack([grey + k] * 3, axis=2)).save(tmp_path / name / "x.png")
    assert loaded(tmp_path).images.shape[3] == 1
    assert loaded(tmp_path, pixels=Pixels(colour="rgb")).images.shape[3] == 3
    fill(tmp_path / "b", 1)
    assert loaded(tmp_path).images.shape[3] == 3
    assert loaded(tmp_path, pixels=Pixels(colour="grey")).images.shape[3] == 1


def test_digests_are_of_the_image_as_it_lies_there(tmp_path: Path) -> None:
    fill(tmp_path / "a", 2, (20, 30))
    fill(tmp_path / "b", 2, (30, 20))
    images = loaded(tmp_path)
    for source, digest in zip(images.sources, images.digests, strict=True):
        assert digest == pixel_digest(np.asarray(Image.open(tmp_path / source)))
    assert np.array_equal(images.digests, loaded(tmp_path, pixels=Pixels(size=7, colour="grey", fit="crop")).digests)


@pytest.mark.parametrize("threads", [1, 3, 16])
def test_threads_and_chunks_change_nothing(tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for k, name in enumerate("ab"):
        fill(tmp_path / name, 20, (10 + k, 14))
    (tmp_path / "a" / "7.png").write_bytes(b"")
    expected = loaded(tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(threads), raising=False)
    monkeypatch.setattr(gather, "_BLOCK_ROWS", 3)
    found = loaded(tmp_path)
    assert found.hash() == expected.hash()
    assert (found.sources, found.dropped, found.repaired, found.warnings) == (expected.sources, expected.dropped, expected.repaired, expected.warnings)


def test_progress_ends_at_the_total(digits_folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    load(Data(sources=(str(digits_folder),)), Pixels(), progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (32, 300)
    assert seen[-1] == (300, 300)
    assert sorted(seen) == seen


def test_strict_stops_at_a_warning(tmp_path: Path) -> None:
    fill(tmp_path / "a", 2, (4, 4))
    fill(tmp_path / "b", 2, (4, 4))
    assert loaded(tmp_path).warnings
    with pytest.raises(DataError, match=r"data\.strict allows no warning: 4 images are less than 8 pixels"):
        loaded(tmp_path, strict=True)
