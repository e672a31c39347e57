"""CIFAR-10 by the recipe `fast` in fixed budgets of time on the processor: how much is learnt in how many seconds.

    python -m benchmarks.budgets 45 --seeds 0 1 2 3 4

trains with the settings of the budget (chosen on the validation part; all 50,000 images are fitted on, so nothing is chosen here), opens the test part
once for each seed, adds dated rows to benchmarks/budgets.jsonl and writes the table of all rows into benchmarks/README.md. Charged is all that a run does
from its call to its kept weights (reading the images, checks, fitting the stem, training). The answers to the test images are timed apart, imports not charged.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import torch
from scipy import stats

import rung
from benchmarks.marked import between
from rung.store import atomic

HERE = Path(__file__).parent
ROWS = HERE / "budgets.jsonl"
WHOLE: Final = {"split.fit_on": "train+validation"}
BUDGETS: Final[dict[int, dict[str, Any]]] = {  # seconds: settings
    45: {"network.filters": [32, 96, 96], "augment.rising_sizes": [20, 24, 32], "train.steps": 450, "train.weight_decay": 0.133},
    120: {"network.filters": [48, 128, 128], "train.steps": 960, "train.weight_decay": 0.0625},
    840: {"network.filters": [64, 256, 256], "train.steps": 2200, "train.weight_decay": 0.027},
}


def trained(budget: int, seed: int, out: Path) -> dict[str, Any]:
    """Train and test once; returns the row."""
    started = time.perf_counter()
    run = rung.train("cifar10", "fast", settings=WHOLE | BUDGETS[budget], seed=seed, out=out)
    whole = time.perf_counter() - started
    started = time.perf_counter()
    accuracy = rung.test(run).scores.accuracy
    kept, environment, recipe = atomic.read_json(run.kept), atomic.read_json(run.environment), rung.load_recipe(run.recipe)
    return {
        "budget_s": budget,
        "seed": seed,
        "test": round(100 * accuracy.value, 2),
        "charged_s": round(kept["setup_s"] + kept["fit_s"], 1),
        "train_s": round(sum(row["train_s"] for row in atomic.read_lines(run.times).rows), 1),
        "scores_and_report_s": round(whole - kept["setup_s"] - kept["fit_s"], 1),
        "test_s": round(time.perf_counter() - started, 1),
        "settings": BUDGETS[budget],
        "threads": recipe.compute.threads,
        "precision": recipe.compute.precision,
        "processor": environment["processor"],
        "torch": torch.__version__,
        "rung": environment["rung"],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "weights_sha256": kept["weights_sha256"],
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
        mean, interval = statistics.mean(tests), ""
        if len(tests) > 1:
            half = stats.t.ppf(0.975, len(tests) - 1) * statistics.stdev(tests) / len(tests) ** 0.5
            interval = f"{mean - half:.2f}..{mean + half:.2f}"
        seconds = [f"{min(row[key] for row in found):.0f}..{max(row[key] for row in found):.0f}" for key in ("charged_s", "train_s", "test_s")]
        shown = ", ".join(f"{key} = {value}" for key, value in found[0]["settings"].items())
        each = f"{mean:.2f} ({', '.join(map(str, tests))})"
        lines.append("| " + " | ".join([str(budget), shown, str(len(found)), each, interval, *seconds, f"{processor}, {found[0]['threads']}"]) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budgets", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("budget", type=int, choices=BUDGETS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        for seed in asked.seeds:
            made = trained(asked.budget, seed, Path(out))
            atomic.append_line(ROWS, made)
            print(made, flush=True)
    between("budgets", table(atomic.read_lines(ROWS).rows))


if __name__ == "__main__":
    main()
