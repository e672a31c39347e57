"""Small trainings for the proofs, and what must be equal between one that was broken and one that was not."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.recipe import CNN, Compute, Data, Recipe, Train
from rung.store import atomic

NAME = "r"  # of every run, in a folder of its own
_CLOCKS = ("setup_s", "fit_s", "notes")  # of kept.json: what may differ

_BUSY = {
    "train.epochs": 3, "train.optimizer": "muon", "train.schedule": "one_cycle", "train.ema_decay": 0.9, "train.keep": "averaged",
    "train.sampling": "balanced", "augment.mixup_alpha": 0.4, "augment.rotation_degrees": 10, "network.block_dropout": 0.2,
}  # fmt: skip
_CHOOSING = {"train.epochs": 6, "train.schedule": "plateau", "train.plateau_patience": 0, "train.early_stopping": 4, "train.learning_rate": 0.01}


def small() -> Recipe:
    """A training of the digits that takes a moment; every field that the proofs depend on is set here, whatever the defaults become."""
    return Recipe(
        name="torture",
        data=Data(sources=("digits",), per_class=20),
        network=CNN(filters=(16, 16), convolutions=1, batch_norm="after_activation", dense=()),
        train=Train(epochs=2, batch_size=64, optimizer="adam"),
        compute=Compute(device="cpu", threads=1),
    )


@dataclass(frozen=True)
class Training:
    """Settings of one training of the digits, and the words of its command."""

    settings: dict[str, Any]
    checkpoint_s: float = 30.0

    def words(self) -> list[str]:
        settings = [word for key, value in self.settings.items() for word in ("--set", f"{key}={json.dumps(value)}")]
        place = ["--name", NAME, "--out", ".", "--checkpoint-seconds", str(self.checkpoint_s)]
        return ["train", "digits", "--recipe", f"{Path(__file__)}:small", *settings, *place]


TRAININGS = (
    Training({"train.epochs": 6}, checkpoint_s=0),
    Training({"train.epochs": 2}),
    Training(_BUSY, checkpoint_s=0),
    Training(_CHOOSING, checkpoint_s=0.1),
)


def content(run: Path) -> dict[str, Any]:
    """Return all of a finished run that must be equal to the bit when it is done again, whatever broke it in between."""
    files = [path for path in (*run.glob("*.safetensors"), *run.glob("predictions/*"), run / "metrics.jsonl", run / "scores.json", run / "data.json")]
    values: dict[str, Any] = {str(path.relative_to(run)): path.read_bytes() for path in sorted(files)}
    values["kept.json"] = {key: value for key, value in atomic.read_json(run / "kept.json").items() if key not in _CLOCKS}
    last = atomic.read_json(run / "checkpoints" / "last.json")["content"]
    values["the state in the last checkpoint"] = {"sha256": last["sha256"], "state": {key: value for key, value in last["state"].items() if key != "notes"}}
    values["rows of times.jsonl"] = [row["epoch"] for row in atomic.read_lines(run / "times.jsonl").rows]
    return values


def differs(run: Path, expected: dict[str, Any]) -> str | None:
    """Return in what a finished run differs from the `content` of one that was not broken, or what was left lying in it; None if in nothing."""
    found = content(run)
    unequal = [name for name in sorted(found.keys() | expected.keys()) if found.get(name) != expected.get(name)]
    litter = [path.name for path in run.rglob("*") if atomic.is_temporary(path.name)]
    if unequal or litter:
        return f"unequal: {', '.join(unequal) or 'nothing'}; left over: {', '.join(litter) or 'nothing'}"
    if not (run / "report.html").exists() or (run / "failure.json").exists():
        return "there is no report, or still a failure.json"
    return None


def fresh(folder: Path) -> Path:
    """Return the folder, made new and empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
