"""Labels that do not belong to their images: shuffled in the whole set, in one part, in a run of rows.

A probe that learns from the other images says what each image is. Where labels belong to images, it agrees with them more often than with the same
labels dealt anew; where they do not, it cannot.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from rung.audit.material import SHOWN, Material, Misplaced, shown
from rung.audit.order import renumbered
from rung.audit.probe import Probe, one_hot
from rung.audit.problem import Problem
from rung.audit.runs import best_run
from rung.data.imageset import PARTS
from rung.words import count, percent

NAME: Final = "shuffled-labels"
_FEWEST: Final = 200  # rows to say anything on
_SEEN: Final = 4.0  # standard deviations above labels dealt anew from which labels belong to their images
_DUE: Final = 8.0  # standard deviations that a part must be expected to show, being as sound as the others, before it is accused
_CHANCE: Final = 0.001  # probability that a run of rows as odd is anywhere in a sound part
_LEFT: Final = 0.3  # a run of rows is called shuffled where less than this share of the agreement of the rest is left
_MOST_RUNS: Final = 5
_FEWEST_SLIPPED: Final = 20
_SLIPS: Final = (1, -1, 2, -2, 3, -3)

Ints = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float64]


def shuffled(material: Material) -> list[Problem]:
    """Labels shuffled against their images: all of them, those of one part, or a run of rows; by a probe that did not see them."""
    return [found.problem for found in misplaced(material)]


def enough(material: Material) -> bool:
    """Return whether there are images enough to say anything on."""
    return sum(material.splits.counts().values()) >= max(_FEWEST, 5 * len(material.images.classes))


def misplaced(material: Material) -> list[Misplaced]:
    """Return what `shuffled` finds, with the rows that it concerns; a part that numbers its classes otherwise is another matter."""
    probe = material.probe
    if len(probe.rows) < max(_FEWEST, 5 * probe.classes) or len(np.unique(probe.labels)) < 2:
        return []
    evidence = {(fitted, part): _evidence(probe, fitted, part) for fitted in probe.parts for part in probe.parts}
    best = {part: max(evidence[fitted, part] for fitted in probe.parts) for part in probe.parts}
    sound = [part for part in probe.parts if best[part] >= _SEEN]
    if not sound:
        return [_everywhere(material, max(best.values()))]
    found = []
    otherwise = {part for part, _ in renumbered(material)}
    for part in probe.parts:
        if part in otherwise:
            continue
        where = np.flatnonzero(probe.part == part)
        if part not in sound:
            due = max(evidence[s, s] * np.sqrt(len(where) / (probe.part == s).sum()) for s in sound)
            if due >= _DUE:
                found.append(_whole_part(material, where, part, best[part], float(due)))
        else:
            fitted = max(probe.parts, key=lambda f: evidence[f, part])
            found += _runs(material, where, fitted, part)
    return found


def _evidence(probe: Probe, fitted: int, part: int) -> float:
    """Return by how many standard deviations the scores agree better with the labels than with the same labels dealt anew.

    The mean and variance under all permutations are exact (W. Hoeffding, "A combinatorial central limit theorem", 1951).
    """
    where = np.flatnonzero(probe.part == part)
    return _agreement(probe.class_scores((fitted,))[where].astype(np.float64), probe.labels[where])


def _agreement(scores: Vector, labels: Ints) -> float:
    counts = np.bincount(labels, minlength=scores.shape[1])
    scores = scores - scores.mean(0)
    scores -= (scores @ counts / len(labels))[:, None]
    variance = (scores**2 @ counts).sum() / max(len(labels) - 1, 1)
    return float(scores[np.arange(len(labels)), labels].sum() / np.sqrt(variance)) if variance > 0 else 0.0


def _everywhere(material: Material, evidence: float) -> Misplaced:
    probe = material.probe
    everything = np.arange(len(probe.rows))
    sure = len(probe.rows) >= 1000
    return Misplaced(
        everything,
        Problem(
            NAME,
            "error" if sure else "warning",
            f"No label can be told from its image better than by chance ({evidence:.1f} standard deviations above labels dealt anew, "
            f"{count(len(everything))} images looked at): labels and images seem to be shuffled against each other.{_slip_of_all(probe)}",
            "Compare some images with their labels by eye. If they belong together, the classes differ in nothing that colours and small patches show.",
            shown([(int(row),) for row in probe.rows[:SHOWN]]),
            len(everything),
            {"deviations": evidence, "rows": len(everything)},
        ),
    )


def _whole_part(material: Material, where: Ints, part: int, evidence: float, due: float) -> Misplaced:
    probe = material.probe
    sound = max(probe.parts, key=lambda p: _evidence(probe, p, p))
    slip = _slip(probe, where, sound)
    return Misplaced(
        where,
        Problem(
            NAME,
            "error",
            f"The labels of the {PARTS[part]} part do not belong to its images: they agree with a probe no better than labels dealt anew "
            f"({evidence:.1f} standard deviations above them, where {due:.0f} were due from the {PARTS[sound]} part).{slip}",
            f"Compare some {PARTS[part]} images with their labels by eye, and load the part again: images and labels must be in the same order.",
            shown([(int(row),) for row in probe.rows[where[:SHOWN]]]),
            len(where),
            {"deviations": evidence, "deviations_due": due, "rows": len(where)},
        ),
    )


def _runs(material: Material, where: Ints, fitted: int, part: int) -> list[Misplaced]:
    """Return the runs of rows in which the probe agrees with the labels as if by chance, one after the other, the clearest first.

    Each row adds a log likelihood ratio, agreement by chance against that usual for its class. The exponential of such a sum is a martingale where all
    is sound, so a run of n rows anywhere reaches x with probability n exp(-x) at most (J. Ville's inequality); the best run is the maximal sum.
    """
    probe = material.probe
    labels, said = probe.labels[where], probe.said(where, (fitted,))
    hits = (said == labels).astype(np.float64)
    by_chance = np.bincount(said, minlength=probe.classes) / len(said)
    found: list[Misplaced] = []
    free = np.ones(len(where), bool)
    while len(found) < _MOST_RUNS:
        usual = np.bincount(labels[free], hits[free], probe.classes) / np.maximum(np.bincount(labels[free], minlength=probe.classes), 1)
        usual, chance = np.clip(usual, 0.01, 0.99)[labels], np.clip(by_chance, 0.01, 0.99)[labels]
        terms = np.where(hits > 0, np.log(chance / usual), np.log((1 - chance) / (1 - usual)))
        terms[(usual <= 1.5 * chance) & free] = 0  # a class that the probe does not know says nothing
        terms[~free] = -1e9
        start, stop, total = best_run(terms)
        agrees, due, guessed = hits[start:stop].mean(), usual[start:stop].mean(), chance[start:stop].mean()
        if len(where) * np.exp(-total) > _CHANCE or agrees - guessed > _LEFT * (due - guessed):
            return found
        found.append(_run(material, where[start:stop], fitted, part, (float(agrees), float(due), float(guessed), float(total))))
        free[start:stop] = False
    return found


def _run(material: Material, positions: Ints, fitted: int, part: int, figures: tuple[float, float, float, float]) -> Misplaced:
    probe, (agrees, due, guessed, total) = material.probe, figures
    first, last = (int(probe.rows[positions[k]]) for k in (0, -1))
    where = f"About {count(last - first + 1)} rows of the {PARTS[part]} part, from {material.images.sources[first]} to {material.images.sources[last]},"
    return Misplaced(
        positions,
        Problem(
            NAME,
            "error",
            f"{where} carry labels that do not belong to their images: a probe agrees with {percent(agrees)} of them, {percent(guessed)} would be chance, "
            f"{percent(due)} are usual.{_slip(probe, positions, fitted)}",
            "Compare some of these images with their labels by eye, and load these rows again: images and labels must be in the same order.",
            shown([(int(row),) for row in probe.rows[positions[len(positions) // 4 :][:SHOWN]]]),
            len(positions),
            {
                "first_row": first,
                "last_row": last,
                "rows": len(positions),
                "agreement": agrees,
                "agreement_by_chance": guessed,
                "agreement_usual": due,
                "log_likelihood_ratio": total,
            },
        ),
    )


def _slip_of_all(probe: Probe) -> str:
    """Return a sentence if all labels belong to the images some rows before or after, nothing if not; only where every row was looked at."""
    if (np.diff(probe.rows) != 1).any():
        return ""
    slipped = [np.roll(probe.labels, -slip) for slip in _SLIPS]
    scores = probe.scores(np.concatenate([one_hot(labels, probe.classes) for labels in slipped], axis=1), probe.parts).astype(np.float64)
    for k, (slip, labels) in enumerate(zip(_SLIPS, slipped, strict=True)):
        if _agreement(scores[:, k * probe.classes : (k + 1) * probe.classes], labels) >= _DUE:
            return _slipped(slip)
    return ""


def _slipped(slip: int) -> str:
    by = f"{abs(slip)} row{'s' if abs(slip) > 1 else ''}"
    return f" They belong to the images {by} {'before' if slip > 0 else 'after'} theirs: one side has slipped."


def _slip(probe: Probe, positions: Ints, fitted: int) -> str:
    """Return a sentence if the labels belong to the images some rows before or after, nothing if not; only where those rows were looked at.

    They may lie in another part: where a part is drawn from rows that slipped, both have.
    """
    labels, said = probe.labels[positions], probe.said(np.arange(len(probe.rows)), (fitted,))
    shares = np.bincount(labels, minlength=probe.classes) / len(labels)
    for slip in _SLIPS:
        wanted = probe.rows[positions] - slip
        theirs = np.minimum(np.searchsorted(probe.rows, wanted), len(probe.rows) - 1)
        there = probe.rows[theirs] == wanted
        ours = said[theirs[there]]
        agreed, expected, spread = (labels[there] == ours).sum(), shares[ours].sum(), np.sqrt((shares[ours] * (1 - shares[ours])).sum())
        if there.sum() >= _FEWEST_SLIPPED and agreed > expected + 6 * spread and agreed > 1.5 * (labels == said[positions]).sum():
            return _slipped(slip)
    return ""
