"""A small system of digits in a folder, and records of runs that took no time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rung.study.replay import RunRecord
from rung.study.system_rows import Place

IMAGES = 500

LADDER = """
data = "digits"
recipe = "digits"
seeds = 3
[settings]
"train.epochs" = 2
[[step]]
name = "filters"
keep = "8-16"
group = [{ name = "8", "network.filters" = [8] }, { name = "8-16", "network.filters" = [8, 16] }]
[[step]]
name = "batch"
keep = "start"
field = "train.batch_size"
candidates = [32, 64]
"""

SYSTEM = """
title = "Tiny"
task = "ten digits"
data = ["digits"]
[small]
seeds = 2
settings = { data.per_class = 20, train.epochs = 1 }
[[ladder]]
file = "base.toml"
title = "the ladder"
[[reported]]
ladder = "base"
step = "filters"
accuracy = 90.1
macro_f1 = 0.9
[[reported]]
ladder = "base"
step = "filters"
candidate = "8-16"
parameters = 4466
accuracy = 92.3
note = "one run"
[[decision]]
ladder = "base"
step = "filters"
over = ["start"]
said = "92.30 %, where the start has 90.10 %"
[[decision]]
ladder = "base"
step = "batch"
[[stage]]
ladder = "base"
name = "stage 2"
after = "batch"
settings = { train.learning_rate = 0.0001 }
[[mistake]]
name = "scrambled"
text = "Pixels in another order."
lesson = "rung asks for the layout."
"""


def make_system(folder: Path, system: str = SYSTEM, ladder: str = LADDER) -> Path:
    """Write a system into a folder named tiny, and return that."""
    made = folder / "tiny"
    made.mkdir(parents=True)
    (made / "system.toml").write_text(system)
    (made / "base.toml").write_text(ladder)
    return made


def record(place: Place, seed: int, accuracy: float, images: int = IMAGES, **changes: Any) -> RunRecord:
    """Return the record of a run of this accuracy; the same images are hard for all, and which of the rest are wrong is drawn by seed."""
    labels = (np.arange(images) % 10).astype(np.uint8)
    drawn = np.random.default_rng([seed, int(place.identity[:8], 16)])
    wrong = np.sort(drawn.permutation(images)[: round(images * (1 - accuracy))])
    answers = labels.copy()
    answers[wrong] = (answers[wrong] + 1) % 10
    value = float((answers == labels).mean())
    score: Mapping[str, Any] = {"value": value, "low": value - 0.02, "high": value + 0.02}
    return RunRecord(
        *place.name,
        **{
            "seed": seed,
            "recipe": place.recipe,
            "settings": dict(place.settings),
            "run": place.key(seed),
            "classes": tuple("0123456789"),
            "parameters": 100,
            "epochs": 2,
            "kept_epoch": 2,
            "stopped": "all 2 epochs were run",
            "seconds": 36.0,
            "scores": {"train": {"accuracy": {**score, "value": value + 0.05}}, "validation": {"accuracy": score, "macro_f1": score}},
            "curves": {"train_accuracy": (0.5, 0.6), "validation_accuracy": (0.5, value)},
            "answers": {"validation": answers},
            "labels": {"validation": labels},
            "environment": {"processor": "a processor", "threads": 1, "torch": "2.13.0"},
            **changes,
        },
    )
