"""Every proof of reliability, one after the other; what they found goes into benchmarks/torture.jsonl and docs/promises.md.

    python -m benchmarks.torture                       # whole size, see `python -m benchmarks.torture --list`
    python -m benchmarks.torture --count 20            # a tenth of it
    python -m benchmarks.torture --only kills stops    # these alone; the page keeps the last figures of the others

Ends with 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.torture import drives, growth, hostile, kills, ledgers, limits, runs, same, saves, steps
from benchmarks.torture.forks import ROOT, Forks
from benchmarks.torture.page import render
from benchmarks.torture.tally import Tally
from rung.evaluate.vault import commit_of
from rung.store import atomic
from rung.training.environment import environment

RECORDS = ROOT / "benchmarks" / "torture.jsonl"
PAGE = ROOT / "docs" / "promises.md"
WHOLE = 200  # --count: kills of a training; the other proofs scale with it


@dataclass(frozen=True)
class Place:
    """Where proofs run: a folder, the forking process, and the share of their whole size, 1 or less."""

    work: Path
    forks: Forks
    share: float

    def of(self, whole: int) -> int:
        return max(1, round(whole * self.share))


def _kills(place: Place) -> Tally:
    return kills.kills(place.forks, place.work, place.of(200))


def _starts(place: Place) -> Tally:
    draw = Random(3)
    whole = kills.unbroken(place.forks, runs.TRAININGS[1], place.work / "unbroken")
    return kills.real_deaths(place.work, [draw.uniform(0.01, 6.0) for _ in range(place.of(10))], whole)


def _stops(place: Place) -> Tally:
    return kills.stops(place.forks, place.work, place.of(100))


def _tests_killed(place: Place) -> Tally:
    return kills.killed_tests(place.forks, place.work, place.of(50))


def _steps_saved(place: Place) -> Tally:
    return kills.stops_in_steps(place.forks, place.work, Random(4).sample(range(1, 40), min(39, place.of(39))))


def _interrupts(place: Place) -> Tally:
    return kills.stops_in_steps(place.forks, place.work, Random(5).sample(range(1, 40), place.of(15)), ("SIGINT",))


def _every_step(place: Place) -> Tally:
    tallies = [steps.every_step(options, range(1, 46, max(1, round(1 / place.share)))) for options in steps.OPTIONS]
    total = Tally(tallies[0].promise, tallies[0].test, total=sum(tally.total for tally in tallies))
    total.failures = [failure for tally in tallies for failure in tally.failures]
    return total


def _mismatches(place: Place) -> Tally:
    return steps.mismatches()


def _same(place: Place) -> Tally:
    return same.same_bits(place.forks, place.work, place.of(len(same.RECIPES)))


def _threads(place: Place) -> Tally:
    return same.same_for_threads(place.forks, place.work)


def _same_on_gpu(place: Place) -> Tally:
    return same.same_on_gpu(place.forks, place.work, place.of(10))


def _same_for_cache(place: Place) -> Tally:
    return same.same_for_cache(place.work)


def _disks(place: Place) -> Tally:
    return limits.full_disks(place.forks, place.work, place.of(50))


def _drive_drops(place: Place) -> Tally:
    return drives.drops(place.work, "for a moment", place.share)


def _drive_gone(place: Place) -> Tally:
    return drives.drops(place.work, "for good", place.share)


def _memory(place: Place) -> Tally:
    return limits.out_of_memory(place.forks, place.work, "train.batch_size", (0.5, 0.2, 0.7, 0.3, 0.6)[: place.of(5)])


def _memory_scoring(place: Place) -> Tally:
    return limits.out_of_memory(place.forks, place.work, "train.evaluation_batch_size", (0.5, 0.2, 0.7, 0.3, 0.6)[: place.of(5)])


def _growth(place: Place) -> Tally:
    return growth.no_growth(place.work, max(60, place.of(1000)), max(10, place.of(100)), 0.01)


def _save_kills(place: Place) -> Tally:
    return saves.kill_everywhere(place.work, saves.calls_of_a_save(place.work))


def _save_full(place: Place) -> Tally:
    return saves.full_everywhere(place.work, saves.calls_of_a_save(place.work))


def _damage(place: Place) -> Tally:
    return saves.damage(place.work, place.of(1000), place.of(100))


def _small_disk(place: Place) -> Tally:
    draw = Random(0)
    with saves.mounted(place.work / "disk", "64m") as disk:
        return saves.small_disk(disk, [draw.randrange(1, 40 << 20) for _ in range(place.of(100))])


def _ledger(place: Place) -> Tally:
    root = place.work / "ledger"
    root.mkdir()
    return ledgers.tally(root, writers=16, count=place.of(1000), kills=place.of(200))


def _hostile(kind: str) -> Callable[[Place], Tally]:
    return lambda place: hostile.attacks(place.work, kind)


PROOFS: dict[str, Callable[[Place], Tally]] = {
    "same-bits": _same,
    "same-threads": _threads,
    "same-cache": _same_for_cache,
    "same-gpu": _same_on_gpu,
    "mismatch-named": _mismatches,
    "every-step": _every_step,
    "kills": _kills,
    "starts": _starts,
    "stops": _stops,
    "test-killed": _tests_killed,
    "sigterm-in-a-step": _steps_saved,
    "ctrl-c-in-a-step": _interrupts,
    "save-killed": _save_kills,
    "save-full": _save_full,
    "save-damaged": _damage,
    "save-small-disk": _small_disk,
    "full-disk": _disks,
    "drive-drops": _drive_drops,
    "drive-gone": _drive_gone,
    "out-of-memory": _memory,
    "out-of-memory-scoring": _memory_scoring,
    "growth": _growth,
    "ledger": _ledger,
    **{f"hostile-{kind}": _hostile(kind) for kind in hostile.KINDS},
}


def prove(name: str, forks: Forks, share: float) -> dict[str, Any]:
    """Run one proof in a folder of its own and return its row; one that cannot run here says why, one that breaks has failed."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        try:
            tally = PROOFS[name](Place(Path(work), forks, share))
        except (PermissionError, FileNotFoundError) as error:  # no strace, or no right to mount a disk
            tally = Tally(name, note=f"could not be run: {error}")
        except Exception as error:  # a proof that breaks has proved nothing, and must not hide the others
            tally = Tally(name, total=1, failures=[f"the proof itself broke: {type(error).__name__}: {error}"])
    return {
        "proof": name, "promise": tally.promise, "test": tally.test, "passed": tally.passed, "total": tally.total, "note": tally.note,
        "failures": tally.failures[:5], "drawn": tally.drawn, "share": share, "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip


def circumstances() -> dict[str, Any]:
    """Return when, of which code and on what the proofs run."""
    facts = environment()
    versions = {name: facts[name] for name in ("torch", "numpy", "processor", "system")} | {"python": platform.python_version()}
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "commit": commit_of(ROOT), "cores": len(os.sched_getaffinity(0)), **versions}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=WHOLE, help=f"kills of a training, {WHOLE} is whole size; all else scales with it")
    parser.add_argument("--only", nargs="+", choices=PROOFS, metavar="PROOF", help="run these proofs alone")
    parser.add_argument("--list", action="store_true", help="print the names of the proofs and stop")
    options = parser.parse_args()
    if options.list:
        print("\n".join(PROOFS))
        return 0
    broken = False
    about = circumstances()
    with Forks() as forks:
        for name in options.only or PROOFS:
            row = prove(name, forks, min(1.0, options.count / WHOLE))
            atomic.append_line(RECORDS, {**row, **about})
            atomic.write_text(PAGE, render(atomic.read_lines(RECORDS).rows, list(PROOFS)))
            broken = broken or row["passed"] < row["total"]
            print(f"{name}: {row['passed']} of {row['total']} in {row['seconds']:.0f} s {row['note']}", *row["failures"], sep="\n    ", flush=True)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
