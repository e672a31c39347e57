"""`rung ladder` and rung.ladder with real trainings of digits: whole, killed, stopped, tested."""

import json
import re
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rung
from benchmarks.torture.forks import Forks
from rung.errors import RecipeError, RunError, RungError
from rung.store import atomic
from rung.studies import _tested
from rung.study.ladder import FILE, PAGE, RUNS, read_ladder
from tests.command import Rung, caller

THIN = {"data.per_class": 20, "train.epochs": 1, "train.batch_size": 64, "network.filters": [4], "network.convolutions": 1}
STEPS = [{"name": "rate", "why": "too slow?", "field": "train.learning_rate", "candidates": [0.05]}]
TEXT = """
data = "digits"
recipe = "digits"
seeds = 2
[settings]
data.per_class = 20
train.epochs = 1
network.filters = [4]
network.convolutions = 1
[[step]]
name = "rate"
why = "too slow?"
notes = "as usual"
field = "train.learning_rate"
candidates = [0.05, 0.004]
[[step]]
name = "grey or not"
field = "pixels.colour"
candidates = ["rgb"]
"""


@pytest.fixture
def rung_(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rung:
    return caller(monkeypatch, capsys)


def climb(out: Path, **fields: Any) -> Any:
    return rung.ladder(STEPS, **{"data": "digits", "recipe": "digits", "seeds": 2, "settings": THIN, "out": out, "workers": 1, **fields})


@pytest.fixture(scope="module")
def climbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root in which the file of TEXT was climbed, beside it; not to be changed."""
    root = tmp_path_factory.mktemp("climbed")
    (root / "small.toml").write_text(TEXT)
    rung.ladder(root / "small.toml", out=root, workers=1)
    return root


def test_the_folder_of_a_ladder(climbed: Path) -> None:
    found = read_ladder(climbed / "small")
    assert found.ended
    assert [step.state for step in found.steps] == ["decided", "decided"]
    assert (found.steps[0].why, found.steps[0].notes) == ("too slow?", "as usual")
    assert found.steps[0].named("0.004").same_as == "start", "it is the rate of the recipe"
    assert (climbed / "small" / PAGE).read_text().count("too slow?") > 0
    ids = {run for step in found.steps for one in (step.start, *step.candidates) for run in one.runs}
    assert {path.name for path in (climbed / "small" / RUNS).iterdir() if path.is_dir()} == ids
    run = rung.Run(climbed / "small" / RUNS / found.steps[0].start.runs[1])
    recipe = rung.load_recipe(run.recipe)
    assert (recipe.seed, recipe.split.seed, recipe.compute.threads) == (1, 0, 1)
    assert recipe.why == "step 1 'rate', 'start' with seed 1"
    assert found.steps[0].start.values[1] == run.read_scores()["validation"]["accuracy"]["value"]
    assert not rung.runs(climbed), "the ladder's folder is taken for a run"


def test_colour_and_grey_are_paired(climbed: Path) -> None:
    """The digests are those of the images as they were read."""
    told = read_ladder(climbed / "small").steps[1].told
    assert any(sentence.startswith("All were scored on the same ") for sentence in told)


def test_a_list_of_steps_in_python(tmp_path: Path) -> None:
    said: list[str] = []
    found = climb(tmp_path, name="mine", why="to see")
    assert (found.plan.name, found.plan.why, found.plan.seeds) == ("mine", "to see", (0, 1))
    assert rung.ladder is rung.studies.ladder
    from rung.study.climb import Watch

    again = climb(tmp_path, name="mine", why="to see", seeds=3, watch=Watch(say=said.append))
    assert again.steps[0].start.runs[:2] == found.steps[0].start.runs
    assert said == ["seeds of the ladder changed since it was climbed last: every step is decided anew, and what has no run yet is trained"]
    with pytest.raises(RecipeError, match=r"^there is no field 'sedes' in a ladder: did you mean 'seeds'\?"):
        climb(tmp_path, sedes=3)
    with pytest.raises(RecipeError, match=r"^rung.ladder: steps is 5 \(int\): expected the path of a ladder file, or a list of steps"):
        rung.ladder(5)  # type: ignore[arg-type]


def test_a_recipe_that_follows_the_data_follows_those_of_each_candidate(tmp_path: Path) -> None:
    thin = {"network.filters": [4], "network.convolutions": 1, "train.epochs": 1, "data.per_class": 12}
    steps = [{"name": "images", "field": "data.per_class", "candidates": [40]}]
    found = rung.ladder(steps, data="digits", recipe="fast", seeds=2, settings=thin, out=tmp_path, workers=1).steps[0]
    recipes = [rung.load_recipe(tmp_path / "ladder" / RUNS / one.runs[0] / "recipe.toml") for one in (found.start, found.named("40"))]
    assert [recipe.network.kind for recipe in recipes] == ["fast", "fast"]
    assert not any(recipe.augment.flip_horizontal for recipe in recipes), "digits are not mirrored"
    assert found.verdict is None or found.verdict.differences[0].name == "40"
    assert any("validation images" in sentence for sentence in found.told)


def test_the_folder_of_a_run_is_no_ladders(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "recipe.toml").write_text("")
    with pytest.raises(RunError, match=r"taken is the folder of a run: give the ladder another name, or --out another root$"):
        climb(tmp_path, name="taken")


def test_a_damaged_record_is_said(tmp_path: Path) -> None:
    climb(tmp_path)
    (tmp_path / "ladder" / FILE).write_text('{"format": 1}')
    with pytest.raises(RunError, match=r"ladder.json is damaged \('plan'\): delete it, and climb again: no finished run is trained anew$"):
        climb(tmp_path)
    (tmp_path / "ladder" / FILE).unlink()
    assert climb(tmp_path).ended


def test_the_test_part_is_opened_at_the_end_for_the_winner_and_the_start(tmp_path: Path) -> None:
    shown: list[Any] = []
    found = climb(tmp_path, test=True, before_test=shown.append)
    assert [fall.score for fall in shown] == [found.fall.score]
    assert [tested.name for tested in found.test] == list(dict.fromkeys([found.winner, "start"]))
    assert found.opened_after == (1,)
    openings = [opening for tested in found.test for opening in tested.openings]
    assert openings == list(range(1, len(openings) + 1))
    assert rung.verify_ledger(tmp_path) == rung.verify_ledger(tmp_path / "ladder" / RUNS) == len(openings)
    for tested in found.test:
        run = rung.Run(tmp_path / "ladder" / RUNS / tested.runs[0])
        assert run.read_scores()["test"]["accuracy"]["value"] == tested.values[0]
    assert climb(tmp_path, test=True) == found, "it was opened twice"
    assert climb(tmp_path).test == found.test
    grown = rung.ladder(
        [*STEPS, {"name": "batch", "field": "train.batch_size", "candidates": [32]}],
        data="digits", recipe="digits", seeds=2, settings=THIN, out=tmp_path, workers=1,
    )  # fmt: skip
    assert grown.told == ("The test part was opened when this ladder had 1 step: what came after was chosen by people who may have seen it.",)


def test_other_parts_and_back_again_say_truly_what_was_opened(tmp_path: Path) -> None:
    found = climb(tmp_path, test=True)
    lines = rung.verify_ledger(tmp_path)
    other = climb(tmp_path, settings={**THIN, "split.seed": 1})
    assert (other.test, other.opened, other.opened_after, other.told) == ((), 0, (), ()), "openings of one test set were taken for those of another"
    assert not other.tested
    back = climb(tmp_path)
    assert (back.test, back.opened, back.opened_after, back.tested) == (found.test, lines, (1,), True)
    (tmp_path / "ladder" / FILE).unlink()
    alone = climb(tmp_path)
    assert (alone.test, alone.opened, alone.tested) == (found.test, lines, True), "the runs were not read again"
    longer = climb(tmp_path, settings={**THIN, "train.epochs": 2})
    assert (longer.test, longer.opened, longer.tested) == ((), lines, False), "the same test set, opened by other runs of the ladder"
    assert rung.verify_ledger(tmp_path) == lines


def test_the_test_part_stays_sealed_before_the_end(climbed: Path) -> None:
    unfinished = replace(read_ladder(climbed / "small"), ended=False)
    with pytest.raises(RunError, match=r"^the ladder small is not climbed to its end: its test part stays sealed until then$"):
        _tested(unfinished, climbed / "small", None)
    assert not list((climbed / "small" / RUNS).glob("*/opening.json"))


def test_the_command_says_what_the_page_says(climbed: Path, rung_: Rung) -> None:
    said = rung_("ladder", climbed / "small.toml", "--out", climbed, "--workers", "1")
    assert said.code == 0
    assert re.search(r"^1 rate +0\.05 +2 +\d+\.\d\d", said.out, re.MULTILINE)
    assert "1 rate: “0.004” is the same network as “start (0.004)”" in said.out
    assert re.search(r"^1 rate +start \(0\.004\) +2 +\d+\.\d\d", said.out, re.MULTILINE)
    assert not re.search("^[0-9] .*“start”", said.out, re.MULTILINE), "the start of a step without what it has"
    assert "start (0.004)" in (climbed / "small" / PAGE).read_text()
    assert f"rung ladder {climbed / 'small.toml'} --test" in said.out
    assert f"page: {climbed / 'small' / PAGE}" in said.out
    assert "step 1 of 2, rate: start, 0.05, 0.004" in said.err
    as_json = rung_("ladder", climbed / "small.toml", "--out", climbed, "--workers", "1", "--json")
    assert (as_json.code, as_json.err) == (0, "")
    assert json.loads(as_json.out) == {**atomic.read_json(climbed / "small" / FILE), "folder": str(climbed / "small")}


def test_a_bad_file_is_one_sentence_and_exit_code_2(tmp_path: Path, rung_: Rung) -> None:
    (tmp_path / "bad.toml").write_text(TEXT.replace("seeds = 2", "seeds = 1"))
    said = rung_("ladder", tmp_path / "bad.toml", "--out", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("rung: seeds = 1: noise is measured between seeds")
    assert said.err.count("\n") == 1
    assert rung_("ladder", tmp_path / "bad.toml", "--out", tmp_path, "--set", "train.epochs").code == 2
    assert not (tmp_path / "bad").exists()


def test_a_refused_ladder_leaves_no_folder(tmp_path: Path) -> None:
    for data in ("photos", str(tmp_path / "photos")):
        with pytest.raises(RungError, match="photos"):
            climb(tmp_path / "deep" / "runs", data=data)
        assert not list(tmp_path.iterdir())


def test_killed_and_stopped_anywhere_it_comes_to_the_same_table(forks: Forks, climbed: Path, tmp_path: Path) -> None:
    """By kill -9 of its process group, SIGTERM and Ctrl-C; python -m benchmarks.ladder_kills does it 20 times, with workers too."""
    expected = (climbed / "small" / FILE).read_bytes()
    (tmp_path / "small.toml").write_text(TEXT)
    words = ["ladder", "small.toml", "--out", ".", "--workers", "1"]
    for after_s, number in ((1.0, signal.SIGKILL), (0.6, signal.SIGTERM), (0.8, signal.SIGINT)):
        ended = forks.run(words, tmp_path, signals=[(after_s, number)])
        assert ended.code in (0, -9, 143, 130)
        assert "Traceback" not in ended.err
        assert not ended.left_over
    assert forks.run(words, tmp_path).code == 0
    assert (tmp_path / "small" / FILE).read_bytes() == expected
