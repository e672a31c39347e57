"""How small a difference a test part can show: against simulated tests, and in the words of the check."""

from collections.abc import Callable

import numpy as np
import pytest

from rung.audit.material import Material
from rung.audit.power import paired, test_size, unpaired
from rung.data.imageset import TEST, TRAIN, ImageSet

Make = Callable[..., Material]
test_size.__test__ = False  # type: ignore[attr-defined]  # a check, not a test
TRIALS = 20_000


@pytest.mark.parametrize(("count", "discordant"), [(500, 0.2), (10_000, 0.1)])
def test_mcnemar_finds_the_smallest_paired_difference_four_times_in_five(count: int, discordant: float) -> None:
    difference = paired(count, discordant)
    shares = [(discordant + difference) / 2, (discordant - difference) / 2]
    first, second = np.random.default_rng(0).multinomial(count, [*shares, 1 - discordant], TRIALS)[:, :2].T
    found = np.abs(first - second) > 1.959964 * np.sqrt(first + second)
    assert found.mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(("count", "accuracy"), [(500, 0.7), (10_000, 0.9)])
def test_two_proportions_find_the_smallest_unpaired_difference_four_times_in_five(count: int, accuracy: float) -> None:
    draws = np.random.default_rng(0)
    better, worse = draws.binomial(count, accuracy, TRIALS) / count, draws.binomial(count, accuracy - unpaired(count, accuracy), TRIALS) / count
    mean = (better + worse) / 2
    found = np.abs(better - worse) > 1.959964 * np.sqrt(2 * mean * (1 - mean) / count)
    assert found.mean() == pytest.approx(0.8, abs=0.02)


def test_so_few_images_that_nothing_can_be_shown() -> None:
    assert unpaired(3, 0.7) == 1.0
    assert paired(1, 0.3) == 1.0
    assert paired(100, 0.1) > paired(400, 0.1) > paired(1600, 0.1)


def test_few_test_images_are_a_warning_that_names_the_smallest_class(digits: ImageSet, material: Make) -> None:
    nines = np.flatnonzero((digits.parts == TEST) & (digits.labels == 9))
    others = np.flatnonzero((digits.parts == TEST) & (digits.labels != 9))
    (problem,) = test_size(material(digits.take(np.setdiff1d(np.arange(len(digits)), np.concatenate([nines[4:], others[200:]])))))
    assert (problem.check, problem.severity) == ("test-size", "warning")
    assert "must differ by" in problem.sentence
    assert "Class “9” has 4 test images" in problem.sentence
    assert problem.numbers["paired_at_90%"] < problem.numbers["unpaired_at_90%"]


def test_many_test_images_are_a_note(scenes: ImageSet, material: Make) -> None:
    rows = np.tile(np.flatnonzero(scenes.parts == TEST), 12)
    (problem,) = test_size(material(scenes.take(rows)))
    assert problem.severity == "note"
    assert "With 3,600 test images" in problem.sentence
    assert "hardly known" not in problem.sentence


def test_without_a_test_part_validation_is_judged_and_without_both_nothing(digits: ImageSet, material: Make) -> None:
    (problem,) = test_size(material(digits.take(np.flatnonzero(digits.parts != TEST))))
    assert problem.sentence.startswith("There is no test part. With 200 validation images")
    assert test_size(material(digits.take(np.flatnonzero(digits.parts == TRAIN)))) == []
