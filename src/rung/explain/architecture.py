"""What a network is made of: a row for each layer, and the layered picture with its legend."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import groupby
from typing import Final

import torch
from torch import nn

from rung.models.probe import evaluation_mode, moving_averages, zero_images

# The file of torch that defines a layer, or what it derives from, tells its kind.
_KINDS: Final = {
    "conv": "convolution",
    "linear": "dense",
    "batchnorm": "normalisation",
    "instancenorm": "normalisation",
    "normalization": "normalisation",
    "pooling": "pooling",
    "dropout": "dropout",
    "activation": "activation",
    "flatten": "flatten",
    "rnn": "recurrent",
    "transformer": "attention",
}
_ELEMENTWISE: Final = ("activation", "normalisation", "dropout", "other")


@dataclass(frozen=True)
class LayerRow:
    """One call of one layer, in the order of the calls.

    name: its place in the network, "input" for the image; kind: input, convolution, dense, normalisation, activation, pooling, dropout,
    flatten, recurrent, attention or other; detail: kernel, rate or sort, in words; output: its shape without the batch (C,H,W), None for
    a layer that evaluation never calls; parameters and trainable: counted as Keras does, shared ones at their first row only.
    """

    name: str
    kind: str
    detail: str
    output: tuple[int, ...] | None
    parameters: int
    trainable: int


def layers(model: nn.Module, channels: int, size: int) -> list[LayerRow]:
    """Return a row for the image and for each layer of any network, as one black image (channels, size, size) meets them in evaluation mode.

    A layer is a module without parts, or with parameters of its own. What a `forward` computes outside modules is not seen. The rows'
    parameters add up to `parameter_counts`; the network is left as it was.
    """
    names = {module: name or type(module).__name__ for name, module in model.named_modules()}
    watched = [m for m in names if not _is_container(m) and (not list(m.children()) or list(m.parameters(recurse=False)))]
    calls: list[tuple[nn.Module, tuple[int, ...] | None]] = []

    def note(module: nn.Module, _inputs: object, output: object) -> None:
        calls.append((module, _shape(output)))

    hooks = [module.register_forward_hook(note) for module in watched]
    try:
        with evaluation_mode(model), torch.random.fork_rng(devices=[]):
            model(zero_images(model, 1, channels, size))
    finally:
        for hook in hooks:
            hook.remove()
    called = {module for module, _ in calls}
    calls += [(m, None) for m in watched if m not in called and list(m.parameters(recurse=False))]
    counted: set[int] = set()
    return [LayerRow("input", "input", "", (channels, size, size), 0, 0), *(_row(names[m], m, shape, counted) for m, shape in calls)]


def norm_memory(model: nn.Module) -> float | None:
    """Return the share of its old value that a training step leaves in the slowest moving average of batch norm, 0..1; None without one."""
    updated = [getattr(module, "momentum", None) for module in model.modules() if moving_averages(module)]
    return max((1 - float(new) for new in updated if new is not None), default=None)  # None: a plain mean over all steps, which has no start value


def picture(rows: Sequence[LayerRow]) -> str:
    """Return the network as a layered picture with a legend: one self-contained SVG that scales to the width of its place.

    A box's face follows the size of its maps and its thickness their number (both compressed; the numbers under it are exact); a row of values is
    a bar. Layers that keep the shape are thin slices. Text and lines take the colour of the surrounding text. Equal rows give equal bytes.
    """
    lines = [_place(line) for line in _wrap(_units(rows))]
    width = max(_MINIMUM_WIDTH, *(line.width + (_ARROW if len(lines) > 1 else 0) for line in lines))
    drawn, y = [], 0.0
    for number, line in enumerate(lines):
        drawn.append(f'<g transform="translate(0 {y:.1f})">{line.svg}{_arrow(line) if number < len(lines) - 1 else ""}</g>')
        y += line.height + 16
    legend, y = _legend(_legend_entries(rows), width, y + 10)
    total, trainable = sum(r.parameters for r in rows), sum(r.trainable for r in rows)
    note = f"{total:,} parameters, {trainable:,} trainable. Under the boxes: how many maps or values; under the brackets: the size of the maps."
    caption, y = _paragraph(note, width, y + 8)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {y:.0f}" role="img" aria-label="Layered picture of the network" '
        f'fill="currentColor" font-family="system-ui, sans-serif" font-size="{_FONT}" style="width:100%;max-width:{1.35 * width:.0f}px;height:auto">'
        f"{''.join(drawn)}{legend}{caption}</svg>"
    )


def _is_container(module: nn.Module) -> bool:
    """Return whether a module only holds others; an empty one is no layer either."""
    return isinstance(module, nn.Sequential | nn.ModuleList)


def _shape(output: object) -> tuple[int, ...] | None:
    """Return the shape of the first tensor in a layer's output, without the batch."""
    while isinstance(output, tuple | list) and output:
        output = output[0]
    return tuple(output.shape[1:]) if isinstance(output, torch.Tensor) else None


def _row(name: str, module: nn.Module, shape: tuple[int, ...] | None, counted: set[int]) -> LayerRow:
    fresh = [t for t in (*module.parameters(recurse=False), *moving_averages(module)) if id(t) not in counted]
    counted.update(id(t) for t in fresh)
    kind = _kind(module)
    return LayerRow(name, kind, _detail(module, kind), shape, sum(t.numel() for t in fresh), sum(t.numel() for t in fresh if t.requires_grad))


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.Identity):
        return "other"
    if isinstance(module, nn.MultiheadAttention):
        return "attention"
    homes = (c.__module__ for c in type(module).__mro__)
    return next((_KINDS[home.rpartition(".")[2]] for home in homes if home.startswith("torch.nn.modules.") and home.rpartition(".")[2] in _KINDS), "other")


def _detail(module: nn.Module, kind: str) -> str:
    if kind == "convolution":
        strides = set(module.stride) if isinstance(module.stride, tuple) else {module.stride}
        return _by(module.kernel_size) + ("" if strides == {1} else f" stride {strides.pop()}" if len(strides) == 1 else f" stride {_by(module.stride)}")
    if kind == "pooling":
        sort = "max" if "Max" in type(module).__name__ else "average"
        return f"{sort} {_by(module.kernel_size)}" if hasattr(module, "kernel_size") else f"{sort} to {_by(module.output_size)}"
    if isinstance(module, nn.Dropout | nn.Dropout1d | nn.Dropout2d):
        return f"{module.p:g}"
    if kind in ("dense", "flatten"):
        return ""
    name = type(module).__name__
    return f"{name[: name.index('Norm')].lower()} norm" if "Norm" in name[1:] else name


def _by(sides: object) -> str:
    """Return "3×3" of 3 or (3, 3)."""
    return "×".join(str(s) for s in (sides if isinstance(sides, tuple | list) else (sides, sides)))


# The picture. All lengths are units of the view box, about a pixel each.

_WIDTH: Final = 600.0
_MINIMUM_WIDTH: Final = 460.0
_FONT: Final = 13
_LETTER: Final = 0.64 * _FONT  # of wide fonts: texts must not meet in any
_GAP: Final = 8.0
_ARROW: Final = 26.0
_SLANT: Final = 0.75  # how far the depth rises for each step to the right
_SLICE: Final = 4.0
_COLOURS: Final = {
    "input": "#a3a9b0",
    "convolution": "#3f7cb8",
    "dense": "#4f9d54",
    "normalisation": "#8b68bd",
    "activation": "#f0a533",
    "pooling": "#cf4a54",
    "dropout": "#59606b",
    "flatten": "#a9825f",
    "recurrent": "#2f9c95",
    "attention": "#d873ac",
    "other": "#8c8c8c",
}


@dataclass(frozen=True)
class _Unit:
    """What is drawn without a gap: a box and the slices that keep its shape.

    slabs: (kind, thickness, title) of each; height of the face and how far its depth reaches to the right; count, sides: what is written below.
    """

    slabs: tuple[tuple[str, float, str], ...]
    height: float
    reach: float
    count: str
    sides: str

    @property
    def width(self) -> float:
        return sum(thickness for _, thickness, _ in self.slabs)


@dataclass(frozen=True)
class _Line:
    """One drawn line of units: its SVG and its size; `axis` is the height at which the units' middles are."""

    svg: str
    width: float
    height: float
    axis: float


def _units(rows: Sequence[LayerRow]) -> list[_Unit]:
    seen = _seen(rows)
    many = sum(not _is_slice(row, before) for before, row in zip([None, *seen], seen, strict=False)) > 30
    tallest, thinner = (110.0, 0.6) if many else (150.0, 1.0)
    side = max((max(r.output[1:]) for r in seen if r.output and len(r.output) > 1), default=1)
    longest = max((r.output[0] for r in seen if r.output and len(r.output) == 1), default=1)
    units: list[_Unit] = []
    before: LayerRow | None = None
    for row in seen:
        assert row.output
        title = f"{row.name}: {' '.join(filter(None, (row.kind, row.detail)))}, {'×'.join(map(str, row.output))}, {row.parameters:,} parameters"
        if _is_slice(row, before):
            units[-1] = replace(units[-1], slabs=(*units[-1].slabs, (row.kind, _SLICE, title)))
        else:
            units.append(_unit(row, row.output, title, side, longest, tallest, thinner))
        before = row
    return units


def _seen(rows: Sequence[LayerRow]) -> list[LayerRow]:
    return [row for row in rows if row.output and row.detail != "Identity"]


def _is_slice(row: LayerRow, before: LayerRow | None) -> bool:
    return before is not None and row.kind in _ELEMENTWISE and row.output == before.output


def _unit(row: LayerRow, shape: tuple[int, ...], title: str, side: int, longest: int, tallest: float, thinner: float) -> _Unit:
    if len(shape) == 1:
        height = 16 + (tallest - 16) * math.log2(1 + shape[0]) / math.log2(1 + longest)
        return _Unit(((row.kind, 10.0, title),), height, 5.0, str(shape[0]), "")
    # (C,H,W) are maps; (T,C), of transformers, are T places of C values
    maps, sides = (shape[0], shape[1:]) if len(shape) > 2 else (shape[1], shape[:1])
    height = max(7.0, tallest * (max(sides) / side) ** 0.6)
    thickness = 5.0 if row.kind == "pooling" else thinner * (4 + 3 * math.log2(max(1, maps)))
    return _Unit(((row.kind, thickness, title),), height, 0.28 * height, "" if row.kind == "pooling" else str(maps), "×".join(map(str, sides)))


def _wrap(units: Sequence[_Unit]) -> list[list[_Unit]]:
    """Return the units in as few lines as fit, about equally full."""
    widths = [max(unit.width, _text_width(unit.count), 0.5 * _text_width(unit.sides)) + _GAP for unit in units]
    full = sum(widths) / math.ceil(sum(widths) / _WIDTH)
    lines: list[list[_Unit]] = [[]]
    filled = 0.0
    for unit, width in zip(units, widths, strict=True):
        if filled + width / 2 > full * len(lines):
            lines.append([])
        lines[-1].append(unit)
        filled += width
    return lines


def _place(units: Sequence[_Unit]) -> _Line:
    """Draw one line of units from left to right, each group of equal map sizes over a bracket."""
    axis = 2 + max(unit.height * 0.5 + unit.reach * _SLANT for unit in units)
    floor = axis + max(unit.height for unit in units) / 2
    boxes, texts, x, right = [], [], 2.0, 0.0
    for sides, group in groupby(units, key=lambda unit: unit.sides):
        runs = [list(run) for _, run in groupby(group, key=lambda unit: (unit.count, not sides and id(unit)))]
        needed = [max(sum(u.width + _GAP for u in run), _text_width(run[0].count) + 8) for run in runs]
        spare = max(0.0, _text_width(sides) + 8 - sum(needed))
        start = x
        x += spare / 2
        for run, width in zip(runs, needed, strict=True):
            texts.append(_text(x + (width - _GAP) / 2, floor + 17, run[0].count))
            inner = x + (width - sum(u.width + _GAP for u in run)) / 2
            for unit in run:
                boxes.append(_draw(unit, inner, axis))
                right = max(right, inner + unit.width + unit.reach)
                inner += unit.width + _GAP
            x += width
        x += spare / 2
        if sides:
            texts.append(_bracket(start, x - _GAP, floor + 23) + _text((start + x - _GAP) / 2, floor + 43, sides))
    height = floor + (49 if any(unit.sides for unit in units) else 23)
    return _Line("".join(boxes + texts), max(right, x) + 2, height, axis)


def _draw(unit: _Unit, x: float, axis: float) -> str:
    """Draw the slabs of one unit, each with its front and its top; the side of the whole has the first one's colour."""
    top, bottom, rise = axis - unit.height / 2, axis + unit.height / 2, unit.reach * _SLANT
    drawn = []
    for number, (kind, thickness, title) in enumerate(unit.slabs):
        end, reach = x + thickness, unit.reach
        faces = [
            _face(kind, 0, (x, top), (end, top), (end, bottom), (x, bottom)),
            _face(kind, 1, (x, top), (x + reach, top - rise), (end + reach, top - rise), (end, top)),
        ]
        if number == len(unit.slabs) - 1:
            faces.append(_face(unit.slabs[0][0], 2, (end, top), (end + reach, top - rise), (end + reach, bottom - rise), (end, bottom)))
        drawn.append(f"<g><title>{escape(title)}</title>{''.join(faces)}</g>")
        x = end
    return "".join(drawn)


def _face(kind: str, shade: int, *corners: tuple[float, float]) -> str:
    colour = _COLOURS[kind]
    fill = (colour, _toward(colour, 255, 0.3), _toward(colour, 0, 0.22))[shade]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return f'<polygon points="{points}" fill="{fill}" stroke="{_toward(colour, 0, 0.45)}" stroke-width="0.6" stroke-linejoin="round"/>'


def _toward(colour: str, goal: int, share: float) -> str:
    """Return "#rrggbb" moved by a share toward black (0) or white (255)."""
    return "#" + "".join(f"{round(v + (goal - v) * share):02x}" for v in bytes.fromhex(colour[1:]))


def _bracket(left: float, right: float, y: float) -> str:
    return f'<path d="M{left:.1f} {y:.1f}v4H{right:.1f}v-4" fill="none" stroke="currentColor" stroke-opacity="0.55"/>'


def _arrow(line: _Line) -> str:
    """Draw the sign that the network goes on in the next line."""
    return f'<path d="M{line.width + 6:.1f} {line.axis:.1f}h16m-5 -5l5 5l-5 5" fill="none" stroke="currentColor" stroke-width="1.4"/>'


def _text(x: float, y: float, content: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>' if content else ""


def _text_width(content: str) -> float:
    return _LETTER * len(content)


def _legend_entries(rows: Sequence[LayerRow]) -> list[tuple[str, str]]:
    """Return (kind, words) of each kind of layer in the network, with its sorts where they are few."""
    details: dict[str, list[str]] = {}
    for row in _seen(rows):
        details.setdefault(row.kind, []).append(row.detail)
    entries = []
    for kind, found in details.items():
        words = f"{kind} {', '.join(sort for sort in dict.fromkeys(found) if sort)}".rstrip()
        entries.append((kind, words if 18 + _text_width(words) <= _MINIMUM_WIDTH else kind))
    return entries


def _legend(entries: Sequence[tuple[str, str]], width: float, y: float) -> tuple[str, float]:
    """Draw a coloured square and words for each entry, in as many lines as needed, from y down; return the drawing and where it ends."""
    drawn, x = [], 2.0
    for kind, words in entries:
        needed = 18 + _text_width(words)
        if x > 2 and x + needed > width:
            x, y = 2.0, y + 21
        drawn.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="12" height="12" rx="2" fill="{_COLOURS[kind]}"/>' + _text(x + 18, y + 11, words, "start"))
        x += needed + 16
    return "".join(drawn), y + 18


def _paragraph(words: str, width: float, y: float) -> tuple[str, float]:
    """Draw words in lines of the width, from y down; return the drawing and where it ends."""
    lines = textwrap.wrap(words, int(width / _LETTER))
    return "".join(_text(2, y + 12 + 17 * number, line, "start") for number, line in enumerate(lines)), y + 17 * len(lines) + 4
