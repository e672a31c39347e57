"""The parts of a recipe: every field with its type, range, default and description.

A field's description is its documentation: it gives the unit and the range, is shown by `rung recipes NAME` and
written as a comment by `rung new`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import Field

from rung.errors import RecipeError
from rung.recipe.words import refused

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
NotNegative = Annotated[float, Field(ge=0)]

Layout = Literal["auto", "hwc", "chw", "planes", "interleaved"]
Activation = Literal["relu", "tanh", "sigmoid", "elu", "gelu", "silu", "leaky_relu"]
Initialisation = Literal[
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal", "orthogonal", "normal", "uniform",
    "zeros", "torch", "identity",
]  # fmt: skip
OptimizerName = Literal["sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam", "adamw", "muon"]
Views = Literal["one", "mirror", "shift", "mirror_shift"]
Monitor = Literal["validation_loss", "validation_objective", "validation_accuracy"]


class Part(pydantic.BaseModel):
    """A frozen record of a recipe that refuses fields it does not know; `place`: how a recipe calls it.

    Raises: RecipeError naming each field at fault, what was found there and what would be right.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
    place: ClassVar[str] = ""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except pydantic.ValidationError as error:
            raise RecipeError(refused(error, type(self), values)) from None

    # Tells pydantic not to call __init__ for a part inside a recipe: the recipe's own then names all that is wrong, not the first part's problem.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


class Data(Part):
    place: ClassVar[str] = "data"

    sources: tuple[str, ...] = Field((), description="names (digits, cifar10, cifar100, cifar100:CLASS) or paths of the data")
    classes: str | None = Field(None, description="classes to pick, rename or merge: 'cat; dog' or 'pet=cat,dog; bird'")
    categories: str | None = Field(
        None, description="coarser groups of the classes, scored beside them: 'herbivore=camel,cattle; omnivore=chimpanzee'; training is on the classes"
    )
    per_class: Count | None = Field(None, description="use only the first N training rows of each class; test rows are left whole")
    layout: Layout = Field("auto", description="order of the values in arrays, when two orders fit")
    image_column: str | None = Field(None, description="column of a table that holds paths or images; of pixel columns, their name before the number")
    label_column: str | None = Field(None, description="column of a table that holds the classes; if not set, one called label, class, target ..")
    part_column: str | None = Field(
        None, description="column of a table that says train, validation or test; if not set, one called split or part; '' for none"
    )
    group_column: str | None = Field(
        None,
        description="column of a table whose equal values stay in one part where rung draws the parts; if not set, one called group, subject or patient; "
        "'' for none",
    )
    follow_links: bool = Field(False, description="follow links, and paths in tables, that lead out of the folder")
    allow_empty_classes: bool = Field(False, description="accept class folders without an image (they are left out)")
    strict: bool = Field(False, description="stop at the first file that would be left out, and at the first warning")


class Pixels(Part):
    place: ClassVar[str] = "pixels"

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
    place: ClassVar[str] = "split"

    validation_fraction: Fraction = Field(0.2, description="share of the training rows kept for validation where the data bring none")
    test_fraction: Fraction = Field(0.2, description="share of all rows sealed as test part where the data bring none")
    validation_roots: tuple[str, ...] = Field((), description="names of roots or training folders that are the validation part, such as train5")
    folds: Annotated[int, Field(ge=2)] | None = Field(None, description="k of k-fold validation; if not set, one split")
    fold: Annotated[int, Field(ge=0)] = Field(0, description="which of the k folds is the validation part, from 0")
    seed: Seed | None = Field(None, description="of the draws that make the parts; if not set, the recipe's seed")
    drop_twins: bool = Field(False, description="leave out of train the images that have a near-duplicate in validation or test")
    fit_on: Literal["train", "train+validation"] = Field("train", description="rows to fit on; the second needs a fixed schedule and chooses nothing")


class Augment(Part):
    place: ClassVar[str] = "augment"

    flip_horizontal: bool = Field(False, description="mirror left and right, each image with probability 1/2")
    flip_alternating: bool = Field(
        False, description="flip_horizontal mirrors each image in every second epoch, from a start drawn for it, and not with probability 1/2"
    )
    flip_vertical: bool = Field(False, description="mirror top and bottom, each image with probability 1/2")
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = Field(0.0, description="angle drawn from -a..a degrees")
    zoom_fraction: Fraction = Field(0.0, description="scale drawn from 1-z..1+z")
    shift_fraction: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="shift drawn from -s..s of the side, each axis")
    shift_pixels: NotNegative = Field(0.0, description="shift drawn from -s..s pixels, whole pixels, each axis")
    fill: Literal["reflect", "edge", "zero"] = Field("reflect", description="pixels that come in from outside")
    crop: Count | None = Field(None, description="random crop to this many pixels a side; evaluation takes the centre")
    rising_sizes: tuple[Count, ...] = Field(
        (), description="pixels a side that images are shrunk to in training, each for an equal share of the steps; evaluation takes them whole"
    )
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


class _Network(Part):
    place: ClassVar[str] = "network"

    start: str = Field("", description="a finished run (its folder or id) from whose kept weights the training begins; empty: from fresh ones")


class Head(_Network):
    dense: tuple[Count, ...] = Field((), description="widths of the dense layers before the last")
    dense_dropout: tuple[Fraction, ...] | Fraction = Field(0.0, description="dropout after each dense layer: one value, or one a layer")
    dense_activation: Activation = Field("relu", description="activation of the dense layers")
    dense_batch_norm: bool = Field(False, description="batch norm after the activation of each dense layer")
    initialisation: Initialisation = Field(
        "glorot_uniform", description="how weights start; biases start at 0 (torch: torch's own rule for both; identity: see docs/networks.md)"
    )
    defaults: Literal["keras", "torch"] = Field("keras", description="batch norm: keras momentum 0.99, epsilon 1e-3; torch 0.9, 1e-5")


class MLP(Head):
    kind: Literal["mlp"] = Field("mlp", description="cnn, mlp, fast, or own for your own torch module")
    input_dropout: Fraction = Field(0.0, description="dropout of the input values")


class CNN(Head):
    kind: Literal["cnn"] = Field("cnn", description="cnn, mlp, fast, or own for your own torch module")
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


class Fast(_Network):
    kind: Literal["fast"] = Field("fast", description="cnn, mlp, fast, or own for your own torch module")
    filters: tuple[Count, ...] = Field((32, 96, 96), description="filters of the convolutions of each block; a block halves the side")
    convolutions: Count = Field(2, description="convolutions in each block")
    activation: Activation = Field("gelu", description="activation of all convolutions")


class OwnNetwork(_Network):
    kind: Literal["own"] = Field("own", description="cnn, mlp, fast, or own for your own torch module")
    source: str = Field(description="file.py:name of a class or function; called with classes=K, channels=C, size=S, or as many of them as it takes")


Network = Annotated[CNN | MLP | Fast | OwnNetwork, Field(discriminator="kind")]


class Train(Part):
    place: ClassVar[str] = "train"

    epochs: Count = Field(10, description="passes over the training rows, at most")
    steps: Count | None = Field(
        None, description="steps in all, in place of epochs: the last epoch may be cut short; what `--minutes` is turned into before the first step"
    )
    batch_size: Count = Field(64, description="images a step")
    evaluation_batch_size: Count = Field(
        500, description="images answered at once in validation, scores and predictions; above 64 pixels a side so many fewer as need no more memory"
    )
    evaluation_views: Views = Field(
        "one", description="answers are means over views of each image: it and its mirror image, it moved by a pixel two ways, or all six"
    )
    optimizer: OptimizerName = Field("adam", description="update rule")
    learning_rate: Positive | None = Field(None, description="highest rate of the schedule; if not set, the default of the optimizer in `defaults`")
    momentum: Fraction | None = Field(None, description="momentum of sgd, rmsprop and muon; if not set, 0.95 for muon and 0 for the others")
    nesterov: bool | None = Field(None, description="Nesterov's form of momentum (sgd, muon); if not set, on for muon and off for sgd")
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
    warmup_fraction: Fraction | None = Field(None, description="share of all steps in which the rate climbs linearly; if not set, 0.3 for one_cycle, else 0")
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
    place: ClassVar[str] = "compute"

    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, ..")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="of convolutions and matrix products; auto: bfloat16 where the processor computes in it"
    )
    threads: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="processor threads; auto: all that this process may use, one where a step is little work"
    )
    exact: bool = Field(False, description="on a GPU only deterministic algorithms, slower; the processor gives the same bits every time anyway")
