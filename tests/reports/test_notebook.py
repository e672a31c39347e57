"""The cells of notebooks: what they say, that names cannot break them, and that their code needs no rung."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rung.evaluate.predictions import Predictions
from rung.reports import notebook_cells, notebook_ladder, notebook_run
from rung.reports.inputs import ReportInput
from rung.reports.notebook_cells import Cell, escaped, fence, packed, table_text
from rung.reports.notebook_curves import mean_curves
from rung.reports.notebook_network import reasons
from tests.reports.conftest import LAYERS, MakeReport
from tests.reports.test_ladder_page import CASES, rows

ODD = "a|b *c* _d_ <i>e</i> $f$ `g"
KNOWN = {"base64", "collections", "itertools", "json", "math", "warnings", "zlib", "matplotlib", "numpy"}


def text_of(cells: Sequence[Cell]) -> str:
    return "\n".join(cell.text for cell in cells if cell.kind == "markdown")


def code_of(cells: Sequence[Cell]) -> str:
    return "\n".join(cell.text for cell in cells if cell.kind == "code")


def run_without_rung(code: str, folder: Any) -> str:
    """Run code in a Python of its own in which rung cannot be imported, and return what it prints."""
    script = folder / "cells.py"
    script.write_text(f"import sys\nsys.modules['rung'] = None\nimport matplotlib\nmatplotlib.use('Agg')\n{code}\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-W", "ignore::UserWarning", str(script)], capture_output=True, text=True, timeout=240, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", CASES)
def test_a_ladder_in_every_state_has_cells_that_need_no_rung(name: str) -> None:
    cells = notebook_ladder.cells(CASES[name], rows)
    nodes = list(ast.walk(ast.parse(code_of(cells))))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= KNOWN
    assert notebook_ladder.cells(CASES[name], rows) == cells


def test_a_ladder_says_what_changed_why_and_what_was_decided() -> None:
    made = CASES["climbs"]
    text = text_of(notebook_ladder.cells(made, rows))
    for step in made.steps:
        assert f"## Step {step.number}: {step.name}" in text
        assert f"Why: {step.why}" in text
        assert escaped(step.reason) in text
    assert "expected to fall" in text or "true score" in text
    assert "The test part is sealed" in text


def test_the_data_of_a_ladder_are_its_values_in_percent() -> None:
    made = CASES["climbs"]
    values = data_of(notebook_ladder.cells(made, rows))
    first = values["steps"][0]["candidates"][1]
    assert first["name"] == "32"
    assert first["values"] == pytest.approx([100 * value for value in made.steps[0].candidates[0].values], abs=1e-3)
    assert first["low"] < np.mean(first["values"]) < first["high"]
    assert first["curves"]["validation_accuracy"] == [0.0, 0.45, 0.6]
    assert values["steps"][0]["candidates"][0]["low"] is None


def data_of(cells: Sequence[Cell]) -> Any:
    """Return DATA as the first code cell makes it."""
    call = next(node.value for node in ast.parse(code_of(cells)).body if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DATA")
    assert isinstance(call, ast.Call)
    return json.loads(ast.literal_eval(call.args[0]))


def test_curves_are_means_over_runs_as_far_as_the_shortest_goes() -> None:
    runs = [{"train_loss": [2.0, 1.0], "learning_rate": [0.1, 0.1]}, {"train_loss": [4.0]}, {}]
    assert mean_curves(runs) == {"train_loss": [3.0]}
    assert mean_curves([]) == {}
    assert mean_curves([{"train_loss": [float("nan"), 1.0, None]}, {"train_loss": [1.0, 2.0, 3.0]}]) == {"train_loss": [None, 1.5, None]}


def test_a_run_says_all_that_was_asked_for(digits_report: ReportInput) -> None:
    text = text_of(notebook_run.cells(digits_report))
    for heading in (
        "What was asked",
        "The network, and why",
        "Hyper-parameters",
        "Training",
        "Scores",
        "Confusion matrix",
        "Findings",
        "Difficulties",
        "do it again",
    ):
        assert heading in text
    assert "Is a small network enough for digits?" in text
    assert digits_report.command in text
    assert "Over-fit from epoch" in text
    assert "`train.learning_rate` | 0.001" in text
    assert "the processor gives the same bits without it" in text
    shown = text[text.index("## Hyper-parameters") : text.index("<details>")]
    for name in ("train.optimizer", "train.loss", "train.batch_size", "train.epochs", "train.schedule", "train.early_stopping", "network.initialisation"):
        assert f"| `{name}` | " in shown
    assert "The test part (359 images) is sealed" in text
    assert "No image stands in this notebook" in text


@pytest.mark.parametrize(("device", "held", "words"), [("cuda", False, "the same but for rounding"), ("cuda", True, "held to deterministic algorithms")])
def test_how_equal_a_second_run_is_depends_on_the_device(digits_report: ReportInput, device: str, held: bool, words: str) -> None:
    report = replace(digits_report, environment={**digits_report.environment, "device": device, "deterministic": held})
    assert words in text_of(notebook_run.cells(report))


def test_equal_runs_have_equal_cells_and_no_picture(digits_report: ReportInput) -> None:
    cells = notebook_run.cells(digits_report)
    assert cells == notebook_run.cells(digits_report)
    assert "data:image" not in text_of(cells) + code_of(cells)
    assert [cell.hidden for cell in cells if cell.kind == "code"].count(True) == 1


@pytest.mark.extras
def test_the_code_of_a_run_counts_what_rung_counted(digits_report: ReportInput, tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    said = run_without_rung(code_of(notebook_run.cells(digits_report)), tmp_path)
    scores = digits_report.scores["validation"]
    accuracy = scores["accuracy"]
    assert f"{100 * accuracy['value']:.2f} %" in said
    assert f"95 % interval {100 * accuracy['low']:.2f} to {100 * accuracy['high']:.2f} %" in said
    mean = next(line for line in said.splitlines() if line.startswith("mean"))
    expected = [f"{100 * scores[name]['value']:.1f}" for name in ("macro_precision", "macro_recall", "macro_f1")]
    assert mean.split()[2:] == expected


@pytest.mark.extras
@pytest.mark.parametrize("name", ["climbs", "loss"])
def test_the_code_of_a_ladder_runs(name: str, tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    said = run_without_rung(code_of(notebook_ladder.cells(CASES[name], rows)), tmp_path)
    for step in CASES[name].steps:
        assert f"{step.start.mean * (1 if name == 'loss' else 100):.2f}" in said


@pytest.mark.extras
def test_names_that_are_markup_stay_names(make_report: MakeReport, answered: Callable[..., Predictions], tmp_path: Any) -> None:
    pytest.importorskip("matplotlib")
    predictions = answered("validation", [[8, 2], [1, 9]], [ODD, "$x$ 猫\u202e"])
    report = make_report({"validation": predictions}, recipe={"name": "it", "why": "<script>alert(1)</script>"})
    cells = notebook_run.cells(report)
    text = text_of(cells)
    assert "<script>" not in text
    assert "<i>e" not in text
    assert "\u202e" not in text + code_of(cells)
    assert "\\*c\\*" in text
    assert "10  " in run_without_rung(code_of(cells), tmp_path)


def test_a_log_that_is_not_finite_makes_a_notebook(make_report: MakeReport, answered: Callable[..., Predictions], log: Callable[..., Any]) -> None:
    told = log([0.9, float("nan")])
    values = data_of(notebook_run.cells(make_report({"validation": answered("validation", [[8, 2], [1, 9]], "ab")}, told)))
    assert values["curves"]["validation_loss"] == [0.9, None]


def test_what_the_checks_found_stands_among_the_difficulties(make_report: MakeReport, answered: Callable[..., Predictions]) -> None:
    problem = {"check": "scale", "severity": "warning", "sentence": "3 images are dark.", "advice": "Look at them: `rung check`."}
    data = {"problems": [problem, {**problem, "severity": "note", "sentence": "All is well."}], "warnings": ["few images"]}
    text = text_of(notebook_run.cells(make_report({"validation": answered("validation", [[8, 2], [1, 9]], "ab")}, data=data)))
    difficulties = text.partition("## Difficulties")[2]
    assert "- Warning: 3 images are dark. Look at them: `rung check`." in difficulties
    assert "- few images" in difficulties
    assert "All is well" not in difficulties


def test_an_ensemble_has_no_curves(make_report: MakeReport, answered: Callable[..., Predictions]) -> None:
    cells = notebook_run.cells(make_report({"validation": answered("validation", [[8, 2], [1, 9]], "ab")}))
    assert "## Training" not in text_of(cells)
    assert "draw_curves(DATA" not in code_of(cells)


def test_reasons_carry_the_numbers_of_this_network() -> None:
    said = " ".join(reasons(LAYERS))
    assert "160 parameters" in said
    assert "16,448 of 17,322 parameters (95%)" in said
    assert "Dropout (0.3)" in said
    assert "from 8 to 4 pixels" in said
    perceptron = [LAYERS[0], LAYERS[5], LAYERS[6], LAYERS[8]]
    assert "Convolution" not in " ".join(reasons(perceptron))
    assert reasons([replace(row, output=None) for row in LAYERS]) == []


def test_texts_are_shown_as_they_are() -> None:
    assert escaped("a_b `c_d` <e>") == "a\\_b `c_d` &lt;e&gt;"
    assert escaped("one ` tick") == "one ' tick"
    assert table_text(("x",), [("a|b\nc",)]) == "| x |\n| --- |\n| a\\|b c |"
    assert table_text(("x",), []) == ""
    assert fence("a ``` b").startswith("````\n")


def test_packed_numbers_come_back() -> None:
    spaces: dict[str, Any] = {}
    exec(f"import base64, zlib\nimport numpy as np\n{notebook_cells.source('unpacked')}", spaces)
    values = np.arange(0, 65_536, 7)
    assert np.array_equal(spaces["unpacked"](packed(values)), values)


def test_a_function_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="draw_nothing"):
        notebook_cells.code("draw_nothing", then="")


def test_a_candidate_has_one_colour_and_the_kept_one_always_the_same() -> None:
    pytest.importorskip("matplotlib")
    from rung.reports.notebook_figures import colours_of

    states = ["other", "kept", "other", "other"]
    colours = colours_of([{"name": str(number), "state": state} for number, state in enumerate(states)])
    assert len(set(colours)) == 4
    assert colours[1] == colours_of([{"name": "a", "state": "kept"}])[0]
    assert colours[1] not in colours_of([{"name": f"seed {seed}"} for seed in range(12)])
