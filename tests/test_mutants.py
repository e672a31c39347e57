"""The proof with spoiled images in a small size, and that it sees what it is to see; whole size: `python -m benchmarks.mutants`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from random import Random

import pytest

from benchmarks import mutants
from benchmarks.mutants import MUTATIONS, Outcome, Reader


def test_spoiled_images_are_read_or_refused_with_path_and_reason(tmp_path: Path) -> None:
    findings = mutants.run(len(MUTATIONS) * len(mutants.originals(Random(1))), 1, tmp_path)
    assert findings.tally.failures == []
    assert findings.tally.total == 176
    assert {f"{kind} {became}" for kind in ("jpeg", "png", "webp", "bmp", "gif", "tiff") for became in ("read", "refused")} == set(findings.kinds)


def test_bombs_are_refused_in_little_memory(tmp_path: Path) -> None:
    findings = mutants.run_bombs(tmp_path)
    assert findings.tally.failures == []
    assert findings.tally.total == 6


PATH = Path("/photos/cat.png")


@pytest.mark.parametrize(
    ("outcome", "whole", "wrong"),
    [
        (Outcome("read", "12.5", 0.1, 500.0), None, None),
        (Outcome("read", "12.5", 0.1, 0.0), "12.5", None),
        (Outcome("read", "12.5", 0.1, 0.0), "12.6", "cut, and read as another image"),
        (Outcome("read", "12.5", 2.1, 0.0), None, r"2\.1 s"),
        (Outcome("refused", "/photos/cat.png is empty (0 bytes)", 0.1, 1.0), None, None),
        (Outcome("refused", "/photos/cat.png", 0.1, 1.0), None, "without path or reason"),
        (Outcome("refused", "the image is empty (0 bytes)", 0.1, 1.0), None, "without path or reason"),
        (Outcome("refused", "/photos/cat.png is empty (0 bytes)", 0.1, 101.0), None, "refused with 101 MB"),
        (Outcome("crashed", "exit code -11", 0.0, 0.0), None, "crashed: exit code -11"),
        (Outcome("hung", "no answer", 60.0, 0.0), None, "hung"),
        (Outcome("wrong shape", "(32, 32)", 0.0, 0.0), None, "wrong shape"),
    ],
)
def test_what_would_break_a_promise_is_seen(outcome: Outcome, whole: str | None, wrong: str | None) -> None:
    said = mutants.problem(PATH, outcome, whole)
    assert said is None if wrong is None else re.search(wrong, said or "")


ANSWERS = "import json, sys\nfor line in sys.stdin: print(json.dumps({'kind': 'refused', 'words': '', 'seconds': 0, 'grown_mb': 0}), flush=True)"


def test_a_reader_that_crashes_or_hangs_is_seen_and_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader([sys.executable, "-c", ANSWERS])
    assert reader.read(PATH).kind == "refused"
    assert reader.process is not None
    reader.process.kill()
    reader.process.wait()
    assert reader.read(PATH).kind == "crashed"
    assert reader.process is None
    assert reader.read(PATH).kind == "refused"
    monkeypatch.setattr(mutants, "PATIENCE_S", 0.0)
    reader.command = [sys.executable, "-c", "while True: pass"]
    reader.close()
    assert reader.read(PATH).kind == "hung"
    assert reader.process is None
