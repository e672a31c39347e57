"""Faults planted in real CIFAR-10 images, each looked for by `rung.check` with all its checks; and clean sets, which must raise no error.

    python -m benchmarks.faults                    # all faults and clean sets; a row each is printed
    python -m benchmarks.faults "upside" --write   # those with a word in their name; rows go into faults.jsonl and the table into README.md

A fault is named rightly if a problem of the check that looks for it, of the severity that is due, says it in the words that are due, at least as often
as planted where that is countable, and no other check raises an error, but for those that are named beside it: they see the same mistake from another
side. Ends with 1 if a fault was not named rightly or a clean set raised an error.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

import rung
from benchmarks.faults_planted import FAULTS, UNCHANGED, Fault
from benchmarks.faulty import Sample, sample
from benchmarks.marked import between
from rung.audit.check import CheckReport
from rung.audit.problem import Problem
from rung.store import atomic
from rung.store.values import now
from rung.training.environment import environment

HERE = Path(__file__).parent
ROWS = HERE / "faults.jsonl"
SAMPLE: Final = "the sample"
CLEAN: Final = (SAMPLE, "digits", "cifar10", "cifar100")
_FOLDER: Final = "planted-"
_SHOWN: Final = 200  # letters of a sentence in the table
Row = dict[str, Any]


def found_by_check(fault: Fault, given: Sample) -> CheckReport:
    """Plant a fault in a sample, write it as files, and check these."""
    with tempfile.TemporaryDirectory(prefix=_FOLDER) as place:
        data = fault.plant(given, Path(place))
        with _official_data(Path(place) if data == "cifar10" else None):
            return rung.check(data, settings=fault.settings)


@contextmanager
def _official_data(folder: Path | None) -> Iterator[None]:
    """Let "cifar10" mean what lies in a folder."""
    before = os.environ.get("RUNG_DATA")
    if folder:
        os.environ["RUNG_DATA"] = str(folder)
    try:
        yield
    finally:
        os.environ.pop("RUNG_DATA", None)
        if before is not None:
            os.environ["RUNG_DATA"] = before


def named_by(fault: Fault, report: CheckReport) -> Problem | None:
    """Return the problem that names the fault, None where there is none."""
    for problem in report.problems:
        if (problem.check, problem.severity) == (fault.check, fault.severity) and re.search(fault.words, problem.sentence) and problem.count >= fault.least:
            return problem
    return None


def false_alarms(fault: Fault, report: CheckReport) -> list[Problem]:
    """Return the errors of checks that neither look for the fault nor see it from another side."""
    return [problem for problem in report.problems if problem.severity == "error" and problem.check not in (fault.check, *fault.beside)]


def fault_row(name: str, samples: Callable[[int, int], Sample]) -> Row:
    """Plant one fault and return what was found, as plain values."""
    fault = FAULTS[name]
    given = samples(*fault.size)
    started = time.perf_counter()
    report = found_by_check(fault, given)
    problem, alarms = named_by(fault, report), false_alarms(fault, report)
    return {
        "fault": name,
        "images": len(given.labels),
        "check": fault.check,
        "severity": fault.severity,
        "found": problem is not None and not alarms,
        "sentence": _without_folder(problem.sentence) if problem else "",
        "said": [] if problem else [f"{other.severity}: {other.check}: {other.sentence}" for other in report.problems],
        "false_errors": [f"{alarm.check}: {alarm.sentence}" for alarm in alarms],
        "beside": sorted({other.check for other in report.problems if other.severity == "error"} & set(fault.beside)),
        "seconds": round(time.perf_counter() - started, 1),
    }


def _without_folder(sentence: str) -> str:
    """Return a sentence without the path of the folder that the fault was planted in."""
    return re.sub(rf"{re.escape(tempfile.gettempdir())}/{_FOLDER}[^/]*/", "", sentence)


def clean_row(name: str, samples: Callable[[int, int], Sample]) -> Row:
    """Check a clean set, or the sample that faults are planted in, and return what was found, as plain values."""
    started = time.perf_counter()
    report = found_by_check(UNCHANGED, samples(*UNCHANGED.size)) if name == SAMPLE else rung.check(name)
    errors = [f"{problem.check}: {problem.sentence}" for problem in report.problems if problem.severity == "error"]
    if name == SAMPLE:
        errors += [f"named though not planted: {fault}" for fault in FAULTS if named_by(FAULTS[fault], report)]
    warned = sorted({problem.check for problem in report.problems if problem.severity == "warning"})
    said = f"{report.errors} errors; warnings of {', '.join(warned)}" if warned else f"{report.errors} errors, no warning"
    return {
        "fault": _unplanted(name),
        "images": sum(report.counts.values()),
        "check": "",
        "severity": "",
        "found": not errors,
        "sentence": said,
        "false_errors": errors,
        "beside": [],
        "seconds": round(time.perf_counter() - started, 1),
    }


def _unplanted(name: str) -> str:
    return f"none: {name}, {'unchanged' if name == SAMPLE else 'whole'}"


def table(rows: list[Row]) -> str:
    """Return the newest row of each fault as a line of a Markdown table."""
    lines = ["| fault | images | check | found as |", "|---|---|---|---|"]
    newest = {row["fault"]: row for row in rows}
    order = [*FAULTS, *map(_unplanted, CLEAN)]
    for row in (newest[name] for name in order if name in newest):
        said = row["sentence"] if row["found"] else f"**{'false error' if row['sentence'] else 'not found'}** {' '.join(row['false_errors'])}"
        said = said if len(said) <= _SHOWN else said[: said.rfind(" ", 0, _SHOWN)] + " .."
        beside = f" (also: {', '.join(row['beside'])})" if row["beside"] else ""
        check = f"{row['check']}, {row['severity']}" if row["check"] else ""
        lines.append(f"| {row['fault']} | {row['images']:,} | {check} | {said.replace('|', '/')}{beside} |")
    found = [newest[name]["found"] for name in FAULTS if name in newest]
    return "\n".join([f"{sum(found)} of {len(found)} faults named rightly, {max(row['date'] for row in rows)[:10]}.", "", *lines])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("names", nargs="*", help="words of the faults or clean sets that are wanted; all if none is given")
    parser.add_argument("--write", action="store_true", help="add rows to faults.jsonl and write the table into README.md")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    known = (*FAULTS, *CLEAN)
    wanted = [name for name in known if not asked.names or any(word == name or (word not in known and word in name) for word in asked.names)]
    kept: dict[tuple[int, int], Sample] = {}

    def samples(train: int, test: int) -> Sample:
        if (train, test) not in kept:
            kept[train, test] = sample(train, test)
        return kept[train, test]

    about = {name: value for name, value in environment().items() if name in ("rung", "torch", "numpy", "processor", "threads")}
    missed = []
    for name in wanted:
        row = {"date": now(), **(fault_row(name, samples) if name in FAULTS else clean_row(name, samples)), **about}
        otherwise = "; ".join((*row["false_errors"], *row.get("said", ())))
        print(f"{'found' if row['found'] else 'MISSED'} | {name} | {row['seconds']} s | {row['sentence']} | {otherwise}", flush=True)
        missed += [] if row["found"] else [name]
        if asked.write:
            atomic.append_line(ROWS, row)
    if asked.write:
        between("faults", table(atomic.read_lines(ROWS).rows))
    print(json.dumps({"looked_for": len(wanted), "missed": missed}))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
