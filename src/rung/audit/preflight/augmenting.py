"""Checks of augmentation: it acts, it varies, and the label is still the right one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from rung.audit.preflight.outcome import Outcome, concluded, skipped
from rung.recipe import Augment
from rung.words import listing, percent

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NOT_ALONE = ("fill", "own", "offline_copies", "flip_alternating", "rising_sizes")  # say how, how often or at what size; own functions are told by name
SETTINGS = tuple(name for name in Augment.model_fields if name not in _NOT_ALONE)  # each of them alone is an augmentation
MIXES = ("mixup_alpha", "cutmix_alpha")  # draw once for a step, and change labels by design
_CHANGED = 1e-3  # of 0..1, largest difference of a value: a quarter of a grey level
# Share of its skill that a perfect judge must keep on the images that were changed most; one of less skill is less sure of itself and may lose
# more, in proportion. Mirrored and turned digits keep -0.1 to 0.26 (skill 0.96, 0.34 is asked), photographs upside down 0.4 to 0.6 (skill 0.4 to
# 0.5, 0.14 to 0.18 is asked), what keeps labels 0.40 and more. Seen once, when the check was made, on digits and CIFAR-10; no rows of it are kept.
KEPT = 0.35
_KNOWN, _LOST, _SWAPPED = 0.8, 0.1, 0.5  # recall of a class before and after, and the share that one other class takes, where labels are swapped
_SURE = 0.15  # relative standard error of the judge's skill above which nothing is said
_SHARE = 1 / 3  # of the changed images, those that were changed most, are looked at
_FEWEST = 30  # of these
_FEWEST_OF_CLASS = 10


def on(augment: Augment) -> list[str]:
    """Return the settings of augmentation that are on, by name."""
    fields = type(augment).model_fields
    return [name for name in SETTINGS if getattr(augment, name) != fields[name].default]


@dataclass(frozen=True)
class Views:
    """What augmentation makes of some rows, in their order, as the network is given them: float32 (N,C,H,W).

    plain: without it (the middle, where there is a crop); each: {setting or own function: it alone}; first, second: the recipe's whole
    augmentation in two epochs (of offline copies: two copies), again: the first once more, apart: the first in smaller batches;
    alike: of the same image in every row.
    """

    plain: Tensor
    each: Mapping[str, Tensor]
    first: Tensor
    second: Tensor
    again: Tensor
    apart: Tensor
    alike: Tensor


def changed(images: Tensor, plain: Tensor) -> npt.NDArray[np.bool_]:
    """Return which images (N,C,H,W) differ visibly from the plain ones, bool (N,)."""
    return ((images - plain).abs().flatten(1).amax(dim=1) > _CHANGED * float(plain.max() - plain.min())).cpu().numpy()


def how_far(images: Tensor, plain: Tensor) -> Floats:
    """Return how far each image (N,C,H,W) is from the plain one, float64 (N,), mean difference of its values; 0 where it is not visibly changed."""
    far: Floats = (images - plain).abs().flatten(1).mean(dim=1).double().cpu().numpy()
    return np.where(changed(images, plain), far, 0.0)


def acts(views: Views, given: float, looked: int) -> Outcome:
    """Augmentation changes the images: each setting alone does, all together do, and the network is given changed images.

    given: share of the `looked` images given to the network in the first steps of a real training that are not as they are stored.
    """
    shares = {name: float(changed(images, views.plain).mean()) for name, images in views.each.items()}
    whole = float(changed(views.first, views.plain).mean())
    idle = [name for name, share in shares.items() if not share]
    problems = []
    if not whole:
        problems.append(f"The recipe's augmentation changed none of {len(views.plain)} images.")
    elif idle:
        problems.append(f"{listing(idle)} alone changed none of {len(views.plain)} images.")
    if whole and not given:
        problems.append(f"Augmentation changes images, but none of the {looked} that the network was given in the first steps was changed.")
    return concluded(
        "augmentation-acts",
        f"{percent(whole)} of {len(views.plain)} images changed",
        f"{percent(whole)} of {len(views.plain)} images are changed, {percent(given)} of {looked} that the network was given ({listing(list(shares))}).",
        problems,
        "The augmentation is set and not used, or too weak to change a grey level.",
        changed=whole,
        given=given,
    )


def varies(views: Views, augment: Augment, own: int) -> Outcome:
    """Augmentation differs between epochs and between images, and is the same again for the same image and epoch.

    own: how many own functions there are.
    """
    between_epochs = float(changed(views.first, views.second).mean())
    by_image = own > 0 or any(name not in MIXES for name in on(augment))
    kinds = len({image.numpy().tobytes() for image in views.alike.cpu()})
    copies = "copies" if augment.offline_copies else "epochs"
    problems = []
    if not between_epochs and augment.offline_copies != 1:
        problems.append(f"All of {len(views.first)} images are the same in two {copies}.")
    if by_image and kinds < 2:
        problems.append(f"{len(views.alike)} rows with the same image are all changed alike: every image of a batch gets the same draw.")
    if changed(views.first, views.again).any():
        problems.append("The same images in the same epoch come out otherwise the second time.")
    elif by_image and not any(getattr(augment, name) for name in MIXES) and changed(views.first, views.apart).any():
        problems.append("What an image becomes depends on the batch it is in.")
    return concluded(
        "augmentation-varies",
        f"{percent(between_epochs)} differ between {copies}, {kinds} kinds of {len(views.alike)}",
        f"{percent(between_epochs)} of the images differ between two {copies}, and one image in {len(views.alike)} rows becomes {kinds} different ones; "
        "asked again, and in batches of another size, they are the same.",
        problems,
        "Draw for each image from its key, as docs/augmentation.md shows: keys.uniform(image_keys, 0). Not from a generator, and not once for a batch.",
        between_epochs=between_epochs,
        kinds=kinds,
    )


@dataclass(frozen=True)
class Judged:
    """What a judge, a small network fitted on plain images, said of rows it had not seen.

    labels: int64 (N,); plain: its answers without augmentation, int64 (N,); each: {setting or own function: (answers, how far it took the
    images from the plain ones)}, int64 and float64 (V*N,), for V views of all rows one after the other. fitted: on how many images.
    """

    labels: Ints
    plain: Ints
    each: Mapping[str, tuple[Ints, Floats]]
    classes: tuple[str, ...]
    fitted: int


def keeps_labels(judged: Judged) -> Outcome:
    """A judge that has not seen the augmentation still recognises the images that each setting alone changed.

    Skill is the mean recall of the classes above chance, over what perfect answers would have. What survives is the skill on the third of the
    changed images that was changed most, over that on the same images unchanged. A setting fails where less survives than 0.35 of the judge's
    skill, or where a class that was recognised is taken for one other class.
    """
    classes = len(judged.classes)
    skill, error = _skill(judged.plain, judged.labels, classes)
    if skill <= 0 or error / skill > _SURE:
        return skipped(
            "augmentation-keeps-labels",
            f"A small network fitted on {judged.fitted} images knows too little of them to judge by (skill {percent(skill)}, standard error {percent(error)}).",
        )
    asked = KEPT * skill
    survives: dict[str, float] = {}
    problems = []
    for name, (answers, far) in judged.each.items():
        touched = _most_changed(far)
        if touched.sum() < _FEWEST:
            continue
        views = len(answers) // len(judged.labels)
        labels, plain = np.tile(judged.labels, views)[touched], np.tile(judged.plain, views)[touched]
        before = _table(plain, labels, classes)
        after = _table(answers[touched], labels, classes)
        survives[name] = min(_skill(answers[touched], labels, classes)[0] / max(_skill(plain, labels, classes)[0], error), 1.0)
        if survives[name] < asked or _swapped(before, after, labels).any():
            problems.append(_says(name, survives[name], asked, before, after, labels, judged.classes))
    if not survives:
        return skipped("augmentation-keeps-labels", f"Of {len(judged.labels)} images fewer than {_FEWEST} are changed: too few to judge by.")
    weakest = min(survives, key=lambda name: survives[name])
    return concluded(
        "augmentation-keeps-labels",
        f"{percent(survives[weakest], 0)} survives {weakest} (at least {percent(asked, 0)})",
        f"Of the skill of a small network ({percent(skill)}) {percent(survives[weakest], 0)} survives on the images that {weakest} changed most; "
        f"at least {percent(asked, 0)} should.",
        problems,
        "It may turn one class into another (a 2 upside down is a 5), or hide what is shown. Look at augmented images; leave it out, or weaken it.",
        skill=skill,
        skill_error=error,
        **{f"survives_{name}": share for name, share in survives.items()},
    )


def _most_changed(far: Floats) -> npt.NDArray[np.bool_]:
    """Return the third of the changed images that were changed most, bool (N,): what happens to every second image must not hide behind the others."""
    return (far > 0) & (far >= np.quantile(far[far > 0], 1 - _SHARE)) if (far > 0).any() else far > 0


def _says(name: str, survives: float, asked: float, before: Floats, after: Floats, labels: Ints, classes: tuple[str, ...]) -> str:
    """Say what a setting does to labels, with the class that suffers most."""
    worst = _swapped(before, after, labels)
    lost = np.where(worst, 2.0, 0.0) + np.diag(before) - np.diag(after)
    label = int(lost.argmax())
    others = np.where(np.arange(len(classes)) == label, -1.0, after[label])
    return (
        f"{name} alone: of what a small network knows {percent(max(survives, 0.0), 0)} survives on the images it changed most, at least {percent(asked, 0)} "
        f"should. "
        f"'{classes[label]}', recognised in {percent(before[label, label], 0)}, is then recognised in {percent(after[label, label], 0)} and taken for "
        f"'{classes[int(others.argmax())]}' in {percent(float(others.max()), 0)}."
    )


def _swapped(before: Floats, after: Floats, labels: Ints) -> npt.NDArray[np.bool_]:
    """Return which classes were recognised and are now taken for one other class, bool (K,)."""
    enough = np.bincount(labels, minlength=len(before)) >= _FEWEST_OF_CLASS
    others = after - np.diag(np.diag(after))
    swapped: npt.NDArray[np.bool_] = enough & (np.diag(before) >= _KNOWN) & (np.diag(after) <= _LOST) & (others.max(axis=1) >= _SWAPPED)
    return swapped


def _skill(answers: Ints, labels: Ints, classes: int) -> tuple[float, float]:
    """Return the mean recall of the classes that are there, scaled so that chance is 0 and all right is 1, and its standard error."""
    recalls, variances = [], []
    for label in np.unique(labels):
        right = answers[labels == label] == label
        share = (right.sum() + 1) / (len(right) + 2)
        recalls.append(right.mean())
        variances.append(share * (1 - share) / len(right))
    scale = 1 - 1 / classes
    return float((np.mean(recalls) - 1 / classes) / scale), float(np.sqrt(np.sum(variances)) / len(recalls) / scale)


def _table(answers: Ints, labels: Ints, classes: int) -> Floats:
    """Return how each class (row) is answered (column), as shares of its images, float64 (K,K)."""
    table: Floats = np.zeros((classes, classes))
    np.add.at(table, (labels, answers), 1)
    table /= np.maximum(table.sum(axis=1, keepdims=True), 1)
    return table
