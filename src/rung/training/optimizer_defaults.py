"""What optimizers take where a recipe does not say: rates, epsilons, decays and momentum, by name. Known without torch, which takes long to load."""

from __future__ import annotations

from typing import NamedTuple

from rung.recipe import Train


class Defaults(NamedTuple):
    """Rate, epsilon, and the decay of squared gradients (rho, beta 2); a part that the optimizer lacks is 0."""

    learning_rate: float
    epsilon: float = 0.0
    decay: float = 0.0


# https://keras.io/api/optimizers/ and the documentation of torch.optim. Muon's rate is the one of its authors; its epsilon and decay are
# those of the Adam beside it.
DEFAULTS: dict[str, dict[str, Defaults]] = {
    "keras": {
        "sgd": Defaults(0.01),
        "rmsprop": Defaults(0.001, 1e-7, 0.9),
        "adagrad": Defaults(0.001, 1e-7),
        "adadelta": Defaults(0.001, 1e-7, 0.95),
        "adam": Defaults(0.001, 1e-7, 0.999),
        "adamax": Defaults(0.001, 1e-7, 0.999),
        "nadam": Defaults(0.001, 1e-7, 0.999),
        "adamw": Defaults(0.001, 1e-7, 0.999),
        "muon": Defaults(0.02, 1e-7, 0.999),
    },
    "torch": {
        "sgd": Defaults(0.001),
        "rmsprop": Defaults(0.01, 1e-8, 0.99),
        "adagrad": Defaults(0.01, 1e-10),
        "adadelta": Defaults(1.0, 1e-6, 0.9),
        "adam": Defaults(0.001, 1e-8, 0.999),
        "adamax": Defaults(0.002, 1e-8, 0.999),
        "nadam": Defaults(0.002, 1e-8, 0.999),
        "adamw": Defaults(0.001, 1e-8, 0.999),
        "muon": Defaults(0.02, 1e-8, 0.999),
    },
}
# Momentum, and whether it is Nesterov's, of the optimizers that have them; None: they do not have it.
MOMENTUM: dict[str, tuple[float, bool | None]] = {"sgd": (0.0, False), "rmsprop": (0.0, None), "muon": (0.95, True)}


def default_rate(train: Train) -> float:
    """Return the base learning rate: the recipe's own, else the default of its optimizer."""
    return train.learning_rate if train.learning_rate is not None else DEFAULTS[train.defaults][train.optimizer].learning_rate


def resolved(train: Train) -> Train:
    """Return `train` with rate, epsilon, momentum and nesterov as its optimizer takes them where they are not set; what it lacks stays not set."""
    momentum, nesterov = MOMENTUM.get(train.optimizer, (None, None))
    taken = {
        "learning_rate": default_rate(train),
        "epsilon": DEFAULTS[train.defaults][train.optimizer].epsilon or None,
        "momentum": momentum,
        "nesterov": nesterov,
    }
    return train.model_copy(update={name: value for name, value in taken.items() if getattr(train, name) is None})
