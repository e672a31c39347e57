from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.errors import RunError
from rung.explain.curves import read


def log(loss, accuracy=None, train_loss=None, train_accuracy=None, **more):
    count = len(loss)
    columns = {
        "train_loss": 2 * 0.9 ** np.arange(count) if train_loss is None else train_loss,
        "train_accuracy": 1 - 0.8 * 0.9 ** np.arange(count) if train_accuracy is None else train_accuracy,
        "validation_loss": loss,
        "validation_accuracy": 0.8 - 0.1 * np.asarray(loss) if accuracy is None else accuracy,
        "validation_objective": np.asarray(loss) + 0.1,
        **more,
    }
    return [{"epoch": e + 1, "step": 10 * e} | {name: float(column[e]) for name, column in columns.items()} for e in range(count)]


def turning(count, turn, slope):
    """Falls towards 0.6, and from epoch `turn` on rises by `slope` an epoch."""
    epochs = np.arange(1, count + 1)
    return 0.6 + np.exp(-epochs / 2) + slope * np.maximum(epochs - turn, 0)


def flat(count, random, kind, deviation=0.015):
    noise = random.normal(size=count)
    if kind == "shrinking":
        noise *= np.linspace(2, 0.3, count)
    if kind == "outliers":
        noise = random.standard_t(3, size=count) / 1.7
    return 0.6 + deviation * noise


@given(count=st.integers(16, 60), turn=st.integers(8, 12), slope=st.floats(0.02, 0.3))
@settings(deadline=None)
def test_a_smooth_turn_is_found_at_its_epoch(count, turn, slope):
    found = read(log(turning(count, turn, slope)))
    assert found.best_loss_epoch in (turn, turn - 1, turn - 2)  # the fall goes on below the rise for a while, or has nearly ended
    assert found.overfit_from == found.best_loss_epoch + 1
    assert found.overfit_rise > 0


@pytest.mark.parametrize(
    ("loss", "start"),
    [
        ([1.5, 1.2, 1.05, 0.95, 0.9, 0.88, 0.90, 0.93, 0.97, 1.03, 1.10], 7),  # early stopping, patience 5
        ([1.5, 1.2, 1.05, 0.95, 0.9, 0.88, 0.895, 0.87, 0.885, 0.91, 0.93, 0.925, 0.95], 9),
        ([1.4, 1.1, 0.98, 0.92, 0.90, 0.91, 0.93, 0.95, 0.99], 6),
    ],
)
def test_short_logs_as_trainings_write_them(loss, start):
    assert read(log(loss)).overfit_from == start


@pytest.mark.parametrize("loss", [turning(30, 99, 0), [1.0, 0.8, 0.9], [1.0], [0.7] * 20, 0.6 + 0.02 * np.exp(-np.arange(40) / 10)])
def test_falling_flat_or_short_curves_are_not_overfit(loss):
    found = read(log(loss))
    assert (found.overfit_from, found.overfit_rise) == (None, None)


def test_a_fall_after_a_rise_is_not_overfit_before_it():
    loss = np.concatenate([turning(15, 8, 0.03), np.full(15, 0.5)])  # the learning rate dropped at epoch 16
    assert read(log(loss)).overfit_from is None


def test_both_losses_rising_is_not_overfit():
    loss = turning(20, 8, 0.05)
    assert read(log(loss)).overfit_from == 9
    assert read(log(loss, train_loss=turning(20, 8, 0.04))).overfit_from is None


def test_one_lucky_epoch_is_not_overfit():
    loss = np.full(20, 0.6) + 0.003 * np.tile([1, -1], 10)
    loss[7] = 0.5
    assert read(log(loss)).overfit_from is None


def test_flat_noise_is_seldom_called_overfit_and_real_overfit_mostly():
    """The shares that `read` states, with room for 300 draws: three deviations above 2 % are 4.4 %."""
    random = np.random.default_rng(0)
    for count in (6, 12, 30, 100):
        for kind in ("plain", "shrinking", "outliers"):
            alarms = sum(read(log(flat(count, random, kind))).overfit_from is not None for _ in range(300))
            assert alarms <= 13, (count, kind, alarms)
    for count, turn, slope, deviation, share in ((30, 15, 0.01, 0.015, 0.9), (50, 20, 0.005, 0.015, 0.9), (15, 8, 0.05, 0.01, 0.9)):
        found = [read(log(turning(count, turn, slope) + deviation * random.normal(size=count))) for _ in range(100)]
        assert sum(f.overfit_from is not None for f in found) >= 100 * share
        starts = [f.overfit_from for f in found if f.overfit_from is not None]
        assert abs(np.median(starts) - (turn + 1)) <= 5  # in noise, anywhere along the bottom


def test_flat_noise_is_seldom_called_improving():
    random = np.random.default_rng(1)
    for count in (8, 20, 60):
        alarms = sum(read(log(flat(count, random, "plain"))).still_improving for _ in range(300))
        assert alarms <= 13, (count, alarms)


def test_best_epochs_by_each_and_the_first_of_equal_ones():
    rows = log([1.0, 0.5, 0.5, 0.7], accuracy=[0.1, 0.5, 0.8, 0.8], validation_objective=[4, 3, 2, 1])
    found = read(rows)
    assert (found.best_epoch, found.best_loss_epoch) == (2, 2)
    assert read(rows, monitor="validation_accuracy").best_epoch == 3
    assert read(rows, monitor="validation_objective").best_epoch == 4


def test_a_plateau_begins_where_the_rest_gains_too_little():
    accuracy = [0.1, 0.3, 0.5, 0.6, 0.7, 0.72, 0.721, 0.71, 0.722, 0.7, 0.7225]
    assert read(log(np.ones(11), accuracy)).plateau_from == 6
    assert read(log(np.ones(11), accuracy), plateau_gain=0.03).plateau_from == 5
    assert read(log(np.ones(11), np.linspace(0.1, 0.9, 11))).plateau_from is None
    assert read(log(np.ones(8), accuracy[:8])).plateau_from is None  # two epochs are no plateau


def test_a_curve_that_still_falls_at_the_end_is_still_improving():
    falling = 1.0 - 0.02 * np.arange(20)
    assert read(log(falling)).still_improving
    assert read(log(np.ones(20), accuracy=0.3 + 0.02 * np.arange(20)), monitor="validation_accuracy").still_improving
    assert not read(log(falling[::-1])).still_improving
    assert not read(log(np.maximum(falling, 0.8))).still_improving


def test_a_recovery_that_ends_above_the_best_epoch_is_not_still_improving():
    digits = [0.0198, 0.1095, 0.0691, 0.0294, 0.0431, 0.0331, 0.0294, 0.0274, 0.0284, 0.0254, 0.0241, 0.0242]  # epochs 14 to 25 of the digits, seed 4
    descent = np.geomspace(1.2, 0.03, 13)
    assert not read(log([*descent, *digits])).still_improving
    assert not read(log(np.ones(25), accuracy=[*(1 - descent), *(1 - np.array(digits))]), monitor="validation_accuracy").still_improving
    assert read(log([*descent, 0.0298, *digits[1:]])).still_improving


def test_the_rate_left_tells_a_schedule_that_ended():
    assert read(log(np.ones(4), learning_rate=[0.1, 0.5, 0.2, 0.005])).rate_left == pytest.approx(0.01)
    assert read(log(np.ones(4))).rate_left is None


def test_divergence_is_dated():
    assert read(log(np.ones(10), train_loss=[2, 1.5, 1, 0.9, 3, 4, 5, 6, 7, 8])).diverged_from == 5
    assert read(log(np.ones(10), train_loss=[2, 1.5, 1, 0.9, 3, 4, 0.5, 0.4, 0.3, 0.3])).diverged_from is None
    assert read(log([1, 0.9, np.inf, 1])).diverged_from == 3
    assert read(log(np.ones(4), train_loss=[2, 1, np.nan, np.nan])).diverged_from == 3
    assert not read(log(1 - 0.1 * np.arange(10), train_loss=np.arange(10) + 1.0)).still_improving


def test_a_log_without_validation_says_what_it_can():
    rows = [{"epoch": e, "train_loss": 1.0 / e, "train_accuracy": 0.5, "learning_rate": 0.1} for e in range(1, 9)]
    found = read(rows)
    assert (found.epochs, found.best_epoch, found.overfit_from, found.plateau_from) == (8, None, None, None)
    assert found.rate_left == 1


def test_a_log_without_training_values_still_shows_overfitting():
    rows = [{"epoch": row["epoch"], "validation_loss": row["validation_loss"]} for row in log(turning(20, 8, 0.05))]
    assert read(rows).overfit_from == 9


def test_an_empty_log():
    found = read([])
    assert (found.epochs, found.best_epoch) == (0, None)


def test_epochs_may_begin_anywhere():
    rows = [row | {"epoch": row["epoch"] + 300} for row in log(turning(20, 8, 0.05))]
    assert (read(rows).best_loss_epoch, read(rows).overfit_from) == (308, 309)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"train_loss": 1}], "row 1 of the training log has the epoch None"),
        ([{"epoch": 1}, {"epoch": 2.5}], "row 2 .* has the epoch 2.5"),
        ([{"epoch": 1}, {"epoch": 1}], "from epoch 1 to epoch 1, expected rising"),
    ],
)
def test_damaged_logs_are_refused(rows, message):
    with pytest.raises(RunError, match=message):
        read(rows)


def test_the_record_is_frozen():
    with pytest.raises(FrozenInstanceError):
        read([]).epochs = 2
