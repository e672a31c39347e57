"""Nasty inputs N40 to N48 and N53: names, links, devices and many files. One test each, named by its row in docs/nasty.md."""

from __future__ import annotations

import csv
import gc
import os
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

import rung
from rung.data.formats import folder
from rung.errors import DataError
from tests.data.nasty.support import built, check_left_out, check_warned, loaded
from tests.data.nasty.tree import CELL_NAMES, ODD_NAMES, PER_CLASS, fill, picture


def test_n40_odd_names_work(tmp_path: Path) -> None:
    images = loaded(built(tmp_path, "n40"))
    assert {f"cat/{name}" for name in ODD_NAMES} <= set(images.sources)
    assert len(set(images.sources)) == len(images)
    assert images.classes == ("cat", "dog", "Kätzchen 🐱")


def test_n40_both_forms_of_an_accent_are_one_class(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "caf\u00e9", 2, 0)
    fill(tmp_path / "test" / "cafe\u0301", 2, 10)
    fill(tmp_path / "train" / "bar", 2, 20)
    fill(tmp_path / "test" / "bar", 2, 30)
    assert loaded(tmp_path).classes == ("bar", "caf\u00e9")


def test_n41_names_that_are_not_utf8_work_and_are_shown_escaped(tmp_path: Path) -> None:
    images = loaded(built(tmp_path, "n41"))
    assert "cat/caf\\xe9.png" in images.sources
    "".join(images.sources).encode()


def test_n42_names_that_differ_by_case_only_are_a_warning(tmp_path: Path) -> None:
    images = check_warned(built(tmp_path, "n42"), words="'Cat' and 'cat' differ only by case")
    assert any("2 files have names that differ by case only (such as dog/A.png and dog/a.png)" in warning for warning in images.warnings)


def test_n43_names_that_begin_with_a_sign_work(tmp_path: Path) -> None:
    assert {f"cat/{name}" for name in CELL_NAMES} <= set(loaded(built(tmp_path, "n43")).sources)


def test_n43_cells_that_begin_with_a_sign_are_read_as_text(tmp_path: Path) -> None:
    photos = built(tmp_path, "n43")
    with (photos / "x.csv").open("w", newline="") as file:
        rows = [(f"cat/{name}", "=cmd|' /C calc'!A0") for name in CELL_NAMES] + [(f"dog/{k}.png", "-dog") for k in range(3)]
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("path", "label"), *rows])
    images = loaded(photos / "x.csv")
    assert set(images.sources) == {path for path, _ in rows}
    assert set(images.classes) == {"=cmd|' /C calc'!A0", "-dog"}


def test_n43_no_shell_is_used_and_a_cell_that_is_written_is_quoted() -> None:
    for path in Path(rung.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bshell=True|\bos\.(system|popen)\(", text), path
        assert len(re.findall(r"csv\.(?:Dict)?[wW]riter\(", text)) == text.count("csv.QUOTE_ALL"), path


@pytest.mark.timeout(20)
def test_n44_a_loop_of_links_ends(tmp_path: Path) -> None:
    images = loaded(built(tmp_path, "n44"))
    assert len(images) == 2 * PER_CLASS
    assert [(note.path, note.reason) for note in images.repaired] == [("cat/again", "a link to a folder that was read already")]


def test_n45_links_out_of_the_folder_are_followed_only_if_allowed(tmp_path: Path) -> None:
    photos = built(tmp_path, "n45")
    images = loaded(photos)
    assert len(images) == 2 * PER_CLASS
    assert {note.path for note in images.dropped} == {"cat/link.png", "dog/more"}
    assert all("leads out of the folder" in note.reason and "--set data.follow_links=true" in note.reason for note in images.dropped)
    with pytest.raises(DataError, match=r"data\.strict allows none"):
        loaded(photos, strict=True)
    images = check_warned(photos, words="2 paths lead out of the folder", follow_links=True)
    assert {"cat/link.png", "dog/more/0.png", "dog/more/1.png"} <= set(images.sources)
    assert images.dropped == ()


def test_n45_a_class_or_a_part_that_is_a_link_out_of_the_folder(tmp_path: Path) -> None:
    photos = built(tmp_path, "n15")
    (photos.parent / "linked").mkdir()
    for name in ("cat", "dog"):
        (photos.parent / "linked" / name).symlink_to(photos / name)
    with pytest.raises(DataError, match=r"no image of class 'cat' can be used: cat leads out of the folder, to .*photos/cat"):
        loaded(photos.parent / "linked")
    assert len(loaded(photos.parent / "linked", follow_links=True)) == 6
    (photos.parent / "parts").mkdir()
    for name in ("photos", "test"):
        (photos.parent / "parts" / {"photos": "train"}.get(name, name)).symlink_to(photos.parent / name)
    with pytest.raises(DataError, match=r"parts/train leads out of the folder, to .*photos: copy what it leads to .*data\.follow_links=true"):
        loaded(photos.parent / "parts")
    assert len(loaded(photos.parent / "parts", follow_links=True)) == 8


def test_n45_links_within_the_folder_are_followed(photos: Path) -> None:
    (photos / "cat" / "link.png").symlink_to("0.png")
    images = loaded(photos, strict=True)
    assert len(images) == 2 * PER_CLASS + 1


def test_n46_a_broken_link_is_left_out(tmp_path: Path) -> None:
    check_left_out(built(tmp_path, "n46"), "link.png", "a broken link to nowhere.png")


def test_n47_a_file_that_may_not_be_read_is_left_out(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(1).save(photos / "cat" / "secret.png")
    (photos / "cat" / "secret.png").chmod(0)
    if os.geteuid() == 0:  # nothing is forbidden to root: what the system would answer to others
        system_open = os.open

        def forbidden(path: Any, *arguments: Any, **options: Any) -> int:
            if os.fspath(path).endswith("secret.png"):
                raise PermissionError(13, "Permission denied", path)
            return system_open(path, *arguments, **options)

        monkeypatch.setattr(os, "open", forbidden)
    check_left_out(photos, "secret.png", "cannot be read (Permission denied)")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(("name", "reason"), [("pipe", "is a pipe, not a file"), ("socket", "is a socket, not a file"), ("device", "to /dev/zero")])
def test_n48_pipes_sockets_and_devices_are_left_out_without_opening(tmp_path: Path, name: str, reason: str) -> None:
    photos = built(tmp_path, "n48")
    for other in {"pipe", "socket", "device"} - {name}:
        (photos / "cat" / f"{other}.png").unlink()
    check_left_out(photos, f"{name}.png", reason)


@pytest.mark.timeout(20)
def test_n48_a_device_is_not_opened_where_links_may_lead_out(tmp_path: Path) -> None:
    photos = built(tmp_path, "n48")
    for other in ("pipe", "socket"):
        (photos / "cat" / f"{other}.png").unlink()
    assert [note.reason for note in loaded(photos, follow_links=True).dropped] == ["is a device, not a file"]


def test_n53_many_files_take_less_than_a_kilobyte_each(tmp_path: Path) -> None:
    count = 4000
    for name in ("cat", "dog"):
        (tmp_path / "many" / name).mkdir(parents=True)
        picture(len(name)).save(tmp_path / f"{name}.png")
        for k in range(count // 2):
            os.link(tmp_path / f"{name}.png", tmp_path / "many" / name / f"a name of usual length {k:08d}.png")
    gc.collect()
    tracemalloc.start()
    found = folder.read(tmp_path / "many")
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == count
    assert kept / count < 400
    assert peak / count < 1000
