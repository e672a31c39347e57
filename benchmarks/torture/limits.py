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
from pathlib import Path
from random import Random

from benchmarks.torture.forks import Ended, Forks
from benchmarks.torture.kills import unbroken
from benchmarks.torture.runs import NAME, TRAININGS, Training, differs, fresh
from benchmarks.torture.saves import mounted
from benchmarks.torture.tally import Tally
from rung.errors import ResourceError

_OUT_OF_MEMORY = re.compile(
    r"out of memory while training in steps of ([\d,]+) images \(.*this process holds [\d,]+ bytes, [\d,]+ are free\); "
    r"a smaller batch needs less: --set train.batch_size=(\d+) or below"
)


def full_disks(forks: Forks, work: Path, count: int, seed: int = 2) -> Tally:
    """Let a training run into the end of a real small disk, make room, and go on; raises PermissionError without the right to mount one."""
    tally = Tally(
        "A full disk costs nothing but the time until there is room",
        "a training on a mounted file system of 64 MB with random room left: exit code 4, a message with path, bytes needed and free and how to go on; "
        "after room is made, doing what it says gives the bits of an unbroken run",
        drawn=True,
    )
    draw = Random(seed)
    wholes = [unbroken(forks, training, work / "unbroken") for training in TRAININGS[:3]]
    rooms = [int(1.2 * sum(len(value) for value in whole.content.values() if isinstance(value, bytes))) + (256 << 10) for whole in wholes]
    codes: Counter[int] = Counter()
    with mounted(work / "disk", "64m") as disk:
        for number in range(count):
            whole = wholes[number % len(wholes)]
            failure = None
            room = draw.randrange(0, rooms[number % len(wholes)])
            shutil.rmtree(disk / NAME, ignore_errors=True)
            with (disk / "filler").open("wb") as filler:
                os.posix_fallocate(filler.fileno(), 0, max(_free(disk) - room, 1))
            train = [*whole.training.words(), "--out", str(disk)]
            ended = forks.run(train, fresh(work / "trial"))
            codes[ended.code] += 1
            (disk / "filler").unlink()
            if ended.code == ResourceError.exit_code:
                onward = ["resume", NAME, "--out", str(disk)] if f"`rung resume {disk / NAME}`" in ended.err else train
                failure = _full_badly(ended, disk)
                ended = forks.run(onward, work / "trial")
            failure = failure or (f"ended with {ended.code}: {ended.err}" if ended.code else differs(disk / NAME, whole.content))
            tally.count(failure and f"{room:,} bytes of room, training {number % len(wholes)}: {failure}")
    tally.note = f"the disk was full in {codes[ResourceError.exit_code]} of {count} trainings"
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


def out_of_memory(forks: Forks, work: Path, batches: tuple[int, ...] = (1024,), room_bytes: int = 512 << 20) -> Tally:
    """Let trainings ask for more memory than they may have, and follow the advice that they end with until one fits."""
    tally = Tally(
        "Out of memory ends with numbers and a smaller batch to try, and the advice leads to a training",
        f"a training that may take {room_bytes >> 20:,} MB: exit code 4, then the batch that the message names, again until one fits",
    )
    tries = []
    for batch in batches:
        size, failure = batch, None
        while failure is None:
            settings = {"train.epochs": 1, "train.batch_size": size, "data.per_class": 120, "pixels.size": 16, "network.filters": [256, 256]}
            ended = forks.run(Training(settings).words(), fresh(work / "trial"), memory_bytes=room_bytes)
            if ended.code == 0:
                break
            said = _OUT_OF_MEMORY.search(ended.err)
            if ended.code != ResourceError.exit_code or said is None or "Traceback" in ended.err:
                failure = f"a batch of {size} ended with {ended.code}: {ended.err}"
            else:
                size = int(said[2])
        tries.append(f"{batch} to {size}")
        tally.count(failure or ("it fitted at once: the trial shows nothing" if size == batch else None))
    tally.note = f"batch from .. to ..: {', '.join(tries)}"
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as name, Forks() as forks:
        tallies = [full_disks(forks, Path(name), count), out_of_memory(forks, Path(name))]
    print("\n".join(f"{tally}\n    ({tally.note})" for tally in tallies))
    return int(any(tally.failures for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
