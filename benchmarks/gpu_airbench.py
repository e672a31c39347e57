"""Trainings of airbench94_muon in one process, as `benchmarks.gpu` asks for them. It runs the author's file as it is, and needs what that needs.

    python benchmarks/gpu_airbench.py airbench94_muon.py FOLDER

FOLDER holds cifar10/train.pt and cifar10/test.pt. The file (K. Jordan, https://github.com/KellerJordan/cifar10-airbench) is a script: its network is made,
compiled and warmed up as its last lines do. Then each line that is read is one training; accuracy in percent and the seconds of its own clock are
printed, as JSON.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch


def load(path: Path) -> ModuleType:
    """Import the script; it reads its own text by the name it was called with."""
    spec = importlib.util.spec_from_file_location("airbench", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise SystemExit(f"{path} is no Python file: give the path of airbench94_muon.py")
    sys.argv[0] = str(path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name in ("CifarNet", "main"):
        if not hasattr(script, name):
            raise SystemExit(f"{path} has no {name}: give the path of airbench94_muon.py")
    return script


def network(script: ModuleType) -> torch.nn.Module:
    """Return its network, compiled where there is a GPU."""
    model: torch.nn.Module = script.CifarNet()
    if torch.cuda.is_available():
        model = model.cuda().to(memory_format=torch.channels_last)
        model.compile(mode="max-autotune")
    return model


def run(script: ModuleType, model: torch.nn.Module, name: str) -> dict[str, float]:
    """Train once; the seconds stand in the last column of the row `eval` that the script prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        accuracy = script.main(name, model)
    return {"accuracy": 100 * accuracy, "seconds": seconds(said.getvalue())}


def seconds(said: str) -> float:
    """Return the seconds that a training printed.

    Raises: SystemExit if there is no such row.
    """
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in said.splitlines()]
    found = [row[-1] for row in rows if "eval" in row]
    if not found:
        raise SystemExit("the script printed no row `eval`, whose last column are its seconds: give the path of airbench94_muon.py")
    return float(found[-1])


def facts() -> dict[str, Any]:
    """Return what the figures depend on."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "processor"
    return {"device": name, "precision": "float16", "torch": torch.__version__}


def main() -> None:
    script = load(Path(sys.argv[1]).resolve())
    os.chdir(sys.argv[2])
    model = network(script)
    run(script, model, "warmup")
    print(json.dumps(facts()), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(script, model, line.strip())), flush=True)


if __name__ == "__main__":
    main()
