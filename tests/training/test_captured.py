"""All of a captured step but the capture, which needs a GPU: here what is recorded is done again operation by operation, on the same tensors."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rung import recipe as recipes
from rung.data.batches import Batch, Batches
from rung.data.load import load
from rung.errors import DivergedError
from rung.pipeline import minutes
from rung.pipeline.execute import fit
from rung.pipeline.own_parts import OwnParts, gather
from rung.pipeline.prepare import Prepared, prepare
from rung.recipe import CNN, Augment, Compute, Data, Pixels, Recipe, Split, Train
from rung.training import captured as module
from rung.training import loop
from rung.training.captured import Body, CapturedStep, Outcome, Recorder, captured, obstacle, step_for, sweep
from rung.training.journal import Interrupted, NoJournal, RunJournal
from rung.training.loop import StepEnd
from rung.training.losses import build_loss
from rung.training.optimizers import optimizer_tensors
from rung.training.steps import PlainStep, Work, read

SMALL = Recipe(
    augment=Augment(shift_pixels=1.0),
    network=CNN(filters=(4, 6), batch_norm="after_activation", flatten="average", dense=()),
    train=Train(epochs=4, batch_size=17, learning_rate=0.03125, keep="last"),
    split=Split(test_fraction=0.0),
    compute=Compute(device="cpu", precision="float32", threads=1),
    data=Data(sources=("digits",), per_class=16),
)
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "momentum": 0.75, "nesterov": True},
    "adam": {"optimizer": "adam"},
    "adamw, clipped, L2": {"optimizer": "adamw", "weight_decay": 0.125, "clip_norm": 1.0, "l2_convolution": 1e-3},
    "muon": {"optimizer": "muon", "momentum": 0.75},
    "muon and adamw": {"optimizer": "muon", "weight_decay": 0.125},
}


class Again(Recorder):
    """Records by remembering: what is recorded is done anew."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.ran = self.recorded = 0

    def run(self, body: Body) -> Outcome:
        self.ran += 1
        return body()

    def record(self, body: Body) -> Body:
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing\nand more")
        self.recorded += 1
        return body


@pytest.fixture(scope="module")
def digits() -> Any:
    return load(SMALL.data, Pixels())


def ready(images: Any, settings: dict[str, Any] | None = None) -> Prepared:
    return prepare(recipes.change(SMALL, settings or {}), images, OwnParts())


def batches(prepared: Prepared, count: int) -> list[Batch]:
    """Batches of two shapes: 17 rows, and 9 at the end of each epoch."""
    found = [batch for epoch in range(4) for batch in prepared.training().training(epoch, 17)]
    assert len({len(batch.rows) for batch in found[:count]}) == 2
    return found[:count]


def steps_of(model: torch.nn.Module, settings: Train, recorder: Recorder, say: Callable[[str], None] = print) -> CapturedStep:
    step = captured(model, settings, build_loss(settings), "float32", None, lambda: recorder)
    step.lend(model, settings, say)
    return step


def plain_of(model: torch.nn.Module, settings: Train, guarded: bool = True) -> PlainStep:
    return PlainStep(Work.of(model, settings, build_loss(settings), "float32", None), guarded)


def assert_close(first: torch.nn.Module, second: torch.nn.Module, **limits: float) -> None:
    for (name, value), other in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        torch.testing.assert_close(value, other, msg=lambda said, name=name: f"{name}: {said}", **limits)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=list(OPTIMIZERS))
def test_captured_steps_move_the_weights_as_plain_steps_do(digits: Any, optimizer: str) -> None:
    prepared = ready(digits)
    settings = prepared.recipe.train.model_copy(update={"momentum": None, "nesterov": None, "epsilon": None, **OPTIMIZERS[optimizer]})
    model, recorder = prepared.network(), Again()
    other = copy.deepcopy(model)
    plain, step = plain_of(model, settings), steps_of(other, settings, recorder)
    for number, batch in enumerate(batches(prepared, 32)):
        rate = 2.0 ** -(4 + number % 3)  # which float32 holds exactly
        found, expected = step.take(batch, rate), plain.take(batch, rate)
        torch.testing.assert_close(found.numbers, expected.numbers, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.losses, expected.losses, rtol=1e-4, atol=1e-5)
        assert torch.equal(found.rows, expected.rows)
    assert (recorder.ran, recorder.recorded) == (6, 2)  # three steps of each shape before it is recorded
    assert_close(model, other, rtol=1e-4, atol=1e-5)
    if optimizer in ("sgd", "adam"):
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())


def test_what_a_step_gave_is_not_changed_by_the_next(digits: Any) -> None:
    prepared = ready(digits)
    step = steps_of(prepared.network(), prepared.recipe.train, Again())
    taken = [step.take(batch, 0.1) for batch in batches(prepared, 12)]
    numbers, losses = [found.numbers.clone() for found in taken], [found.losses.clone() for found in taken]
    assert len({round(found.loss, 6) for found in read(taken)}) == 12
    step.take(batches(prepared, 12)[0], 0.1)
    assert all(torch.equal(found.numbers, number) and torch.equal(found.losses, loss) for found, number, loss in zip(taken, numbers, losses, strict=True))


def test_nothing_found_is_nothing_read() -> None:
    assert read([]) == []


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=list(OPTIMIZERS))
def test_the_next_training_on_the_same_steps_is_as_if_on_steps_of_its_own(digits: Any, optimizer: str) -> None:
    """Another start, rate and momentum; and the network of the first training keeps its weights when the second one begins."""
    prepared = ready(digits)
    settings = prepared.recipe.train.model_copy(update={"momentum": None, "nesterov": None, "epsilon": None, **OPTIMIZERS[optimizer]})
    first, second = prepared.network(), replace(prepared, recipe=prepared.recipe.model_copy(update={"seed": 1})).network()
    alone = copy.deepcopy(second)
    recorder = Again()
    step = steps_of(first, settings, recorder)
    for batch in batches(prepared, 25):
        step.take(batch, 0.05)
    step.end()
    kept = copy.deepcopy(first.state_dict())
    changed = settings.model_copy(update={"momentum": 0.9}) if settings.optimizer == "muon" else settings
    step.lend(second, changed, print)
    own = steps_of(alone, changed, Again())
    for batch in batches(prepared, 25):
        step.take(batch, 0.02)
        own.take(batch, 0.02)
    step.end()
    own.end()
    assert recorder.recorded == 2  # the graphs of the first training served the second
    assert all(torch.equal(value, alone.state_dict()[name]) for name, value in second.state_dict().items())
    assert all(torch.equal(value, kept[name]) for name, value in first.state_dict().items())
    assert not torch.equal(first.head.weight, second.head.weight)


def test_a_checkpoint_on_steps_that_have_graphs_puts_them_away(digits: Any) -> None:
    """Its optimizer state lies elsewhere: what was recorded would move the old one."""
    prepared, made = ready(digits), []

    def recorder() -> Again:
        made.append(Again())
        return made[-1]

    settings = prepared.recipe.train
    step = captured(prepared.network(), settings, build_loss(settings), "float32", None, recorder)
    model, plain = prepared.network(), prepared.network()
    step.lend(model, settings, print)
    unbroken = plain_of(plain, settings)
    some = batches(prepared, 32)
    for batch in some:
        step.take(batch, 0.03125)
    for batch in some[:4]:
        unbroken.take(batch, 0.03125)
    tensors, numbers = optimizer_tensors(unbroken.work.optimizers)
    step.lend(model, settings, print)
    model.load_state_dict(plain.state_dict())
    step.restore(tensors, numbers)
    for batch in some[4:]:
        step.take(batch, 0.03125)
        unbroken.take(batch, 0.03125)
    assert [one.recorded for one in made] == [2, 2]
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in model.state_dict().items())


def test_where_capturing_fails_steps_are_plain_and_it_is_said_once(digits: Any) -> None:
    prepared, said = ready(digits), []
    model = prepared.network()
    other = copy.deepcopy(model)
    plain, step = plain_of(model, prepared.recipe.train), steps_of(other, prepared.recipe.train, Again(fails=True), said.append)
    for batch in batches(prepared, 25):
        plain.take(batch, 0.03125)
        step.take(batch, 0.03125)
    assert said == [
        "each step is launched operation by operation, slower on a GPU than as one captured graph: "
        "capturing it failed (operation not permitted when stream is capturing)"
    ]
    assert_close(model, other)
    step.lend(prepared.network(), prepared.recipe.train, said.append)
    assert said[1] == said[0]  # the next training on these steps hears of it too


def test_what_cannot_be_captured_is_named(digits: Any) -> None:
    network = ready(digits).network()
    assert obstacle(network, Train()) == ""
    assert obstacle(torch.nn.Linear(2, 2), Train()) == "the network is your own"
    assert obstacle(network, Train(loss="mine.py:loss")) == "the loss is your own"
    assert obstacle(network, Train(optimizer="nadam")) == "train.optimizer = 'nadam' is none of sgd, adam, adamw, muon"


def test_on_the_processor_steps_are_plain_and_guarded(digits: Any) -> None:
    prepared = ready(digits)
    step = step_for(prepared.network(), prepared.recipe.train, build_loss(prepared.recipe.train), "float32", None)
    assert isinstance(step, PlainStep)
    assert (step.guarded, step.every) == (True, 1)


def test_a_sweep_keeps_the_steps_of_the_last_kind_of_training(digits: Any) -> None:
    prepared, settings = ready(digits), Train(optimizer="muon", learning_rate=0.1)
    network, made = prepared.network(), []

    def steps(settings: Train) -> CapturedStep:
        def make() -> CapturedStep:
            made.append(settings)
            return captured(network, settings, build_loss(settings), "float32", None, Again)

        return module._sweep_step(module._key(network, settings, "float32", None), make)

    assert steps(settings) is not steps(settings)
    with sweep():
        first = steps(settings)
        same = {"learning_rate": 0.5, "epochs": 3, "steps": 20, "schedule": "cosine", "momentum": 0.5, "ema_decay": 0.5, "batch_size": 8}
        assert all(steps(settings.model_copy(update={name: value})) is first for name, value in same.items())
        for name, value in {
            "label_smoothing": 0.1,
            "weight_decay": 0.1,
            "clip_norm": 1.0,
            "nesterov": False,
            "optimizer": "sgd",
            "l2_convolution": 0.1,
        }.items():
            other = steps(settings.model_copy(update={name: value}))
            assert other is not first
            first = other
        assert len(made) == 2 + 1 + 6
    assert steps(settings) is not steps(settings)


def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop take captured steps."""

    def step(model: torch.nn.Module, settings: Train, loss: Any, precision: str, class_weights: Any, say: Callable[[str], None]) -> CapturedStep:
        made = captured(model, settings, loss, precision, class_weights, Again)
        made.lend(model, settings, say)
        return made

    monkeypatch.setattr(loop, "step_for", step)


LOOPS: dict[str, dict[str, Any]] = {
    "adam": {"train.keep": "best"},
    "muon, one cycle, mixup": {"train.optimizer": "muon", "train.schedule": "one_cycle", "augment.mixup_alpha": 0.4},
    "averaged, dropout, weights": {
        "train.ema_decay": 0.8, "train.keep": "averaged", "network.block_dropout": 0.2, "train.class_weights": "balanced", "train.label_smoothing": 0.1,
    },
}  # fmt: skip


@pytest.mark.parametrize("options", LOOPS, ids=list(LOOPS))
def test_a_training_of_captured_steps_is_that_of_plain_ones(digits: Any, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = ready(digits, LOOPS[options])
    plain, late = NoJournal(), NoJournal()
    seen: list[StepEnd] = []
    _, expected = fit(prepared, plain)
    as_on_a_gpu(monkeypatch)
    network, result = fit(prepared, late, observe=seen.append)
    assert [step.step for step in seen] == list(range(1, 4 * prepared.training().steps(17) + 1))
    assert [step.behind for step in seen[:9]] == [7, 6, 5, 4, 3, 2, 1, 0, 7]  # read at the end of each epoch of 8 steps
    assert result.kept_epoch == expected.kept_epoch
    for row, other in zip(plain.rows, late.rows, strict=True):
        assert {name: pytest.approx(value, rel=1e-3, abs=0.02 if "accuracy" in name else 1e-6) for name, value in row.items()} == other
    for name, value in expected.weights.items():
        torch.testing.assert_close(result.weights[name], value, rtol=1e-2, atol=1e-3)
        torch.testing.assert_close(network.state_dict()[name].contiguous(), result.weights[name], rtol=0, atol=0)


def test_stopped_and_gone_on_is_as_if_unbroken(digits: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stop in the middle of an epoch: what was not read yet is read before the checkpoint."""
    as_on_a_gpu(monkeypatch)
    prepared = ready(digits, LOOPS["muon, one cycle, mixup"])
    whole = RunJournal(tmp_path / "whole")
    whole.run.folder.mkdir()
    _, expected = fit(prepared, whole)
    for stop_at in (1, 5, 11):
        folder, asked = tmp_path / str(stop_at), iter(range(1000))
        folder.mkdir()
        with pytest.raises(Interrupted):
            fit(prepared, RunJournal(folder, every_s=1e9, stop_signal=lambda asked=asked, stop_at=stop_at: 15 if next(asked) >= stop_at else None))
        _, result = fit(prepared, RunJournal(folder))
        assert all(torch.equal(value, expected.weights[name]) for name, value in result.weights.items())
        assert (folder / "metrics.jsonl").read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_a_loss_that_is_not_finite_is_found_late_but_before_a_checkpoint(digits: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    as_on_a_gpu(monkeypatch)
    added = iter([1.0, 1.0, float("inf"), *[1.0] * 100])

    def breaks(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return logits[:, 0] * 0 + next(added)

    wanted, own = gather(SMALL, None, loss=breaks)
    journal = RunJournal(tmp_path, every_s=1e9, stop_signal=partial(next, iter([None] * 4 + [15] * 9)))
    with pytest.raises(
        DivergedError, match=r"the loss is not finite at step 3, for 17 of the 17 images.*\. It was seen after step 5, and nothing was saved since"
    ):
        fit(prepare(wanted, digits, own), journal)
    assert journal.last() is None


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"augment.mixup_alpha": 0.4, "augment.flip_horizontal": True, "augment.flip_alternating": True},
        {"train.sampling": "balanced"},
        {"augment.offline_copies": 1},
    ],
    ids=str,
)
def test_images_augmented_ahead_are_those_augmented_step_by_step(digits: Any, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    training = ready(digits, {"augment.rotation_degrees": 10.0, "augment.rising_sizes": [6, 8], **settings}).training()
    expected = [list(training.training(1, 17, first)) for first in (0, 2)]
    monkeypatch.setattr(Batches, "_ahead", lambda self, batch_size: 3)
    for first, wanted in zip((0, 2), expected, strict=True):
        found = list(training.training(1, 17, first))
        assert len(found) == len(wanted) > 4
        for batch, other in zip(found, wanted, strict=True):
            assert all(torch.equal(getattr(batch, part), getattr(other, part)) for part in ("images", "targets", "labels", "rows"))


def test_steps_that_are_told_of_together_are_timed_apart(digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by one a step, each step takes one; `--minutes` counts by that."""
    as_on_a_gpu(monkeypatch)
    taken: list[int] = []
    take = CapturedStep.take

    def counted(self: CapturedStep, batch: Batch, rate: float) -> Any:
        taken.append(1)
        return take(self, batch, rate)

    monkeypatch.setattr(CapturedStep, "take", counted)
    monkeypatch.setattr(minutes, "time", SimpleNamespace(perf_counter=lambda: float(len(taken))))
    assert minutes._step_s(ready(digits), 8) == 1.0
