"""How many planted near-duplicates are found, how long it takes, and pictures of what is found in CIFAR as it is.

RUNG_DATA=FOLDER python -m benchmarks.twins recall            plants 60 of each kind of benchmarks/planted.py among the 50,000 training images of
                                                              CIFAR-10, adds a dated row to benchmarks/twins.jsonl and writes the table of
                                                              the last row into benchmarks/README.md
RUNG_DATA=FOLDER python -m benchmarks.twins natural NAME OUT  finds the twins of cifar10 or cifar100, adds a dated row, and writes sheets of pairs
                                                              drawn at random, and of the least alike, into the folder OUT
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

import rung
from benchmarks.planted import KINDS
from rung.data.imageset import TEST, TRAIN, ImageSet
from rung.data.twins import Twins, find_twins, near_pairs
from rung.store import atomic
from rung.store.values import now
from rung.training.environment import environment

HERE = Path(__file__).parent
ROWS = HERE / "twins.jsonl"
START, END = "<!-- twins -->", "<!-- /twins -->"
PER_KIND = 60
SEED = 0
COLUMNS, LINES, SCALE, GAP = 12, 10, 2, 6


def main(arguments: list[str]) -> None:
    match arguments:
        case ["recall"]:
            row = recall(rung.load("cifar10"))
            atomic.append_line(ROWS, row)
            page = HERE / "README.md"
            before, _, rest = page.read_text().partition(START)
            page.write_text(f"{before}{START}\n{table(row)}\n{END}{rest.partition(END)[2]}")
        case ["natural", name, folder]:
            images = rung.load(name)
            started, processor = time.perf_counter(), time.process_time()
            twins = find_twins(images)
            atomic.append_line(ROWS, natural(images, twins) | _clock(started, processor))
            sheets(images, twins, Path(folder))
        case _:
            sys.exit(str(__doc__))


def recall(images: ImageSet) -> dict[str, Any]:
    """Plant changed copies among the training images, each of another image, and count those that are paired with their own original."""
    train = images.images[images.parts == TRAIN]
    draws = np.random.default_rng(SEED)
    originals = draws.permutation(len(train))[: PER_KIND * len(KINDS)]
    kinds = [kind for kind in KINDS for _ in range(PER_KIND)]
    planted = np.stack([KINDS[kind](train[row], draws) for kind, row in zip(kinds, originals, strict=True)])
    started, processor = time.perf_counter(), time.process_time()
    pairs, _ = near_pairs(np.concatenate([train, planted]))
    clock = _clock(started, processor)
    known = {tuple(pair) for pair in pairs.tolist()}
    found = np.array([(row, len(train) + k) in known for k, row in enumerate(originals)])
    by_kind = {kind: float(found[[k == kind for k in kinds]].mean()) for kind in KINDS}
    return {
        "what": "recall",
        "data": images.name,
        "images": len(train) + len(planted),
        "planted": len(planted),
        "kinds": len(KINDS),
        "recall": float(found.mean()),
        "kinds_at_0.9": sum(share >= 0.9 for share in by_kind.values()),
        "by_kind": by_kind,
    } | clock


def natural(images: ImageSet, twins: Twins) -> dict[str, Any]:
    """Count the twins of a data set as it is."""
    test, train = (np.flatnonzero(images.parts == part) for part in (TEST, TRAIN))
    leaked = twins.beside(test, train, len(images))
    component = twins.components(len(images))
    return {
        "what": "natural",
        "data": images.name,
        "images": len(images),
        "pairs": len(twins),
        "exact_pairs": int(twins.exact.sum()),
        "pairs_in_two_classes": int((images.labels[twins.pairs[:, 0]] != images.labels[twins.pairs[:, 1]]).sum()),
        "test_images_with_a_twin_in_train": int(leaked.sum()),
        "largest_component": int(np.unique(component, return_counts=True)[1].max()),
    }


def _clock(started: float, processor: float) -> dict[str, Any]:
    facts = environment()
    return {
        "seconds_s": round(time.perf_counter() - started, 1),
        "processor_s": round(time.process_time() - processor, 1),
        "date": now(),
        **{key: facts[key] for key in ("threads", "processor", "torch", "rung")},
    }


def table(row: dict[str, Any]) -> str:
    """Return one line a kind, in two columns, the hardest first, and what they give together."""
    shares = sorted(row["by_kind"].items(), key=lambda entry: entry[1])
    half = -(-len(shares) // 2)
    lines = [
        f"{row['planted']:,} changed copies among {row['images']:,} images of {row['data']}: {100 * row['recall']:.1f} % found, "
        f"{row['kinds_at_0.9']} of {row['kinds']} kinds at 90 % or more; {row['processor_s']:.0f} s of one processor ({row['date'][:10]}).",
        "",
        "| change | found % | change | found % |",
        "|---|---|---|---|",
    ]
    for left, right in zip(shares[:half], [*shares[half:], ("", None)], strict=False):
        lines.append("| " + " | ".join(cell for kind, share in (left, right) for cell in (kind, "" if share is None else f"{100 * share:.0f}")) + " |")
    return "\n".join(lines)


def sheets(images: ImageSet, twins: Twins, folder: Path) -> None:
    """Write pictures of near pairs: some drawn at random, the least alike, and some between train and test."""
    near = np.flatnonzero(~twins.exact)
    parts = images.parts[twins.pairs[near]]
    leaks = near[(parts == TRAIN).any(axis=1) & (parts == TEST).any(axis=1)]
    draws = np.random.default_rng(SEED)
    most = COLUMNS * LINES
    chosen = {
        "any-1": draws.permutation(near)[:most],
        "any-2": draws.permutation(near)[:most],
        "least": near[np.argsort(twins.likeness[near])][:most],
        "leaks": draws.permutation(leaks)[:most],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, which in chosen.items():
        sheet(images.images, twins.pairs[which]).save(folder / f"{images.name}-{name}.png", optimize=True)


def sheet(images: npt.NDArray[np.uint8], pairs: npt.NDArray[np.int64]) -> Image.Image:
    """Return pairs side by side, enlarged without smoothing."""
    side = images.shape[1] * SCALE
    width, height = 2 * side + GAP, side + GAP
    picture = Image.new("RGB", (COLUMNS * width, -(-len(pairs) // COLUMNS) * height), "white")
    for k, pair in enumerate(pairs):
        for i, row in enumerate(pair):
            image = Image.fromarray(np.squeeze(images[row])).resize((side, side), Image.Resampling.NEAREST)
            picture.paste(image, (k % COLUMNS * width + i * side, k // COLUMNS * height))
    return picture


if __name__ == "__main__":
    main(sys.argv[1:])
