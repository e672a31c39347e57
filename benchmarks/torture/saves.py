"""Torture of one checkpoint save: killed at, and refused at, each of its system calls; its files damaged bit by bit.

    python -m benchmarks.torture.saves --count 1000

prints passed/total of each promise and ends with 1 if one is broken. Needs Linux and strace; the part on a real small
file system needs the right to mount one.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from benchmarks.torture.tally import Tally
from rung.errors import ResourceError
from rung.store import atomic, slots

SOURCE = Path(__file__).parents[2] / "src"
OLD, NEW = 3, 4  # the steps before and after the tortured save
WRITING = ("write", "fsync", "openat", "rename", "mkdir")  # the calls that a full disk refuses

# Only the store is imported, and the two calls of access() mark where the save begins and ends.
CHILD = f"""
import os, sys
sys.path.insert(0, {str(SOURCE)!r})
from pathlib import Path
from rung.errors import RungError
from rung.store import slots
folder = Path(sys.argv[1])
data, state = bytes(range(256)) * 16 + b"{NEW}", {{"step": {NEW}, "loss": 0.1}}
os.access("/rung-begin", os.F_OK)
try:
    slots.commit(folder, "last", data, state, {{}})
except RungError as error:
    os.write(2, str(error).encode())
    os._exit(error.exit_code)
os.access("/rung-end", os.F_OK)
os._exit(0)
"""


def prepare(folder: Path) -> Path:
    """Make a run folder with checkpoints of steps 1 (best), 2 (previous), 3 (last) and data of a save that was killed; return its checkpoints."""
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True)
    (folder / "recipe.toml").write_text('name = "tortured"\n')
    for step in (1, 2, OLD):
        slots.commit(checkpoints, "last", bytes(range(256)) * 16 + str(step).encode(), {"step": step, "loss": 0.1}, {})
        if step == 1:
            slots.commit(checkpoints, "best", b"the best weights" * 99, {"step": 1}, {})
    (checkpoints / "step-00000009-0123456789ab.safetensors").write_bytes(b"left over")
    return checkpoints


def calls_of_a_save(work: Path) -> list[tuple[str, int]]:
    """Return (name, how-manieth of that name in its process) of each system call of one save, as strace sees them."""
    checkpoints = prepare(work / "baseline")
    log = work / "strace.log"
    done = _save_under(["strace", "-f", "-o", str(log)], checkpoints)
    if done.returncode != 0:
        raise RuntimeError(f"strace or the save failed: {done.stderr.decode()}")
    counts: Counter[str] = Counter()
    calls: list[tuple[str, int]] = []
    inside = False
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"\d+ +(\w+)\(", line)
        if match is None:
            continue
        name = match[1]
        counts[name] += 1
        if "/rung-end" in line:
            break
        if inside:
            calls.append((name, counts[name]))
        inside = inside or "/rung-begin" in line
    return calls


def kill_everywhere(work: Path, calls: list[tuple[str, int]]) -> Tally:
    """Kill a save at each of `calls`: the old or the new checkpoint loads, and what was left over is swept at the next start."""
    tally = Tally(
        "A save that is killed leaves the old checkpoint or the new one",
        "a save killed by strace at each of its system calls: the old or the new one loads, what is left over is swept at the next start",
    )
    for name, number in calls:
        with _folder(work) as checkpoints:
            done = _save_under(_injecting(name, f"signal=KILL:when={number}"), checkpoints)
            if done.returncode not in (-signal.SIGKILL, 128 + signal.SIGKILL):
                tally.count(f"{name} {number}: was not killed but ended with {done.returncode}")
                continue
            tally.count(_judge(checkpoints, f"{name} {number}", (OLD, NEW)) or _judge_next(checkpoints, f"{name} {number}"))
    return tally


def full_everywhere(work: Path, calls: list[tuple[str, int]]) -> Tally:
    """Let each writing call of `calls` fail as on a full disk: the good checkpoints stay and the message says what to do."""
    tally = Tally(
        "A save on a full disk leaves the last good checkpoint",
        "each writing system call of a save refused by strace as on a full disk: the last good one loads, the message has path, needed, free and how to go on",
    )
    for name, number in calls:
        if name not in WRITING:
            continue
        with _folder(work) as checkpoints:
            done = _save_under(_injecting(name, f"error=ENOSPC:when={number}"), checkpoints)
            message = done.stderr.decode(errors="replace")
            failure = _judge(checkpoints, f"{name} {number}", (OLD, NEW) if done.returncode else (NEW,))
            if done.returncode == 0 and name in ("openat", "mkdir"):
                pass  # a file was read, or a folder is there already: the save needs no room for that and went on
            elif done.returncode != ResourceError.exit_code:
                failure = failure or f"{name} {number}: ended with {done.returncode}, {message}"
            elif not re.search(
                rf"cannot write {checkpoints}\S*: the disk is full \([\d,]+ bytes needed, [\d,]+ free\).*`rung resume {checkpoints.parent}`", message
            ):
                failure = failure or f"{name} {number}: the message lacks something: {message}"
            tally.count(failure or _judge_next(checkpoints, f"{name} {number}"))
    return tally


def small_disk(disk: Path, sizes: list[int]) -> Tally:
    """Save checkpoints of these bytes, one after the other, on a mounted small file system: what loads is always the last that was saved."""
    tally = Tally(
        "Saves on a disk that fills up keep the last that was whole",
        "saves of random sizes on a real file system of 64 MB: what loads is the last that was saved, the message has path, needed and free",
        drawn=True,
    )
    checkpoints = prepare(disk / "run")
    last = OLD
    for step, size in enumerate(sizes, OLD + 1):
        failure = None
        try:
            slots.commit(checkpoints, "last", step.to_bytes(8, "little") * (size // 8), {"step": step}, {})
            last = step
        except ResourceError as error:
            if not re.search(rf"cannot write {checkpoints}\S*: the disk is full \([\d,]+ bytes needed, [\d,]+ free\)", str(error)):
                failure = f"step {step}: the message lacks something: {error}"
            shown = slots.fetch(checkpoints, "last")
            last = step if shown is not None and shown.state["step"] == step else last  # the disk was full after the moment it counts
        tally.count(failure or _judge(checkpoints, f"step {step} of {size} bytes", (last,)))
    return tally


def damage(work: Path, flips: int, truncations: int, seed: int = 0) -> Tally:
    """Flip single bits of the newest checkpoint, data and slot file alike, and cut them: all found, the one before used, both named."""
    tally = Tally(
        "Damage to the newest checkpoint is found, and the one before is used",
        f"{flips:,} single bits flipped and {truncations:,} ends cut off, in data and slot file: all found, the one before loads, both are named",
        drawn=True,
    )
    draw = Random(seed)
    checkpoints = prepare(work / "damaged")
    newest, before = (_data_file(checkpoints, slot) for slot in ("last", "previous"))
    for trial in range(flips + truncations):
        path = draw.choice((newest, newest, newest, checkpoints / "last.json"))
        whole = path.read_bytes()
        if trial < flips:
            place = draw.randrange(8 * len(whole))
            changed = bytearray(whole)
            changed[place // 8] ^= 1 << place % 8
            what = f"bit {place} of {path.name}"
        else:
            changed = bytearray(whole[: draw.randrange(len(whole))])
            what = f"{path.name} cut to {len(changed)} bytes"
        path.write_bytes(changed)
        tally.count(_judge_damage(checkpoints, what, path.name, before.name))
        path.write_bytes(whole)
    return tally


def _judge_damage(checkpoints: Path, what: str, damaged: str, before: str) -> str | None:
    stored = slots.fetch(checkpoints, "last")
    if stored is None or stored.state["step"] != OLD - 1:
        return f"{what}: loaded {stored and stored.state}"
    notes = " ".join(stored.notes)
    return None if damaged in notes and before in notes else f"{what}: the notes do not name both: {notes}"


def _judge(checkpoints: Path, what: str, steps: tuple[int, ...]) -> str | None:
    """Return what is wrong with the folder after a save that may have failed, or None."""
    stored = slots.fetch(checkpoints, "last")
    if stored is None or stored.state["step"] not in steps or stored.notes:
        return f"{what}: loaded {stored and (stored.state, stored.notes)}, not step {' or '.join(map(str, steps))}"
    best = slots.fetch(checkpoints, "best")
    return None if best is not None and best.state["step"] == 1 else f"{what}: the best one is lost"


def _judge_next(checkpoints: Path, what: str) -> str | None:
    """Return what is wrong after the next start, which sweeps and saves again, or None."""
    atomic.sweep(checkpoints)
    slots.commit(checkpoints, "last", b"the next", {"step": NEW + 1}, {})
    names = {path.name for path in checkpoints.iterdir()}
    expected = {"last.json", "previous.json", "best.json", *(_data_file(checkpoints, slot).name for slot in ("last", "previous", "best"))}
    return None if names == expected else f"{what}: after the next save there are {sorted(names ^ expected)} too many or missing"


def _data_file(checkpoints: Path, slot: str) -> Path:
    return checkpoints / str(atomic.read_json(checkpoints / f"{slot}.json")["content"]["file"])


def _injecting(name: str, fault: str) -> list[str]:
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:{fault}"]


def _save_under(tracer: list[str], checkpoints: Path) -> subprocess.CompletedProcess[bytes]:
    python = [sys.executable, "-I", "-S", "-B", "-c", CHILD, str(checkpoints)]
    return subprocess.run([*tracer, *python], capture_output=True, check=False, timeout=60)


@contextmanager
def _folder(work: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=work) as folder:
        yield prepare(Path(folder) / "run")


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """Mount an empty memory file system of a size ("64m") while the block runs; raises PermissionError without the right to."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("mount") is None:
        raise PermissionError("there is no mount command")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "rung-torture", str(folder)], capture_output=True, check=False)
    if done.returncode != 0:
        raise PermissionError(done.stderr.decode().strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="bit flips; a tenth as many truncations")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        calls = calls_of_a_save(work)
        trials: list[Callable[[], Tally]] = [
            lambda: kill_everywhere(work, calls),
            lambda: full_everywhere(work, calls),
            lambda: damage(work, count, count // 10),
        ]
        tallies = [trial() for trial in trials]
        draw = Random(0)
        with mounted(work / "disk", "64m") as disk:
            tallies.append(small_disk(disk, [draw.randrange(1, 40 << 20) for _ in range(max(10, count // 10))]))
    print("\n".join(str(tally) for tally in tallies))
    return int(any(tally.failures for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
