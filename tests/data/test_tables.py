"""Tables of paths and labels, or of pixels and labels, as text: columns, parts, groups, several files, and what does not fit."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from rung.data.formats import columns
from rung.data.imageset import TEST, TRAIN, VALIDATION, ImageSet
from rung.data.load import load
from rung.errors import DataError
from rung.recipe import Data, Pixels

NAMES = ("cat", "dog")


def loaded(*sources: Path | str, **data: object) -> ImageSet:
    return load(Data.model_validate({"sources": tuple(str(s) for s in sources), **data}), Pixels())


def picture(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (10, 10, 3), dtype=np.uint8))


def table(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(head)
        writer.writerows(rows)
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with twenty pictures in img/, of cats if their number is even, else of dogs."""
    (tmp_path / "shop" / "img").mkdir(parents=True)
    for k in range(20):
        picture(k).save(tmp_path / "shop" / "img" / f"{k}.png")
    return tmp_path / "shop"


def rows(count: int = 20, start: int = 0) -> list[tuple[str, str]]:
    return [(f"img/{k}.png", NAMES[k % 2]) for k in range(start, start + count)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("head", [("path", "label"), ("Image_Path", "Class Name"), ("filename", "target")])
def test_paths_and_labels_are_read_below_the_tables_folder(shop: Path, delimiter: str, head: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    images = loaded(table(shop / "all.csv", head, rows(), delimiter))
    assert images.classes == NAMES
    assert images.sources == tuple(path for path, _ in rows())
    assert [images.classes[k] for k in images.labels] == [name for _, name in rows()]
    assert all(np.array_equal(image, np.asarray(picture(k))) for k, image in enumerate(images.images))
    assert images.root_names == (images.name,) == ("all",)
    assert images.groups is None
    assert images.warnings == images.remarks == images.repaired == ()


def test_quotes_line_ends_a_mark_of_utf8_and_odd_names_in_cells(shop: Path) -> None:
    odd = ["two\nlines.png", 'a "quoted", name.png', "=1+1.png", "-dash.png", "é.png", "e\u0301.png", "😀.png"]
    for k, name in enumerate(odd):
        picture(100 + k).save(shop / "img" / name)
    made = table(shop / "odd.csv", ("path", "label"), [(f"img/{name}", "Kätzchen, =klein") for name in odd] + rows(7, 1))
    made.write_bytes(b"\xef\xbb\xbf" + made.read_bytes())
    images = loaded(made)
    assert [source.removeprefix("img/") for source in images.sources[:7]] == odd
    assert images.classes == ("cat", "dog", "Kätzchen, =klein")


def test_names_that_are_not_utf8_are_found(shop: Path) -> None:
    raw = os.fsencode(shop / "img") + b"/caf\xe9.png"
    with open(raw, "wb") as file:
        picture(50).save(file, "PNG")
    (shop / "raw.csv").write_bytes(b"path,label\nimg/caf\xe9.png,cat\nimg/1.png,dog\nimg/2.png,cat\n")
    assert "img/caf\\xe9.png" in loaded(shop / "raw.csv").sources


def test_a_part_column_says_the_parts_and_a_group_column_the_groups(shop: Path) -> None:
    parts = ["train"] * 12 + ["val"] * 4 + ["Test"] * 4
    made = table(
        shop / "all.csv", ("path", "label", "split", "patient_id"), [(*row, part, k // 4) for k, (row, part) in enumerate(zip(rows(), parts, strict=True))]
    )
    images = loaded(made)
    assert images.parts.tolist() == [TRAIN] * 12 + [VALIDATION] * 4 + [TEST] * 4
    assert images.groups is not None
    assert (images.groups[:, None] == images.groups).sum() == 20 * 4
    assert images.remarks == (
        f"in parts that rung draws, rows of {made} with the same 'patient_id' stay together; the parts that 'split' gives are left as they are",
    )
    assert loaded(made, part_column="").remarks == (f"in parts that rung draws, rows of {made} with the same 'patient_id' stay together",)
    without = loaded(made, part_column="", group_column="")
    assert (without.parts == TRAIN).all()
    assert without.groups is None


def test_rows_without_a_group_are_groups_of_their_own(shop: Path) -> None:
    grouped = table(shop / "one.csv", ("path", "label", "subject"), [(*row, "a" if k < 4 else "") for k, row in enumerate(rows(10))])
    images = loaded(grouped, table(shop / "two.csv", ("path", "label"), rows(10, 10)))
    assert images.groups is not None
    assert len(set(images.groups.tolist())) == 17
    assert len(set(images.groups[:4].tolist())) == 1


def test_columns_are_named_by_options(shop: Path) -> None:
    made = table(shop / "all.csv", ("where", "what", "when"), [(*row, "train") for row in rows()])
    images = loaded(made, image_column="where", label_column="what", part_column="when")
    assert images.classes == NAMES
    for option, message in (
        ({}, r"has no column of labels that rung knows by its name, only where, what, when: name it with --set data\.label_column"),
        ({"label_column": "what"}, r"has no column of images that rung knows by its name, only where, when: name it with --set data\.image_column"),
        ({"label_column": "wath"}, r"data\.label_column = 'wath' is no column of .*all\.csv: did you mean 'what'"),
        ({"label_column": "what", "image_column": "were"}, r"data\.image_column = 'were' is no column .*did you mean 'where'"),
        ({"label_column": "what", "part_column": "wen"}, r"data\.part_column = 'wen' is no column"),
        ({"label_column": "what", "image_column": "where", "group_column": "x"}, r"data\.group_column = 'x' is no column"),
    ):
        with pytest.raises(DataError, match=message):
            loaded(made, **option)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (("path", "label", "class"), r"has 2 columns that could be the label: label, class; say which with --set data\.label_column=label"),
        (("path", "file", "label"), r"has 2 columns that could be the image: path, file; say which with --set data\.image_column=path"),
        (("path", "label", "split", "part"), r"2 columns that could be the part: split, part"),
        (("path", "label", "label"), r"has two columns 'label': give each its own name"),
    ],
)
def test_columns_that_fit_twice_name_the_option(head: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        columns.find(head, Data(), "t.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: its first line should name the columns, such as path,label"),
        ("path,label\n", "has no rows"),
        ("path,label\nimg/0.png,cat\nimg/1.png\n", "row 3 has 1 cells where there are 2 columns"),
        ("path,label\nimg/0.png,cat\n\nimg/1.png,dog\n", "row 3 is empty"),
        ("path,label\nimg/0.png,cat\nimg/1.png,\n", "row 3 has no label: every image needs a class"),
        ("path,label\nimg/0.png,cat\n,dog\n", r"row 3 of x\.csv has no path to an image"),
        ("path,label\nimg/0.png,cat\nimg/1\0.png,dog\n", r"row 3 of x\.csv has no path to an image"),
        ('path,label\nimg/0.png,"cat\n', r"is not a table that can be read \(unexpected end of data\)"),
        ("path,label,split\nimg/0.png,cat,train\nimg/1.png,dog,later\n", r"row 3 is of the part 'later': expected train, validation or test"),
        ("path,label\nimg/0.png,0.5\nimg/1.png,1.5\n", r"holds 0\.5, which is not a whole number"),
        ("path,label\nimg/0.png,1\nimg/1.png,2\n", r"labels of x\.csv run from 1 to 2, expected 0\.\.1: subtract 1 from each; .*write them as words"),
        ("path,label\nimg/0.png,-1\nimg/1.png,0\n", r"labels \(the labels of .*x\.csv\) run from -1 to 0, expected whole numbers from 0"),
        ("path,label\nimg/0.png,0\nimg/1.png,2\n", "1 class has no image: 1"),
        ("5,0,0,0,1\n6,1,1,0,1\n", "the first line of .* holds numbers: it should name the columns"),
    ],
)
def test_what_does_not_fit_names_the_row(shop: Path, text: str, message: str) -> None:
    (shop / "x.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        loaded(shop / "x.csv")


@pytest.mark.parametrize(
    ("labels", "classes"), [(["0", "1"], ("0", "1")), (["0.0", "1.0"], ("0", "1")), (["007", "008"], ("007", "008")), (["1x", "2"], ("1x", "2"))]
)
def test_labels_as_text_are_cast_exactly_or_are_names(shop: Path, labels: list[str], classes: tuple[str, ...]) -> None:
    images = loaded(table(shop / "x.csv", ("path", "label"), [(f"img/{k}.png", labels[k % 2]) for k in range(4)]))
    assert images.classes == classes
    assert images.labels.tolist() == [0, 1, 0, 1]


def test_numbers_need_not_all_be_in_every_table(shop: Path) -> None:
    train = table(shop / "train.csv", ("path", "label"), [(f"img/{k}.png", k % 3) for k in range(9)])
    test = table(shop / "test.csv", ("path", "label"), [(f"img/{k}.png", 1 + k % 2) for k in range(10, 14)])
    images = loaded(train, test)
    assert images.classes == ("0", "1", "2")
    assert images.parts.tolist() == [TRAIN] * 9 + [TEST] * 4


def test_files_that_are_missing_or_no_images_are_left_out_up_to_five_per_cent(shop: Path) -> None:
    made = table(shop / "x.csv", ("path", "label"), [(f"img/{k % 20}.png" if k < 20 else f"img/extra{k}.png", "cat" if k % 2 else "dog") for k in range(60)])
    for k in range(20, 60):
        if k != 33:
            picture(k).save(shop / "img" / f"extra{k}.png")
    images = loaded(made)
    assert [(note.path, note.reason) for note in images.dropped] == [("img/extra33.png", "does not exist")]
    assert len(images) == 59
    with pytest.raises(DataError, match=r"img/extra33\.png does not exist; data\.strict allows none"):
        loaded(made, strict=True)
    (shop / "img" / "extra35.png").unlink()
    with pytest.raises(DataError, match=r"class 'cat' would lose 2 of 30 images, more than 5%: img/extra33\.png does not exist"):
        loaded(made)


def test_a_folder_of_tables_and_one_folder_of_images_says_how_to_read_a_table(shop: Path) -> None:
    table(shop / "x.csv", ("path", "label"), rows())
    with pytest.raises(DataError, match=rf"only one class folder in {shop}, img, and there are tables \(x\.csv\): to read one, rung data {shop}/x\.csv$"):
        loaded(shop)


def test_paths_that_are_all_wrong_say_below_which_folder_they_are_taken(shop: Path) -> None:
    made = table(shop / "x.csv", ("path", "label"), [(f"images/{path}", name) for path, name in rows()])
    with pytest.raises(DataError, match=rf"none of the 20 paths of {made} exist \(such as images/img/0\.png\): they are taken below {shop.resolve()};"):
        loaded(made)


def test_a_path_that_stands_twice_is_read_once_and_with_two_classes_not_at_all(shop: Path) -> None:
    for k in range(20, 60):
        picture(k).save(shop / "img" / f"{k}.png")
    images = loaded(table(shop / "x.csv", ("path", "label"), [*rows(60), ("./img/4.png", "cat")]))
    assert len(images) == 60
    assert [(n.path, n.reason) for n in images.repaired] == [("img/4.png", "stands in row 6 of x.csv and in row 62 of x.csv: read once")]
    images = loaded(table(shop / "x.csv", ("path", "label"), [*rows(60), ("img/4.png", "dog")]))
    assert len(images) == 59
    assert [n.reason for n in images.dropped] == [
        "is of class 'cat' in row 6 of x.csv and of class 'dog' in row 62 of x.csv",
        "is of class 'dog' in row 62 of x.csv and of class 'cat' in row 6 of x.csv",
    ]


def test_paths_out_of_the_folder_are_left_out_unless_allowed(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    picture(99).save(tmp_path / "other" / "x.png")
    picture(98).save(tmp_path / "other" / "y.png")
    for k in range(20, 60):
        picture(k).save(shop / "img" / f"{k}.png")
    made = table(shop / "x.csv", ("path", "label"), [*rows(60), ("../other/x.png", "cat"), (str(tmp_path / "other" / "y.png"), "dog")])
    images = loaded(made)
    assert [note.path for note in images.dropped] == ["../other/x.png", "../other/y.png"]
    assert "leads out of the folder" in images.dropped[0].reason
    assert "--set data.follow_links=true" in images.dropped[0].reason
    images = loaded(made, follow_links=True)
    assert images.sources[-2:] == ("../other/x.png", "../other/y.png")
    assert images.warnings == (f"2 paths lead out of the folder {shop} and were followed (such as ../other/x.png)",)


def test_a_folder_of_tables_is_one_source_whose_files_are_roots(shop: Path) -> None:
    (shop / "tables").mkdir()
    for name, start, count in (("train_1", 0, 8), ("train_2", 8, 8), ("test", 16, 4)):
        table(shop / "tables" / f"{name}.csv", ("path", "label"), [(f"../{path}", label) for path, label in rows(count, start)])
    images = loaded(shop / "tables", follow_links=True)
    assert images.name == "tables"
    assert images.root_names == ("test", "train_1", "train_2")
    assert [int((images.parts == part).sum()) for part in (TRAIN, VALIDATION, TEST)] == [16, 0, 4]
    one_by_one = loaded(*(shop / "tables" / f"{name}.csv" for name in images.root_names), follow_links=True)
    assert one_by_one.root_names == images.root_names
    assert one_by_one.hash() == images.hash()


def test_a_table_beside_class_folders_is_not_the_data(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / name).mkdir()
        for k in range(2):
            picture(k + 10 * ord(name[0])).save(tmp_path / name / f"{k}.png")
    (tmp_path / "labels.csv").write_text("path,label\n")
    assert len(loaded(tmp_path)) == 4


def test_several_kinds_of_files_in_a_folder_are_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("path,label\n")
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds several files that could be the data \(a\.csv, a\.npz\): name those to use, one by one"):
        loaded(tmp_path)


def digits_table(path: Path, count: int = 60, scale: float = 255 / 16, shuffle: bool = False, name: str = "pixel{}") -> Path:
    digits = load_digits()
    values = digits.data[:count] * scale
    cells = np.rint(values).astype(int) if scale > 1 else values
    order = sorted(range(64), key=str) if shuffle else range(64)
    return table(
        path, ("label", *(name.format(k) for k in order)), [(label, *(row[k] for k in order)) for label, row in zip(digits.target[:count], cells, strict=True)]
    )


@pytest.mark.parametrize("name", ["pixel{}", "{}", "Pixel_{}"])
def test_pixel_columns_are_images(tmp_path: Path, name: str) -> None:
    images = loaded(digits_table(tmp_path / "digits.csv", name=name))
    digits = load_digits()
    assert images.images.shape == (60, 8, 8, 1)
    assert np.array_equal(images.images[..., 0], np.rint(digits.images[:60] * 255 / 16))
    assert np.array_equal(images.labels, digits.target[:60])
    assert images.sources[:2] == ("digits#0", "digits#1")


def test_pixel_columns_in_0_to_1_and_numbers_among_them_that_are_none(tmp_path: Path) -> None:
    images = loaded(digits_table(tmp_path / "digits.csv", scale=1 / 16))
    assert np.array_equal(images.images[..., 0], np.rint(load_digits().images[:60] / 16 * 255))
    made = digits_table(tmp_path / "bad.csv")
    made.write_text(made.read_text().replace("255", "white", 1))
    with pytest.raises(DataError, match=r"row \d has 'white' in a pixel column, which is no number"):
        loaded(made)


def test_pixel_columns_out_of_order_are_taken_by_their_numbers_and_it_is_said(tmp_path: Path) -> None:
    straight, shuffled = loaded(digits_table(tmp_path / "a.csv")), loaded(digits_table(tmp_path / "b.csv", shuffle=True))
    assert np.array_equal(straight.images, shuffled.images)
    assert "out of order ('pixel10' comes too early): they were taken by their numbers" in shuffled.remarks[0]


def test_colour_rows_in_two_layouts_name_the_option(tmp_path: Path) -> None:
    image = np.asarray(Image.linear_gradient("L").resize((8, 8)))
    colour = np.stack([image, image.T, 255 - image], axis=2)
    head = ("label", *(f"p{k}" for k in range(192)))
    made = table(tmp_path / "x.csv", head, [(k % 2, *np.roll(colour, k, axis=0).transpose(2, 0, 1).ravel()) for k in range(4)])
    with pytest.raises(DataError, match=r"two things: all red, all green, all blue \(data\.layout = 'planes'\) or .*'interleaved'"):
        loaded(made)
    assert np.array_equal(loaded(made, layout="planes").images[0], colour)


def test_three_kinds_of_pixel_columns_keep_their_order_and_a_path_beside_pixels_is_not_guessed() -> None:
    names = [f"{c}{k}" for k in range(64) for c in "rgb"]
    assert columns.find([*names, "label", "id"], Data(), "t").images == tuple(names)
    pixels = [f"pixel{k}" for k in range(64)]
    message = r"has pixel columns \(pixel0 \.\. pixel63\) and a column 'file': say which .*data\.image_column=pixel or --set data\.image_column=file"
    with pytest.raises(DataError, match=message):
        columns.find([*pixels, "label", "file"], Data(), "t")
    assert columns.find([*pixels, "label", "file"], Data(image_column="file"), "t").images == ("file",)
    assert columns.find([*pixels, "label", "file"], Data(image_column="pixel"), "t").images == tuple(pixels)


def test_tables_of_two_kinds_are_not_mixed(shop: Path) -> None:
    (shop / "both").mkdir()
    digits_table(shop / "both" / "a.csv")
    table(shop / "both" / "b.csv", ("path", "label"), [("x.png", 0)])
    with pytest.raises(DataError, match=r"of the tables a\.csv, b\.csv some hold paths and some pixel columns"):
        loaded(shop / "both")
