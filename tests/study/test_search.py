"""The trials of a search: proposed, ended early, gone on with; and what is made of the best."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import rung
from rung.errors import DivergedError, RecipeError, RunError
from rung.study.entrants import Results
from rung.study.executor import Executor, Job
from rung.study.metrics import metric_named
from rung.study.resolved import Resolved
from rung.study.search import Search, Trial, Trials, last_step, opened
from rung.study.search_plan import SearchPlan, search_of
from tests.command import caller

pytest.importorskip("optuna", reason="rung search needs optuna: pip install 'rung[search]'")
pytestmark = pytest.mark.extras

RATE = {"field": "train.learning_rate", "low": 0.001, "high": 0.1, "log": True}
EPOCHS = 3


def searching(**more: Any) -> SearchPlan:
    return search_of({"data": "digits", "name": "made", "trials": 8, "seeds": 2, "parameter": [RATE], **more})


def resolve(settings: Mapping[str, Any]) -> Resolved:
    if settings.get("train.batch_size") == 7:
        raise RecipeError("seven images are no batch")
    return Resolved(json.dumps(settings, sort_keys=True), 1, 1, ("a", "b"), EPOCHS)


class Made(Executor):
    """Trains nothing: a run scores what `quality` says of its settings, a third of it after each of three epochs."""

    def __init__(self, runs: Path, quality: Callable[[Mapping[str, Any]], float]) -> None:
        self.runs, self.quality, self.trained = runs, quality, 0

    def run(self, jobs: Any, observe: Any = lambda job, step, steps: None) -> dict[str, str]:
        for job in jobs:
            self.trained += 1
            folder, score = self.runs / job.key, self.quality(job.settings)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "metrics.jsonl").write_text("")
            if score < 0:
                failure = {"kind": DivergedError.__name__, "message": "the loss is not finite"}
                (folder / "failure.json").write_text(json.dumps(failure))
                return {job.key: failure["message"]}
            for epoch in range(1, EPOCHS + 1):
                with (folder / "metrics.jsonl").open("a") as log:
                    log.write(json.dumps({"epoch": epoch, "validation_accuracy": score * epoch / EPOCHS}) + "\n")
                observe(job, epoch, EPOCHS)
            (folder / "times.jsonl").write_text(json.dumps({"train_s": 50.0, "evaluate_s": 10.0}) + "\n")
            (folder / "report.html").write_text("")
            (folder / "scores.json").write_text(json.dumps({"validation": {"accuracy": {"value": score}}}))
        return {}


def good(settings: Mapping[str, Any]) -> float:
    return 0.9 - abs(float(settings["train.learning_rate"]) - 0.02)


def search(folder: Path, plan: SearchPlan, quality: Callable[[Mapping[str, Any]], float] = good, **more: Any) -> tuple[Search, Made]:
    made = Made(folder / "runs", quality)
    return Search(plan, {}, resolve, made, Results(folder / "runs", metric_named("accuracy")), folder, **more), made


def test_trials_are_scored_and_the_best_come_first(tmp_path: Path) -> None:
    whole, made = search(tmp_path, searching(prune=False))
    found = whole.run()
    assert [trial.number for trial in found.trials] == list(range(8))
    assert {trial.state for trial in found.trials} == {"finished"}
    assert made.trained == 8
    values = [trial.value for trial in found.best()]
    assert values == sorted(values, reverse=True)  # type: ignore[type-var]
    assert json.loads((tmp_path / "search.json").read_text()) == json.loads(json.dumps(found.to_json()))


def test_a_search_that_was_stopped_goes_on_to_the_same_trials(tmp_path: Path) -> None:
    whole = search(tmp_path / "whole", searching(trials=6))[0]
    (tmp_path / "whole").mkdir()
    expected = whole.run()
    assert len(expected.trials) == 6

    class Stopped(Exception):
        pass

    def stop_in(number: int, epoch: int) -> Callable[[Job, int, int], None]:
        def observe(job: Job, step: int, steps: int) -> None:
            if job.label == f"trial {number}" and step == epoch:
                raise Stopped

        return observe

    (tmp_path / "parts").mkdir()
    for number, epoch in ((0, 1), (3, 2)):
        with pytest.raises(Stopped):
            search(tmp_path / "parts", searching(trials=6), observe=stop_in(number, epoch))[0].run()
    assert search(tmp_path / "parts", searching(trials=6))[0].run().trials == expected.trials

    again, made = search(tmp_path / "parts", searching(trials=6))
    assert again.run().trials == expected.trials
    assert made.trained == 0
    more, made = search(tmp_path / "parts", searching(trials=7))
    assert more.run().trials[:6] == expected.trials
    assert made.trained <= 1


def test_a_trial_whose_run_was_deleted_keeps_its_score(tmp_path: Path) -> None:
    before = search(tmp_path, searching(trials=1))[0].run().trials[0]
    shutil.rmtree(tmp_path / "runs" / before.run)
    again, made = search(tmp_path, searching(trials=1))
    assert again.run().trials == (replace(before, epochs=0),)
    assert made.trained == 0


def test_a_trial_below_the_median_is_ended_early_unless_told_not_to(tmp_path: Path) -> None:
    calls: list[float] = []

    def worse_and_worse(settings: Mapping[str, Any]) -> float:
        calls.append(0.9 - 0.1 * len(calls))
        return calls[-1]

    found = search(tmp_path, searching(), worse_and_worse)[0].run()
    states = [trial.state for trial in found.trials]
    assert states[:4] == ["finished"] * 4
    assert "pruned" in states[4:]
    pruned = next(trial for trial in found.trials if trial.state == "pruned")
    assert (pruned.value, pruned.epochs) == (None, 1)
    assert pruned not in found.best()


def test_what_diverges_or_is_refused_is_a_trial_with_its_reason(tmp_path: Path) -> None:
    batch = {"field": "train.batch_size", "choices": [7, 8]}
    found = search(tmp_path, searching(parameter=[RATE, batch], trials=10, prune=False), lambda settings: -1.0)[0].run()
    reasons = {trial.state: trial.reason for trial in found.trials}
    assert reasons == {"refused": "seven images are no batch", "diverged": "the loss is not finite"}
    with pytest.raises(RunError, match=r"none of 10 trials was finished: (seven images|the loss is not)"):
        last_step(found, Results(tmp_path, metric_named("accuracy")))


def test_a_budget_keeps_the_referees_share(tmp_path: Path) -> None:
    # A training takes a minute: the referee's three times two are six, so four of ten are for trials.
    found = search(tmp_path, searching(budget_minutes=10, finalists=2, prune=False))[0].run()
    assert len(found.trials) == 4
    assert found.told == ("The budget of 10 minutes ended the trials after 4; the rest of it is for the referee.",)
    assert last_step(found, Results(tmp_path / "runs", metric_named("accuracy"))).budget_minutes == pytest.approx(6)


def test_a_budget_too_small_for_two_seeds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError,
        match=r"budget_minutes = 5 is too small for two seeds: one training takes up to 1 min, and \d are needed, .* write budget_minutes = \d or more$",
    ):
        search(tmp_path, searching(budget_minutes=5, finalists=2))[0].run()


def test_trials_of_another_search_are_not_gone_on_with(tmp_path: Path) -> None:
    search(tmp_path, searching(trials=1))[0].run()
    with pytest.raises(RunError, match=r"holds trials of this search with other parameters: .* another name, or delete that file"):
        search(tmp_path, searching(parameter=[RATE | {"high": 0.2}]))[0].run()
    assert len(search(tmp_path, searching(trials=2, finalists=1, seeds=4, why="other words"))[0].run().trials) == 2


def test_a_damaged_file_and_a_missing_package_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trials.sqlite").write_bytes(b"no database at all, " * 99)
    with pytest.raises(RunError, match=r"trials.sqlite is damaged \(file is not a database\): delete it"):
        search(tmp_path, searching())[0].run()
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RunError, match=r"rung search needs optuna, which is not installed: pip install 'rung\[search\]'"), opened(tmp_path / "x", searching()):
        pass


def test_the_last_step_judges_the_best_that_differ_with_other_seeds() -> None:
    tried = [Trial(k, {"train.learning_rate": rate}, "finished", value, 3, f"r{k}") for k, (rate, value) in enumerate([(1, 0.8), (2, 0.9), (2, 0.9), (3, 0.7)])]
    plan = last_step(Trials(searching(finalists=2), tuple(tried)), Results(Path(), metric_named("accuracy")))
    assert [choice.name for choice in plan.steps[0].choices] == ["trial 1", "trial 0"]
    assert plan.seeds == (1, 2)
    loss = [Trial(k, {"a": k}, "finished", value, 3, "") for k, value in enumerate((0.5, 0.2, 0.9))]
    assert [trial.number for trial in Trials(searching(metric="loss"), tuple(loss)).best()] == [1, 0, 2]


def test_a_whole_search_ends_with_the_referee_and_does_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = caller(monkeypatch, capsys)
    path = tmp_path / "tiny.toml"
    path.write_text(
        'data = "digits"\nrecipe = "digits"\ntrials = 3\nfinalists = 1\nseeds = 2\n'
        "[settings]\ndata.per_class = 20\ntrain.epochs = 3\nnetwork.filters = [4]\nnetwork.convolutions = 1\n"
        '[[parameter]]\nfield = "train.learning_rate"\nlow = 0.001\nhigh = 0.05\nlog = true\n'
    )
    said = command("search", path, "--workers", "1", "--out", tmp_path)
    assert said.code == 0, said.err
    assert "train.learning_rate" in said.out
    assert "trial 2 (3 of 3), train.learning_rate = " in said.err
    folder = tmp_path / "tiny"
    assert {"trials.sqlite", "search.json", "ladder.json", "ladder.html", "runs"} <= {path.name for path in folder.iterdir()}
    ladder = json.loads((folder / "ladder.json").read_text())
    assert len(ladder["steps"]) == 1
    assert [one["seeds"] for one in (ladder["steps"][0]["start"], *ladder["steps"][0]["candidates"])] == [[1, 2], [1, 2]]

    monkeypatch.setattr("rung.workbench.train", lambda *args, **words: pytest.fail("a finished run was trained again"))
    found = rung.search(path, out=tmp_path, workers=1)
    assert json.loads(json.dumps(found.ladder.to_json())) == ladder
    assert json.loads(json.dumps(found.trials.to_json())) == json.loads((folder / "search.json").read_text())
