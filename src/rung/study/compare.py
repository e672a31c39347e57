"""Finished runs beside each other: scores with intervals, paired differences, logs, confusions, and whether they make the same errors."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rung.errors import RunError
from rung.evaluate.intervals import Value, t_interval, without_interval
from rung.evaluate.metrics import Scores, confusion_table, score
from rung.evaluate.predictions import Predictions
from rung.store import atomic
from rung.study import alike, paired
from rung.study.alike import Differing
from rung.study.amounts import is_share
from rung.study.entry import Entry
from rung.study.measured import Floats
from rung.study.metrics import METRICS, Metric, check_metric, metric_named
from rung.study.naming import names_of, settings_apart
from rung.study.overlap import SameErrors, same_errors
from rung.study.paired import Interval, Places, Side
from rung.words import listing

_LOGGED: Final = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


@dataclass(frozen=True)
class Group:
    """The runs of one recipe, by rising seeds. value: their score, its interval over images for one run, over seeds for several; each: that of each run.

    parameters: of the network; settings: the fields of the recipe in which the groups differ, as text. categories: the accuracy by the categories that the
    recipe names, with an interval like that of value; None without them, or where the runs of the comparison name several.
    """

    name: str
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    value: Value
    each: tuple[Value, ...]
    parameters: int
    settings: Mapping[str, str]
    categories: Value | None = None


@dataclass(frozen=True)
class Contrast:
    """Two groups. difference: second minus first, in the metric's own direction; better: the name of the better one, None where it cannot be told.

    errors, confusion: None where they answered other images; confusion: mean counts of the second minus those of the first, rows true, columns answered.
    """

    first: str
    second: str
    difference: Interval
    better: str | None
    errors: SameErrors | None
    confusion: tuple[tuple[float, ...], ...] | None


@dataclass(frozen=True)
class Comparison:
    """Runs set beside each other on one part by one metric.

    level: of each score's interval; joint_level: of each difference, so that all of them hold together at `level`. lower_is_better: of the metric.
    differing: in what the runs differ that should be the same, empty unless they were compared all the same. logs: rows of metrics.jsonl by run.
    wrong_in_all: rows that every run gets wrong, None where they answered other images. notes: what a reader should know, in sentences.
    """

    metric: str
    part: str
    images: int
    classes: tuple[str, ...]
    level: float
    joint_level: float
    lower_is_better: bool
    share: bool
    groups: tuple[Group, ...]
    contrasts: tuple[Contrast, ...]
    differing: tuple[Differing, ...]
    logs: Mapping[str, Sequence[Mapping[str, Any]]]
    wrong_in_all: tuple[int, ...] | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values; the logs are those of the runs' metrics.jsonl and stay there."""
        return {name: value for name, value in asdict(self).items() if name != "logs"}


def compare(entries: Sequence[Entry], *, metric: str = "accuracy", part: str = "validation", anyway: bool = False, level: float = 0.95) -> Comparison:
    """Compare finished runs; runs of one recipe with several seeds are one group.

    Raises: RunError where a run lacks the part, or, unless `anyway`, where split, rows, preprocessing or metric differ; RecipeError for a metric
    that is not there.
    """
    _check_part(entries, part)
    entries, notes = _different(entries)
    for entry in entries:
        check_metric(metric, entry.recipe)
    differing = (*alike.differing(entries, tuple(dict.fromkeys(("train", part)))), *_own_metrics(entries, metric))
    if differing and not anyway:
        raise RunError(
            f"these runs cannot be ranked, for they differ in what must be the same: {'; '.join(one.sentence for one in differing)}. "
            "Train them on the same rows with the same preprocessing (--set split.seed=0 keeps the parts of several seeds the same), or compare them all the "
            "same with --anyway"
        )
    if any(entry.data["classes"] != entries[0].data["classes"] for entry in entries):
        raise RunError("runs of different classes have no score in common: compare runs of the same classes")
    groups = _grouped(entries)
    named = zip(groups, names_of(groups), settings_apart(groups), strict=True)
    made = [_group(group, name, settings, metric_named(metric), part, level) for group, name, settings in named]
    if len(_named_categories(entries)) == 1:
        made = [replace(one, categories=_categories(group, part, level)) for one, group in zip(made, groups, strict=True)]
    joint = 1 - (1 - level) / max(len(groups) * (len(groups) - 1) // 2, 1)
    contrasts = [
        _contrast((groups[i], made[i]), (groups[k], made[k]), metric_named(metric), part, joint) for i, k in itertools.combinations(range(len(groups)), 2)
    ]
    return Comparison(
        metric=metric,
        part=part,
        images=entries[0].scores[part].images,
        classes=entries[0].scores[part].classes,
        level=level,
        joint_level=joint,
        lower_is_better=metric_named(metric).sign < 0,
        share=is_share(metric),
        groups=tuple(made),
        contrasts=tuple(contrasts),
        differing=differing,
        logs={entry.id: [{key: row[key] for key in _LOGGED if key in row} for row in entry.rows] for entry in entries},
        wrong_in_all=_wrong_in_all(entries, part),
        notes=(*notes, *_notes(entries, made, part)),
    )


def _named_categories(entries: Sequence[Entry]) -> set[str]:
    return {entry.recipe.data.categories for entry in entries if entry.recipe.data.categories}


def _check_part(entries: Sequence[Entry], part: str) -> None:
    without = [entry.id for entry in entries if part not in entry.scores]
    if without:
        what = "open it with `rung test` when all is chosen, or compare on validation" if part == "test" else "compare on another part, with --part"
        raise RunError(f"{', '.join(without)} {'has' if len(without) == 1 else 'have'} no answers to the {part} part: {what}")


def _different(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Leave out runs whose weights another has, which would count one network twice; return the others, and what was left out in sentences."""
    first: dict[str, Entry] = {}
    notes = []
    for entry in entries:
        same = first.setdefault(str(entry.kept["weights_sha256"]), entry)
        if same is not entry:
            notes.append(f"{entry.id} is left out: it is the same network as {same.id}, weight for weight.")
    return list(first.values()), notes


def _own_metrics(entries: Sequence[Entry], metric: str) -> list[Differing]:
    """Return that a metric of the user's own is not the same code in all runs."""
    if metric in METRICS:
        return []
    first, *others = entries
    texts = {entry.id: _code(entry, metric) for entry in entries}
    differs = [other.id for other in others if texts[other.id] != texts[first.id]]
    return [Differing(f"metric {metric}", (first.id, differs[0]), ("its code", "other code"))] if differs else []


def _code(entry: Entry, metric: str) -> str:
    spec = next(spec for spec in entry.recipe.train.metrics if spec.rpartition(":")[2] == metric)
    path = entry.run.folder / spec.rpartition(":")[0]
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _grouped(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Return the runs by recipe, in the order of the first of each; within a group by seed."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.recipe_key, []).append(entry)
    return [sorted(group, key=lambda entry: entry.seed) for group in groups.values()]


def value_of(scores: Scores, metric: Metric) -> Value:
    """Return a score by the name of its metric, one's own too. Raises: RunError if the run was scored without it."""
    if metric.score in scores.own:
        return scores.own[metric.score]
    found = getattr(scores, metric.score, None)
    if not isinstance(found, Value) or found.value is None:
        raise RunError(f"the metric '{metric.name}' has no value on {scores.part}: choose another, such as accuracy")
    return found


def _group(group: Sequence[Entry], name: str, settings: Mapping[str, str], metric: Metric, part: str, level: float) -> Group:
    each = tuple(value_of(entry.scores[part], metric) for entry in group)
    value = _mean(group, each, metric, part, level)
    ids, seeds = tuple(entry.id for entry in group), tuple(entry.seed for entry in group)
    return Group(name, ids, seeds, value, each, int(group[0].kept.get("parameters", 0)), settings)


def _mean(group: Sequence[Entry], each: Sequence[Value], metric: Metric, part: str, level: float) -> Value:
    """Return the score of a group: that of its one run with its interval over images, or the mean over seeds."""
    return over_seeds(_values(each), level, metric, alike.same_rows_in_all(group, part)) if len(group) > 1 else each[0]


def _categories(group: Sequence[Entry], part: str, level: float) -> Value | None:
    """Return the accuracy of a group by its categories, None where its runs have none."""
    each = [coarse.accuracy for entry in group if (coarse := entry.scores[part].categories)]
    return _mean(group, each, METRICS["accuracy"], part, level) if len(each) == len(group) else None


def over_seeds(values: Floats, level: float, metric: Metric, same_images: bool) -> Value:
    """Return the mean of values (n,), one a seed, with Student's interval over seeds, of runs on other images over parts too; of a share it ends at 0 and 1.

    Where all are equal there is no interval: a coarse score says nothing of its spread.
    """
    if values.min() == values.max():
        return without_interval(float(values[0]), level, "all seeds have the same score: too coarse to tell a spread")
    mean = t_interval(values, level, 0.0 if metric.name in METRICS else -np.inf, 1.0 if metric.share else np.inf)
    return replace(mean, covers="seeds" if same_images else "seeds and parts")


def _values(each: Sequence[Value]) -> Floats:
    return np.array([value.value for value in each], dtype=np.float64)


def _contrast(first: tuple[list[Entry], Group], second: tuple[list[Entry], Group], metric: Metric, part: str, level: float) -> Contrast:
    same = alike.same_rows_in_all((*first[0], *second[0]), part)
    one, other = (_side(entries, metric, part, level, same) for entries, _ in (first, second))
    found = paired.difference(one, other, level, same_images=same)
    found = found.of_shares if metric.share else found
    higher = found.estimate > 0
    better = (second if higher == (metric.sign > 0) else first)[1].name if found.told_apart else None
    if not same:
        return Contrast(first[1].name, second[1].name, found, better, None, None)
    answers = [[entry.predictions(part) for entry in entries] for entries, _ in (first, second)]
    tables = [np.mean([confusion_table(predictions) for predictions in side], axis=0) for side in answers]
    apart = tuple(map(tuple, (tables[1] - tables[0]).tolist()))
    return Contrast(first[1].name, second[1].name, found, better, same_errors(answers[0], answers[1]), apart)


def _side(entries: Sequence[Entry], metric: Metric, part: str, level: float, same_images: bool) -> Side:
    each = [value_of(entry.scores[part], metric) for entry in entries]
    answers = [entry.predictions(part) for entry in entries]
    values, images = _values(each), None
    if metric.images is not None and same_images:
        images = np.stack([metric.images(predictions) for predictions in answers])
        values = images.mean(axis=1)
    whole = over_seeds(values, level, metric, same_images) if len(entries) > 1 else each[0]
    if len(entries) == 1 and not same_images and metric.name in METRICS:
        whole = value_of(score(answers[0], level=level), metric)

    def again(places: Places) -> float:
        return float(np.mean([value_of(score(_some(predictions, places), level=level), metric).value or 0.0 for predictions in answers]))

    return Side(tuple(entry.seed for entry in entries), values, whole, len(answers[0].labels), images, again if metric.name in METRICS else None)


def _some(predictions: Predictions, places: Places) -> Predictions:
    which = np.zeros(len(predictions.labels), dtype=bool)
    which[places] = True
    return predictions.take(which)


def _wrong_in_all(entries: Sequence[Entry], part: str) -> tuple[int, ...] | None:
    if not alike.same_rows_in_all(entries, part):
        return None
    answers = [entry.predictions(part) for entry in entries]
    wrong = np.all([predictions.answers() != predictions.labels for predictions in answers], axis=0)
    return tuple(answers[0].rows[wrong].tolist())


def _notes(entries: Sequence[Entry], groups: Sequence[Group], part: str) -> Iterator[str]:
    chosen = {entry.kept["how"].partition(" by ")[2] for entry in entries if entry.recipe.train.keep == "best" and entry.rows}
    if part == "validation" and chosen:
        yield f"These images chose the epoch of {'each' if len(chosen) == 1 else 'some'} run's weights, so the scores lean to the optimistic side, all alike."
    if len(chosen) > 1:
        yield f"The epochs were chosen by different measures ({' and '.join(sorted(chosen))}): whoever was chosen by the metric itself has the advantage."
    if part == "test":
        openings = sorted(entry.run.read_opening() for entry in entries if atomic.exists(entry.run.opening))
        yield f"These are test scores of openings {', '.join(map(str, openings))}: choosing by them makes the chosen one's score too good."
    if len(_named_categories(entries)) > 1:
        yield "Their recipes name different categories, so scores by categories are left out."
    single = [group.name for group in groups if len(group.runs) == 1]
    if len(groups) > 1 and single:
        alone = "is a single run" if len(single) == 1 else "are single runs"
        yield f"{listing(single)} {alone}: what another training would give is not in the intervals."


@dataclass(frozen=True)
class Missed:
    """An image that every run got wrong: uint8 (H,W,C), its class, what the first run of each group answered, where it came from."""

    image: npt.NDArray[np.uint8]
    true: str
    answers: Mapping[str, str]
    source: str


def missed(entries: Sequence[Entry], comparison: Comparison, most: int = 24) -> list[Missed]:
    """Return those of the images that all runs got wrong of which a run keeps a picture, for its report; at most so many."""
    part, by_id = comparison.part, {entry.id: entry for entry in entries}
    kept: dict[int, tuple[npt.NDArray[np.uint8], str]] = {}
    for entry in entries:
        kept = entry.pictures(part) | kept
    rows = [row for row in comparison.wrong_in_all or () if row in kept][:most]
    answers = {group.name: by_id[group.runs[0]].predictions(part) for group in comparison.groups}
    found = []
    for row in rows:
        place = {name: int(np.flatnonzero(predicted.rows == row)[0]) for name, predicted in answers.items()}
        said = {name: comparison.classes[predicted.logits[place[name]].argmax()] for name, predicted in answers.items()}
        first, predicted = next(iter(answers.items()))
        found.append(Missed(kept[row][0], comparison.classes[predicted.labels[place[first]]], said, kept[row][1]))
    return found
