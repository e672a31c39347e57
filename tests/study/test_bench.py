"""A race: what each reached, the peers and what they fail with, the page, and a tiny race on the digits."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

import rung
from benchmarks import race as benchmark
from rung.errors import RunError
from rung.reports import bench_figure, bench_page
from rung.study.bench import Bench, Epoch, Spread, Trial, from_json
from rung.study.peers import Peer, peer_of, run_peer, trial_of
from rung.training.journal import Interrupted
from tests.command import caller

HOSTILE = "<script>alert(1)</script>"
PEER = """
import argparse, json, numpy
parser = argparse.ArgumentParser()
for word in ("data", "seconds", "epochs", "seed", "threads"):
    parser.add_argument("--" + word, required=True)
parser.add_argument("--step", type=float, default=0.5)
asked = parser.parse_args()
data = numpy.load(asked.data)
assert data["x_train"].dtype == numpy.uint8 and len(data["x_test"]) == len(data["y_test"]) > 0
print("a library's own words")
for epoch in (1, 2):
    row = {"seconds": epoch * asked.step, "images": epoch * len(data["x_train"]), "accuracy": 0.25 * epoch, "validation_seconds": 0.1}
    print(json.dumps(row))
print(json.dumps({"versions": {"numpy": numpy.__version__, "threads": asked.threads}}))
"""


def trial(system: str, seed: int, *accuracies: float, second: float = 10.0) -> Trial:
    return Trial(system, seed, tuple(Epoch(second * (i + 1), 1000 * (i + 1), value, 1.0) for i, value in enumerate(accuracies)))


def race(*trials: Trial, peers: tuple[str, ...] = ("torch_plain",)) -> Bench:
    return Bench("photos", {"train": 1000, "validation": 250}, 25.0, 2, peers, trials, {"date": "2026-11-21", "processor": "a processor"})


RACE = race(
    trial("fast", 0, 0.5, 0.7, 0.8),
    trial("torch_plain", 0, 0.4, second=20.0),
    Trial("broken", 0, (), problem=f"broken ended with exit code 1: {HOSTILE}"),
    trial("fast", 1, 0.5, 0.72, 0.9),
    trial("torch_plain", 1, 0.5, second=40.0),
)


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    path = tmp_path / "peer.py"
    path.write_text(PEER)
    return path


def test_what_each_reached_is_counted_over_seeds_and_set_against_the_first() -> None:
    fast, plain, broken = RACE.standings()
    assert fast.images_per_s == Spread(100.0, 100.0, 100.0)
    assert fast.accuracy_in_time == Spread(pytest.approx(0.71), 0.7, 0.72), "the third epoch ended after 25 s"
    assert fast.accuracy == Spread(pytest.approx(0.85), 0.8, 0.9)
    assert fast.times is None
    assert plain.times == Spread(3.0, 2.0, 4.0), "seed by seed: 100 / 50 and 100 / 25"
    assert plain.accuracy_in_time == Spread(0.4, 0.4, 0.4), "with seed 1 no epoch ended in time"
    assert (broken.seeds, broken.accuracy, broken.times) == (0, None, None)


def test_a_race_is_the_same_after_json() -> None:
    assert from_json(json.loads(json.dumps(RACE.to_json()))) == RACE
    with pytest.raises(RunError, match=r"this is no bench\.json: 'trials'"):
        from_json({"data": "photos"})


def test_the_page_has_curves_table_and_problems_and_nothing_from_outside() -> None:
    page = bench_page.render(RACE)
    assert page.count('<polyline class="line system0"') == 2
    assert "After 25 s of training: fast 71.0" in page
    assert "3.00 (2.00..4.00)" in page
    assert "broken ended with exit code 1" in page
    assert HOSTILE not in page
    assert "http" not in page
    assert "No peer took part" not in page
    assert bench_page.NO_PEERS.partition("`")[0] in bench_page.render(race(trial("fast", 0, 0.5), peers=()))


def test_a_page_of_none_that_finished_says_so() -> None:
    page = bench_page.render(race(Trial("fast", 0, (), problem="it diverged")))
    assert "No training ended an epoch within 25 s." in page
    assert "<svg" not in page


def test_the_picture_is_a_whole_svg_file() -> None:
    drawn = ElementTree.fromstring(bench_figure.picture(RACE))
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    assert {"fast", "torch_plain"} <= {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert bench_figure.picture(race(Trial("fast", 0, (), problem="it diverged"))) == ""


def test_rows_of_a_race_give_the_race_again() -> None:
    rows = json.loads(json.dumps(benchmark.rows_of(replace(RACE, data="older"), 1) + benchmark.rows_of(RACE, 2)))
    assert benchmark.last_race(rows) == RACE
    assert "| fast | 2 | 100 | 71.0 (70.0..72.0) |" in benchmark.table(RACE)


def test_what_a_peer_prints_is_read_and_checked() -> None:
    good = '{"seconds": 1, "images": 10, "accuracy": 0.5}'
    found = trial_of("peer", 3, f'hello\n[1]\n{good}\n{{"versions": {{"torch": "2.15"}}}}\n')
    assert found == Trial("peer", 3, (Epoch(1.0, 10, 0.5, 0.0),), {"torch": "2.15"})
    assert trial_of("peer", 0, "hello").problem == "peer printed no line of an epoch"
    wrong = [
        '{"seconds": 1, "images": 10, "accuracy": 50}',
        '{"seconds": NaN, "images": 10, "accuracy": 0.5}',
        '{"seconds": "x", "images": 1, "accuracy": 0.5}',
    ]
    for line in (*wrong, '{"accuracy": 0.5}', f"{good}\n{good}"):
        assert trial_of("peer", 0, line).problem.startswith("peer printed what is no epoch: {"), line


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("raise ModuleNotFoundError(\"No module named 'tensorflow'\")", "peer ended with exit code 1: ModuleNotFoundError: No module named 'tensorflow'"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "peer was ended by SIGKILL: it said nothing"),
        ("print('nothing')", "peer printed no line of an epoch"),
    ],
)
def test_what_a_peer_fails_with_is_one_sentence(code: str, problem: str, tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text(code)
    found = run_peer(Peer("peer", script), sys.executable, tmp_path / "data.npz", tmp_path, seconds=1.0, seed=0, threads=1)
    assert found == Trial("peer", 0, (), problem=problem)


def test_a_peer_is_ended_when_it_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rung.study.peers._PATIENCE", (0.0, 0.5))
    script = tmp_path / "peer.py"
    script.write_text("import time; time.sleep(60)")
    found = run_peer(Peer("peer", script), sys.executable, tmp_path / "data.npz", tmp_path, seconds=1.0, seed=0, threads=1)
    assert found.problem == "peer was ended after 0.5 s; the last it said: it said nothing"


def test_a_stop_signal_ends_the_peer(tmp_path: Path) -> None:
    script, begun = tmp_path / "peer.py", tmp_path / "begun"
    script.write_text(f"import pathlib, time; pathlib.Path({str(begun)!r}).write_text('x'); time.sleep(60)")

    def stop() -> None:
        while not begun.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(Interrupted, match="stopped; the peer was ended") as stopped:
        run_peer(Peer("peer", script), sys.executable, tmp_path / "data.npz", tmp_path, seconds=1.0, seed=0, threads=1)
    assert stopped.value.exit_code == 143


def test_a_peer_may_have_options(peer: Path) -> None:
    assert peer_of(f"'{peer}' --step 2") == Peer("peer step 2", peer, ("--step", "2"))
    assert peer_of(peer).name == "peer"


def test_a_race_on_the_digits(peer: Path, tmp_path: Path) -> None:
    out, asked = tmp_path / "race", []
    broken = tmp_path / "broken.py"
    broken.write_text("import there_is_no_such_module")
    images, peers = rung.load("digits", settings={"data.per_class": 30}), [peer, f"{peer} --step 0.02", broken]
    found = rung.bench(
        images, seconds=1.0, seeds=2, recipes=["digits"], peers=peers, threads=1, out=out,
        staged=lambda done, total: asked.append((done, total)),
    )  # fmt: skip
    assert [(one.system, one.seed) for one in found.trials] == [
        *(("digits", 0), ("peer", 0), ("peer step 0.02", 0), ("broken", 0)),
        *(("digits", 1), ("peer", 1), ("peer step 0.02", 1)),
    ], "what has failed is not asked again"
    assert asked[0] == (0, 8)
    assert found.trials[1].versions["threads"] == "1"
    mine = found.trials[0]
    assert mine.epochs[0].images == found.rows["train"]
    assert mine.epochs[-1].accuracy > 0.1
    assert found.standings()[3].problem == "broken ended with exit code 1: ModuleNotFoundError: No module named 'there_is_no_such_module'"
    assert from_json(json.loads((out / "bench.json").read_text())) == replace(found)
    assert "peer step 0.02" in (out / "bench.html").read_text()
    splits = [run.read_data()["splits"] for run in (summary.run for summary in rung.runs(out / "runs"))]
    assert splits[0] == splits[1], "the parts are the same for all seeds"
    with pytest.raises(RunError, match="holds a race already: name another folder with --out"):
        rung.bench("digits", out=out)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--seconds", "0"), "seconds = 0: expected the seconds of training that each is given, above 0"),
        (("--seconds", "nan"), "seconds = nan: expected the seconds"),
        (("--seeds", "0"), "seeds = 0: expected how many seeds each is trained with, 1 or more"),
        (("--threads", "0"), "threads = 0: expected the threads of each training, 1 or more"),
        (("--peer", "nowhere.py"), "there is no peer nowhere.py: give the path of a script"),
        (("--python", "nowhere/python"), "there is no Python at nowhere/python: give the path of an environment's own"),
        (("--recipe", "fats"), "there is no recipe 'fats': did you mean 'fast'?"),
    ],
)
def test_what_cannot_race_is_refused_before_anything_is_written(
    words: tuple[str, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    said = caller(monkeypatch, capsys)("bench", "digits", *words)
    assert said.code == 2
    assert sentence in said.err
    assert not list(tmp_path.iterdir())


def test_two_of_one_name_are_refused(peer: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="two of those that race are called peer: give one of them another name"):
        rung.bench("digits", seconds=0.5, recipes=["digits"], peers=[peer, str(peer)], threads=1, out=tmp_path / "race")


def test_the_command_says_what_each_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("digits", "--recipe", "digits", "--seconds", "0.5", "--seeds", "1", "--threads", "1")
    said = caller(monkeypatch, capsys)("bench", *words, "--out", tmp_path / "race")
    assert said.code == 0
    assert "No peer took part. A few are in `benchmarks/peers`" in said.out
    assert f"page: {tmp_path / 'race' / 'bench.html'}" in said.out
    machine = json.loads(caller(monkeypatch, capsys)("bench", *words, "--out", tmp_path / "other", "--json").out)
    assert machine["standings"][0]["system"] == "digits"
    assert machine["page"].endswith("bench.html")
