"""Watching a real training from outside: what the network saw and answered, what each step did to it. Nothing of the loop is replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from rung.training.journal import NoJournal
from rung.training.loop import StepEnd


@dataclass(frozen=True)
class Forward:
    """One call of the network: what it was given, float32 (N,C,H,W), and what it answered, float32 (N,K).

    epoch: how many rows of epochs had been written before; training: whether any part of the network was in training mode.
    """

    epoch: int
    training: bool
    images: Tensor
    logits: Tensor


@dataclass(frozen=True)
class Moment:
    """The second step: weights and random state before its forward pass, gradients by name when the optimizer had stepped."""

    weights: Mapping[str, Tensor]
    random: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]


@dataclass(frozen=True)
class Trace:
    """What was seen of a training.

    forwards: every call of the network in order; losses: of each step, as the loop tells them; rows: of each epoch, as the loop writes them.
    reached: {trainable tensor: a gradient that is not zero came in some step}; changed: {tensor: its values changed}; moved: norm of the
    change of all weights over all steps, over their norm at first.
    second: None where fewer than two steps were taken. stopped: why the training broke off with an error, or an empty text.
    """

    forwards: tuple[Forward, ...]
    losses: tuple[float, ...]
    rows: tuple[Mapping[str, Any], ...]
    reached: Mapping[str, bool]
    changed: Mapping[str, bool]
    moved: float
    second: Moment | None
    stopped: str = ""


class Enough(Exception):
    """Ends a training of which enough has been seen."""


@dataclass
class Watch:
    """Sees one training of one network: `with watch.looking():` around it, `watch.observe` as its observer, `watch.journal` as its journal.

    After `steps` steps it ends the training by Enough (None: never).
    """

    network: nn.Module
    steps: int | None = None
    journal: NoJournal = field(default_factory=NoJournal)
    forwards: list[Forward] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.start = _copies(self.network.state_dict())
        self.reached = {name: False for name, parameter in self.network.named_parameters() if parameter.requires_grad}
        self._before: tuple[dict[str, Tensor], dict[str, Tensor]] | None = None
        self._second: Moment | None = None

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look at every call of the network."""
        hooks = (self.network.register_forward_pre_hook(self._before_forward), self.network.register_forward_hook(self._after_forward))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _before_forward(self, network: nn.Module, inputs: tuple[Any, ...]) -> None:
        if network.training and len(self.losses) == 1:
            self._before = _copies(network.state_dict()), _random_state(inputs[0].device)

    def _after_forward(self, network: nn.Module, inputs: tuple[Any, ...], answers: Tensor) -> None:
        training = any(module.training for module in network.modules())
        self.forwards.append(Forward(len(self.journal.rows), training, inputs[0].detach().float().cpu(), answers.detach().float().cpu()))

    def observe(self, end: StepEnd) -> None:
        """Look at the network after a step: the gradients of that step still lie beside the weights."""
        self.losses.append(end.loss)
        gradients = {name: parameter.grad for name, parameter in self.network.named_parameters() if parameter.grad is not None}
        for name, gradient in gradients.items():
            if not self.reached.get(name, True):
                self.reached[name] = bool((gradient != 0).any())
        if self._before is not None and self._second is None:
            self._second = Moment(*self._before, _copies(gradients))
        if self.steps is not None and len(self.losses) >= self.steps:
            raise Enough

    def trace(self, stopped: str = "") -> Trace:
        """Return what was seen, after the training."""
        now = self.network.state_dict()
        names = [name for name, _ in self.network.named_parameters()]
        change = sum(((now[name] - self.start[name]).double().square().sum().item() for name in names), 0.0)
        size = sum((self.start[name].double().square().sum().item() for name in names), 0.0)
        return Trace(
            tuple(self.forwards),
            tuple(self.losses),
            tuple(self.journal.rows),
            self.reached,
            {name: not torch.equal(now[name], self.start[name]) for name in names},
            (change / size) ** 0.5 if size else float(change > 0),
            self._second,
            stopped,
        )


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _random_state(device: torch.device) -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Put torch's random state back to what a `Moment` holds."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
