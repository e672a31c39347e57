"""Whether the averages of batch norm have settled by the time that answers are taken by them.

In training a batch is normalised by its own mean and variance, in evaluation by running averages, which begin at 0 and 1. Where these move by 1 % a step, as
in Keras, a short training answers by what they began as: at chance, while its training loss falls.
"""

from __future__ import annotations

from typing import Final

from torch.nn.modules.batchnorm import _BatchNorm

from rung.pipeline.minutes import steps_per_epoch
from rung.pipeline.prepare import Prepared
from rung.training.schedules import total_steps
from rung.words import percent, plural

_MOST: Final = 0.01  # of what averages began as; with 2 % left Model S validated at 66 % on digits that it knew to 97 %, with 1 % at 90 % (LOG.md)


def unsettled(prepared: Prepared) -> list[str]:
    """Return a sentence if averages are still near where they began at the end of a training, or when its first decision is taken by validation."""
    moves = [norm.momentum for norm in prepared.network().modules() if isinstance(norm, _BatchNorm) and norm.track_running_stats and norm.momentum]
    if not moves or prepared.own.start:  # averages come with the weights of another run
        return []
    slowest, train, an_epoch = min(moves), prepared.recipe.train, steps_per_epoch(prepared)
    steps = total_steps(train, an_epoch)
    looks = [(steps, plural(steps, "step"), "of this training", "answers may be near chance however well it learns")]
    patience = {"train.early_stopping": train.early_stopping, "train.plateau_patience": train.plateau_patience if train.schedule == "plateau" else None}
    for field, epochs in patience.items():
        if epochs is not None:
            looks.append(((epochs + 1) * an_epoch, plural(epochs + 1, "epoch"), f"that {field} waits at least", "it may act on answers near chance"))
    for done, how_long, which, danger in looks:
        left = (1 - slowest) ** done
        if left > _MOST:
            return [
                f"the averages that batch norm answers by move by {percent(slowest, 0)} a step: after the {how_long} {which}, {percent(left)} of what they "
                f"begin as is left in them, and {danger}. Train for more steps{_faster(prepared)}"
            ]
    return []


def _faster(prepared: Prepared) -> str:
    keras = getattr(prepared.recipe.network, "defaults", "") == "keras"
    return ", or let them move faster: --set network.defaults=torch makes it 10\u202f% a step" if keras else ""
