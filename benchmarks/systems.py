"""Runs of the recipes of known systems, beside what their authors reported.

    rung train cifar10 --recipe model_s --seed 0 --out RUNS; rung test RUN --out RUNS; ..
    python -m benchmarks.systems RUNS

adds a dated row for each finished and tested run of RUNS to benchmarks/systems.jsonl (a run is added once), and writes the table of all rows
into benchmarks/README.md.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.marked import between
from benchmarks.spreads import interval
from rung import recipe as recipes
from rung.store import atomic
from rung.store.run import Run, list_runs

HERE = Path(__file__).parent
ROWS = HERE / "systems.jsonl"
SPECIES = "cifar100:large_omnivores_and_herbivores"
REPORTED = {  # recipe and images: test accuracy in percent, as the authors give it; `fast`, for "any recipe", beside the best reported of its images
    ("model_s", "cifar10"): 85.85,
    ("backprop_mlp", "cifar10"): 43.87,
    ("backprop_cnn", "cifar10"): 73.46,
    ("omnivores", SPECIES): 75.4,
    ("cnn_1", "cifar10, grey"): 66.66,
    ("cnn_9", "cifar10, grey"): 81.51,
    ("fast", SPECIES): 79.4,
}


def row(run: Run) -> dict[str, Any]:
    """Return one run as a row of plain values: accuracies and their intervals in percent, seconds, threads, versions."""
    recipe = recipes.from_toml(run.recipe)
    scores, times, environment = run.read_scores(), atomic.read_lines(run.times).rows, atomic.read_json(run.environment)
    kept = atomic.read_json(run.folder / "kept.json")
    receipt = atomic.read_json(run.folder / "opening.json")
    percent = {part: {key: round(100 * scores[part]["accuracy"][key], 2) for key in ("value", "low", "high")} for part in scores}
    return {
        "run": run.id,
        "date": receipt["time"],
        "recipe": recipe.name,
        "data": run.read_data()["name"] + (", grey" if recipe.pixels.colour == "grey" else ""),
        "seed": recipe.seed,
        **percent,
        "epochs": len(times),
        "kept_epoch": kept["epoch"],
        "stopped": kept["stopped"],
        "parameters": kept["parameters"],
        "train_s": round(sum(time["train_s"] for time in times), 1),
        "evaluate_s": round(sum(time["evaluate_s"] for time in times), 1),
        "images_per_s": round(sum(time["images"] for time in times) / sum(time["train_s"] for time in times)),
        "threads": recipe.compute.threads,
        "precision": recipe.compute.precision,
        "processor": environment["processor"],
        "torch": environment["torch"],
        "rung": environment["rung"],
        "opening": receipt["opening"],
        "weights_sha256": kept["weights_sha256"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table: one line a recipe, with mean and t interval over seeds where there are several."""
    lines = [
        "| recipe | images | seeds | validation % | test % | 95 % interval of the test figure | reported % | epochs | training s a run | images/s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (name, data), reported in REPORTED.items():
        found = [r for r in rows if r["recipe"] == name and r.get("data", data) == data]  # the first rows were of recipes that have one set of images
        if not found:
            lines.append(f"| {name} | {data} | none yet | | | | {reported} | | | |")
            continue
        tests = [r["test"]["value"] for r in found]
        mean = statistics.mean(tests)
        bounds = f"{interval(tests)}, over seeds" if len(found) > 1 else f"{found[0]['test']['low']}..{found[0]['test']['high']}, over images"
        epochs = ", ".join(f"{r['kept_epoch']} of {r['epochs']}" for r in found)
        seconds, speed = (", ".join(f"{r[key]:.0f}" for r in found) for key in ("train_s", "images_per_s"))
        validation = f"{statistics.mean(r['validation']['value'] for r in found):.2f}" if "validation" in found[0] else "none: all were fitted on"
        cells = [
            name, data, len(found), validation, f"{mean:.2f}", bounds, reported,
            epochs, seconds, speed,
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main(root: Path) -> None:
    rows = atomic.read_lines(ROWS).rows
    known = {r["weights_sha256"] for r in rows}
    for summary in list_runs(root):
        if summary.test_accuracy is not None and (new := row(summary.run))["weights_sha256"] not in known:
            atomic.append_line(ROWS, new)
            rows.append(new)
            print(json.dumps(new))
    between("systems", table(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
