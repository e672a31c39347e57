import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rung.errors import RecipeError
from rung.models.build import ParameterCounts, build, flops, parameter_counts
from rung.models.probe import evaluation_mode
from rung.recipe import CNN, MLP, Fast, Network, OwnNetwork

OWN = OwnNetwork(source="mine.py:Net")


class Net(nn.Module):
    """One's own network, with torch's own random first weights."""

    def __init__(self, classes: int, channels: int = 3) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout(0.5)
        self.last = nn.Linear(4, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.last(self.dropout(self.norm(self.convolution(images))).mean((2, 3)))
        return answer


def own(source: Callable[..., object], seed: int = 0, size: int = 8) -> nn.Module:
    return build(OWN, classes=5, channels=1, size=size, seed=seed, own=source)


def same(first: nn.Module, second: nn.Module) -> bool:
    one, two = first.state_dict(), second.state_dict()
    return list(one) == list(two) and all(torch.equal(one[k], two[k]) for k in one)


NETWORKS: list[tuple[Network, Callable[..., object] | None]] = [(CNN(filters=(4, 8), dense=(8,)), None), (MLP(dense=(8,)), None), (OWN, Net)]


@pytest.mark.parametrize(("network", "source"), NETWORKS)
def test_weights_depend_on_the_seed_alone_and_the_global_random_state_stays(network: Network, source: Callable[..., object] | None) -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = build(network, classes=5, channels=1, size=8, seed=7, own=source)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert same(first, build(network, classes=5, channels=1, size=8, seed=7, own=source))
    assert not same(first, build(network, classes=5, channels=1, size=8, seed=8, own=source))


@pytest.mark.parametrize(("network", "source"), NETWORKS)
def test_a_network_comes_on_the_processor_in_training_mode(network: Network, source: Callable[..., object] | None) -> None:
    with torch.device("meta"):
        model = build(network, classes=5, channels=1, size=8, seed=7, own=source)
    assert all(module.training for module in model.modules())
    assert all((p.device.type, p.dtype) == ("cpu", torch.float32) for p in model.parameters())


def given_arguments(source: Callable[..., object]) -> dict[str, int]:
    model = own(source)
    assert isinstance(model, Recorder)
    return model.given


class Recorder(nn.Linear):
    def __init__(self, given: dict[str, int]) -> None:
        super().__init__(64, 5)
        self.given = given

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images.flatten(1))


def test_own_networks_get_as_many_arguments_as_they_take() -> None:
    assert given_arguments(lambda: Recorder({})) == {}
    assert given_arguments(lambda size: Recorder({"size": size})) == {"size": 8}
    assert given_arguments(lambda channels, classes, width=3: Recorder({"channels": channels, "classes": classes, "width": width})) == {
        "channels": 1, "classes": 5, "width": 3,
    }  # fmt: skip
    assert given_arguments(lambda **given: Recorder(given)) == {"classes": 5, "channels": 1, "size": 8}
    assert given_arguments(lambda *, classes, **given: Recorder(given | {"classes": classes})) == {"classes": 5, "channels": 1, "size": 8}


def test_own_module_is_copied() -> None:
    mine = Net(5, 1).eval()
    mine.norm.running_mean += 1
    model = own(mine)
    assert model is not mine
    assert same(model, mine)
    assert model.training
    assert not mine.training
    next(model.parameters()).data.zero_()
    assert next(mine.parameters()).any()


def test_lazy_layers_are_drawn_from_the_seed() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch says that lazy layers may change
        lazy = [own(lambda classes: nn.Sequential(nn.Flatten(), nn.LazyLinear(classes)), seed) for seed in (1, 1, 2)]
    assert parameter_counts(lazy[0]).total == 64 * 5 + 5
    assert same(lazy[0], lazy[1])
    assert not same(lazy[0], lazy[2])


def test_trying_an_own_network_changes_nothing_in_it() -> None:
    model = own(Net)
    assert not model.get_buffer("norm.running_mean").any()
    assert model.get_buffer("norm.num_batches_tracked") == 0
    assert all(p.grad is None for p in model.parameters())


def wrong(classes: int) -> nn.Module:
    raise KeyError("width")


WRONG: dict[str, tuple[object, str]] = {
    "not loaded": (None, r"network.source = 'mine.py:Net' names an own network, but none was loaded"),
    "not callable": (3, r"mine.py:Net should be a class or a function .* but it is of type int"),
    "not a module": (lambda: "net", r"mine.py:Net should be or return a torch.nn.Module, but came as str"),
    "asks for more": (lambda classes, depth: None, r"mine.py:Net asks for depth, but is offered classes, channels and size"),
    "positional only": (lambda classes, /: None, r"mine.py:Net asks for classes, but is offered"),
    "raises": (wrong, r"mine.py:Net, called with classes=5, raised KeyError: 'width'"),
    "raises without arguments": (lambda: 1 / 0, r"mine.py:Net, called with no arguments, raised ZeroDivisionError: division by zero"),
    "wrong width": (lambda: Net(7, 1), r"mine.py:Net, given 2 images \(2, 1, 8, 8\), should return logits of shape \(2, 5\).* but returned \(2, 7\)"),
    "wrong channels": (lambda: Net(5, 3), r"given 2 images \(2, 1, 8, 8\), raised RuntimeError: .*channels"),
    "a tuple": (lambda: nn.LSTM(8, 5), r"given 2 images \(2, 1, 8, 8\), raised"),
    "not a tensor": (lambda: Answer([1.0]), r"should return a tensor of logits \(2, 5\), but returned list"),
    "not summed": (lambda: nn.Linear(8, 5), r"but returned \(2, 1, 8, 5\)"),
    "integers": (lambda: Answer(torch.zeros(2, 5, dtype=torch.int64)), r"should return floating-point logits, but returned torch.int64"),
}


class Answer(nn.Module):
    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, images: torch.Tensor) -> object:
        return self.answer


@pytest.mark.parametrize("case", WRONG)
def test_own_networks_that_do_not_fit(case: str) -> None:
    source, message = WRONG[case]
    with pytest.raises(RecipeError, match=message):
        own(source)  # type: ignore[arg-type]


def test_counts_know_frozen_and_shared_parameters() -> None:
    model = Net(5, 1)
    assert parameter_counts(model) == ParameterCounts(9 * 4 + 4 + 4 * 4 + 4 * 5 + 5, 9 * 4 + 4 + 2 * 4 + 4 * 5 + 5)
    model.convolution.requires_grad_(False)
    assert parameter_counts(model) == ParameterCounts(9 * 4 + 4 + 4 * 4 + 4 * 5 + 5, 2 * 4 + 4 * 5 + 5)
    linear = nn.Linear(4, 4)
    assert parameter_counts(nn.Sequential(linear, nn.ReLU(), linear)) == ParameterCounts(20, 20)
    assert parameter_counts(nn.BatchNorm1d(4, track_running_stats=False)) == ParameterCounts(8, 8)


def test_operations_by_hand() -> None:
    model = Net(5, 3)
    assert flops(model, 3, 8) == 2 * (6 * 6 * 4 * 27 + 4 * 5)
    grouped = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), nn.Flatten(), nn.Linear(8 * 16, 3))
    assert flops(grouped, 4, 8) == 2 * (4 * 4 * 8 * 2 * 9 + 8 * 16 * 3)
    assert flops(nn.Flatten(), 3, 8) == 0


@pytest.mark.parametrize("network", [CNN(filters=(4, 6), convolutions=2, dense=(7,), batch_norm="after_activation"), MLP(dense=(9, 5)), Fast(filters=(4, 8))])
def test_operations_are_those_that_torch_counts(network: Network) -> None:
    model = build(network, classes=5, channels=3, size=12, seed=0)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, 3, 12, 12))
    assert flops(model, 3, 12) == counter.get_total_flops() > 0


def test_counting_operations_leaves_the_model_and_the_random_state() -> None:
    model = Net(5, 3)
    model.norm.eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    flops(model, 3, 8)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert [m.training for m in model.modules()] == [True, True, False, True, True]


def test_evaluation_mode_is_left_after_an_error_too() -> None:
    model = Net(5, 3)

    def fail() -> None:
        with evaluation_mode(model):
            assert not model.training
            assert not torch.is_grad_enabled()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert model.training
    assert torch.is_grad_enabled()
