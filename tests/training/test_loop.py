"""The loop on 120 digits with a network of a few hundred parameters: each training takes well under a second."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.torture import steps
from rung import recipe as recipes
from rung.data.imageset import TRAIN, VALIDATION
from rung.data.load import load
from rung.errors import RunError
from rung.pipeline.execute import fit
from rung.pipeline.own_parts import OwnParts, gather
from rung.pipeline.prepare import Prepared, prepare
from rung.recipe import CNN, Augment, Compute, Data, Pixels, Recipe, Split, Train
from rung.training.forward import logits
from rung.training.journal import Interrupted, NoJournal, RunJournal
from rung.training.loop import EpochEnd, TrainResult

SMALL = Recipe(
    augment=Augment(shift_pixels=1.0),
    network=CNN(filters=(4,), convolutions=1, batch_norm="after_activation", block_dropout=0.1, flatten="flatten", dense=()),
    train=Train(epochs=5, batch_size=17, learning_rate=0.01),
    split=Split(test_fraction=0.0),
    compute=Compute(device="cpu", precision="float32", threads=1),
    data=Data(sources=("digits",), per_class=16),
)


@pytest.fixture(scope="module")
def digits() -> Any:
    return load(SMALL.data, Pixels())


def ready(images: Any, settings: dict[str, Any] | None = None, own: OwnParts | None = None) -> Prepared:
    return prepare(recipes.change(SMALL, settings or {}), images, own or OwnParts())


def trained(images: Any, settings: dict[str, Any] | None = None, own: OwnParts | None = None) -> tuple[TrainResult, list[dict[str, Any]]]:
    journal = NoJournal()
    _, result = fit(ready(images, settings, own), journal)
    return result, journal.rows


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(digits: Any) -> None:
    first, first_rows = trained(digits)
    torch.rand(17)  # another state of torch's own generator changes nothing
    second, second_rows = trained(digits)
    other, _ = trained(digits, {"seed": 1})
    assert same(first.weights, second.weights)
    assert first_rows == second_rows
    assert not same(first.weights, other.weights)


def test_torchs_own_random_state_and_threads_are_left_as_they_were(digits: Any) -> None:
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(digits, {"epochs": 1})
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_each_module_is_put_back_into_its_own_mode_also_after_an_error(digits: Any) -> None:
    prepared = ready(digits)
    network = prepared.network().train()
    frozen = next(module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)).eval()
    modes = {name: module.training for name, module in network.named_modules()}
    logits(network, prepared.part("validation"), "float32")
    assert {name: module.training for name, module in network.named_modules()} == modes
    with pytest.raises(KeyError, match="stopped"):
        logits(network, prepared.part("validation"), "float32", check=lambda: {}["stopped"])
    assert {name: module.training for name, module in network.named_modules()} == modes
    assert not frozen.training


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "averaged": {"train.ema_decay": 0.9, "train.keep": "averaged"},
    "plateau and early stopping": {"train.schedule": "plateau", "train.plateau_patience": 1, "train.early_stopping": 2, "train.learning_rate": 0.05},
    "muon, one cycle, mixup": {"train.optimizer": "muon", "train.schedule": "one_cycle", "augment.mixup_alpha": 0.4, "network.dense": [8]},
    "balanced, clipped, last": {"train.sampling": "balanced", "train.clip_norm": 1.0, "train.keep": "last", "train.l2_convolution": 1e-3},
}


@pytest.mark.parametrize("options", OPTIONS, ids=list(OPTIONS))
def test_stopped_at_any_step_and_gone_on_is_as_if_unbroken(digits: Any, options: str, tmp_path: Path) -> None:
    """Stops at every step of a run of 40 (every fifth for the other settings), and compares weights, rows and the last checkpoint."""
    settings = {"train.epochs": 5, **OPTIONS[options]}
    prepared = ready(digits, settings)
    unbroken = RunJournal(tmp_path / "unbroken")
    unbroken.run.folder.mkdir()
    _, expected = fit(prepared, unbroken)
    steps = prepared.training().steps(17) * 5
    assert steps == 40
    for stop_at in range(1, steps, 1 if options == "plain" else 5):
        folder = tmp_path / str(stop_at)
        folder.mkdir()
        stopped = stop_after(folder, stop_at, prepared)
        again = RunJournal(folder)
        _, result = fit(prepared, again)
        assert stopped or options.startswith("plateau"), "the training ended before it was stopped"
        assert same(result.weights, expected.weights)
        assert (result.kept_epoch, result.stopped) == (expected.kept_epoch, expected.stopped)
        assert (folder / "metrics.jsonl").read_bytes() == (unbroken.run.folder / "metrics.jsonl").read_bytes()
        assert checkpoint_content(folder) == checkpoint_content(unbroken.run.folder)


def stop_after(folder: Path, step: int, prepared: Prepared) -> bool:
    """Train until a stop is asked for after `step` steps; return whether it came before the training ended by itself."""
    taken = 0

    def count(_: object) -> None:
        nonlocal taken
        taken += 1

    journal = RunJournal(folder, every_s=1e9, stop_signal=lambda: 15 if taken == step else None)
    try:
        fit(prepared, journal, observe=count)
    except Interrupted:
        return True
    return False


def checkpoint_content(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / "checkpoints" / "last.json").read_text())["content"]
    return {key: content[key] for key in ("sha256", "state")}


def test_a_crash_between_checkpoints_loses_nothing(digits: Any, tmp_path: Path) -> None:
    """Killed at a step that was not saved: the rows after the last checkpoint are cut off, and come again the same."""

    class Killed(BaseException):
        pass

    prepared = ready(digits)
    whole = RunJournal(tmp_path / "whole")
    whole.run.folder.mkdir()
    _, expected = fit(prepared, whole)
    for kill_at in (3, 8, 9, 17, 31, 39):
        folder = tmp_path / str(kill_at)
        folder.mkdir()
        seen: list[Any] = []

        def die(step: Any, seen: list[Any] = seen, kill_at: int = kill_at) -> None:
            seen.append(step)
            if len(seen) == kill_at:
                raise Killed

        journal = RunJournal(folder, every_s=1e9)
        saves: list[int] = []
        journal.after_step = every_seventh(journal, saves)  # type: ignore[method-assign]
        with pytest.raises(Killed):
            fit(prepared, journal, observe=die)
        _, result = fit(prepared, RunJournal(folder))
        assert same(result.weights, expected.weights)
        assert (folder / "metrics.jsonl").read_bytes() == (whole.run.folder / "metrics.jsonl").read_bytes()


def every_seventh(journal: RunJournal, saves: list[int]) -> Callable[[Callable[[], None]], None]:
    def after_step(save: Callable[[], None]) -> None:
        saves.append(1)
        if len(saves) % 7 == 0:
            save()

    return after_step


def test_what_stopped_it_is_the_exit_code(digits: Any, tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="rung resume") as stopped:
        fit(ready(digits), RunJournal(tmp_path, stop_signal=lambda: 15))
    assert stopped.value.exit_code == 143


def test_a_loss_that_is_not_finite_stops_before_the_optimizer_steps(digits: Any) -> None:
    """N61."""

    def breaks(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        return torch.where(targets == 3, losses * float("nan"), losses)

    wanted, own = gather(recipes.change(SMALL, {"augment.shift_pixels": 0.0}), None, loss=breaks)
    prepared = prepare(wanted, digits, own)
    network = prepared.network()
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    with pytest.raises(RunError, match=r"not finite at step 1, for \d+ of the 17 images of the batch: digits#\d+.*did not step"):
        fit(prepared, NoJournal(), network=network)
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())


def test_a_gradient_that_is_not_finite_stops_it_too(digits: Any) -> None:
    def breaks(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.sqrt((logits * 0).sum(1)) + torch.nn.functional.cross_entropy(logits, targets, reduction="none")

    wanted, own = gather(SMALL, None, loss=breaks)
    with pytest.raises(RunError, match="the gradient is not finite at step 1, though every loss is"):
        fit(prepare(wanted, digits, own), NoJournal())


def test_the_best_epoch_is_kept_whatever_ended_the_run(digits: Any) -> None:
    result, rows = trained(digits, {"train.epochs": 8, "train.learning_rate": 0.05})
    losses = [row["validation_loss"] for row in rows]
    assert result.kept_epoch == int(np.argmin(losses)) + 1
    assert result.stopped == "all 8 epochs were run"


@pytest.mark.parametrize("monitor", ["validation_loss", "validation_accuracy", "validation_objective"])
def test_early_stopping_counts_from_the_best(digits: Any, monitor: str) -> None:
    result, rows = trained(digits, {"train.epochs": 60, "train.early_stopping": 3, "train.monitor": monitor, "train.learning_rate": 0.05})
    values = [row[monitor] * (-1 if monitor == "validation_accuracy" else 1) for row in rows]
    assert len(rows) < 60
    assert result.kept_epoch == int(np.argmin(values)) + 1 == len(rows) - 3
    assert result.stopped.startswith("early stopping")


def test_the_plateau_lowers_the_rate(digits: Any) -> None:
    _, rows = trained(digits, {"train.epochs": 25, "train.schedule": "plateau", "train.plateau_patience": 1, "train.learning_rate": 0.1})
    rates = [row["learning_rate"] for row in rows]
    assert rates[0] == 0.1
    assert rates[-1] < 0.02
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates))


def test_the_objective_is_the_loss_with_the_penalty(digits: Any) -> None:
    result, rows = trained(digits, {"train.epochs": 2, "train.l2_convolution": 0.1, "train.keep": "last"})
    kernel = result.weights["blocks.0.convolution_0.weight"]
    assert rows[-1]["penalty"] == pytest.approx(0.1 * float((kernel**2).sum()), rel=1e-5)
    assert rows[-1]["validation_objective"] == pytest.approx(rows[-1]["validation_loss"] + rows[-1]["penalty"])


def test_averaged_weights_are_the_recursion_of_the_steps(digits: Any) -> None:
    after: list[torch.Tensor] = []
    settings = {"train.epochs": 8, "train.batch_size": 200, "train.ema_decay": 0.8, "train.keep": "averaged"}  # one step an epoch

    def look(end: EpochEnd) -> None:
        after.append(end.model.state_dict()["head.weight"].clone())

    wanted, own = gather(recipes.change(SMALL, settings), None, callbacks=[look])
    prepared = prepare(wanted, digits, own)
    expected = prepared.network().state_dict()["head.weight"].clone()
    _, result = fit(prepared, NoJournal())
    assert len(after) == 8
    for weights in after:
        expected = expected * 0.8 + weights * 0.2
    assert torch.allclose(result.weights["head.weight"], expected, atol=1e-6)


def test_a_callback_sees_each_epoch_and_may_stop(digits: Any) -> None:
    epochs: list[int] = []

    def look(end: EpochEnd) -> bool:
        epochs.append(end.epoch)
        return end.epoch == 2

    wanted, own = gather(SMALL, None, callbacks=[look])
    journal = NoJournal()
    _, result = fit(prepare(wanted, digits, own), journal)
    assert epochs == [1, 2]
    assert result.stopped == "a callback stopped it after epoch 2"


def test_steps_cut_the_last_epoch_short_and_end_the_schedule(digits: Any) -> None:
    settings = {"train.schedule": "one_cycle", "train.keep": "last"}
    steps_an_epoch = ready(digits).training().steps(17)
    whole, rows = trained(digits, settings | {"train.steps": 2 * steps_an_epoch})
    as_epochs, same_rows = trained(digits, settings | {"train.epochs": 2})
    assert rows == same_rows
    assert same(whole.weights, as_epochs.weights)
    cut, rows = trained(digits, settings | {"train.steps": steps_an_epoch + 3})
    assert [row["step"] for row in rows] == [steps_an_epoch, steps_an_epoch + 3]
    assert rows[-1]["learning_rate"] == pytest.approx(0.01 / 250_000)
    assert cut.stopped == f"all {steps_an_epoch + 3} steps were run"
    journal = NoJournal()
    fit(ready(digits, settings | {"train.steps": steps_an_epoch + 3}), journal)
    assert [times["images"] for times in journal.times] == [len(ready(digits).training()), 3 * 17], "images trained on, not those of a whole epoch"


def test_32_images_are_over_fitted(digits: Any) -> None:
    few = digits.take(np.arange(0, 64))
    settings = {
        "train.epochs": 60, "augment.shift_pixels": 0.0, "network.block_dropout": 0.0, "train.keep": "last",
        "network.filters": [16], "split.validation_fraction": 0.5, "train.learning_rate": 0.03,
    }  # fmt: skip
    _, rows = trained(few, settings)
    assert rows[-1]["train_accuracy"] == 1.0
    assert rows[-1]["train_loss"] < 0.05


def test_class_weights_multiply_the_losses_of_their_class(digits: Any) -> None:
    """A class of weight 0 is not learnt."""
    weights = {str(label): 1.0 for label in range(10)} | {"3": 1e-9}
    result, _ = trained(digits, {"train.class_weights": weights, "train.epochs": 10, "train.keep": "last"})
    prepared = ready(digits)
    network = prepared.network()
    network.load_state_dict(result.weights)
    answers = logits(network, prepared.part("train"), "float32").argmax(1)
    assert not (answers == 3).any()


GOLDEN = [3.114836, 2.451351, 2.088699, 1.986274, 1.799637]


def test_the_golden_loss_curve(digits: Any) -> None:
    """The curve of one fixed recipe; a change of code that should not change results must not move it (1e-3: other processors round differently)."""
    given = replace(digits, parts=np.repeat(np.array([TRAIN, VALIDATION], np.int8), (130, 30)))  # what is drawn follows the search for twins
    _, rows = trained(given)
    assert [row["train_loss"] for row in rows] == pytest.approx(GOLDEN, rel=1e-3)


def test_stopped_in_a_validation_it_goes_on_with_that_validation() -> None:
    """The last of nine times an epoch asks for a stop is in its validation; all 45 times of five settings: `python -m benchmarks.torture`."""
    tally = steps.every_step("averaged", (9, 10, 27, 45))
    assert tally.failures == []
