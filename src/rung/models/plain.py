"""The two networks that a recipe spells out field by field: blocks of convolutions, and dense layers.

The names of the layers ("blocks.0.convolution_0.weight", "dense.1.linear.bias", "head.weight") are the keys of saved weights: they do not change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

import torch
from torch import nn

from rung.errors import RecipeError
from rung.models.contract import Classifier
from rung.recipe import CNN, MLP, Activation

ACTIVATIONS: Final[dict[Activation, Callable[[], nn.Module]]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
}
_NORM_SETTINGS: Final = {"keras": (1e-3, 0.01), "torch": (1e-5, 0.1)}  # torch's momentum is the share of the new value, Keras' that of the old
_LARGEST_SIZE: Final = 4096


@final
class PlainMLP(Classifier):
    """Flattened pixels, dense layers, head."""

    def __init__(self, network: MLP, *, classes: int, channels: int, size: int) -> None:
        super().__init__()
        self.initialisation = network.initialisation
        self.flatten = nn.Sequential()
        self.flatten.add_module("flatten", nn.Flatten())
        _add_dropout(self.flatten, network.input_dropout)
        self.dense, width = _dense_layers(network, channels * size * size)
        self.head = nn.Linear(width, classes)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the last dense layer's output, float (N, feature_width)."""
        features: torch.Tensor = self.dense(self.flatten(images))
        return features


@final
class PlainCNN(Classifier):
    """Blocks of convolutions that end with pooling, one row of each image's maps, dense layers, head.

    Raises: RecipeError if the maps become smaller than what a block needs.
    """

    def __init__(self, network: CNN, *, classes: int, channels: int, size: int) -> None:
        super().__init__()
        left = _size_after(network, size)
        self.initialisation = network.initialisation
        self.blocks = nn.Sequential()
        for number, (filters, dropout) in enumerate(zip(network.filters, _each(network.block_dropout, len(network.filters)), strict=True)):
            self.blocks.add_module(str(number), _block(network, channels, filters, dropout))
            channels = filters
        self.flatten = nn.Sequential()
        if network.flatten == "average":
            self.flatten.add_module("average", nn.AdaptiveAvgPool2d(1))
            left = 1
        self.flatten.add_module("flatten", nn.Flatten())
        _add_dropout(self.flatten, network.flatten_dropout)
        self.dense, width = _dense_layers(network, channels * left * left)
        self.head = nn.Linear(width, classes)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the last dense layer's output (or the flattened maps where there is none), float (N, feature_width)."""
        features: torch.Tensor = self.dense(self.flatten(self.blocks(images)))
        return features


def _block(network: CNN, channels: int, filters: int, dropout: float) -> nn.Sequential:
    block = nn.Sequential()
    for number in range(network.convolutions):
        before = network.batch_norm == "before_activation"
        _add_convolution(block, number, network, channels, filters, bias=not before)  # the norm's own shift makes a bias idle
        if before:
            block.add_module(f"norm_{number}", _norm(nn.BatchNorm2d, filters, network))
        block.add_module(f"activation_{number}", ACTIVATIONS[network.activation]())
        if network.batch_norm == "after_activation":
            block.add_module(f"norm_{number}", _norm(nn.BatchNorm2d, filters, network))
        channels = filters
    if network.pool > 1:
        block.add_module("pool", (nn.MaxPool2d if network.pool_kind == "max" else nn.AvgPool2d)(network.pool))
    _add_dropout(block, dropout)
    return block


def _add_convolution(block: nn.Sequential, number: int, network: CNN, channels: int, filters: int, bias: bool) -> None:
    side = network.kernel_size
    padding = side // 2 if network.padding == "same" else 0
    if network.padding == "same" and side % 2 == 0:  # one pixel more on the right and below, as Keras and torch do
        before, after = (side - 1) // 2, side // 2
        block.add_module(f"padding_{number}", nn.ZeroPad2d((before, after, before, after)))
        padding = 0
    block.add_module(f"convolution_{number}", nn.Conv2d(channels, filters, side, padding=padding, bias=bias))


def _dense_layers(network: CNN | MLP, width: int) -> tuple[nn.Sequential, int]:
    layers = nn.Sequential()
    for number, (wanted, dropout) in enumerate(zip(network.dense, _each(network.dense_dropout, len(network.dense)), strict=True)):
        layer = nn.Sequential()
        layer.add_module("linear", nn.Linear(width, wanted))
        layer.add_module("activation", ACTIVATIONS[network.dense_activation]())
        if network.dense_batch_norm:
            layer.add_module("norm", _norm(nn.BatchNorm1d, wanted, network))
        _add_dropout(layer, dropout)
        layers.add_module(str(number), layer)
        width = wanted
    return layers, width


def _norm(kind: type[nn.BatchNorm1d] | type[nn.BatchNorm2d], width: int, network: CNN | MLP) -> nn.Module:
    epsilon, momentum = _NORM_SETTINGS[network.defaults]
    return kind(width, eps=epsilon, momentum=momentum)


def _add_dropout(layers: nn.Sequential, fraction: float) -> None:
    if fraction:
        layers.add_module("dropout", nn.Dropout(fraction))


def _each(value: tuple[float, ...] | float, count: int) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,) * count


def _size_after(network: CNN, size: int) -> int:
    """Return the side of the last block's maps, pixels, for images of `size`.

    Raises: RecipeError naming the block that gets too few pixels, how many, and what to do.
    """
    found = _walk(network, size)
    if isinstance(found, int):
        return found
    block, arrives, what = found
    enough = next((larger for larger in range(size + 1, _LARGEST_SIZE + 1) if isinstance(_walk(network, larger), int)), None)
    ways = [f"pixels.size of {enough} or more"] if enough else []
    if network.padding == "same" or network.kernel_size == 1:
        ways.append("fewer blocks in network.filters")
    elif isinstance(_walk(network.model_copy(update={"padding": "same"}), size), int):
        ways.append("network.padding = 'same'")
    else:
        ways.append("network.padding = 'same' and fewer blocks in network.filters")
    raise RecipeError(
        f"the network is too deep for images of {size}x{size} pixels: in block {block} of {len(network.filters)} ({network.filters[block - 1]} filters) "
        f"{arrives}x{arrives} {'pixel arrives' if arrives == 1 else 'pixels arrive'} at the {what}; use {', or '.join(ways)}"
    )


def _walk(network: CNN, size: int) -> int | tuple[int, int, str]:
    """Return the side of the last maps, or (block from 1, side, layer) where it breaks off."""
    loss = network.kernel_size - 1 if network.padding == "valid" else 0
    for block in range(1, len(network.filters) + 1):
        for _ in range(network.convolutions):
            if size <= loss:
                return block, size, f"{network.kernel_size}x{network.kernel_size} convolution"
            size -= loss
        if size < network.pool:
            return block, size, f"{network.pool}x{network.pool} pooling"
        size //= network.pool
    return size
