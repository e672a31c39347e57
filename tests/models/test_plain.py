import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rung.errors import RecipeError
from rung.models.build import ParameterCounts, build, flops, parameter_counts
from rung.recipe import CNN, MLP, Network

# The networks of five documented projects, and the numbers of parameters that those give.
MODEL_S = CNN(filters=(32, 64, 128), convolutions=2, batch_norm="after_activation", flatten_dropout=0.5, dense=(256,), dense_dropout=0.5)
BACKPROP_MLP = MLP(dense=(512, 256), dense_dropout=(0.3, 0.0))
BACKPROP_CNN = CNN(filters=(32, 64, 128), padding="valid", dense=(512, 256), dense_dropout=0.5)
OMNIVORES = CNN(
    filters=(32, 64, 128), convolutions=2, batch_norm="after_activation", block_dropout=(0.25, 0.3, 0.35), flatten="average", dense=(512,), dense_dropout=0.5
)
CNN_1 = CNN(filters=(32, 64, 64), padding="valid", dense=(64,))
CNN_2 = CNN(filters=(32, 64, 64), convolutions=2, dense=(64,))


def cnn_3(*filters: int) -> CNN:
    return CNN(filters=filters, convolutions=2, dense=(64,))


def cnn_4(blocks: tuple[float, float, float], dense: float) -> CNN:
    return CNN(filters=(32, 64, 128), convolutions=2, block_dropout=blocks, dense=(64,), dense_dropout=dense)


def cnn_6(dense: int, activation: str = "relu", dense_activation: str = "relu") -> CNN:
    """CNN 5 is cnn_6(64); CNN 7, 8 and 9 are cnn_6(128) with other activations and trainings."""
    return CNN.model_validate({
        "filters": (32, 64, 128), "convolutions": 2, "activation": activation, "batch_norm": "after_activation", "block_dropout": (0.3, 0.4, 0.5),
        "dense": (dense,), "dense_activation": dense_activation, "dense_batch_norm": True, "dense_dropout": 0.3,
    })  # fmt: skip


# name: (network, channels, classes, all parameters, trainable ones)
REPORTED: dict[str, tuple[Network, int, int, int, int]] = {
    "S1 model S": (MODEL_S, 3, 10, 815_914, 815_018),
    "S2 MLP": (BACKPROP_MLP, 3, 10, 1_707_274, 1_707_274),
    "S2 CNN": (BACKPROP_CNN, 3, 10, 489_802, 489_802),
    "S3 omnivores": (OMNIVORES, 3, 5, 357_413, 356_517),
    "S4 CNN 1": (CNN_1, 1, 10, 72_842, 72_842),
    "S4 CNN 2": (CNN_2, 1, 10, 205_098, 205_098),
    "S4 CNN 3 16-32-64": (cnn_3(16, 32, 64), 1, 10, 138_042, 138_042),
    "S4 CNN 3 32-64-128": (cnn_3(32, 64, 128), 1, 10, 418_218, 418_218),
    "S4 CNN 3 64-128-256": (cnn_3(64, 128, 256), 1, 10, 1_407_114, 1_407_114),
    "S4 CNN 3 128-256-512": (cnn_3(128, 256, 512), 1, 10, 5_099_082, 5_099_082),
    "S4 CNN 4 v1": (cnn_4((0.5, 0.5, 0.5), 0.5), 1, 10, 418_218, 418_218),
    "S4 CNN 4 v5": (cnn_4((0.3, 0.4, 0.5), 0.3), 1, 10, 418_218, 418_218),
    "S4 CNN 5": (cnn_6(64), 1, 10, 420_266, 419_242),
    "S4 CNN 6 dense 32": (cnn_6(32), 1, 10, 354_250, 353_290),
    "S4 CNN 6 dense 64": (cnn_6(64), 1, 10, 420_266, 419_242),
    "S4 CNN 6 dense 128": (cnn_6(128), 1, 10, 552_298, 551_146),
    "S4 CNN 6 dense 256": (cnn_6(256), 1, 10, 816_362, 814_954),
    "S4 CNN 6 dense 512": (cnn_6(512), 1, 10, 1_344_490, 1_342_570),
    "S4 CNN 7 relu/tanh": (cnn_6(128, "relu", "tanh"), 1, 10, 552_298, 551_146),
    "S4 colour": (cnn_6(128), 3, 10, 552_874, 551_722),
}


@pytest.mark.parametrize("name", REPORTED)
def test_parameter_counts_of_documented_networks(name: str) -> None:
    network, channels, classes, total, trainable = REPORTED[name]
    model = build(network, classes=classes, channels=channels, size=32, seed=0)
    assert parameter_counts(model) == ParameterCounts(total, trainable)


def test_model_s_costs_78_million_operations() -> None:
    by_hand = 2 * (32 * 32 * 9 * (3 * 32 + 32 * 32) + 16 * 16 * 9 * (32 * 64 + 64 * 64) + 8 * 8 * 9 * (64 * 128 + 128 * 128) + 2048 * 256 + 256 * 10)
    assert flops(build(MODEL_S, classes=10, channels=3, size=32, seed=0), 3, 32) == by_hand
    assert round(by_hand / 1e6) == 78


def order(module: nn.Module) -> list[str]:
    return [name for name, layer in module.named_modules() if not list(layer.children())]


def test_order_of_layers_in_a_block_and_in_the_head() -> None:
    network = CNN(
        filters=(4,),
        convolutions=2,
        batch_norm="after_activation",
        block_dropout=0.2,
        flatten_dropout=0.3,
        dense=(6,),
        dense_batch_norm=True,
        dense_dropout=0.1,
    )
    assert order(build(network, classes=2, channels=1, size=8, seed=0)) == [
        "blocks.0.convolution_0", "blocks.0.activation_0", "blocks.0.norm_0", "blocks.0.convolution_1", "blocks.0.activation_1", "blocks.0.norm_1",
        "blocks.0.pool", "blocks.0.dropout", "flatten.flatten", "flatten.dropout",
        "dense.0.linear", "dense.0.activation", "dense.0.norm", "dense.0.dropout", "head",
    ]  # fmt: skip
    before = build(network.model_copy(update={"batch_norm": "before_activation", "flatten": "average"}), classes=2, channels=1, size=8, seed=0)
    assert order(before)[:3] == ["blocks.0.convolution_0", "blocks.0.norm_0", "blocks.0.activation_0"]
    assert order(before)[8:10] == ["flatten.average", "flatten.flatten"]


def test_names_of_weights_are_the_keys_of_checkpoints() -> None:
    network = CNN(filters=(4, 4), batch_norm="after_activation", dense=(6,), dense_batch_norm=True)
    names = list(build(network, classes=2, channels=1, size=8, seed=0).state_dict())
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    blocks = [f"blocks.{n}.{x}" for n in (0, 1) for x in ("convolution_0.weight", "convolution_0.bias", *(f"norm_0.{k}" for k in norm))]
    assert names == [*blocks, "dense.0.linear.weight", "dense.0.linear.bias", *(f"dense.0.norm.{k}" for k in norm), "head.weight", "head.bias"]


def test_dropout_changes_no_name_of_weights() -> None:
    dropped = OMNIVORES.model_copy(update={"block_dropout": 0.0, "dense_dropout": 0.0})
    first, second = (build(n, classes=5, channels=3, size=32, seed=0).state_dict() for n in (OMNIVORES, dropped))
    assert list(first) == list(second)
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_cnn_against_the_same_layers_by_hand() -> None:
    network = CNN(filters=(4, 6), convolutions=1, padding="valid", batch_norm="after_activation", dense=(5,), dense_activation="tanh", pool_kind="average")
    model = build(network, classes=3, channels=3, size=14, seed=2).eval()
    weights = {k: v.clone().normal_() if "norm" not in k else v for k, v in model.state_dict().items()}
    model.load_state_dict(weights)
    images = torch.rand(2, 3, 14, 14)
    maps = images
    for block in (0, 1):
        maps = nn.functional.conv2d(maps, weights[f"blocks.{block}.convolution_0.weight"], weights[f"blocks.{block}.convolution_0.bias"])
        maps = nn.functional.avg_pool2d(maps.relu() / (1 + 1e-3) ** 0.5, 2)  # a fresh batch norm divides by sqrt(1 + epsilon)
    row = (maps.flatten(1) @ weights["dense.0.linear.weight"].T + weights["dense.0.linear.bias"]).tanh()
    torch.testing.assert_close(model(images), row @ weights["head.weight"].T + weights["head.bias"])


@pytest.mark.parametrize(("defaults", "epsilon", "momentum"), [("keras", 1e-3, 0.01), ("torch", 1e-5, 0.1)])
def test_settings_of_batch_norm(defaults: str, epsilon: float, momentum: float) -> None:
    network = CNN.model_validate({"filters": (4,), "batch_norm": "before_activation", "dense": (4,), "dense_batch_norm": True, "defaults": defaults})
    norms = [m for m in build(network, classes=2, channels=1, size=8, seed=0).modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert [(n.eps, n.momentum) for n in norms] == [(epsilon, momentum)] * 2


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 6])
def test_same_padding_is_torchs_same(side: int) -> None:
    model = build(CNN(filters=(3,), kernel_size=side, pool=1, flatten="average"), classes=2, channels=2, size=7, seed=0)
    convolution = model.get_submodule("blocks.0.convolution_0")
    assert isinstance(convolution, nn.Conv2d)
    images = torch.rand(2, 2, 7, 7)
    before, after = (side - 1) // 2, side // 2
    expected = nn.functional.conv2d(nn.functional.pad(images, (before, after, before, after)), convolution.weight, convolution.bias).relu()
    torch.testing.assert_close(model.get_submodule("blocks")(images), expected)
    assert expected.shape == (2, 3, 7, 7)


def test_dropout_fractions_reach_their_places() -> None:
    network = CNN(filters=(2, 2), block_dropout=(0.1, 0.2), flatten_dropout=0.3, dense=(3, 3), dense_dropout=(0.4, 0.5))
    model = build(network, classes=2, channels=1, size=8, seed=0)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.1, 0.2, 0.3, 0.4, 0.5]
    everywhere = network.model_copy(update={"block_dropout": 0.5, "dense_dropout": 0.25})
    model = build(everywhere, classes=2, channels=1, size=8, seed=0)
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.5, 0.5, 0.3, 0.25, 0.25]
    mlp = build(MLP(dense=(3,), input_dropout=0.2), classes=2, channels=1, size=8, seed=0)
    assert [m.p for m in mlp.modules() if isinstance(m, nn.Dropout)] == [0.2]


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "elu", "gelu", "silu", "leaky_relu"])
def test_activations_by_name(activation: str) -> None:
    network = CNN.model_validate({"filters": (2,), "activation": activation, "dense": (3,), "dense_activation": activation})
    model = build(network, classes=2, channels=1, size=8, seed=0)
    values = torch.linspace(-3, 3, 50)
    for place in ("blocks.0.activation_0", "dense.0.activation"):
        torch.testing.assert_close(model.get_submodule(place)(values), getattr(torch.nn.functional, activation)(values))


TOO_SMALL = {
    "convolution": (
        CNN(filters=(32, 64), kernel_size=5, padding="valid"), 10,
        r"images of 10x10 pixels: in block 2 of 2 \(64 filters\) 3x3 pixels arrive at the 5x5 convolution; "
        r"use pixels.size of 16 or more, or network.padding = 'same'$",
    ),
    "pooling": (CNN(), 4, r"block 3 of 3 \(128 filters\) 1x1 pixel arrives at the 2x2 pooling; use pixels.size of 8 or more, or fewer blocks"),
    "as many pixels as a convolution takes away": (
        CNN(filters=(4,), kernel_size=5, padding="valid"), 4,
        r"block 1 of 1 \(4 filters\) 4x4 pixels arrive at the 5x5 convolution; use pixels.size of 6 or more, or network.padding = 'same'$",
    ),
    "same is not enough": (CNN(padding="valid"), 6, r"use pixels.size of 22 or more, or network.padding = 'same' and fewer blocks in network.filters$"),
    "no size is enough": (CNN(filters=(4,) * 14), 32, r"block 6 of 14 .* 2x2 pooling; use fewer blocks in network.filters$"),
}  # fmt: skip


@pytest.mark.parametrize("case", TOO_SMALL)
def test_images_too_small_for_the_network(case: str) -> None:
    network, size, message = TOO_SMALL[case]
    with pytest.raises(RecipeError, match=message):
        build(network, classes=2, channels=1, size=size, seed=0)


@given(
    filters=st.lists(st.integers(1, 3), max_size=4).map(tuple),
    convolutions=st.integers(1, 2),
    kernel_size=st.integers(1, 5),
    padding=st.sampled_from(["same", "valid"]),
    pool=st.integers(1, 3),
    flatten=st.sampled_from(["flatten", "average"]),
    size=st.integers(1, 24),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_network_works_or_says_from_which_size_it_does(size: int, **fields: object) -> None:
    network, message = CNN.model_validate(fields), ""
    try:
        model = build(network, classes=3, channels=1, size=size, seed=0)
    except RecipeError as error:
        message = str(error)
    if message:
        enough = int(re.findall(r"pixels.size of (\d+) or more", message)[0])
        assert enough > size
        with pytest.raises(RecipeError):
            build(network, classes=3, channels=1, size=enough - 1, seed=0)
        size = enough
        model = build(network, classes=3, channels=1, size=size, seed=0)
    assert model(torch.zeros(2, 1, size, size)).shape == (2, 3)
