"""The tables of a report as plain rows of text: scores, classes, confusions, data, settings, times."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rung.data.imageset import PARTS
from rung.explain import mistakes
from rung.recipe import OwnNetwork, Recipe, describe, flat
from rung.reports.pictures import depth
from rung.words import PERCENT, count, duration, listing, percent, percent_range, shorten

Score = Mapping[str, Any]

_MEASURES = {
    "accuracy": ("Accuracy", "share of images answered rightly", "share"),
    "top_5": ("Top 5", "true class among the likeliest five", "share"),
    "macro_f1": ("F1, macro", "every class counts alike", "share"),
    "macro_precision": ("Precision, macro", "of the answers that name a class, the share right", "share"),
    "macro_recall": ("Recall, macro", "of the images of a class, the share found", "share"),
    "weighted_f1": ("F1, weighted", "classes count by their images", "share"),
    "weighted_precision": ("Precision, weighted", "classes count by their images", "share"),
    "weighted_recall": ("Recall, weighted", "equals accuracy", "share"),
    "macro_auc": ("ROC area, macro", "1 is perfect, 0.5 is chance", "number"),
    "log_loss": ("Log loss", "in nats; lower is better", "number"),
    "calibration_error": ("Calibration error", "confidence against accuracy; lower is better", "share"),
    "brier": ("Brier score", "squared error; lower is better", "number"),
    "cost": ("Cost", "mean cost of an answer by your table", "number"),
}

_OF_CATEGORIES = {"accuracy": "Accuracy, by categories", "macro_recall": "Balanced accuracy, by categories", "macro_f1": "F1, macro, by categories"}


@dataclass(frozen=True)
class Cell:
    """One score as text: its value, its interval ("" if it has none) and why something is missing."""

    value: str
    interval: str = ""
    reason: str = ""


def score_cell(score: Score | None, kind: str = "share") -> Cell:
    """Write one score {"value", "low", "high", "reason"}; kind "share" is in percent, "number" as it is."""
    if score is None or score["value"] is None:
        return Cell("–", reason="" if score is None else str(score.get("reason", "")))
    low, high = score.get("low"), score.get("high")
    if kind == "share":
        interval = "" if low is None or high is None else f"{low * 100:.1f}–{high * 100:.1f}"
        return Cell(percent(score["value"]), interval, str(score.get("reason", "")))
    places = 4 if max(abs(score["value"]), abs(high or 0)) < 10 else 2
    interval = "" if low is None or high is None else f"{low:.{places}f}–{high:.{places}f}"
    return Cell(f"{score['value']:.{places}f}", interval, str(score.get("reason", "")))


@dataclass(frozen=True)
class ScoreRow:
    """One measure in every part; `hint` says in a few words what it is."""

    label: str
    hint: str
    cells: dict[str, Cell]


def score_rows(scores: Mapping[str, Score]) -> list[ScoreRow]:
    """Return one row a measure that any part has, one's own metrics last."""
    rows = []
    for key, (label, hint, kind) in _MEASURES.items():
        if any(part.get(key) is not None for part in scores.values()):
            rows.append(ScoreRow(label, hint, {name: score_cell(part.get(key), kind) for name, part in scores.items()}))
    coarse = {name: part["categories"] for name, part in scores.items() if part.get("categories")}
    for key, label in _OF_CATEGORIES.items() if coarse else ():
        names = ", ".join(next(iter(coarse.values()))["classes"])
        rows.append(ScoreRow(label, names, {name: score_cell(coarse[name][key] if name in coarse else None) for name in scores}))
    for name in dict.fromkeys(name for part in scores.values() for name in part.get("own", {})):
        cells = {part: score_cell(values.get("own", {}).get(name), "number") for part, values in scores.items()}
        rows.append(ScoreRow(name, "your own metric", cells))
    return rows


@dataclass(frozen=True)
class ClassRow:
    """One class: its scores as text, where recall and its interval lie on the shared axis (percent of its width), its commonest wrong answer."""

    name: str
    support: int
    answered: int
    recall: Cell
    precision: Cell
    f1: Cell
    auc: Cell
    dot: float | None
    low: float | None
    high: float | None
    standing: str
    taken_for: str
    order: tuple[float, ...]


@dataclass(frozen=True)
class ClassTable:
    """Rows by class, in the order of the data; the axis of recall from `start` to 1 and where the mean lies on it, percent of its width."""

    rows: list[ClassRow]
    start: float
    mean: float


def class_table(scores: Score, standing: Mapping[str, str]) -> ClassTable:
    """Return the per-class table; standing: "above" or "below" average for the classes whose interval says so."""
    classes, lows = scores["per_class"], [row["recall"]["low"] for row in scores["per_class"]]
    start = max(0.0, int(min((low for low in lows if low is not None), default=0.0) * 20 - 0.2) / 20)
    recalls = [row["recall"]["value"] for row in classes if row["recall"]["value"] is not None]

    def place(value: float | None) -> float | None:
        return None if value is None else round(100 * (value - start) / (1 - start), 2)

    rows = []
    for k, row in enumerate(classes):
        recall, precision, f1, auc = row["recall"], row["precision"], row["f1"], row["auc"]
        rows.append(
            ClassRow(
                row["name"],
                row["support"],
                row["answered"],
                score_cell(recall),
                score_cell(precision),
                score_cell(f1),
                score_cell(auc, "number"),
                place(recall["value"]),
                place(recall["low"]),
                place(recall["high"]),
                standing.get(row["name"], ""),
                _taken_for(k, scores["confusion"][k], [row["name"] for row in classes]),
                tuple(-1.0 if score["value"] is None else score["value"] for score in (recall, precision, f1, auc)),
            )
        )
    return ClassTable(rows, start, place(sum(recalls) / len(recalls)) or 0.0 if recalls else 0.0)


def _taken_for(own: int, answers: Sequence[int], names: Sequence[str]) -> str:
    """Return the wrong answer that images of class `own` got most, with its count; ties are all named, or counted when many."""
    most = max((n for i, n in enumerate(answers) if i != own), default=0)
    if not most:
        return ""
    tied = [shorten(names[i], 40) for i, n in enumerate(answers) if i != own and n == most]
    if len(tied) > 2:
        return f"{len(tied)} classes ({most:,} each)"
    return f"{listing(tied)} ({most:,}{' each' if len(tied) > 1 else ''})"


@dataclass(frozen=True)
class ConfusionCell:
    """One count, its colour ("right" or "wrong") and depth 0..0.6."""

    count: int
    kind: str
    depth: float


def confusion_cells(confusion: Sequence[Sequence[int]]) -> list[list[ConfusionCell]]:
    """Return the confusion table as coloured cells; depth follows the share of the row."""
    return [
        [ConfusionCell(n, "right" if i == k else "wrong", depth(n / max(1, sum(row)))) for i, n in enumerate(row)]
        for k, row in enumerate(confusion)
    ]  # fmt: skip


@dataclass(frozen=True)
class PairRow:
    """Two classes, how often they are confused, and which way."""

    names: str
    ways: str
    errors: int


def pair_rows(score: Score, most: int = 12) -> list[PairRow]:
    """Return the pairs that are confused most, most errors first."""
    found = mistakes.pairs(score["confusion"], score["classes"], score["level"])[:most]
    return [PairRow(f"{shorten(p.first, 40)} – {shorten(p.second, 40)}", _ways(p), p.errors) for p in found]


def _ways(pair: mistakes.Pair) -> str:
    first, second = shorten(pair.first, 24), shorten(pair.second, 24)
    ways = ((pair.first_as_second, first, second), (pair.second_as_first, second, first))
    return ", ".join(f"{true} → {answered}: {n:,}" for n, true, answered in ways if n)


@dataclass(frozen=True)
class CountTable:
    """Images by class and part, with totals; `copies` adds what offline augmentation made of the training part."""

    parts: tuple[str, ...]
    rows: list[tuple[str, list[int]]]
    totals: list[int]


def count_table(counts: Mapping[str, Mapping[str, int]], classes: Sequence[str], copies: int) -> CountTable:
    """Return the images by class (down) and part (across); with offline copies the augmented training part as a column of its own."""
    parts = tuple(part for part in PARTS if sum(counts.get(part, {}).values()))
    columns = [counts[part] for part in parts]
    if copies and "train" in parts:
        at = parts.index("train") + 1
        columns.insert(at, {name: n * (1 + copies) for name, n in counts["train"].items()})
        parts = (*parts[:at], f"train with {count(copies)} {'copy' if copies == 1 else 'copies'}", *parts[at:])
    rows = [(name, [column.get(name, 0) for column in columns]) for name in classes]
    return CountTable(parts, rows, [sum(row[1][i] for row in rows) for i in range(len(parts))])


@dataclass(frozen=True)
class Setting:
    """One field of the recipe: name, value, the default it differs from ("" if it does not) and what it means."""

    name: str
    value: str
    default: str
    meaning: str


_ALWAYS: Final = ("seed", "data.sources", "network.kind")
_TRAINING: Final = ("optimizer", "learning_rate", "momentum", "loss", "batch_size", "epochs", "schedule", "early_stopping", "monitor")
_BLOCKS: Final = ("filters", "convolutions", "kernel_size", "padding", "pool", "batch_norm", "block_dropout")
_NETWORK: Final = (*_BLOCKS, "dense", "dense_dropout", "activation", "dense_activation", "initialisation")
ASKED: Final = (*(f"train.{name}" for name in _TRAINING), *(f"network.{name}" for name in _NETWORK))  # hyper-parameters that a sheet asks for


def settings(recipe: Recipe, always: Collection[str] = ()) -> tuple[list[Setting], list[Setting]]:
    """Return the fields that differ from their defaults, and the rest; always among the first: seed, sources and kind of network, and those named."""
    network = recipe.network.model_dump() if isinstance(recipe.network, OwnNetwork) else {"kind": recipe.network.kind}
    defaults, meanings = flat(Recipe.model_validate({"network": network})), describe(recipe)
    changed: list[Setting] = []
    rest: list[Setting] = []
    for name, value in flat(recipe).items():
        if name in ("name", "why", "notes"):
            continue
        differs = value != defaults[name]
        item = Setting(name, setting_text(value), setting_text(defaults[name]) if differs else "", meanings[name])
        (changed if differs or name in (*_ALWAYS, *always) else rest).append(item)
    return changed, rest


def setting_text(value: Any) -> str:
    """Write a recipe's value for a reader: yes and no, lists with commas, "not set" for None."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(setting_text, value)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {setting_text(item)}" for key, item in value.items())
    return f"{value:,}" if isinstance(value, int) and abs(value) < 10**9 else f"{value:g}" if isinstance(value, float) else str(value) or "none"


def time_rows(times: Sequence[Mapping[str, Any]], setup_s: float | None) -> list[tuple[str, str, str]]:
    """Return (what, how long, remark) for set-up, training and evaluation apart; the first epoch, which warms up, is not in the medians."""
    rows = [] if setup_s is None else [("Set-up", duration(setup_s), "data, splits and network, before the first step")]
    if not times:
        return rows
    train, evaluate = [float(t["train_s"]) for t in times], [float(t["evaluate_s"]) for t in times]
    steady = times[1:] or times
    median = statistics.median(float(t["train_s"]) for t in steady)
    speed = statistics.median(float(t["images"]) / max(float(t["train_s"]), 1e-9) for t in steady)
    rows.append(("Training", duration(sum(train)), f"{len(times)} epochs; median {duration(median)} an epoch, {count(speed)} images a second"))
    rows.append(("Evaluation", duration(sum(evaluate)), "after each epoch"))
    return [*rows, ("Together", duration(sum(train) + sum(evaluate) + (setup_s or 0)), "")]


def environment_rows(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (name, value) of the environment, nested names joined by a space; what is None is not there and left out."""
    flat_facts: dict[str, Any] = {}
    for name, value in environment.items():
        flat_facts |= {f"{name} {inner}": item for inner, item in value.items()} if isinstance(value, Mapping) else {name: value}
    return [(name, setting_text(tuple(v) if isinstance(v, list) else v)) for name, v in flat_facts.items() if v is not None]


def score_text(score: Score) -> tuple[str, str]:
    """Write a share and its interval: "97.8 %", " (95 % interval 95.0 to 98.6 %)"."""
    if score.get("low") is None:
        return percent(score["value"]), ""
    return percent(score["value"]), f" ({score['level'] * 100:g}{PERCENT} interval {percent_range(score['low'], score['high'])})"
