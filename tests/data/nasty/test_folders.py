"""Nasty inputs N01 to N16: folders, classes and parts. One test each, named by its row in docs/nasty.md."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rung.data.describe import describe
from rung.data.imageset import TEST, TRAIN, VALIDATION
from rung.data.load import from_arrays
from rung.errors import DataError
from tests.data.nasty.support import built, check_left_out, check_warned, loaded, put
from tests.data.nasty.tree import PER_CLASS, fill, picture


def test_n01_an_empty_class_folder_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    photos = built(tmp_path, "n01")
    with pytest.raises(DataError, match=r"1 class folder is empty: bird;.*data\.allow_empty_classes=true"):
        loaded(photos)
    images = loaded(photos, allow_empty_classes=True)
    assert images.classes == ("cat", "dog")
    assert any("bird" in remark for remark in images.remarks)


def test_n02_no_image_at_all_shows_the_first_names(tmp_path: Path) -> None:
    folder = built(tmp_path, "n02").parent
    with pytest.raises(DataError, match=r"no image found in .*note0\.doc, note1\.doc, note2\.doc, note3\.doc, note4\.doc; expected one folder"):
        loaded(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="it is empty"):
        loaded(tmp_path / "empty")


def test_n03_a_root_that_is_not_there_names_the_nearest_folder(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"photos/dgo/x does not exist; the nearest folder that does is .*photos: it holds cat, dog; did you mean 'dog'"):
        loaded(photos / "dgo" / "x")
    with pytest.raises(DataError, match=r"'cifar11' is no data that rung knows.*did you mean 'cifar1"):
        loaded("cifar11")
    monkeypatch.chdir(photos.parent)
    with pytest.raises(DataError, match=r"no folder of that name is in .*did you mean 'photos'"):
        loaded("photo")


def test_n04_one_class_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only one class, cat: two are needed"):
        loaded(built(tmp_path, "n04"))


def test_n05_one_image_in_a_class_is_a_warning(tmp_path: Path) -> None:
    check_warned(built(tmp_path, "n05"), words="one training image, which cannot be split by class: bird")


def test_n07_folders_of_the_system_are_no_classes_and_are_listed(tmp_path: Path) -> None:
    images = loaded(built(tmp_path, "n07"), strict=True)
    assert images.classes == ("cat", "dog")
    assert len(images) == 6
    names = (".ipynb_checkpoints", "__MACOSX", "@eaDir", "lost+found", ".hidden")
    assert {note.path for note in images.repaired} == {path for name in names for path in (name, f"cat/{name}")}


def test_n08_images_beside_class_folders_have_no_class(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 images lie in .*photos itself \(lost\.png\) beside the class folders cat, dog: which class"):
        loaded(built(tmp_path, "n08"))
    fill(tmp_path / "loose", 2, 0)
    with pytest.raises(DataError, match="and no class folder: which class"):
        loaded(tmp_path / "loose")


def test_n09_an_image_of_train_in_a_given_part_is_a_warning_with_the_count(tmp_path: Path) -> None:
    folder = built(tmp_path, "n09").parent
    said = "1 test images are in train too, pixel for pixel (such as test/cat/copy.png, which is train/cat/0.png)"
    images = check_warned(folder, words=said)
    assert describe(images).duplicates == {"train & test": 1}
    assert len(images) == 17, "given parts are left as they are"
    (folder / "val").mkdir()
    for name in ("cat", "dog"):
        shutil.copytree(folder / "train" / name, folder / "val" / name)
    assert sum("8 validation images are in train too" in warning for warning in loaded(folder).warnings) == 1


def test_n10_the_same_image_in_two_classes_is_left_out_as_a_pair(tmp_path: Path) -> None:
    photos = built(tmp_path, "n10")
    images = loaded(photos)
    assert [(note.path, note.reason) for note in images.dropped] == [
        ("cat/0.png", "is the same image as dog/copy.png, which is of class 'dog'"),
        ("dog/copy.png", "is the same image as cat/0.png, which is of class 'cat'"),
    ]
    assert len(images) == len(images.digests) == len(images.sources) == 2 * PER_CLASS - 1
    assert np.array_equal(images.images[images.sources.index("dog/3.png")], np.asarray(picture(1003)))
    with pytest.raises(DataError, match=r"cat/0\.png is the same image as dog/copy\.png.*data\.strict allows none"):
        loaded(photos, strict=True)
    for k in range(2):
        (photos / "dog" / f"more{k}.png").write_bytes((photos / "cat" / f"{k + 1}.png").read_bytes())
    with pytest.raises(DataError, match=r"class 'cat' would lose 3 of 24 images, more than 5%: cat/0\.png is the same image as dog/copy\.png"):
        loaded(photos)


def test_n62_blank_images_of_two_classes_stay_with_a_warning_for_they_contradict_nothing(tmp_path: Path) -> None:
    photos = built(tmp_path, "n10")
    (photos / "dog" / "copy.png").unlink()
    for name in ("cat", "dog"):
        Image.fromarray(np.full((32, 32, 3), 7, np.uint8)).save(photos / name / "blank.png")
    images = check_warned(photos, words="2 images have all pixels equal (such as cat/blank.png)")
    assert images.dropped == ()


@pytest.mark.parametrize(("given", "low", "high"), [((1, 2, 3), 1, 3), ((-1, 0, 1), -1, 1), ((0, 1, 3), 0, 3)])
def test_n12_labels_out_of_range_show_range_found_and_expected(given: tuple[int, ...], low: int, high: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(DataError, match=rf"run from {low} to {high} .*expected 0\.\.2 for 3 classes"):
        from_arrays(images, np.array(given), classes=["a", "b", "c"])


def test_n12_labels_that_start_at_one_are_no_classes_of_their_own() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(DataError, match=r"^labels run from 1 to 3, expected 0\.\.2: subtract 1 from each; or, .* write them as words$"):
        from_arrays(images, np.array([1, 2, 3]))


def test_n13_class_names_spelled_in_two_ways_show_the_closest_match(tmp_path: Path) -> None:
    folder = built(tmp_path, "n13").parent
    for k, (train, test) in enumerate((("Cat", "cat"), ("big cat", "big_cat"), ("café", "cafe"))):
        with pytest.raises(DataError, match=f"differ between t.*'{train}'.*'{test}'|differ between t.*'{test}'.*'{train}'"):
            loaded(folder / str(k))


def test_n13_order_alone_is_no_difference(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "dog", 3, 0)
    fill(tmp_path / "train" / "cat", 3, 10)
    fill(tmp_path / "test" / "cat", 3, 20)
    fill(tmp_path / "test" / "dog", 3, 30)
    images = loaded(tmp_path)
    assert images.classes == ("cat", "dog")
    assert all(images.classes[label] in source for label, source in zip(images.labels, images.sources, strict=True))


def test_n14_a_class_only_in_test_is_an_error(tmp_path: Path) -> None:
    photos = built(tmp_path, "n14")
    with pytest.raises(DataError, match=r"class 'cats' is in the test part \(2 images\) but not in train: did you mean 'cat'"):
        loaded(photos, photos.parent / "test")


def test_n15_a_class_only_in_train_is_a_warning(tmp_path: Path) -> None:
    photos = built(tmp_path, "n15")
    check_warned(photos, photos.parent / "test", words="no image in the test part: cat")


def test_n16_known_rubbish_is_ignored_and_other_files_are_left_out(tmp_path: Path, photos: Path) -> None:
    images = loaded(built(tmp_path, "n16"), strict=True)
    assert {note.path for note in images.repaired} == {"cat/.DS_Store", "cat/Thumbs.db", "cat/notes.txt"}
    check_left_out(photos, put(photos, "n16/model.bin"), "not an image of a known format")


def test_above_five_percent_of_a_class_is_an_error_that_lists_them(photos: Path) -> None:
    for k in range(2):
        (photos / "cat" / f"empty{k}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"class 'cat' would lose 2 of 26 images, more than 5%: cat/empty0\.png is empty .*empty1"):
        loaded(photos)


def test_a_class_without_a_usable_image_is_an_error(photos: Path) -> None:
    (photos / "bird").mkdir()
    (photos / "bird" / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"no image of class 'bird' can be used: bird/a\.png is empty"):
        loaded(photos)


def test_the_good_folder_is_what_the_tests_think(photos: Path) -> None:
    images = loaded(photos, strict=True)
    assert len(images) == 2 * PER_CLASS
    assert (images.parts == TRAIN).all()
    assert {TRAIN, VALIDATION, TEST} == {0, 1, 2}
    assert images.warnings == images.dropped == images.repaired == images.remarks == ()
    assert np.array_equal(images.images[images.sources.index("dog/3.png")], np.asarray(picture(1003)))
