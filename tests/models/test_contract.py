"""One contract for every network: a new one is added to NETWORKS and has to pass all of this."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from rung.models.build import build
from rung.models.contract import Classifier
from rung.recipe import CNN, MLP, Fast, Network

SIZE = 12


def plain(network: Network) -> Callable[[int, int], nn.Module]:
    return lambda classes, channels: build(network, classes=classes, channels=channels, size=SIZE, seed=3)


NETWORKS: dict[str, Callable[[int, int], nn.Module]] = {
    "mlp": plain(MLP(dense=(24, 16), input_dropout=0.1, dense_dropout=(0.2, 0.3))),
    "mlp without dense layers": plain(MLP()),
    "mlp with batch norm": plain(MLP(dense=(24, 16), dense_batch_norm=True)),
    "cnn": plain(CNN(filters=(8, 12), dense=(16,), dense_dropout=0.3)),
    "cnn valid": plain(CNN(filters=(8, 12), padding="valid", dense=(16,), dense_activation="tanh", activation="gelu")),
    "cnn norm after": plain(
        CNN(filters=(8, 12), convolutions=2, batch_norm="after_activation", block_dropout=(0.1, 0.2), dense=(16,), dense_batch_norm=True, flatten_dropout=0.5)
    ),
    "cnn norm before": plain(CNN(filters=(8, 12), convolutions=2, batch_norm="before_activation", flatten="average", defaults="torch")),
    "cnn even kernel": plain(CNN(filters=(8,), kernel_size=4, pool_kind="average", dense=(16,), activation="leaky_relu", initialisation="torch")),
    "fast": plain(Fast(filters=(8, 12))),
    "fast of three convolutions": plain(Fast(filters=(26, 8, 30), convolutions=3, activation="silu")),
    "cnn without blocks": plain(CNN(filters=(), flatten="average")),
}

every_network = pytest.mark.parametrize("name", NETWORKS)
grey_and_colour = pytest.mark.parametrize("channels", [1, 3])


def made(name: str, classes: int = 5, channels: int = 3) -> Classifier:
    model = NETWORKS[name](classes, channels)
    assert isinstance(model, Classifier)
    return model


def images(count: int, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, channels, SIZE, SIZE, generator=torch.Generator().manual_seed(7))


@every_network
@grey_and_colour
def test_shapes(name: str, channels: int) -> None:
    model = made(name, 5, channels)
    features = model.features(images(4, channels))
    assert features.shape == (4, model.feature_width)
    assert model.training
    assert model(images(4, channels)).shape == (4, 5)


@every_network
def test_forward_is_the_head_on_the_features(name: str) -> None:
    model = made(name).eval()
    assert type(model.head) is nn.Linear
    assert torch.equal(model(images(3)), model.head(model.features(images(3))))


@every_network
@grey_and_colour
def test_gradients_reach_every_trainable_parameter(name: str, channels: int) -> None:
    model = made(name, 5, channels)
    torch.manual_seed(0)  # of dropout
    loss = nn.functional.cross_entropy(model(images(16, channels)), torch.arange(16) % 5)
    loss.backward()
    for parameter_name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, parameter_name
        if parameter.grad is None:
            continue
        assert torch.isfinite(parameter.grad).all(), parameter_name
        assert parameter.grad.abs().max() > 1e-7, parameter_name


@every_network
def test_head_swap(name: str) -> None:
    model = made(name).eval()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    features = model.features(images(3))
    model.reset_head(9, seed=4)
    assert model(images(3)).shape == (3, 9)
    assert torch.equal(model.features(images(3)), features)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[k], before[k]) for k in before if not k.startswith("head."))
    assert not model.head.training
    first = model.head.weight.clone()
    model.reset_head(9, seed=4)
    assert torch.equal(model.head.weight, first)
    model.reset_head(9, seed=5)
    assert not torch.equal(model.head.weight, first)


@every_network
def test_fresh_head_is_the_one_that_build_draws(name: str) -> None:
    model = made(name)
    drawn = model.head.weight.clone()
    model.reset_head(5, seed=3)
    assert torch.equal(model.head.weight, drawn)


@every_network
def test_head_swap_keeps_the_dtype_and_the_global_random_state(name: str) -> None:
    model = made(name).double()
    state = torch.get_rng_state()
    model.reset_head(4, seed=1)
    assert model.head.weight.dtype == torch.float64
    assert torch.equal(torch.get_rng_state(), state)


@every_network
@grey_and_colour
def test_evaluation_is_independent_of_the_batch(name: str, channels: int) -> None:
    model = made(name, 5, channels)
    model(images(8, channels))  # the moving values of batch norm are no longer 0 and 1
    model.eval()
    batch = images(6, channels)
    answers = model(batch)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(model(batch[order]), answers[order], rtol=1e-5, atol=1e-6)
    for row in range(6):
        torch.testing.assert_close(model(batch[row : row + 1]), answers[row : row + 1], rtol=1e-5, atol=1e-6)


@every_network
def test_channels_last_in_memory_gives_the_same_answers(name: str) -> None:
    model = made(name).eval()
    answers = model(images(4))
    again = model.to(memory_format=torch.channels_last)(images(4).contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(again, answers, rtol=1e-5, atol=1e-6)


@every_network
def test_saved_weights_give_the_same_answers(name: str) -> None:
    model, other = made(name), NETWORKS[name](5, 3)
    model(images(8))
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.eval()(images(4)), model.eval()(images(4)))


def test_a_network_has_to_say_what_its_features_are() -> None:
    class Unfinished(Classifier):
        pass

    with pytest.raises(TypeError, match="features"):
        Unfinished()  # type: ignore[abstract]
