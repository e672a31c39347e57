"""The network that learns most in the fewest operations: a whitened stem, blocks that begin as the identity, one pooling, one layer.

After K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv 2404.00498), with pooling over all that is left in place of the last
maximum, so that it takes images of any size, and of several sizes in one training.
"""

from __future__ import annotations

from typing import Final, final

import torch
from torch import nn

from rung.errors import RecipeError
from rung.models.contract import Classifier
from rung.models.plain import ACTIVATIONS
from rung.recipe import Activation, Fast

_PATCH: Final = 2  # pixels a side of the patches that the stem whitens
_DIRECTIONS: Final = 8  # of the patches that are kept, those of most variance; in colour there are 12
_EPSILON: Final = 5e-4  # added to the variances of patches, in units of normalised values
_SCALE: Final = 1 / 9  # of the features: logits begin small (Jordan)
_NORM_MOMENTUM: Final = 0.4  # share of the new value: a short training has no time for less


@final
class FastCNN(Classifier):
    """A frozen stem of whitening filters and their negatives; blocks of convolution, pooling, batch norm, activation; maximum over what is left; head.

    Raises: RecipeError if the images are too small for the blocks.
    """

    initialisation = "identity"

    def __init__(self, network: Fast, *, classes: int, channels: int, size: int) -> None:
        super().__init__()
        least = _PATCH - 1 + 2 ** len(network.filters)
        if size < least:
            raise RecipeError(
                f"network.filters = {list(network.filters)} halves the side {len(network.filters)} times, and the images have {size} pixels a side: "
                f"give fewer blocks, or pixels.size = {least} or more"
            )
        width = 2 * min(channels * _PATCH**2, _DIRECTIONS)
        self.stem = nn.Conv2d(channels, width, _PATCH, bias=False)  # nothing of it is trained, so no gradient has to reach it
        self.stem.weight.requires_grad = False
        self.activation = ACTIVATIONS[network.activation]()
        self.blocks = nn.Sequential()
        for filters in network.filters:
            self.blocks.append(_Block(width, filters, network.convolutions, network.activation))
            width = filters
        self.head = nn.Linear(width, classes)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return each map's maximum, scaled, float (N, feature_width)."""
        maps: torch.Tensor = self.blocks(self.activation(self.stem(images)))
        return maps.amax((2, 3)) * _SCALE

    @torch.no_grad()
    def fit_stem(self, images: torch.Tensor) -> None:
        """Make the stem's filters whiten the patches of these images, float (N,C,H,W), normalised as for training."""
        across = images.double().unfold(2, _PATCH, 1).unfold(3, _PATCH, 1)  # (N,C,H-1,W-1,2,2)
        patches = across.permute(0, 2, 3, 1, 4, 5).reshape(-1, images.shape[1] * _PATCH**2)
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (directions / (variances.clamp_min(0) + _EPSILON).sqrt()).T.flip(0).reshape(-1, images.shape[1], _PATCH, _PATCH)
        filters = filters[: len(self.stem.weight) // 2]
        self.stem.weight.copy_(torch.cat([filters, -filters]))


@final
class _Block(nn.Module):
    """Convolutions of one width, each with batch norm (its scale fixed) and activation; the first pools by 2 before them."""

    def __init__(self, width: int, filters: int, convolutions: int, activation: Activation) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(filters if k else width, filters, 3, padding="same", bias=False) for k in range(convolutions))
        self.norms = nn.ModuleList(nn.BatchNorm2d(filters, momentum=_NORM_MOMENTUM) for _ in range(convolutions))
        self.activations = nn.ModuleList(ACTIVATIONS[activation]() for _ in range(convolutions))
        for norm in self.norms:
            norm.weight.requires_grad = False
        self.pool = nn.MaxPool2d(2)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        for position, (convolution, norm, activation) in enumerate(zip(self.convolutions, self.norms, self.activations, strict=True)):
            maps = convolution(maps)
            maps = activation(norm(maps if position else self.pool(maps)))
        return maps
