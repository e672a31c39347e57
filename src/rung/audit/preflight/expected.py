"""What a right pipeline must give, worked out a second time and apart from it: pixels, losses, class weights, gradients."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_softmax
from torch import Tensor, nn

from rung.audit.preflight.watch import Moment, set_random_state
from rung.data.imageset import pixel_digests
from rung.recipe import Pixels, Train
from rung.training.forward import half_precision
from rung.training.losses import Loss
from rung.training.optimizers import penalised

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_EPSILON = 1e-7  # Keras' backend.epsilon()
OFF_LEVEL = 0.02  # grey levels: float32 and back leaves less than this


def grey_levels(images: Tensor, pixels: Pixels) -> Floats:
    """Return what the network is given, float32 (N,C,H,W), as grey levels of the stored images, float64 (N,H,W,C), whole numbers 0..255 if all is right."""
    values: Floats = images.permute(0, 2, 3, 1).double().numpy()
    if pixels.normalise == "standard":
        values = values * np.array(pixels.deviation) + np.array(pixels.mean)
    return values if pixels.normalise == "none" else values * 255


def digests(images: Tensor, pixels: Pixels) -> Ints:
    """Return the digests of the stored images that the network is given, int64 (N,); those of no stored image where they were changed on the way."""
    values = grey_levels(images, pixels)
    whole = np.clip(np.rint(values), 0, 255)
    found = pixel_digests(whole.astype(np.uint8))
    # An image that is not made of whole grey levels is none that was stored, wherever rounding takes it.
    found[np.abs(values - whole).reshape(len(values), -1).max(axis=1) > OFF_LEVEL] = 0
    return found


def labels_of(wanted: Ints, images: Bytes, labels: Ints) -> Ints:
    """Return the labels of images (by digest, int64 (N,)) as the files give them, int64 (N,); -1 where no image, or images of several labels, have it."""
    known: dict[int, int] = {}
    for digest, label in zip(pixel_digests(images).tolist(), labels.tolist(), strict=True):
        known[digest] = label if known.get(digest, label) == label else -1
    return np.array([known.get(digest, -1) for digest in wanted.tolist()], dtype=np.int64)


def how_often(wanted: Ints, images: Bytes) -> tuple[int, int, int]:
    """Compare what was seen (digests, int64 (N,)) with images: how many of these were not seen, were seen too often, and how many others were seen."""
    seen, stored = Counter(wanted.tolist()), Counter(pixel_digests(images).tolist())
    missing, extra = stored - seen, seen - stored
    strange = sum(count for digest, count in extra.items() if digest not in stored)
    return missing.total(), extra.total() - strange, strange


def losses(train: Train, logits: Floats, labels: Ints) -> Floats | None:
    """Return the loss of each image, float64 (N,), by the definition of the recipe's loss; None for an own loss."""
    classes = logits.shape[1]
    truth = np.eye(classes)[labels]
    log_shares = log_softmax(logits, axis=1)
    shares = np.exp(log_shares)
    match train.loss:
        case "cross_entropy":
            smooth = (1 - train.label_smoothing) * truth + train.label_smoothing / classes
            result = -(smooth * log_shares).sum(axis=1)
        case "mse":
            result = np.square(shares - truth).mean(axis=1)
        case "msle":
            result = np.square(np.log1p(np.maximum(shares, _EPSILON)) - np.log1p(np.maximum(truth, _EPSILON))).mean(axis=1)
        case "hinge":
            result = np.maximum(1 - (2 * truth - 1) * shares, 0).mean(axis=1)
        case "kl":
            clipped = np.clip(truth, _EPSILON, 1)
            result = (clipped * np.log(clipped / np.clip(shares, _EPSILON, 1))).sum(axis=1)
        case _:
            return None
    return np.asarray(result, dtype=np.float64)


def loss_values(train: Train, loss: Loss, logits: Tensor, labels: Ints) -> Floats:
    """Return the loss of each image, float64 (N,): by definition, or from the own loss itself, called with these labels."""
    by_definition = losses(train, logits.double().numpy(), labels)
    if by_definition is not None:
        return by_definition
    with torch.no_grad():
        values: Floats = loss(logits, torch.from_numpy(labels)).double().numpy()
    return values


def class_weights(train: Train, labels: Ints, classes: Sequence[str]) -> Floats:
    """Return the weight of each class in the loss, float64 (K,), as the recipe asks; labels: those of the training rows."""
    if train.class_weights == "none":
        return np.ones(len(classes))
    if train.class_weights == "balanced":
        counts = np.bincount(labels, minlength=len(classes))
        return np.array([len(labels) / (np.count_nonzero(counts) * count) if count else 0.0 for count in counts])
    return np.array([train.class_weights.get(name, 1.0) for name in classes])


def gradients(network: nn.Module, moment: Moment, images: Tensor, labels: Ints, weights: Floats, loss: Loss, train: Train, precision: str) -> dict[str, Tensor]:
    """Return the gradients that the step of `moment` should have had: of the mean loss of its own images, with L2 and clipping, by name."""
    device = next(network.parameters()).device
    twin = copy.deepcopy(network)
    twin.load_state_dict(dict(moment.weights))
    twin.train()
    truth = torch.from_numpy(labels).to(device)
    factors = torch.from_numpy(weights).float().to(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        set_random_state(moment.random, device)
        with half_precision(device, precision):
            answers = twin(images.to(device).contiguous(memory_format=torch.channels_last))
    values = loss(answers.float(), truth) * factors[truth]
    named = {name: parameter for name, parameter in twin.named_parameters() if parameter.requires_grad}
    found = torch.autograd.grad(values.mean(), list(named.values()), allow_unused=True)
    result = {name: gradient for name, gradient in zip(named, found, strict=True) if gradient is not None}
    names = {id(parameter): name for name, parameter in named.items()}
    for factor, kernels in penalised(twin, train):
        for kernel in kernels:
            if (name := names[id(kernel)]) in result:
                result[name] = result[name] + 2 * factor * kernel.detach()
    return _clipped(result, train)


def _clipped(found: dict[str, Tensor], train: Train) -> dict[str, Tensor]:
    if train.clip_value is not None:
        found = {name: gradient.clamp(-train.clip_value, train.clip_value) for name, gradient in found.items()}
    if train.clip_norm is not None:
        norm = sum(gradient.double().square().sum().item() for gradient in found.values()) ** 0.5
        found = {name: gradient * min(1.0, train.clip_norm / (norm + 1e-6)) for name, gradient in found.items()}
    return found
