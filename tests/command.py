"""What a command says: exit code, output, error stream."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from rung import cli


class Said(NamedTuple):
    code: int
    out: str
    err: str


Rung = Callable[..., Said]


def caller(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rung:
    """Return a function that runs a command in this process: rung("train", "digits")."""

    def call(*words: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["rung", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call
