# mypy: disable-error-code="type-arg"
"""The functions that notebooks bring along. Their text is copied into cells (`notebook_cells.source`); rung itself never calls them.

So each uses only Python, numpy, matplotlib, and functions of this file that its notebook has defined before.
"""

from __future__ import annotations

import base64
import math
import zlib

import matplotlib.pyplot as plt
import numpy as np


def unpacked(text: str) -> np.ndarray:
    """Return the whole numbers that were packed into a short text."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), "<u2").astype(int)


def draw_network(layers: list[dict], title: str = "") -> None:
    """Draw each layer as a box: as tall as its maps are (compressed), as wide as their number (compressed)."""
    colours = {"input": "#a3a9b0", "convolution": "#3f7cb8", "dense": "#4f9d54", "normalisation": "#8b68bd", "activation": "#f0a533"}
    colours |= {"pooling": "#cf4a54", "dropout": "#59606b", "flatten": "#a9825f", "attention": "#d873ac", "other": "#8c8c8c"}
    _, axes = plt.subplots(figsize=(10, 3))
    tallest = max(max(layer["output"][1:], default=1) for layer in layers)
    at, before = 0.0, None
    for layer in layers:
        shape, kind = layer["output"], layer["kind"]
        thin = kind in ("activation", "normalisation", "dropout", "other") and shape == before
        height = (max(shape[1:]) / tallest) ** 0.6 if len(shape) > 1 else 0.1 + 0.09 * math.log2(1 + shape[0]) / 2
        width = 0.12 if thin or kind in ("pooling", "flatten") else 0.25 + 0.09 * math.log2(shape[0]) if len(shape) > 1 else 0.35
        axes.bar(at + width / 2, height, width, bottom=-height / 2, color=colours.get(kind, "#8c8c8c"), edgecolor="white", linewidth=0.6)
        if not thin and kind not in ("pooling", "flatten"):
            size = f"{shape[0]}\n{shape[1]}×{shape[2]}" if len(shape) == 3 else "×".join(map(str, shape))
            axes.text(at + width / 2, -0.56, size, ha="center", va="top", fontsize=8)
        at, before = at + width + (0.0 if thin else 0.06), shape
    for kind in dict.fromkeys(layer["kind"] for layer in layers):
        axes.bar(0, 0, 0, color=colours.get(kind, "#8c8c8c"), label=kind)
    axes.set(xlim=(-0.1, max(at, 6)), ylim=(-0.75, 0.6))
    axes.axis("off")
    axes.legend(ncols=9, fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.12))
    axes.set_title(title, loc="left", fontsize=10, pad=22)
    plt.show()


def draw_curves(rows: dict, marks: dict) -> None:
    """Draw loss and accuracy over the epochs, train dashed; a line at the scored epoch, a shade from where the network over-fits."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.4))
    for axes, what in zip(panels, ("loss", "accuracy"), strict=True):
        for part, style, colour in (("train", "--", "#D55E00"), ("validation", "-", "#0072B2")):
            values = rows.get(f"{part}_{what}")
            if values:
                shown = [math.nan if value is None else value * (100 if what == "accuracy" else 1) for value in values]
                axes.plot(rows["epoch"], shown, style, color=colour, label=part, marker="o" if len(shown) == 1 else "")
        axes.axvline(marks["scored"], color="#777777", linewidth=0.8, label=f"scored: epoch {marks['scored']}")
        if marks["overfit_from"]:
            axes.axvspan(marks["overfit_from"], rows["epoch"][-1], color="#D55E00", alpha=0.1, label=f"over-fit from epoch {marks['overfit_from']}")
        axes.set(xlabel="epoch", title=f"{what} (%)" if what == "accuracy" else what)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    plt.show()


def confusion_of(labels: np.ndarray, answers: np.ndarray, classes: int) -> np.ndarray:
    """Count the answers: one row a true class, one column an answered class."""
    return np.bincount(labels * classes + answers, minlength=classes**2).reshape(classes, classes)


def draw_confusion(matrix: np.ndarray, classes: list[str], title: str = "") -> None:
    """Draw a confusion matrix: counts, coloured by the share of their row."""
    shares, many = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1), len(classes) > 20
    side = min(3 + 0.42 * len(classes), 9)
    figure, axes = plt.subplots(figsize=(side, side))
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    if not many:
        for row in range(len(classes)):
            for column in range(len(classes)):
                colour = "white" if shares[row, column] > 0.4 else "black"
                axes.text(column, row, f"{matrix[row, column]}", ha="center", va="center", fontsize=8, color=colour if matrix[row, column] else "#bbbbbb")
    named = range(0, len(classes), math.ceil(len(classes) / 40))
    short = [classes[k] if len(classes[k]) <= 16 else classes[k][:15] + "…" for k in named]
    axes.set_xticks(named, short, rotation=90 if max(map(len, short)) > 3 else 0, fontsize=8)
    axes.set_yticks(named, short, fontsize=8)
    axes.set(xlabel="answered", ylabel="true", title=title)
    figure.tight_layout()
    plt.show()


def class_scores(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precision, recall and F1 of each class; 0 where a class is never answered or has no images."""
    right = np.diag(matrix).astype(float)
    precision = right / np.maximum(matrix.sum(axis=0), 1)
    recall = right / np.maximum(matrix.sum(axis=1), 1)
    return precision, recall, 2 * right / np.maximum(matrix.sum(axis=0) + matrix.sum(axis=1), 1)


def wilson(right: float, images: float, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson): where it could lie with as many other images of the same kind, this network held fixed."""
    share = right / images
    centre = (share + z * z / (2 * images)) / (1 + z * z / images)
    half = z * math.sqrt(share * (1 - share) / images + z * z / (4 * images**2)) / (1 + z * z / images)
    return centre - half, centre + half


def print_classes(matrix: np.ndarray, classes: list[str]) -> None:
    """Print precision, recall and F1 of each class, the lowest F1 first, and their means."""
    precision, recall, f1 = class_scores(matrix)
    images, wide = matrix.sum(axis=1), max(10, *map(len, classes))
    print(f"{'':{wide}}  images  precision  recall  95 % interval      F1")
    for k in np.argsort(f1, kind="stable"):
        low, high = wilson(matrix[k, k], images[k]) if images[k] else (0.0, 1.0)
        interval = f"{100 * low:5.1f} to {100 * high:5.1f}"
        print(f"{classes[k]:{wide}}  {images[k]:6}  {100 * precision[k]:9.1f}  {100 * recall[k]:6.1f}  {interval}  {100 * f1[k]:6.1f}")
    there = images > 0
    means = [100 * values[there].mean() for values in (precision, recall, f1)]
    print(f"{'mean':{wide}}  {images.sum():6}  {means[0]:9.1f}  {means[1]:6.1f}  {'':14}  {means[2]:6.1f}")


def colours_of(candidates: list[dict]) -> list[str]:
    """Return the colour of each candidate, the same in every figure of them: blue for the one that is carried on or kept."""
    others = ["#777777", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8B68BD", "#A9825F"]
    colours: list[str] = []
    for one in candidates:
        kept = one.get("state") == "kept"
        colours.append("#0072B2" if kept else others[sum(colour != "#0072B2" for colour in colours) % len(others)])
    return colours


def draw_candidates(candidates: list[dict], axis: str, base: str = "start") -> None:
    """Draw the scores of candidates: dots for seeds, diamonds for means, bars for intervals of differences, drawn from the start's mean over the same seeds."""
    figure, axes = plt.subplots(figsize=(9, 0.9 + 0.42 * len(candidates)))
    for row, (one, colour) in enumerate(zip(reversed(candidates), reversed(colours_of(candidates)), strict=True)):
        if one["low"] is not None:
            axes.plot([one["low"], one["high"]], [row, row], color=colour, linewidth=6, alpha=0.25, solid_capstyle="butt")
        axes.plot(one["values"], [row] * len(one["values"]), ".", color=colour, markersize=6)
        if one["values"]:
            axes.plot(np.mean(one["values"]), row, "D", color=colour, markersize=7)
    start = next((dict(zip(one["seeds"], one["values"], strict=True)) for one in candidates if one["name"] == base), {})
    for row, one in enumerate(reversed(candidates) if start else ()):
        shared = [start[seed] for seed in one["seeds"] if seed in start] or list(start.values())
        axes.plot([np.mean(shared)] * 2, [row - 0.5, row + 0.5], color="#777777", linewidth=0.8, linestyle=":")
    names = [one["name"] + (f" ({one.get('word', 'kept')})" if one["state"] == "kept" else "") for one in reversed(candidates)]
    axes.set_yticks(range(len(candidates)), names, fontsize=9)
    axes.set(xlabel=axis, ylim=(-0.6, len(candidates) - 0.4))
    axes.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    plt.show()


def draw_traces(candidates: list[dict]) -> None:
    """Draw the training of all candidates in one axis each: validation solid, train dashed, the mean of the seeds."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.6))
    for one, colour in zip(candidates, colours_of(candidates), strict=True):
        if not one["curves"]:
            continue
        for axes, what in zip(panels, ("loss", "accuracy"), strict=True):
            for part, style in (("train", "--"), ("validation", "-")):
                values = one["curves"].get(f"{part}_{what}", [])
                shown = [math.nan if value is None else value * (100 if what == "accuracy" else 1) for value in values]
                label = one["name"] if part == "validation" else None
                marker = "o" if len(shown) == 1 else ""
                axes.plot(range(1, len(shown) + 1), shown, style, color=colour, linewidth=1.2, marker=marker, label=label)
    for axes, what in zip(panels, ("loss", "accuracy (%)"), strict=True):
        axes.set(xlabel="epoch", title=f"{what}: train dashed, validation solid")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    panels[1].legend(fontsize=8)
    figure.tight_layout()
    plt.show()


def draw_climb(steps: list[dict], axis: str) -> None:
    """Draw the kept score of each step as a way, and the other candidates beside it."""
    figure, axes = plt.subplots(figsize=(9, 3.6))
    way = []
    for place, step in enumerate(steps):
        for one in step["candidates"]:
            if one["values"]:
                kept = one["state"] == "kept"
                axes.plot(place, np.mean(one["values"]), "D" if kept else "o", color="#0072B2" if kept else "#aaaaaa", markersize=8 if kept else 5)
                way += [(place, np.mean(one["values"]))] if kept else []
    axes.plot([place for place, _ in way], [value for _, value in way], color="#0072B2", linewidth=1.2, label="kept")
    axes.set_xticks(range(len(steps)), [step["name"] for step in steps], rotation=20, ha="right", fontsize=9)
    axes.set(ylabel=axis)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    plt.show()


def print_candidates(candidates: list[dict], base: str = "start") -> None:
    """Print the mean of each candidate, its deviation over seeds, and how far it lies from the start, over the seeds that both have."""
    start = next((dict(zip(one["seeds"], one["values"], strict=True)) for one in candidates if one["name"] == base), {})
    wide = max(len(one["name"]) for one in candidates)
    for one in candidates:
        values = np.array(one["values"])
        if not len(values):
            print(f"{one['name']:{wide}}  not run")
            continue
        spread = f"deviation {values.std(ddof=1):.2f} over {len(values)} seeds" if len(values) > 1 else "one seed"
        mine = dict(zip(one["seeds"], one["values"], strict=True))
        gains = [mine[seed] - start[seed] for seed in mine if seed in start and one["name"] != base]
        few = f" over {len(gains)} shared" if gains and len(gains) < max(len(mine), len(start)) else ""
        against = f"; minus {base} {np.mean(gains):+.2f}{few}" if gains else ""
        print(f"{one['name']:{wide}}  {values.mean():.2f}, {spread}{against}")


def print_seeds(matrices: list[np.ndarray], classes: list[str], seeds: list[int]) -> None:
    """Print the accuracy of each seed, then precision, recall and F1 of each class, the mean over seeds and, of several, their range."""
    accuracies = [100 * np.trace(matrix) / matrix.sum() for matrix in matrices]
    print("accuracy:", ", ".join(f"{value:.2f} % (seed {seed})" for seed, value in zip(seeds, accuracies, strict=True)), f"mean {np.mean(accuracies):.2f} %")
    scores = 100 * np.array([class_scores(matrix) for matrix in matrices])
    wide = max(10, *map(len, classes))
    several = len(matrices) > 1
    print(f"{'':{wide}}  precision  recall      F1{'  F1, lowest and highest seed' if several else ''}")
    for k in np.argsort(scores[:, 2].mean(axis=0), kind="stable"):
        precision, recall, f1 = scores[:, :, k].mean(axis=0)
        between = f"  {scores[:, 2, k].min():.1f} to {scores[:, 2, k].max():.1f}" if several else ""
        print(f"{classes[k]:{wide}}  {precision:9.1f}  {recall:6.1f}  {f1:6.1f}{between}")
    print(f"{'mean':{wide}}  {scores[:, 0].mean():9.1f}  {scores[:, 1].mean():6.1f}  {scores[:, 2].mean():6.1f}")
