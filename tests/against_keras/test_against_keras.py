"""Against Keras itself: the numbers of reference.json were computed by the versions it names, with make_reference.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rung.data.affine import move
from rung.data.colour import contrast_brightness
from rung.data.draws import Draw
from rung.models.build import build
from rung.models.initialise import initialise
from rung.recipe import CNN, Augment, Train
from rung.training.loop import Progress, _judge
from rung.training.losses import LOSSES
from rung.training.optimizers import build_optimizers, default_rate, l2_penalty
from rung.training.steps import Work

REFERENCE: dict[str, Any] = json.loads(Path(__file__).with_name("reference.json").read_text(encoding="utf-8"))
STEPS: dict[str, list[list[float]]] = REFERENCE["optimizers"]["weights"]
VALUES = {"same": (11 * 11, 5 * 5), "valid": (9 * 9, 2 * 2)}  # that a batch norm of the small network sees of each image


def as_keras(variance: torch.Tensor, values: int, steps: int) -> torch.Tensor:
    """Return the moving variance (C,) as Keras has it, which divides by the number of values in a batch; torch divides by one less."""
    left_of_the_start = 0.99**steps
    return (variance - left_of_the_start) * (values - 1) / values + left_of_the_start


def epsilon_as_keras(adam: torch.optim.Optimizer, step: int) -> None:
    """Keras adds epsilon before the correction for the start, torch after it: the one difference, a factor of 32 on epsilon at step 1, 1.26 at step 1,000."""
    adam.param_groups[0]["eps"] = 1e-7 / (1 - 0.999**step) ** 0.5


@pytest.mark.parametrize("case", STEPS)
def test_five_steps_at_default_settings(case: str) -> None:
    name, _, scale = case.partition(" ")
    start = torch.tensor(REFERENCE["optimizers"]["start"])
    layer = nn.Linear(6, 1, bias=False)
    layer.weight.data = start.clone()[None]
    decay = {"weight_decay": 0.004} if name == "adamw" else {}  # Keras' default; rung's is 0
    [optimizer] = build_optimizers(layer, Train.model_validate({"optimizer": name, **decay}))
    for step, expected in enumerate(torch.tensor(STEPS[case]), start=1):
        if name in ("adam", "adamw"):
            epsilon_as_keras(optimizer, step)
        layer.weight.grad = torch.tensor(REFERENCE["optimizers"]["gradients"][step - 1])[None] * float(scale)
        optimizer.step()
        torch.testing.assert_close(layer.weight.detach()[0] - start, expected - start, rtol=1e-5, atol=3e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients(name: str) -> None:
    reference = REFERENCE["losses"]
    logits = torch.tensor(reference["logits"], requires_grad=True)
    values = LOSSES[name](logits, torch.tensor(reference["labels"]))
    torch.testing.assert_close(values.detach(), torch.tensor(reference["losses"][name]["values"]), rtol=1e-5, atol=1e-6)
    (gradient,) = torch.autograd.grad(values.mean(), logits)
    torch.testing.assert_close(gradient, torch.tensor(reference["losses"][name]["gradient"]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["dense", "maps"])
def test_batch_norm(kind: str) -> None:
    shape = {"dense": (3, 16, 4), "maps": (3, 16, 5, 5, 4)}[kind]
    batches = torch.from_numpy((2 * np.random.default_rng(2).normal(size=shape) + 1).astype("float32")).movedim(-1, 2)
    network = CNN(filters=(4,), batch_norm="after_activation", dense=(4,), dense_batch_norm=True)
    wanted = nn.BatchNorm1d if kind == "dense" else nn.BatchNorm2d
    [norm] = [layer for layer in build(network, classes=2, channels=1, size=4, seed=0).modules() if isinstance(layer, wanted)]
    for batch in batches:
        norm(batch)
    reference = {name: torch.tensor(values) for name, values in REFERENCE["batch_norm"][kind].items()}
    torch.testing.assert_close(norm.running_mean, reference["mean"], rtol=1e-5, atol=1e-6)
    norm.running_var = as_keras(norm.running_var, batches[0].numel() // 4, steps=3)
    torch.testing.assert_close(norm.running_var, reference["variance"], rtol=1e-5, atol=1e-6)
    answer = norm.eval()(batches[0]).movedim(1, -1).reshape(-1, 4)[:2]
    torch.testing.assert_close(answer, reference["answer"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", REFERENCE["initialisers"])
def test_first_weights(rule: Any) -> None:
    layers = nn.ModuleDict({"convolution": nn.Conv2d(64, 128, 3), "dense": nn.Linear(500, 400)})
    initialise(layers, rule, 0)
    for kind, reference in REFERENCE["initialisers"][rule].items():
        weights = layers[kind].weight.detach()
        assert weights.std().item() == pytest.approx(reference["deviation"], rel=0.01)
        assert rule == "normal" or weights.abs().max().item() == pytest.approx(reference["highest"], rel=0.01), "normal has no highest value"
        assert not layers[kind].bias.detach().any()


@pytest.mark.parametrize("case", REFERENCE["callbacks"], ids=lambda case: f"{case['mode']} {case['patience']} {case['stop']}")
def test_plateau_early_stopping_and_best_weights(case: dict[str, Any]) -> None:
    monitor = "validation_loss" if case["mode"] == "min" else "validation_accuracy"
    train = Train.model_validate(
        {
            "learning_rate": 0.001,
            "schedule": "plateau",
            "drop_factor": case["factor"],
            "plateau_patience": case["patience"],
            "minimum_rate": case["min_lr"],
            "early_stopping": case["stop"],
            "monitor": monitor,
        }
    )
    progress, rates = Progress(), []
    for epoch, value in enumerate(case["values"], start=1):
        _judge(progress, {"epoch": epoch, monitor: value}, train)
        rates.append(default_rate(train) * progress.plateau.factor)
        if progress.stopped:
            break
    assert rates == pytest.approx(case["rates"])
    assert (epoch if progress.stopped else None) == case["stopped"]
    assert progress.best_epoch == case["weights_left"]


FIELDS = {
    "rotation": ("rotation_degrees", (Draw.ROTATION,)),
    "zoom": ("zoom_fraction", (Draw.ZOOM,)),
    "shift": ("shift_fraction", (Draw.SHIFT_X, Draw.SHIFT_Y)),
    "contrast": ("contrast_fraction", (Draw.CONTRAST,)),
    "brightness": ("brightness_fraction", (Draw.BRIGHTNESS,)),
}


@pytest.mark.parametrize("case", REFERENCE["augmentation"])
def test_augmentation_by_a_given_amount(case: str) -> None:
    what, amount, fill = case.split()
    field, numbers = FIELDS[what]
    images = torch.from_numpy(np.random.default_rng(4).random((1, 6, 6, 2)).astype("float32")).permute(0, 3, 1, 2)
    draws = torch.full((len(Draw), 1), 0.5, dtype=torch.float64)
    draws[list(numbers)] = 1.0 if float(amount) > 0 else 0.0
    settings = Augment.model_validate({field: abs(float(amount)), "fill": fill})
    result = contrast_brightness(move(images, draws, settings), draws, settings).clamp(0, 1)
    torch.testing.assert_close(result.permute(0, 2, 3, 1), torch.tensor(REFERENCE["augmentation"][case]), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", REFERENCE["trainings"])
def test_five_steps_of_a_whole_network_with_l2(name: str) -> None:
    case = REFERENCE["trainings"][name]
    generator = np.random.default_rng(3)
    network = CNN(filters=(3, 4), padding=case["padding"], activation=case["activation"], batch_norm="after_activation", dense=(5,))
    model = build(network, classes=3, channels=2, size=11, seed=0)
    side = 2 if case["padding"] == "same" else 1
    kernels = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for kernel, shape in zip(kernels, [(3, 3, 2, 3), (3, 3, 3, 4), (4 * side * side, 5), (5, 3)], strict=True):
        drawn = torch.from_numpy((0.4 * generator.normal(size=shape)).astype("float32"))
        if shape[0] == 4 * side * side:  # Keras flattens rows, columns, maps; torch maps, rows, columns
            drawn = drawn.reshape(side, side, 4, 5).permute(2, 0, 1, 3).reshape(-1, 5)
        kernel.weight.data = drawn.permute(3, 2, 0, 1).contiguous() if drawn.ndim == 4 else drawn.T.contiguous()
    images, others = (torch.from_numpy(generator.random(size=(8, 11, 11, 2)).astype("float32")).permute(0, 3, 1, 2) for _ in range(2))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    train = Train(optimizer=case["optimizer"].lower(), l2_convolution=1e-2, l2_dense=3e-2, clip_value=case["clipvalue"])
    work = Work.of(model, train, LOSSES["cross_entropy"], "float32", None)
    found = []
    model.train()
    for step in range(1, 6):
        value = work.losses(images, labels)[0].mean()
        found.append(value.item() + l2_penalty(work.kernels))
        work.gradients(value)
        if case["optimizer"] == "Adam":
            epsilon_as_keras(work.optimizers[0], step)
        work.update()
    assert found == pytest.approx(case["steps"], rel=2e-5)
    for norm, values in zip((layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)), VALUES[case["padding"]], strict=True):
        norm.running_var = as_keras(norm.running_var, 8 * values, steps=5)
    with torch.inference_mode():
        answers = model.eval()(others)
    loss = LOSSES["cross_entropy"](answers, labels).mean().item() + l2_penalty(work.kernels)
    assert loss == pytest.approx(case["loss"], rel=2e-5), "what Keras calls val_loss is validation_objective"
    assert (answers.argmax(1) == labels).double().mean().item() == pytest.approx(case["accuracy"])
    torch.testing.assert_close(answers.softmax(1), torch.tensor(case["answers"]), rtol=0, atol=2e-5)
