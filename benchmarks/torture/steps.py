"""Stopped at every step, and in every validation, of a training of 40 steps, and gone on with."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.torture.tally import Tally
from rung import recipe as recipes
from rung.data.load import load
from rung.pipeline.execute import fit
from rung.pipeline.own_parts import OwnParts
from rung.pipeline.prepare import Prepared, prepare
from rung.recipe import CNN, Augment, Compute, Data, Pixels, Recipe, Split, Train
from rung.store import atomic, slots
from rung.training.environment import WORDS
from rung.training.journal import Interrupted, RunJournal

RECIPE = Recipe(
    augment=Augment(shift_pixels=1.0),
    network=CNN(filters=(4,), convolutions=1, batch_norm="after_activation", block_dropout=0.1, flatten="flatten", dense=()),
    train=Train(epochs=5, batch_size=17, learning_rate=0.01),
    split=Split(test_fraction=0.0),
    compute=Compute(device="cpu", precision="float32", threads=1),
    data=Data(sources=("digits",), per_class=16),
)
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "averaged": {"train.ema_decay": 0.9, "train.keep": "averaged"},
    "plateau": {"train.schedule": "plateau", "train.plateau_patience": 0, "train.learning_rate": 0.05},
    "muon, one cycle, mixup": {"train.optimizer": "muon", "train.schedule": "one_cycle", "augment.mixup_alpha": 0.4, "network.dense": [8]},
    "balanced, clipped, last": {"train.sampling": "balanced", "train.clip_norm": 1.0, "train.keep": "last", "train.l2_convolution": 1e-3},
}


class Asked:
    """Answers whether a stop was asked for: from the `at`-th time on that the loop wants to know, which is after each step and in each validation."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.times = 0

    def __call__(self) -> int | None:
        self.times += 1
        return 15 if self.at is not None and self.times >= self.at else None


def every_step(options: str, moments: Sequence[int] | None = None) -> Tally:
    """Stop a training of 40 steps, with the settings of OPTIONS[options], each time it looks for a stop, or those times (from 1)."""
    tally = Tally(
        "Stopped at any step, a training goes on to what it would have been",
        "stopped after each of 40 steps and in each of 5 validations, for five kinds of settings: weights, rows and the state in the last checkpoint equal to "
        "the bit",
    )
    wanted = recipes.change(RECIPE, OPTIONS[options])
    prepared = prepare(wanted, load(wanted.data, Pixels()), OwnParts())
    with tempfile.TemporaryDirectory() as name:
        asked = Asked(None)
        expected = _content(_trained(prepared, Path(name) / "unbroken", asked), Path(name) / "unbroken")
        for at in moments or range(1, asked.times + 1):
            folder = Path(name) / str(at)
            broken = _trained(prepared, folder, Asked(at))
            content = _content(_trained(prepared, folder, Asked(None)), folder)
            failure = "was not stopped" if broken is not None else None if content == expected else "unequal"
            tally.count(failure and f"{options}, stopped when it asked for the {at}th time: {failure}")
    return tally


def mismatches() -> Tally:
    """Plant another value for each fact that the bits depend on into a checkpoint, and go on."""
    tally = Tally(
        "What the bits depend on is stored, and a resume where it differs says so, naming it",
        "each fact of a checkpoint changed, one by one, then all: the resume says `resume is not bit-exact because ..` with the fact's own words, old and new "
        "value; with none changed it says nothing",
    )
    prepared = prepare(RECIPE, load(RECIPE.data, Pixels()), OwnParts())
    with tempfile.TemporaryDirectory() as name:
        checkpoints = Path(name) / "checkpoints"
        _trained(prepared, Path(name), Asked(1))
        stored = slots.fetch(checkpoints, "last")
        assert stored is not None
        for changed in ([], *([fact] for fact in stored.environment), list(stored.environment)):
            planted = stored.environment | dict.fromkeys(changed, "planted")
            slots.commit(checkpoints, "last", stored.data, stored.state, planted)
            said: list[str] = []
            with contextlib.suppress(Interrupted):
                fit(prepared, RunJournal(Path(name), every_s=1e9, stop_signal=Asked(1), say=said.append))
            shown = {fact: "none" if value is None else str(value) for fact, value in stored.environment.items()}
            facts = "; ".join(f"{WORDS[fact]} was planted and is {shown[fact]}" for fact in changed)
            expected = [f"resume is not bit-exact because {facts}"] if changed else []
            tally.count(None if said == expected else f"{', '.join(changed) or 'nothing'} changed: it said {said}, not {expected}")
    tally.note = f"{len(stored.environment)} facts: {', '.join(stored.environment)}"
    return tally


def _trained(prepared: Prepared, folder: Path, stop_signal: Callable[[], int | None]) -> dict[str, bytes] | None:
    """Train in the folder, or go on there; return the weights' bytes, or None if it was stopped."""
    folder.mkdir(exist_ok=True)
    try:
        _, result = fit(prepared, RunJournal(folder, every_s=1e9, stop_signal=stop_signal))
    except Interrupted:
        return None
    return {name: value.numpy().tobytes() for name, value in result.weights.items()}


def _content(weights: dict[str, bytes] | None, folder: Path) -> tuple[Any, ...]:
    last = atomic.read_json(folder / "checkpoints" / "last.json")["content"]
    return weights, (folder / "metrics.jsonl").read_bytes(), last["sha256"], last["state"]
