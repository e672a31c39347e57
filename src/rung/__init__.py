"""rung: from labelled images to a classifier one can trust, fast.

    import rung
    run = rung.train("photos/", "model_s", settings={"train.epochs": 20})
    print(run.read_scores()["validation"]["accuracy"], run.report)

The functions are those of `rung.workbench`; they are loaded when first used, so that `import rung` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rung.data.imageset import ImageSet
    from rung.data.load import from_arrays
    from rung.errors import DataError, RecipeError, ResourceError, RunError, RungError, VerificationError
    from rung.estimator import ImageClassifier
    from rung.notebooks import notebook
    from rung.racing import bench
    from rung.recipe import CNN, MLP, Augment, Compute, Data, Pixels, Recipe, Split, Train
    from rung.replays import replay
    from rung.replays.known import systems
    from rung.store.run import Run
    from rung.studies import compare, ensemble, ladder, noise, robust, search
    from rung.workbench import cache, check, describe, findings, load, load_recipe, new, predict, preflight, report, resume, runs, test, train, verify_ledger

__version__ = "0.1.0"

_HOMES = {
    "rung.data.imageset": ("ImageSet",),
    "rung.data.load": ("from_arrays",),
    "rung.errors": ("DataError", "RecipeError", "ResourceError", "RunError", "RungError", "VerificationError"),
    "rung.estimator": ("ImageClassifier",),
    "rung.notebooks": ("notebook",),
    "rung.racing": ("bench",),
    "rung.recipe": ("CNN", "MLP", "Augment", "Compute", "Data", "Pixels", "Recipe", "Split", "Train"),
    "rung.replays": ("replay",),
    "rung.replays.known": ("systems",),
    "rung.store.run": ("Run",),
    "rung.studies": ("compare", "ensemble", "ladder", "noise", "robust", "search"),
    "rung.workbench": (
        "cache",
        "check",
        "describe",
        "findings",
        "load",
        "load_recipe",
        "new",
        "predict",
        "preflight",
        "report",
        "resume",
        "runs",
        "test",
        "train",
        "verify_ledger",
    ),
}
__all__ = [
    "CNN", "MLP", "Augment", "Compute", "Data", "DataError", "ImageClassifier", "ImageSet", "Pixels", "Recipe", "RecipeError", "ResourceError", "Run",
    "RunError", "RungError", "Split", "Train", "VerificationError", "bench", "cache", "check", "compare", "describe", "ensemble", "findings",
    "from_arrays", "ladder", "load", "load_recipe", "new", "noise", "notebook", "predict", "preflight", "replay", "report", "resume", "robust",
    "runs", "search", "systems", "test", "train", "verify_ledger",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    import importlib

    for module, names in _HOMES.items():
        if name in names:
            value = getattr(importlib.import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'rung' has no attribute '{name}'")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
