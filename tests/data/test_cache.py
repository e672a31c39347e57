"""The cache of decoded images: it changes no bit, believes nothing that may have changed, and its troubles stop nobody."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rung.data import cache as caching
from rung.data import files, found, gather, known, table
from rung.data.cache import Cache, clear, kept, place
from rung.data.decode import Decoded, UnreadableImage
from rung.data.imageset import ImageSet
from rung.data.load import load
from rung.errors import ResourceError
from rung.recipe import Data, Pixels
from rung.store import atomic, lock

COUNT = 53  # files of `photos`


@pytest.fixture(autouse=True)
def blocks_of_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "_BLOCK_ROWS", 8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Files of two classes: colour and grey, of several formats and sizes, turned, misnamed and damaged."""
    random = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for k in range(12):
        picture = Image.fromarray(random.integers(0, 256, (40 + 3 * k, 90 - 2 * k, 3), dtype=np.uint8))
        path = folder / "ab"[k % 2] / f"{k}.{('jpg', 'png', 'bmp')[k % 3]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = 6 if k == 3 else 1
        (picture.convert("L") if k in (2, 5) else picture).save(path, **({"exif": exif} if k % 3 < 2 else {}))
    (folder / "a" / "8.bmp").rename(folder / "a" / "8.gif")
    for k in range(40):  # so many that one damaged file of the class may be left out
        Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(folder / "b" / f"small{k}.png")
    (folder / "b" / "broken.jpg").write_bytes(b"\xff\xd8\xff rubbish")
    return folder


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stamps be trusted at once: files of a test are always new, for the system sets the time of their last change itself."""
    monkeypatch.setattr(known, "_TICK_NS", -(10**12))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", worth_s=0)


class Work:
    """What was done to files: those read, and how many images were decoded."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.decoded = 0

    def forget(self) -> None:
        self.read, self.decoded = [], 0


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    done, decode, read_file = Work(), files.decode, found.read_file

    def counted(*arguments: Any) -> Decoded:
        done.decoded += 1
        return decode(*arguments)

    def noted(path: str) -> bytes:
        done.read.append(os.path.basename(path))
        return read_file(path)

    monkeypatch.setattr(files, "decode", counted)
    monkeypatch.setattr(found, "read_file", noted)
    return done


def read(folder: Path, cache: Cache | None, classes: str = "", **pixels: Any) -> ImageSet:
    return load(Data(sources=(str(folder),), classes=classes), Pixels(**pixels), cache=cache)


def same(one: ImageSet, other: ImageSet) -> None:
    """Hold that two image sets are equal to the bit in all but how they were read."""
    assert one.images.shape == other.images.shape
    assert one.hash() == other.hash()
    assert np.array_equal(one.digests, other.digests)
    assert one.facts is not None
    assert other.facts is not None
    assert one.facts.tolist() == other.facts.tolist()
    for field in ("sources", "classes", "dropped", "repaired", "warnings", "remarks", "root_names"):
        assert getattr(one, field) == getattr(other, field), field


def only(images: ImageSet) -> Any:
    (reading,) = images.readings
    return reading


def table_files(cache: Cache) -> list[Path]:
    return sorted(path for path in cache.root.rglob("*") if path.is_file() and path.name != "lock")


ALL_KINDS: list[dict[str, Any]] = [
    {}, {"size": 16}, {"size": 24, "fit": "pad", "colour": "rgb"}, {"colour": "grey", "filter": "bicubic"}, {"size": 16, "reduced_jpeg": True},
]  # fmt: skip


@pytest.mark.parametrize("pixels", ALL_KINDS)
def test_it_changes_nothing_and_nothing_is_decoded_twice(photos: Path, cache: Cache, settled: None, work: Work, pixels: dict[str, Any]) -> None:
    without, first = read(photos, None, **pixels), read(photos, cache, **pixels)
    work.forget()
    second = read(photos, cache, **pixels)
    assert (work.read, work.decoded) == ([], 0)
    same(without, first)
    same(without, second)
    assert (only(without).known, only(without).decoded, only(without).cache) == (0, COUNT, "")
    assert (only(first).known, only(first).decoded) == (0, COUNT)
    assert (only(second).known, only(second).decoded, only(second).trouble) == (COUNT, 0, "")
    assert only(second).cache.startswith(str(cache.root))
    assert second.images.base is not None  # mapped


def test_images_that_are_alike_need_no_copy(tmp_path: Path, cache: Cache, settled: None) -> None:
    for name in ("a", "b"):
        (tmp_path / "x" / name).mkdir(parents=True)
        for k in range(9):
            Image.fromarray(np.full((8, 8), 9 * k + (name == "b"), np.uint8)).save(tmp_path / "x" / name / f"{k}.png")
    first, second, without = read(tmp_path / "x", cache), read(tmp_path / "x", cache), read(tmp_path / "x", None)
    assert first.images.shape == (18, 8, 8, 1)
    same(first, without)
    same(second, without)


def test_what_is_read_in_no_time_is_not_kept(photos: Path, cache: Cache) -> None:
    images = read(photos, Cache(cache.root, worth_s=100))
    assert (only(images).cache, only(images).trouble) == ("", "")
    assert not cache.root.exists()


def test_files_that_are_new_are_compared_byte_by_byte(photos: Path, cache: Cache, work: Work) -> None:
    first = read(photos, cache)
    work.forget()
    second = read(photos, cache)
    assert (len(work.read), work.decoded) == (COUNT, 0)
    same(first, second)


def test_a_touched_file_is_compared_once(photos: Path, cache: Cache, settled: None, work: Work) -> None:
    first = read(photos, cache)
    os.utime(photos / "a" / "4.png", (1, 1))
    work.forget()
    same(first, read(photos, cache))
    assert (work.read, work.decoded) == (["4.png"], 0)
    work.forget()
    same(first, read(photos, cache))
    assert work.read == []


def test_a_changed_file_is_found_though_size_and_time_are_put_back(photos: Path, cache: Cache, settled: None, work: Work) -> None:
    path = photos / "a" / "2.bmp"
    first, status = read(photos, cache, size=16), path.stat()
    content = bytearray(path.read_bytes())
    content[-1000:] = bytes(1000)
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    work.forget()
    second = read(photos, cache, size=16)
    assert work.decoded == 1
    assert second.hash() != first.hash()
    same(second, read(photos, None, size=16))
    work.forget()
    same(second, read(photos, cache, size=16))
    assert work.decoded == 0


@pytest.mark.parametrize("change", ["added", "removed", "renamed", "moved", "copied"])
def test_only_what_is_new_is_decoded(photos: Path, cache: Cache, settled: None, work: Work, change: str) -> None:
    first, folder = read(photos, cache, size=16), photos
    if change == "added":
        Image.new("RGB", (20, 30), "blue").save(photos / "a" / "new.png")
    elif change == "removed":
        (photos / "a" / "4.png").unlink()
    elif change == "renamed":
        (photos / "a" / "4.png").rename(photos / "a" / "other.jpeg")
    elif change == "moved":
        (photos.parent / "elsewhere").mkdir()
        folder = photos.rename(photos.parent / "elsewhere" / "photos")
    else:
        folder = Path(shutil.copytree(photos, photos.parent / "copy" / "photos"))
    work.forget()
    second = read(folder, cache, size=16)
    assert work.decoded == (change == "added")
    assert len(work.read) == {"added": 1, "removed": 0, "renamed": 1, "moved": COUNT, "copied": COUNT}[change]
    same(second, read(folder, None, size=16))
    assert (second.hash() == first.hash()) == (change in ("moved", "copied"))  # a name decides the order


def test_small_images_of_a_mixed_set_are_decoded_again_where_their_own_size_is_wanted(photos: Path, cache: Cache, settled: None, work: Work) -> None:
    read(photos, cache)
    Image.new("RGB", (20, 30), "blue").save(photos / "a" / "new.png")
    work.forget()
    second = read(photos, cache)
    assert work.decoded == 41  # those of 9 x 9 pixels, which the table has as 64 x 64, and the new one
    same(second, read(photos, None))


def test_classes_that_are_picked_are_taken_from_the_whole(photos: Path, cache: Cache, settled: None, work: Work) -> None:
    read(photos, cache, size=16)
    work.forget()
    part = read(photos, cache, "pet=a; other=b", size=16)
    assert (work.read, work.decoded) == ([], 0)
    same(part, read(photos, None, "pet=a; other=b", size=16))


@pytest.mark.parametrize(("field", "value"), [("size", 20), ("colour", "grey"), ("fit", "crop"), ("filter", "bicubic"), ("antialias", False)])
def test_another_rule_is_another_table(photos: Path, cache: Cache, settled: None, field: str, value: Any) -> None:
    first = read(photos, cache, size=16)
    other = read(photos, cache, **{"size": 16, field: value})
    assert only(other).decoded == COUNT
    assert Path(only(first).cache).parent != Path(only(other).cache).parent
    same(other, read(photos, None, **{"size": 16, field: value}))


def test_scaling_is_no_part_of_the_rule_but_code_and_decoders_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = caching.rule(Pixels())
    assert rule == caching.rule(Pixels(normalise="standard", mean=(0.5,), deviation=(0.5,)))
    assert len(rule["code"]) == 16
    assert rule["libjpeg_turbo"]
    monkeypatch.setattr(caching.features, "version", lambda name: "another")
    assert caching.rule(Pixels()) != rule


def put(path: Path, content: bytes) -> None:
    """Put other content at a path, in a file of its own: the old one may be mapped."""
    path.unlink()
    path.write_bytes(content)


def flip(path: Path, at: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 16
    put(path, content)


@pytest.mark.parametrize("kind", ["images", "records", "table"])
@pytest.mark.parametrize("damage", ["first", "middle", "last", "cut", "empty", "gone", "longer"])
def test_damage_is_found_and_mended(photos: Path, cache: Cache, settled: None, work: Work, kind: str, damage: str) -> None:
    first = read(photos, cache, size=16)
    (path,) = (path for path in table_files(cache) if path.name.startswith(kind))
    content = path.read_bytes()
    if damage in ("first", "middle", "last"):
        flip(path, ("first", "middle", "last").index(damage) / 2)
    elif damage == "gone":
        path.unlink()
    else:
        put(path, {"cut": content[:-1], "empty": b"", "longer": content + b"x" * 12288}[damage])
    work.forget()
    second = read(photos, cache, size=16)
    same(first, second)
    if kind == "images" and damage in ("first", "middle", "last"):
        assert 0 < work.decoded <= 8  # one block
    work.forget()
    third = read(photos, cache, size=16)
    same(first, third)
    assert work.decoded == 0
    assert only(third).known == COUNT
    assert len(table_files(cache)) == 3  # nothing is left of the damaged one


class Killed(BaseException):
    """What ends a process here and now, as far as a process can be ended and still be tested."""


@pytest.mark.parametrize("after", [1, 8, 9, 30, 52])
def test_a_filling_that_was_cut_off_is_gone_on_with(photos: Path, cache: Cache, settled: None, work: Work, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    expected = read(photos, None)
    real = files.decode

    def dying(*arguments: Any) -> Decoded:
        if work.decoded >= after:
            raise Killed
        return real(*arguments)

    work.forget()
    with monkeypatch.context() as patch:
        patch.setattr(files, "decode", dying)
        with pytest.raises(Killed):
            read(photos, cache)
    blocks = len(list(cache.root.rglob("block-*"))) if cache.root.exists() else 0
    assert blocks >= after // 8 - 3
    work.forget()
    second = read(photos, cache)
    same(expected, second)
    assert work.decoded == COUNT - 8 * blocks
    work.forget()
    same(expected, read(photos, cache))
    assert work.decoded == 0
    assert len(table_files(cache)) == 3


def test_blocks_of_a_killed_filling_are_not_believed_when_files_change_or_they_are_damaged(
    photos: Path, cache: Cache, settled: None, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(gather, "seal", lambda *arguments: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            read(photos, cache)
    blocks = sorted(cache.root.rglob("block-*"))
    assert len(blocks) == 7
    (photos / "a" / "0.jpg").write_bytes((photos / "a" / "6.jpg").read_bytes())  # of the first block
    flip(blocks[3], 0.7)
    blocks[5].write_bytes(blocks[5].read_bytes()[:-9])
    work.forget()
    second = read(photos, cache)
    same(second, read(photos, None))
    work.forget()
    same(second, read(photos, cache))
    assert work.decoded == 0


def test_a_process_killed_while_it_fills_leaves_what_the_next_goes_on_with(photos: Path, cache: Cache) -> None:
    script = (
        "import sys, time; from rung.data import files, gather; from rung.data.cache import Cache; from rung.data.load import load\n"
        "from rung.recipe import Data, Pixels; from pathlib import Path\n"
        "real = files.decode; gather._BLOCK_ROWS = 8\n"
        "files.decode = lambda *a: (time.sleep(0.05), real(*a))[1]\n"
        "load(Data(sources=(sys.argv[1],)), Pixels(), cache=Cache(Path(sys.argv[2]), worth_s=0))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(photos), str(cache.root)])
    until = time.monotonic() + 60
    while len(list(cache.root.rglob("block-*"))) < 2 and time.monotonic() < until:
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(cache.root.rglob("block-*"))
    same(read(photos, cache), read(photos, None))


def test_one_fills_and_the_other_waits_for_it(photos: Path, cache: Cache, settled: None, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    real, first_is_in, waiting = files.decode, threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Decoded:
        first_is_in.set()
        assert waiting.wait(60)
        return real(*arguments)

    results: list[ImageSet] = []
    monkeypatch.setattr(files, "decode", slow)
    folder = cache.folder(found.Files(str(photos), []), Pixels()).parent
    folder.mkdir(parents=True)
    monkeypatch.setattr(Cache, "folder", lambda *arguments: folder / "one")
    (folder / "one").mkdir()  # as it is once somebody has begun
    filler = threading.Thread(target=lambda: results.append(read(photos, cache)))
    filler.start()
    assert first_is_in.wait(60)
    monkeypatch.setattr(gather.time, "sleep", lambda seconds: waiting.set())  # the second has come to wait
    second = read(photos, cache)
    filler.join()
    assert (only(second).known, only(second).decoded) == (COUNT, 0)
    assert work.decoded == 0 or work.decoded == COUNT
    same(second, results[0])


def test_a_process_that_holds_the_cache_and_does_nothing_is_not_waited_for(photos: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    read(photos, cache)
    (folder,) = (path.parent for path in table_files(cache) if path.name == "table.json")
    (folder / "table.json").unlink()
    monkeypatch.setattr(gather, "_PATIENCE_S", 0.0)
    with lock.hold(folder):
        images = read(photos, cache)
    assert "and has done nothing for 0 s" in only(images).trouble
    same(images, read(photos, None))


def break_writing(monkeypatch: pytest.MonkeyPatch, count: int, error: Exception) -> None:
    """Let the writes of the cache fail after `count` of them."""
    real, left = atomic.write_pieces, [count]

    def failing(path: Path, pieces: Callable[[], Any], needed: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise error
        real(path, pieces, needed)

    monkeypatch.setattr(atomic, "write_pieces", failing)


@pytest.mark.parametrize("writes", [0, 3, 7, 8, 9])
def test_a_full_disk_costs_no_more_than_the_cache(photos: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    with monkeypatch.context() as patch:
        break_writing(patch, writes, ResourceError("the disk is full"))
        images = read(photos, cache)
    assert (only(images).trouble, only(images).cache, only(images).decoded) == ("the disk is full", "", COUNT)
    same(images, read(photos, None))
    assert not list(cache.root.rglob("block-*"))
    assert not list(cache.root.rglob("table.json"))


def test_a_disk_with_too_little_room_is_left_alone(photos: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "free_bytes", lambda folder: 100_000)
    images = read(photos, cache)
    assert "bytes more, and 100,000 are free: it takes 80% of them at most" in only(images).trouble
    same(images, read(photos, None))


def test_a_folder_that_cannot_be_made_costs_no_more_than_the_cache(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    images = read(photos, Cache(tmp_path / "file" / "cache", worth_s=0))
    assert "cannot write" in only(images).trouble
    same(images, read(photos, None))


def test_a_cache_that_may_only_be_read_is_read(photos: Path, cache: Cache, settled: None, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(photos, cache)
    os.utime(photos / "a" / "4.png", (1, 1))
    work.forget()

    def read_only(*arguments: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("utime", "mkdir", "replace"):
        monkeypatch.setattr(os, name, read_only)
    images = read(photos, cache)
    assert (work.read, work.decoded, only(images).trouble) == (["4.png"], 0, "")
    same(first, images)


def test_a_file_that_could_not_be_read_is_tried_again(photos: Path, cache: Cache, settled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, real = read(photos, None), found.read_file

    def locked(path: str) -> bytes:
        if path.endswith("small7.png"):
            raise UnreadableImage("cannot be read (Permission denied)")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(found, "read_file", locked)
        first, second = read(photos, cache), read(photos, cache)
    assert [note.reason for note in second.dropped if "small7" in note.path] == ["cannot be read (Permission denied)"]
    same(first, second)
    assert only(second).decoded == 0
    same(read(photos, cache), expected)


def test_a_lack_of_memory_is_nobodys_fault(photos: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*arguments: Any) -> Decoded:
        raise MemoryError("20 x 30 pixels")

    monkeypatch.setattr(files, "decode", greedy)
    with pytest.raises(ResourceError, match=r"out of memory while reading .*a/0\.jpg \(20 x 30 pixels\): close other programs"):
        read(photos, cache)


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RUNG_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert place() == Cache(tmp_path / "rung" / "images")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert place() == Cache(tmp_path / "home" / ".cache" / "rung" / "images")
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "here"))
    assert place() == Cache(tmp_path / "here")
    for word in ("off", "OFF", "no", "0", ""):
        monkeypatch.setenv("RUNG_CACHE", word)
        assert place() is None


def test_what_is_kept_can_be_listed_and_cleared(photos: Path, cache: Cache, settled: None) -> None:
    assert kept(cache) == clear(cache) == []
    first = read(photos, cache, size=16)
    read(photos, cache, size=8)
    one, other = kept(cache)
    assert {one.images, other.images} == {COUNT - 1}
    assert (one.source, one.bytes) == ("photos", sum(path.stat().st_size for path in one.folder.iterdir()))
    assert clear(cache, unused_s=3600) == []
    an_hour_ago = time.time() - 3700
    for path in (*one.folder.iterdir(), one.folder):
        os.utime(path, (an_hour_ago, an_hour_ago))
    assert [past.folder for past in kept(cache) if past.unused_s > 3600] == [one.folder]
    read(photos, cache, size=16)
    read(photos, cache, size=8)
    assert clear(cache, unused_s=3600) == []
    with lock.hold(one.folder):
        assert [gone.folder for gone in clear(cache)] == [other.folder]
    assert [gone.folder for gone in clear(cache)] == [one.folder]
    assert not any(cache.root.iterdir())
    same(first, read(photos, None, size=16))  # still mapped


def test_a_table_is_replaced_under_those_who_read_it(photos: Path, cache: Cache, settled: None) -> None:
    first = read(photos, cache)
    old = table.open_table(Path(only(first).cache))
    assert old is not None
    before, expected = first.hash(), read(photos, None)
    Image.new("RGB", (20, 30), "blue").save(photos / "a" / "4.png")
    assert read(photos, cache).hash() != before
    assert first.hash() == before
    assert all(old.is_sound(block) for block in range(7))
    same(first, expected)
