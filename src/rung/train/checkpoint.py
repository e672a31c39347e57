"""Checkpoints of training: tensors and plain state, saved together, verified before use, never pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from safetensors import SafetensorError

from rung.errors import RunError
from rung.store import slots
from rung.train.environment import environment

_HEADER_LIMIT: Final = 16 << 20  # bytes


@dataclass(frozen=True)
class Checkpoint:
    """What was saved: tensors on the CPU by name, the state, the facts of `environment()` then, and notes on damage met while loading."""

    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]
    environment: dict[str, Any]
    notes: tuple[str, ...] = ()


def save(folder: Path, slot: slots.Slot, tensors: Mapping[str, torch.Tensor], state: dict[str, Any]) -> None:
    """Save tensors (any dtype, shape and device) and state in the slot "last" or "best" of a folder, both or neither.

    state: JSON values with text keys; state["step"], an int, names the file; numbers come back exactly, tuples as lists.
    What was "last" becomes "previous". The facts of `environment()` for the tensors' device are stored with it.

    Raises: ResourceError if the disk is full, RunError if the folder cannot be written; earlier checkpoints stay.
    """
    device = next((str(tensor.device) for tensor in tensors.values() if tensor.device.type != "cpu"), "cpu")
    slots.commit(folder, slot, safetensors.torch.save(_apart(tensors)), state, environment(device))


def load(folder: Path, slot: slots.Slot) -> Checkpoint | None:
    """Load a slot after verifying it; for "last" the one before, with notes that name both, if the newest is damaged; None if nothing was saved.

    Raises: RunError if all that could be used is damaged.
    """
    stored = slots.fetch(folder, slot)
    if stored is None:
        return None
    check_header(stored.data, folder)
    try:
        tensors = safetensors.torch.load(stored.data)
    except SafetensorError as error:
        raise RunError(f"the checkpoint '{slot}' in {folder} is no safetensors file: {error}") from error
    return Checkpoint(tensors, stored.state, stored.environment, stored.notes)


def check_header(data: bytes, origin: Path) -> None:
    """Check the header of a safetensors file before it is parsed: its length, and that its tensors fill the rest; raises RunError."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(_HEADER_LIMIT, len(data) - 8):
        raise RunError(f"{origin} holds no safetensors file: a header of {size:,} bytes in {len(data):,} (at most {_HEADER_LIMIT:,} are read)")
    try:
        header = json.loads(data[8 : 8 + size])
        end = max((int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise RunError(f"{origin} holds no safetensors file: its header is damaged ({type(error).__name__})") from error
    if end != len(data) - 8 - size:
        raise RunError(f"{origin} holds a damaged safetensors file: its tensors end at byte {end:,} of {len(data) - 8 - size:,}")


def _apart(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors on the CPU, contiguous, no two in one storage (tied weights are written twice), sorted by name."""
    seen: set[int] = set()
    apart: dict[str, torch.Tensor] = {}
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        apart[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return apart
