"""A step as a CUDA graph: captured once for each shape of batch, then launched as a whole, with what a sweep changes in tensors.

On a fast GPU Python takes longer to launch a step's few hundred operations than the GPU to do them; a graph is one launch. Source:
https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs. All but the capture itself is the same on any device, and is tested without a GPU.
"""

from __future__ import annotations

import contextlib
import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from rung.data.batches import Batch
from rung.models.fast import FastCNN
from rung.models.plain import PlainCNN, PlainMLP
from rung.recipe import Train
from rung.training.losses import LOSSES, Loss
from rung.training.optimizer_defaults import resolved
from rung.training.optimizers import CAPTURABLE, set_momentum, set_rate, tensor_rates
from rung.training.steps import READ_EVERY, PlainStep, Step, Taken, Work, numbers

Outcome = tuple[Tensor, Tensor]  # numbers float64 (4,) and losses float32 (N,), as in `Taken`
Body = Callable[[], Outcome]

_FIRST_STEPS: Final = 3  # of each shape are not captured: in them libraries choose algorithms and optimizers make their state
# Settings that no graph holds: they act through the rate, which is a tensor, or beside the step. Muon's momentum is a tensor too.
_FREE: Final = frozenset({
    "epochs", "steps", "batch_size", "evaluation_batch_size", "evaluation_views", "learning_rate", "sampling", "schedule", "warmup_fraction", "step_epochs",
    "drop_factor", "plateau_patience", "minimum_rate", "ema_decay", "monitor", "early_stopping", "keep", "metrics", "callbacks",
})  # fmt: skip


class Recorder(ABC):
    """What captures work on a device."""

    @abstractmethod
    def run(self, body: Body) -> Outcome:
        """Do the work once, in the way in which it will be captured."""

    @abstractmethod
    def record(self, body: Body) -> Body:
        """Return what does the work each time it is called, on the same tensors, and gives the same two tensors. Nothing is done by recording."""


@final
class CudaGraphs(Recorder):
    """Captures graphs that share their memory: one is done before the next begins, and what they give is copied before that."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def run(self, body: Body) -> Outcome:
        outside = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(outside)
        with torch.cuda.stream(self._stream):  # a backward pass may look for its gradients in the stream in which the first one ran
            outcome = body()
        outside.wait_stream(self._stream)
        return outcome

    def record(self, body: Body) -> Body:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self._device), torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            outcome = body()

        def replay() -> Outcome:
            graph.replay()
            return outcome

        return replay


@dataclass
class _Place:
    """Where batches of one shape lie, how many came, and what repeats their step once it is recorded."""

    batch: Batch
    came: int = 0
    replay: Body | None = None


@final
class CapturedStep(Step):
    """Steps of a network of their own, on tensors that stay where they are.

    `lend` gives the network of a training the memory of this one, so that the same graphs serve one training after another; `end` ends that.
    recorder: makes what captures, anew where graphs have to go, for memory that graphs shared cannot be shared again.
    """

    every = READ_EVERY

    def __init__(self, work: Work, recorder: Callable[[], Recorder]) -> None:
        self.work = work
        self._make_recorder = recorder
        self._recorder = recorder()
        self._trouble = ""
        self._places: dict[Hashable, _Place] = {}
        self._borrower: nn.Module | None = None
        self._say: Callable[[str], None] = lambda sentence: None
        tensor_rates(work.optimizers)

    def lend(self, model: nn.Module, settings: Train, say: Callable[[str], None]) -> None:
        """Give a network of the same kind this memory, with its own values in it, and begin the optimizers anew, with what these settings change.

        say(sentence) hears why graphs are not used, if they are not.
        """
        self._borrower, self._say = model, say
        self.work.model.train()
        if self._trouble:
            say(self._trouble)
        for theirs, ours in zip(_tensors(model), _tensors(self.work.model), strict=True):
            ours.data.copy_(theirs.data)
            theirs.data = ours.data
        for optimizer in self.work.optimizers:
            for state in optimizer.state.values():
                for value in state.values():
                    if isinstance(value, Tensor):
                        value.zero_()
        set_momentum(self.work.optimizers, resolved(settings).momentum or 0.0)

    def end(self) -> None:
        """Give the network that borrowed memory of its own, which the next training leaves alone."""
        for tensor in _tensors(self._borrower) if self._borrower else ():
            tensor.data = tensor.data.clone()
        self._borrower = None

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        super().restore(tensors, state)
        tensor_rates(self.work.optimizers)
        if self._places:  # the optimizers' state lies elsewhere now
            self._places.clear()
            self._recorder = self._make_recorder()

    def take(self, batch: Batch, rate: float) -> Taken:
        set_rate(self.work.optimizers, rate)
        shapes = batch.images.shape, batch.targets.shape
        if shapes not in self._places:
            images, targets, labels = map(torch.empty_like, _parts(batch))
            self._places[shapes] = _Place(Batch(images, targets, labels, batch.rows))
        place = self._places[shapes]
        for ours, theirs in zip(_parts(place.batch), _parts(batch), strict=True):
            ours.copy_(theirs)
        if not self._trouble and place.replay is None and place.came >= _FIRST_STEPS:
            place.replay = self._recorded(place.batch)
        place.came += 1
        found, losses = place.replay() if place.replay else self._recorder.run(lambda: self._body(place.batch))
        return Taken(found.clone(), losses.clone(), batch.rows)

    def _body(self, batch: Batch) -> Outcome:
        losses, answers = self.work.losses(batch.images, batch.targets)
        value = losses.mean()
        norm = self.work.gradients(value)
        self.work.update()
        return numbers(losses, answers, batch.labels, value, norm), losses.detach()

    def _recorded(self, batch: Batch) -> Body | None:
        """Return what repeats the step of the batch in this place, or None where it cannot be captured, which is not tried again."""
        try:
            with _capturable(self.work.optimizers):
                return self._recorder.record(lambda: self._body(batch))
        except RuntimeError as error:  # CUDA's errors, also of memory
            self._trouble = _slower(f"capturing it failed ({str(error).strip().partition(chr(10))[0]})")
            self._say(self._trouble)
            return None


def step_for(
    model: nn.Module, settings: Train, loss: Loss, precision: str, class_weights: Tensor | None, say: Callable[[str], None] = lambda sentence: None
) -> Step:
    """Return the way to take this training's steps: captured on a GPU where that can be, else plain; say(sentence) hears why where it cannot.

    A network that is watched by hooks is stepped plainly, each step as on the processor: graphs call no hook.

    Raises: RecipeError where the optimizer or the penalty does not fit the network.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    plain = device.type != "cuda" or any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    why = "" if plain else obstacle(model, settings)
    if why:
        say(_slower(why))
    if plain or why:
        return PlainStep(Work.of(model, settings, loss, precision, class_weights), guarded=plain)
    key = _key(model, settings, precision, class_weights)
    step = _sweep_step(key, lambda: captured(model, settings, loss, precision, class_weights, lambda: CudaGraphs(device)))
    step.lend(model, settings, say)
    return step


def captured(model: nn.Module, settings: Train, loss: Loss, precision: str, class_weights: Tensor | None, recorder: Callable[[], Recorder]) -> CapturedStep:
    """Return steps for networks of this kind, on a copy of it."""
    return CapturedStep(Work.of(copy.deepcopy(model), settings, loss, precision, class_weights), recorder)


def obstacle(model: nn.Module, settings: Train) -> str:
    """Return in words why a training's steps are not captured, or an empty text."""
    if not isinstance(model, PlainCNN | PlainMLP | FastCNN):
        return "the network is your own"
    if settings.loss not in LOSSES:
        return "the loss is your own"
    if settings.optimizer not in CAPTURABLE:
        return f"train.optimizer = '{settings.optimizer}' is none of {', '.join(CAPTURABLE)}"
    return ""


def _slower(why: str) -> str:
    return f"each step is launched operation by operation, slower on a GPU than as one captured graph: {why}"


_SWEEP: ContextVar[dict[Hashable, CapturedStep] | None] = ContextVar("sweep", default=None)


@contextlib.contextmanager
def sweep() -> Iterator[None]:
    """Keep the last training's graphs, and their memory on the GPU, for the next training of the same network and the same fixed settings."""
    token = _SWEEP.set({})
    try:
        yield
    finally:
        _SWEEP.reset(token)


def _sweep_step(key: Hashable, make: Callable[[], CapturedStep]) -> CapturedStep:
    kept = _SWEEP.get()
    if kept is None:
        return make()
    step = kept.pop(key, None)
    kept.clear()  # before another is made: the graphs of one kind of training may fill the memory
    return kept.setdefault(key, step or make())


def _key(model: nn.Module, settings: Train, precision: str, class_weights: Tensor | None) -> Hashable:
    """Return all that a graph depends on besides the tensors that change: rung's networks say in their repr all that they do."""
    free = _FREE | {"momentum"} if settings.optimizer == "muon" else _FREE
    weights = class_weights.tolist() if class_weights is not None else None
    tensors = [(tuple(tensor.shape), tensor.requires_grad, str(tensor.device)) for tensor in _tensors(model)]
    kernels = (torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision())
    return repr((model, tensors, resolved(settings).model_dump(exclude=set(free)), precision, weights, kernels))


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _parts(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    return batch.images, batch.targets, batch.labels


@contextlib.contextmanager
def _capturable(optimizers: list[torch.optim.Optimizer]) -> Iterator[None]:
    """Tell torch's optimizers that their step is being captured; fused ones keep no number on the processor anyway."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups if "capturable" in group]
    for group in groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group in groups:
            group["capturable"] = False
