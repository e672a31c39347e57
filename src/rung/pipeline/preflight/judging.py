"""The judge of augmentation: a small network, quickly fitted, that says whether it still recognises what augmentation made."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rung import keys
from rung.audit.preflight.augmenting import MIXES, Judged, how_far
from rung.pipeline.own_parts import OwnParts
from rung.pipeline.preflight import trial
from rung.pipeline.preflight.trainings import attempt
from rung.pipeline.preflight.trial import Rows
from rung.pipeline.preflight.views import each_alone, plain, view
from rung.pipeline.prepare import Prepared
from rung.recipe import CNN, Augment, Train
from rung.training.forward import half_precision
from rung.training.journal import NoJournal

_FITTED, _ASKED, _VIEWS = 2000, 600, 2
_FEWEST_ASKED = 200  # of large images
_BATCH = 250
_SIDE = 32  # larger images are averaged down
_FILTERS = (16, 32, 64)
_VARIATIONS = 2
_DETAIL = ("noise_fraction", "blur_pixels", "cutout_pixels", "contrast_fraction", "brightness_fraction")
_TRAIN = Train(epochs=2, batch_size=32, optimizer="adamw", learning_rate=0.005, weight_decay=0.01, schedule="one_cycle", keep="last", defaults="torch")


def judge(prepared: Prepared) -> Judged | str:
    """Fit a judge on unaugmented training rows and ask it for validation rows, plain and changed in each way; or say why it could not be fitted."""
    splits, seed = prepared.splits, prepared.recipe.seed
    fitted = trial.some(prepared.images, splits.train, _FITTED, "judge fitted", seed)
    unseen = splits.validation if len(splits.validation) else np.setdiff1d(splits.train, fitted)
    asked = trial.some(prepared.images, unseen, trial.fewer(prepared, _ASKED, _FEWEST_ASKED), "judge asked", seed)
    network, stopped = _fit(prepared, fitted)
    if stopped:
        return stopped
    rows = trial.with_rows(prepared, asked, asked[:0])
    unchanged = plain(rows)
    each = {}
    for name, way in each_alone(rows).items():
        if name in MIXES:
            continue
        made = [view(way, epoch) for epoch in range(_VIEWS)]
        far = np.concatenate([how_far(images, unchanged) for images in made])
        each[name] = (np.concatenate([_answers(network, images, prepared) for images in made]), far)
    return Judged(prepared.images.labels[asked], _answers(network, unchanged, prepared), each, prepared.images.classes, len(fitted))


def _fit(prepared: Prepared, fitted: Rows) -> tuple[nn.Module, str]:
    """Return a judge fitted on these rows, in evaluation mode, and why its training broke off, if it did.

    So that it bears what keeps every label, it is shown each image plain and in two gentle variations, made here and not by the augmentation that
    it is to judge. Only of the recipe's own loss of detail (noise, blur, cutout, contrast, brightness) does it get its share: too much of it can
    hide what is shown, but never makes it something else.
    """
    few = trial.unaugmented(trial.with_rows(prepared, fitted, fitted[:0]))
    asked = prepared.recipe.augment
    detail = Augment(**{name: getattr(asked, name) for name in _DETAIL})
    images = _reduced(torch.from_numpy(few.images.images).permute(0, 3, 1, 2).float() / 255)
    shown = torch.cat([images, *(_varied(images, keys.stream(prepared.recipe.seed, "preflight variation", number)) for number in range(_VARIATIONS))])
    stored = (shown * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    many = trial.with_rows(few, np.tile(np.arange(len(fitted)), 1 + _VARIATIONS), fitted[:0])
    blocks = max(1, min(len(_FILTERS), int(math.log2(stored.shape[1]))))
    network = CNN(
        filters=_FILTERS[:blocks],
        batch_norm="before_activation",
        flatten="average",
        initialisation="he_normal",
        defaults="torch",
        pool=min(2, stored.shape[1]),
    )
    compute = prepared.recipe.compute.model_copy(update={"threads": 1})  # steps this small only wait for a second one
    recipe = prepared.recipe.model_copy(update={"augment": detail, "network": network, "train": _TRAIN, "compute": compute})
    ready = replace(many, recipe=recipe, images=replace(many.images, images=stored), own=OwnParts())
    made = ready.network()
    _, stopped = attempt(ready, NoJournal(), None, made)
    return made.eval(), stopped


def _varied(images: Tensor, key: int) -> Tensor:
    """Return images (N,C,H,W) in 0..1, each turned up to 10 degrees, zoomed and shifted up to a tenth, lit and noised a little."""
    image_keys = keys.row_keys(key, torch.arange(len(images)))
    angle, zoom, x, y, contrast, brightness = (2 * keys.uniform(image_keys, draw).float() - 1 for draw in range(6))
    angle, zoom = math.radians(10) * angle, 1 + zoom / 10
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    matrix = torch.stack([torch.stack([cosine, -sine, x / 5], dim=1), torch.stack([sine, cosine, y / 5], dim=1)], dim=1)
    moved = functional.grid_sample(images, functional.affine_grid(matrix, list(images.shape), False), padding_mode="reflection", align_corners=False)
    middle = moved.mean(dim=(2, 3), keepdim=True)
    lit = (moved - middle) * _each(1 + contrast / 5) + middle + _each(brightness / 10)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(keys.torch_seed(key, "noise")))
    return (lit + 0.03 * noise).clamp(0, 1)


def _each(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _reduced(images: Tensor) -> Tensor:
    """Return images (N,C,H,W) averaged down to 32 pixels a side, smaller ones as they are."""
    return images if images.shape[-1] <= _SIDE else functional.adaptive_avg_pool2d(images, _SIDE)


def _answers(network: nn.Module, images: Tensor, prepared: Prepared) -> Rows:
    """Return the judge's answers, int64 (N,)."""
    with torch.inference_mode(), half_precision(images.device, prepared.recipe.compute.precision):
        return torch.cat([network(_reduced(part)).argmax(1) for part in torch.split(images, _BATCH)]).cpu().numpy()
