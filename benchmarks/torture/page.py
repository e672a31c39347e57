"""docs/promises.md, made from the rows of benchmarks/torture.jsonl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = """# What rung promises, and how it was last tested

`make torture` runs every proof below and writes this page; every figure is the last row of that proof in
[benchmarks/torture.jsonl](../benchmarks/torture.jsonl). "n of n" counts what was run, nothing else; smaller numbers of each run in `make test`.
Where the trials are drawn at random, no failure in n of them says with 95 % confidence that fewer than 3/n fail: the column "so below".
The others are all there are, or a few chosen ones.

| promise | last figure | so below | size | date | commit |
|---|---|---|---|---|---|
"""

LIMITS = """
## Held by `make test` alone

- Changed data (other pixels, labels, order, a class or a file more or less) are refused before a step; moved, copied and read-only runs;
  two processes; damaged and lost checkpoints; another environment; torn logs: `tests/test_resume.py`.
- Data on a network drive that drops are read again, three times, and no file is left out for it: `tests/data/test_drive.py`.
- The store survives death between any two file operations, in any order of them (a hypothesis state machine): `tests/store/test_crashes.py`.
- Durations come from the monotonic clock, stamps are in UTC: `tests/test_clocks.py`. No thread and no process outlives a run: `tests/test_limits.py`.
- Nothing is unpickled outside of one restricted module: `tests/test_hostile.py`.

## Where the promises end

- The bits are those of one machine and one set of versions. What they depend on is stored with each checkpoint; when it differs at a
  resume, rung says `resume is not bit-exact because ..`, on the terminal and in the run's kept.json.
- On a GPU the same bits are held to by `--exact` (`compute.exact`: deterministic algorithms of torch, `CUBLAS_WORKSPACE_CONFIG=:4096:8`).
  No proof here ran on a GPU, and what `--exact` costs there has not been measured.
- Files are read by threads, so no worker can be killed by itself (a pickled table is read by a process of its own, whose end is named with its
  signal). A crash in a library's machine code ends the training; which signal it was and where is said, and `rung resume` goes on.
- A stop that is asked for finishes the step first, however long a step takes.
- A power cut is not simulated: each file is synced before it is renamed and its folder after, and killed processes are all that is tried.
- A signal in the first hundredths of a second, before Python has come to rung's first line, ends the process in Python's own way.
- When the kernel itself ends a process for want of memory there is no message; `rung resume` goes on.
"""


def render(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Return the page: the last row of each proof, in the order of `names`."""
    last = {row["proof"]: row for row in rows}
    shown = [last[name] for name in names if name in last]
    table = "".join(_line(row) for row in shown)
    tests = "".join(_test(row) for row in shown)
    machines = sorted({_machine(row) for row in shown})
    return HEAD + table + _failures(shown) + "\n## The tests\n\n" + tests + "\n## Where they ran\n\n" + "".join(f"- {text}\n" for text in machines) + LIMITS


def _line(row: Mapping[str, Any]) -> str:
    total, passed = row["total"], row["passed"]
    figure = f"{passed:,} of {total:,}" if total else "not run"
    bound = f"{3 / total:.2g}" if row.get("drawn") and total > 10 and passed == total else ""
    size = "whole" if row["share"] == 1 else f"{row['share']:.0%}"
    commit = (row["commit"] or "none")[:9] + ("+" if "+" in (row["commit"] or "") else "")
    return f"| [{row['promise']}](#{row['proof']}) | {figure} | {bound} | {size} | {row['date']} | {commit} |\n"


def _test(row: Mapping[str, Any]) -> str:
    note = f" {row['note'][0].upper()}{row['note'][1:]}." if row["note"] else ""
    return f'- <a id="{row["proof"]}"></a>**{row["proof"]}**: {row["test"] or row["promise"]}.{note} {row["seconds"]:,.0f} s.\n'


def _failures(shown: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"- {row['proof']}: {' '.join(failure.split())}\n" for row in shown for failure in row["failures"]]
    return "\n## Failures\n\n" + "".join(lines) if lines else "\nNo failure is left in these figures.\n"


def _machine(row: Mapping[str, Any]) -> str:
    return f"{row['date']}: {row['cores']} cores of {row['processor']}, {row['system']}, Python {row['python']}, torch {row['torch']}, numpy {row['numpy']}"
