"""What a data set holds, in numbers: what `rung data` prints and a run keeps beside its recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.data.imageset import PARTS, FileNote, ImageSet, grey_rows
from rung.recipe import Split


@dataclass(frozen=True)
class DataReport:
    """Counts and notes of one ImageSet; the fields that ImageSet has too mean the same.

    hash: ImageSet.hash(). shape: height, width, channels. counts: {part: {class: images}}, parts without images are not there.
    roots: {name of root: images}. grey: images without colour, as prepared. coarse: {class: group} or None.
    duplicates: exact copies: {"train": images whose equal came before them in that part, "train & test": test images that
    are in train too, ..}; pairs without any are not there. to_take: which parts `rung train` takes from train, in a sentence, "" if none.
    """

    name: str
    hash: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    roots: Mapping[str, int]
    grey: int
    coarse: Mapping[str, str] | None
    duplicates: Mapping[str, int]
    dropped: tuple[FileNote, ...]
    repaired: tuple[FileNote, ...]
    warnings: tuple[str, ...]
    remarks: tuple[str, ...]
    to_take: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values that JSON can hold; of the data as they are, so without what is still to be taken from them."""
        return {
            "name": self.name,
            "hash": self.hash,
            "shape": list(self.shape),
            "classes": list(self.classes),
            "counts": {part: dict(counts) for part, counts in self.counts.items()},
            "roots": dict(self.roots),
            "grey": self.grey,
            "coarse": None if self.coarse is None else dict(self.coarse),
            "duplicates": dict(self.duplicates),
            "dropped": [{"path": note.path, "reason": note.reason} for note in self.dropped],
            "repaired": [{"path": note.path, "reason": note.reason} for note in self.repaired],
            "warnings": list(self.warnings),
            "remarks": list(self.remarks),
        }


def describe(images: ImageSet) -> DataReport:
    """Count what a data set holds; parts are those that the data bring, before any split."""
    height, width, channels = images.images.shape[1:]
    counts: dict[str, dict[str, int]] = {}
    for number, part in enumerate(PARTS):
        of_class = np.bincount(images.labels[images.parts == number], minlength=len(images.classes))
        if of_class.any():
            counts[part] = dict(zip(images.classes, of_class.tolist(), strict=True))
    of_root = np.bincount(images.roots, minlength=len(images.root_names)).tolist()
    return DataReport(
        name=images.name,
        hash=images.hash(),
        shape=(height, width, channels),
        classes=images.classes,
        counts=counts,
        roots=dict(zip(images.root_names, of_root, strict=True)),
        grey=int(grey_rows(images.images).sum()),
        coarse=None if images.coarse is None else dict(zip(images.classes, images.coarse, strict=True)),
        duplicates=duplicates(images),
        dropped=images.dropped,
        repaired=images.repaired,
        warnings=images.warnings,
        remarks=images.remarks,
        to_take=_to_take(images, counts),
    )


def _to_take(images: ImageSet, counts: Mapping[str, Any]) -> str:
    shares, words = Split(), []
    if "test" not in counts:
        words.append(f"test ({shares.test_fraction:.0%} of each class)")
    if "validation" not in counts:
        rest = "" if "test" in counts else "the rest of "
        last = images.validation_rule == "last_10000"
        words.append(f"validation ({'the last 10,000 rows' if last else f'{shares.validation_fraction:.0%} of {rest}each class'})")
    return f"rung train takes {' and '.join(words)} from train, unless the recipe says otherwise" if words else ""


def duplicates(images: ImageSet) -> dict[str, int]:
    """Return how many images are exact copies, by their digests: within each part, and of each part in an earlier one."""
    own = [images.digests[images.parts == number] for number in range(len(PARTS))]
    found = {part: len(d) - len(np.unique(d)) for part, d in zip(PARTS, own, strict=True)}
    for i, earlier in enumerate(PARTS):
        for j in range(i + 1, len(PARTS)):
            found[f"{earlier} & {PARTS[j]}"] = int(np.isin(own[j], own[i]).sum())
    return {where: count for where, count in found.items() if count}
