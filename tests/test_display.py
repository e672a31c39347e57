"""Progress: bars on a terminal, lines now and then elsewhere, nothing where a program reads."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import rung
from rung import display
from rung.reports.copies import Table
from rung.store.run import Run, RunSummary
from rung.training.loop import StepEnd


def test_a_score_has_the_decimals_that_it_has_in_the_report() -> None:
    assert display.percent({"value": 0.98951, "low": 0.985, "high": 0.996}) == "99.0 % (98.5..99.6)"
    assert display.percent({"value": 0.98951, "low": None, "high": None}) == "99.0 %"


def listed(identifier: str, width: int | None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines of a list of one run on a terminal of this width (None: into a pipe)."""
    made = Console(file=io.StringIO(), force_terminal=width is not None, width=width or 80, highlight=False, soft_wrap=True, color_system=None)
    monkeypatch.setattr(display, "_output", made)
    problem = "its log is damaged: line 7 holds no row, and nothing after it can be read any more by anybody"
    display.runs([RunSummary(Run(Path("runs") / identifier), "unfinished", problem, epochs=3, validation_accuracy=0.5)], Path("runs"))
    return said(made).splitlines()


ID = "20261121-135426-model_of_a_long_name_for_everybody-12345678901234567890"


def test_in_a_pipe_a_run_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = listed(ID, None, monkeypatch)
    assert len(lines) == 2
    assert lines[1].startswith(f"{ID}  unfinished     3/?      50.0 %        its log is damaged")
    assert lines[1].endswith("by anybody")


@pytest.mark.parametrize("width", [120, 80, 30])
def test_on_a_terminal_only_prose_is_broken_and_nothing_is_cut(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = listed(ID, width, monkeypatch)
    assert lines[1].startswith(f"{ID}  unfinished     3/?      50.0 %        its")
    assert " ".join(line[len(lines[0].rstrip()) - len("problem") :].strip() for line in lines[1:]).endswith("any more by anybody")


def test_a_table_without_prose_is_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Console(file=io.StringIO(), force_terminal=True, width=30, highlight=False, soft_wrap=True, color_system=None)
    monkeypatch.setattr(display, "_output", made)
    display._print_texts(Table(("candidate", "deviation over seeds (points)", "difference (points)"), (("wide", "1.25", "−146.94"),), frozenset()))
    assert said(made).splitlines() == ["candidate  deviation over seeds (points)  difference (points)", "wide       1.25                           −146.94"]


def test_a_name_in_brackets_is_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    images = rung.from_arrays(np.zeros((2, 8, 8), np.uint8), [0, 1], classes=["[/b]", "[red]x"])
    display.data(rung.describe(images))
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} >= {"[/b]", "[red]x"}


def run_through(bars: display.Bars) -> None:
    bars.reading(1, 2)
    bars.step(StepEnd(5, 20, 1.25))
    bars.scoring("test", 3, 7)
    bars.scoring("test", 7, 7)
    bars.stages("checking")(2, 9)


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Console:
    made = Console(file=io.StringIO(), force_terminal=request.param, width=100, highlight=False)
    monkeypatch.setattr(display, "_errors", made)
    return made


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("console", [True], indirect=True)
def test_a_terminal_gets_a_bar_for_each_task(console: Console) -> None:
    with display.bars() as bars:
        run_through(bars)
    for words in ("reading", "1/2", "training loss 1.250", "5/20", "scoring test", "7/7", "checking", "2/9"):
        assert words in said(console), words
    with display.busy("writing the report"):
        pass
    assert "writing the report" in said(console)


@pytest.mark.parametrize("console", [False], indirect=True)
def test_elsewhere_a_line_is_written_every_ten_seconds(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    with display.bars() as bars:
        for second in range(25):
            now[0] = float(second)
            bars.step(StepEnd(second, 100, 0.5))
        run_through(bars)
    assert said(console).splitlines() == ["training 10/100 loss 0.500", "training 20/100 loss 0.500"]
    with display.busy("writing the report"):
        pass
    assert "writing" not in said(console)


@pytest.mark.parametrize("console", [True, False], indirect=True)
def test_a_program_that_reads_json_is_told_nothing(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 1000, 60))
    monkeypatch.setattr(display.time, "monotonic", lambda: float(next(now)))
    with display.bars(quiet=True) as bars:
        run_through(bars)
    assert "training" not in said(console)
    assert "reading" not in said(console)
