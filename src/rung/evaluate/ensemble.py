"""Several trained networks as one: the mean of their probabilities, and the file in a run's folder that says whose mean it is.

L. Hansen and P. Salamon, "Neural network ensembles", IEEE Transactions on Pattern Analysis and Machine Intelligence 12, 1990.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np
import torch
from torch import nn

from rung import own
from rung import recipe as recipes
from rung.data.affine import centre_crop
from rung.errors import RecipeError, RunError
from rung.evaluate.predictions import Predictions
from rung.models.build import build
from rung.recipe import OwnNetwork, Recipe, Views
from rung.store import atomic
from rung.store.run import Run
from rung.training.forward import views

Averaged = Literal["probabilities", "weights"]

# The text of the own network that an ensemble's run folder keeps below source/; what it reads lies beside.
SOURCE: Final = '''"""The network of this run: the mean of the probabilities of the runs in members.json. Written by `rung ensemble`."""

from pathlib import Path

from rung.evaluate.ensemble import Ensemble, built


def ensemble(classes: int, channels: int, size: int) -> Ensemble:
    return built(Path(__file__).parent.parent, classes=classes, channels=channels, size=size)
'''


@dataclass(frozen=True)
class Member:
    """One run of an ensemble. recipe: all its fields as plain values, own code named as it lies in the ensemble's folder; accuracy: on validation, if known."""

    run: str
    seed: int
    weights_sha256: str
    accuracy: float | None
    recipe: Mapping[str, Any]


@dataclass(frozen=True)
class Members:
    """Whose mean a run is, and of what."""

    averaged: Averaged
    members: tuple[Member, ...]

    @property
    def words(self) -> str:
        """What the run is, in words."""
        return f"the mean of the {self.averaged} of {len(self.members)} runs"

    @property
    def command(self) -> str:
        """The command that makes it again."""
        return f"rung ensemble {' '.join(member.run for member in self.members)}{' --weights average' if self.averaged == 'weights' else ''}"


def save(folder: Path, members: Members) -> None:
    """Write members.json into a run's folder."""
    atomic.write_json(Run(folder).members, asdict(members))


def load(folder: Path) -> Members | None:
    """Return what members.json says, None where there is none. Raises: RunError if it is damaged."""
    path = Run(folder).members
    if not atomic.exists(path):
        return None
    try:
        values = atomic.read_json(path)
        return Members(values["averaged"], tuple(Member(**member) for member in values["members"]))
    except (KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged ({error}): make the ensemble again") from error


@final
class Ensemble(nn.Module):
    """The mean of the probabilities of networks, as logits: each sees its own crop and views of images (N,C,H,W).

    It is made of networks that are trained already. Raises: RecipeError where it is to be trained.
    """

    def __init__(self, networks: Sequence[nn.Module], crops: Sequence[int | None], seen: Sequence[Views]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.crops, self.seen = tuple(crops), tuple(seen)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the mean probabilities, float32 (N,K)."""
        if self.training:
            raise RecipeError("an ensemble is made of trained runs and is not trained itself: rung ensemble RUN RUN makes one")
        logs = [
            torch.log_softmax(self._answers(network, images if crop is None else centre_crop(images, crop), seen), 1)
            for network, crop, seen in zip(self.networks, self.crops, self.seen, strict=True)
        ]
        return torch.logsumexp(torch.stack(logs), 0) - math.log(len(logs))

    def _answers(self, network: nn.Module, images: torch.Tensor, seen: Views) -> torch.Tensor:
        return sum((share * network(view).float() for share, view in views(images, seen)), start=torch.zeros((), device=images.device))


def together(networks: Sequence[nn.Module], members: Sequence[Recipe]) -> Ensemble:
    """Return networks as one, each with the crop and the views of its recipe."""
    return Ensemble(networks, [recipe.augment.crop for recipe in members], [recipe.train.evaluation_views for recipe in members])


def built(folder: Path, *, classes: int, channels: int, size: int) -> Ensemble:
    """Return the ensemble of a run's folder, with start weights. Raises: RunError if its members.json is not there or damaged."""
    found = load(folder)
    if found is None:
        raise RunError(f"there is no {Run(folder).members}, which says what the ensemble is made of: make it again by rung ensemble RUN RUN")
    members = [recipes.parse(member.recipe, str(Run(folder).members)) for member in found.members]
    return together([_network(recipe, folder, classes, channels, size) for recipe in members], members)


def _network(recipe: Recipe, folder: Path, classes: int, channels: int, size: int) -> nn.Module:
    factory = own.load(recipe.network.source, folder).call if isinstance(recipe.network, OwnNetwork) else None
    return build(recipe.network, classes=classes, channels=channels, size=recipe.augment.crop or size, seed=recipe.seed, own=factory)


def mean_answers(members: Sequence[Predictions]) -> Predictions:
    """Return the mean of the probabilities of answers to the same images, as logits."""
    mean = np.mean([member.probabilities() for member in members], axis=0)
    return replace(members[0], logits=np.log(np.maximum(mean, np.finfo(np.float32).tiny)).astype(np.float32))


def mean_weights(states: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the mean of the weights of one network trained several times; whole numbers are the first's.

    M. Wortsman et al., "Model soups", arXiv 2203.05482.
    """
    means = {}
    for name, first in states[0].items():
        mean = torch.stack([state[name].double() for state in states]).mean(0) if first.is_floating_point() else first
        means[name] = mean.to(first.dtype)
    return means
