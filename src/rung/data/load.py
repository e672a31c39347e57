"""Any source of labelled images as one ImageSet: read, unite, pick classes, check, decode."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from rung.data import classes as naming
from rung.data import given
from rung.data import sources as reading
from rung.data.cache import Cache
from rung.data.files import Fitted, check_left_out, decode_files, fit_array, together
from rung.data.formats import arrays
from rung.data.found import Found, Progress, Stored
from rung.data.imageset import FACTS, PARTS, TEST, TRAIN, VALIDATION, FileNote, ImageSet
from rung.data.pixels import fit_all
from rung.data.twice import shared_with_train, without_contradictions
from rung.data.unite import unite
from rung.errors import DataError, RecipeError, did_you_mean
from rung.recipe import Data, Layout, Pixels
from rung.words import plural


def load(data: Data, pixels: Pixels, *, progress: Progress | None = None, download_progress: Progress | None = None, cache: Cache | None = None) -> ImageSet:
    """Return the images that `data` names, prepared as `pixels` says; those of files are kept in the cache and taken from there, if one is given.

    `progress` is called with images decoded and images in all, `download_progress` with bytes here and bytes in all.
    Raises: DataError where they cannot be found or used; RecipeError for classes that do not exist.
    """
    if not data.sources:
        raise RecipeError(f"no data named: give a name ({', '.join(reading.NAMES)}) or the path of a folder or file")
    return finish([reading.read(source, data, download_progress) for source in data.sources], data, pixels, progress, cache)


def from_arrays(
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    classes: Sequence[str] | None = None,
    test_images: npt.ArrayLike | None = None,
    test_labels: npt.ArrayLike | None = None,
    validation_images: npt.ArrayLike | None = None,
    validation_labels: npt.ArrayLike | None = None,
    layout: Layout = "auto",
    pixels: Pixels | None = None,
    name: str = "arrays",
) -> ImageSet:
    """Return images (N,H,W,C), (N,C,H,W), (N,H,W), flat rows or a list of Pillow images, and labels, as one ImageSet.

    Arrays and tensors hold uint8, or floating point in 0..1. Labels are whole numbers 0..K-1, one-hot rows or names; `classes` names
    the numbers, and the ImageSet keeps its order. Raises: DataError where they do not fit.
    """
    pixels = pixels or Pixels()
    both = {"train": (images, labels), "validation": (validation_images, validation_labels), "test": (test_images, test_labels)}
    parts, notes = {}, []
    for part, (x, y) in both.items():
        if (x is None) != (y is None):
            raise DataError(f"{part}_images and {part}_labels belong together: only the {'labels' if x is None else 'images'} were given")
        if x is not None and y is not None:
            own, repaired = given.images(x, pixels, part)
            parts[part] = (own, given.plain(y))
            notes += repaired
    return finish([replace(arrays.found(parts, classes, layout, name), repaired=tuple(notes))], Data(), pixels)


def image_array(images: npt.ArrayLike, pixels: Pixels, channels: int) -> npt.NDArray[np.uint8]:
    """Return images in an array as `from_arrays` prepares them, uint8 (N,S,S,channels); `pixels.size` must be a number.

    Raises: DataError as `from_arrays`.
    """
    if not isinstance(pixels.size, int):
        raise RecipeError("pixels.size = 'auto' is not known yet: take the recipe of the run, where it is resolved")
    return fit_all(arrays.as_images(given.plain(images))[0], pixels.size, channels, pixels)


def finish(found: Sequence[Found], data: Data, pixels: Pixels, progress: Progress | None = None, cache: Cache | None = None) -> ImageSet:
    """Return what readers found as one ImageSet: united, picked, checked and prepared.

    Raises: as `load`.
    """
    _check_numbers(found)
    sources = unite(found)
    rule = sources[0].validation_rule if len(sources) == 1 and not data.classes and not data.per_class else "fraction"
    if data.classes:
        sources = _pick(sources, data.classes)
    sources = _without_empty(sources, data.allow_empty_classes)
    warnings = _check_classes(sources)
    if data.per_class:
        sources = _first_of_each_class(sources, data.per_class)
    images = _together(sources, pixels, data.strict, progress, cache)
    images = replace(images, warnings=(*warnings, *images.warnings, *_check_counts(images), *shared_with_train(images)), validation_rule=rule)
    if data.strict and images.warnings:
        raise DataError(f"data.strict allows no warning: {images.warnings[0]}")
    return images


def _check_numbers(found: Sequence[Found]) -> None:
    """Raises: DataError where all labels are numbers and none of any source is 0."""
    labels = [f.labels for f in found if f.numbered and len(f)]
    if len(labels) == len(found) and min(int(own.min()) for own in labels) > 0:
        low, high = min(int(own.min()) for own in labels), max(int(own.max()) for own in labels)
        files = ", ".join(os.path.basename(f.origin) for f in found if f.origin)
        raise arrays.not_from_zero(low, high, f"labels of {files}" if files else "labels")


def _pick(sources: list[Found], text: str) -> list[Found]:
    known = sources[0].classes
    wanted = naming.parse(text, known)
    classes, to = naming.mapping(wanted, known)
    coarse: tuple[str | None, ...] | None = None
    groups = sources[0].coarse
    if groups is not None:
        of_class = [{groups[known.index(old)] for old in wanted[name]} for name in classes]
        coarse = tuple(next(iter(g)) if len(g) == 1 else None for g in of_class)
    return [found.relabel(to, classes, coarse) for found in sources]


def _have_no_image(classes: Sequence[str]) -> str:
    return f"{plural(len(classes), 'class', 'classes')} {'has' if len(classes) == 1 else 'have'} no image"


def _without_empty(sources: list[Found], allowed: bool) -> list[Found]:
    """Leave out classes that have no file at all. Raises: DataError where that is not allowed."""
    classes = sources[0].classes
    used = {int(k) for f in sources for k in np.unique(f.labels)} | {r.label for f in sources for r in f.refused}
    empty = [name for k, name in enumerate(classes) if k not in used]
    if not empty:
        return sources
    if not allowed:
        raise DataError(f"{_have_no_image(empty)}: {', '.join(empty[:20])}; leave them out with --set data.allow_empty_classes=true", "classes")
    kept = {name: (name,) for k, name in enumerate(classes) if k in used}
    names, to = naming.mapping(kept, classes)
    coarse = sources[0].coarse
    return [f.relabel(to, names, coarse and tuple(coarse[classes.index(n)] for n in names)) for f in sources]


def _root_names(sources: Sequence[Found]) -> tuple[tuple[str, ...], list[int]]:
    """Return the names of all roots, and for each source the index of its first."""
    names = tuple(root for f in sources for root in f.root_names)
    return names, [0, *np.cumsum([len(f.root_names) for f in sources])[:-1].tolist()]


def _check_classes(sources: list[Found]) -> list[str]:
    """Return warnings; sources share their classes. Raises: DataError where classes and parts do not fit."""
    classes = sources[0].classes
    labels = np.concatenate([f.labels for f in sources])
    parts = np.concatenate([f.parts for f in sources])
    if not len(labels):
        check_left_out([r for f in sources for r in f.refused], labels, classes, False)
    root_names, offsets = _root_names(sources)
    presence = np.zeros((len(classes), len(root_names)), dtype=bool)
    for found, offset in zip(sources, offsets, strict=True):
        presence[found.labels, found.roots + offset] = True
    warnings = naming.check_spelling(classes, presence, root_names)
    if len(classes) < 2:
        raise DataError(f"there is only one class, {', '.join(classes)}: two are needed to tell apart", "classes")
    counts = np.stack([np.bincount(labels[parts == part], minlength=len(classes)) for part in range(len(PARTS))])
    if not counts[TRAIN].any():
        given = ", ".join(PARTS[p] for p in (VALIDATION, TEST) if counts[p].any())
        raise DataError(f"there are no training images: all {len(labels)} lie in {given or 'no part'}")
    trained = [c for c, n in zip(classes, counts[TRAIN], strict=True) if n]
    for part in (TEST, VALIDATION):
        for label in np.flatnonzero((counts[part] > 0) & (counts[TRAIN] == 0)):
            where = f"the {PARTS[part]} part ({counts[part][label]} images)"
            raise DataError(f"class '{classes[label]}' is in {where} but not in train: {did_you_mean(classes[label], trained)}", "classes")
        absent = [classes[k] for k in np.flatnonzero((counts[part] == 0) & (counts[TRAIN] > 0))]
        if counts[part].any() and absent:
            warnings.append(f"{_have_no_image(absent)} in the {PARTS[part]} part: {', '.join(absent[:10])}")
    return warnings


def _first_of_each_class(sources: list[Found], count: int) -> list[Found]:
    """Keep the first `count` training rows of each class; rows of other parts stay."""
    labels = np.concatenate([f.labels for f in sources])
    keep = np.concatenate([f.parts for f in sources]) != TRAIN
    for label in range(len(sources[0].classes)):
        keep[np.flatnonzero(~keep & (labels == label))[:count]] = True
    ends = np.cumsum([len(f) for f in sources])
    return [f.take(np.flatnonzero(keep[end - len(f) : end])) for f, end in zip(sources, ends, strict=True)]


def _together(sources: list[Found], pixels: Pixels, strict: bool, progress: Progress | None, cache: Cache | None) -> ImageSet:
    """Decode and fit every source and put them one after the other."""
    total, done = sum(len(f) for f in sources), 0
    decoded = []
    for found in sources:
        step = None if progress is None else partial(_shifted, progress, done, total)
        decoded.append(decode_files(found, pixels, step, cache) if isinstance(found.images, Stored) else fit_array(found, pixels))
        done += len(found)
        if progress:
            progress(done, total)
    sources = [f.take(d.rows) for f, d in zip(sources, decoded, strict=True)]
    sources, decoded, twice, warnings = without_contradictions(sources, decoded)
    refused = [r for f, d in zip(sources, decoded, strict=True) for r in (*f.refused, *d.refused)] + twice
    labels = np.concatenate([f.labels for f in sources])
    check_left_out(refused, labels, sources[0].classes, strict)
    images, grey = together(decoded, pixels), sum(d.grey for d in decoded)
    remarks = []
    if pixels.colour == "auto" and images.shape[3] == 3 and grey:
        remarks.append(f"{grey} of {len(images)} images are grey: all have 3 channels because the other {len(images) - grey} are in colour")
    names, offsets = _root_names(sources)
    coarse = sources[0].coarse
    return ImageSet(
        name="+".join(f.name for f in sources),
        images=images,
        labels=labels,
        classes=sources[0].classes,
        sources=tuple(s for f in sources for s in f.sources),
        parts=np.concatenate([f.parts for f in sources]),
        roots=np.concatenate([f.roots + offset for f, offset in zip(sources, offsets, strict=True)]),
        root_names=names,
        digests=np.concatenate([d.digests for d in decoded]),
        facts=_facts(decoded),
        groups=_groups(sources),
        coarse=None if coarse is None or None in coarse else tuple(c for c in coarse if c is not None),
        dropped=tuple(FileNote(r.path, r.reason) for r in refused),
        repaired=tuple(note for f, d in zip(sources, decoded, strict=True) for note in (*f.repaired, *d.repaired)),
        warnings=(*(w for f, d in zip(sources, decoded, strict=True) for w in (*f.warnings, *d.warnings)), *warnings),
        remarks=(*(r for f in sources for r in f.remarks), *remarks),
        readings=tuple(d.reading for d in decoded if d.reading is not None),
    )


def _facts(decoded: Sequence[Fitted]) -> npt.NDArray[np.void] | None:
    if all(d.facts is None for d in decoded):
        return None
    return np.concatenate([np.zeros(len(d.rows), FACTS) if d.facts is None else d.facts for d in decoded])


def _groups(sources: Sequence[Found]) -> npt.NDArray[np.int64] | None:
    """Return the number of each row's group, or None where no source knows any; a row without one is a group of its own."""
    if all(f.groups is None for f in sources):
        return None
    names = [name for f in sources for name in (f.groups or [""] * len(f))]
    numbers = {name: k for k, name in enumerate(dict.fromkeys(names)) if name}
    return np.array([numbers.get(name, len(names) + row) for row, name in enumerate(names)], np.int64)


def _shifted(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    progress(before + done, total)


def _check_counts(images: ImageSet) -> list[str]:
    """Return warnings on classes with one training image and on images without any contrast."""
    warnings = []
    single = [c for c, n in zip(images.classes, np.bincount(images.labels[images.parts == TRAIN], minlength=len(images.classes)), strict=True) if n == 1]
    if single:
        warnings.append(f"{len(single)} classes have one training image, which cannot be split by class: {', '.join(single[:10])}")
    flat = images.images.reshape(len(images), -1)
    plain = np.flatnonzero((flat[:, :8] == flat[:, :1]).all(axis=1))  # the first values rule out most images
    plain = plain[(flat[plain] == flat[plain, :1]).all(axis=1)]
    if len(plain):
        warnings.append(f"{len(plain)} images have all pixels equal (such as {images.sources[plain[0]]})")
    return warnings
