"""The benchmarks in which trainings take turns: a training in segments, and the tables of their rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import at_once, marked, throughput
from benchmarks.segments import rung_trainer


def test_a_training_goes_on_segment_by_segment_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = rung_trainer("digits", "digits", 1, rows=200, settings=["train.epochs=2", "data.per_class=30"])
    assert trainer.receive()["batch"] == 64
    for _ in range(2):
        done = trainer.train(0.05)
        assert done["seconds"] >= 0.05
        assert done["images"] > 0
    trainer.end()
    assert trainer.process.returncode == 0


def test_a_training_that_fails_is_named_with_its_last_line() -> None:
    trainer = rung_trainer("digits", "digits", 1, settings=["train.epoch=2"])
    with pytest.raises(SystemExit, match=r"benchmarks\.segments digits --recipe digits .* ended: .*there is no field 'train\.epoch'"):
        trainer.receive()
    trainer.end()


def row(system: str, *speeds: float, **more: Any) -> dict[str, Any]:
    about = {"date": "2026-11-21T18:00:00+00:00", "processor": "a processor", "threads": 2, "segment_s": 22.0, "precision": ""}
    return {**about, "system": system, "images_per_s": list(speeds), **more}


def test_the_table_of_throughput_divides_round_by_round() -> None:
    rows = [
        row("rung", 2000, 2400, precision="bfloat16", rung="0.1.0", torch="2.15.0"),
        row("rung float32", 1100, 1000, precision="float32"),
        row("Keras", 1000, 800, keras="3.15", tensorflow="2.21"),
        row("Keras mixed_bfloat16", 1250, 1200),
    ]
    lines = throughput.table([row("rung", 1.0, date="2025"), *rows]).splitlines()
    assert lines[2] == "| rung, bfloat16 | 2,200 (2,000..2,400) | 2.50 (2.00..3.00) | 1.80 (1.60..2.00) |"
    assert lines[4] == "| Keras on TensorFlow, float32 | 900 (800..1,000) |  | 0.73 (0.67..0.80) |"


def test_the_table_of_two_at_once_counts_models_an_hour() -> None:
    speeds = {"two at once": [3000.0, 3600.0], "one on two threads": [2000.0, 1800.0]}
    made = {"date": "2026-11-21T18:00", "network": "fast", "images": 160_000, "batch": 250, "precision": "bfloat16", "segment_s": 10.0}
    lines = at_once.table([{**made, "images_per_s": speeds, "processor": "a processor", "torch": "2.15.0"}]).splitlines()
    assert lines[2] == "| fast, 250 | 74.2 (67.5..81.0) | 42.8 (40.5..45.0) | 1.75 (1.50..2.00) |"


def test_tables_have_a_place_in_the_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    page = tmp_path / "README.md"
    page.write_text(marked.PAGE.read_text())
    monkeypatch.setattr(marked, "PAGE", page)
    for name in ("throughput", "at_once", "race", "twins", "faults", "data", "systems", "ladders-aa", "referee"):
        marked.between(name, "a table")
        assert f"<!-- {name} -->\na table\n<!-- /{name} -->" in page.read_text()
    with pytest.raises(SystemExit, match="has no place for this table: write <!-- other -->"):
        marked.between("other", "a table")
