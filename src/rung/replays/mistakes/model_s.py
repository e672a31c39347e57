"""The mistakes of S1, Model S: what its text says against what its code did, and weights that were not restored."""

from __future__ import annotations

from typing import Final

from rung.models.build import build, parameter_counts
from rung.recipe import change
from rung.recipes.model_s import model_s
from rung.replays.mistakes.record import Figure, Found, Said
from rung.replays.mistakes.trial import Trial, refused
from rung.replays.mistakes.weights import last_against_best
from rung.store import atomic

_TEXT_EPOCHS, _CODE_EPOCHS, _BEST_EPOCH = 40, 30, 29  # that the text names, that the log has, and that the author calls the best
_PATIENCE: Final = 6


def text_against_code(trial: Trial) -> Found:
    """Build the network that the text describes, and let a run say by itself how long it was and why it ended."""
    recipe = model_s()
    network = build(recipe.network, classes=10, channels=3, size=32, seed=0)
    valid = change(recipe, {"network.padding": "valid"}).network
    with trial.folder(trial.cifar10(), trial.recipe("model_s")) as ran:
        ended = Said("kept.json, and the report", str(atomic.read_json(ran.run.kept)["stopped"]))
        epochs = len(ran.rows)
    return Found(
        wrong=(),
        right=(
            Figure("parameters of the network with padding “same”, which the code has: as many as were reported", (parameter_counts(network).total,), "count"),
            Figure("epochs of the run of this replay, of its own log", (epochs,), "count"),
        ),
        reported=(
            Figure("epochs by the text, which says that the training stopped early", (_TEXT_EPOCHS,), "count"),
            Figure(f"first epoch after which it could have stopped early: best epoch {_BEST_EPOCH}, patience {_PATIENCE}", (_BEST_EPOCH + _PATIENCE,), "count"),
            Figure("epochs in the author's log, the last of those planned", (_CODE_EPOCHS,), "count"),
        ),
        said=(refused("rung train, with the padding of the text", lambda: build(valid, classes=10, channels=3, size=32, seed=0)), ended),
    )


def best_weights_not_restored(trial: Trial) -> Found:
    """Score the last epoch's weights, as Keras does where a training runs to its end, beside those of the best epoch."""
    return last_against_best(trial, trial.cifar10(), trial.recipe("model_s", {"train.early_stopping": None}))
