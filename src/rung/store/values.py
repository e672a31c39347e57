"""Plain values as JSON that comes back exactly: floats by their shortest exact text, NaN and infinities by name."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any, Final

_NUMBER: Final = "$float"
_NAMES: Final = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def dumps(value: Any, indent: int | None = None) -> str:
    """Return valid JSON of dicts with text keys, lists, tuples, texts, numbers, booleans and None; keys stay in their order.

    A float that is not finite becomes {"$float": "nan"}, because JSON has no word for it. Tuples become lists.

    Raises: TypeError for any other type, and for keys that are not text.
    """
    return json.dumps(_encode(value), indent=indent, ensure_ascii=False, allow_nan=False)


def loads(text: str | bytes) -> Any:
    """Return the value of `dumps`; raises ValueError (json.JSONDecodeError is one) if it is not JSON or nested too deeply."""
    try:
        return json.loads(text, object_pairs_hook=_decode)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def now() -> str:
    """Return the time as files hold it: UTC, to the second, "2026-11-20T10:15:00Z"."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_bytes(text: str) -> bytes:
    """Return UTF-8; half characters (file names that are not UTF-8 hold them) become the JSON escape that reads back to them."""
    return text.encode("utf-8", "backslashreplace")


def _encode(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {_NUMBER: repr(float(value))}
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} is not text, so it would not come back from JSON as it is")
        return {key: _encode(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(entry) for entry in value]
    return value


def _decode(pairs: list[tuple[str, Any]]) -> Any:
    if len(pairs) == 1 and pairs[0][0] == _NUMBER and pairs[0][1] in _NAMES:
        return _NAMES[pairs[0][1]]
    return dict(pairs)
