import json
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn

from rung.errors import RecipeError, RunError
from rung.recipe import OptimizerName, Train
from rung.training import optimizer_defaults
from rung.training.muon import Muon, orthogonal
from rung.training.optimizer_defaults import DEFAULTS, MOMENTUM, default_rate, resolved
from rung.training.optimizers import (
    ADAM_RATIO_BESIDE_MUON,
    CAPTURABLE,
    add_l2_gradient,
    build_optimizers,
    clip,
    l2_penalty,
    optimizer_tensors,
    parameter_kinds,
    penalised,
    restore_optimizers,
    set_momentum,
    set_rate,
    tensor_rates,
)

NAMES = get_args(OptimizerName)


def network(seed: int = 0, channels_last: bool = False) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32, 16),
        nn.ReLU(),
        nn.Linear(16, 4),
    )
    return layers.to(memory_format=torch.channels_last) if channels_last else layers


def settings(name: str, defaults: str = "keras", **more: object) -> Train:
    momentum = 0.9 if name in ("sgd", "rmsprop", "muon") else 0.0
    decay = 0.01 if name in ("adamw", "muon") else 0.0
    return Train.model_validate({"optimizer": name, "defaults": defaults, "momentum": momentum, "weight_decay": decay, **more})


def steps(model: nn.Module, optimizers: list[torch.optim.Optimizer], numbers: range) -> None:
    for number in numbers:
        generator = torch.Generator().manual_seed(number)
        images, labels = torch.randn(12, 3, 6, 6, generator=generator), torch.randint(0, 4, (12,), generator=generator)
        model.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        for optimizer in optimizers:
            optimizer.step()


def bits(model: nn.Module) -> list[bytes]:
    return [value.detach().contiguous().numpy().tobytes() for value in model.state_dict().values()]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("defaults", ["keras", "torch"])
@pytest.mark.parametrize("name", NAMES)
def test_state_is_restored_to_the_bit(name: str, defaults: str, channels_last: bool) -> None:
    train = settings(name, defaults)
    unbroken = network(channels_last=channels_last)
    optimizers = build_optimizers(unbroken, train)
    steps(unbroken, optimizers, range(5))
    tensors, state = optimizer_tensors(optimizers)
    state = json.loads(json.dumps(state))
    weights = {key: value.clone() for key, value in unbroken.state_dict().items()}
    set_rate(optimizers, default_rate(train) / 3)
    steps(unbroken, optimizers, range(5, 10))

    resumed = network(seed=1, channels_last=channels_last)
    resumed.load_state_dict(weights)
    fresh = build_optimizers(resumed, train)
    restore_optimizers(fresh, tensors | {"model.0.weight": torch.zeros(3)}, state)
    set_rate(fresh, default_rate(train) / 3)
    steps(resumed, fresh, range(5, 10))
    assert bits(resumed) == bits(unbroken)
    after, before = optimizer_tensors(fresh)[0], optimizer_tensors(optimizers)[0]
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in after)
    assert all(value.is_contiguous() for value in tensors.values())


@pytest.mark.parametrize("name", NAMES)
def test_saved_state_is_a_copy(name: str) -> None:
    model = network()
    optimizers = build_optimizers(model, settings(name))
    steps(model, optimizers, range(2))
    tensors, _ = optimizer_tensors(optimizers)
    before = {key: value.clone() for key, value in tensors.items()}
    steps(model, optimizers, range(2, 4))
    assert all(torch.equal(tensors[key], before[key]) for key in before)


def test_restored_rates_are_those_saved() -> None:
    model = network()
    train = settings("muon")
    optimizers = build_optimizers(model, train)
    set_rate(optimizers, 0.005)
    saved = optimizer_tensors(optimizers)
    fresh = build_optimizers(model, train)
    restore_optimizers(fresh, *saved)
    assert [group["lr"] for o in fresh for group in o.param_groups] == pytest.approx([0.005, *[0.005 * ADAM_RATIO_BESIDE_MUON] * 2])


def test_state_of_another_recipe_or_network_is_refused() -> None:
    model = network()
    optimizers = build_optimizers(model, settings("adam"))
    steps(model, optimizers, range(1))
    saved = optimizer_tensors(optimizers)
    with pytest.raises(RunError, match="the saved optimizers are Adam, those of this recipe Adadelta"):
        restore_optimizers(build_optimizers(model, settings("adadelta")), *saved)
    with pytest.raises(RunError, match=r"has the shape \(8, 3, 3, 3\), its parameter \(8, 4, 3, 3\)"):
        restore_optimizers(build_optimizers(nn.Sequential(nn.Conv2d(4, 8, 3)), settings("adam")), *saved)
    with pytest.raises(RunError, match="and the network has 2"):
        restore_optimizers(build_optimizers(nn.Sequential(nn.Conv2d(3, 8, 3)), settings("adam")), *saved)


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_learns_and_updates_every_parameter(name: str) -> None:
    model = network()
    before = [p.detach().clone() for p in model.parameters()]
    optimizers = build_optimizers(model, settings(name))
    count = sum(len(group["params"]) for o in optimizers for group in o.param_groups)
    assert count == len(before)
    steps(model, optimizers, range(3))
    # A bias before batch norm has no gradient but rounding.
    assert [key for (key, p), start in zip(model.named_parameters(), before, strict=True) if torch.equal(p, start) and key != "0.bias"] == []


def keras(name: str, gradients: list[np.ndarray], weight: np.ndarray) -> np.ndarray:
    """Keras' update rules, https://keras.io/api/optimizers/, in float64."""
    first, second, product = np.zeros_like(weight), np.zeros_like(weight), 1.0
    if name == "adagrad":
        first += 0.1
    for step, g in enumerate(gradients, start=1):
        match name:
            case "sgd":
                weight = weight - 0.01 * g
            case "rmsprop":
                first = 0.9 * first + 0.1 * g**2
                second = 0.9 * second + 0.001 * g / np.sqrt(first + 1e-7)
                weight = weight - second
            case "adagrad":
                first = first + g**2
                weight = weight - 0.001 * g / np.sqrt(first + 1e-7)
            case "adadelta":
                first = 0.95 * first + 0.05 * g**2
                change = g * np.sqrt(second + 1e-7) / np.sqrt(first + 1e-7)
                second = 0.95 * second + 0.05 * change**2
                weight = weight - 0.001 * change
            case "adam" | "adamw":
                first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
                weight = weight * (1 - 0.001 * 0.01) if name == "adamw" else weight
                rate = 0.001 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
                weight = weight - rate * first / (np.sqrt(second) + 1e-7)
            case "adamax":
                first, second = 0.9 * first + 0.1 * g, np.maximum(0.999 * second, np.abs(g))
                weight = weight - 0.001 * first / ((1 - 0.9**step) * (second + 1e-7))
            case "nadam":
                now, following = (0.9 * (1 - 0.5 * 0.96**s) for s in (step, step + 1))
                product *= now
                first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
                ahead = following * first / (1 - product * following) + (1 - now) * g / (1 - product)
                weight = weight - 0.001 * ahead / (np.sqrt(second / (1 - 0.999**step)) + 1e-7)
    return weight


@pytest.mark.parametrize("name", [n for n in NAMES if n != "muon"])
def test_keras_defaults_give_keras_steps(name: str) -> None:
    layer = nn.Linear(6, 5, bias=False)
    generator = np.random.default_rng(0)
    # adam, adamw and adamax place epsilon elsewhere (as said in the module), so gradients near epsilon are left out for them.
    scale = 1e-4 if name in ("rmsprop", "adagrad", "adadelta") else 1.0
    gradients = [scale * generator.normal(size=(5, 6)) for _ in range(6)]
    expected = keras(name, gradients, layer.weight.detach().double().numpy()) - layer.weight.detach().double().numpy()
    start = layer.weight.detach().clone()
    momentum = 0.9 if name == "rmsprop" else 0.0
    [optimizer] = build_optimizers(layer, settings(name, momentum=momentum))
    for gradient in gradients:
        layer.weight.grad = torch.from_numpy(gradient).float()
        optimizer.step()
    found = (layer.weight.detach() - start).double().numpy()
    np.testing.assert_allclose(found, expected, rtol=3e-3, atol=2e-7)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "muon"])
def test_torch_defaults_are_torch_s_own(name: str) -> None:
    kinds = {k.__name__.lower(): k for k in vars(torch.optim).values() if isinstance(k, type)}
    kind = kinds[name]
    ours, theirs = network(), network()
    extra = {"weight_decay": 0.0} if name == "adamw" else {}
    optimizers = build_optimizers(ours, Train(optimizer=name, defaults="torch"))
    steps(ours, optimizers, range(4))
    steps(theirs, [kind(theirs.parameters(), **extra)], range(4))
    for (key, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if key != "0.bias":  # before batch norm its gradient is rounding alone
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_own_settings_beat_the_defaults() -> None:
    assert default_rate(Train(optimizer="adadelta")) == 0.001
    assert default_rate(Train(optimizer="adadelta", defaults="torch")) == 1.0
    assert default_rate(Train(optimizer="adadelta", learning_rate=0.3)) == 0.3
    [optimizer] = build_optimizers(network(), Train(optimizer="adam", learning_rate=0.3, epsilon=0.01))
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["eps"]) == (0.3, 0.01)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimizer": "adam", "momentum": 0.9}, "train.momentum = 0.9 does nothing with adam"),
        ({"optimizer": "rmsprop", "nesterov": True}, "train.nesterov does nothing with rmsprop"),
        ({"optimizer": "sgd", "nesterov": True}, "train.nesterov is a form of momentum, and train.momentum is 0"),
        ({"optimizer": "sgd", "epsilon": 1e-3}, "train.epsilon = 0.001 does nothing with sgd"),
    ],
)
def test_settings_without_effect_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_optimizers(network(), Train.model_validate(values))


def test_nothing_to_train_is_refused() -> None:
    with pytest.raises(RecipeError, match="no parameter to train"):
        build_optimizers(network().requires_grad_(False), Train())
    with pytest.raises(RecipeError, match="updates hidden kernels, and this network has none"):
        build_optimizers(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), Train(optimizer="muon"))


def test_frozen_parameters_are_left_out() -> None:
    model = network()
    model[0].requires_grad_(False)
    for name in ("adam", "muon"):
        optimizers = build_optimizers(model, settings(name))
        assert model[0].weight not in {p for o in optimizers for group in o.param_groups for p in group["params"]}


def test_muon_takes_hidden_kernels_and_adam_the_rest() -> None:
    model = network()
    muon, adam = build_optimizers(model, settings("muon", weight_decay=0.0))
    names = {id(p): name for name, p in model.named_parameters()}
    assert isinstance(muon, Muon)
    assert [names[id(p)] for p in muon.param_groups[0]["params"]] == ["3.weight", "5.weight", "8.weight"]
    assert type(adam) is torch.optim.Adam
    assert "0.weight" in {names[id(p)] for p in adam.param_groups[0]["params"]}
    decayed = build_optimizers(model, settings("muon"))[1]
    assert type(decayed) is torch.optim.AdamW
    assert [names[id(p)] for p in decayed.param_groups[0]["params"]] == ["0.weight", "10.weight"]
    assert [group["weight_decay"] for group in decayed.param_groups] == [0.01, 0.0]


def test_muon_without_a_momentum_of_its_own_takes_the_published_pair() -> None:
    group = build_optimizers(network(), Train(optimizer="muon"))[0].param_groups[0]
    assert (group["lr"], group["momentum"], group["nesterov"]) == (0.02, 0.95, True)
    group = build_optimizers(network(), Train(optimizer="muon", momentum=0.6))[0].param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.6, True)
    group = build_optimizers(network(), Train(optimizer="muon", momentum=0.0, nesterov=False))[0].param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.0, False), "what is set is meant"


@pytest.mark.parametrize("defaults", ["keras", "torch"])
@pytest.mark.parametrize("name", NAMES)
def test_a_resolved_recipe_does_the_same_when_the_defaults_have_changed(name: OptimizerName, defaults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def built(train: Train) -> list[dict[str, Any]]:
        return [
            {key: value for key, value in group.items() if key != "params"}
            for optimizer in build_optimizers(network(), train)
            for group in optimizer.param_groups
        ]

    train = Train(optimizer=name, defaults=defaults)
    expected, kept = built(train), resolved(train)
    entry = DEFAULTS[defaults][name]
    monkeypatch.setitem(DEFAULTS[defaults], name, entry._replace(learning_rate=7.0, epsilon=entry.epsilon * 3))
    monkeypatch.setattr(optimizer_defaults, "MOMENTUM", {optimizer: (0.123, nesterov) for optimizer, (_, nesterov) in MOMENTUM.items()})
    assert built(train) != expected
    assert built(kept) == expected
    assert resolved(kept) == kept


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("shapes", [[(24, 8)], [(8, 24), (8, 24), (8, 24)], [(16, 16), (5, 7)]])
def test_muon_is_torch_s_on_matrices(shapes: list[tuple[int, int]], nesterov: bool) -> None:
    torch.manual_seed(0)
    mine = [torch.randn(shape, requires_grad=True) for shape in shapes]
    theirs = [m.detach().clone().requires_grad_() for m in mine]
    ours = Muon(mine, 0.02, 0.9, nesterov, 0.1, dtype=torch.bfloat16)
    other = torch.optim.Muon(theirs, lr=0.02, momentum=0.9, nesterov=nesterov, weight_decay=0.1)
    for _ in range(5):
        for m, t in zip(mine, theirs, strict=True):
            m.grad = torch.randn_like(m)
            t.grad = m.grad.clone()
        ours.step()
        other.step()
    for m, t in zip(mine, theirs, strict=True):
        # one rounding of bfloat16 in a step of 0.02 * scale is 2e-4 at most
        torch.testing.assert_close(m, t, rtol=0, atol=1e-3)


def test_muon_takes_convolutions_as_matrices() -> None:
    torch.manual_seed(0)
    kernel = torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
    matrix = kernel.detach().reshape(8, 36).clone().requires_grad_()
    kernel.grad = torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last)
    matrix.grad = kernel.grad.reshape(8, 36).clone()
    Muon([kernel]).step()
    Muon([matrix]).step()
    torch.testing.assert_close(kernel.detach().reshape(8, 36), matrix.detach())


@pytest.mark.parametrize("shape", [(2, 24, 96), (3, 96, 24), (1, 64, 576)])
def test_steps_on_the_small_side_of_a_wide_matrix_are_those_on_all_of_it(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    short = min(shape[1:])
    matrices = torch.randn(shape, dtype=torch.float64) @ torch.diag(torch.logspace(0, -5, shape[2], dtype=torch.float64))  # some directions hardly there
    expected = orthogonal(matrices, torch.float64)  # always on the whole
    assert len(torch.linalg.svdvals(expected)[0]) == short
    torch.testing.assert_close(orthogonal(matrices.float(), torch.float32).double(), expected, rtol=0, atol=2e-3)


@pytest.mark.parametrize("shape", [(3, 20, 50), (2, 50, 20), (1, 32, 32)])
def test_newton_schulz_brings_singular_values_near_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape), torch.float32))
    assert values.max() < 1.3
    assert values.median() > 0.6


def test_set_rate_keeps_the_ratio_of_each_group() -> None:
    optimizers = build_optimizers(network(), Train(optimizer="muon"))
    set_rate(optimizers, 0.1)
    assert [group["lr"] for o in optimizers for group in o.param_groups] == pytest.approx([0.1, 0.1 * ADAM_RATIO_BESIDE_MUON])


@pytest.mark.parametrize("rates", [(0.0625, 0.03125), (0.1, 0.007)], ids=["rates that float32 holds", "others"])
@pytest.mark.parametrize("name", CAPTURABLE)
def test_rates_in_tensors_do_what_rates_in_numbers_do(name: str, rates: tuple[float, float]) -> None:
    plain, held = network(), network()
    train = settings(name, momentum=None, nesterov=name == "muon")
    ours, theirs = build_optimizers(plain, train), build_optimizers(held, train)
    tensor_rates(theirs)
    places = [group["lr"] for optimizer in theirs for group in optimizer.param_groups]
    generator = torch.Generator().manual_seed(0)
    for rate in rates * 3:
        for parameter, other in zip(plain.parameters(), held.parameters(), strict=True):  # the same gradients, or roundings would grow
            parameter.grad = other.grad = torch.randn(parameter.shape, generator=generator)
        for built in (ours, theirs):
            set_rate(built, rate)
            for optimizer in built:
                optimizer.step()
    assert all(group["lr"] is place for group, place in zip((g for o in theirs for g in o.param_groups), places, strict=True))  # filled, not replaced
    for value, other in zip(plain.state_dict().values(), held.state_dict().values(), strict=True):
        torch.testing.assert_close(value, other, rtol=1e-5, atol=1e-7)
    if name != "muon" and rates[0] == 0.0625:
        assert bits(plain) == bits(held)
    rates_saved = [optimizer_tensors(built)[1]["optimizers"][0]["rates"] for built in (ours, theirs)]
    assert rates_saved[1] == pytest.approx(rates_saved[0])


def test_muon_s_momentum_in_a_tensor_is_set_without_replacing_it() -> None:
    model = network()
    optimizers = build_optimizers(model, settings("muon"))
    tensor_rates(optimizers)
    place = optimizers[0].param_groups[0]["momentum"]
    set_momentum(optimizers, 0.5)
    assert place.item() == 0.5
    assert optimizers[0].param_groups[0]["momentum"] is place
    assert "momentum" not in optimizers[1].param_groups[0]


def test_weight_decay_acts_on_kernels_only() -> None:
    model = network()
    [optimizer] = build_optimizers(model, Train(optimizer="adamw", weight_decay=0.5, learning_rate=0.1))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in model.named_parameters():
        kernel = parameter_kinds(model)[name] != "other"
        torch.testing.assert_close(p.detach(), before[name] * (0.95 if kernel else 1.0))


class Headed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.body = nn.Conv1d(1, 4, 3)
        self.side = nn.Linear(4, 4)


def test_parameter_kinds() -> None:
    kinds = parameter_kinds(network())
    assert {name: kind for name, kind in kinds.items() if kind != "other"} == {
        "0.weight": "convolution", "3.weight": "convolution", "5.weight": "convolution", "8.weight": "dense", "10.weight": "last",
    }  # fmt: skip
    assert len(kinds) == len(list(network().parameters()))
    assert parameter_kinds(Headed())["head.weight"] == "last"
    assert parameter_kinds(Headed())["side.weight"] == "dense"
    assert parameter_kinds(nn.Conv2d(1, 1, 1)) == {"weight": "convolution", "bias": "other"}


@pytest.mark.parametrize("last", [False, True])
def test_l2_gradient_is_that_of_the_penalty(last: bool) -> None:
    model = network()
    train = Train(l2_convolution=1e-2, l2_dense=3e-2, l2_last=last)
    by_hand = sum(1e-2 * model[i].weight.square().sum() for i in (0, 3, 5)) + 3e-2 * model[8].weight.square().sum()
    if last:
        by_hand = by_hand + 3e-2 * model[10].weight.square().sum()
    torch.testing.assert_close(torch.tensor(l2_penalty(penalised(model, train))), by_hand.detach())
    by_hand.backward()
    expected = {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    add_l2_gradient(penalised(model, train))
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, 1 + expected[name])


def test_without_l2_nothing_is_added() -> None:
    model = network()
    assert penalised(model, Train()) == []
    add_l2_gradient(penalised(model, Train(l2_dense=1.0)))
    assert all(p.grad is None for p in model.parameters())
    assert l2_penalty([]) == 0.0


def gradients(model: nn.Module, scale: float) -> torch.Tensor:
    torch.manual_seed(3)
    for p in model.parameters():
        p.grad = scale * torch.randn_like(p)
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_clip_by_value_and_norm() -> None:
    model = network()
    whole = gradients(model, 2.0)
    torch.testing.assert_close(clip(model, Train(clip_value=0.5)), whole.norm())
    torch.testing.assert_close(torch.cat([p.grad.flatten() for p in model.parameters()]), whole.clamp(-0.5, 0.5))

    whole = gradients(model, 2.0)
    torch.testing.assert_close(clip(model, Train(clip_norm=1.5)), whole.norm())
    torch.testing.assert_close(torch.cat([p.grad.flatten() for p in model.parameters()]), whole * 1.5 / whole.norm())

    whole = gradients(model, 2.0).clamp(-0.5, 0.5)
    clip(model, Train(clip_value=0.5, clip_norm=1.5))
    torch.testing.assert_close(torch.cat([p.grad.flatten() for p in model.parameters()]), whole * 1.5 / whole.norm())


def test_small_gradients_are_not_clipped_and_broken_ones_show_in_the_norm() -> None:
    model = network()
    whole = gradients(model, 1e-4)
    clip(model, Train(clip_value=0.5, clip_norm=1.0))
    assert torch.equal(torch.cat([p.grad.flatten() for p in model.parameters()]), whole)
    model[0].weight.grad[0] = torch.inf
    assert not torch.isfinite(clip(model, Train(clip_value=0.5)))


@pytest.mark.parametrize(("settings", "model"), [({"l2_convolution": 0.1}, nn.Linear(3, 2)), ({"l2_dense": 0.1}, nn.Conv2d(1, 2, 3))])
def test_a_penalty_that_finds_no_kernel_is_refused(settings: dict[str, float], model: nn.Module) -> None:
    with pytest.raises(RecipeError, match=rf"train.{next(iter(settings))} = 0.1 finds no such kernel in the network \(nn.Conv2d, nn.Linear\): set it to 0"):
        penalised(model, Train.model_validate(settings))
