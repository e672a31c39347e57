"""What the authors reported stands beside nothing that was measured at the small budget: on no page, in no JSON, in no notebook, in no terminal."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest

from rung import display, replays
from rung.cli import replays as command
from rung.replays import mistakes
from rung.reports import notebook_replay, replay_page, replay_text
from rung.study.decisions import judged
from rung.study.replay import Replay, replayed
from rung.study.system_rows import places
from tests.study.made_systems import record

NAMES = ("model_s", "backprop", "omnivores", "cnn_ladder")
_MEASURED = 0.5  # what every run is made to score: no author reported it


@cache
def small(name: str) -> Replay:
    system = replays.system(name)
    wanted = places(system, small=True)
    made = [record(place, seed, _MEASURED, 100) for place in {place.identity: place for place in reversed(wanted)}.values() for seed in (0, 1)]
    return judged(replayed(system, "small", wanted, made))


def figures(name: str) -> set[str]:
    """Return every score of a system's author, as it may be written: those that he reported, and those that texts about his work give."""
    system = replays.system(name)
    found = {f"{one.accuracy:{form}}" for one in system.reported if one.accuracy is not None for form in (".2f", "g")}
    found |= {f"{one.macro_f1:{form}}" for one in system.reported if one.macro_f1 is not None for form in (".3f", "g")}
    texts = [*(one.note for one in system.reported), *(one.text for one in system.mistakes), *(one.said for one in system.decisions)]
    texts += [plan.why for plan in system.plans.values()] + [step.why for plan in system.plans.values() for step in plan.steps]
    return found | {score for text in texts for score in re.findall(r"\d\d\.\d+|0\.[1-9]\d+", text)}


def standing(name: str, text: str) -> list[str]:
    return sorted(one for one in figures(name) if re.search(rf"(?<![\d.]){re.escape(one)}(?!\d)", text))


@pytest.mark.parametrize("name", NAMES)
def test_none_stands_on_the_page(name: str) -> None:
    text = re.sub(r"<svg.*?</svg>|<style>.*?</style>", "", replay_page.render(small(name), mistakes.told(name, small=True)), flags=re.DOTALL)
    assert "50.00" in text
    assert standing(name, text) == []


@pytest.mark.parametrize("name", NAMES)
def test_none_stands_in_the_json(name: str) -> None:
    found = small(name).to_json()
    del found["hours_left"]
    assert standing(name, json.dumps(found)) == []
    assert {one["said"] for one in found["decisions"]} == {""}


@pytest.mark.parametrize("name", NAMES)
def test_none_stands_in_the_notebook(name: str) -> None:
    cells = notebook_replay.cells(small(name), lambda row: [], mistakes.told(name, small=True))
    assert standing(name, "\n".join(cell.text for cell in cells if cell.kind == "markdown")) == []


@pytest.mark.parametrize("name", NAMES)
def test_none_stands_in_the_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    display.replay(small(name), f"rung replay {name} --small")
    display.lines(command._measured(small(name)))
    for one in mistakes.shown(name):
        display.lines(command._as_told(small(name), one).lines())
    assert standing(name, capsys.readouterr().out) == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_reported_is_told_of_a_mistake(name: str) -> None:
    """Also no number that is no score, such as epochs."""
    lines = [line for told in mistakes.told(name, small=True).values() for line in told]
    lines += [line for one in mistakes.shown(name) for line in command._as_told(small(name), one).lines()]
    assert not [line for line in lines if line.startswith("reported")]


def test_at_the_whole_budget_they_do() -> None:
    system = replays.system("model_s")
    whole = judged(replayed(system, "whole", places(system), []))
    for text in (replay_page.render(whole), "".join(cell.text for cell in notebook_replay.cells(whole, lambda row: [])), json.dumps(whole.to_json())):
        assert "85.85" in text
    assert [one.text for one in replay_text.mistakes(whole, {})] == [one.text for one in system.mistakes]


def test_a_mistake_told_with_scores_keeps_its_lesson_at_the_small_budget() -> None:
    told = {one.mistake.name: one for one in replay_text.mistakes(small("model_s"), {"best-weights-not-restored": ["5 %"], "text-against-code": ["6 %"]})}
    hidden, plain = told["best-weights-not-restored"], told["text-against-code"]
    assert (hidden.text, list(hidden.lines)) == ("“best-weights-not-restored” is told with scores of the author, so at the whole budget only.", [])
    assert plain.text.startswith("The text says 40 epochs")
    assert list(plain.lines) == ["6 %"]
    assert "train.keep = 'best' scores the best epoch" in replay_page.render(small("model_s")).replace("&#39;", "'")
