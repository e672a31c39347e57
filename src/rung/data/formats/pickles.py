"""Pickles written by others, the only place that reads them: nothing in them can run.

The opcodes are looked through first; then only three names exist for a pickle, and each stands for a function of ours
that builds plain arrays of numbers and text. Python 2 pickles give bytes where Python 3 ones give text.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np

from rung.errors import DataError

MAX_BYTES = 2**30
_MAX_MEMO = 10_000_000


def _empty_array(kind: object, shape: object, code: object) -> np.ndarray[Any, Any]:
    """Stand in for numpy's _reconstruct: always an empty array, which its state then fills."""
    if kind is not np.ndarray:
        raise DataError(f"a pickle asks to rebuild {kind!r}: only plain arrays are read")
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _dtype(code: object, align: object = False, copy: object = False) -> np.dtype[Any]:
    """Stand in for numpy.dtype: always a copy, so that no state can change a type that others use."""
    text = code.decode("latin1") if isinstance(code, bytes) else str(code)
    if text.lstrip("<>|=")[:1] not in ("b", "i", "u", "f", "S", "U"):
        raise DataError(f"a pickle holds an array of type {text!r}: only numbers and text are read")
    return np.dtype(text, copy=True)


def _encode(text: object, encoding: object = "utf-8") -> bytes:
    """Stand in for _codecs.encode, by which Python 3 writes bytes in old protocols."""
    if not isinstance(text, str) or encoding != "latin1":
        raise DataError("a pickle asks for an encoding other than latin1: it is refused")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Callable[..., Any] | type] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
}
_NAMES = frozenset(f"{module} {name}" for module, name in _ALLOWED)
_FORBIDDEN = frozenset({"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER"})


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise DataError(f"it asks for {module}.{name}, which a data file has no need of: it is refused and nothing was run") from None


def loads(data: bytes, origin: str) -> Any:
    """Return what a pickle of numbers, text, lists, dictionaries and plain arrays holds; keys as written, bytes or text.

    Raises: DataError naming `origin` and what was refused.
    """
    if len(data) > MAX_BYTES:
        raise DataError(f"{origin} has {len(data):,} bytes, more than {MAX_BYTES:,}: it is refused")
    _look_through(data, origin)
    try:
        return _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{origin}: {error}") from None
    except (pickle.UnpicklingError, ValueError, EOFError, TypeError, AttributeError, KeyError, IndexError, OverflowError, MemoryError, UnicodeError) as error:
        raise DataError(f"{origin} is not a pickle that can be read ({error or type(error).__name__}): get it again") from None


def _look_through(data: bytes, origin: str) -> None:
    """Refuse forbidden opcodes before any is carried out."""
    try:
        for opcode, argument, _ in pickletools.genops(data):
            name = opcode.name
            if name in _FORBIDDEN:
                raise DataError(f"{origin}: it uses the pickle opcode {name}, which a data file has no need of: it is refused and nothing was run")
            if name == "GLOBAL" and argument not in _NAMES:
                raise DataError(f"{origin}: it asks for {str(argument).replace(' ', '.')}, which a data file has no need of: it is refused and nothing was run")
            if name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > _MAX_MEMO:
                raise DataError(f"{origin}: it asks for a memo of {argument:,} entries: it is refused")
    except (ValueError, EOFError, IndexError, OverflowError, UnicodeError) as error:
        raise DataError(f"{origin} is not a whole pickle ({error}): get it again") from None
