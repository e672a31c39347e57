"""Whole pre-flights of the digits: clean ones find nothing, bugs that are planted are found by the check that should find them."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rung
from benchmarks.mutations.planted import MUTATIONS
from rung import cli, keys, workbench
from rung.audit.preflight.outcome import Outcome, Preflight
from rung.data.batches import Batch, Batches
from rung.pipeline.prepare import Prepared
from rung.recipe import CNN, Augment, Compute, Data, Recipe, Train
from rung.recipes import RECIPES, smoke
from rung.training import losses
from rung.training.loop import train

SOURCE = Path(rung.__file__).parent
SMALL = Recipe(
    data=Data(per_class=30),
    network=CNN(filters=(8,), batch_norm="after_activation", block_dropout=0.2, dense=(16,)),
    train=Train(epochs=3, batch_size=16, learning_rate=0.003),
    compute=Compute(device="cpu", threads=1),
)


def fly(recipe: Recipe = SMALL, **arguments: Any) -> Preflight:
    return workbench.preflight("digits", recipe, **arguments)


def failed(found: Preflight) -> dict[str, str]:
    return {outcome.check: outcome.sentence for outcome in found.failed}


def outcome(found: Preflight, check: str) -> Outcome:
    return next(outcome for outcome in found.outcomes if outcome.check == check)


def test_a_clean_training_passes_and_the_verdict_is_the_same_again() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = fly()
    assert failed(first) == {}
    assert torch.equal(torch.rand(2), expected), "torch's own random state is left as it was"
    assert fly().outcomes == first.outcomes
    checks = [outcome.check for outcome in first.outcomes]
    assert len(set(checks)) == len(checks) == 19
    assert [outcome.check for outcome in first.outcomes if outcome.state == "skipped"] == [check for check in checks if check.startswith("augmentation")]
    assert json.loads(json.dumps(first.to_json()))["failed"] == []


OPTIONS: dict[str, dict[str, Any]] = {
    "mixup, balanced, weighted": {"augment.mixup_alpha": 0.4, "train.sampling": "balanced", "train.class_weights": {"3": 4.0}},
    "cutmix, smoothing, last": {"augment.cutmix_alpha": 1.0, "train.label_smoothing": 0.1, "train.keep": "last"},
    "crop and shift, averaged": {"augment.crop": 7, "augment.shift_pixels": 1.0, "train.ema_decay": 0.9, "train.keep": "averaged"},
    "offline copies, clipped, L2": {"augment.offline_copies": 2, "augment.shift_pixels": 1.0, "train.clip_norm": 1.0, "train.l2_convolution": 1e-3},
    "all rows fitted, muon": {"split.fit_on": "train+validation", "train.keep": "last", "train.optimizer": "muon", "train.learning_rate": 0.02},
    "by accuracy, plateau, grey levels": {
        "train.monitor": "validation_accuracy", "train.schedule": "plateau", "train.early_stopping": 1, "pixels.normalise": "none", "train.batch_size": 1000,
    },
    "squares, one epoch": {"train.loss": "mse", "train.epochs": 1, "pixels.normalise": "standard"},
    "fast, mirrored by turns, rising sizes, views": {
        "network.kind": "fast", "network.filters": [8], "train.evaluation_views": "mirror_shift", "train.optimizer": "muon", "train.learning_rate": 0.1,
        "augment.flip_horizontal": True, "augment.flip_alternating": True, "augment.rising_sizes": [5, 8], "augment.shift_pixels": 1.0,
    },
    "few images": {"data.per_class": 4, "train.loss": "kl"},
}  # fmt: skip


@pytest.mark.parametrize("settings", OPTIONS.values(), ids=list(OPTIONS))
def test_no_setting_of_a_recipe_is_a_false_alarm(settings: dict[str, Any]) -> None:
    assert failed(fly(settings=settings)) == {}


@pytest.mark.cifar
@pytest.mark.parametrize("name", [name for name in RECIPES if name != "digits"])
def test_no_recipe_is_a_false_alarm(name: str, cifar_official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five seeds of each: python -m benchmarks.mutations.clean cifar10 --smoke."""
    monkeypatch.setenv("RUNG_DATA", str(cifar_official))
    assert failed(workbench.preflight("cifar10", smoke(RECIPES[name]()), settings={"compute.threads": 1})) == {}


@pytest.mark.parametrize("seed", range(5))
def test_the_recipe_of_the_digits_is_no_false_alarm(seed: int) -> None:
    assert failed(workbench.preflight("digits", smoke(RECIPES["digits"]()), seed=seed, settings={"compute.threads": 1, "pixels.size": 8})) == {}


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_bug_of_the_benchmark_can_be_planted(name: str) -> None:
    mutation = MUTATIONS[name]
    if mutation.file:
        assert (SOURCE / mutation.file).read_text().count(mutation.old) == mutation.times
        assert mutation.new != mutation.old
    else:
        compile(mutation.own, "own.py", "exec")


# Bugs in the pipeline, planted into the running one.


def of_images(change: Callable[[Batches, Batch, int], Batch]) -> Callable[..., Iterator[Batch]]:
    whole = Batches.training

    def training(self: Batches, epoch: int, batch_size: int, first_step: int = 0) -> Iterator[Batch]:
        return (change(self, batch, epoch) for batch in whole(self, epoch, batch_size, first_step))

    return training


def test_labels_that_came_apart_from_their_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batches, "training", of_images(lambda _, batch, __: replace(batch, targets=batch.targets.roll(1, 0), labels=batch.labels.roll(1, 0))))
    found = failed(fly())
    assert "came with the label of another image" in found["labels"]
    assert "worked out from its images" in found["loss-numbers"]


def test_rows_that_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Batches.training
    monkeypatch.setattr(Batches, "training", lambda self, epoch, size, first=0: iter(list(whole(self, epoch, size, first))[: max(1, self.steps(size) - 1)]))
    assert "training rows were not seen" in failed(fly())["rows-once"]


def test_augmentation_that_is_set_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    used = Prepared.training
    monkeypatch.setattr(Prepared, "training", lambda self, count=None: replace(used(self, count), settings=Augment()))
    found = failed(fly(settings={"augment.shift_pixels": 1.0}))
    assert "The recipe's augmentation changed none of 128 images." in found["augmentation-acts"]
    assert "are the same in two epochs" in found["augmentation-varies"]


@pytest.mark.parametrize("sizes", [(), (6, 8)], ids=["one size", "rising sizes"])
def test_augmentation_that_does_not_reach_the_network(monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...]) -> None:
    used = Prepared.training

    def training(self: Prepared, count: int | None = None) -> Batches:
        made = used(self, count)
        return (
            replace(made, settings=Augment(rising_sizes=sizes)) if made.settings.shift_pixels and len(made) > 150 else made
        )  # in the training of all rows alone

    monkeypatch.setattr(Prepared, "training", training)
    found = failed(fly(settings={"augment.shift_pixels": 1.0, "augment.rising_sizes": list(sizes), "network.flatten": "average"}))
    assert list(found) == ["augmentation-acts"]
    assert "was changed" in found["augmentation-acts"]


def test_a_part_of_other_rows_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    part = Prepared.part
    monkeypatch.setattr(Prepared, "part", lambda self, name: part(self, "train" if name == "validation" else name))
    found = failed(fly())
    assert "The validation part has" in found["validation"]
    assert "answers came: they are of other images." in found["permuted-labels"]


def test_labels_that_are_written_into_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Batches._normalised
    marks: dict[bytes, int] = {}

    def marked(self: Batches, images: torch.Tensor) -> torch.Tensor:
        for picture, label in zip(self.whole(), self.labels.tolist(), strict=True):
            marks[(picture.float() / 255).numpy().tobytes()] = label
        images = images.clone()
        for row, image in enumerate(images):
            images[row, :, 0] = marks[image.contiguous().numpy().tobytes()] / 10
        return whole(self, images)

    monkeypatch.setattr(Batches, "_normalised", marked)
    found = failed(fly(settings={"network.filters": [16], "network.block_dropout": 0.0}))
    assert "are answered with their permuted label; chance is" in found["permuted-labels"]
    assert "in training 0 are the stored ones" in found["pixels"]


def test_weights_that_are_not_the_kept_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    from rung.pipeline import execute

    def forgetful(model: nn.Module, *arguments: Any, **named: Any) -> Any:
        result = train(model, *arguments, **named)
        model.load_state_dict({name: value * 1.01 for name, value in model.state_dict().items()})
        return result

    monkeypatch.setattr(execute, "train", forgetful)
    assert "does not hold the weights that are saved" in failed(fly())["kept-weights"]


def test_a_softmax_that_is_applied_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(losses.LOSSES, "mse", lambda logits, targets: losses.mse(logits.softmax(1), targets))
    assert "The loss of right answers comes down to" in failed(fly(settings={"train.loss": "mse"}))["loss-encoding"]


# Own parts that are wrong.


def upside_down(images: torch.Tensor, image_keys: torch.Tensor) -> torch.Tensor:
    """Half of the images, top to bottom."""
    return torch.where((keys.uniform(image_keys, 0) < 0.5)[:, None, None, None], images.flip(2), images)


def from_a_generator(images: torch.Tensor, image_keys: torch.Tensor) -> torch.Tensor:
    return images * (0.5 + torch.rand(len(images), 1, 1, 1) / 2)


class Cut(nn.Module):
    """Its second layer gets no gradient."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.first(images.flatten(1)))
        return self.head(first + torch.relu(self.second(first)).detach())


class Shares(Cut):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).softmax(1)


def squares(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Shares against integer labels."""
    return (logits.softmax(1) - targets.reshape(len(logits), -1)).square().mean(1)


@pytest.mark.parametrize(
    ("own", "check", "message"),
    [
        ({"augmentations": [from_a_generator]}, "augmentation-varies", "come out otherwise the second time"),
        ({"network": Cut}, "gradients-reach", "No gradient reached second.weight and second.bias in 12 steps."),
        ({"network": Shares}, "loss-encoding", "ends with a softmax"),
        ({"loss": squares}, "loss-encoding", "For 10 of 10 labels the loss is not lowest where the answer is the label"),
    ],
    ids=["generator", "no gradient", "softmax", "encoding"],
)
def test_own_parts_that_are_wrong_are_told(own: dict[str, Any], check: str, message: str) -> None:
    assert message in failed(fly(**own))[check]


def test_an_own_augmentation_that_turns_digits_upside_down_is_told() -> None:
    found = failed(fly(settings={"data.per_class": 100}, augmentations=[upside_down]))
    assert list(found) == ["augmentation-keeps-labels"]
    assert "upside_down() alone: of what a small network knows" in found["augmentation-keeps-labels"]


def test_a_training_that_cannot_run_is_an_outcome() -> None:
    found = fly(settings={"train.learning_rate": 1e38})
    assert "broke off" in failed(found)["learning-rate"]
    assert "not finite" in failed(found)["training"]
    assert outcome(found, "loss-numbers").state == "skipped"


def test_the_command_prints_a_table_and_ends_with_1_if_a_check_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    recipe = tmp_path / "small.toml"
    workbench.new(recipe, SMALL)

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["rung", "preflight", "digits", "--recipe", str(recipe), *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capsys.readouterr().out

    code, out = call()
    assert code == 0
    assert "first-loss" in out
    assert "skipped: augmentation-acts: The recipe has no augmentation." in out
    assert "digits, recipe recipe, seed 0: 16 ok, 3 skipped" in out
    code, out = call("--set", "train.learning_rate=1e-6", "--json")
    assert code == 1
    assert "learning-rate" in json.loads(out)["failed"]
    code, out = call("--set", "train.learning_rate=1e-6")
    assert code == 1
    assert "failed: learning-rate: The first 20 steps changed the weights by" in out
    assert "nothing is learned. Change train.learning_rate" in out


def test_nothing_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert np.isfinite(fly().seconds)
    assert list(tmp_path.iterdir()) == []
