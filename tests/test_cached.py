"""Runs from cached and mapped images are, to the bit, those from images decoded anew; the command line says where images came from."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import rung
from rung import cli
from rung.data import batches, gather
from rung.data import load as loading
from rung.data.cache import Cache
from rung.pipeline import prepare
from rung.recipe import Data, Pixels
from rung.store.run import Run

SETTINGS = {"train.epochs": 2, "compute.threads": 1, "augment.rotation_degrees": 10}


def trained(folder: Path, out: Path, **more: Any) -> Run:
    return rung.train(folder, "digits", settings=SETTINGS, out=out, name="one", **more)


def bits(run: Run) -> dict[str, str]:
    """Return a digest of every file of a run that holds results."""
    names = ["weights.safetensors", "data.json", "metrics.jsonl", "scores.json", "splits.safetensors"]
    return {name: hashlib.sha256((run.folder / name).read_bytes()).hexdigest() for name in names}


def test_the_cache_changes_no_bit_of_a_run(digits_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "place", lambda: None)
    expected = bits(trained(digits_folder, tmp_path / "without"))
    monkeypatch.setattr(prepare, "place", lambda: Cache(tmp_path / "cache", worth_s=0))
    assert bits(trained(digits_folder, tmp_path / "filling")) == expected
    assert list((tmp_path / "cache").rglob("table.json"))
    real, held = prepare.held, []
    monkeypatch.setattr(batches, "_SHARE_OF_MEMORY", 0.0)  # as if the images were larger than the memory
    monkeypatch.setattr(prepare, "held", lambda *rows: held.append(real(*rows)) or held[-1])
    assert bits(trained(digits_folder, tmp_path / "mapped")) == expected
    assert {type(images) for images in held} == {batches.OnDisk}


def test_trouble_with_the_cache_is_said_and_stops_nothing(digits_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    said: list[str] = []
    monkeypatch.setattr(prepare, "place", lambda: Cache(tmp_path / "file" / "cache", worth_s=0))
    run = trained(digits_folder, tmp_path, say=said.append)
    assert run.state() == "finished"
    assert [sentence for sentence in said if sentence.startswith("images are read without the cache: cannot write ")]


def test_the_command_says_what_came_from_the_cache(digits_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Cache, "__init__", lambda self, root: object.__setattr__(self, "root", root) or object.__setattr__(self, "worth_s", 0.0))

    def said(*words: str) -> str:
        return CliRunner().invoke(cli.app, [*words]).output

    assert "read 300 files in" in (first := said("data", str(digits_folder)))
    assert "none of them from the cache, kept in " in first
    assert "300 of them from the cache, kept in " in said("data", str(digits_folder))
    (reading,) = json.loads(said("data", str(digits_folder), "--json"))["readings"]
    assert (reading["known"], reading["decoded"], reading["trouble"]) == (300, 0, "")
    assert reading["seconds_s"] > 0
    monkeypatch.setattr(gather, "open_table", lambda folder: None)
    monkeypatch.setattr(gather, "write_block", lambda *arguments: (_ for _ in ()).throw(rung.errors.ResourceError("the disk is full")))
    assert "read without the cache: the disk is full" in said("data", str(digits_folder))
    assert "none of them from the cache\n" in said("--no-cache", "data", str(digits_folder))
    assert os.environ["RUNG_CACHE"] == "off"
    assert "readings" not in said("data", "digits")


def test_what_is_kept_is_listed_and_removed(digits_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))

    def said(*words: str) -> str:
        ended = CliRunner().invoke(cli.app, ["cache", *words])
        assert ended.exit_code == 0
        return ended.output

    assert said() == f"0.0 kB in {tmp_path / 'cache'}\n"
    loading.load(Data(sources=(str(digits_folder),)), Pixels(), cache=Cache(tmp_path / "cache", worth_s=0))
    listed = said()
    (one,) = json.loads(said("--json"))
    assert f"digits     300  {one['bytes'] / 1e3:.1f} kB" in listed
    assert (one["source"], one["images"]) == ("digits", 300)
    assert 300 * 64 < one["bytes"] == sum(path.stat().st_size for path in Path(one["folder"]).iterdir())
    assert said("--unused-days", "1") == f"0.0 kB in {tmp_path / 'cache'}\n"
    assert said("--clear", "--unused-days", "1") == f"removed 0.0 kB from {tmp_path / 'cache'}\n"
    assert len(rung.cache()) == 1
    assert f"\nremoved {one['bytes'] / 1e3:.1f} kB from {tmp_path / 'cache'}\n" in said("--clear")
    assert rung.cache() == []
    monkeypatch.setenv("RUNG_CACHE", "off")
    assert said() == "there is no cache: RUNG_CACHE is off\n"
    assert rung.cache(clear=True) == []


def test_loading_in_python_can_leave_the_cache_alone(digits_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNG_CACHE", str(tmp_path / "cache"))
    rung.load(digits_folder, cache=False)
    assert not (tmp_path / "cache").exists()
