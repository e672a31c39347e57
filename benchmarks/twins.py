"""How many planted near-duplicates are found, how long it takes, and pictures of what is found in CIFAR as it is.

RUNG_DATA=FOLDER python -m benchmarks.twins recall
    plants 60 of each kind of benchmarks/planted.py among the 50,000 training images of CIFAR-10
RUNG_DATA=FOLDER python -m benchmarks.twins natural NAME OUT
    finds the twins of cifar10 or cifar100, and writes sheets of pairs into the folder OUT, to be looked at: one pair of each of 200 groups of linked
    images, the nearest twin in train of each of 200 test images, all drawn by seed, and the 56 least alike pairs
python -m benchmarks.twins seen NAME SHEETS SAME SIMILAR
    writes down what a person saw on the 200 pairs of "groups" or "leaks": how many show one picture or one subject in one place, how many are alike only

Each adds a dated row to benchmarks/twins.jsonl and writes the newest ones into benchmarks/README.md.
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
from benchmarks.marked import between
from benchmarks.planted import KINDS
from rung.data.imageset import TEST, TRAIN, ImageSet
from rung.data.twins import Twins, find_twins, near_pairs
from rung.evaluate.intervals import wilson_bounds
from rung.store import atomic
from rung.store.values import now
from rung.training.environment import environment

Rows = npt.NDArray[np.int64]

HERE = Path(__file__).parent
ROWS = HERE / "twins.jsonl"
PER_KIND = 60
SEED = 0
DRAWN, ON_A_SHEET = 200, 56
COLUMNS, SCALE, GAP = 7, 3, 6


def main(arguments: list[str]) -> None:
    match arguments:
        case ["recall"]:
            row = recall(rung.load("cifar10"))
        case ["natural", name, folder]:
            images = rung.load(name)
            started, processor = time.perf_counter(), time.process_time()
            twins = find_twins(images)
            row = natural(images, twins) | _clock(started, processor)
            sheets(images, twins, Path(folder))
        case ["seen", name, which, same, similar]:
            row = {"what": "seen", "data": name, "sheets": which, "pairs": DRAWN, "same": int(same), "similar": int(similar), "date": now()}
        case _:
            sys.exit(str(__doc__))
    atomic.append_line(ROWS, row)
    between("twins", tables(atomic.read_lines(ROWS).rows))


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
    sizes = np.unique(twins.components(len(images)), return_counts=True)[1]
    return {
        "what": "natural",
        "data": images.name,
        "images": len(images),
        "pairs": len(twins),
        "exact_pairs": int(twins.exact.sum()),
        "pairs_in_two_classes": int((images.labels[twins.pairs[:, 0]] != images.labels[twins.pairs[:, 1]]).sum()),
        "test_images_with_a_twin_in_train": int(leaked.sum()),
        "test_images_with_a_twin_in_test": len(np.unique(twins.pairs[(images.parts[twins.pairs] == TEST).all(axis=1)])),
        "groups": int((sizes > 1).sum()),
        "largest_group": int(sizes.max()),
    }


def _clock(started: float, processor: float) -> dict[str, Any]:
    facts = environment()
    return {
        "seconds_s": round(time.perf_counter() - started, 1),
        "processor_s": round(time.process_time() - processor, 1),
        "date": now(),
        **{key: facts[key] for key in ("threads", "processor", "torch", "rung")},
    }


def tables(rows: list[dict[str, Any]]) -> str:
    """Return the newest recall, twins and judgements of each data set as Markdown."""
    newest = {(row["what"], row["data"], row.get("sheets")): row for row in rows}.values()
    kinds = [kinds_table(row) for row in newest if row["what"] == "recall"]
    found = [
        f"| {row['data']} | {row['images']:,} | {row['pairs']:,} | {row['groups']:,} | {row['test_images_with_a_twin_in_train']:,} | "
        f"{row['test_images_with_a_twin_in_test']:,} | {row['pairs_in_two_classes']:,} | {row['processor_s']:.0f} | {row['date'][:10]} |"
        for row in newest
        if row["what"] == "natural"
    ]
    heads = ["data", "images", "pairs", "groups", "test images with a twin in train", "in test", "pairs in two classes", "processor s", "date"]
    seen = [
        f"| {row['data']} | {row['sheets']} | {row['pairs']} | {row['same']} | {row['similar']} | {row['pairs'] - row['same'] - row['similar']} | "
        f"{_share(row['same'], row['pairs'])} | {row['date'][:10]} |"
        for row in newest
        if row["what"] == "seen"
    ]
    judged = ["data", "drawn from", "pairs", "one picture", "alike only", "different", "one picture, % (95 %, Wilson)", "date"]
    return "\n".join([*kinds, "", *_lines(heads, found), "", *_lines(judged, seen)])


def _lines(heads: list[str], rows: list[str]) -> list[str]:
    return ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *rows]


def _share(count: int, total: int) -> str:
    low, high = wilson_bounds(count / total, total, 0.95)
    return f"{100 * count / total:.1f} ({100 * low:.1f}..{100 * high:.1f})"


def kinds_table(row: dict[str, Any]) -> str:
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
    """Write sheets of near pairs: one of each of some groups, the nearest twin in train of some test images, and the least alike."""
    near = np.flatnonzero(~twins.exact)
    draws = np.random.default_rng(SEED)
    group = twins.components(len(images))[twins.pairs[near, 0]]
    parts = images.parts[twins.pairs[near]]
    leaks = near[(parts == TRAIN).any(axis=1) & (parts == TEST).any(axis=1)]
    leaks = leaks[np.argsort(-twins.likeness[leaks], kind="stable")]
    test_row = twins.pairs[leaks].max(axis=1)  # test rows come after those of train
    chosen = {
        "groups": _one_of_each(draws.permutation(len(near)), group, near, draws),
        "leaks": _one_of_each(np.arange(len(leaks)), test_row, leaks, draws),
        "least": near[np.argsort(twins.likeness[near])][:ON_A_SHEET],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, which in chosen.items():
        for number, start in enumerate(range(0, len(which), ON_A_SHEET), 1):
            path = folder / f"{images.name}-{name}-{number}.png"
            sheet(images.images, twins.pairs[which[start : start + ON_A_SHEET]]).save(path, optimize=True)


def _one_of_each(order: Rows, key: Rows, pairs: Rows, draws: np.random.Generator) -> Rows:
    """Return the first pair, in an order, of each of DRAWN values of `key`, drawn at random."""
    _, first = np.unique(key[order], return_index=True)
    return pairs[order[draws.permutation(first)[:DRAWN]]]


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
