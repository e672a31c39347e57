"""What tells the class of an image, or the part it is in, without what it shows: facts of its file, and the colour of its border.

A classifier of a few numbers is asked, out of fold, and what it is right about is held against what the picture gives away by nature: the size
of a file against brightness, contrast and sharpness of the picture, for plain skies pack well; the border against what it encloses, for
both are blue where ships are. Only what is known beyond that is a shortcut. Classifier: a small tree (L. Breiman et al., "Classification and
regression trees", 1984), which follows formats and sizes alike, and several of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from rung import keys
from rung.audit.drift import ranked_above, statistics
from rung.audit.material import SHOWN, Material, shown
from rung.audit.probe import FOLDS
from rung.audit.problem import Problem, Severity
from rung.data.imageset import FORMATS, PARTS, TRAIN, ImageSet
from rung.data.units import units
from rung.words import count, listing, percent, quoted

NAME: Final = "shortcuts"
_ROWS: Final = 5_000  # images looked at, of larger sets a random sample
_FEWEST: Final = 12  # images of a class, or of a part, to say anything on
_LEAVES: Final = 100  # of a tree, at most
_LEAF: Final = 12  # images in a leaf, at least
_SURE: Final = 5.0  # standard deviations
_BORDER: Final = 16  # pixels a side below which the outermost ring is most of the picture
_CLASS: Final = (0.75, 0.15)  # how often a class, of one image of it and one other, is named rightly, at least; and how much that is above what is natural
_PART: Final = (0.60, 0.10)  # the same of a part, which nothing tells by nature
_PERFECT: Final = 0.95  # share of images whose class is told, averaged over classes, from which on a score says nothing
_CERTAIN: Final = 0.999  # how often a class is ranked rightly by facts of files, from which on its own score says nothing
_COLOURED: Final = 0.95  # how often the mean colour ranks rightly, as a mean over classes or for one of them, worth a note
_LISTED: Final = 4
_BORDER_COLOUR: Final = "border colour"
_SIZE: Final = "file size"
_BY_NATURE: Final = "what goes with it by nature (brightness, contrast, sharpness, colour, dimensions, format, quality)"

Vector = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Typical = Callable[[npt.NDArray[np.bool_]], str]  # what some rows are mostly like, in words


@dataclass(frozen=True)
class _Question:
    """Of which kind each row is: of which class, or of which of two parts.

    at: int64 (n,), places among the rows that are looked at; kind: int64 (n,), 0..K-1; names: of the kinds; judged: kinds of which enough rows are there.
    strata: int64 (n,), only rows of one stratum are ranked against each other; fold: int64 (n,), twins and groups share one.
    """

    at: Ints
    kind: Ints
    names: tuple[str, ...]
    judged: Ints
    strata: Ints
    fold: Ints
    part: int = TRAIN  # TRAIN: classes are asked for

    def where(self, wanted: npt.NDArray[np.bool_]) -> _Question:
        """Return the question on some rows only."""
        return _asked(self.at[wanted], self.kind[wanted], self.names, self.strata[wanted], self.fold[wanted], self.part)


@dataclass(frozen=True)
class _Answer:
    """How well the kinds are told, float64 (J,) of those judged, beyond what is natural.

    scores: (n,K), out of fold. area: how often a row of the kind is ranked above another; natural: the same from what tells by nature; error: the
    standard deviation of their difference by chance. right: share of rows whose kind is told, averaged over kinds.
    """

    scores: Vector
    area: Vector
    natural: Vector
    error: Vector
    right: float

    @property
    def gain(self) -> Vector:
        """What is known beyond what is natural, (J,)."""
        return self.area - self.natural

    def concerned(self, least: float, least_gain: float) -> Ints:
        """Return places in `judged` of the kinds that are told too well, the clearest first; all that gain so much where only their mean is sure."""
        clear = (self.area >= least) & (self.gain >= np.maximum(least_gain, _SURE * self.error))
        if not clear.any():
            of_mean = float(np.sqrt((self.error**2).sum())) / max(1, len(self.area))
            as_one = len(self.area) > 0 and self.area.mean() >= least and self.gain.mean() >= max(least_gain, _SURE * of_mean)
            clear = (self.gain >= least_gain) & as_one
        order = np.argsort(-self.gain, kind="stable")
        return order[clear[order]]


@dataclass(frozen=True)
class _Sample:
    """The rows that are looked at, int64 (n,), ascending, of these images; their parts, int8 (n,), and folds, int64 (n,)."""

    images: ImageSet
    rows: Ints
    part: npt.NDArray[np.int8]
    fold: Ints

    @cached_property
    def shows(self) -> Vector:
        """Plain figures of each picture that go with the size of its file by nature, (n,F)."""
        return np.stack(list(statistics(self.images.images, self.rows).values()), axis=1)

    @cached_property
    def colours(self) -> tuple[Vector, Vector]:
        """Mean colours of the border and of what it encloses, each (n,C)."""
        return border_and_inner(self.images.images, self.rows)


def shortcuts(material: Material) -> list[Problem]:
    """Shortcuts: whether file size, dimensions, format, JPEG quality, border or mean colour tell an image's class, or the part it is in, from nothing else."""
    sample = _sampled(material)
    return [found for asked in _questions(sample) for found in (*_of_files(sample, asked, material.seed), *_of_colours(sample, asked, material.seed))]


def _sampled(material: Material) -> _Sample:
    part = material.part_of()
    rows = np.flatnonzero(part >= 0)
    rows = np.sort(rows[keys.permutation(material.seed, "shortcut rows", 0, len(rows))[:_ROWS]])
    unit = units(material.images, material.twins)[rows]
    return _Sample(material.images, rows, part[rows], keys.row_keys(keys.stream(material.seed, "shortcut folds"), unit) % FOLDS)


def _questions(sample: _Sample) -> Iterator[_Question]:
    """Ask for the class, and for each other part whether an image is of it or of train, among images of one class."""
    labels, names = sample.images.labels[sample.rows], sample.images.classes
    classes, kind = np.unique(labels, return_inverse=True)
    called = tuple(quoted(names[label]) if 0 <= label < len(names) else str(label) for label in classes.tolist())
    yield _asked(np.arange(len(labels)), kind.astype(np.int64), called, sample.fold, sample.fold)
    for other in range(1, len(PARTS)):
        at = np.flatnonzero((sample.part == TRAIN) | (sample.part == other))
        kind = (sample.part[at] == other).astype(np.int64)
        yield _asked(at, kind, (PARTS[TRAIN], PARTS[other]), labels[at] * FOLDS + sample.fold[at], sample.fold[at], other)


def _asked(at: Ints, kind: Ints, names: tuple[str, ...], strata: Ints, fold: Ints, part: int = TRAIN) -> _Question:
    enough = np.flatnonzero(np.bincount(kind, minlength=len(names)) >= _FEWEST)
    if len(enough) < 2:
        enough = enough[:0]
    return _Question(at, kind, names, enough if part == TRAIN else enough[enough > 0], strata, fold, part)


def _answer(values: Vector, question: _Question, seed: int, nature: _Answer | None = None) -> _Answer:
    """Let trees say the kinds from values float64 (n,F), each row by a tree that saw neither it nor its twins and company."""
    from sklearn.tree import DecisionTreeClassifier

    scores = np.zeros((len(question.at), len(question.names)))
    for fold in range(FOLDS):
        asked, known = question.fold == fold, question.fold != fold
        if asked.any() and len(np.unique(question.kind[known])) > 1:
            draw = keys.torch_seed(seed, "shortcut trees", fold) % 2**31
            tree = DecisionTreeClassifier(max_leaf_nodes=_LEAVES, min_samples_leaf=_LEAF, class_weight="balanced", random_state=draw)
            tree.fit(values[known], question.kind[known])
            scores[np.ix_(asked, tree.classes_)] = tree.predict_proba(values[asked])
    told = [ranked_above(scores[:, kind], question.kind == kind, question.strata) for kind in question.judged]
    area = np.array([a for a, _ in told])
    error = np.array([(a - 0.5) / sure if sure else 1.0 for a, sure in told])
    said = scores.argmax(axis=1) == question.kind
    right = float(np.mean([said[question.kind == kind].mean() for kind in np.unique(question.kind)]))
    natural = np.full(len(area), 0.5) if nature is None else np.maximum(nature.area, 0.5)
    return _Answer(scores, area, natural, error if nature is None else np.hypot(error, nature.error), right)


@dataclass(frozen=True)
class _Fact:
    """One kind of fact: what it is called, its numbers (n,F), what it is like in some of the rows, in words."""

    name: str
    values: Vector
    typical: Typical = lambda _: ""


def _of_files(sample: _Sample, question: _Question, seed: int) -> Iterator[Problem]:
    """Judge the facts of files, one by one, then together where none does it alone; the size beside all that goes with it by nature."""
    if sample.images.facts is None:
        return
    facts = sample.images.facts[sample.rows]
    question = question.where(facts["bytes"][question.at] > 0)
    if not len(question.judged):
        return
    varying = [fact for fact in _facts(facts[question.at]) if (fact.values != fact.values[:1]).any()]
    if not varying:
        return
    plain = [fact for fact in varying if fact.name != _SIZE]
    asked = [(fact, _answer(fact.values, question, seed)) for fact in plain]
    least = _CLASS if question.part == TRAIN else _PART
    if len(plain) > 1 and not any(len(answer.concerned(*least)) for _, answer in asked):
        together = _Fact(f"{listing([fact.name for fact in plain])} together", np.hstack([fact.values for fact in plain]))
        asked.append((together, _answer(together.values, question, seed)))
    if len(plain) < len(varying):
        others = np.hstack([sample.shows[question.at], *(fact.values for fact in plain)])
        nature = _answer(others, question, seed)
        asked.append((varying[-1], _answer(np.hstack([varying[-1].values, others]), question, seed, nature)))
    found = [(fact, answer) for fact, answer in asked if len(answer.concerned(*least))]
    if found:
        fact, answer = max(found, key=lambda one: float(one[1].gain.max()))
        also = [other.name for other, _ in found if other != fact]
        yield _problem(sample, question, answer, answer.concerned(*least), fact.name, _BY_NATURE if fact.name == _SIZE else "", fact.typical, also)


def _facts(facts: npt.NDArray[np.void]) -> list[_Fact]:
    height, width, size = (facts[name].astype(np.float64) for name in ("height", "width", "bytes"))
    short, long = np.minimum(height, width), np.maximum(height, width)

    def dimensions(which: npt.NDArray[np.bool_]) -> str:
        return f"{np.median(width[which]):.0f} x {np.median(height[which]):.0f} pixels"

    def formats(which: npt.NDArray[np.bool_]) -> str:
        most = int(np.bincount(facts["format"][which]).argmax())
        return f"{percent(float((facts['format'][which] == most).mean()), 0)} {FORMATS[most]}"

    def qualities(which: npt.NDArray[np.bool_]) -> str:
        return f"quality {np.median(facts['quality'][which]):.0f}"

    def sizes(which: npt.NDArray[np.bool_]) -> str:
        return f"{count(float(np.median(size[which])))} bytes"

    return [
        _Fact("dimensions", np.stack([height, width, short / np.maximum(long, 1), height / np.maximum(width, 1), height * width], axis=1), dimensions),
        _Fact("format", (facts["format"][:, None] == np.arange(len(FORMATS))).astype(np.float64), formats),
        _Fact("JPEG quality", facts["quality"][:, None].astype(np.float64), qualities),
        _Fact(_SIZE, np.log(size)[:, None], sizes),
    ]


def _of_colours(sample: _Sample, question: _Question, seed: int) -> Iterator[Problem]:
    """Hold the border against what it encloses; remark on colours that do nearly all."""
    if not len(question.judged) or min(sample.images.images.shape[1:3]) < _BORDER:
        return
    border, inner = (colours[question.at] for colours in sample.colours)
    nature = _answer(inner, question, seed)
    answer = _answer(border, question, seed, nature)

    def typical(which: npt.NDArray[np.bool_]) -> str:
        return f"({', '.join(f'{value:.0f}' for value in np.median(border[which], axis=0))}) of 255"

    concerned = answer.concerned(*(_CLASS if question.part == TRAIN else _PART))
    if len(concerned):
        yield _problem(sample, question, answer, concerned, _BORDER_COLOUR, "the mean colour within", typical, [])
    elif question.part == TRAIN and nature.area.max() >= _COLOURED:
        yield _coloured(question, nature)


def _coloured(question: _Question, nature: _Answer) -> Problem:
    """Remark that the mean colour nearly tells all classes, or the class that it tells best."""
    if nature.area.mean() >= _COLOURED:
        area, which = float(nature.area.mean()), "an image of a class above one of another"
    else:
        best = int(nature.area.argmax())
        area, which = float(nature.area[best]), f"an image of {question.names[question.judged[best]]} above one of another class"
    return Problem(
        NAME,
        "note",
        f"The mean colour of an image nearly tells its class: a probe that sees no more ranks {which} in {percent(area)} of cases "
        f"({percent(0.5, 0)} would be chance) and is right on {percent(nature.right)} of the images.",
        "See that this is the nature of the classes, not of the light or the camera they were taken with.",
        numbers={"mean_area_under_curve": float(nature.area.mean()), "largest_area_under_curve": float(nature.area.max()), "right_share": nature.right},
    )


def border_and_inner(images: npt.NDArray[np.uint8], rows: Ints) -> tuple[Vector, Vector]:
    """Return mean colours (n,C), 0..255, of the outermost pixels, and of the middle, three quarters of each side, of some rows of uint8 (N,H,W,C)."""
    height, width = images.shape[1:3]
    down, right = height // 8, width // 8
    border, inner = np.empty((len(rows), images.shape[3])), np.empty((len(rows), images.shape[3]))
    for start in range(0, len(rows), 500):
        block = images[rows[start : start + 500]]
        ring = block.sum((1, 2), dtype=np.int64) - block[:, 1:-1, 1:-1].sum((1, 2), dtype=np.int64)
        border[start : start + 500] = ring / (2 * (height + width) - 4)
        inner[start : start + 500] = block[:, down : height - down, right : width - right].mean((1, 2))
    return border, inner


def _problem(sample: _Sample, question: _Question, answer: _Answer, concerned: Ints, what: str, nature: str, typical: Typical, others: list[str]) -> Problem:
    first, themselves = int(concerned[0]), concerned
    kind = int(question.judged[first])
    own, named = question.kind == kind, question.names[kind]
    area, natural, sure = float(answer.area[first]), float(answer.natural[first]), float(answer.gain[first] / answer.error[first])
    beside = f"{nature} alone would do in {percent(natural)}" if nature else f"{percent(0.5, 0)} would be chance"
    in_words = (typical(own), typical(~own))
    usual = f" Usual there: {in_words[0]}; elsewhere: {in_words[1]}." if all(in_words) else ""
    also = f" Its {listing(others)} {'tells' if len(others) == 1 else 'tell'} as much or less." if others else ""
    if question.part == TRAIN:
        themselves = _themselves(question, answer, concerned)
        more = f". Told so: {_listed([question.names[k] for k in question.judged[themselves]])}" if len(themselves) > 1 else ""
        told = f"The class of an image can be told from its {what}, whatever it shows: a probe ranks an image of {named} above one of another class"
        right = f"; it is right on {percent(answer.right)} of all, each class counted alike, by chance on {percent(1 / len(question.names))}"
        advice = (
            "Networks learn such marks in place of the classes, and fail where they are lacking: find out how the files of these classes came to differ, "
            "bring all images into one form (the same size, format, quality, border), or collect them in one way."
        )
    else:
        told = f"Whether an image is in {named} or in train can be told from its {what}, whatever it shows: a probe ranks one of {named} above one of train"
        right = more = ""
        advice = f"Make the images of {named} and of train in one way; else a score on {named} says how the network does on images of another making."
    clearest = np.flatnonzero(own)[np.argsort(-answer.scores[own, kind], kind="stable")]
    perfect = question.part == TRAIN and what != _BORDER_COLOUR and (answer.right >= _PERFECT or area >= _CERTAIN)
    severity: Severity = "error" if perfect else "warning"
    return Problem(
        NAME,
        severity,
        f"{told} in {percent(area)} of cases, where {beside} ({sure:.0f} standard deviations){right}{more}.{usual}{also}",
        advice,
        shown([(int(row),) for row in sample.rows[question.at[clearest[:SHOWN]]]]),
        int(own.sum()),
        {"area_under_curve": area, "natural_area_under_curve": natural, "deviations": sure, "right_share": answer.right, "classes": len(themselves)},
    )


def _themselves(question: _Question, answer: _Answer, concerned: Ints) -> Ints:
    """Return those of `concerned` that differ from the others themselves, not only from one that was named before them.

    Each is held against the kinds that are not named yet, and has to be told from them half as well as from all.
    """
    named = [concerned[0]]
    for place in concerned[1:]:
        kind = question.judged[place]
        left = ~np.isin(question.kind, question.judged[named])
        area, _ = ranked_above(answer.scores[left, kind], question.kind[left] == kind, question.strata[left])
        if (question.kind[left] == kind).all() or area - 0.5 >= (answer.area[place] - 0.5) / 2:
            named.append(place)
    return np.array(named)


def _listed(names: list[str]) -> str:
    return listing(names) if len(names) <= _LISTED else f"{', '.join(names[:_LISTED])} and {len(names) - _LISTED} other classes"
