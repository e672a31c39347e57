"""What becomes of the values: blur, contrast, brightness, saturation, hue, noise and cutout, on float32 images (N,C,H,W) in 0..1.

Sums over an image are made of elementwise additions in a fixed order, because a library's sum may depend on the batch, the memory layout
and the threads in its last bits. Nothing here cuts values to 0..1; augment does, once, at the end.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from rung import keys
from rung.data.draws import Draw, between, derived
from rung.errors import RecipeError
from rung.recipe import Augment

# Rec. 601 luma and the NTSC chroma axes: rows Y, I, Q.
_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]], dtype=torch.float64)
_CUTOUT_GREY = 0.5


def _each(values: Tensor) -> Tensor:
    """Return values (N,) as float32 (N,1,1,1)."""
    return values.float()[:, None, None, None]


def channel_means(images: Tensor) -> Tensor:
    """Return the mean of each channel of each image (N,C,H,W), float32 (N,C,1,1), by halving: equal bits for any batch, layout and threads."""
    values = images.flatten(2)
    count = values.shape[2]
    while values.shape[2] > 1:
        half = values.shape[2] // 2
        folded = values[:, :, :half] + values[:, :, half : 2 * half]
        if values.shape[2] % 2:
            folded[:, :, :1] += values[:, :, 2 * half :]
        values = folded
    return values[..., None] / count


def blur(images: Tensor, draws: Tensor, settings: Augment) -> Tensor:
    """Return the images under a Gaussian whose standard deviation is drawn from 0..blur_pixels; the edge pixels repeat outside."""
    steepness = 0.5 / (draws[Draw.BLUR] * settings.blur_pixels).clamp(min=1e-3).square()
    reach = math.ceil(3 * settings.blur_pixels)
    weights = [torch.exp(-(distance**2) * steepness) for distance in range(reach + 1)]
    total = weights[0].clone()
    for weight in weights[1:]:
        total += 2 * weight
    weights = [(weight / total).float()[:, None] for weight in weights]
    height, width = images.shape[2:]
    padded = functional.pad(images.contiguous(), (reach, reach, reach, reach), mode="replicate")
    # On rows of all values of an image, a neighbour is a fixed number of values away. What runs over into the next line or channel lands
    # in the padding, which is left out at the end.
    line = width + 2 * reach
    values = _weighted_neighbours(padded.flatten(1), weights, line)
    values = _weighted_neighbours(values, weights, 1)
    plane = line * (height + 2 * reach)
    return values.as_strided(images.shape, (values.shape[1], plane, line, 1))


def _weighted_neighbours(values: Tensor, weights: list[Tensor], apart: int) -> Tensor:
    """Return values (N,L) summed with those `apart` * 1, 2, .. before and after, weighted (N,1): (N, L - 2 * apart * reach)."""
    margin = apart * (len(weights) - 1)
    length = values.shape[1] - 2 * margin
    total = values.narrow(1, margin, length) * weights[0]
    pair = torch.empty_like(total)
    for distance, weight in enumerate(weights[1:], start=1):
        torch.add(values.narrow(1, margin - distance * apart, length), values.narrow(1, margin + distance * apart, length), out=pair)
        total += pair.mul_(weight)
    return total


def contrast_brightness(images: Tensor, draws: Tensor, settings: Augment) -> Tensor:
    """Return (x - mean) * contrast + mean + brightness, the mean being that of each image's channel."""
    brightness = _each(between(draws, Draw.BRIGHTNESS, settings.brightness_fraction))
    if not settings.contrast_fraction:
        return images + brightness
    factor = _each(1 + between(draws, Draw.CONTRAST, settings.contrast_fraction))
    offset = channel_means(images) * (1 - factor) + brightness
    return (images * factor).add_(offset)


def saturation_hue(images: Tensor, draws: Tensor, settings: Augment) -> Tensor:
    """Return the colours with their distance from grey scaled and turned, in the chroma plane of YIQ; luma (Rec. 601) stays.

    Raises: RecipeError if the images are grey.
    """
    if images.shape[1] != 3:
        names = [name for name in ("saturation_fraction", "hue_degrees") if getattr(settings, name)]
        raise RecipeError(f"augment.{' and augment.'.join(names)} need colour, and these images are grey: set to 0, or pixels.colour = 'rgb'")
    factor = 1 + between(draws, Draw.SATURATION, settings.saturation_fraction)
    angle = between(draws, Draw.HUE, math.radians(settings.hue_degrees))
    along, across = factor * angle.cos(), factor * angle.sin()
    luma, same, turned = _chroma_matrices()
    images = images.contiguous()
    result = torch.zeros_like(images)
    for row in range(3):
        for column in range(3):
            share = luma[row][column] + along * same[row][column] + across * turned[row][column]
            result[:, row] += images[:, column] * share.float()[:, None, None]
    return result


@cache
def _chroma_matrices() -> tuple[list[list[float]], list[list[float]], list[list[float]]]:
    """Return three matrices (3,3) on red, green, blue: to luma, the rest (chroma), and the rest turned by 90 degrees."""
    back = torch.linalg.inv(_TO_YIQ)
    luma = back @ torch.diag(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)) @ _TO_YIQ
    same = torch.eye(3, dtype=torch.float64) - luma
    quarter = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]], dtype=torch.float64)
    return luma.tolist(), same.tolist(), (back @ quarter @ _TO_YIQ).tolist()


def noise(images: Tensor, image_keys: Tensor, settings: Augment) -> Tensor:
    """Return the images plus Gaussian noise of standard deviation noise_fraction, drawn for each value."""
    count, values = len(images), math.prod(images.shape[1:])
    places = keys.row_keys(0, torch.arange(-(-values // 4), device=images.device))
    bits = keys.mix(places ^ derived(image_keys, "augment noise")[:, None])
    # One draw of 64 bits serves four values: 16 bits choose one of 65,536 quantiles.
    index = bits.view(torch.int16)[:, :values].int() + 32768
    drawn = _quantiles(images.device).index_select(0, index.flatten()).view(count, *images.shape[1:])
    return drawn.mul_(settings.noise_fraction).add_(images.contiguous())


@cache
def _quantiles(device: torch.device) -> Tensor:
    """Return the middles of 65,536 equally likely slices of the normal distribution, float32; the outermost are at 4.3."""
    quantiles: Tensor = torch.special.ndtri((torch.arange(65536, dtype=torch.float64) + 0.5) / 65536)
    return quantiles.float().to(device)


def cutout(images: Tensor, draws: Tensor, settings: Augment) -> Tensor:
    """Return the images with a grey square of cutout_pixels a side, its middle anywhere, so it may hang over the edge (DeVries and Taylor 2017)."""
    height, width = images.shape[2:]
    side = settings.cutout_pixels
    left = (draws[Draw.CUTOUT_X] * width).long() - side // 2
    top = (draws[Draw.CUTOUT_Y] * height).long() - side // 2
    x, y = torch.arange(width, device=images.device) - left[:, None], torch.arange(height, device=images.device) - top[:, None]
    inside = ((y >= 0) & (y < side))[:, None, :, None] & ((x >= 0) & (x < side))[:, None, None, :]
    return images.masked_fill(inside, _CUTOUT_GREY)
