"""Out of memory, caught in one place and said in numbers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import torch

from rung.errors import ResourceError
from rung.recipe import Recipe

# The last is what oneDNN says, which torch computes with on the processor, when it finds no room for its code or its scratch.
_SAID = re.compile(
    r"not enough memory|can't allocate memory|out of memory|bad_alloc|CUBLAS_STATUS_ALLOC_FAILED|could not (create|execute) a (primitive|memory)(?! desc)",
    re.IGNORECASE,
)


@contextlib.contextmanager
def explained(doing: str, smaller: str, device: str = "cpu") -> Iterator[None]:
    """Turn any way in which memory runs out while `doing` something into one error; `smaller`: what to try instead.

    Raises: ResourceError with what was asked for, what this process holds and what is free.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ResourceError(f"out of memory while {doing} ({_numbers(error, torch.device(device))}); {smaller}") from error


def in_steps(recipe: Recipe) -> contextlib.AbstractContextManager[None]:
    """Return `explained` for a training's steps, with half the batch to try, in a new run: another batch is another training."""
    size = recipe.train.batch_size
    smaller = f"a smaller batch needs less: --set train.batch_size={size // 2} or below" if size > 1 else "the batch is one image already"
    shrink = "smaller images (--set pixels.size=..) or a smaller network need less as well"
    return explained(f"training in steps of {size:,} images", f"{smaller}; {shrink}; what was saved before is kept", recipe.compute.device)


def in_evaluation(images: int, limit: int, device: str) -> contextlib.AbstractContextManager[None]:
    """Return `explained` for answering images in evaluation mode, so many at once; limit: train.evaluation_batch_size, which decides that."""
    fewer = f"fewer at once need less: --set train.evaluation_batch_size={limit // 2} or below" if images > 1 else "that is one image already"
    shrink = "smaller images (--set pixels.size=..) or a smaller network need less as well, in a new run"
    return explained(f"answering images, {images:,} at once", f"{fewer}; {shrink}; what was saved before is kept", device)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out: Python's, numpy's and CUDA's have a type, that of torch on the processor only words."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or _SAID.search(str(error)) is not None


def _numbers(error: Exception, device: torch.device) -> str:
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device)
        where = f"{device} has {total:,} bytes, of which this process holds {held:,} and {free:,} are free"
    else:
        where = f"this process holds {_kilobytes('/proc/self/status', 'VmRSS'):,} bytes, {_kilobytes('/proc/meminfo', 'MemAvailable'):,} are free"
    asked = re.search(r"you tried to allocate (\d+) bytes|[Tt]ried to allocate ([\d.]+ \wiB)|Unable to allocate ([\d.]+ \wiB)", str(error))
    if asked is None:
        said = str(error).partition("\n")[0]
        return f"{said}; {where}" if said else where
    return f"{f'{int(asked[1]):,} bytes' if asked[1] else asked[2] or asked[3]} more were asked for; {where}"


def _kilobytes(file: str, name: str) -> int:
    """Return a number of a file of /proc in bytes, or 0 where there is none."""
    try:
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(file).read_text(), re.MULTILINE)
    except OSError:  # not Linux
        return 0
    return 1024 * int(found[1]) if found else 0
