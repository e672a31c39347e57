"""Pickles written by others, the only place that reads them: nothing in them can run.

The opcodes are looked through first; then only a few names exist for a pickle, and each stands for something of ours
that takes plain values and checks them: not even numpy's own code is given what a stranger wrote.
Python 2 pickles give bytes where Python 3 ones give text.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable, Collection
from math import prod
from typing import Any, Literal, NoReturn, cast

import numpy as np

from rung.errors import DataError, one_line

MAX_BYTES = 2**30
_MAX_MEMO = 10_000_000


class _Call:
    """A function as a pickle sees it: it can be called and nothing about it can be changed."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> NoReturn:
        raise DataError("it gives a state to what has none: it is refused")


class Record:
    """Stands for an object of another library: it keeps what the pickle says of it and does nothing; `name` is that of its class or function."""

    __slots__ = ("arguments", "state")
    arguments: tuple[Any, ...]
    state: Any
    name = ""

    def __new__(cls, *arguments: object) -> Record:
        made = object.__new__(cls)
        made.arguments = arguments
        made.state = None
        return made

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __call__(self, *arguments: object) -> Record:
        return Record(self, *arguments)


class _Type:
    """Stands for a numpy.dtype of numbers or text; its state may say the order of bytes and nothing else."""

    __slots__ = ("dtype",)

    def __init__(self, code: object, align: object = False, copy: object = False) -> None:
        text = (code.decode("latin1") if isinstance(code, bytes) else str(code)).lstrip("<>|=")
        if text in ("O8", "O4"):
            self.dtype = np.dtype(object)
            return
        if text[:1] not in ("b", "i", "u", "f", "S", "U") or not text[1:].isdecimal() or len(text) > 8:
            raise DataError(f"it holds an array of type {text!r}: only numbers and text are read")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) >= 5 and state[2:5] == (None, None, None) else None
        order = order.decode("latin1") if isinstance(order, bytes) else order
        if order not in ("<", ">", "|", "="):
            raise DataError("it holds an array of a type with parts: only numbers and text are read")
        self.dtype = self.dtype.newbyteorder(cast(Literal["<", ">", "|", "="], order))


class _Array:
    """Stands for a numpy.ndarray; `value` is there once its state is."""

    __slots__ = ("value",)

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise DataError("it describes an array in a way that numpy does not: it is refused")
        _, shape, kind, by_columns, data = state
        self.value = _filled(data, kind, shape, "F" if by_columns else "C")


def _filled(data: object, kind: object, shape: object, order: object) -> np.ndarray[Any, Any]:
    sizes = shape if isinstance(shape, tuple) and all(isinstance(n, int) and n >= 0 for n in shape) else None
    if isinstance(kind, _Type) and kind.dtype == object and sizes is not None and isinstance(data, list) and prod(sizes) == len(data):
        if not all(value is None or type(value) in (str, bytes, int, float, bool) for value in data):
            raise DataError("it holds an array of Python objects: only numbers and text are read")
        return np.array(data, dtype=object).reshape(sizes, order="F" if order == "F" else "C")
    if sizes is None or not isinstance(kind, _Type) or not isinstance(data, bytes | bytearray) or prod(sizes) * kind.dtype.itemsize != len(data):
        raise DataError("it describes an array that does not fit its bytes: it is refused")
    return np.frombuffer(data, kind.dtype).reshape(sizes, order="F" if order == "F" else "C")


def _empty_array(kind: object, shape: object, code: object) -> _Array:
    """Stand in for numpy's _reconstruct; the state that follows fills the array."""
    if kind is not _NDARRAY:
        raise DataError("it asks for something other than a plain array: it is refused")
    return _Array()


def _from_buffer(data: object, kind: object, shape: object, order: object) -> _Array:
    """Stand in for numpy's _frombuffer, by which arrays are written in protocol 5."""
    array = _Array()
    array.value = _filled(data, kind, shape, order)
    return array


def _encode(text: object, encoding: object = "utf-8") -> bytes:
    """Stand in for _codecs.encode, by which Python 3 writes bytes in old protocols."""
    if not isinstance(text, str) or encoding != "latin1":
        raise DataError("it asks for an encoding other than latin1: it is refused")
    return text.encode("latin1")


def _bytes(content: object = b"") -> bytes:
    """Stand in for bytes and bytearray, by which old protocols write empty and changeable ones."""
    if not isinstance(content, bytes):
        raise DataError("it asks for bytes made from something else than bytes: it is refused")
    return content


def _not_callable(*arguments: object) -> NoReturn:
    raise DataError("it calls numpy.ndarray itself: it is refused")


_NDARRAY = _Call(_not_callable)
_ALLOWED: dict[tuple[str, str], _Call] = {
    ("numpy.core.multiarray", "_reconstruct"): _Call(_empty_array),
    ("numpy._core.multiarray", "_reconstruct"): _Call(_empty_array),
    ("numpy.core.numeric", "_frombuffer"): _Call(_from_buffer),
    ("numpy._core.numeric", "_frombuffer"): _Call(_from_buffer),
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Call(_Type),
    ("_codecs", "encode"): _Call(_encode),
    **{(module, name): _Call(_bytes) for module in ("builtins", "__builtin__") for name in ("bytes", "bytearray")},
}
_NAMES = frozenset(f"{module} {name}" for module, name in _ALLOWED)
_FORBIDDEN = frozenset({"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER"})


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, records: Collection[tuple[str, str]]) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")
        self._known: dict[tuple[str, str], Any] = _ALLOWED | {
            (module, name): type(name, (Record,), {"name": name, "__slots__": ()}) for module, name in records
        }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._known[module, name]
        except KeyError:
            raise DataError(f"it asks for {one_line(f'{module}.{name}')}, which a data file has no need of: it is refused and nothing was run") from None


def loads(data: bytes, origin: str, records: Collection[tuple[str, str]] = ()) -> Any:
    """Return a pickled array, or a dictionary of arrays, numbers, text and lists; keys as written, bytes or text.

    records: modules and names of other classes and functions that may be asked for; each becomes an inert Record, in which arrays are
    what `plain` takes.
    Raises: DataError naming `origin` and what was refused.
    """
    if len(data) > MAX_BYTES:
        raise DataError(f"{origin} has {len(data):,} bytes, more than {MAX_BYTES:,}: it is refused")
    _look_through(data, origin, records)
    try:
        value = _Unpickler(data, records).load()
        return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else plain(value)
    except DataError as error:
        raise DataError(f"{origin}: {error}") from None
    except (pickle.UnpicklingError, ValueError, EOFError, TypeError, AttributeError, KeyError, IndexError, OverflowError, MemoryError, UnicodeError) as error:
        raise DataError(f"{origin} is not a pickle that can be read ({one_line(str(error)) or type(error).__name__}): get it again") from None


def plain(value: Any) -> Any:
    """Return the numpy array that stands in a Record, or any other value as it is; raises AttributeError for an array without content."""
    return value.value if isinstance(value, _Array) else value


def _look_through(data: bytes, origin: str, records: Collection[tuple[str, str]]) -> None:
    """Refuse forbidden opcodes before any is carried out."""
    names = _NAMES | {f"{module} {name}" for module, name in records}
    forbidden = _FORBIDDEN - {"NEWOBJ"} if records else _FORBIDDEN
    try:
        for opcode, argument, _ in pickletools.genops(data):
            name = opcode.name
            if name in forbidden:
                raise DataError(f"{origin}: it uses the pickle opcode {name}, which a data file has no need of: it is refused and nothing was run")
            if name == "GLOBAL" and argument not in names:
                raise DataError(
                    f"{origin}: it asks for {one_line(str(argument).replace(' ', '.'))}, which a data file has no need of: it is refused and nothing was run"
                )
            if name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > _MAX_MEMO:
                raise DataError(f"{origin}: it asks for a memo of {argument:,} entries: it is refused")
    except (ValueError, EOFError, IndexError, OverflowError, UnicodeError, DeprecationWarning) as error:
        raise DataError(f"{origin} is not a whole pickle ({one_line(str(error))}): get it again") from None
