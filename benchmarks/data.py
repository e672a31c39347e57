"""Reading images: decoding against one-thread Pillow, epochs from the mapped cache against resident arrays, opening a million rows.

    python -m benchmarks.data [--small] [decode|epochs|open ..]

prints each figure, adds it as a dated row to benchmarks/data.jsonl, and writes the newest rows of whole size into benchmarks/README.md. On two
quiet cores all three take about six minutes; ratios that are measured while other work wants the cores say little.
What is compared runs in turns, A B A B .., in one process; a ratio is the median of the ratios of the turns. Photos are made (photos.py).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image, features

from benchmarks import photos
from benchmarks.marked import between
from rung.data.batches import Batches, OnDisk, resident
from rung.data.blocks import IMAGE, RECORD
from rung.data.found import Files
from rung.data.known import fresh
from rung.data.load import load
from rung.data.table import open_table, seal
from rung.models.build import build
from rung.recipe import CNN, Augment, Data, Pixels
from rung.store import atomic
from rung.store.values import now
from rung.training.environment import environment

HERE = Path(__file__).parent
ROWS = HERE / "data.jsonl"
Row = dict[str, Any]


def in_turns(count: int, first: Callable[[], object], second: Callable[[], object], turns: int) -> Row:
    """Return what each does of `count` in a second, measured in turns: medians, and the median, least and greatest ratio of second to first.

    first_cpu_ms, second_cpu_ms: the processor time that each takes of one, on all cores together, which other work disturbs least.
    """
    second()  # the first use of threads and libraries is not what is asked for
    pairs = [(clocked(count, first), clocked(count, second)) for _ in range(turns)]
    ratios = sorted(b[0] / a[0] for a, b in pairs)
    figures: Row = {"ratio": statistics.median(ratios), "least": ratios[0], "greatest": ratios[-1], "turns": turns}
    for k, name in enumerate(("first", "second")):
        figures |= {name: statistics.median(pair[k][0] for pair in pairs), f"{name}_cpu_ms": statistics.median(pair[k][1] for pair in pairs)}
    return figures


def clocked(count: int, action: Callable[[], object]) -> tuple[float, float]:
    """Return how many of `count` are done in a second, and the milliseconds of processor time that one takes."""
    started, used = time.perf_counter(), time.process_time()
    action()
    return count / (time.perf_counter() - started), 1000 * (time.process_time() - used) / count


def decode(folder: Path, small: bool) -> Iterator[Row]:
    """Images/s of folders of made photos: Pillow on one thread, and rung without a cache."""
    for width, height, count in ((1600, 1200, 24 if small else 500), (500, 375, 60 if small else 800)):
        place = folder / f"{width}x{height}"
        photos.make(place, count, width, height)
        files, turns = sorted(place.rglob("*.jpg")), 1 if small else 5
        what = f"{count:,} JPEG of {width} x {height} to 64 x 64, images/s"
        ours = partial(_rung, place, Pixels(size=64))
        yield {"what": f"{what}: Pillow (convert to RGB, resize), rung", **in_turns(count, partial(_pillow, files), ours, turns)}
        yield {"what": f"{what}: Pillow (resize only), rung", **in_turns(count, partial(_pillow_lean, files), ours, turns)}
        yield {"what": f"{what}: rung, rung with reduced_jpeg", **in_turns(count, ours, partial(_rung, place, Pixels(size=64, reduced_jpeg=True)), turns)}


def _pillow(files: list[Path]) -> None:
    """Read as readers of image folders commonly do."""
    for file in files:
        np.asarray(Image.open(file).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR))


def _pillow_lean(files: list[Path]) -> None:
    """Read with the least that Pillow needs where every file is a colour photo."""
    for file in files:
        with Image.open(file) as picture:
            np.asarray(picture.resize((64, 64), Image.Resampling.BILINEAR))


def _rung(place: Path, pixels: Pixels) -> None:
    load(Data(sources=(str(place),)), pixels)


def epochs(folder: Path, small: bool) -> Iterator[Row]:
    """Images/s of batches, and of training steps, from resident arrays and from the mapped cache."""
    count, cpu = 1_000 if small else 20_000, torch.device("cpu")
    for side in (32, 64):
        images = made_table(folder / str(side), count, side, 3)
        parts = [
            Batches(own, torch.arange(count) % 10, 10, Pixels(size=side), Augment(flip_horizontal=True, shift_pixels=2), 0)
            for own in (resident(np.array(images), cpu), OnDisk(images, np.arange(count), cpu))
        ]
        what = f"{count:,} images of {side} x {side}, images/s"
        yield {"what": f"{what} of batches of 256: resident, mapped", **in_turns(count, *(partial(_iterate, part) for part in parts), 2 if small else 9)}
        steps = 4 if small else 20
        actions = [partial(_train, part, steps) for part in parts]
        yield {"what": f"{what} of training steps of 128: resident, mapped", **in_turns(128 * steps, *actions, 2 if small else 7)}


def _iterate(part: Batches) -> None:
    for _ in part.training(0, 256):
        pass


def _train(part: Batches, steps: int) -> None:
    network = build(CNN(filters=(16, 32)), classes=10, channels=3, size=part.images.shape[2], seed=0).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    for _, batch in zip(range(steps), part.training(1, 128), strict=False):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(batch.images), batch.targets).backward()
        optimizer.step()


def made_table(folder: Path, count: int, side: int, channels: int) -> np.ndarray:
    """Seal a table of made images and return them as they are mapped from it."""
    step = 512
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (step, side, side, channels), dtype=np.uint8)

    def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, count, step):
            records = np.zeros(min(step, count - start), RECORD)
            records["state"], records["side"], records["channels"], records["settled"] = IMAGE, side, channels, 1
            yield records, pixels[: len(records)] ^ np.uint8(start // step % 256)

    seal(folder, parts, (), {"source": "made", "bytes": count * side * side * channels})
    table = open_table(folder)
    assert table is not None
    return table.images


_OPENING = """
import json, sys, time
from pathlib import Path
import rung.data.table as table

def held(name):
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(lines[name].split()[0]) / 1024

before, started = held("VmRSS"), time.perf_counter()
opened = table.open_table(Path(sys.argv[1]))
open_s, open_mb, started = time.perf_counter() - started, held("VmHWM") - before, time.perf_counter()
assert all(opened.is_sound(block) for block in range(len(opened.row_starts) - 1))
compare_s = time.perf_counter() - started
print(json.dumps({"open_s": open_s, "open_mb": open_mb, "compare_s": compare_s, "compare_mb": held("VmHWM") - before}))
"""


def opening(folder: Path, small: bool) -> Iterator[Row]:
    """Seconds and memory of opening a table in a new process, and of comparing all its images with their checksums; files/s of asking for stamps."""
    count = 20_000 if small else 1_000_000
    for side, channels in ((8, 1), (32, 3)):
        place = folder / str(side)
        made_table(place, count, side, channels)
        command = [sys.executable, "-c", _OPENING, str(place)]
        found = [json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(3)]
        medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
        yield {"what": f"a cache of {count:,} rows of {side} x {side} x {channels}, opened in a new process", **medians, "turns": 3}
    count = 2_000 if small else 100_000
    for k in range(count):
        (folder / f"file{k}").touch()
    stored = Files(str(folder), [f"file{k}" for k in range(count)])
    asked, _ = clocked(count, partial(fresh, np.zeros(count, RECORD), stored, 0))
    yield {"what": f"asking {count:,} files whether they have changed, files/s", "second": asked}


PARTS = {"decode": decode, "epochs": epochs, "open": opening}


def table(rows: list[Row]) -> str:
    """Return the newest row of each line as a Markdown table."""
    lines = ["| what | first | second | ratio (range of turns) | CPU ms of one | load | date |", "|---|---|---|---|---|---|---|"]
    for row in {row["what"]: row for row in rows}.values():
        figures = [f"{row['first']:,.0f}" if "first" in row else "", f"{row['second']:,.0f}" if "second" in row else "", ""]
        if "ratio" in row:
            figures[2] = f"{row['ratio']:.2f} ({row['least']:.2f}..{row['greatest']:.2f})"
        if "open_s" in row:
            figures[0] = f"{row['open_s']:.2f} s, {row['open_mb']:.0f} MB"
            figures[1] = f"all images compared: {row['compare_s']:.2f} s, {row['compare_mb']:.0f} MB"
        used = f"{row['first_cpu_ms']:.3g}, {row['second_cpu_ms']:.3g}" if "ratio" in row else ""
        lines.append("| " + " | ".join([row["what"], *figures, used, f"{row['load']:.1f}", row["date"][:10]]) + " |")
    return "\n".join(lines)


def about_machine() -> Row:
    facts = environment()
    versions = {"pillow": PIL.__version__, "libjpeg_turbo": features.version("libjpeg_turbo")}
    return {**{name: facts[name] for name in ("rung", "torch", "numpy", "processor", "threads")}, **versions, "processors": len(os.sched_getaffinity(0))}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data")
    parser.add_argument("parts", nargs="*", metavar="|".join(PARTS))
    parser.add_argument("--small", action="store_true", help="in a minute, to see that it works; only printed")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        for part in asked.parts or PARTS:
            folder = Path(place) / part
            folder.mkdir()
            for figures in PARTS[part](folder, asked.small):
                row = {"date": now(), "part": part, **figures, "load": os.getloadavg()[0], **about_machine()}
                print(json.dumps(row if asked.small else {**figures, "load": row["load"]}), flush=True)
                if not asked.small:
                    atomic.append_line(ROWS, row)
    if not asked.small:
        between("data", table(atomic.read_lines(ROWS).rows))


if __name__ == "__main__":
    main()
