"""A pandas table as its pickle describes it, by pandas 0.20 to 3: read without pandas, for nothing of it needs to run.

The layout of blocks and axes is that of pandas/core/internals/managers.py and pandas/_libs/internals.pyx, that of text columns
pandas/core/arrays/string_arrow.py and the Arrow columnar format (https://arrow.apache.org/docs/format/Columnar.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.data.formats import pickles
from rung.data.formats.pickles import Record, plain
from rung.errors import DataError

Array = npt.NDArray[Any]

# Where pandas kept each name over the years; a pickle names the place of the pandas that wrote it.
_PLACES = {
    "DataFrame": ("pandas", "pandas.core.frame"),
    "BlockManager": ("pandas.core.internals.managers", "pandas.core.internals"),
    "_unpickle_block": ("pandas._libs.internals",),
    "new_block": ("pandas.core.internals.blocks",),
    "partial": ("functools",),
    "slice": ("builtins", "__builtin__"),
    "_new_Index": ("pandas.core.indexes.base", "pandas.indexes.base"),
    "Index": ("pandas", "pandas.core.indexes.base", "pandas.indexes.base"),
    "RangeIndex": ("pandas", "pandas.core.indexes.range", "pandas.indexes.range"),
    "Int64Index": ("pandas.core.indexes.numeric", "pandas.indexes.numeric"),
    "__pyx_unpickle_NDArrayBacked": ("pandas._libs.arrays",),
    "Categorical": ("pandas", "pandas.core.arrays.categorical", "pandas.core.categorical"),
    "CategoricalDtype": ("pandas", "pandas.core.dtypes.dtypes"),
    "StringArray": ("pandas.arrays", "pandas.core.arrays.string_"),
    "StringDtype": ("pandas", "pandas.core.arrays.string_"),
    "ArrowStringArray": ("pandas.arrays", "pandas.core.arrays.string_arrow"),
    "_restore_array": ("pyarrow.lib",),
    "chunked_array": ("pyarrow.lib",),
    "type_for_alias": ("pyarrow.lib",),
    "py_buffer": ("pyarrow.lib",),
}
_MOST = 2**24  # columns, or texts in one piece of a column
_RECORDS = frozenset((module, name) for name, modules in _PLACES.items() for module in modules)


def columns(data: bytes, origin: str) -> dict[str, Array]:
    """Return the columns of a pickled DataFrame, each (N,), of numbers or of Python texts (dtype object); names are text.

    Raises: DataError naming `origin` for all that is no such table.
    """
    value = pickles.loads(data, origin, _RECORDS)
    if not isinstance(value, Record) or value.name != "DataFrame":
        kind = value.name if isinstance(value, Record) else type(value).__name__
        raise DataError(f"{origin} holds {kind}, not a pandas DataFrame: save the table itself, with its to_pickle")
    try:
        state = _mapping(value.state)
        return _table(state["_mgr"] if "_mgr" in state else state["_data"])
    except DataError as error:
        raise DataError(f"{origin}: {error}") from None
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, UnicodeError) as error:
        raise DataError(f"{origin} is no pandas table that is known ({type(error).__name__}: {error}): save it as parquet or .csv") from None


def _table(manager: Any) -> dict[str, Array]:
    _expect(manager, "BlockManager")
    if manager.arguments:
        blocks, axes = manager.arguments
        pairs = [_block(block) for block in blocks]
    else:  # pandas before 1.3
        state = _mapping(manager.state[3]["0.14.1"])
        axes = state["axes"]
        pairs = [(block["values"], block["mgr_locs"]) for block in state["blocks"]]
    names = [str(name) for name in _index(axes[0])]
    held: list[Array | None] = [None] * len(names)
    for values, places in pairs:
        rows = _values(values)
        positions = _positions(places, len(names))
        if len(rows) != len(positions):
            raise DataError(f"a block of {len(rows)} columns is said to be {len(positions)}")
        for position, row in zip(positions, rows, strict=True):
            held[position] = row
    found = [column for column in held if column is not None]
    if len(found) != len(names) or len({len(column) for column in found}) != 1:
        raise DataError("its columns are not all there, or not of one length")
    if len(set(names)) < len(names):
        raise DataError(f"two of its columns have the name '{next(n for n in names if names.count(n) > 1)}'")
    return dict(zip(names, found, strict=True))


def _expect(value: Any, *names: str) -> Record:
    if not isinstance(value, Record) or value.name not in names:
        found = value.name if isinstance(value, Record) else type(value).__name__
        raise DataError(f"it holds {found or 'a call'} where {' or '.join(names)} should be")
    return value


def _mapping(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise DataError(f"it holds {type(value).__name__} where a dictionary should be")
    return value


def _block(block: Any) -> tuple[Any, Any]:
    """Return values and places of a block: _unpickle_block(values, places, ndim), in pandas 1.3 partial(new_block, ndim=2)(values, places)."""
    if isinstance(block, Record) and block.name == "_unpickle_block":
        values, places, _ = block.arguments
        return values, places
    if isinstance(block, Record) and not block.name:
        _expect(block.arguments[0], "partial")
        _, values, places = block.arguments
        return values, places
    raise DataError("it holds a block of a kind that is not known")


def _positions(places: Any, count: int) -> list[int]:
    if isinstance(places, Record):
        start, stop, step = (_whole(n) for n in _expect(places, "slice").arguments)
        if not 0 < step <= count or not 0 <= start <= stop <= count:
            raise DataError("a block lies outside of the table")
        return list(range(start, stop, step))
    found = [_whole(n) for n in np.asarray(plain(places)).tolist()]
    if any(not 0 <= n < count for n in found):
        raise DataError("a block lies outside of the table")
    return found


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise DataError(f"it holds {type(value).__name__} where a whole number should be")
    return value


def _values(values: Any) -> Array:
    """Return the columns of a block, (columns,N)."""
    array = _extension(values) if isinstance(values, Record) else np.asarray(plain(values))
    return array[None] if array.ndim == 1 else array


def _extension(values: Record) -> Array:
    """Return text or categories as texts, dtype object (N,)."""
    if values.name == "ArrowStringArray":
        state = _mapping(values.state)
        return np.array(list(_arrow_texts(state["_pa_array"] if "_pa_array" in state else state["_data"])), dtype=object)
    if values.name == "Categorical":  # pandas before 1.3
        state = _mapping(values.state)
        return _categories(state["_dtype"], state["_codes"])
    if values.name == "__pyx_unpickle_NDArrayBacked":
        kind = values.arguments[0]
        if isinstance(kind, type) and issubclass(kind, Record) and kind.name in ("Categorical", "StringArray"):
            dtype, content = values.state[0], values.state[1]
            return _categories(dtype, content) if kind.name == "Categorical" else np.asarray(plain(content))
    raise DataError(f"a column is a {values.name or 'call'}, which is not read: save it as numbers or text")


def _categories(dtype: Any, codes: Any) -> Array:
    names = np.array(_index(_mapping(_expect(dtype, "CategoricalDtype").state)["categories"]), dtype=object)
    positions = np.asarray(plain(codes)).astype(np.int64)
    if positions.ndim != 1 or (len(positions) and not (positions.min() >= -1 and positions.max() < len(names))):
        raise DataError("a categorical column has codes that stand for nothing")
    return np.concatenate([names, np.array([None], dtype=object)])[positions]  # -1 stands for no value


def _index(index: Any) -> list[Any]:
    """Return the names of an axis."""
    kind, state = _expect(index, "_new_Index").arguments
    if not isinstance(kind, type) or not issubclass(kind, Record):
        raise DataError("an index is of a kind that is not known")
    held = _mapping(state)
    if kind.name == "RangeIndex":
        return list(range(*(_limited(held[key]) for key in ("start", "stop", "step"))))
    if kind.name not in ("Index", "Int64Index"):
        raise DataError(f"an index is a {kind.name}: only names and numbers are read")
    values = _values(held["data"])
    return list(values[0].tolist())


def _limited(value: Any) -> int:
    if abs(_whole(value)) > _MOST:
        raise DataError(f"an index counts to {value:,}")
    return int(value)


def _arrow_texts(value: Any) -> Iterator[str | None]:
    """Yield the texts of a pyarrow array of the type string or large_string."""
    array = _expect(value, "_restore_array", "chunked_array")
    if array.name == "chunked_array":
        for chunk in array.arguments[0]:
            yield from _arrow_texts(chunk)
        return
    ((kind, count, _, offset, buffers, _, _),) = array.arguments
    name = _expect(kind, "type_for_alias").arguments[0]
    if name not in ("string", "large_string"):
        raise DataError(f"a column of text is of the Arrow type {name}")
    present, ends, text = (None if b is None else memoryview(_expect(b, "py_buffer").arguments[0]) for b in buffers)
    count, offset = _limited(count), _limited(offset)
    places = np.frombuffer(ends if ends is not None else b"", "<i8" if name == "large_string" else "<i4")[offset : offset + count + 1].tolist()
    if count < 0 or offset < 0 or (count and len(places) != count + 1):
        raise DataError("a column of text does not fit its bytes")
    for k, (start, stop) in enumerate(pairwise(places), offset):
        if present is not None and not present[k // 8] >> k % 8 & 1:
            yield None
        else:
            if not 0 <= start <= stop <= len(text or b""):
                raise DataError("a column of text does not fit its bytes")
            yield bytes((text or b"")[start:stop]).decode()
