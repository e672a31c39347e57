"""Named arrays and the plain values that belong to them in one safetensors file: equal content gives equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.errors import RunError
from rung.store import atomic
from rung.store.headers import header
from rung.store.values import dumps, loads

Arrays = dict[str, npt.NDArray[Any]]


def write(path: Path, arrays: Mapping[str, npt.NDArray[Any]], about: Mapping[str, Any]) -> None:
    """Put arrays and values at `path`, whole or not at all; raises as atomic.write_bytes."""
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    # One metadata key only: safetensors writes several in no fixed order.
    atomic.write_bytes(path, save(contiguous, {"about": dumps(dict(about))}))


def read(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays and values of a file that `write` made.

    Raises: RunError naming the file if it is not there, damaged or of another kind.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = atomic.read_bytes(path)
    except OSError as error:
        raise atomic.unreadable(error, path) from error
    try:
        about = loads(header(content)["__metadata__"]["about"])
        if not isinstance(about, dict):
            raise ValueError("its values are no table")
        return load(content), about
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged or is no file of rung: {error}") from error
