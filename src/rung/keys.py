"""Counter-based random draws: every draw is a pure function of (seed, purpose, epoch, row, index).

Nothing here has a state, so batch size, thread count, rank, resume and evaluation in between change no draw.
The functions take and return signed 64-bit integers whose bits are those of the unsigned arithmetic, because torch has
no full uint64; the same code runs on NumPy arrays and on torch tensors on any device, with equal bits.

Mixing: the SplitMix64 finaliser (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Int64 = TypeVar("Int64", npt.NDArray[np.int64], "torch.Tensor")


def _signed(bits: int) -> int:
    return bits - (1 << 64) if bits >= 1 << 63 else bits


GOLDEN = _signed(0x9E3779B97F4A7C15)
_MULTIPLY_1 = _signed(0xBF58476D1CE4E5B9)
_MULTIPLY_2 = _signed(0x94D049BB133111EB)


def mix(x: Int64) -> Int64:
    """Scramble int64 values (array or tensor, at least one dimension); wraps modulo 2**64, elementwise."""
    x = (x ^ ((x >> 30) & 0x3FFFFFFFF)) * _MULTIPLY_1
    x = (x ^ ((x >> 27) & 0x1FFFFFFFFF)) * _MULTIPLY_2
    return x ^ ((x >> 31) & 0x1FFFFFFFF)


def _mix_integer(x: int) -> int:
    return int(mix(np.array([_signed(x % (1 << 64))], dtype=np.int64))[0])


def stream(seed: int, purpose: str, epoch: int = 0) -> int:
    """Return the int64 key of one purpose in one epoch; `purpose` is any word, equal words give equal streams."""
    word = int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")
    return _mix_integer(_mix_integer(_mix_integer(seed + GOLDEN) ^ word) + epoch * GOLDEN)


def torch_seed(seed: int, purpose: str, epoch: int = 0) -> int:
    """Return a seed in 0..2**63-1 for a library generator (`torch.Generator.manual_seed`), from the same stream."""
    return stream(seed, purpose, epoch) & 0x7FFFFFFFFFFFFFFF


def row_keys(key: int, rows: Int64) -> Int64:
    """Return one int64 key for each row number (N,) of a stream."""
    return mix(rows * GOLDEN + key)


@overload
def uniform(keys: npt.NDArray[np.int64], index: int) -> npt.NDArray[np.float64]: ...
@overload
def uniform(keys: torch.Tensor, index: int) -> torch.Tensor: ...
def uniform(keys: Any, index: int) -> Any:
    """Return draw `index` of each key (any shape) as floats in [0, 1), in steps of 2**-24 (float32 holds each exactly)."""
    bits = (mix(keys + _signed((index + 1) * GOLDEN % (1 << 64))) >> 40) & 0xFFFFFF
    return bits * 2.0**-24


def permutation(seed: int, purpose: str, epoch: int, count: int) -> npt.NDArray[np.int64]:
    """Return a permutation of 0..count-1 (int64) that depends on nothing but its arguments."""
    keys = row_keys(stream(seed, purpose, epoch), np.arange(count, dtype=np.int64))
    return np.argsort(keys, kind="stable")
