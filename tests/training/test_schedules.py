import math

import pytest
import torch
from torch.optim import lr_scheduler

from rung.errors import RecipeError
from rung.recipe import Train
from rung.training.schedules import Plateau, rate_factor


def rates(train: Train, total_steps: int, steps_per_epoch: int = 10) -> list[float]:
    return [rate_factor(train, step, total_steps, steps_per_epoch) for step in range(total_steps)]


def torch_rates(make, total_steps: int, base: float = 1.0) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=base)
    scheduler = make(optimizer)
    found = []
    for _ in range(total_steps):
        found.append(optimizer.param_groups[0]["lr"] / base)
        optimizer.step()
        scheduler.step()
    return found


def test_constant_is_one_everywhere() -> None:
    assert rates(Train(), 50) == [1.0] * 50


def test_step_is_torch_s_with_epochs_as_steps() -> None:
    train = Train(schedule="step", step_epochs=2, drop_factor=0.5)
    by_epoch = torch_rates(lambda o: lr_scheduler.StepLR(o, step_size=2, gamma=0.5), 7)
    assert rates(train, 70) == pytest.approx([rate for rate in by_epoch for _ in range(10)])


def test_cosine_is_torch_s() -> None:
    train = Train(schedule="cosine", learning_rate=0.01, minimum_rate=0.001)
    expected = torch_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=60, eta_min=0.001), 60, base=0.01)
    assert rates(train, 60) == pytest.approx(expected)


@pytest.mark.parametrize("total_steps", [10, 57, 300])
@pytest.mark.parametrize("climb", [None, 0.2])
def test_one_cycle_is_torch_s_linear_form(total_steps: int, climb: float | None) -> None:
    train = Train(schedule="one_cycle", warmup_fraction=climb)

    def make(optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        return lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=total_steps + 1, pct_start=climb or 0.3, anneal_strategy="linear", cycle_momentum=False)

    expected = torch_rates(make, total_steps + 1)
    assert [rate_factor(train, step, total_steps + 1, 10) for step in range(total_steps + 1)] == pytest.approx(expected[: total_steps + 1])


def test_one_cycle_without_a_climb_only_falls() -> None:
    found = rates(Train(schedule="one_cycle", warmup_fraction=0.0), 11)
    assert found[0] == 1.0
    assert found == pytest.approx([1 + (found[-1] - 1) * step / 10 for step in range(11)])


@pytest.mark.parametrize("total_steps", [1, 2, 3, 4, 7])
def test_one_cycle_of_few_steps_stays_in_range(total_steps: int) -> None:
    assert all(0 < factor <= 1 for factor in rates(Train(schedule="one_cycle"), total_steps))


def test_warmup_climbs_linearly_as_torch_s_and_then_follows_the_schedule() -> None:
    found = rates(Train(warmup_fraction=0.2), 50)
    expected = torch_rates(lambda o: lr_scheduler.LinearLR(o, start_factor=1 / 11, total_iters=10), 50)
    assert found == pytest.approx(expected)
    cosine = rates(Train(schedule="cosine", warmup_fraction=0.2), 50)
    assert cosine[:10] == pytest.approx(expected[:10])
    assert cosine[10:] == pytest.approx(rates(Train(schedule="cosine"), 40))


def test_every_schedule_is_positive_and_at_most_one() -> None:
    for schedule in ("constant", "step", "cosine", "one_cycle", "plateau"):
        for warmup in (0.0, 0.1, 0.9):
            assert all(0 < factor <= 1 for factor in rates(Train(schedule=schedule, warmup_fraction=warmup), 40)), (schedule, warmup)


def test_minimum_above_the_rate_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"train.minimum_rate = 0.1 is above the learning rate 0.001"):
        rate_factor(Train(schedule="cosine", minimum_rate=0.1), 3, 10, 5)


VALUES = [2.0, 1.0, 0.99995, 0.9999, 1.0, 0.5, 0.5, 0.5, 0.5, 0.49, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]


def test_plateau_follows_keras_rules() -> None:
    train = Train(schedule="plateau", plateau_patience=3, drop_factor=0.1, learning_rate=0.001, minimum_rate=5e-6)
    state, factors = Plateau(), []
    for value in VALUES:
        state = state.update(value, train)
        factors.append(state.factor)
    # 0.99995 and 0.9999 gain no more than 1e-4 on 1.0, so with 1.0 the third bad epoch comes just before 0.5.
    assert factors == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005, 0.005, 0.005, 0.005, 0.005])
    assert state.best == 0.49


def test_plateau_is_torch_s_where_their_counting_agrees() -> None:
    train = Train(schedule="plateau", plateau_patience=3, drop_factor=0.5, learning_rate=1.0)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    # torch drops when the count of bad epochs is above its patience, Keras when it reaches it.
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, threshold=1e-4, threshold_mode="abs", eps=0.0)
    state = Plateau()
    values = [math.cos(0.7 * epoch) / (1 + epoch / 9) for epoch in range(60)]
    for value in values:
        state = state.update(value, train)
        scheduler.step(value)
        assert state.factor == optimizer.param_groups[0]["lr"]
    assert state.factor < 0.1


def test_plateau_takes_not_a_number_for_no_improvement() -> None:
    train = Train(schedule="plateau", plateau_patience=2)
    state = Plateau().update(math.nan, train).update(math.nan, train)
    assert state == Plateau(best=None, bad_epochs=0, factor=0.1)
    assert state.update(3.0, train).best == 3.0
