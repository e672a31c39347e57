"""The named rules by which a step's candidate is kept: the referee's, the way another project chose, or one's own function.

Only `score` holds the error rate of the ladder. The others are there so that another's way of choosing can be replayed: the referee's verdict stands
beside what they keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rung import own
from rung.errors import RecipeError, did_you_mean, one_line
from rung.study.referee import Verdict
from rung.words import count, percent, points, quoted

_GAP_MARGIN: Final = 0.02  # of two gaps that differ by less, neither speaks for a candidate


@dataclass(frozen=True)
class Standing:
    """What a rule may know of a candidate with all its seeds; shares are 0..1.

    name: "start" is what the step began from. values: the ladder's metric, one a seed, as in scores.json; score, macro_f1, gap: means over seeds,
    gap: training minus validation accuracy.
    """

    name: str
    values: tuple[float, ...]
    score: float
    macro_f1: float
    gap: float
    parameters: int
    flops: int


@dataclass(frozen=True)
class Ruling:
    """Which candidate is kept, and why, in a sentence."""

    kept: str
    reason: str


Rule = Callable[[Sequence[Standing], Verdict, float], Ruling]


def score(standings: Sequence[Standing], verdict: Verdict, tie_margin: float) -> Ruling:
    """Keep what the referee keeps."""
    return Ruling(verdict.kept, verdict.reason)


def score_gap_size(standings: Sequence[Standing], verdict: Verdict, tie_margin: float) -> Ruling:
    """Of the candidates within `tie_margin` of the best macro F1 take those whose gap is smallest, within two points, and of these the smallest network."""
    best = max(one.macro_f1 for one in standings)
    good = [one for one in standings if one.macro_f1 >= best - tie_margin]
    smallest = min(one.gap for one in good)
    steady = [one for one in good if one.gap <= smallest + _GAP_MARGIN]
    kept = min(steady, key=lambda one: (one.parameters, one.flops))
    return Ruling(
        kept.name,
        f"'{kept.name}' is kept by score_gap_size: of {len(good)} within {points(tie_margin, 2)} of the best macro F1 ({percent(best, 2)}), "
        f"{len(steady)} have a gap of training and validation near the smallest ({points(smallest)}), and it is the smallest of these with "
        f"{count(kept.parameters)} parameters; this rule holds no error rate.",
    )


RULES: Final[Mapping[str, Rule]] = {"score": score, "score_gap_size": score_gap_size}


def check_rule(name: str) -> None:
    """Check that there is such a rule; raises RecipeError. One's own is loaded when it is first asked."""
    if name not in RULES and not own.is_own(name):
        raise RecipeError(f"there is no rule '{one_line(name)}': {did_you_mean(name, RULES)} (your own: file.py:function)")


def kept_by_file(name: str, verdict: Verdict | None) -> Ruling:
    """Keep what the ladder's file names, whatever the referee says of it; verdict: None where it compared nothing."""
    beside = "" if verdict is None else "; the referee keeps it too" if verdict.kept == name else f"; the referee keeps {quoted(verdict.kept)}"
    return Ruling(name, f"{quoted(name)} is carried on because the ladder's file keeps it{beside}.")


def decide(name: str, standings: Sequence[Standing], verdict: Verdict, tie_margin: float, base: Path | None = None) -> Ruling:
    """Ask the rule. base: the folder in which the file of one's own is looked for, before the working folder.

    One's own is called as f(standings, verdict) and returns the name of the one to keep.

    Raises: RecipeError if one's own fails or names none of them.
    """
    if name in RULES:
        return RULES[name](standings, verdict, tie_margin)
    mine = own.load(name, base)
    try:
        kept = mine(tuple(standings), verdict)
    except Exception as error:
        raise RecipeError(f"your rule '{mine.name}' failed: {type(error).__name__}: {error}{own.line(error)}") from error
    names = [one.name for one in standings]
    if kept not in names:
        raise RecipeError(f"your rule '{mine.name}' returned {one_line(repr(kept))}: return the name of the one to keep, {', '.join(map(repr, names))}")
    return Ruling(kept, f"'{kept}' is kept by your rule {mine.name}; the referee keeps '{verdict.kept}'.")
