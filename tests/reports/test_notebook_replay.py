"""The notebook of a replay: every question of the four systems, answered from made-up records, and the numbers of backpropagation itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung import notebooks, replays
from rung.errors import RecipeError
from rung.explain.architecture import LayerRow
from rung.reports import notebook_backpropagation as shown
from rung.reports import notebook_demonstration, notebook_replay
from rung.reports.notebook_cells import Cell, escaped
from rung.study.decisions import judged
from rung.study.question import questions_of
from rung.study.replay import AtSmall, Replay, Row, RunRecord, replayed
from rung.study.system import System
from rung.study.system_rows import Place, places
from tests.reports.conftest import LAYERS
from tests.reports.test_notebook import code_of, data_of, run_without_rung, text_of

CLASSES = ("cat", "dog", "frog")
SYSTEMS = ("model_s", "backprop", "omnivores", "cnn_ladder")

SYSTEM = """
title = "A small system"
task = "three kinds of animals"
data = ["digits"]
[small]
seeds = 2
settings = { train.epochs = 2 }
[[ladder]]
file = "net.toml"
[[reported]]
ladder = "net"
step = "width"
accuracy = 71.5
note = "one seed"
[[decision]]
ladder = "net"
step = "width"
said = "four is enough"
[[mistake]]
name = "a-mistake"
text = "It was <b>wrong</b>."
lesson = "It is refused."
"""
LADDER = """
data = "digits"
recipe = "digits"
seeds = 3
[[step]]
name = "width"
why = "is wider better?"
field = "network.filters"
candidates = [[8], [16], [32]]
keep = "start"
"""
QUESTION = """
[[question]]
title = "How wide?"
asks = "Compare widths."
text = ["More filters see more."]
steps = [["net", "width"]]
rows = [["net", "width", "start"]]
show = ["backpropagation", "network", "settings", "curves", "classes", "groups", "rows", "decisions", "better", "mistakes"]
groups = { furry = ["cat", "dog"], wet = ["frog"] }
"""


@pytest.fixture
def small_system(tmp_path: Path) -> Callable[[str], System]:
    def make(questions: str = QUESTION) -> System:
        folder = tmp_path / "made"
        folder.mkdir(exist_ok=True)
        (folder / "net.toml").write_text(LADDER)
        (folder / "system.toml").write_text(SYSTEM + questions)
        return replays.system(folder)

    return make


def record(place: Place, seed: int, share: float, failed: str = "") -> RunRecord:
    """Return a made-up run that answers so many images rightly, over-fits from epoch 9 of 12, and is scored at epoch 8."""
    drawn = np.random.default_rng([seed, int(1000 * share)])
    labels = np.tile(np.arange(3, dtype=np.uint8), 100)
    answers = np.where(drawn.random(300) < share, labels, drawn.integers(0, 3, 300)).astype(np.uint8)
    accuracy = float((answers == labels).mean())
    scores = {part: {"accuracy": value(accuracy + more), "macro_f1": value(accuracy)} for part, more in (("train", 0.1), ("validation", 0.0))}
    falling = [2 - 0.2 * epoch for epoch in range(8)]
    validation = (*falling, *(falling[-1] + 0.2 * epoch for epoch in range(1, 5)))
    train = tuple(2 - 0.15 * epoch for epoch in range(12))
    curves = {"train_loss": train, "validation_loss": validation, "validation_accuracy": tuple(1 - loss / 2.5 for loss in validation)}
    known = {"seed": seed, "recipe": place.recipe, "settings": dict(place.settings), "run": place.key(seed)}
    if failed:
        return RunRecord(*place.name, **known, failed=failed)
    return RunRecord(
        *place.name, **known, classes=CLASSES, parameters=1234, epochs=12, kept_epoch=8, stopped="early stopping", scores=scores, curves=curves,
        answers={"validation": answers}, labels={"validation": labels}, environment={"processor": "made-up"},
    )  # fmt: skip


def value(score: float) -> dict[str, float | None]:
    return {"value": score, "low": None, "high": None}


def replay_of(system: System, shares: dict[str, float | None], small: bool = False) -> Replay:
    """Return a judged replay; shares: {candidate: the share answered rightly, or None where every run diverged}."""
    wanted = places(system, small)
    made = [
        record(place, seed, shares[place.candidate] or 0.0, "" if shares[place.candidate] else "not finite")
        for place in wanted
        for seed in place.seeds
        if place.candidate in shares and place.first == place.name
    ]
    return judged(replayed(system, "small" if small else "whole", wanted, made))


def no_layers(row: Any) -> Sequence[Any]:
    return LAYERS


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("small", [False, True])
def test_every_question_of_a_system_is_answered_also_where_nothing_ran(name: str, small: bool) -> None:
    system = replays.system(name)
    questions = questions_of(system)
    assert {(ladder, step.name) for ladder, plan in system.plans.items() for step in plan.steps} == {step for question in questions for step in question.steps}
    cells = notebook_replay.cells(judged(replayed(system, "small" if small else "whole", places(system, small), [])), no_layers)
    text = text_of(cells)
    headings = [f"## {number}. {question.title}" for number, question in enumerate(questions, 1)]
    assert [line for line in text.splitlines() if line.startswith("## ")][:-1] == headings
    assert f"rung replay {name}{' --small' if small else ''} --minutes 60" in text
    assert "wo seeds of each are needed" in text
    ast.parse(code_of(cells))


def test_no_reported_figure_stands_in_a_small_budget(small_system: Callable[[str], System]) -> None:
    shares: dict[str, float | None] = {"start": 0.6, "[8]": 0.6, "[16]": 0.7, "[32]": 0.65}
    whole = text_of(notebook_replay.cells(replay_of(small_system(QUESTION), shares), no_layers))
    small = text_of(notebook_replay.cells(replay_of(small_system(QUESTION), shares, small=True), no_layers))
    assert "reported: accuracy, test" in whole
    assert "71.50" in whole
    assert small.count("reported") == 2
    assert "No score here stands beside one that the author reported." in small
    assert "what the author reported is marked so" in small
    assert "71.5" not in small
    assert "four is enough" not in small
    assert "one seed" not in small
    assert "(train.epochs = 2)" in small


def test_the_answer_is_made_of_these_numbers(small_system: Callable[[str], System]) -> None:
    found = replay_of(small_system(QUESTION), {"start": 0.5, "[8]": 0.95, "[16]": None, "[32]": 0.01})
    text = text_of(notebook_replay.cells(found, no_layers))
    best = found.row("net", "width", "[8]").score()
    assert best is not None
    assert f"By their means, highest first: “\\[8\\]” {100 * best.mean:.1f}" in text
    assert "**Wrong.** “\\[8\\]” is better than “start (\\[32, 64\\])”" in text
    assert "What the author said: four is enough." in text
    assert "“\\[16\\]” diverged with 3 seeds of 3." in text
    assert re.search(r"“\\\[32\\\]” did not learn: [\d.]+\u202f% on validation is what guessing among 3 classes gives\.", text)
    assert "Is wider better?" in text
    asked = text[text.index("hyper-parameters") : text.index("<details>")]
    assert re.search(r"\| `train.optimizer` \| \w+ \|", asked)
    assert re.search(r"\| `train.learning_rate` \| 0\.\d+ \|", asked)
    assert "| `train.early_stopping` | " in asked
    assert "| `network.filters` | 32, 64 |" in asked, "also where it is the default"
    assert "## What was measured to be better".replace("## ", "### ") in text
    assert "Over-fit from epoch 9 (seed 0)" in text
    assert "Furry (cat, dog):" in text
    assert "&lt;b&gt;wrong" in text
    made = text_of(notebook_replay.cells(found, no_layers, {"a-mistake": ["31.0 % with it", "52.0 % without"]}))
    assert "**It is refused.**\n    - 31.0 % with it\n    - 52.0 % without\n" in made


def test_several_rows_of_a_question_are_compared_with_the_first_seed_by_seed(small_system: Callable[[str], System]) -> None:
    question = "[[question]]\ntitle = 'x'\nshow = ['curves']\nrows = [['net', 'width', 'start'], ['net', 'width', '[8]'], ['net', 'width', '[16]']]\n"
    found = replay_of(small_system(question), {"start": 0.5, "[8]": 0.8})
    text = text_of(notebook_replay.cells(found, no_layers))
    start, eight = (row.score() for row in (found.row("net", "width"), found.row("net", "width", "[8]")))
    assert start is not None
    assert eight is not None
    more = f"+{100 * (eight.mean - start.mean):.2f} points (95\u202f% interval over 3 seeds +"
    assert f"“width, \\[8\\]” minus “width, start (\\[32, 64\\])”, seed by seed: {more}" in text
    assert "[16\\]” minus" not in text
    assert "| start (\\[32, 64\\]) (carried on) | width |" in text
    assert "Not run yet: “\\[16\\]” (3 seeds)" in text


def test_an_opened_test_part_has_a_column(small_system: Callable[[str], System]) -> None:
    found = replay_of(small_system(QUESTION), {"start": 0.6, "[8]": 0.7})
    assert "accuracy, test |" not in text_of(notebook_replay.cells(found, no_layers)).replace("reported: accuracy, test |", "")
    start = found.row("net", "width")
    opened = tuple(replace(run, scores={**run.scores, "test": {"accuracy": value(0.5)}}) for run in start.runs)
    rows = tuple(replace(row, runs=opened) if row is start else row for row in found.rows)
    text = text_of(notebook_replay.cells(replace(found, rows=rows), no_layers))
    assert "| accuracy, test | reported: accuracy, test |" in text
    assert "| 50.0\u202f% | 71.50\u202f% |" in text  # seeds that agree to the last image show no spread, which is no interval of width 0
    assert "| sealed |" in text


def test_scores_of_categories_stand_beside_those_of_classes(small_system: Callable[[str], System]) -> None:
    found = replay_of(small_system(QUESTION), {"start": 0.6})
    start = found.row("net", "width")
    scored = tuple(replace(run, scores={"validation": {**run.scores["validation"], "categories.macro_f1": value(0.75)}}) for run in start.runs)
    rows = tuple(replace(row, runs=scored) if row is start else row for row in found.rows)
    assert "The same answers by categories" not in text_of(notebook_replay.cells(found, no_layers))
    assert "macro F1 75.0\u202f%." in text_of(notebook_replay.cells(replace(found, rows=rows), no_layers))
    named = replace(start.place, settings={**start.place.settings, "data.categories": "furry=cat,dog; wet=frog"})
    rows = tuple(replace(row, place=named, runs=scored) if row is start else row for row in found.rows)
    text = text_of(notebook_replay.cells(replace(found, rows=rows), lambda row: []))
    assert "(furry=cat,dog; wet=frog): " in text
    assert "Always answering “furry” would be right on 66.7\u202f% of these images." in text


def test_what_has_not_run_is_said_with_its_command(small_system: Callable[[str], System]) -> None:
    text = text_of(notebook_replay.cells(replay_of(small_system(QUESTION), {"start": 0.6, "[8]": 0.7}), no_layers))
    assert "Not run yet: “\\[16\\]” (3 seeds) and “\\[32\\]” (3 seeds). `rung replay made --minutes 60`" in text
    assert "**Not judged yet.** Two seeds of each are needed" in text


def test_the_networks_of_a_step_are_drawn_where_they_differ_and_each_once(small_system: Callable[[str], System]) -> None:
    rows = "rows = [['net', 'width', 'start'], ['net', 'width', '[8]'], ['net', 'width', '[16]']]\n"
    question = f"[[question]]\ntitle = 'x'\nsteps = [['net', 'width']]\nshow = ['network']\n{rows}"

    def by_width(row: Row) -> Sequence[LayerRow]:
        return [replace(LAYERS[0], output=(1, 9, 9)), *LAYERS[1:]] if row.candidate == "[8]" else LAYERS

    found = replay_of(small_system(question), {})
    cells = notebook_replay.cells(found, by_width)
    drawn = data_of(cells)["networks"]["net, width"]
    assert [one["name"] for one in drawn] == ["start ([32, 64]), [16], [32]", "[8]"]
    assert drawn[1]["layers"][0] == {"kind": "input", "output": [1, 9, 9]}
    assert text_of(cells).count("why it is built so") == 2
    assert "The network of “\\[16\\]” is that of “start (\\[32, 64\\])”." in text_of(cells)
    assert data_of(notebook_replay.cells(found, no_layers))["networks"] == {}


def test_rows_of_two_ladders_are_told_apart() -> None:
    system = replays.system("backprop")
    text = text_of(notebook_replay.cells(judged(replayed(system, "small", places(system, True), [])), no_layers))
    assert "| start (relu) (carried on) | mlp: activation |" in text
    assert "Not run yet: “mlp” (3 seeds) and “cnn” (3 seeds)." in text


def test_what_learnt_and_does_not_show_it_is_not_said_to_have_learnt_nothing(small_system: Callable[[str], System]) -> None:
    found = replay_of(small_system(QUESTION), {"start": 0.5, "[8]": 0.01})
    learnt = {**found.row("net", "width", "[8]").runs[0].curves, "train_accuracy": (0.4, 0.9)}
    rows = tuple(replace(row, runs=tuple(replace(run, curves=learnt) for run in row.runs)) if row.candidate == "[8]" else row for row in found.rows)
    text = text_of(notebook_replay.cells(replace(found, rows=rows), no_layers))
    assert re.search(
        r"“\\\[8\\\]” answers [\d.]+\u202f% of validation rightly, as guessing does, but 90\.0\u202f% of the training images of its last epoch", text
    )
    assert "did not learn" not in text


def test_a_wide_gap_is_called_what_it_is(small_system: Callable[[str], System]) -> None:
    found = replay_of(small_system(QUESTION), {"start": 0.5})
    start = found.row("net", "width")
    apart = tuple(replace(run, scores={**run.scores, "train": {"accuracy": value(1.0)}}) for run in start.runs)
    rows = tuple(replace(row, runs=apart) if row is start else row for row in found.rows)
    wide = "much of what is known of the training images does not hold for new ones."
    assert wide in text_of(notebook_replay.cells(replace(found, rows=rows), no_layers))
    assert wide not in text_of(notebook_replay.cells(replay_of(small_system(QUESTION), {"start": 0.5}), no_layers))


def test_differences_are_put_onto_the_score_of_the_same_seeds(small_system: Callable[[str], System]) -> None:
    """One seed of a row diverged: what it is compared with has that seed, and its difference is of the other two."""
    found = replay_of(small_system(QUESTION), {"start": 0.6, "[8]": 0.7, "[16]": 0.7})
    wanted = {row.candidate: row.place for row in found.rows}
    runs = [replace(run, failed="not finite", scores={}) if (run.candidate, run.seed) == ("[8]", 0) else run for row in found.rows for run in row.runs]
    found = judged(replayed(found.system, "whole", list(wanted.values()), runs))
    candidates = {one["name"]: one for one in data_of(notebook_replay.cells(found, no_layers))["steps"]["net, width"]}
    start, less = candidates["start ([32, 64])"], candidates["[8]"]
    assert (start["seeds"], less["seeds"]) == ([0, 1, 2], [1, 2])
    assert (less["low"] + less["high"]) / 2 == pytest.approx(np.mean(less["values"]), abs=1e-3), "about its own mean, for the seeds are the same"


@pytest.mark.extras
def test_its_code_needs_no_rung_and_counts_the_same(small_system: Callable[[str], System], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = replay_of(small_system(QUESTION), {"start": 0.6, "[8]": 0.7})
    cells = notebook_replay.cells(found, no_layers)
    assert cells == notebook_replay.cells(found, no_layers)
    assert data_of(cells)["steps"]["net, width"][2]["values"] == []
    said = run_without_rung(code_of(cells), tmp_path)
    assert said.count("agree to 0.00000001: True") == 3
    for run in found.row("net", "width").scored:
        assert f"{100 * (run.value('validation', 'accuracy') or 0):.2f} % (seed {run.seed})" in said
    assert "[16]" in said
    assert "not run" in said


def test_backpropagation_is_the_derivative() -> None:
    drawn = np.random.default_rng(0)
    images, labels = drawn.normal(size=(7, 5)), drawn.integers(0, 4, 7)
    for name in shown.activations():
        weights = shown.start_weights([5, 9, 4], seed=3)
        pairs = zip(shown.backward(weights, images, labels, name), shown.by_differences(weights, images, labels, name), strict=True)
        for layer, other in pairs:
            for one, two in zip(layer, other, strict=True):
                assert np.allclose(one, two, atol=1e-8)


def test_the_demonstration_says_what_its_numbers_show(capsys: pytest.CaptureFixture[str]) -> None:
    spaces: dict[str, Any] = {"np": np, "itertools": __import__("itertools"), "Callable": Callable}
    exec(code_of([cell for cell in notebook_demonstration.cells() if cell.kind == "code"]), spaces)
    lines = capsys.readouterr().out.splitlines()
    first = {line.split()[0]: float(line.partition(": ")[2].split(",")[0]) for line in lines if "mean gradient" in line}
    assert first["sigmoid"] < first["ReLU"] / 100
    losses = {line.split()[1]: [float(loss) for loss in line.partition("loss ")[2].split(", ")] for line in lines if line.startswith("rate")}
    slow, good, wild = losses.values()
    assert slow == sorted(slow, reverse=True)
    assert good[-1] < slow[-1] < wild[-1]
    assert lines[-1].endswith("[0.0, 0.0, 0.0]")


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("title = 'x'\nsteps = [['net', 'widht']]", r"\[\[question\]\] 1 'x' of made: ladder net has no step 'widht': did you mean 'width'"),
        ("title = 'x'\nsteps = [['nets', 'width']]", "there is no ladder 'nets': did you mean 'net'"),
        ("title = 'x'\nrows = [['net', 'width', '[9]']]", r"step 'width' of ladder net has no candidate '\[9\]'"),
        ("title = 'x'\nshow = ['curves']", "shows curves, but names no row: write rows ="),
        ("title = 'x'\nshow = ['groups']\nrows = [['net', 'width', 'start']]", "names 0: two at least are compared"),
        ("title = 'x'\nshow = ['curve']", "shows 'curve', which there is not: did you mean 'curves'"),
        ("title = 'x'\nsteps = ['width']", r"steps = \['width'\]: expected \[\[ladder, step\], \.\.\], all names"),
        ("title = 'x'\nasked = 'y'", r"\[\[question\]\] 1: .*asked"),
    ],
)
def test_a_question_that_does_not_fit_is_refused(small_system: Callable[[str], System], question: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        questions_of(small_system(f"[[question]]\n{question}\n"))


def test_the_network_of_a_row_is_built_from_its_recipe() -> None:
    found = replayed(replays.system("backprop"), "whole", places(replays.system("backprop")), [])
    assert sum(layer.parameters for layer in notebooks.layers_of(found.row("mlp", "activation"))) == 1_707_274
    assert sum(layer.parameters for layer in notebooks.layers_of(found.row("cnn", "activation"))) == 489_802
    animals = replayed(replays.system("omnivores"), "whole", places(replays.system("omnivores")), [])
    assert notebooks.layers_of(animals.row("species", "augmentation"))[-1].output == (5,)
    assert notebooks.layers_of(animals.row("categories", "balance"))[-1].output == (2,)


def test_where_the_built_network_is_not_the_one_that_ran_there_is_no_picture(small_system: Callable[[str], System]) -> None:
    waiting = replay_of(small_system(QUESTION), {}).row("net", "width")
    assert notebooks.layers_of(waiting)[0].output == (1, 8, 8)
    ran = replay_of(small_system(QUESTION), {"start": 0.6}).row("net", "width")
    assert ran.parameters == 1234
    assert notebooks.layers_of(ran) == []
    assert isinstance(notebook_replay.cells(replay_of(small_system(QUESTION), {"start": 0.6}), notebooks.layers_of)[0], Cell)


def test_the_opening_says_how_much_was_measured(small_system: Callable[[str], System]) -> None:
    system = small_system(QUESTION)
    nothing = text_of(notebook_replay.cells(judged(replayed(system, "whole", places(system, False), [])), no_layers))
    assert "Nothing is measured yet, for no training ran" in nothing
    assert "Scores were measured" not in nothing
    some = text_of(notebook_replay.cells(replay_of(system, {"start": 0.5, "[8]": 0.8}), no_layers))
    assert "unless they say test, with 3 seeds of each row that ran (one that did not says so)" in some
    assert "At the small budget" not in nothing
    beside = replace(judged(replayed(system, "whole", places(system, False), [])), at_small=AtSmall(1, 4, "rung replay made --small"))
    opening = notebook_replay.cells(beside, no_layers)[0].text
    assert "At the small budget 1 of 4 trainings is there, in a table of its own: `rung replay made --small` shows it." in opening


def test_a_kept_row_has_one_word_and_its_classes_stand_behind_the_comparison(small_system: Callable[[str], System]) -> None:
    cells = notebook_replay.cells(replay_of(small_system(QUESTION), {"start": 0.5, "[8]": 0.8}), no_layers)
    kept = next(one for one in data_of(cells)["steps"]["net, width"] if one["state"] == "kept")
    assert f"{escaped(kept['name'])} ({kept['word']})" in text_of(cells)
    assert kept["word"] == "carried on"
    headings = [line for line in text_of(cells).splitlines() if line.startswith("### net")]
    assert headings.index("### net: width") < headings.index("### net: classes")
    assert headings.index("### net: hyper-parameters") < headings.index("### net: width")
