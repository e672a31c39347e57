"""From the network of a recipe to a network with its first weights, and what it costs."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from rung import keys
from rung.errors import RecipeError
from rung.models.contract import Classifier
from rung.models.fast import FastCNN
from rung.models.initialise import initialise
from rung.models.plain import PlainCNN, PlainMLP
from rung.models.probe import evaluation_mode, moving_averages, zero_images
from rung.own import line
from rung.recipe import CNN, Fast, Network, OwnNetwork


@dataclass(frozen=True)
class ParameterCounts:
    """Numbers in a network, counted as Keras does: a batch norm's moving mean and variance are parameters that are not trainable."""

    total: int
    trainable: int


def build(network: Network, *, classes: int, channels: int, size: int, seed: int, own: Callable[..., object] | None = None) -> nn.Module:
    """Return the network in training mode on the CPU, float32; its weights depend on the arguments alone, torch's global random state stays as it is.

    channels: 1 or 3; size: pixels a side; own: what the source of an OwnNetwork names. Own classes and functions are called with as many of
    classes, channels and size as they take; an own module that is there already is copied, so that each run starts from its weights.

    Raises: RecipeError if the images are too small for the network, or an own network can't be made or does not return (N, classes).
    """
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        if isinstance(network, OwnNetwork):
            torch.default_generator.manual_seed(keys.torch_seed(seed, "own network"))
            return _build_own(network.source, own, {"classes": classes, "channels": channels, "size": size})
        model: Classifier
        if isinstance(network, CNN):
            model = PlainCNN(network, classes=classes, channels=channels, size=size)
        elif isinstance(network, Fast):
            model = FastCNN(network, classes=classes, channels=channels, size=size)
        else:
            model = PlainMLP(network, classes=classes, channels=channels, size=size)
    initialise(model, model.initialisation, seed)
    return model


def parameter_counts(model: nn.Module) -> ParameterCounts:
    """Count the network's parameters, shared ones once; see `ParameterCounts`."""
    parameters = list(model.parameters())
    moving = [average for module in model.modules() for average in moving_averages(module)]
    return ParameterCounts(
        total=sum(p.numel() for p in parameters) + sum(b.numel() for b in moving),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
    )


def flops(model: nn.Module, channels: int, size: int) -> int:
    """Count the floating-point operations of one image's forward pass in convolutions and matrix products, two for each multiply and add."""
    images = zero_images(model, 1, channels, size)
    counted = _layers_counted(model) if isinstance(model, Classifier) else _all_counted()
    with evaluation_mode(model), torch.random.fork_rng(devices=[]), counted as operations:
        model(images)
        return operations()


@contextlib.contextmanager
def _layers_counted(model: Classifier) -> Iterator[Callable[[], int]]:
    """Count what layers do: all that networks of rung consist of. torch's counter of everything takes seconds to import."""
    found: list[int] = []

    def count(layer: nn.Module, inputs: object, answer: torch.Tensor) -> None:
        found.append(2 * answer.numel() * layer.weight[0].numel())  # type: ignore[index]

    hooks = [layer.register_forward_hook(count) for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    try:
        yield lambda: sum(found)
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def _all_counted() -> Iterator[Callable[[], int]]:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        yield lambda: int(counter.get_total_flops())


def _build_own(source: str, own: Callable[..., object] | None, offered: dict[str, int]) -> nn.Module:
    if own is None:
        raise RecipeError(f"network.source = {source!r} names an own network, but none was loaded: pass it as an object, or run from the folder of that file")
    if isinstance(own, nn.Module):
        model: object = copy.deepcopy(own)
    else:
        given = _taken(source, own, offered)
        try:
            model = own(**given)
        except Exception as error:
            raise RecipeError(f"the own network {source}, called with {_words(given)}, raised {type(error).__name__}: {error}{line(error)}") from error
    if not isinstance(model, nn.Module):
        raise RecipeError(f"the own network {source} should be or return a torch.nn.Module, but came as {type(model).__name__}")
    _check_answer(source, model, offered)
    return model.train()


def _taken(source: str, own: Callable[..., object], offered: dict[str, int]) -> dict[str, int]:
    """Return those of the offered arguments that `own` takes."""
    if not callable(own):
        raise RecipeError(f"the own network {source} should be a class or a function that makes a torch.nn.Module, but it is of type {type(own).__name__}")
    parameters = inspect.signature(own).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return offered
    strange = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL and (p.name not in offered or p.kind is p.POSITIONAL_ONLY)]
    if strange:
        raise RecipeError(f"the own network {source} asks for {', '.join(strange)}, but is offered classes, channels and size: give the others default values")
    return {name: value for name, value in offered.items() if name in {p.name for p in parameters}}


def _check_answer(source: str, model: nn.Module, offered: dict[str, int]) -> None:
    """Run two black images through the model in evaluation mode; raise RecipeError unless logits (2, classes) come."""
    classes, channels, size = offered["classes"], offered["channels"], offered["size"]
    images = zero_images(model, 2, channels, size)
    asked = f"the own network {source}, given 2 images {tuple(images.shape)},"
    try:
        with evaluation_mode(model):
            answer = model(images)
    except Exception as error:
        raise RecipeError(f"{asked} raised {type(error).__name__}: {error}{line(error)}") from error
    if not isinstance(answer, torch.Tensor):
        raise RecipeError(f"{asked} should return a tensor of logits (2, {classes}), but returned {type(answer).__name__}")
    if tuple(answer.shape) != (2, classes):
        raise RecipeError(f"{asked} should return logits of shape (2, {classes}), one for each class, but returned {tuple(answer.shape)}")
    if not answer.is_floating_point():
        raise RecipeError(f"{asked} should return floating-point logits, but returned {answer.dtype}")


def _words(given: dict[str, int]) -> str:
    return ", ".join(f"{name}={value}" for name, value in given.items()) or "no arguments"
