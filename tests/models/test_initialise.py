import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import nn

from rung import keys
from rung.models.build import build
from rung.models.initialise import initialise
from rung.recipe import CNN, MLP, Initialisation

RULES: tuple[Initialisation, ...] = get_args(Initialisation)
every_rule = pytest.mark.parametrize("rule", RULES)


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(6, 40, 5), nn.BatchNorm2d(40), nn.Linear(300, 200))


def drawn(rule: Initialisation, seed: int = 0, made: Callable[[], nn.Module] = layers) -> dict[str, torch.Tensor]:
    model = made()
    initialise(model, rule, seed)
    return model.state_dict()


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[k], second[k]) for k in first)


# fan in and out: convolution 6*25 and 40*25, linear 300 and 200; (highest value, deviation) of each rule, by Keras' documentation
FANS = {"0.weight": (150, 1000), "2.weight": (300, 200)}
CUT = 0.87962566103423978
LIMITS: dict[str, Callable[[int, int], tuple[float, float]]] = {
    "glorot_uniform": lambda i, o: (math.sqrt(6 / (i + o)), math.sqrt(2 / (i + o))),
    "glorot_normal": lambda i, o: (2 * math.sqrt(2 / (i + o)) / CUT, math.sqrt(2 / (i + o))),
    "he_uniform": lambda i, _: (math.sqrt(6 / i), math.sqrt(2 / i)),
    "he_normal": lambda i, _: (2 * math.sqrt(2 / i) / CUT, math.sqrt(2 / i)),
    "lecun_normal": lambda i, _: (2 * math.sqrt(1 / i) / CUT, math.sqrt(1 / i)),
    "normal": lambda _i, _o: (math.inf, 0.05),
    "uniform": lambda _i, _o: (0.05, 0.05 / math.sqrt(3)),
    "torch": lambda i, _: (1 / math.sqrt(i), 1 / math.sqrt(3 * i)),
}


@pytest.mark.parametrize("name", FANS)
@pytest.mark.parametrize("rule", LIMITS)
def test_range_mean_and_deviation(rule: Initialisation, name: str) -> None:
    values = drawn(rule)[name]
    highest, deviation = LIMITS[rule](*FANS[name])
    assert values.abs().max() <= highest * (1 + 1e-6)
    if math.isfinite(highest):
        assert values.abs().max() > 0.98 * highest
    assert abs(values.std().item() / deviation - 1) < 0.03  # 6,000 values or more: three deviations of an estimate
    assert abs(values.mean().item()) < 4 * deviation / math.sqrt(values.numel())


def test_every_rule_is_tested() -> None:
    assert set(LIMITS) | {"orthogonal", "zeros", "identity"} == set(RULES)


def test_identity_passes_inputs_on_and_draws_the_rest_as_torch_does() -> None:
    identity, plain = drawn("identity"), drawn("torch")
    assert torch.equal(identity["2.weight"], plain["2.weight"])
    kernel = identity["0.weight"]
    assert torch.equal(kernel[6:], plain["0.weight"][6:])
    images = torch.rand(1, 6, 9, 9)
    assert torch.equal(torch.nn.functional.conv2d(images, kernel[:6], padding=2), images)
    assert torch.equal(identity["0.bias"], torch.zeros(40))


def test_zeros() -> None:
    assert all(not drawn("zeros")[name].any() for name in FANS)


def test_orthogonal() -> None:
    state = drawn("orthogonal")
    wide = state["0.weight"].flatten(1)  # 40 rows of 150
    torch.testing.assert_close(wide @ wide.T, torch.eye(40), atol=1e-5, rtol=0)
    tall = drawn("orthogonal", made=lambda: nn.Sequential(nn.Linear(20, 50)))["0.weight"]
    torch.testing.assert_close(tall.T @ tall, torch.eye(20), atol=1e-5, rtol=0)


@every_rule
def test_biases_are_zero_but_torchs(rule: Initialisation) -> None:
    state = drawn(rule)
    for name, fan_in in (("0.bias", 150), ("2.bias", 300)):
        if rule == "torch":
            assert 0.9 / math.sqrt(fan_in) < state[name].abs().max() <= 1 / math.sqrt(fan_in)
        else:
            assert not state[name].any()


@every_rule
def test_batch_norm_is_left_as_it_is(rule: Initialisation) -> None:
    state = drawn(rule)
    assert (state["1.weight"] == 1).all()
    assert not state["1.bias"].any()


def test_values_are_torchs_own_draws_from_the_named_stream() -> None:
    generator = torch.Generator().manual_seed(keys.torch_seed(5, "initialise 2.weight"))
    assert torch.equal(drawn("glorot_uniform", 5)["2.weight"], nn.init.xavier_uniform_(torch.empty(200, 300), generator=generator))


@every_rule
def test_same_seed_same_bits_and_another_seed_others(rule: Initialisation) -> None:
    first = drawn(rule, 1)
    assert same(first, drawn(rule, 1))
    if rule != "zeros":
        assert not torch.equal(first["0.weight"], drawn(rule, 2)["0.weight"])
        assert not torch.equal(first["2.weight"], drawn(rule, 2)["2.weight"])


@every_rule
def test_global_random_state_is_neither_used_nor_changed(rule: Initialisation) -> None:
    model = layers()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    initialise(model, rule, 3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert same(model.state_dict(), drawn(rule, 3))


@every_rule
def test_a_layer_starts_alike_whatever_stands_before_it(rule: Initialisation) -> None:
    network = MLP(dense=(16, 8), initialisation=rule)
    first = build(network, classes=3, channels=1, size=4, seed=0).state_dict()
    wider = build(network.model_copy(update={"dense": (16, 8, 8)}), classes=3, channels=1, size=4, seed=0).state_dict()
    assert all(torch.equal(first[name], wider[name]) for name in first)


@every_rule
def test_a_prefix_is_part_of_the_name(rule: Initialisation) -> None:
    whole, part = nn.Sequential(nn.ReLU(), nn.Linear(30, 20)), nn.Linear(30, 20)
    initialise(whole, rule, 0)
    initialise(part, rule, 0, prefix="1.")
    assert torch.equal(whole.state_dict()["1.weight"], part.weight)
    assert torch.equal(whole.state_dict()["1.bias"], part.bias)


@every_rule
def test_threads_change_no_bit(rule: Initialisation) -> None:
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(drawn(rule, made=lambda: nn.Sequential(nn.Linear(400, 300))))
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert same(*results)


@every_rule
def test_device_and_default_device_change_no_bit(rule: Initialisation) -> None:
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    results = []
    for device in devices:
        model = layers().to(device)
        with torch.device("meta"):  # what is drawn without naming a device would have no values
            initialise(model, rule, 0)
        results.append({name: value.cpu() for name, value in model.state_dict().items()})
    assert all(same(drawn(rule), result) for result in results)


def test_double_weights_hold_the_same_values() -> None:
    model = layers().double()
    initialise(model, "he_normal", 0)
    assert model.state_dict()["0.weight"].dtype == torch.float64
    assert torch.equal(model.state_dict()["0.weight"].float(), drawn("he_normal")["0.weight"])


@pytest.mark.parametrize("network", [CNN(filters=(4,), dense=(8,)), MLP(dense=(8,))])
def test_torch_rule_has_torchs_ranges(network: CNN | MLP) -> None:
    own = build(network.model_copy(update={"initialisation": "torch"}), classes=3, channels=1, size=8, seed=0)
    reference = build(network, classes=3, channels=1, size=8, seed=0)
    for (name, value), layer in ((item, reference.get_submodule(item[0].rpartition(".")[0])) for item in own.named_parameters()):
        assert isinstance(layer, nn.Linear | nn.Conv2d)
        layer.reset_parameters()
        limit = layer.weight[0].numel() ** -0.5
        assert value.abs().max() <= limit, name
        assert layer.get_parameter(name.rpartition(".")[2]).abs().max() <= limit, name
