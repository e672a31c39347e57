"""The pages of the systems: every row has its command, its artefact and a test that exists; the numbers are those of the systems' files."""

import re
from pathlib import Path

import pytest

from rung.replays import SYSTEMS, systems
from rung.study.replay import replayed
from rung.study.system import read_system
from rung.study.system_rows import places

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "systems"
NAMES = sorted(systems())
pages = pytest.mark.parametrize("name", NAMES)


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of the tables of a page, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    heads = {number for number, row in enumerate(cells[1:]) if set("".join(row)) == {"-"}}
    return [row for number, row in enumerate(cells) if number not in heads and set("".join(row)) != {"-"}]


@pages
def test_every_row_of_a_page_is_whole_and_names_a_test_that_exists(name: str) -> None:
    found = rows((PAGES / f"{name}.md").read_text(encoding="utf-8"))
    assert len(found) > 20
    for row in found:
        assert len(row) == 4, row
        assert all(row), row
        file, _, test = row[3].strip("`").partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), row[3]


@pages
def test_every_step_of_a_system_is_on_its_page(name: str) -> None:
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    found = read_system(SYSTEMS / name)
    names = {step.name.removesuffix(", as it was meant") for plan in found.plans.values() for step in plan.steps}
    assert not [name for name in names if f'"{name}' not in text]


def test_the_index_has_the_numbers_of_the_systems() -> None:
    table = {row[0].strip("`"): row for row in rows((PAGES / "README.md").read_text(encoding="utf-8")) if row[0].startswith("`")}
    assert sorted(table) == NAMES
    for name, row in table.items():
        system = read_system(SYSTEMS / name)
        shown = replayed(system, "whole", places(system), []).shown
        assert row[4] == f"{len(shown)}, {len({one.place.identity for one in shown})}"
        assert {row[5]} == {str(len(one.place.seeds)) for one in shown}
