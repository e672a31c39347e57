"""What a replay leaves out, and says: runs of no row any more, and records of other images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.replays import pack
from rung import replays
from rung.replays import left_out, records
from rung.study.replay import RunRecord
from rung.study.system import System, read_system
from rung.study.system_rows import places
from tests.study.made_systems import LADDER, make_system, record


@pytest.fixture
def system(tmp_path: Path) -> System:
    return read_system(make_system(tmp_path))


def of(system: System, *contents: str) -> list[RunRecord]:
    """Return a record of the first rows for each content, seed by seed."""
    wanted = places(system)
    return [record(wanted[at % 3], at // 3, 0.9, content=content) for at, content in enumerate(contents)]


def test_records_of_other_images_than_most_are_left_out_and_said(system: System) -> None:
    brought = of(system, "a", "b", "a", "")
    kept, told = left_out.of_same_data([], brought, places(system))
    assert kept == [brought[0], brought[2], brought[3]]
    assert told == ["1 record of runs is left out, for they saw other images than most others: base, filters, 8."]
    assert left_out.of_same_data([], of(system, "a", "a"), places(system))[1] == []


def test_the_runs_of_the_folder_say_which_images_are_right(system: System) -> None:
    brought, (mine, *_) = of(system, "a", "a", "a"), of(system, "b")
    kept, told = left_out.of_same_data([mine], brought, places(system))
    assert kept == [mine]
    assert told == ["3 records of runs are left out, for they saw other images than the runs of this folder: base, filters, start, base, filters, 8 and base, filters, 8-16."]  # fmt: skip  # noqa: E501
    own = of(system, "a", "b", "a")
    kept, told = left_out.of_same_data(own, [], places(system))
    assert kept == [own[0], own[2]]
    assert told == [f"1 record of runs is left out, for they saw other images than most runs of this folder: delete {own[1].run} to train them again."]


def test_rows_that_take_other_images_are_not_held_against_each_other(system: System) -> None:
    one, other = of(system, "a", "b")
    changed = record(places(system)[1], 0, 0.9, content="b", settings={**other.settings, "data.per_class": 5})
    assert left_out.of_same_data([], [one, changed], places(system)) == ([one, changed], [])


def test_a_run_keeps_what_its_images_were_and_shows_when_they_changed(tmp_path: Path) -> None:
    """Another run of the same folder, of whose images one was changed: it is read, left out, and said; its row is missing again."""
    made = make_system(tmp_path, ladder=LADDER.partition('[[step]]\nname = "batch"')[0])
    (made / "system.toml").write_text('[[ladder]]\nfile = "base.toml"\nseeds = 1\n[small]\nseeds = 1\nsettings = { data.per_class = 10, train.epochs = 1 }\n')
    first = replays.replay(made, small=True, minutes=5, workers=1, out=tmp_path)
    runs = tmp_path / "replay-tiny-small" / "runs"
    contents = {row.runs[0].content for row in first.rows}
    assert len(contents) == 1
    assert len(contents.pop()) == 64
    one = first.row("base", "filters", "8").runs[0].run
    data = (runs / one / "data.json").read_text().replace('"content": "', '"content": "other')
    (runs / one / "data.json").write_text(data)
    found = replays.replay(made, small=True, out=tmp_path)
    assert found.told == (f"1 record of runs is left out, for they saw other images than most runs of this folder: delete {one} to train them again.",)
    assert [row.name[1:] for row, _ in found.missing] == [("filters", "8")]


def test_runs_of_no_row_are_said(system: System, tmp_path: Path) -> None:
    wanted, runs = places(system), tmp_path / "runs"
    for name in (wanted[0].key(0), wanted[0].key(9), wanted[1].key(99), "0" * 16):
        (runs / name).mkdir(parents=True)
    (runs / "lock").mkdir()
    (runs / "ledger.jsonl").write_text("")
    assert left_out.told_stale(runs, wanted) == [
        "1 run of your own is left out, for the files now say something else to train: 0000000000000000; undo the change, or delete these folders."
    ]
    assert left_out.told_stale(tmp_path / "nothing", wanted) == []
    for number in range(1, 6):
        (runs / f"{number:016x}").mkdir()
    assert "6 runs of your own are left out, for the files now say something else to train: 0000000000000000, 0000000000000001, 0000000000000002 and 3 more;" in left_out.told_stale(runs, wanted)[0]  # fmt: skip  # noqa: E501


def test_a_replay_whose_ladder_was_changed_says_so(tmp_path: Path) -> None:
    made = make_system(tmp_path)
    key = places(read_system(made), small=True)[1].key(1)
    (tmp_path / "replay-tiny-small" / "runs" / key).mkdir(parents=True)
    assert replays.replay(made, small=True, seeds=1, out=tmp_path).told == ()
    (made / "base.toml").write_text(LADDER.replace('name = "8", "network.filters" = [8]', 'name = "8", "network.filters" = [9]'))
    assert f"1 run of your own is left out, for the files now say something else to train: {key};" in replays.replay(made, small=True, out=tmp_path).told[0]


def test_packing_leaves_records_of_other_images_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    system = read_system(make_system(tmp_path))
    monkeypatch.setattr(replays, "system", lambda name: system)
    wanted = places(system)
    records.write(tmp_path / "tiny", [record(wanted[at], 0, 0.9, content=content) for at, content in enumerate("aab")])
    assert [one.candidate for one in pack(tmp_path / "replay-tiny", shipped=tmp_path)] == ["start", "8"]
    assert "other images than most others: base, filters, 8-16" in capsys.readouterr().out
    assert [one.content for one in records.read(tmp_path / "tiny")] == ["a", "a"]


def test_answers_of_many_classes_come_back_whole(tmp_path: Path, system: System) -> None:
    made = record(places(system)[0], 0, 0.9)
    labels = np.arange(300, dtype=np.uint16)
    many = record(places(system)[1], 0, 0.9, answers={"validation": labels[::-1].copy()}, labels={"validation": labels})
    records.write(tmp_path / "tiny", [made, many])
    few, again = records.read(tmp_path / "tiny")
    assert again.answers["validation"].tolist() == labels[::-1].tolist()
    assert (again.labels["validation"].dtype, few.labels["validation"].dtype) == (np.uint16, np.uint8)
