"""Notebooks written and executed, and what is said where that cannot be."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

import rung
from rung import notebooks
from rung.errors import RunError
from rung.reports.notebook_cells import Cell
from rung.store.run import Run
from tests.command import caller
from tests.study.made_systems import SYSTEM, make_system


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    settings = {"train.epochs": 2, "network.filters": [4], "network.convolutions": 1, "data.per_class": 20, "compute.threads": 1}
    return rung.train("digits", "digits", settings=settings, out=tmp_path_factory.mktemp("root"), name="small")


@pytest.fixture
def not_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let cells be written without a kernel, which takes seconds to start, and without the packages of the extra."""
    monkeypatch.setattr(notebooks, "executed", lambda cells: json.dumps([cell.kind for cell in cells]))
    monkeypatch.setattr(notebooks, "_check_installed", lambda: None)


@pytest.mark.extras
def test_a_notebook_is_executed_and_valid(trained: Run, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    pytest.importorskip("nbclient")
    page = rung.notebook(trained, page=tmp_path / "new" / "small.ipynb")
    read = nbformat.read(page, as_version=4)
    nbformat.validate(read)
    coded = [cell for cell in read.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in coded)
    outputs = [output for cell in coded for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    accuracy = trained.read_scores()["validation"]["accuracy"]["value"]
    assert any(f"images right: {100 * accuracy:.2f} %" in output.get("text", "") for output in outputs)
    assert [cell.id for cell in read.cells] == [f"cell-{number}" for number in range(1, len(read.cells) + 1)]
    assert len(page.read_bytes()) < 400_000


def test_it_is_written_into_the_folder_or_where_one_says(
    trained: Run, not_executed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rung.notebook(trained) == trained.folder / "notebook.ipynb"
    assert rung.notebook("small", out=trained.folder.parent) == trained.folder / "notebook.ipynb"
    page = tmp_path / "here.ipynb"
    said = caller(monkeypatch, capsys)("notebook", trained.folder, "--page", page)
    assert (said.code, said.out.strip(), said.err) == (0, str(page), "")
    assert json.loads(page.read_text())[:2] == ["markdown", "code"]


def test_what_cannot_be_is_said_before_any_work(trained: Run, not_executed: None, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"report\.html is no name of a notebook: give one that ends with \.ipynb, such as report\.ipynb"):
        rung.notebook(trained, page=tmp_path / "report.html")
    (tmp_path / "folder.ipynb").mkdir()
    with pytest.raises(RunError, match="is a folder: give a file name"):
        rung.notebook(trained, page=tmp_path / "folder.ipynb")
    with pytest.raises(RunError, match="there is no run, ladder or system 'cnn_lader': did you mean 'cnn_ladder'"):
        rung.notebook("cnn_lader", out=tmp_path)
    (tmp_path / "widths").mkdir()
    (tmp_path / "widths" / "ladder.json").write_text("{}")
    with pytest.raises(RunError, match=r"there is no run, ladder or system 'nothing': known: backprop, cnn_ladder, model_s, omnivores, widths$"):
        rung.notebook("nothing", out=tmp_path)
    with pytest.raises(RunError, match="there is no run, ladder or system 'smoll': did you mean 'small'"):
        rung.notebook("smoll", out=trained.folder.parent)
    with pytest.raises(RunError, match=r"folder\.ipynb is not a run \(it has no recipe\.toml\)"):
        rung.notebook(tmp_path / "folder.ipynb", out=tmp_path)
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "recipe.toml").write_bytes(trained.recipe.read_bytes())
    with pytest.raises(RunError, match=r"unfinished has no scores yet \(it is unfinished\): `rung resume"):
        rung.notebook(unfinished)


def test_without_the_extra_it_says_what_to_install(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in ("nbclient", "matplotlib") else known(name, *more))
    with pytest.raises(RunError, match=r"rung notebook needs .*nbclient.*matplotlib, which are not installed: pip install 'rung\[notebook\]'"):
        rung.notebook(trained)


@pytest.mark.extras
@pytest.mark.parametrize(
    ("said", "named"), [("Kernel died before replying to kernel_info\nmore", "Kernel died before replying to kernel_info"), ("", "RuntimeError")]
)
def test_code_that_fails_is_named(said: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nbclient")
    from nbclient import NotebookClient

    def fails(self: Any, **options: Any) -> None:
        raise RuntimeError(said)

    monkeypatch.setattr(NotebookClient, "execute", fails)
    with pytest.raises(RunError, match=rf"could not be run \({named}\): try again"):
        notebooks.executed([Cell("code", "1")])


def test_a_system_has_a_notebook_by_its_name(not_executed: None, tmp_path: Path) -> None:
    assert rung.notebook("backprop", small=True, out=tmp_path) == tmp_path / "replay-backprop-small" / "notebook.ipynb"
    with pytest.raises(RunError, match="small is for a system, which has a small budget, and bakprop is none: did you mean 'backprop'"):
        rung.notebook("bakprop", small=True, out=tmp_path)


def test_commands_in_a_notebook_name_the_replay_as_it_was_named(monkeypatch: pytest.MonkeyPatch, not_executed: None, tmp_path: Path) -> None:
    """A system in a folder with a space, with a folder of runs of its own: commands are whole, and the texts call it by its name."""
    monkeypatch.setattr(notebooks, "executed", lambda cells: "\n".join(cell.text for cell in cells))
    folder = tmp_path / "my systems"
    folder.mkdir()
    made = make_system(folder, f"{SYSTEM}[[question]]\ntitle = 'All'\nshow = ['rows', 'mistakes']\nsteps = [['base', 'batch']]\n")
    text = rung.notebook(made, small=True, out=folder / "runs").read_text()
    named = f"'{made}' --small --out '{folder / 'runs'}'"
    for words in (f"`rung replay {named} --minutes 60`", f"`rung replay {named} --mistakes`", f"rung replay {named} --minutes 600\nrung notebook {named}\n"):
        assert words in text
    assert "print('0 trainings of tiny')" in text
