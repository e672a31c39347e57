"""Labels that are likely wrong, each judged by a probe that never saw its image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.audit import noise
from rung.audit.material import SHOWN, Material, shown
from rung.audit.order import renumbered
from rung.audit.problem import Problem, Severity
from rung.audit.shuffled import misplaced
from rung.data.imageset import PARTS
from rung.words import count, percent, percent_range, plural

NAME: Final = "label-errors"
_FEWEST: Final = 20  # rows a class, on average: with fewer the probabilities are too rough
_SURE: Final = 4.0  # standard deviations: no clean set of 200 images or more came near it
_PAIRS: Final = 12  # pairs of classes that are looked at
_EXCHANGED: Final = 0.08  # share of exchanged labels of a pair that is worth a word
_EXCHANGED_MUCH: Final = 0.2  # from here on it is a warning; sharks and dolphins of CIFAR-100 seem to have 0.19
_EXCHANGED_SURE: Final = 18.0  # log likelihood ratio, with the logarithm of all pairs added; half of CIFAR-100 reaches 15 at such a share
_FLOORS: Final[tuple[tuple[float, Severity], ...]] = ((0.25, "error"), (0.01, "warning"), (0.002, "note"))  # share of wrong labels that is passed, surely


def likely_errors(material: Material) -> list[Problem]:
    """Labels that do not fit their images, by a probe trained on the other images: likely label errors, none of which is changed."""
    probe = material.probe
    apart = [found.positions for found in (*misplaced(material), *(other for _, other in renumbered(material)))]
    judged = np.setdiff1d(np.arange(len(probe.rows)), np.concatenate(apart)) if apart else np.arange(len(probe.rows))
    labels = probe.labels[judged]
    if len(judged) < _FEWEST * probe.classes or len(np.unique(labels)) < 2:
        return []
    pairs = list(_between_two(material, judged))
    found = noise.estimate(probe.class_scores(probe.parts)[judged], labels, material.seed)
    passed = next(((floor, severity) for floor, severity in _FLOORS if found.more_than(floor) >= _SURE), None)
    if passed is None:
        return pairs
    floor, severity = passed
    suspects = np.flatnonzero((found.blind > 0.5) & (found.likely != labels))
    suspects = suspects[np.argsort(-found.blind[suspects], kind="stable")]
    right = float(found.blind[suspects].sum())
    shares = np.bincount(labels, minlength=probe.classes) / len(labels)
    unlucky = 1 - float((shares**2).sum())  # a blind label is right by luck now and then
    wrong = found.share * unlucky
    low, high = (share * unlucky for share in found.range())
    rows, names = probe.rows[judged[suspects]], material.images.classes
    numbers = {
        "share_wrong": wrong,
        "share_wrong_low": low,
        "share_wrong_high": high,
        "suspects": len(rows),
        "suspects_expected_wrong": right,
        "deviations_above_0.2_percent": found.more_than(0.002),
    }
    numbers |= {f"suspects_{PARTS[part]}": int((probe.part[judged[suspects]] == part).sum()) for part in probe.parts}
    first = ""
    if len(rows):
        first = f": first {material.images.sources[rows[0]]}, labelled {names[labels[suspects[0]]]}, looks like {names[found.likely[suspects[0]]]}"
    return [
        Problem(
            NAME,
            severity,
            f"About {percent(wrong)} of the labels seem to be wrong: an estimate, {percent_range(low, high)} at {percent(noise.LEVEL, 0)} confidence, "
            f"surely more than {percent(floor * unlucky)}. Which they are is known of some only: {plural(len(rows), 'image')} of {count(len(judged))} "
            f"looked at {'stands' if len(rows) == 1 else 'stand'} out, of which about {count(round(right))} should be label errors{first}.",
            "Look through the images shown and correct the labels where they are kept; nothing is changed by itself. Errors between classes that look alike, "
            "and errors that repeat by a rule, are not counted here.",
            shown([(int(row),) for row in rows[:SHOWN]]),
            len(rows),
            numbers,
            {int(row): f"looks like {names[looks]}" for row, looks in zip(rows[:SHOWN], found.likely[suspects], strict=False)},
        ),
        *pairs,
    ]


def enough(material: Material) -> bool:
    """Return whether there are images enough to judge labels."""
    return sum(material.splits.counts().values()) >= _FEWEST * len(material.images.classes)


def _between_two(material: Material, judged: npt.NDArray[np.int64]) -> Iterator[Problem]:
    """Find pairs of classes whose labels are exchanged more often than their likeness explains, among those that are confused most."""
    probe, names = material.probe, material.images.classes
    if probe.classes < 3:  # of two classes, exchanged labels are blind labels
        return
    labels, scores = probe.labels[judged], probe.class_scores(probe.parts)[judged].astype(np.float64)
    counts = np.zeros((probe.classes, probe.classes))
    np.add.at(counts, (labels, scores.argmax(1)), 1)
    counts /= np.maximum(counts.sum(1, keepdims=True), 1)
    one, other = np.triu_indices(probe.classes, 1)
    confused = np.argsort(-(counts + counts.T)[one, other], kind="stable")[:_PAIRS]
    for a, b in zip(one[confused], other[confused], strict=True):
        both = np.flatnonzero((labels == a) | (labels == b))
        is_first = labels[both] == a
        if min(is_first.sum(), (~is_first).sum()) < _FEWEST:
            continue
        found = noise.exchange(scores[both, a] - scores[both, b], is_first)
        if max(found.first, found.second) < _EXCHANGED or found.gain < _EXCHANGED_SURE + np.log(len(one)):
            continue
        order = np.argsort(-found.wrong, kind="stable")
        suspects = probe.rows[judged[both[order[found.wrong[order] > 0.5]]]]
        yield Problem(
            NAME,
            "warning" if max(found.first, found.second) >= _EXCHANGED_MUCH else "note",
            f"{names[a]} and {names[b]} seem to be exchanged: about {percent(found.second)} of the images of {names[a]} are labelled {names[b]}, about "
            f"{percent(found.first)} the other way. {count(len(suspects))} images stand out.",
            "Look through the images shown and correct the labels where they are kept; nothing is changed by itself. If they are right, the two classes hold "
            "images of one kind.",
            shown([(int(row),) for row in suspects]),
            len(suspects),
            {"exchanged_one_way": found.second, "exchanged_other_way": found.first, "log_likelihood_ratio": found.gain},
        )
