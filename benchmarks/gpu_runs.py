"""Trainings of rung in one process, one after another, as `benchmarks.gpu` asks for them.

    python -m benchmarks.gpu_runs cifar10 --device cuda --settings '{"train.epochs": 9}'

prepares, prints a line of facts, then reads seeds, one a line; for each it trains, answers the test images, and prints accuracy in percent and seconds, as
JSON. The clock runs from drawing the first weights to the accuracy. Images lie on the device before that, as they do in airbench; graphs are kept from one
training to the next.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

import rung
from rung.data.batches import Batches
from rung.pipeline.prepare import Prepared
from rung.pipeline.ready import ready
from rung.training.captured import sweep
from rung.training.forward import logits
from rung.training.journal import NoJournal
from rung.training.loop import train
from rung.training.losses import build_loss
from rung.training.process import computing, random_states_kept


def prepared(data: str, device: str, settings: dict[str, Any]) -> Prepared:
    """Load and check the data, and resolve `fast` as it follows them, with these settings; all training rows are fitted on."""
    fixed = {"split.fit_on": "train+validation", "compute.device": device}
    return ready([data], "fast", fixed | settings, {}, None, lambda sentence: None, classes=None, size=None, grey=False)


@contextmanager
def borrowed(begun: Prepared) -> Iterator[None]:
    """Compute as the recipe says, and keep graphs from one training to the next."""
    with random_states_kept(begun.recipe.compute), computing(begun.recipe.compute), sweep():
        yield


def run(begun: Prepared, training: Batches, test: Batches, seed: int) -> dict[str, float | list[str]]:
    """Train from one seed and answer the test images; returns accuracy in percent, seconds, and what the training had to say."""
    journal, settings = NoJournal(), begun.recipe.train
    started = time.perf_counter()
    network = replace(begun, recipe=begun.recipe.model_copy(update={"seed": seed})).network()
    train(
        network, replace(training, seed=seed), None, settings, seed=seed, precision=begun.recipe.compute.precision, loss=build_loss(settings), journal=journal
    )
    answers = logits(network, test, begun.recipe.compute.precision)
    right = (answers.argmax(1) == test.labels).double().mean().item()  # waits for the device
    return {"accuracy": 100 * right, "seconds": time.perf_counter() - started, "notes": journal.notes}


def facts(begun: Prepared) -> dict[str, Any]:
    """Return what the figures depend on."""
    device = begun.device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    return {"device": name, "precision": begun.recipe.compute.precision, "torch": torch.__version__, "rung": rung.__version__}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_runs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--settings", type=json.loads, default={})
    asked = parser.parse_args()
    begun = prepared(asked.data, asked.device, asked.settings)
    training, test = begun.training(), begun.part("test")
    print(json.dumps(facts(begun)), flush=True)
    with borrowed(begun):
        for line in sys.stdin:
            print(json.dumps(run(begun, training, test, int(line))), flush=True)


if __name__ == "__main__":
    main()
