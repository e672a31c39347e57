"""What is known of a candidate before it is trained: by which key its runs are found, whether another is the same network, and what it costs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rung.recipe import Recipe


@dataclass(frozen=True)
class Resolved:
    """A candidate whose recipe was made whole.

    identity: SHA-256 of the whole recipe as TOML (without name, why, notes and seed), the user's own sources, the weights
    that it begins from and the data's content: what has the
    same identity trains the same networks. parameters; flops of one image, forwards. classes, epochs: of the training. values: of its fields that act.
    """

    identity: str
    parameters: int
    flops: int
    classes: tuple[str, ...]
    epochs: int
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def key(self, seed: int) -> str:
        """Return the name of the run folder of one seed."""
        return hashlib.sha256(f"{self.identity} {seed}".encode()).hexdigest()[:16]


Resolve = Callable[[Mapping[str, Any]], Resolved]


def alike(start: Recipe) -> dict[str, Any]:
    """Return what is set for all candidates unless the study sets it: one thread each, and the same parts with every seed."""
    parts = {} if start.split.seed is not None else {"split.seed": 0}
    return {"compute.threads": 1, **parts}
