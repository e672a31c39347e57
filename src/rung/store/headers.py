"""The header of a safetensors file, checked before anything in the file is believed."""

from __future__ import annotations

import json
from typing import Any, Final

_LARGEST: Final = 16 << 20  # bytes; a stranger's file can claim any size


def header(content: bytes) -> dict[str, Any]:
    """Return the header of a safetensors file: {name: {"dtype", "shape", "data_offsets"}}, and texts under "__metadata__".

    Raises: ValueError if it is longer than 16 MB or than the file, is damaged, or its tensors do not fill the rest of the file.
    """
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > min(_LARGEST, len(content) - 8):
        raise ValueError(f"a header of {size:,} bytes in {len(content):,} (at most {_LARGEST:,} are read)")
    try:
        found: dict[str, Any] = json.loads(content[8 : 8 + size])
        end = max((int(entry["data_offsets"][1]) for name, entry in found.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"its header is damaged ({type(error).__name__})") from error
    if end != len(content) - 8 - size:
        raise ValueError(f"its tensors end at byte {end:,} of {len(content) - 8 - size:,}")
    return found
