"""The share of blind labels: simulated scores whose noise is known."""

import numpy as np
import pytest

from rung.audit import noise


def simulated(wrong: float, seed: int, count: int = 6000, classes: int = 5, sharp: float = 4.0) -> tuple[noise.LabelNoise, np.ndarray]:
    """Return what is found, and which labels were made wrong, of labels drawn from probabilities that the scores tell but for a factor."""
    draws = np.random.default_rng(seed)
    logits = draws.normal(size=(count, classes)) * sharp
    likely = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (likely.cumsum(1) > draws.random((count, 1))).argmax(1)
    bad = draws.random(count) < wrong
    labels[bad] = draws.integers(0, classes, bad.sum())
    return noise.estimate((logits / 9 + 0.3).astype(np.float32), labels, 0), bad


@pytest.mark.parametrize("wrong", [0.0, 0.03, 0.1, 0.4])
def test_the_share_is_found(wrong: float) -> None:
    found, _ = simulated(wrong, 0)
    assert found.share == pytest.approx(wrong, abs=0.012)


def test_clean_labels_seldom_alarm() -> None:
    assert sum(simulated(0.0, seed, count=1500)[0].more_than(0.002) > 4 for seed in range(12)) == 0


def test_probabilities_of_single_labels_hold_what_they_say() -> None:
    found, bad = simulated(0.1, 3, count=12_000)
    for low, high in ((0.05, 0.3), (0.5, 0.8), (0.8, 1.0)):
        inside = (found.blind >= low) & (found.blind < high)
        assert bad[inside].mean() == pytest.approx(found.blind[inside].mean(), abs=0.08)


def test_more_than_falls_with_the_share_asked_for() -> None:
    found, _ = simulated(0.1, 1)
    steps = [found.more_than(share) for share in (0.0, 0.02, 0.05, 0.09, 0.5)]
    assert steps == sorted(steps, reverse=True)
    assert steps[1] > 5
    assert steps[-1] == 0
