"""The recipe: everything that changes a result, as one frozen typed value, and nothing else.

A field's description is its documentation: it gives the unit and the range, is shown by `rung recipes NAME` and
written as a comment by `rung new`. Values that a machine or the data decide ("auto", None where said so) are resolved
before the first step and written into the run's recipe.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import pydantic
from pydantic import Field

from rung.errors import RecipeError, did_you_mean

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
NotNegative = Annotated[float, Field(ge=0)]

Layout = Literal["auto", "hwc", "chw", "planes", "interleaved"]
Activation = Literal["relu", "tanh", "sigmoid", "elu", "gelu", "silu", "leaky_relu"]
Initialisation = Literal[
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal", "orthogonal", "normal", "uniform",
    "zeros", "torch",
]  # fmt: skip
OptimizerName = Literal["sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam", "adamw", "muon"]
Monitor = Literal["validation_loss", "validation_objective", "validation_accuracy"]


class Part(pydantic.BaseModel):
    """A frozen record of a recipe that refuses fields it does not know."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class Data(Part):
    sources: tuple[str, ...] = Field((), description="names (digits, cifar10, cifar100, cifar100:CLASS) or paths of the data")
    classes: str | None = Field(None, description="classes to pick, rename or merge: 'cat; dog' or 'pet=cat,dog; bird'")
    per_class: Count | None = Field(None, description="use only the first N training rows of each class; test rows are left whole")
    layout: Layout = Field("auto", description="order of the values in arrays, when two orders fit")
    allow_empty_classes: bool = Field(False, description="accept class folders without an image (they are left out)")
    strict: bool = Field(False, description="stop at the first file that would be left out, and at the first warning")


class Pixels(Part):
    size: Literal["auto"] | Annotated[int, Field(ge=1, le=4096)] = Field(
        "auto", description="pixels a side after resizing; auto: as they are if all are of one size of 64 or less, else 64"
    )
    colour: Literal["auto", "rgb", "grey"] = Field("auto", description="auto: grey if every image is grey, else rgb")
    fit: Literal["stretch", "crop", "pad"] = Field("stretch", description="how an image that is not square becomes square")
    filter: Literal["nearest", "bilinear", "bicubic"] = Field("bilinear", description="resizing filter, in torch")
    antialias: bool = Field(True, description="low-pass before shrinking")
    background: tuple[int, int, int] = Field((255, 255, 255), description="red, green, blue (0..255) behind transparent pixels and padding")
    normalise: Literal["unit", "standard", "none"] = Field(
        "unit", description="unit: 0..1; standard: minus mean, by deviation, per channel, of the training rows; none: 0..255"
    )
    mean: tuple[float, ...] | None = Field(None, description="per channel, in 0..1; if not set and normalise is standard, measured on the training rows")
    deviation: tuple[float, ...] | None = Field(None, description="per channel, in 0..1; if not set, measured as mean is")
    reduced_jpeg: bool = Field(False, description="decode large JPEGs at a reduced scale (faster, other pixels)")


class Split(Part):
    validation_fraction: Fraction = Field(0.2, description="share of the training rows kept for validation where the data bring none")
    test_fraction: Fraction = Field(0.2, description="share of all rows sealed as test part where the data bring none")
    validation_roots: tuple[str, ...] = Field((), description="names of roots or training folders that are the validation part, such as train5")
    folds: Annotated[int, Field(ge=2)] | None = Field(None, description="k of k-fold validation; if not set, one split")
    fold: Annotated[int, Field(ge=0)] = Field(0, description="which of the k folds is the validation part, from 0")
    fit_on: Literal["train", "train+validation"] = Field("train", description="rows to fit on; the second needs a fixed schedule and chooses nothing")


class Augment(Part):
    flip_horizontal: bool = Field(False, description="mirror left and right, each image with probability 1/2")
    flip_vertical: bool = Field(False, description="mirror top and bottom, each image with probability 1/2")
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = Field(0.0, description="angle drawn from -a..a degrees")
    zoom_fraction: Fraction = Field(0.0, description="scale drawn from 1-z..1+z")
    shift_fraction: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="shift drawn from -s..s of the side, each axis")
    shift_pixels: NotNegative = Field(0.0, description="shift drawn from -s..s pixels, whole pixels, each axis")
    fill: Literal["reflect", "edge", "zero"] = Field("reflect", description="pixels that come in from outside")
    crop: Count | None = Field(None, description="random crop to this many pixels a side; evaluation takes the centre")
    contrast_fraction: NotNegative = Field(0.0, description="contrast factor drawn from 1-c..1+c, about each image's channel means")
    brightness_fraction: NotNegative = Field(0.0, description="brightness added, drawn from -b..b of the full range")
    saturation_fraction: NotNegative = Field(0.0, description="colour saturation factor drawn from 1-s..1+s (rgb only)")
    hue_degrees: Annotated[float, Field(ge=0, le=180)] = Field(0.0, description="turn of hue drawn from -h..h degrees (rgb only)")
    blur_pixels: NotNegative = Field(0.0, description="Gaussian blur, standard deviation drawn from 0..b pixels")
    noise_fraction: NotNegative = Field(0.0, description="Gaussian noise, standard deviation as share of the full range")
    cutout_pixels: Annotated[int, Field(ge=0)] = Field(0, description="side of a grey square put at a random place")
    mixup_alpha: NotNegative = Field(0.0, description="alpha of the Beta distribution of mixup; 0: off")
    cutmix_alpha: NotNegative = Field(0.0, description="alpha of the Beta distribution of cutmix; 0: off")
    offline_copies: Annotated[int, Field(ge=0)] = Field(
        0, description="augmented copies of each training image made once; images are then not changed again in training"
    )
    own: tuple[str, ...] = Field((), description="your own functions, each file.py:name, f(images, keys) -> images")


class Head(Part):
    dense: tuple[Count, ...] = Field((), description="widths of the dense layers before the last")
    dense_dropout: tuple[Fraction, ...] | Fraction = Field(0.0, description="dropout after each dense layer: one value, or one a layer")
    dense_activation: Activation = Field("relu", description="activation of the dense layers")
    dense_batch_norm: bool = Field(False, description="batch norm after the activation of each dense layer")
    initialisation: Initialisation = Field("glorot_uniform", description="how weights start; biases start at 0 (torch: torch's own rule for both)")
    defaults: Literal["keras", "torch"] = Field("keras", description="batch norm: keras momentum 0.99, epsilon 1e-3; torch 0.9, 1e-5")


class MLP(Head):
    kind: Literal["mlp"] = Field("mlp", description="cnn, mlp, or own for your own torch module")
    input_dropout: Fraction = Field(0.0, description="dropout of the input values")


class CNN(Head):
    kind: Literal["cnn"] = Field("cnn", description="cnn, mlp, or own for your own torch module")
    filters: tuple[Count, ...] = Field((32, 64, 128), description="filters of the convolutions of each block; a block ends with pooling")
    convolutions: Count = Field(1, description="convolutions in each block")
    kernel_size: Count = Field(3, description="side of the convolution kernels, pixels")
    padding: Literal["same", "valid"] = Field("same", description="same keeps the size, valid loses kernel_size-1 pixels")
    activation: Activation = Field("relu", description="activation of the convolutions")
    batch_norm: Literal["none", "before_activation", "after_activation"] = Field("none", description="batch norm of the convolutions")
    pool: Annotated[int, Field(ge=1)] = Field(2, description="side and stride of the pooling after each block; 1: none")
    pool_kind: Literal["max", "average"] = Field("max", description="pooling after each block")
    block_dropout: tuple[Fraction, ...] | Fraction = Field(0.0, description="dropout after each block's pooling: one value, or one a block")
    flatten: Literal["flatten", "average"] = Field("flatten", description="from maps to one row: flatten, or global average pooling")
    flatten_dropout: Fraction = Field(0.0, description="dropout after flattening")


class OwnNetwork(Part):
    kind: Literal["own"] = Field("own", description="cnn, mlp, or own for your own torch module")
    source: str = Field(description="file.py:name of a class or function; called with classes=K, channels=C, size=S, or as many of them as it takes")


Network = Annotated[CNN | MLP | OwnNetwork, Field(discriminator="kind")]


class Train(Part):
    epochs: Count = Field(10, description="passes over the training rows, at most")
    batch_size: Count = Field(64, description="images a step")
    optimizer: OptimizerName = Field("adam", description="update rule")
    learning_rate: Positive | None = Field(None, description="highest rate of the schedule; if not set, the default of the optimizer in `defaults`")
    momentum: Fraction = Field(0.0, description="momentum of sgd, rmsprop and muon")
    nesterov: bool = Field(False, description="Nesterov's form of momentum (sgd, muon)")
    epsilon: Positive | None = Field(None, description="added to a denominator of the update; if not set, the default of the optimizer in `defaults`")
    defaults: Literal["keras", "torch"] = Field("keras", description="whose default rates, epsilons and decays the optimizer takes")
    l2_convolution: NotNegative = Field(0.0, description="penalty l * sum(w^2) on convolution kernels, added to the loss (Keras' L2)")
    l2_dense: NotNegative = Field(0.0, description="the same on the kernels of dense layers, the last one left out unless l2_last")
    l2_last: bool = Field(False, description="put l2_dense on the last layer too")
    weight_decay: NotNegative = Field(0.0, description="decoupled decay of kernels (adamw, muon)")
    loss: str = Field("cross_entropy", description="cross_entropy, mse, msle, hinge, kl, or your own file.py:name")
    label_smoothing: Fraction = Field(0.0, description="share of each label spread over all classes (cross_entropy)")
    class_weights: Literal["none", "balanced"] | dict[str, Positive] = Field("none", description="weights of the classes in the loss")
    sampling: Literal["each_once", "balanced"] = Field("each_once", description="each row once an epoch, or classes equally often")
    schedule: Literal["constant", "step", "cosine", "one_cycle", "plateau"] = Field("constant", description="course of the learning rate")
    warmup_fraction: Fraction = Field(0.0, description="share of all steps in which the rate climbs linearly from 0")
    step_epochs: Count = Field(10, description="step: epochs between drops")
    drop_factor: Annotated[float, Field(gt=0, lt=1)] = Field(0.1, description="step, plateau: factor of each drop")
    plateau_patience: Annotated[int, Field(ge=0)] = Field(3, description="plateau: epochs without improvement before a drop")
    minimum_rate: NotNegative = Field(0.0, description="cosine, plateau: the rate never goes below")
    clip_value: Positive | None = Field(None, description="each gradient value is cut to -c..c")
    clip_norm: Positive | None = Field(None, description="the norm of all gradients is cut to c")
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="decay a step of the averaged weights; 0: none")
    monitor: Monitor = Field("validation_loss", description="what best, plateau and early stopping look at; objective: loss with the L2 penalty")
    early_stopping: Count | None = Field(None, description="stop after this many epochs without improvement")
    keep: Literal["best", "last", "averaged"] = Field(
        "best", description="which weights are scored, whatever ended the run; averaged: validation looks at the average too"
    )
    metrics: tuple[str, ...] = Field((), description="your own metrics, each file.py:name, f(probabilities, labels) -> number")
    callbacks: tuple[str, ...] = Field((), description="your own callbacks, each file.py:name, f(epoch_end), True stops the training")


class Compute(Part):
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, ..")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of convolutions and matrix products; auto: bfloat16 where the processor computes in it"
    )
    threads: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="processor threads; auto: all that this process may use, one where a step is little work"
    )
    exact: bool = Field(False, description="on a GPU only deterministic algorithms, slower; the processor gives the same bits every time anyway")


class Recipe(Part):
    """A whole experiment."""

    name: str = Field("recipe", pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="a word for lists and folders")
    why: str = Field("", description="why this run is made; carried into the report")
    notes: str = Field("", description="your own notes; carried into the report")
    costs: str = Field("", description="CSV file with the cost of each answer (rows: true class, columns: answered class), for the score 'cost'")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="of every random draw")
    data: Data = Data()
    pixels: Pixels = Pixels()
    split: Split = Split()
    augment: Augment = Augment()
    network: Network = CNN()
    train: Train = Train()
    compute: Compute = Compute()

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> Self:
        for problem in _contradictions(self):
            raise ValueError(problem)
        return self


def _contradictions(recipe: Recipe) -> Iterator[str]:
    """Give in words what does not fit together, and what would be without effect beside the other settings."""
    yield from _about_parts(recipe.split, recipe.train)
    yield from _about_pixels(recipe.pixels)
    yield from _about_augment(recipe.augment, recipe.pixels)
    yield from _about_training(recipe.train)
    if isinstance(recipe.network, CNN | MLP):
        yield from _about_layers(recipe.network, recipe.train)


def _about_parts(split: Split, train: Train) -> Iterator[str]:
    if split.fit_on == "train+validation":
        chooses = [name for name, on in (
            ("train.keep = 'best'", train.keep == "best"),
            ("train.early_stopping", train.early_stopping is not None),
            ("train.schedule = 'plateau'", train.schedule == "plateau"),
        ) if on]  # fmt: skip
        if chooses:
            yield f"split.fit_on = 'train+validation' leaves nothing to choose on, but {' and '.join(chooses)} chooses: use keep = 'last' and a fixed schedule"
    if split.folds is not None and split.fold >= split.folds:
        yield f"split.fold = {split.fold} is not one of the {split.folds} folds 0..{split.folds - 1}"
    if split.folds is None and split.fold:
        yield f"split.fold = {split.fold} chooses one of several folds, and split.folds is not set: set it, such as to 5"
    if split.folds is not None and split.validation_roots:
        yield f"split.folds = {split.folds} and split.validation_roots both make the validation part: leave one of them out"


def _about_pixels(pixels: Pixels) -> Iterator[str]:
    mean, deviation = pixels.mean, pixels.deviation
    if (mean is None) != (deviation is None):
        yield "pixels.mean and pixels.deviation belong together, and only one is set: set both, or leave both out to have them measured"
    if mean is not None and pixels.normalise != "standard":
        yield f"pixels.mean and pixels.deviation do nothing with pixels.normalise = '{pixels.normalise}': set that to 'standard', or leave them out"
    if mean is not None and deviation is not None and len(mean) != len(deviation):
        yield f"pixels.mean has {len(mean)} values and pixels.deviation {len(deviation)}: give one for each channel to both"
    if deviation is not None and min(deviation, default=1.0) <= 0:
        yield f"pixels.deviation = {list(deviation)} divides the values: each must be above 0"


def _about_augment(augment: Augment, pixels: Pixels) -> Iterator[str]:
    if augment.mixup_alpha and augment.cutmix_alpha:
        yield "augment.mixup_alpha and augment.cutmix_alpha exclude each other: set one to 0"
    if augment.shift_fraction and augment.shift_pixels:
        yield "augment.shift_fraction and augment.shift_pixels exclude each other: set one to 0"
    if augment.shift_pixels != int(augment.shift_pixels):
        yield f"augment.shift_pixels = {augment.shift_pixels} shifts by whole pixels: give a whole number, or a share of the side to augment.shift_fraction"
    if augment.crop and isinstance(pixels.size, int) and augment.crop > pixels.size:
        yield f"augment.crop = {augment.crop} is larger than the images of pixels.size = {pixels.size}: lower it, or raise pixels.size"
    for name in ("saturation_fraction", "hue_degrees"):
        if pixels.colour == "grey" and getattr(augment, name):
            yield f"augment.{name} needs colour, and pixels.colour = 'grey' takes it away: set one of them otherwise"
    for name in ("crop", "mixup_alpha", "cutmix_alpha"):
        if augment.offline_copies and getattr(augment, name):
            yield f"augment.{name} changes images in every step, and augment.offline_copies makes copies once: set one of them to 0 or leave it out"


def _about_training(train: Train) -> Iterator[str]:
    if train.weight_decay and train.optimizer not in ("adamw", "muon"):
        yield f"train.weight_decay is decoupled and only adamw and muon have it, not {train.optimizer}: use l2_convolution and l2_dense"
    if train.keep == "averaged" and not train.ema_decay:
        yield "train.keep = 'averaged' needs train.ema_decay above 0, such as 0.999"
    if train.ema_decay and train.keep != "averaged":
        yield f"train.ema_decay averages weights that train.keep = '{train.keep}' never uses: set keep = 'averaged' or ema_decay = 0"
    if train.label_smoothing and train.loss != "cross_entropy":
        yield f"train.label_smoothing belongs to cross_entropy, not to {train.loss}: set it to 0"
    if train.l2_last and not train.l2_dense:
        yield "train.l2_last puts l2_dense on the last layer too, and train.l2_dense is 0: set it, such as to 1e-4"


def _about_layers(network: CNN | MLP, train: Train) -> Iterator[str]:
    yield from _per_layer("dense_dropout", network.dense_dropout, len(network.dense), "dense layers")
    if isinstance(network, CNN):
        yield from _per_layer("block_dropout", network.block_dropout, len(network.filters), "blocks")
    elif train.l2_convolution:
        yield f"train.l2_convolution = {train.l2_convolution} is for convolutions, and a network of kind 'mlp' has none: set it to 0"
    if network.dense:
        return
    for name in ("dense_dropout", "dense_batch_norm"):
        if getattr(network, name):
            yield f"network.{name} = {getattr(network, name)} is for the layers of network.dense, and there is none: add one, such as [128], or leave it out"
    if train.l2_dense and not train.l2_last:
        yield f"train.l2_dense = {train.l2_dense} leaves the last layer out, and network.dense has no other: set train.l2_last = true, or l2_dense to 0"


def _per_layer(field: str, value: tuple[float, ...] | float, layers: int, what: str) -> Iterator[str]:
    if isinstance(value, tuple) and len(value) != layers:
        yield f"network.{field} has {len(value)} values for {layers} {what}: give one value, or one for each"


def parse(values: Mapping[str, Any], origin: str = "the recipe") -> Recipe:
    """Return the recipe of nested plain values.

    Raises: RecipeError naming each field at fault, what was found there and what would be right.
    """
    try:
        return Recipe.model_validate(values)
    except pydantic.ValidationError as error:
        problems: dict[str, list[str]] = {}
        for detail in error.errors():
            place, problem = _explain(detail, values)
            problems.setdefault(place, []).append(problem)
        words = "; ".join(f"{place}{' or '.join(texts)}" for place, texts in problems.items())
        raise RecipeError(f"{words} (in {origin})") from None


def _explain(error: Any, values: Mapping[str, Any]) -> tuple[str, str]:
    """Return where it is ("train.epochs = 0: ", or nothing) and what is wrong; a union gives several for one place."""
    place = [str(p) for p in error["loc"] if p not in ("cnn", "mlp", "own") and "[" not in str(p) and not str(p).startswith("constrained")]
    if error["type"] == "extra_forbidden":
        return "", f"there is no field '{'.'.join(place)}': {did_you_mean(place[-1], _names_beside(place[:-1], values))}"
    if error["type"] == "value_error":
        return "", str(error["ctx"]["error"])
    return f"{'.'.join(place)} = {error['input']!r}: ", f"{error['msg'][0].lower()}{error['msg'][1:]}"


def _names_beside(place: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    if not place:
        return list(Recipe.model_fields)
    if place[0] == "network":
        kinds = {kind.model_fields["kind"].default: kind for kind in (CNN, MLP, OwnNetwork)}
        return list(kinds.get(values.get("network", {}).get("kind", "cnn"), CNN).model_fields)
    part = Recipe.model_fields[place[0]].annotation
    return list(part.model_fields) if isinstance(part, type) and issubclass(part, Part) else []


def flat(recipe: Recipe) -> dict[str, Any]:
    """Return every field as {"train.epochs": 10, ...}, in the order of definition."""
    fields: dict[str, Any] = {}
    for name in Recipe.model_fields:
        value = getattr(recipe, name)
        if isinstance(value, Part):
            fields |= {f"{name}.{key}": getattr(value, key) for key in type(value).model_fields}
        else:
            fields[name] = value
    return fields


def describe(recipe: Recipe) -> dict[str, str]:
    """Return the description of every field of `flat(recipe)`, with the values it may take."""
    texts: dict[str, str] = {}
    for name in flat(recipe):
        part, _, key = name.rpartition(".")
        owner: type[Part] = type(getattr(recipe, part)) if part else Recipe
        texts[name] = owner.model_fields[key].description or ""
        options = get_args(owner.model_fields[key].annotation)
        if options and all(isinstance(o, str) for o in options) and len(options) > 1:
            texts[name] += f" ({' | '.join(options)})"
    return texts


def change(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe with some fields changed: {"train.epochs": 3}, or {"epochs": 3} where only one part has the name.

    A changed network.kind starts from that kind's defaults.

    Raises: RecipeError for a field that does not exist or a value that does not fit.
    """
    values = recipe.model_dump()
    kind = settings.get("network.kind", settings.get("kind"))
    if kind is not None and kind != recipe.network.kind:
        values["network"] = {"kind": kind}
    known = list(flat(recipe)) if kind is None else [*flat(recipe), *(f"network.{k}" for k in _names_beside(["network"], {"network": {"kind": kind}}))]
    for given, value in settings.items():
        name = _full_name(given, known)
        *parts, key = name.split(".")
        target = values[parts[0]] if parts else values
        target[key] = value
    return parse(values, "the settings")


def _full_name(given: str, known: Sequence[str]) -> str:
    if given in known:
        return given
    matches = sorted({name for name in known if name.rpartition(".")[2] == given})
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise RecipeError(f"'{given}' is a field of several parts: say which, {' or '.join(matches)}")
    raise RecipeError(f"there is no field '{given}': {did_you_mean(given, [*known, *(n.rpartition('.')[2] for n in known)])}")


def setting(text: str) -> tuple[str, Any]:
    """Read one `--set` text, "train.epochs=3"; the value is TOML, or else taken as a word.

    Raises: RecipeError without a key or an equals sign.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {text}: expected key=value, such as --set train.epochs=3")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def from_toml(path: Path) -> Recipe:
    """Read a recipe.toml.

    Raises: RecipeError if it is not there, is not TOML, or does not fit.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read the recipe {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not a TOML file: {error}") from None
    return parse(values, str(path))


def to_toml(recipe: Recipe, comments: bool = False) -> str:
    """Write the recipe as TOML; fields that are None are left out, `comments` adds each field's description."""
    import tomlkit

    document = tomlkit.document()
    texts = describe(recipe) if comments else {}
    tables: dict[str, Any] = {"": document}
    for name, value in flat(recipe).items():
        part, _, key = name.rpartition(".")
        if part not in tables:
            tables[part] = document[part] = tomlkit.table()
        if value is None:
            if comments:
                tables[part].add(tomlkit.comment(f"{key} is not set: {texts[name]}"))
            continue
        item = tomlkit.item(list(value) if isinstance(value, tuple) else value)
        if texts.get(name):
            item.comment(texts[name])
        tables[part].add(key, item)
    return tomlkit.dumps(document)
