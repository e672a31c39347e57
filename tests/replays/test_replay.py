"""A replay that really trains a little: followed, stopped, gone on with, kept as records, shown."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import rung
from benchmarks.replays import pack
from rung import replays
from rung.errors import RecipeError, RunError
from rung.replays import records, sitting
from rung.reports import replay_page, replay_text
from rung.store.run import Run
from rung.study.decisions import judged
from rung.study.replay import Replay, replayed
from rung.study.system_rows import places
from tests.command import caller
from tests.study.made_systems import LADDER, SYSTEM, make_system, record


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a system and of its runs, one seed of which was trained at the small budget."""
    folder = tmp_path_factory.mktemp("replay")
    make_system(folder)
    replays.replay(folder / "tiny", small=True, seeds=1, minutes=5, workers=1, out=folder / "runs")
    return folder


def known(place: Path, **arguments: Any) -> Replay:
    return replays.replay(place / "tiny", **{"small": True, "seeds": 1, "out": place / "runs", **arguments})


def test_every_row_is_trained_once_and_stages_begin_from_weights(place: Path) -> None:
    found = known(place)
    assert (len(found.trainings), found.missing) == (5, ())
    assert len(list((place / "runs" / "replay-tiny-small" / "runs").glob("*/report.html"))) == 5
    row = found.row("base", "stage 2")
    assert row.place.after is not None
    assert row.runs[0].run != row.place.after.key(0)
    assert "network.start" not in row.runs[0].settings, "a record holds no path"
    assert found.row("base", "batch", "64").runs[0].run == found.row("base", "filters", "8-16").runs[0].run


def test_a_second_sitting_trains_nothing_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rung.replays import follow

    monkeypatch.setattr(follow, "train", lambda *a, **k: pytest.fail("nothing is missing"))
    assert known(place, minutes=1).missing == ()


def test_records_come_back_as_they_were_written(place: Path, tmp_path: Path) -> None:
    system = replays.system(place / "tiny")
    wanted = places(system, small=True, seeds=1)
    made = records.found(place / "runs" / "replay-tiny-small" / "runs", wanted)
    records.write(tmp_path / "tiny", made)
    again = records.read(tmp_path / "tiny")
    assert len(again) == 5
    for one, other in zip(made, again, strict=True):
        for name in one.__dataclass_fields__:
            if name in ("answers", "labels"):
                assert all(np.array_equal(getattr(one, name)[part], getattr(other, name)[part]) for part in ("validation",))
                assert getattr(other, name)["validation"].dtype == np.uint8
            else:
                assert getattr(one, name) == getattr(other, name), name
        accuracy = float((other.answers["validation"] == other.labels["validation"]).mean())
        assert accuracy == pytest.approx(other.value("validation", "accuracy") or 0, abs=1e-5)
    before = (tmp_path / "tiny.jsonl").read_bytes(), (tmp_path / "tiny.npz").read_bytes()
    records.write(tmp_path / "tiny", made)
    assert ((tmp_path / "tiny.jsonl").read_bytes(), (tmp_path / "tiny.npz").read_bytes()) == before
    assert str(place).encode() not in before[0], "no path of a machine"
    (tmp_path / "tiny.npz").write_bytes(b"")
    with pytest.raises(RunError, match=r"tiny.jsonl or the .npz file beside it is damaged"):
        records.read(tmp_path / "tiny")


def test_answers_among_many_classes_are_not_wrapped(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = SimpleNamespace(classes=tuple(map(str, range(300))), rows=np.arange(3), labels=np.array([299, 256, 0]), answers=lambda: np.array([256, 299, 1]))
    monkeypatch.setattr(records.answers, "load", lambda folder: many)
    made = records.found(place / "runs" / "replay-tiny-small" / "runs", places(replays.system(place / "tiny"), small=True, seeds=1))[0]
    assert made.answers["validation"].tolist() == [256, 299, 1]
    assert made.labels["validation"].tolist() == [299, 256, 0]


def test_packing_keeps_what_was_shipped_and_drops_what_is_stale(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "system", lambda name: read)
    read = replays.known.read_system(place / "tiny")
    wanted = places(read, small=True)
    records.write(tmp_path / "tiny-small", [record(wanted[0], 1, 0.9), record(wanted[1], 0, 0.9, run="0" * 16)])
    kept = pack(place / "runs" / "replay-tiny-small", shipped=tmp_path)
    assert [(one.candidate, one.seed) for one in kept] == [("start", 0), ("8", 0), ("8-16", 0), ("32", 0), ("start", 0), ("start", 1)]


def test_a_sitting_that_ends_by_the_clock_says_what_is_left_and_the_next_goes_on(tmp_path: Path) -> None:
    made = make_system(tmp_path)
    found = replays.replay(made, small=True, minutes=0.001, workers=1, out=tmp_path)
    assert len(found.missing) == len(found.trainings) == 10
    said = replay_text.progress(found, "rung replay ./tiny --small")
    assert said == "0 of 10 trainings are there; 10 are left. `rung replay ./tiny --small --minutes 60` trains for an hour, and goes on where it was."
    wanted = places(found.system, small=True)
    some = judged(replayed(found.system, "small", wanted, [record(wanted[0], 0, 0.9, seconds=1800.0)]))
    assert "1 of 10 trainings are there; 9 are left, about 4 h one after the other by what those there took." in replay_text.progress(some, "x")


def test_the_test_part_stays_sealed_until_every_row_has_run(tmp_path: Path) -> None:
    """At the whole budget only, with the seeds of the system; here it is as small as the small one."""
    ladder = LADDER.replace("seeds = 3", "seeds = 2").replace('"train.epochs" = 2', '"train.epochs" = 1\n"data.per_class" = 20')
    ladder = ladder[: ladder.rindex("[[step]]")].replace('{ name = "8", "network.filters" = [8] }, ', "")
    system = SYSTEM.replace('[[decision]]\nladder = "base"\nstep = "batch"\n', "").replace('after = "batch"', 'after = "filters"')
    made = make_system(tmp_path, system, ladder)
    with pytest.raises(RunError, match=r"6 of 6 trainings are still to come: the test part stays sealed until every row has run"):
        replays.replay(made, test=True, out=tmp_path)
    found = replays.replay(made, seeds=2, test=True, minutes=5, workers=1, out=tmp_path)
    opened = {row.name[1:] for row in found.rows if row.score("test")}
    assert opened == {("filters", "start"), ("stage 2", "start")}
    assert Run(tmp_path / "replay-tiny" / "runs" / found.rows[0].runs[0].run).opening.exists()
    assert "test (%)" in replay_text.table(found, "base").headings


def test_at_the_whole_budget_it_is_said_what_is_there_at_the_small_one(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments: dict[str, Any] = {"seeds": 1, "out": place / "runs"}
    words = f"At the small budget 5 of 5 trainings are there, in a table of their own: `rung replay {place / 'tiny'} --small --seeds 1 --out {place / 'runs'}`"
    whole = replays.replay(place / "tiny", page=place / "whole.html", **arguments)
    assert replay_text.at_small(whole) == f"{words} shows it."
    assert whole.to_json()["at_small"]["there"] == 5
    assert "At the small budget 5 of 5 trainings are there" in (place / "whole.html").read_text()
    assert words in caller(monkeypatch, capsys)("replay", place / "tiny", "--seeds", "1", "--out", place / "runs").out
    assert not any(row.runs for row in whole.rows), "a small score in the table of the whole budget"
    assert known(place).at_small is None
    assert replays.replay(place / "tiny", out=place / "nothing").at_small is None
    bad = make_system(tmp_path, SYSTEM.replace("train.epochs = 1", "train.epochs = 0"))
    assert replays.replay(bad, **arguments).at_small is None, "what is wrong there stops the whole budget"


def test_the_table_and_the_page_are_whole(place: Path) -> None:
    found = known(place, page=place / "tiny.html")
    text = (place / "tiny.html").read_text()
    for words in ("small budget", "Pixels in another order.", "same network as filters: 8-16", "Training curves", "carried on"):
        assert words in text
    assert "92.3" not in text, "a reported figure on the page of the small budget"
    assert replay_text.REPORTED not in replay_text.table(found, "base").headings
    wanted = places(found.system)
    made = [record(place, seed, 0.9 + seed / 100) for place in wanted[:3] for seed in range(3)]
    whole = judged(replayed(found.system, "whole", wanted, made))
    page = replay_page.render(whole, {"scrambled": ["wrong: 72 %"]})
    assert page == replay_page.render(whole, {"scrambled": ["wrong: 72 %"]})
    for words in ("92.30", "wrong: 72 %", "not run", "3 seeds"):
        assert words in page
    cells = dict(zip(replay_text.table(whole, "base").headings, replay_text.table(whole, "base").rows[2], strict=True))
    assert (cells[replay_text.REPORTED], cells["seeds"], cells["validation (%)"], cells["remark"]) == ("92.30", "3", "91.00", "carried on")


def test_scores_of_categories_stand_in_the_remark(tmp_path: Path) -> None:
    system = replays.system(make_system(tmp_path))
    wanted = places(system)
    made = record(wanted[0], 0, 0.9)
    scores = {"validation": {**made.scores["validation"], "categories.accuracy": {"value": 0.95}, "categories.macro_f1": {"value": 0.9325}}}
    found = replayed(system, "whole", wanted, [replace(made, scores=scores), record(wanted[1], 0, 0.9)])
    assert [replay_text.remark(found, row) for row in found.rows[:2]] == ["by categories 95.00 %, macro F1 93.25 %", ""]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cnn_lader"}, r"there is no system 'cnn_lader': did you mean 'cnn_ladder'\?"),
        ({"name": "nothing-like-it"}, r"there is no system 'nothing-like-it': known: backprop, cnn_ladder, model_s, omnivores, all"),
        ({"name": "."}, r"\. is no system: it holds no system.toml"),
        ({"minutes": 0}, r"minutes = 0: give how long this sitting may train, above 0"),
        ({"minutes": float("nan")}, r"minutes = nan: give how long"),
        ({"minutes": "ten"}, r"rung.replay: minutes is 'ten' \(str\): expected a number of minutes"),
        ({"seeds": 0}, r"seeds = 0: give how many seeds each row is to have, 1 or more"),
        ({"seeds": 101}, r"seeds = 101: at most 100 seeds a row are planned"),
        ({"small": True, "test": True}, r"the test part is not opened at the small budget: leave out --small"),
        ({"seeds": 1, "test": True}, r"only for the seeds that the system names, which are \d+ for ladder \w+, not 1: leave out --seeds"),
        ({"seeds": [1]}, r"rung.replay: seeds is \[1\] \(list\): expected how many seeds each row has"),
        ({"name": 3}, r"rung.replay: name is 3 \(int\): expected the name of a system"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        rung.replay(**{"name": "backprop", "out": tmp_path, **arguments})
    assert not list(tmp_path.iterdir())


_LOOK = """
import sys
from rung import cli
sys.argv = ["rung", "replay", "all", "--json", "--out", sys.argv[1]]
try:
    cli.main()
finally:
    assert "torch" not in sys.modules
"""


def test_the_command_knows_all_systems_without_torch(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _LOOK, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["system"] for one in found] == list(rung.systems()) == ["backprop", "cnn_ladder", "model_s", "omnivores"]
    assert not list(tmp_path.iterdir()), "a look made a folder"


def test_the_command_shows_and_refuses(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    command = caller(monkeypatch, capsys)
    said = command("replay", place / "tiny", "--small", "--seeds", "1", "--out", place / "runs")
    assert said.code == 0
    tally = "No decision of the author is judged yet: each of 2 needs two seeds of all its rows."
    for words in ("the ladder", "same network as filters: 8-16", tally, "All 5 trainings are there."):
        assert words in said.out
    assert "92.3" not in said.out
    assert command("replay", "cnn_ladder", "--minutes", "-1").err.startswith("rung: minutes = -1: give how long")


def test_a_sitting_in_which_nothing_ended_says_what_is_under_way(tmp_path: Path) -> None:
    """One of two epochs of the first row ran, in 3 s; by what each costs, the rest is told."""
    system = replays.system(make_system(tmp_path))
    wanted = places(system, seeds=1)
    costs = {place.identity: 1.0 for place in wanted}
    found = replace(judged(replayed(system, "whole", wanted, [])), costs=costs)
    assert sitting.told(found, found, tmp_path) == ["No training ended in this sitting, and none was begun: give more minutes."]
    run = tmp_path / "runs" / wanted[0].key(0)
    run.mkdir(parents=True)
    (run / "recipe.toml").write_text("name = 'x'\nseed = 0\n[train]\nepochs = 2\n")
    (run / "metrics.jsonl").write_text('{"epoch": 1}\n')
    (run / "times.jsonl").write_text('{"epoch": 1, "train_s": 500.0, "evaluate_s": 100.0}\n')
    assert sitting.told(found, found, tmp_path) == [
        "No training ended in this sitting. Under way, and saved: base, filters, start, seed 0 (1 of 2 epochs). By what its epochs took, all that is left "
        "takes about 2 h, one training after the other. The same command goes on there."
    ]
    some = judged(replayed(system, "whole", wanted, [record(wanted[0], 0, 0.9)]))
    assert sitting.told(found, some, tmp_path) == []


def test_pages_of_all_systems_lie_in_a_folder_and_are_named(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    command = caller(monkeypatch, capsys)
    said = command("replay", "all", "--page", place / "all.html", "--out", place)
    assert said.code == 2
    assert "all.html: with all systems --page names a folder, in which each has a page of its own; give --page" in said.err
    said = command("replay", place / "tiny", "--small", "--page", place / "one.html", "--out", place / "runs")
    assert f"page: {place / 'one.html'}" in said.out.splitlines()


def test_what_has_not_run_stands_in_one_line_and_empty_columns_are_left_out(tmp_path: Path) -> None:
    system = replays.system("backprop")
    found = judged(replayed(system, "small", places(system, small=True), []))
    assert replay_text.tally(found) == "Of 12 decisions of the author at the small budget: 1 cannot tell and 11 not judged yet."
    assert replay_text.waiting(found).startswith(
        "not judged yet: 12 decisions (each row needs two seeds): mlp: activation, layers, augmentation; cnn: activation,"
    )
    assert [one.decision.step for one in replay_text.judged(found)] == ["epochs"]
    table = replay_text.table(found, "mlp")
    assert table.headings == ("step", "candidate", "parameters", "remark")
    assert table.rows[0] == ("activation", "start (relu)", "1,707,274", "carried on, not run")
    assert replay_text.task(found).endswith("in 32 px; here, at the small budget, 500 images of each class to learn from and to choose on")
    better = next(row for row in replay_text.table(found, "cnn").rows if row[:2] == ("how to do better", "augmentation"))
    assert better[2:] == ("489,802", "kept here, not run")
