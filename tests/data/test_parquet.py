"""Parquet tables: images in their bytes as Hugging Face lays them out, paths, pixel columns; and what does not fit."""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rung.data.formats import parquet
from rung.data.imageset import FORMATS, TEST, TRAIN, VALIDATION, ImageSet
from rung.data.load import load
from rung.errors import DataError
from rung.recipe import Data, Pixels

NAMES = ("cat", "dog")


def loaded(*sources: Path, **data: object) -> ImageSet:
    return load(Data.model_validate({"sources": tuple(str(s) for s in sources), **data}), Pixels())


def picture(seed: int, width: int = 10) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (10, width, 3), dtype=np.uint8))


def encoded(seed: int, kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    picture(seed).save(buffer, kind)
    return buffer.getvalue()


def hugging_face(names: tuple[str, ...], column: str = "label") -> dict[bytes, bytes]:
    features = {"image": {"_type": "Image"}, column: {"names": list(names), "_type": "ClassLabel"}}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def write(path: Path, columns: Mapping[str, Any], metadata: Mapping[bytes, bytes] | None = None, **options: Any) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    table = pyarrow.table(dict(columns))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(table.replace_schema_metadata(dict(metadata)) if metadata else table, path, **options)
    return path


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"bytes": encoded(k), "path": f"{k}.jpg"} for k in range(start, start + count)]


@pytest.mark.extras
def test_hugging_face_files_are_parts_by_their_names(tmp_path: Path) -> None:
    for name, count, start in (
        ("train-00000-of-00002", 8, 0),
        ("train-00001-of-00002", 8, 8),
        ("validation-00000-of-00001", 4, 16),
        ("test-00000-of-00001", 6, 20),
    ):
        labels = [k % 2 for k in range(count)]
        write(tmp_path / "set" / "data" / f"{name}.parquet", {"image": rows(count, start), "label": labels}, hugging_face(("dog", "cat")), row_group_size=3)
    (tmp_path / "set" / "README.md").write_text("a card")
    images = loaded(tmp_path / "set")
    assert images.name == "set"
    assert images.classes == ("dog", "cat")
    assert [int((images.parts == part).sum()) for part in (TRAIN, VALIDATION, TEST)] == [16, 4, 6]
    where = images.sources.index("validation-00000-of-00001#1")
    assert np.array_equal(images.images[where], np.asarray(picture(17)))
    assert images.labels[where] == 1
    assert images.facts is not None
    assert images.facts[where]["bytes"] == len(encoded(17))
    assert FORMATS[images.facts[where]["format"]] == "PNG"
    assert images.warnings == (), "the name in the column is no name of a file"


@pytest.mark.extras
def test_one_file_and_columns_of_bytes_without_a_struct(tmp_path: Path) -> None:
    made = write(tmp_path / "x.parquet", {"img": [encoded(k) for k in range(6)], "label": [NAMES[k % 2] for k in range(6)]})
    images = loaded(made)
    assert images.classes == NAMES
    assert np.array_equal(images.images[5], np.asarray(picture(5)))
    assert loaded(made, classes="dog; cat", per_class=1).sources == ("x#0", "x#1")


@pytest.mark.extras
def test_other_columns_beside_images_do_not_matter(tmp_path: Path) -> None:
    made = write(tmp_path / "x.parquet", {"image_file_path": ["/gone/a"] * 6, "image": rows(6), "labels": [k % 2 for k in range(6)], "note": [None] * 6})
    assert len(loaded(made)) == 6


@pytest.mark.extras
def test_damaged_and_missing_images_are_left_out_by_row(tmp_path: Path) -> None:
    held = rows(60)
    held[7] = {"bytes": held[7]["bytes"][:60], "path": None}
    held[10] = {"bytes": None, "path": "x.jpg"}
    images = loaded(write(tmp_path / "x.parquet", {"image": held, "label": [k % 2 for k in range(60)]}, row_group_size=7))
    assert [note.path for note in images.dropped] == ["x#7", "x#10"]
    assert "damaged" in images.dropped[0].reason
    assert images.dropped[1].reason == "has no bytes in the table"
    assert np.array_equal(images.images[images.sources.index("x#59")], np.asarray(picture(59)))


@pytest.mark.extras
def test_many_threads_get_each_image_in_any_order(tmp_path: Path) -> None:
    made = write(tmp_path / "x.parquet", {"image": rows(40), "label": [0, 1] * 20}, row_group_size=3)
    stored = parquet.read(made, Data()).images
    assert isinstance(stored, parquet.Stored)
    order = np.random.default_rng(0).permutation(40)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(stored.take(order).read, range(40))) == [encoded(k) for k in order]
    assert stored.take(order).address(0) == f"{made}#image#{order[0]}"


@pytest.mark.extras
def test_paths_parts_groups_and_categories(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    for k in range(10):
        picture(k).save(tmp_path / f"{k}.png")
    labels = pyarrow.array([NAMES[k % 2] for k in range(10)]).dictionary_encode()
    columns = {"path": [f"{k}.png" for k in range(10)], "label": labels, "split": ["train"] * 8 + ["test"] * 2, "group": [k // 2 for k in range(10)]}
    images = loaded(write(tmp_path / "x.parquet", columns))
    assert images.sources == tuple(columns["path"])
    assert images.parts.tolist() == [TRAIN] * 8 + [TEST] * 2
    assert images.groups is not None
    assert len(set(images.groups.tolist())) == 5


@pytest.mark.extras
def test_pixel_columns(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (6, 64))
    made = write(tmp_path / "x.parquet", {**{f"pixel{k}": values[:, k] for k in range(64)}, "label": [0, 1] * 3})
    assert np.array_equal(loaded(made).images.reshape(6, 64), values)


@pytest.mark.extras
@pytest.mark.parametrize(
    ("columns", "names", "message"),
    [
        ({"image": rows(2), "label": [0, None]}, (), r"x\.parquet: row 1 has no label: every image needs one"),
        ({"image": rows(2), "label": [0, -1]}, NAMES, r"labels run from -1 to 0 .*: expected 0\.\.1 for 2 classes"),
        ({"image": rows(2), "label": [1, 2]}, NAMES, r"labels run from 1 to 2 .*: expected 0\.\.1 for 2 classes"),
        ({"image": rows(2), "label": [0.5, 1.0]}, (), r"holds 0\.5, which is not a whole number"),
        ({"image": rows(2), "label": [[0], [1]]}, (), r"the column 'label' is of the type list<.*>: expected text, numbers, or for images bytes"),
        ({"image": [[1, 2], [3, 4]], "label": [0, 1]}, (), r"the column 'image' is of the type list<.*>: expected text, numbers, or for images bytes"),
        ({"image": rows(2), "img": [b"", b""], "label": [0, 1]}, (), r"2 columns that could be the image: image, img"),
        ({"image": rows(0), "label": []}, (), r"x\.parquet has no rows"),
        ({"image": rows(2), "label": [0, 1], "split": ["train", None]}, (), "row 1 has no split"),
        ({**{f"p{k}": ["a", "b"] for k in range(16)}, "label": [0, 1]}, (), "the column 'p0' is of the type string: expected numbers"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, columns: dict[str, Any], names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        loaded(write(tmp_path / "x.parquet", columns, hugging_face(names) if names else None))


@pytest.mark.extras
def test_class_names_that_differ_between_files_are_an_error(tmp_path: Path) -> None:
    for start, name, classes in ((0, "train", ("cat", "dog")), (2, "test", ("dog", "cat"))):
        write(tmp_path / f"{name}.parquet", {"image": rows(2, start), "label": [0, 1]}, hugging_face(classes))
    with pytest.raises(DataError, match="name their classes differently"):
        loaded(tmp_path)
    images = loaded(tmp_path / "train.parquet", tmp_path / "test.parquet")
    assert [images.classes[k] for k in images.labels] == ["cat", "dog", "dog", "cat"], "given one by one they are united by name"


@pytest.mark.extras
def test_damage_and_bombs_are_refused(tmp_path: Path) -> None:
    made = write(tmp_path / "x.parquet", {"image": rows(20), "label": [0, 1] * 10})
    whole = made.read_bytes()
    for content in (b"", b"PAR1", whole[:-100], whole[:100] + whole[-100:]):
        made.write_bytes(content)
        with pytest.raises(DataError, match=r"x\.parquet is damaged or no parquet file .*write it again"):
            loaded(made)
    bomb = write(tmp_path / "bomb.parquet", {"image": [bytes(10**8)] * 2, "label": [0, 1]}, compression="zstd", use_dictionary=False)
    assert bomb.stat().st_size < 100_000
    with pytest.raises(DataError, match="claims to unpack to more than 200 times its size: it is refused"):
        loaded(bomb)


def test_without_pyarrow_one_sentence_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    system_import = builtins.__import__

    def missing(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return system_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(DataError, match=r"x\.parquet needs pyarrow, which is not installed: pip install 'rung\[frames\]'"):
        loaded(tmp_path / "x.parquet")
