import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from rung.explain.architecture import LayerRow, layers, norm_memory, picture
from rung.models.build import ParameterCounts, build, parameter_counts
from rung.recipe import CNN, MLP, Network

MODEL_S = CNN(filters=(32, 64, 128), convolutions=2, batch_norm="after_activation", flatten_dropout=0.5, dense=(256,), dense_dropout=0.5)
SVG = "{http://www.w3.org/2000/svg}"


def plain(network: Network, channels: int = 3, size: int = 32) -> list[LayerRow]:
    return layers(build(network, classes=10, channels=channels, size=size, seed=0), channels, size)


class Residual(nn.Module):
    """Two convolutions with a skip, one activation used twice, one layer that is never called."""

    def __init__(self, width: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.activation = nn.ReLU()
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        self.skip = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.scale = nn.Parameter(torch.ones(1))
        self.spare = nn.Linear(2, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        inner = self.second_norm(self.second(self.activation(self.first_norm(self.first(images)))))
        return self.activation(self.scale * inner + self.skip(images))


def deep(blocks: int) -> nn.Sequential:
    stages = [Residual(8, 2 if number in (0, blocks // 2) else 1) for number in range(blocks)]
    return nn.Sequential(nn.Conv2d(3, 8, 7, stride=2, padding=3), nn.MaxPool2d(3, 2, 1), *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


class Attending(nn.Module):
    """Parts that return tuples, and parameters of the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.places = nn.Parameter(torch.zeros(1, 64, 16))
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.recurrent = nn.LSTM(16, 12, batch_first=True)
        self.head = nn.Linear(12, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.places
        tokens, _ = self.attention(tokens, tokens, tokens)
        answer: torch.Tensor = self.head(self.recurrent(tokens)[0].mean(1))
        return answer


def tied() -> nn.Module:
    linear = nn.Linear(3072, 3072)
    other = nn.Linear(3072, 3072)
    other.weight = linear.weight
    return nn.Sequential(nn.Flatten(), linear, nn.Tanh(), linear, other)


OWN = {"residual": lambda: deep(4), "attending": Attending, "tied": tied}


def test_rows_of_a_network() -> None:
    rows = plain(CNN(filters=(4,), batch_norm="after_activation", block_dropout=0.25, dense=(6,), pool_kind="average"), 1, 8)
    assert rows == [
        LayerRow("input", "input", "", (1, 8, 8), 0, 0),
        LayerRow("blocks.0.convolution_0", "convolution", "3×3", (4, 8, 8), 40, 40),
        LayerRow("blocks.0.activation_0", "activation", "ReLU", (4, 8, 8), 0, 0),
        LayerRow("blocks.0.norm_0", "normalisation", "batch norm", (4, 8, 8), 16, 8),
        LayerRow("blocks.0.pool", "pooling", "average 2×2", (4, 4, 4), 0, 0),
        LayerRow("blocks.0.dropout", "dropout", "0.25", (4, 4, 4), 0, 0),
        LayerRow("flatten.flatten", "flatten", "", (64,), 0, 0),
        LayerRow("dense.0.linear", "dense", "", (6,), 390, 390),
        LayerRow("dense.0.activation", "activation", "ReLU", (6,), 0, 0),
        LayerRow("head", "dense", "", (10,), 70, 70),
    ]


@pytest.mark.parametrize("network", [MODEL_S, MLP(dense=(8, 4), dense_batch_norm=True), CNN(batch_norm="before_activation", flatten="average", kernel_size=2)])
def test_rows_add_up_to_the_parameters_of_plain_networks(network: Network) -> None:
    model = build(network, classes=10, channels=3, size=32, seed=0)
    rows = layers(model, 3, 32)
    assert ParameterCounts(sum(r.parameters for r in rows), sum(r.trainable for r in rows)) == parameter_counts(model)
    assert rows[-1].output == (10,)


@pytest.mark.parametrize("name", OWN)
def test_rows_add_up_to_the_parameters_of_own_networks(name: str) -> None:
    model = OWN[name]()
    next(model.parameters()).requires_grad_(False)
    rows = layers(model, 3, 32)
    assert ParameterCounts(sum(r.parameters for r in rows), sum(r.trainable for r in rows)) == parameter_counts(model)


def test_layers_used_twice_and_never() -> None:
    rows = layers(deep(1), 3, 32)
    activations = [r for r in rows if r.name == "2.activation"]
    assert [r.output for r in activations] == [(8, 4, 4), (8, 4, 4)]
    assert [(r.name, r.output, r.parameters) for r in rows[-1:]] == [("2.spare", None, 6)]
    assert [r.detail for r in rows if r.kind in ("convolution", "pooling")] == [
        "7×7 stride 2", "max 3×3", "3×3 stride 2", "3×3", "average 2×2", "average to 1×1",
    ]  # fmt: skip


def test_kinds_and_shapes_of_parts_that_return_tuples() -> None:
    rows = {row.name: row for row in layers(Attending(), 3, 32)}
    assert (rows["attention"].kind, rows["attention"].output) == ("attention", (64, 16))
    assert (rows["recurrent"].kind, rows["recurrent"].output) == ("recurrent", (64, 12))
    assert rows["Attending"].parameters == 64 * 16


def test_a_kind_is_inherited() -> None:
    class Mine(nn.Conv2d):
        pass

    class Odd(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean((2, 3))

    rows = layers(nn.Sequential(Mine(3, 4, (1, 3), stride=(1, 2)), Odd(), nn.GELU(), nn.LayerNorm(4), nn.GroupNorm(2, 4)), 3, 8)
    assert [(r.kind, r.detail) for r in rows[1:]] == [
        ("convolution", "1×3 stride 1×2"), ("other", "Odd"), ("activation", "GELU"), ("normalisation", "layer norm"), ("normalisation", "group norm"),
    ]  # fmt: skip


class Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Flatten()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raise ZeroDivisionError(self.layer(images).shape)


def test_looking_leaves_no_trace() -> None:
    model = deep(1)
    model[2].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    layers(model, 3, 32)
    failing = Failing()
    with pytest.raises(ZeroDivisionError):
        layers(failing, 3, 32)
    assert all(not module._forward_hooks for module in [*model.modules(), *failing.modules()])
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


PICTURED = {
    "model s": lambda: plain(MODEL_S),
    "mlp": lambda: plain(MLP(dense=(512, 256), dense_dropout=(0.3, 0.0))),
    "softmax regression": lambda: plain(MLP(), 1, 8),
    "cnn 1": lambda: plain(CNN(filters=(32, 64, 64), padding="valid", dense=(64,)), 1),
    "average": lambda: plain(CNN(batch_norm="before_activation", block_dropout=(0.25, 0.3, 0.35), flatten="average", dense=(512,)), 1, 8),
    "wide": lambda: plain(CNN(filters=(256, 512), dense=(8, 1024)), 3, 64),
    "residual": lambda: layers(deep(3), 3, 224),
    "60 layers": lambda: layers(deep(29), 3, 224),
    "attending": lambda: layers(Attending(), 3, 32),
    "maps last": lambda: layers(nn.Sequential(nn.Conv2d(3, 64, 1), *[nn.Conv2d(64, 64, 1) for _ in range(17)]), 3, 32),
}
every_picture = pytest.mark.parametrize("name", PICTURED)


def view_box(svg: ElementTree.Element) -> tuple[float, float]:
    left, top, width, height = map(float, svg.attrib["viewBox"].split())
    assert left == top == 0
    return width, height


def texts(svg: ElementTree.Element) -> list[tuple[float, float, float, str]]:
    """Return (left, right, baseline, words) of each text, as wide as a wide font sets it."""
    found = []
    for group in svg.iter():
        shift = float(re.findall(r"translate\(0 (.+)\)", group.attrib["transform"])[0]) if "transform" in group.attrib else 0.0
        for text in group.findall(f"{SVG}text"):
            width, x = 0.64 * 13 * len(text.text or ""), float(text.attrib["x"])
            left = x - width / 2 if text.attrib["text-anchor"] == "middle" else x
            found.append((left, left + width, float(text.attrib["y"]) + shift, text.text or ""))
    return found


@every_picture
def test_a_picture_is_one_self_contained_drawing(name: str) -> None:
    drawn = picture(PICTURED[name]())
    svg = ElementTree.fromstring(drawn)
    assert svg.tag == f"{SVG}svg"
    assert "width" not in svg.attrib
    assert "height" not in svg.attrib
    assert {element.tag.removeprefix(SVG) for element in svg.iter()} <= {"svg", "g", "title", "polygon", "path", "rect", "text"}
    assert "href" not in drawn
    assert "url(" not in drawn
    assert drawn == picture(PICTURED[name]())


@every_picture
def test_everything_lies_inside_the_picture_and_no_texts_meet(name: str) -> None:
    svg = ElementTree.fromstring(picture(PICTURED[name]()))
    width, height = view_box(svg)
    assert 400 < width < 760
    for group in svg.findall(f"{SVG}g"):
        for polygon in group.iter(f"{SVG}polygon"):
            corners = [tuple(map(float, corner.split(","))) for corner in polygon.attrib["points"].split()]
            assert all(0 <= x <= width and 0 <= y <= height for x, y in corners)
        for path in group.iter(f"{SVG}path"):  # "M x y" and relative steps are an arrow, with "H x" a bracket
            place = path.attrib["d"]
            assert float(re.findall(r"H([\d.]+)", place)[0] if "H" in place else float(place[1:].split()[0]) + 16) <= width
    placed = texts(svg)
    assert all(left >= 0 and right <= width and 0 < baseline < height for left, right, baseline, _ in placed), [t for t in placed if t[1] > width]
    for one, other in pairwise(sorted(placed, key=lambda t: (t[2], t[0]))):
        assert one[2] < other[2] or one[1] < other[0], (one, other)


@every_picture
def test_every_kind_is_in_the_legend_and_every_layer_in_the_drawing(name: str) -> None:
    rows = PICTURED[name]()
    svg = ElementTree.fromstring(picture(rows))
    words = [text for *_, text in texts(svg)]
    shown = [row for row in rows if row.output and row.detail != "Identity"]
    for kind in {row.kind for row in shown}:
        assert any(word.split()[0] == kind for word in words), kind
    titles = [title.text or "" for title in svg.iter(f"{SVG}title")]
    assert [title.split(":")[0] for title in titles] == [row.name for row in shown]
    assert f"{sum(r.parameters for r in rows):,} parameters" in " ".join(words)


def test_sizes_are_written_under_the_boxes() -> None:
    words = [text for *_, text in texts(ElementTree.fromstring(picture(plain(MODEL_S))))]
    first = words.index("3")
    assert words[first : first + 11] == ["3", "32", "32×32", "64", "16×16", "128", "8×8", "4×4", "2048", "256", "10"]
    assert "convolution 3×3" in words
    assert "dropout 0.5" in words


def front_faces(svg: ElementTree.Element) -> list[tuple[str, float, float]]:
    """Return (title, thickness, height) of each slab, to a tenth."""
    found = []
    for slab in svg.iter(f"{SVG}g"):
        title = slab.find(f"{SVG}title")
        if title is not None:
            corners = [tuple(map(float, c.split(","))) for c in slab.findall(f"{SVG}polygon")[0].attrib["points"].split()]
            found.append((title.text or "", round(corners[1][0] - corners[0][0], 1), round(corners[2][1] - corners[1][1], 1)))
    return found


def test_boxes_follow_the_size_and_the_number_of_maps() -> None:
    faces = front_faces(ElementTree.fromstring(picture(plain(MODEL_S))))
    convolutions = [face for face in faces if ": convolution" in face[0]]
    assert [t for _, t, _ in convolutions] == sorted(t for _, t, _ in convolutions)
    assert len({t for _, t, _ in convolutions}) == 3
    assert [h for *_, h in convolutions] == sorted((h for *_, h in convolutions), reverse=True)
    assert len({h for *_, h in convolutions}) == 3
    assert all(thickness < 6 for title, thickness, _ in faces if re.search(r": (activation|normalisation|dropout)", title))


def test_a_deep_network_goes_on_in_more_lines() -> None:
    svg = ElementTree.fromstring(picture(layers(deep(29), 3, 224)))
    lines = svg.findall(f"{SVG}g")
    assert 3 <= len(lines) <= 5
    slabs = [len(list(line.iter(f"{SVG}title"))) for line in lines]
    assert min(slabs) > 0.4 * max(slabs)


def test_names_are_escaped() -> None:
    rows = [LayerRow("input", "input", "", (3, 8, 8), 0, 0), LayerRow("<script>&", "other", '"><script>', (4, 4, 4), 1, 1)]
    drawn = picture(rows)
    assert "<script" not in drawn
    ElementTree.fromstring(drawn)


def test_a_network_of_one_layer() -> None:
    rows = layers(nn.Flatten(), 1, 1)
    assert [(r.name, r.output) for r in rows] == [("input", (1, 1, 1)), ("Flatten", (1,))]
    ElementTree.fromstring(picture(rows))


def test_the_memory_of_batch_norm_is_that_of_its_slowest_average():
    assert norm_memory(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())) is None
    assert norm_memory(nn.Sequential(nn.BatchNorm2d(2, momentum=0.1), nn.BatchNorm1d(2, momentum=0.01))) == pytest.approx(0.99)
    assert norm_memory(nn.BatchNorm2d(2, momentum=None)) is None  # the mean over all steps
    assert norm_memory(nn.BatchNorm2d(2, track_running_stats=False)) is None
