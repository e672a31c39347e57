"""The options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA", help="digits, cifar10, cifar100, cifar100:CLASS, a folder of class folders, a table (.csv, .parquet, .pkl), .npz, .npy; or several."
    ),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, its id, or the beginning of its id.")]
RunNames = Annotated[list[str], typer.Argument(metavar="RUN", help="Runs: folders, ids, or the beginnings of ids.")]
Metric = Annotated[str, typer.Option("--metric", metavar="NAME", help="accuracy, balanced_accuracy, macro_f1, loss, or your own metric.")]
Part = Annotated[str, typer.Option("--part", metavar="PART", help="validation, or test once it was opened.")]
Page = Annotated[Path | None, typer.Option("--page", metavar="FILE", help="Write the page here.")]
RecipeName = Annotated[str, typer.Option("--recipe", metavar="NAME|FILE", help="A recipe by name, a recipe.toml, or file.py:function.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one field, such as train.epochs=5. May be repeated.")]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="The seed of every random draw.")]
Root = Annotated[Path, typer.Option("--out", metavar="ROOT", help="The folder of runs.")]
Classes = Annotated[str | None, typer.Option("--classes", metavar="CLASSES", help="Pick, rename or merge classes: 'cat; dog' or 'pet=cat,dog; bird'.")]
Grey = Annotated[bool, typer.Option("--grey", help="Bring every image to grey.")]
Size = Annotated[int | None, typer.Option("--size", metavar="PIXELS", min=1, help="Pixels a side after resizing.")]
Workers = Annotated[int | None, typer.Option("--workers", metavar="N", min=1, help="Trainings at once; if not given, as many as processors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]
CheckpointSeconds = Annotated[float, typer.Option("--checkpoint-seconds", metavar="SECONDS", min=0, help="Seconds between checkpoints; changes no result.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first file that would be left out, and at the first warning of the data.")]
Exact = Annotated[bool, typer.Option("--exact", help="The same bits every time on a GPU too, slower (compute.exact = true).")]


def changed(texts: Iterable[str] | None, strict: bool = False) -> dict[str, Any]:
    """Return the fields that `--set` and `--strict` change; raises RecipeError for a text that is no KEY=VALUE."""
    from rung.recipe import setting

    return dict(setting(text) for text in texts or ()) | ({"data.strict": True} if strict else {})


def one_or_all(sources: list[str]) -> Any:
    """Return a single source by itself, for it may be a run's recipe.toml, and several as they are."""
    return sources[0] if len(sources) == 1 else sources
