"""From a comparison of runs to sentences: each says only what its numbers show, and says so where they cannot tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rung.study.amounts import name_text, range_text, size_text
from rung.study.compare import Comparison, Contrast
from rung.study.overlap import SameErrors
from rung.words import PERCENT, count, listing, percent, quoted

_ALIKE: Final = 0.05  # overlaps that differ by less are called the same
_FAR: Final = 0.2  # two recipes whose seeds overlap so differently are no measure of what is usual


def verdict(comparison: Comparison) -> str:
    """Return in a sentence which group is best, or that it cannot be told."""
    names = [group.name for group in comparison.groups]
    if comparison.differing:
        return f"These runs differ in more than their recipe ({listing([one.field for one in comparison.differing])}): their scores do not rank them."
    if len(names) == 1:
        return f"One recipe, {len(comparison.groups[0].runs)} seeds."
    beaten = {name: [c for c in comparison.contrasts if c.better is not None and name in (c.first, c.second) and c.better != name] for name in names}
    best = [name for name in names if not beaten[name]]
    name = name_text(comparison.metric)
    if len(best) == 1:
        return f"{quoted(best[0])} is the best by {name}: it is better than {'the other' if len(names) == 2 else 'each of the others'}."
    if len(best) == len(names):
        return f"Which is better by {name} cannot be told from these runs."
    return f"By {name} {listing([quoted(name) for name in best])} cannot be told apart; {listing([quoted(n) for n in names if n not in best])} " + (
        "is worse than one of them." if len(names) - len(best) == 1 else "are each worse than one of them."
    )


def differences(comparison: Comparison) -> Iterator[str]:
    """Yield a sentence for each pair of groups."""
    for contrast in comparison.contrasts:
        yield _difference(comparison, contrast)


def _difference(comparison: Comparison, contrast: Contrast) -> str:
    found, share = contrast.difference, comparison.share
    first, second = quoted(contrast.first), quoted(contrast.second)
    if found.low is None or found.high is None:
        return f"{first} and {second}: the difference is {size_text(found.estimate, share)}, and this metric gives no interval for single runs: run more seeds."
    over = f"over {found.covers}, {'on the same images' if found.paired else 'each on images of its own'}"
    if contrast.better is None or comparison.differing:
        said = f"second minus first: {range_text(found.low, found.high, share)}, {over}"
        return f"{first} and {second} {'differ by' if contrast.better else 'cannot be told apart:'} {size_text(abs(found.estimate), share)} ({said})."
    worse = first if contrast.better == contrast.second else second
    low, high = sorted((abs(found.low), abs(found.high)))
    between = f"{size_text(low, share).removesuffix(' points')} to {size_text(high, share).removesuffix(' points')}"
    return f"{quoted(contrast.better)} is better than {worse} by {size_text(abs(found.estimate), share)} ({between}, {over})."


def errors(comparison: Comparison) -> Iterator[str]:
    """Yield for each pair of groups whether they make the same errors."""
    for contrast in comparison.contrasts:
        same = contrast.errors
        if same is None:
            continue
        yield _same_errors(contrast, same)


def _same_errors(contrast: Contrast, same: SameErrors) -> str:
    first, second = quoted(contrast.first), quoted(contrast.second)
    fewer, more, number = (first, second, same.first_only) if same.first_only <= same.second_only else (second, first, same.second_only)
    said = (
        f"Of the {_images(number + same.both_wrong)} that {fewer} gets wrong {more} gets {_number(same.both_wrong)} wrong too; were errors to fall anywhere it "
        f"would be {_number(same.by_accuracy)}, within each class {_number(same.by_class)}"
    )
    if same.overlap is None:
        return f"{said}."
    return f"{said}. Overlap {same.overlap:.2f} (0: as chance, 1: all that the accuracies allow){_beside(contrast, same.overlap, same.within)}."


def _beside(contrast: Contrast, overlap: float, within: tuple[float | None, float | None]) -> str:
    """Compare with the overlap of two trainings of one recipe, where there are some; nothing is concluded where the recipes differ much in it."""
    known = {name: value for name, value in zip((contrast.first, contrast.second), within, strict=True) if value is not None}
    if not known:
        return ""
    shown = f"; {listing([f'between seeds of {quoted(name)} {value:.2f}' for name, value in known.items()])}"
    least, most = min(known.values()), max(known.values())
    if most - least >= _FAR:
        return shown
    return f"{shown}: {'as alike as two seeds of one recipe' if overlap >= least - _ALIKE else 'other errors than another seed of one recipe makes'}"


def _number(number: float) -> str:
    """Write a count that may be a mean."""
    whole = abs(number - round(number)) < 0.05
    return count(round(number)) if whole or number >= 100 else f"{number:.1f}"


def _images(number: float) -> str:
    shown = _number(number)
    return f"{shown} {'image' if shown == '1' else 'images'}"


def intervals(comparison: Comparison) -> str:
    """Return in words what the intervals are."""
    several = [group.name for group in comparison.groups if len(group.runs) > 1]
    said = f"Intervals of scores are at {comparison.level * 100:g}{PERCENT}: over images for a single run, the network held fixed"
    said += ", over seeds for several runs of one recipe, the images held fixed." if several else "."
    if len(comparison.contrasts) > 1:
        said += f" Those of the {len(comparison.contrasts)} differences are at {percent(comparison.joint_level, 2)} each, so that all hold together at "
        said += f"{comparison.level * 100:g}{PERCENT}."
    return said
