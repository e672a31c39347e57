"""docs/nasty.md against the tests that it names, and the script that makes the nasty tree."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import stat
from pathlib import Path

from tests.data.nasty import tree

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "nasty.md"


def rows() -> dict[str, list[str]]:
    """Return the tests that the page names for each row."""
    found = re.findall(r"^\| (N\d\d) \|.*\| ([\w, ]*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {row: re.findall(r"\w+", tests) for row, tests in found}


def functions() -> set[str]:
    files = (ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "tests").rglob("test_*.py"))
    return {node.name for file in files for node in ast.walk(file) if isinstance(node, ast.FunctionDef)}


def test_each_of_the_70_rows_has_a_test() -> None:
    assert list(rows()) == [f"N{k:02}" for k in range(1, 71)]
    assert [row for row, tests in rows().items() if not tests] == []


def test_every_test_that_the_page_names_is_there() -> None:
    there = functions()
    assert [test for tests in rows().values() for test in tests if test not in there] == []


def test_every_test_of_a_row_stands_on_the_page() -> None:
    named = {test for tests in rows().values() for test in tests}
    assert {test for test in functions() if re.match(r"test_n\d\d_", test)} <= named
    for row, tests in rows().items():
        assert {test[5:8].upper() for test in tests if re.match(r"test_n\d\d_", test)} <= {row}


def _digest(root: Path) -> tuple[str, int]:
    """Return a digest of names, kinds and contents of a tree, and how many bytes it takes on the disk."""
    digest, taken = hashlib.sha256(), 0
    for folder, folders, files in os.walk(os.fsencode(root)):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            status = os.lstat(path)
            taken += status.st_blocks * 512
            content = os.readlink(path) if stat.S_ISLNK(status.st_mode) else b""
            if stat.S_ISREG(status.st_mode) and status.st_size < 2**24:
                with open(path, "rb") as file:
                    content = file.read()
            digest.update(repr((os.path.relpath(path, os.fsencode(root)), stat.S_IFMT(status.st_mode), content)).encode())
    return digest.hexdigest(), taken


def test_the_tree_is_the_same_each_time_and_small(tmp_path: Path) -> None:
    for name in ("one", "two"):
        tree.make(tmp_path / name)
    (first, taken), (second, _) = _digest(tmp_path / "one"), _digest(tmp_path / "two")
    assert first == second
    assert taken < 5_000_000
