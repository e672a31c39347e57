"""CIFAR-10 by the recipe `fast` in fixed budgets of time on the processor: how much is learnt in how many seconds.

    python -m benchmarks.budgets 45 --seeds 0 1 2 3 4

trains with the settings of the budget (chosen on the validation part; all 50,000 images are fitted on, so nothing is chosen here), answers the test
part once for each seed at the end, adds dated rows to benchmarks/budgets.jsonl and writes the table of all rows into benchmarks/README.md.

Charged is all that a run does with decoded images until it has its weights: splitting, checks, what follows the data, mean and deviation, the stem,
training. Not charged are imports, reading and decoding, and near-duplicates, which the cache keeps with the decoded images. The answers to the test
images are timed apart.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import statistics
import time
from pathlib import Path
from typing import Any, Final

import torch
import torch._dynamo  # an import that the first optimizer makes: not charged, as others are not
from safetensors.torch import save

import rung
from benchmarks.marked import between
from benchmarks.spreads import interval
from rung.pipeline import execute
from rung.pipeline.prepare import Prepared
from rung.pipeline.ready import ready
from rung.store import atomic
from rung.training.environment import environment
from rung.training.journal import NoJournal

HERE = Path(__file__).parent
ROWS = HERE / "budgets.jsonl"
NOTHING_OWN: Final = {"network": None, "loss": None, "metrics": (), "augmentations": (), "callbacks": ()}
WHOLE: Final = {"split.fit_on": "train+validation"}
BUDGETS: Final[dict[int, dict[str, Any]]] = {  # seconds: settings
    45: {"network.filters": [32, 96, 96], "train.steps": 515, "train.weight_decay": 0.1165},
    120: {"network.filters": [48, 128, 128], "train.steps": 960, "train.weight_decay": 0.0625},
    840: {"network.filters": [64, 256, 256], "train.steps": 2200, "train.weight_decay": 0.027},
}


def trained(budget: int, seed: int) -> dict[str, Any]:
    """Train and test once; returns the row."""
    images = rung.load("cifar10")
    started = time.perf_counter()
    prepared = ready(images, "fast", WHOLE | BUDGETS[budget] | {"seed": seed}, NOTHING_OWN, None, lambda sentence: None, classes=None, size=None, grey=False)
    journal = NoJournal()
    network, result = execute.fit(prepared, journal)
    charged, started = time.perf_counter() - started, time.perf_counter()
    answers = execute.predict_part(prepared, network, "test")
    return {
        "budget_s": budget,
        "seed": seed,
        "test": round(100 * float((answers.answers() == answers.labels).mean()), 2),
        "charged_s": round(charged, 1),
        "train_s": round(sum(times["train_s"] for times in journal.times), 1),
        "test_s": round(time.perf_counter() - started, 1),
        "settings": BUDGETS[budget],
        **where(prepared),
        "weights_sha256": hashlib.sha256(save(result.weights)).hexdigest(),
    }


def where(prepared: Prepared) -> dict[str, Any]:
    """Return on what, by what and when a training was done, as rows say it."""
    return {
        "threads": prepared.recipe.compute.threads,
        "precision": prepared.recipe.compute.precision,
        "processor": environment("cpu")["processor"],
        "torch": torch.__version__,
        "rung": rung.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table: one line a budget and settings, with the t interval of the mean over seeds."""
    lines = [
        "| budget s | settings | seeds | test %, mean (each) | 95 % interval over seeds | charged s | of it training s | test answers s | processor, threads |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for budget, settings, processor in dict.fromkeys((row["budget_s"], repr(row["settings"]), row["processor"]) for row in rows):
        found = [row for row in rows if (row["budget_s"], repr(row["settings"]), row["processor"]) == (budget, settings, processor)]
        tests = [row["test"] for row in found]
        seconds = [f"{min(row[key] for row in found):.0f}..{max(row[key] for row in found):.0f}" for key in ("charged_s", "train_s", "test_s")]
        shown = ", ".join(f"{key} = {value}" for key, value in found[0]["settings"].items())
        each = f"{statistics.mean(tests):.2f} ({', '.join(map(str, tests))})"
        lines.append("| " + " | ".join([str(budget), shown, str(len(found)), each, interval(tests), *seconds, f"{processor}, {found[0]['threads']}"]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budgets", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("budget", type=int, choices=BUDGETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    asked = parser.parse_args()
    for seed in asked.seeds:
        made = trained(asked.budget, seed)
        atomic.append_line(ROWS, made)
        print(made, flush=True)
    between("budgets", table(atomic.read_lines(ROWS).rows))


if __name__ == "__main__":
    main()
