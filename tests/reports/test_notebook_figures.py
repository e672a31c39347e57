"""What the functions of a notebook print and draw, run as its cells run them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rung.reports.notebook_cells import source

START = {"name": "start", "state": "kept", "seeds": [0, 1, 2], "values": [90.0, 60.0, 62.0], "low": None, "high": None, "curves": {}}
LOST = {"name": "other", "state": "other", "seeds": [1, 2], "values": [61.0, 63.0], "low": 61.5, "high": 62.5, "curves": {}}  # seed 0 diverged
NOTHING = {"name": "third", "state": "other", "seeds": [], "values": [], "low": None, "high": None, "curves": {}}


def function(name: str, **known: Any) -> Any:
    space: dict[str, Any] = {"np": np, **known}
    exec(source(name), space)
    return space[name]


def test_differences_are_of_the_same_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    """By position the other would be 13 points worse: its first run is of the second seed."""
    function("print_candidates")([START, LOST, NOTHING])
    assert capsys.readouterr().out.splitlines() == [
        "start  70.67, deviation 16.77 over 3 seeds",
        "other  62.00, deviation 1.41 over 2 seeds; minus start +1.00 over 2 shared",
        "third  not run",
    ]
    function("print_candidates")([START, {**LOST, "seeds": [2, 1, 0], "values": [63.0, 61.0, 91.0]}])
    assert capsys.readouterr().out.splitlines()[1].endswith("; minus start +1.00")


@pytest.mark.extras
def test_the_line_of_the_start_stands_at_its_mean_over_the_same_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    monkeypatch.setattr(plt, "show", lambda: None)
    function("draw_candidates", plt=plt, colours_of=function("colours_of"))([START, LOST, NOTHING], "accuracy")
    dotted = {tuple(line.get_ydata()): line.get_xdata()[0] for line in plt.gca().lines if line.get_linestyle() == ":"}
    plt.close("all")
    assert dotted == {(1.5, 2.5): pytest.approx(212 / 3), (0.5, 1.5): 61.0, (-0.5, 0.5): pytest.approx(212 / 3)}
