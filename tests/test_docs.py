"""The documentation against the code: fields, links, commands, names, and the example that it shows."""

import importlib
import importlib.util
import re
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import rung
from rung.cli import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/systems/*.md"), *ROOT.glob("benchmarks/*.md")])
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
pages = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def code(text: str) -> list[str]:
    """Return what is set as code: fenced blocks, indented lines and words between backticks."""
    fenced = re.findall(r"^\s*```\w*\n(.*?)^\s*```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^\s*```\w*\n.*?^\s*```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [*fenced, *re.findall(r"^ {4,}(.*)", rest, re.MULTILINE), *re.findall(r"`([^`\n]+)`", rest)]


def test_the_table_of_fields_is_up_to_date() -> None:
    made = module(ROOT / "docs" / "make_fields.py")
    assert (ROOT / "docs" / "fields.md").read_text(encoding="utf-8") == made.page(), "run: python docs/make_fields.py"


@pages
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    local = [link.partition("#")[0] for link in links if "://" not in link and not link.startswith("#")]
    assert not [link for link in local if not (page.parent / link).exists()]


@pages
def test_every_command_that_is_named_exists(page: Path) -> None:
    named = {verb for piece in code(page.read_text(encoding="utf-8")) for verb in re.findall(r"(?:^|[;$(])[ \t]*rung ([a-z]+)", piece, re.MULTILINE)}
    assert named <= set(COMMANDS)


@pages
def test_every_option_of_a_command_exists(page: Path) -> None:
    known = {verb: {"--help", *(option for parameter in command.params for option in parameter.opts)} for verb, command in COMMANDS.items()}
    for piece in code(page.read_text(encoding="utf-8")):
        for verb, words in re.findall(r"^[ \t]*(?:\$ )?rung ([a-z]+)(.*)", piece, re.MULTILINE):
            assert set(re.findall(r"(?<=\s)--[a-z-]+", words)) <= known[verb], f"rung {verb}{words}"


@pages
def test_every_name_of_the_package_exists(page: Path) -> None:
    names = {name for piece in code(page.read_text(encoding="utf-8")) for name in re.findall(r"\brung\.([A-Za-z_]+)\b(?!/|\.)", piece)}
    subpackages = {path.stem for path in Path(rung.__file__).parent.iterdir()}
    assert not [name for name in names if name not in subpackages and not hasattr(rung, name)]


@pages
def test_every_field_that_is_set_exists(page: Path) -> None:
    from rung.recipe import CNN, MLP, OwnNetwork, Recipe, flat

    known = {name for network in (CNN(), MLP(), OwnNetwork(source="a.py:b")) for name in flat(Recipe(network=network))}
    known |= {name.rpartition(".")[2] for name in known}
    found = {name for piece in code(page.read_text(encoding="utf-8")) for name in re.findall(r"--set '?([a-z0-9_.]+)=", piece)}
    assert found - known <= {"train.epoch"}, "train.epoch is shown as a mistake"


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in ROOT.glob("docs/*.md") if page.name != "README.md" and f"({page.name})" not in index]
    assert not [page.name for page in ROOT.glob("docs/systems/*.md") if f"(systems/{page.name})" not in index]


def test_the_example_of_own_parts_runs_and_is_what_the_page_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    example = ROOT / "examples" / "own_parts.py"
    monkeypatch.syspath_prepend(example.parent)
    importlib.import_module("own_parts").main(str(tmp_path), epochs=1, per_class=10)
    assert "epoch 1: validation accuracy" in capsys.readouterr().out
    (run,) = tmp_path.glob("*-digits-0")
    assert (run / "report.html").exists()
    assert {path.name for path in (run / "source").iterdir()} >= {"Residual.py", "focal.py"}
    shown = re.findall(r"```python\n((?:class|def) .*?)```", (ROOT / "docs" / "own.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(shown) == 2
    for block in shown:
        assert textwrap.dedent(block).strip() in example.read_text(encoding="utf-8")
