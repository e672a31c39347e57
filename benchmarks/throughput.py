"""Images a second of training: Model S on CIFAR-10 by rung and by Keras on TensorFlow, in turn, on the same processors.

    python -m benchmarks.throughput --python PEERS/bin/python

PEERS is an environment with tensorflow. 40,000 images, batches of 64, augmentation and L2 included, no validation. All four trainings are begun and warmed
up; then each goes on for some seconds while the others wait, round after round. Rows go to benchmarks/throughput.jsonl, the table into
benchmarks/README.md. It needs the processors for itself: about five and a half minutes.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import rung
from benchmarks.marked import keep
from benchmarks.segments import Trainer, rung_trainer
from benchmarks.spreads import spread

HERE = Path(__file__).parent
ROWS = HERE / "throughput.jsonl"
PEER = HERE / "peers" / "keras_model_s.py"
BATCH = 64
ROWS_OF_TRAIN = 40_000
SYSTEMS = ("rung", "rung float32", "Keras", "Keras mixed_bfloat16")


def trainers(data: str, python: str, threads: int, arrays: Path) -> dict[str, Trainer]:
    """Begin the four trainings; the arrays are those that rung trains on."""
    peer = [python, str(PEER), "--data", str(arrays), "--batch", str(BATCH), "--threads", str(threads), "--segments"]
    settings = ["train.epochs=100000", f"train.batch_size={BATCH}"]
    return {
        "rung": rung_trainer(data, "model_s", threads, rows=ROWS_OF_TRAIN, settings=settings),
        "rung float32": rung_trainer(data, "model_s", threads, "float32", ROWS_OF_TRAIN, settings),
        "Keras": Trainer([*peer, "--precision", "float32"], threads),
        "Keras mixed_bfloat16": Trainer([*peer, "--precision", "bfloat16"], threads),
    }


def write_arrays(data: str, path: Path) -> None:
    """Write the training rows of a data set, and some others, as a peer reads them."""
    images = rung.load(data)
    rows = np.flatnonzero(images.parts == 0)
    parts = {"train": rows[:ROWS_OF_TRAIN], "test": rows[ROWS_OF_TRAIN:]}
    np.savez(path, **{f"x_{part}": images.images[rows] for part, rows in parts.items()}, **{f"y_{part}": images.labels[rows] for part, rows in parts.items()})


def measured(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Train in turn; returns one row a system, with its images a second in each round."""
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "arrays.npz"
        write_arrays(asked.data, arrays)
        running = trainers(asked.data, asked.python, asked.threads, arrays)
        facts = {name: trainer.receive() for name, trainer in running.items()}
        for trainer in running.values():
            trainer.train(asked.warm_up)
        speeds: dict[str, list[float]] = {name: [] for name in running}
        for number in range(asked.rounds):
            for name, trainer in running.items():
                done = trainer.train(asked.seconds)
                speeds[name].append(round(done["images"] / done["seconds"], 1))
                print(f"round {number + 1}: {name} {speeds[name][-1]:,.0f} images/s", flush=True)
        for trainer in running.values():
            trainer.end()
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    processor = facts["rung"]["versions"]["processor"]
    about = {"date": now, "data": asked.data, "batch": BATCH, "threads": asked.threads, "segment_s": asked.seconds, "processor": processor}
    return [
        {**about, "system": name, "precision": facts[name].get("precision", ""), "images_per_s": speeds[name], **facts[name]["versions"]} for name in running
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table of the last run: images/s, and how many times those of the two Keras trainings, round by round."""
    last = {row["system"]: row for row in rows if row["date"] == rows[-1]["date"]}
    lines = ["| Model S, batch 64, training | images/s, median of rounds (range) | times Keras float32 | times Keras mixed_bfloat16 |", "|---|---|---|---|"]
    for name in SYSTEMS:
        row = last[name]
        ratios = [
            spread([mine / other for mine, other in zip(row["images_per_s"], last[peer]["images_per_s"], strict=True)], 2) if peer != name else ""
            for peer in ("Keras", "Keras mixed_bfloat16")
        ]
        what = f"rung, {row['precision']}" if name.startswith("rung") else f"Keras on TensorFlow, {'mixed_bfloat16' if 'mixed' in name else 'float32'}"
        lines.append(f"| {what} | {spread(row['images_per_s'])} | {' | '.join(ratios)} |")
    one, peer = last["rung"], last["Keras"]
    lines += [
        "",
        f"{one['date'][:10]}, {one['processor']}, {one['threads']} threads, {len(one['images_per_s'])} rounds of {one['segment_s']:g} s; "
        f"rung {one['rung']} on torch {one['torch']}; Keras {peer['keras']} on TensorFlow {peer['tensorflow']}.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="the Python of an environment with tensorflow")
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=22.0, help="of one segment")
    parser.add_argument("--warm-up", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-rows", action="store_true", help="print and write nothing")
    asked = parser.parse_args()
    made = measured(asked)
    if asked.no_rows:
        print(table(made))
    else:
        keep("throughput", ROWS, made, table)


if __name__ == "__main__":
    main()
