"""How a network's answers stand up to corrupted images, and two networks' on the same corrupted images."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rung import keys
from rung.errors import RunError
from rung.evaluate import corruptions
from rung.evaluate.corruptions import CORRUPTIONS, STRENGTHS, Images
from rung.evaluate.intervals import Value, t_interval, wilson
from rung.store import atomic
from rung.store.run import Run
from rung.study.entry import Entry
from rung.study.paired import Interval, over_images

Rights = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]
Answer = Callable[[Images], npt.NDArray[np.int64]]

_AT_ONCE: Final = 2**24  # values of images, so that memory does not grow with their number and size
_MOST_AT_ONCE: Final = 1_000  # images
_FORM: Final = 1  # of robust.json
LEVEL: Final = 0.95


@dataclass(frozen=True, eq=False)
class Robustness:
    """One run's answers to corrupted images of one part.

    rows: SHA-256 of the images and labels; weights_sha256: of the network. right: which images are answered rightly, bool (N,) of the images as they are,
    (5,N) of each corruption, in the order of its strengths. opening: the how-manieth opening of the test set, None for validation.
    """

    run: str
    part: str
    size: int
    rows: str
    weights_sha256: str
    clean: Rights
    right: Mapping[str, Rights]
    opening: int | None = None

    @property
    def images(self) -> int:
        """How many images were corrupted."""
        return len(self.clean)

    def accuracy(self, name: str, strength: int) -> Value:
        """Return the accuracy under a corruption, strength 0: as they are, with its interval over images."""
        right = self.clean if strength == 0 else self.right[name][strength - 1]
        return wilson(int(right.sum()), self.images, LEVEL)

    def mean(self, name: str | None = None) -> Value:
        """Return the mean accuracy over the strengths of a corruption, or of all corruptions, with its interval over images."""
        return t_interval(self.shares(name), LEVEL, 0.0, 1.0)

    def lost(self, name: str | None = None) -> Interval:
        """Return by how much the mean accuracy lies below that of the images as they are, paired on the images."""
        return _over_images(self.clean.astype(np.float64) - self.shares(name), LEVEL)

    def shares(self, name: str | None = None) -> npt.NDArray[np.float64]:
        """Return for each image the share of right answers over the strengths of one corruption, or of all, float64 (N,)."""
        names = [name] if name else list(self.right)
        shares: npt.NDArray[np.float64] = np.concatenate([self.right[one] for one in names]).mean(axis=0)
        return shares


@dataclass(frozen=True)
class Against:
    """Two runs on the same corrupted images: mean accuracy over strengths, second minus first, for each corruption and for all together."""

    first: str
    second: str
    together: Interval
    each: Mapping[str, Interval]


@dataclass(frozen=True, eq=False)
class RobustReport:
    """Several runs' robustness on one part. against: every pair; intervals of `together` hold jointly, and those of `each` do."""

    runs: tuple[Robustness, ...]
    against: tuple[Against, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without the answers to single images."""
        return {"runs": [summary(run) for run in self.runs], "against": [asdict(one) for one in self.against]}


def report(runs: Sequence[Robustness]) -> RobustReport:
    """Set runs beside each other. Raises: RunError if they answered other images."""
    for other in runs[1:]:
        if (other.rows, other.size) != (runs[0].rows, runs[0].size):
            raise RunError(f"{runs[0].run} and {other.run} were not asked the same images: measure them on the same part, with the same pixels")
    pairs = list(itertools.combinations(runs, 2))
    joint = 1 - (1 - LEVEL) / max(len(pairs), 1)
    single = 1 - (1 - LEVEL) / max(len(pairs) * len(CORRUPTIONS), 1)
    against = [
        Against(
            first.run,
            second.run,
            _over_images(second.shares() - first.shares(), joint),
            {name: _over_images(second.shares(name) - first.shares(name), single) for name in first.right},
        )
        for first, second in pairs
    ]
    return RobustReport(tuple(runs), tuple(against))


def _over_images(differences: npt.NDArray[np.float64], level: float) -> Interval:
    return over_images(differences, level).of_shares


def chosen(entry: Entry, part: str, most: int) -> Places:
    """Return the places in the kept answers of the images that are corrupted: all, or `most` of them drawn by their digests, the same in every run."""
    digests, _ = entry.asked(part)
    order = np.argsort(keys.row_keys(keys.stream(0, "robust images"), digests), kind="stable")
    return np.sort(order[:most])


def rows_key(entry: Entry, part: str, places: Places) -> str:
    """Return the SHA-256 of the digests and labels of the images at these places."""
    digests, labels = entry.asked(part)
    return hashlib.sha256(np.stack([digests[places], labels[places]]).astype("<i8").tobytes()).hexdigest()


def measure(
    entry: Entry, part: str, places: Places, images: Images, answer: Answer, scored: Callable[[int, int], None] = lambda done, total: None
) -> Robustness:
    """Corrupt images of a part in every way, and ask the network. images: uint8 (n,H,W,C), those at `places`; scored(done, total) is called as it goes on."""
    predicted = entry.predictions(part)
    labels, image_keys = predicted.labels[places], corruptions.keys_of(predicted.digests[places])
    right = {name: np.zeros((len(STRENGTHS), len(places)), dtype=bool) for name in CORRUPTIONS}
    done, total = 0, len(places) * len(STRENGTHS) * len(CORRUPTIONS)
    step = max(1, min(_MOST_AT_ONCE, _AT_ONCE // max(images[:1].size, 1)))
    for start in range(0, len(places), step):
        part_of = slice(start, start + step)
        for name in CORRUPTIONS:
            for strength in STRENGTHS:
                corrupted = corruptions.corrupt(images[part_of], image_keys[part_of], name, strength)
                right[name][strength - 1, part_of] = answer(corrupted) == labels[part_of]
                done += len(corrupted)
                scored(done, total)
    clean = predicted.answers()[places] == labels
    opening = entry.run.read_opening() if part == "test" else None
    weights = str(entry.kept["weights_sha256"])
    return Robustness(entry.id, part, images.shape[1], rows_key(entry, part, places), weights, clean, right, opening)


def summary(found: Robustness) -> dict[str, Any]:
    """Return what was measured as plain values: every accuracy with its interval."""
    return {
        "run": found.run,
        "part": found.part,
        "images": found.images,
        "size": found.size,
        "opening": found.opening,
        "accuracy": found.accuracy("", 0).to_json(),
        "mean": found.mean().to_json(),
        "lost": asdict(found.lost()),
        "corruptions": {
            name: {
                "unit": CORRUPTIONS[name].unit,
                "amounts": list(corruptions.amounts(name, found.size)),
                "accuracy": [found.accuracy(name, strength).to_json() for strength in STRENGTHS],
                "mean": found.mean(name).to_json(),
                "lost": asdict(found.lost(name)),
            }
            for name in found.right
        },
    }


def save(run: Run, found: Robustness) -> None:
    """Write robust.json into the run's folder."""
    packed = {"clean": _packed(found.clean), **{name: [_packed(row) for row in rows] for name, rows in found.right.items()}}
    about = {"form": _FORM, "rows": found.rows, "weights_sha256": found.weights_sha256}
    atomic.write_json(run.robust, {**summary(found), **about, "right": packed})


def load(run: Run) -> Robustness | None:
    """Return what robust.json holds, None where there is none, or one of another version. Raises: RunError if it is damaged."""
    if not atomic.exists(run.robust):
        return None
    try:
        values = atomic.read_json(run.robust)
        count, packed = values["images"], values["right"]
        if values["form"] != _FORM or set(packed) != {"clean", *CORRUPTIONS}:
            return None
        right = {name: np.stack([_unpacked(row, count) for row in packed[name]]) for name in CORRUPTIONS}
        clean = _unpacked(packed["clean"], count)
        return Robustness(run.id, values["part"], values["size"], values["rows"], values["weights_sha256"], clean, right, values["opening"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{run.robust} is damaged ({error}): delete it, and `rung robust {run.folder}` writes it again") from error


def _packed(right: Rights) -> str:
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def _unpacked(text: str, count: int) -> Rights:
    return np.unpackbits(np.frombuffer(base64.b64decode(text), dtype=np.uint8), count=count).astype(bool)
