"""Intervals of differences: against published figures, and by how often they hold the truth."""

from collections.abc import Callable

import numpy as np
import pytest

from rung.evaluate.intervals import Value, t_interval, wilson
from rung.study.paired import Floats, Interval, Side, difference, over_images

LEVEL = 0.95


def side(images: Floats, seeds: tuple[int, ...] = ()) -> Side:
    values = images.mean(axis=1)
    whole = t_interval(values, LEVEL) if len(values) > 1 else wilson(round(float(images.sum())), images.shape[1], LEVEL)
    return Side(seeds or tuple(range(len(images))), values, whole, images.shape[1], images)


def holds(found: Interval, truth: float) -> bool:
    assert found.low is not None
    assert found.high is not None
    return found.low <= truth <= found.high


def covered(draw: Callable[[np.random.Generator], tuple[Interval, float]], times: int) -> float:
    rng = np.random.default_rng(0)
    return float(np.mean([holds(*draw(rng)) for _ in range(times)]))


def test_one_run_against_one_covers_other_images() -> None:
    def draw(rng: np.random.Generator) -> tuple[Interval, float]:
        hard = rng.random(150) < 0.15  # errors that both make together
        a, b = (np.where(hard, rng.random(150) < 0.3, rng.random(150) < share).astype(float)[None] for share in (0.97, 0.93))
        found = difference(side(a), side(b), LEVEL, same_images=True)
        assert found.covers == "images"
        return found, 0.85 * (0.93 - 0.97)

    assert 0.93 <= covered(draw, 1500) <= 0.98


@pytest.mark.parametrize("same_seeds", [True, False], ids=["same seeds", "other seeds"])
def test_several_runs_cover_other_seeds_and_other_images(same_seeds: bool) -> None:
    def draw(rng: np.random.Generator) -> tuple[Interval, float]:
        of_images = rng.normal(0, 0.3, 400)
        order = rng.normal(0, 0.02, (4, 1)) if same_seeds else np.zeros((4, 1))  # what equal seeds share
        a, b = (0.8 + order + of_images * tilt + rng.normal(0, 0.02, (4, 1)) + rng.normal(0, 0.3, (4, 400)) for tilt in (1.0, 1.3))
        found = difference(side(a), side(b, () if same_seeds else (7, 8, 9, 10)), LEVEL, same_images=True)
        assert found.covers == "seeds and images"
        return found, 0.0

    assert 0.93 <= covered(draw, 1000) <= 0.985


def test_runs_on_other_images_are_not_paired() -> None:
    # Newcombe, Statistics in Medicine 17, 1998, table II (a): 56 of 70 against 48 of 80.
    a, b = ((np.arange(count) < hits).astype(float)[None] for hits, count in ((48, 80), (56, 70)))
    found = difference(side(a), side(b), LEVEL, same_images=False)
    assert (found.estimate, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert not found.paired


def test_equal_answers_still_leave_a_difference_possible() -> None:
    found = over_images(np.zeros(100), LEVEL)
    assert found.low is not None
    assert found.low < 0 < (found.high or 0)
    assert not found.told_apart


def test_runs_that_do_not_differ_from_seed_to_seed_are_sooner_coarse_than_certain() -> None:
    value = Value(0.8, None, None, "nothing", LEVEL, "made up")
    same = [Side((0, 1), np.array(values), value, 100) for values in ([0.8, 0.8], [0.9, 0.9])]
    assert not difference(*same, LEVEL, same_images=True).told_apart


def test_two_runs_that_are_all_right_are_not_told_apart() -> None:
    right = np.ones((2, 50))
    assert not difference(side(right), side(right), LEVEL, same_images=True).told_apart


def test_a_score_that_is_no_mean_over_images_is_over_seeds_or_a_jackknife_or_nothing() -> None:
    value = Value(0.8, 0.7, 0.9, "images", LEVEL, "made up")
    several = [Side((0, 1, 2), np.array(values), value, 100) for values in ([0.80, 0.81, 0.82], [0.90, 0.91, 0.93])]
    found = difference(*several, LEVEL, same_images=True)
    assert (found.covers, found.told_apart) == ("seeds", True)
    rng = np.random.default_rng(0)
    scores = [rng.random(200), rng.random(200) + 0.5]
    single = [Side((0,), one.mean(keepdims=True), value, 200, again=lambda places, one=one: float(one[places].mean())) for one in scores]
    found = difference(*single, LEVEL, same_images=True)
    assert found.covers == "images"
    assert holds(found, 0.5)
    nothing = [Side((0,), np.array([0.8]), value, 100), Side((1,), np.array([0.9]), value, 100)]
    assert difference(*nothing, LEVEL, same_images=True) == Interval(pytest.approx(0.1), None, None, LEVEL, "nothing", True)


def test_a_difference_turned_around_is_that_of_the_other_side() -> None:
    found = Interval(0.2, 0.1, 0.4, LEVEL, "images", True)
    assert found.turned == Interval(-0.2, -0.4, -0.1, LEVEL, "images", True)
    assert found.turned.turned == found


def test_shares_differ_by_no_more_than_100_points() -> None:
    assert Interval(-0.7, -1.2, -0.2, LEVEL, "seeds", paired=True).of_shares == Interval(-0.7, -1.0, -0.2, LEVEL, "seeds", paired=True)
    assert Interval(0.7, 0.2, 1.2, LEVEL, "seeds", paired=True).of_shares == Interval(0.7, 0.2, 1.0, LEVEL, "seeds", paired=True)
    assert Interval(0.7, None, None, LEVEL, "nothing", paired=True).of_shares.low is None
