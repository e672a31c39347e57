"""Checkpoints of training: tensors and plain state, saved together, verified before use, never pickled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from safetensors import SafetensorError

from rung.errors import RunError
from rung.store import slots
from rung.store.headers import header
from rung.training.environment import environment

_STATE: Final = "state/"  # begins the names of tensors that were found in the state
_TENSOR, _TUPLE, _PAIRS = "$tensor", "$tuple", "$pairs"


@dataclass(frozen=True)
class Checkpoint:
    """What was saved: tensors on the CPU by name, the state, the facts of `environment()` then, and notes on damage met while loading."""

    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]
    environment: dict[str, Any]
    notes: tuple[str, ...] = ()


def save(folder: Path, slot: slots.Slot, tensors: Mapping[str, torch.Tensor], state: dict[str, Any]) -> None:
    """Save tensors (any dtype, shape and device) and state in the slot "last" or "best" of a folder, both or neither.

    state: dicts, lists, tuples, texts, numbers, booleans, None and tensors, nested at will (an optimizer's state_dict() is),
    all of which come back exactly; keys are texts or integers. state["step"], an int, names the file.
    What was "last" becomes "previous". The facts of `environment()` for the tensors' device are stored with it.

    Raises: ResourceError if the disk is full, RunError if the folder cannot be written (earlier checkpoints stay); TypeError
    for other types in the state.
    """
    found: dict[str, torch.Tensor] = {}
    plain = {key: _pack(value, f"{_STATE}{key}", found) for key, value in state.items()}
    both = _apart({**tensors, **found})
    device = next((str(tensor.device) for tensor in (*tensors.values(), *found.values()) if tensor.device.type != "cpu"), "cpu")
    slots.commit(folder, slot, safetensors.torch.save(both), plain, environment(device))


def load(folder: Path, slot: slots.Slot) -> Checkpoint | None:
    """Load a slot after verifying it; for "last" the one before, with notes that name both, if the newest is damaged; None if nothing was saved.

    Raises: RunError if all that could be used is damaged.
    """
    stored = slots.fetch(folder, slot)
    if stored is None:
        return None
    try:
        header(stored.data)
        tensors = safetensors.torch.load(stored.data)
    except (ValueError, SafetensorError) as error:
        raise RunError(f"the checkpoint '{slot}' in {folder} is no safetensors file: {error}") from error
    state = {key: _unpack(value, tensors) for key, value in stored.state.items()}
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith(_STATE)}
    return Checkpoint(own, state, stored.environment, stored.notes)


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


def _pack(value: Any, name: str, found: dict[str, torch.Tensor]) -> Any:
    """Return the value as JSON can hold it: tensors are moved to `found`, tuples and dicts with other keys than texts are marked."""
    if isinstance(value, torch.Tensor):
        while name in found:  # the keys 1 and "1", or "a/b" and "b" below "a"
            name += "+"
        found[name] = value
        return {_TENSOR: name}
    if isinstance(value, dict):
        entries = [[key, _pack(entry, f"{name}/{key}", found)] for key, entry in value.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: entry for key, entry in entries}
        return {_PAIRS: entries}
    if isinstance(value, list | tuple):
        packed = [_pack(entry, f"{name}/{number}", found) for number, entry in enumerate(value)]
        return packed if isinstance(value, list) else {_TUPLE: packed}
    return value


def _unpack(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(entry, tensors) for entry in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_TENSOR}:
        return tensors[value[_TENSOR]]
    if value.keys() == {_TUPLE}:
        return tuple(_unpack(entry, tensors) for entry in value[_TUPLE])
    if value.keys() == {_PAIRS}:
        return {key: _unpack(entry, tensors) for key, entry in value[_PAIRS]}
    return {key: _unpack(entry, tensors) for key, entry in value.items()}
