"""The bugs that are planted: each changes one place of a copy of the sources, or brings an own part that is wrong.

Each names the check that should find it. `old` must be there as often as it says: where the code has moved on, planting fails loudly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Mutation:
    """One bug: what it is in words, the check that should find it, the place (file below src/rung, old and new text), and settings it shows with.

    times: how often the old text is there; own: text of own.py beside the run, for bugs in parts that users bring.
    """

    what: str
    check: str
    file: str = ""
    old: str = ""
    new: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    times: int = 1
    own: str = ""


_BATCHES, _LOOP, _LOSSES, _PREPARE, _STEPS = "data/batches.py", "training/loop.py", "training/losses.py", "pipeline/prepare.py", "training/steps.py"

IN_CODE: dict[str, Mutation] = {
    "augmentation-unused": Mutation(
        "the augmentation is set up and not used (S4)",
        "augmentation-acts",
        _PREPARE,
        "            self.recipe.augment,\n",
        "            type(self.recipe.augment)(),\n",
    ),
    "augmentation-unused-in-loop": Mutation(
        "the loop takes the batches of evaluation",
        "augmentation-acts",
        _LOOP,
        "batches = training.training(epoch, settings.batch_size, progress.step - epoch * steps_per_epoch)",
        "batches = dataclasses.replace(training, settings=type(training.settings)()).training(epoch, settings.batch_size, progress.step % steps_per_epoch)",
    ),
    "one-step-epochs": Mutation(
        "every second epoch is one step, for the iterator ran dry (S2)",
        "rows-once",
        _BATCHES,
        "for first in range(first_step, steps, ahead):",
        "for first in range(first_step, steps if epoch % 2 == 0 else 1, ahead):",
    ),
    "last-batch-dropped": Mutation(
        "the rows that do not fill a batch are left out",
        "rows-once",
        _BATCHES,
        "last * batch_size if last < steps else len(order)",
        "min(last * batch_size, len(order) // batch_size * batch_size or len(order))",
    ),
    "rows-with-replacement": Mutation(
        "rows are drawn with replacement: some twice, some not at all",
        "rows-once",
        _BATCHES,
        "return torch.argsort(row_keys, stable=True)",
        "return (keys.uniform(row_keys, 0) * len(self)).long().sort().values",
    ),
    "same-order": Mutation(
        "every epoch has the same order of rows",
        "rows-once",
        _BATCHES,
        'keys.stream(self.seed, "order", epoch)',
        'keys.stream(self.seed, "order", 0)',
    ),
    "labels-shifted": Mutation(
        "labels are shuffled against images",
        "labels",
        _PREPARE,
        "torch.from_numpy(np.ascontiguousarray(labels)).to(self.device()),",
        "torch.from_numpy(np.roll(labels, 1)).to(self.device()),",
    ),
    "targets-shifted": Mutation(
        "the loss is given the labels of other images of the batch",
        "labels",
        _BATCHES,
        "return Batch(images, targets, labels, rows)",
        "return Batch(images, targets.roll(1, 0), labels, rows)",
    ),
    "normalised-twice": Mutation(
        "images are normalised twice",
        "pixels",
        _BATCHES,
        "return normalise(images, self.pixels).contiguous(",
        "return normalise(normalise(images, self.pixels), self.pixels).contiguous(",
    ),
    "normalised-in-training-only": Mutation(
        "validation images are not normalised",
        "pixels",
        _BATCHES,
        "yield Batch(self._normalised(images), self.labels[rows], self.labels[rows], rows)",
        "yield Batch(images, self.labels[rows], self.labels[rows], rows)",
    ),
    "validation-augmented": Mutation(
        "validation images are augmented",
        "validation",
        _BATCHES,
        "            if self.settings.crop:\n",
        '            images = augment(images, keys.row_keys(keys.stream(self.seed, "augment", 0), rows), self.settings)\n            if self.settings.crop:\n',
    ),
    "validation-drawn-anew": Mutation(
        "validation images are augmented, otherwise each time",
        "validation",
        _BATCHES,
        "            if self.settings.crop:\n",
        "            images = (images + 0.05 * torch.rand_like(images)).clamp_(0, 1)\n            if self.settings.crop:\n",
    ),
    "validation-in-training": Mutation(
        "validation rows are fitted on as well",
        "parts-apart",
        "data/split.py",
        "    return Splits(train, validation, test,",
        "    return Splits(np.union1d(train, validation), validation, test,",
    ),
    "same-draws-every-epoch": Mutation(
        "an image is augmented alike in every epoch",
        "augmentation-varies",
        _BATCHES,
        'stream = keys.stream(self.seed, "augment", epoch)',
        'stream = keys.stream(self.seed, "augment", 0)',
    ),
    "same-draws-for-all": Mutation(
        "all images of a batch are augmented alike",
        "augmentation-varies",
        _BATCHES,
        "keys.row_keys(stream, counters)",
        "keys.row_keys(stream, counters * 0)",
    ),
    "zoom-ignored": Mutation(
        "one setting of augmentation does nothing",
        "augmentation-acts",
        "data/affine.py",
        "view = 1 + between(draws, Draw.ZOOM, settings.zoom_fraction)",
        "view = 1 + between(draws, Draw.ZOOM, 0.0)",
    ),
    "upside-down": Mutation(
        "shifting also turns half of the digits upside down",
        "augmentation-keeps-labels",
        "data/affine.py",
        "down = torch.where(_flipped(draws, Draw.FLIP_VERTICAL, settings.flip_vertical)",
        "down = torch.where(_flipped(draws, Draw.FLIP_VERTICAL, True)",
    ),
    "loss-summed": Mutation("the loss is summed, not averaged", "first-loss", _STEPS, "value = losses.mean()", "value = losses.sum()"),
    "softmax-twice": Mutation(
        "the softmax is applied twice",
        "loss-encoding",
        _LOSSES,
        "functional.cross_entropy(logits.float(), targets,",
        "functional.cross_entropy(logits.float().softmax(dim=1), targets,",
    ),
    "integer-labels": Mutation(
        "mean squared error against integer labels (S4)",
        "loss-encoding",
        _LOSSES,
        "return (probabilities - shares(targets, logits.shape[1])).square().mean(dim=1)",
        "return (probabilities - (targets if targets.ndim == 2 else targets[:, None])).square().mean(dim=1)",
        {"train.loss": "mse"},
    ),
    "wrong-weights": Mutation(
        "class weights belong to other classes",
        "loss-numbers",
        _STEPS,
        "class_weights[targets])",
        "class_weights.flip(0)[targets])",
        {"train.class_weights": {"3": 5.0}},
    ),
    "accuracy-against-others": Mutation(
        "the accuracy is that of a shifted batch",
        "loss-numbers",
        _STEPS,
        "answers.detach().argmax(1) == labels",
        "answers.detach().argmax(1) == labels.roll(1)",
    ),
    "frozen-layer": Mutation(
        "the first layer is frozen by mistake",
        "gradients-reach",
        "models/build.py",
        "    initialise(model, model.initialisation, seed)\n",
        "    initialise(model, model.initialisation, seed)\n    next(model.parameters()).requires_grad_(False)\n",
    ),
    "head-not-updated": Mutation(
        "the optimizer is not given the last layer",
        "gradients-reach",
        "training/optimizers.py",
        "named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]",
        'named = [(name, p) for name, p in model.named_parameters() if p.requires_grad and not name.startswith("head")]',
    ),
    "detached": Mutation(
        "features are detached before the last layer",
        "gradients-reach",
        "models/contract.py",
        "self.head(self.features(images))",
        "self.head(self.features(images).detach())",
    ),
    "gradients-kept": Mutation("gradients are not set to zero", "gradients-fresh", _STEPS, "            optimizer.zero_grad()\n", "            pass\n"),
    "rate-zero": Mutation("the learning rate is zero", "learning-rate", _LOOP, "rate = settings.learning_rate * rate_factor(", "rate = 0.0 * rate_factor("),
    "rate-too-high": Mutation(
        "the learning rate is a thousand times too high",
        "learning-rate",
        _LOOP,
        "rate = settings.learning_rate * rate_factor(",
        "rate = 1000 * settings.learning_rate * rate_factor(",
    ),
    "steps-backwards": Mutation("steps go up the gradient", "one-batch", _STEPS, "value.backward()", "(-value).backward()"),
    "activations-missing": Mutation(
        "first weights are all alike: nothing breaks the symmetry",
        "one-batch",
        "models/initialise.py",
        '            _put(layer.weight, _draw(layer.weight.shape, rule, _generator(seed, f"{path}weight")))\n',
        "            _put(layer.weight, torch.full(layer.weight.shape, 0.01))\n",
    ),
    "evaluated-in-training-mode": Mutation(
        "images are scored in training mode", "evaluation", "training/forward.py", "with evaluation_mode(model), torch", "with contextlib.nullcontext(), torch"
    ),
    "answers-by-batch": Mutation(
        "answers are centred over the batch",
        "evaluation",
        "training/forward.py",
        "return torch.cat(answers)",
        "return torch.cat([found - found.mean(dim=0) for found in answers])",
    ),
    "last-weights-scored": Mutation(
        "the last weights are scored, not the best (S1, S4)", "kept-weights", _LOOP, '{"best": best, "last"', '{"best": best and model.state_dict(), "last"'
    ),
    "best-not-copied": Mutation(
        "the best weights are not copied, so they go on changing", "kept-weights", _LOOP, "best = _copy(model.state_dict())", "best = model.state_dict()"
    ),
    "worst-kept": Mutation(
        "the worst epoch is kept",
        "kept-weights",
        _LOOP,
        "better = lower_is_better < progress.best",
        "better = not lower_is_better < progress.best or not progress.best_epoch",
    ),
    "label-in-image": Mutation(
        "the label is written into a corner of the image",
        "permuted-labels",
        _BATCHES,
        "images = to_float(self._picked(rows))",
        "images = to_float(self._picked(rows)); images[:, :, 0] = (self.labels[rows].float() / self.classes)[:, None, None]",
        times=2,
    ),
    "validation-is-training": Mutation(
        "training rows are scored as validation",
        "validation",
        _PREPARE,
        "rows: Rows = getattr(self.splits, name)\n",
        'rows: Rows = getattr(self.splits, "train" if name == "validation" else name)\n',
    ),
}

_HEAD = """
import torch
from torch import nn
from rung import keys

"""
_NETWORK = {"network.kind": "own", "network.source": "own.py:Network", "pixels.normalise": "unit"}


def _network(forward: str, extra: str = "") -> str:
    """Return own.py with a small network whose forward pass is this text."""
    return f"""{_HEAD}
class Network(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16 * 4, classes)
        {extra or "pass"}

    def forward(self, images):
        maps = torch.relu(self.first(images))
        {forward}
"""


_FINISH = "return self.head(nn.functional.adaptive_avg_pool2d(maps, 2).flatten(1))"

IN_OWN_PARTS: dict[str, Mutation] = {
    "own-upside-down": Mutation(
        "an own augmentation turns half of the digits upside down",
        "augmentation-keeps-labels",
        settings={"augment.own": ["own.py:flip"]},
        own=f"""{_HEAD}
def flip(images, image_keys):
    chosen = keys.uniform(image_keys, 0) < 0.5
    return torch.where(chosen[:, None, None, None], images.flip(2), images)
""",
    ),
    "own-generator": Mutation(
        "an own augmentation draws from torch's generator",
        "augmentation-varies",
        settings={"augment.own": ["own.py:darken"]},
        own=f"""{_HEAD}
def darken(images, image_keys):
    return images * (0.5 + torch.rand(len(images), 1, 1, 1) / 2)
""",
    ),
    "own-once-a-batch": Mutation(
        "an own augmentation draws once for a batch",
        "augmentation-varies",
        settings={"augment.own": ["own.py:darken"], "augment.shift_fraction": 0, "augment.zoom_fraction": 0},
        own=f"""{_HEAD}
def darken(images, image_keys):
    return images * (0.5 + keys.uniform(image_keys[:1], 0) / 2)
""",
    ),
    "own-nothing": Mutation(
        "an own augmentation returns its input",
        "augmentation-acts",
        settings={"augment.own": ["own.py:same"]},
        own=f"""{_HEAD}
def same(images, image_keys):
    changed = images + 0.1
    return images
""",
    ),
    "own-no-gradient": Mutation(
        "an own network has a layer that gets no gradient",
        "gradients-reach",
        settings=_NETWORK,
        own=_network(f"maps = maps + torch.relu(self.second(maps)).detach()\n        {_FINISH}"),
    ),
    "own-softmax": Mutation(
        "an own network ends with a softmax",
        "loss-encoding",
        settings=_NETWORK,
        own=_network(f"maps = torch.relu(self.second(maps))\n        {_FINISH}.softmax(1)"),
    ),
    "own-dropout-always": Mutation(
        "an own network drops values in evaluation too",
        "evaluation",
        settings=_NETWORK,
        own=_network(f"maps = nn.functional.dropout(torch.relu(self.second(maps)), 0.3)\n        {_FINISH}"),
    ),
    "own-looks-at-batch": Mutation(
        "an own network subtracts the mean of the batch",
        "evaluation",
        settings=_NETWORK,
        own=_network(f"maps = torch.relu(self.second(maps - maps.mean(0)))\n        {_FINISH}"),
    ),
    "own-loss-encoding": Mutation(
        "an own loss compares shares with integer labels",
        "loss-encoding",
        settings={"train.loss": "own.py:squares"},
        own=f"""{_HEAD}
def squares(logits, targets):
    return (logits.softmax(1) - targets[:, None]).square().mean(1)
""",
    ),
    "own-loss-summed": Mutation(
        "an own loss is a sum over the batch",
        "loss-encoding",
        settings={"train.loss": "own.py:entropy"},
        own=f"""{_HEAD}
def entropy(logits, targets):
    return nn.functional.cross_entropy(logits, targets, reduction="sum")
""",
    ),
    "own-loss-of-shares": Mutation(
        "an own loss applies the softmax a second time",
        "loss-encoding",
        settings={"train.loss": "own.py:entropy"},
        own=f"""{_HEAD}
def entropy(logits, targets):
    return nn.functional.cross_entropy(logits.softmax(1), targets, reduction="none")
""",
    ),
}

MUTATIONS = IN_CODE | IN_OWN_PARTS
