"""Nasty inputs N63 to N67 and N70: arrays, tables and archives. One test each, named by its row in docs/nasty.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rung.data import fetch
from rung.data.load import from_arrays
from rung.errors import DataError
from tests.data.nasty import tree
from tests.data.nasty.support import loaded
from tests.data.nasty.tree import picture

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)


def test_n63_labels_are_cast_exactly_or_not_at_all() -> None:
    assert from_arrays(IMAGES, np.array([0.0, 1.0, 0.0, 1.0])).labels.tolist() == [0, 1, 0, 1]
    assert from_arrays(IMAGES, np.array(["0", "1", "0", "1"]), classes=["no", "yes"]).labels.tolist() == [0, 1, 0, 1]
    with pytest.raises(DataError, match=r"holds 0\.5, which is not a whole number"):
        from_arrays(IMAGES, np.array([0.0, 0.5, 0.0, 1.0]))
    with pytest.raises(DataError, match="name the class 'yse': did you mean 'yes'"):
        from_arrays(IMAGES, np.array(["no", "yse", "no", "yes"]), classes=["no", "yes"])


def test_n63_labels_in_a_table_are_cast_exactly_or_not_at_all(photos: Path) -> None:
    def table(*labels: str) -> Path:
        rows = [f"cat/{k}.png,{label}" for k, label in enumerate(labels)]
        (photos / "x.csv").write_text("\n".join(["path,label", *rows]))
        return photos / "x.csv"

    assert loaded(table("0", "1", "0", "1")).labels.tolist() == loaded(table("0.0", "1.0", "0.0", "1.0")).labels.tolist() == [0, 1, 0, 1]
    assert loaded(table("0", "1", "0", "one")).classes == ("0", "1", "one")
    with pytest.raises(DataError, match=r"holds 0\.5, which is not a whole number"):
        loaded(table("0", "0.5"))


def test_n65_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    x = np.array([np.zeros((8, 8)), np.zeros((9, 9))], dtype=object)
    np.savez(tmp_path / "o.npz", x=x, y=np.array([0, 1]))
    with pytest.raises(DataError, match="'x' is an array of Python objects, which is not read"):
        loaded(tmp_path / "o.npz")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.array([0, 1]))
    with pytest.raises(DataError, match=r"x\.npy is an array of Python objects, which is not read"):
        loaded(tmp_path / "x.npy")
    with pytest.raises(DataError, match="Python objects"):
        from_arrays(x, [0, 1])


def test_n66_lengths_that_differ_are_both_named() -> None:
    with pytest.raises(DataError, match=r"train holds 5 images and labels of train 4 labels"):
        from_arrays(np.zeros((5, 8, 8), np.uint8), [0, 1, 0, 1])


@pytest.mark.parametrize("layout", ["hwc", "chw", "planes", "interleaved"])
def test_n67_known_layouts_are_read_alike(layout: str) -> None:
    images = np.stack([np.asarray(picture(seed)) for seed in range(6)])
    chw = images.transpose(0, 3, 1, 2)
    given = {"hwc": images, "chw": chw, "planes": chw.reshape(6, -1), "interleaved": images.reshape(6, -1)}[layout]
    assert np.array_equal(from_arrays(given, [0, 1] * 3, layout=layout).images, images)  # type: ignore[arg-type]
    if layout in ("hwc", "chw"):
        assert np.array_equal(from_arrays(given, [0, 1] * 3).images, images)
    else:
        with pytest.raises(DataError, match=r"two things: all red, all green, all blue \(data\.layout = 'planes'\) or .*'interleaved'"):
            from_arrays(given, [0, 1] * 3)


def test_n67_a_shape_that_fits_two_layouts_names_the_option() -> None:
    with pytest.raises(DataError, match=r"can be two things: height, width, channels \(data\.layout = 'hwc'\) or channels.*'chw'"):
        from_arrays(np.zeros((4, 3, 8, 3), np.uint8), [0, 1, 0, 1])


@pytest.mark.parametrize("kind", tree.ARCHIVES)
def test_n70_hostile_archives_are_refused_and_nothing_is_written(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.archive(tmp_path / fetch.CIFAR100.archive, kind)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setenv("RUNG_DATA", str(tmp_path))
    with pytest.raises(DataError, match=tree.ARCHIVES[kind][1]):
        loaded("cifar100")
    assert sorted(tmp_path.rglob("*")) == before
