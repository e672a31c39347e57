"""Torture of a training by what runs out: the disk, and memory.

python -m benchmarks.torture.limits --count 50
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.torture.forks import Ended, Forks
from benchmarks.torture.kills import RESUME, unbroken, where
from benchmarks.torture.runs import NAME, TRAININGS, Training, content, differs, fresh
from benchmarks.torture.saves import mounted
from benchmarks.torture.tally import Tally
from rung.errors import ResourceError

_OUT_OF_MEMORY = re.compile(
    r"out of memory while (?:training in steps of ([\d,]+) images|answering images, ([\d,]+) at once) \(.*this process holds [\d,]+ bytes, [\d,]+ are free\); "
    r".* less: --set (train\.batch_size|train\.evaluation_batch_size)=(\d+) or below"
)

# An own metric that writes down how many answers it is given and the most address space that the process ever took: it is asked in each validation,
# and when each part is scored.
WATCHING = """
import re
from pathlib import Path

def peak(probabilities, labels):
    with open("peaks.txt", "a") as file:
        file.write(f"{len(labels)} " + re.search(r"VmPeak:\\s+(\\d+)", Path("/proc/self/status").read_text())[1] + "\\n")
    return 0.0
"""
_HUNGRY = {"data.per_class": 120, "pixels.size": 16, "network.filters": [256, 256], "train.epochs": 1, "train.metrics": ["watching.py:peak"]}
_BATCHES = {"train.batch_size": (1024, 16), "train.evaluation_batch_size": (1024, 16)}  # more than any part has, and few; other sizes stay


_PAGE = 4096  # of a memory file system


def full_disks(forks: Forks, work: Path, count: int, seed: int = 2) -> Tally:
    """Let a training run into the end of a real small disk, make room, and go on; raises PermissionError without the right to mount one."""
    tally = Tally(
        "A full disk costs nothing but the time until there is room",
        "a training on a mounted file system of 64 MB with less room left than it takes, by a random part of that: exit code 4, a message with path, bytes "
        "needed and free and how to go on; after room is made, doing what it says gives the bits of an unbroken run",
        drawn=True,
    )
    draw = Random(seed)
    wholes, rooms = [], []
    for training in TRAININGS[:3]:
        wholes.append(unbroken(forks, training, work / "unbroken"))
        rooms.append(sum(-(-path.stat().st_size // _PAGE) * _PAGE for path in (work / "unbroken" / NAME).rglob("*")))
    places: Counter[str] = Counter()
    with mounted(work / "disk", "64m") as disk:
        for number in range(count):
            whole = wholes[number % len(wholes)]
            failure = None
            room = draw.randrange(0, int(0.9 * rooms[number % len(wholes)]))
            shutil.rmtree(disk / NAME, ignore_errors=True)
            with (disk / "filler").open("wb") as filler:
                os.posix_fallocate(filler.fileno(), 0, max(_free(disk) - room, 1))
            train = [*whole.training.words(), "--out", str(disk)]
            ended = forks.run(train, fresh(work / "trial"))
            places[where(disk / NAME, ended)] += 1
            (disk / "filler").unlink()
            if ended.code == ResourceError.exit_code:
                onward = ["resume", NAME, "--out", str(disk)] if f"`rung resume {disk / NAME}`" in ended.err else train
                failure = _full_badly(ended, disk)
                ended = forks.run(onward, work / "trial")
            elif ended.code == 0:
                failure = "it fitted: the trial shows nothing"
            failure = failure or (f"ended with {ended.code}: {ended.err}" if ended.code else differs(disk / NAME, whole.content))
            tally.count(failure and f"{room:,} bytes of room, training {number % len(wholes)}: {failure}")
    tally.note = "the disk was full " + ", ".join(f"{places[place]} times {place}" for place in sorted(places))
    return tally


def _full_badly(ended: Ended, disk: Path) -> str | None:
    said = re.search(
        rf"cannot write {disk / NAME}\S*: the disk is full \([\d,]+ bytes needed, [\d,]+ free\); what was saved before is kept: make room, then "
        rf"(`rung resume {disk / NAME}`|run the command again)",
        ended.err,
    )
    return None if said and "Traceback" not in ended.err else f"the message lacks something: {ended.err}"


def _free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def out_of_memory(forks: Forks, work: Path, key: str, shares: Sequence[float]) -> Tally:
    """Let trainings with a large batch meet the end of memory, and follow the advice that they end with until one fits.

    key: "train.batch_size" or "train.evaluation_batch_size". shares: how far the limits lie between what is taken with a small batch,
    or before the scoring, and what is taken with the large one; both are measured first, so each trial meets its limit.
    """
    in_scoring = key == "train.evaluation_batch_size"
    tally = Tally(
        f"Out of memory {'when scoring' if in_scoring else 'in a step'} ends with numbers and a smaller batch to try, and the advice leads to a training",
        "a training whose address space is limited to less than it takes, as measured before: exit code 4, then the batch that the message names, again until "
        f"one fits{'; the run that ended goes on, with more memory, to the bits of an unbroken one' if in_scoring else ''}",
    )
    large, small = _BATCHES[key]
    whole, before, high = _watched(forks, work, key, large)
    low = before if in_scoring else _watched(forks, work, key, small)[2]
    tries = []
    for share in shares:
        limit = int(low + share * (high - low))
        asked, told, failure = {key: large}, [], None
        while failure is None:
            ended = forks.run(_hungry(asked).words(), _watching(work / "trial"), address_bytes=limit)
            if ended.code == 0:
                break
            advice, failure = _ran_out(ended, asked)
            if not told and failure is None:
                failure = None if key in advice else f"something else than {key} was advised: {ended.err}"
                if in_scoring and failure is None:
                    failure = _goes_on(forks, work / "trial", whole)
            asked |= advice
            told += [f"{name.removeprefix('train.')} {size}" for name, size in advice.items()]
        tries.append(", ".join(told))
        tally.count(failure or (None if told else "it fitted at once: the trial shows nothing"))
    tally.note = f"from {key.removeprefix('train.')} {large}, told: {'; '.join(tries)}"
    return tally


def _hungry(settings: dict[str, int]) -> Training:
    return Training({**_HUNGRY, **settings})


def _watching(folder: Path) -> Path:
    (fresh(folder) / "watching.py").write_text(WATCHING)
    return folder


def _watched(forks: Forks, work: Path, key: str, size: int) -> tuple[dict[str, Any], int, int]:
    """Return the content of an unlimited training, and the most bytes of address space it took before it was scored, and in all."""
    ended = forks.run(_hungry({key: size}).words(), _watching(work / "watched"))
    if ended.code != 0:
        raise RuntimeError(f"the unlimited training ended with {ended.code}: {ended.err}")
    looks = [tuple(map(int, line.split())) for line in (work / "watched" / "peaks.txt").read_text().splitlines()]
    largest_part = max(answers for answers, _ in looks)  # train, which is only answered when it is scored
    before = [kilobytes for answers, kilobytes in looks[: next(place for place, look in enumerate(looks) if look[0] == largest_part)]]
    return content(work / "watched" / NAME), 1024 * before[-1], 1024 * looks[-1][1]


def _ran_out(ended: Ended, asked: dict[str, int]) -> tuple[dict[str, int], str | None]:
    """Return the setting that the message advises, and what is wrong with the end, or None."""
    said = _OUT_OF_MEMORY.search(ended.err)
    if ended.code != ResourceError.exit_code or said is None or "Traceback" in ended.err:
        return {}, f"with {asked} it ended with {ended.code}: {ended.err}"
    steps, answers, named, smaller = said.groups()
    size = int((answers if named == "train.evaluation_batch_size" else steps).replace(",", ""))
    if size != asked.get(named, size) or int(smaller) != size // 2:
        return {}, f"with {asked} it is told: {ended.err}"
    return {named: int(smaller)}, None


def _goes_on(forks: Forks, folder: Path, whole: dict[str, Any]) -> str | None:
    if not (folder / NAME / "weights.safetensors").exists():
        return "it ended before it was scored"
    ended = forks.run(RESUME, folder)
    return differs(folder / NAME, whole) if ended.code == 0 else f"the resume ended with {ended.code}: {ended.err}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as name, Forks() as forks:
        tallies = [full_disks(forks, Path(name), count), *(out_of_memory(forks, Path(name), key, (0.5,)) for key in _BATCHES)]
    print("\n".join(f"{tally}\n    ({tally.note})" for tally in tallies))
    return int(any(tally.failures for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
