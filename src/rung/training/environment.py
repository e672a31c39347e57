"""What bit-exact results depend on besides the recipe and the data: stored with each checkpoint, compared at resume."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

WORDS: Final = {
    "rung": "the version of rung",
    "torch": "the version of torch",
    "numpy": "the version of numpy",
    "python": "the version of Python",
    "system": "the operating system",
    "machine": "the kind of machine",
    "processor": "the processor",
    "capability": "the vector instructions that torch uses",
    "threads": "the number of threads",
    "onednn": "whether torch uses oneDNN",
    "device": "the device",
    "device_name": "the name of the GPU",
    "cuda": "the version of CUDA",
    "cudnn": "the version of cuDNN",
    "deterministic": "whether torch is held to deterministic algorithms",
    "matmul_precision": "the precision of float32 products",
    "cublas_workspace": "CUBLAS_WORKSPACE_CONFIG",
    "cudnn_benchmark": "whether cuDNN chooses algorithms by the clock",
    "cudnn_tf32": "whether cuDNN may compute in TF32",
    "cpu_settings": "the settings of oneDNN, MKL and torch for the processor",
    "world_size": "the number of processes that train together",
}


# Variables that choose among kernels with other roundings.
_CPU_SETTINGS: Final = (
    "ATEN_CPU_CAPABILITY", "DNNL_DEFAULT_FPMATH_MODE", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE",
)  # fmt: skip


def environment(device: str = "cpu") -> dict[str, Any]:
    """Return the facts (texts, numbers, booleans, None) that results on `device` ("cpu", "cuda", "cuda:1") depend on to the bit."""
    import numpy
    import torch

    on_gpu = device.startswith("cuda")
    return {
        "rung": _own_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "onednn": bool(torch.backends.mkldnn.enabled),
        "device": device.partition(":")[0],
        "device_name": torch.cuda.get_device_name(device) if on_gpu else None,
        "cuda": torch.version.cuda if on_gpu else None,
        "cudnn": torch.backends.cudnn.version() if on_gpu else None,  # type: ignore[no-untyped-call]
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG") if on_gpu else None,
        "cudnn_benchmark": torch.backends.cudnn.benchmark if on_gpu else None,
        "cudnn_tf32": torch.backends.cudnn.allow_tf32 if on_gpu else None,
        "cpu_settings": " ".join(f"{name}={os.environ[name]}" for name in _CPU_SETTINGS if name in os.environ) or None,
        "world_size": torch.distributed.get_world_size() if torch.distributed.is_available() and torch.distributed.is_initialized() else 1,
    }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return for each fact that differs the words that follow "resume is not bit-exact because"; none: the bits will be equal."""
    names = [*WORDS, *sorted((old.keys() | new.keys()) - WORDS.keys())]
    return [f"{WORDS.get(name, name)} was {_show(old, name)} and is {_show(new, name)}" for name in names if _differs(old, new, name)]


def _differs(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> bool:
    return old.get(name) != new.get(name)  # a fact that was not recorded then, and is none now, is no difference


def _show(facts: Mapping[str, Any], name: str) -> str:
    if name not in facts:
        return "not recorded"
    return "none" if facts[name] is None else str(facts[name])


@functools.cache
def _own_version() -> str:
    from importlib.metadata import version

    return version("rung")


@functools.cache
def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()
