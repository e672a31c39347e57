"""What a user brings to one training, objects, cost table and start weights: gathered from recipe and Python, kept with the run, named where it fails."""

from __future__ import annotations

import contextlib
import copy
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rung import own
from rung.errors import RecipeError, RunError, RungError
from rung.evaluate.costs import CostFile, read_costs
from rung.own import Own
from rung.pipeline import starting
from rung.pipeline.starting import Start
from rung.recipe import OwnNetwork, Recipe
from rung.store.run import DEFAULT_ROOT

_CALL = nn.Module.__call__.__code__
_TAKEN = ("loss", "accuracy", "objective")  # validation_<name> of these is what the loop itself measures


@dataclass(frozen=True)
class OwnParts:
    """What the user brings; empty where rung's own parts are used. costs: the file of the cost table. start: the weights that the network begins from."""

    network: Own | None = None
    loss: Own | None = None
    metrics: tuple[Own, ...] = ()
    augmentations: tuple[Own, ...] = ()
    callbacks: tuple[Own, ...] = ()
    costs: CostFile | None = None
    start: Start | None = None

    def all(self) -> list[tuple[str, Own]]:
        """Return every object there is, with what it is."""
        several = (("metric", self.metrics), ("augmentation", self.augmentations), ("callback", self.callbacks))
        single = [(word, part) for word, part in (("network", self.network), ("loss", self.loss)) if part is not None]
        return [*single, *((word, part) for word, parts in several for part in parts)]

    def network_factory(self) -> Callable[..., nn.Module] | None:
        """Return what makes the network; a network passed as made is copied, so that its owner's stays as it is.

        Raises: RunError if it could not be read back.
        """
        if self.network is None:
            return None
        check_read((self.network,))
        made = self.network.call
        return (lambda: copy.deepcopy(made)) if isinstance(made, nn.Module) else made


def gather(
    recipe: Recipe,
    base: Path | None,
    *,
    network: Any = None,
    loss: Any = None,
    metrics: Sequence[Any] = (),
    augmentations: Sequence[Any] = (),
    callbacks: Sequence[Any] = (),
    root: Path = DEFAULT_ROOT,
) -> tuple[Recipe, OwnParts]:
    """Load what the recipe names as file.py:name, add what was passed in Python, and return both with the recipe naming all.

    base: the folder of the recipe, in which files are looked for before the working folder. root: the folder of runs, for network.start.

    Raises: RecipeError where a file, a name or a run is not there, or a metric's name is taken; DataError if the cost table cannot be read.
    """
    train, augment = recipe.train, recipe.augment
    parts = OwnParts(
        network=own.wrap(network) if network is not None else own.load(recipe.network.source, base) if isinstance(recipe.network, OwnNetwork) else None,
        loss=own.wrap(loss) if loss is not None else own.load(train.loss, base) if own.is_own(train.loss) else None,
        metrics=(*(own.load(spec, base) for spec in train.metrics), *map(own.wrap, metrics)),
        augmentations=(*(own.load(spec, base) for spec in augment.own), *map(own.wrap, augmentations)),
        callbacks=(*(own.load(spec, base) for spec in train.callbacks), *map(own.wrap, callbacks)),
        costs=read_costs(own.find(recipe.costs, base, f"costs = '{recipe.costs}'")) if recipe.costs else None,
        start=starting.find(recipe.network.start, base, root) if recipe.network.start else None,
    )
    names = [metric.name for metric in parts.metrics]
    for name in names:
        if name in _TAKEN or names.count(name) > 1:
            raise RecipeError(f"a metric of yours is called '{name}', which is taken ({', '.join(_TAKEN)}, or another of yours): give it another name")
    return _named(recipe, parts), parts


def _named(recipe: Recipe, parts: OwnParts) -> Recipe:
    names = {"metrics": parts.metrics, "callbacks": parts.callbacks}
    train = recipe.train.model_copy(update={key: tuple(part.origin for part in value) for key, value in names.items()})
    if parts.loss:
        train = train.model_copy(update={"loss": parts.loss.origin})
    return recipe.model_copy(
        update={
            "train": train,
            "augment": recipe.augment.model_copy(update={"own": tuple(part.origin for part in parts.augmentations)}),
            "network": OwnNetwork(source=parts.network.origin, start=recipe.network.start) if parts.network else recipe.network,
        }
    )


def kept_with_run(recipe: Recipe, parts: OwnParts) -> tuple[Recipe, dict[str, str]]:
    """Return the recipe as the run stores it, and the files to write beside it: {"source/mine.py": text}.

    The stored recipe names the stored copies, so that the run can be done again when the originals have moved.
    """
    places, files = _places(parts)

    def kept(part: Own) -> Own:
        return replace(part, origin=f"{places[id(part)]}:{part.name}")

    stored = OwnParts(
        network=kept(parts.network) if parts.network else None,
        loss=kept(parts.loss) if parts.loss else None,
        metrics=tuple(map(kept, parts.metrics)),
        augmentations=tuple(map(kept, parts.augmentations)),
        callbacks=tuple(map(kept, parts.callbacks)),
    )
    if parts.costs:
        path = f"source/{parts.costs.path.name}"
        files[path] = parts.costs.text
        recipe = recipe.model_copy(update={"costs": path})
    if parts.start:
        recipe = recipe.model_copy(update={"network": recipe.network.model_copy(update={"start": parts.start.place})})
    return _named(recipe, stored), files


def _places(parts: OwnParts) -> tuple[dict[int, str], dict[str, str]]:
    """Return the path of the copy of each object, by its id, and the text at each path; equal texts of one file's name are one copy."""
    places: dict[int, str] = {}
    files: dict[str, str] = {}
    for _, part in parts.all():
        stem, number = Path(part.origin.rpartition(":")[0]).stem, 0
        while files.get(path := f"source/{stem}{f'_{number}' if number else ''}.py", part.source) != part.source:
            number += 1
        places[id(part)], files[path] = path, part.source
    return places, files


def check_read(parts: Iterable[Own]) -> None:
    """Check that the objects are the user's own, and not what stands for one that no file could give back.

    Raises: RunError naming the first that is not.
    """
    for part in parts:
        if part.lost:
            raise RunError(part.lost)


@contextlib.contextmanager
def explained(parts: OwnParts, run: Path | None = None, verb: str = "resume") -> Iterator[None]:
    """Turn what the user's own code raises into an error that names the part, the line, and what to do; other errors go on as they are.

    run: the folder of the run, if there is one yet; verb: the command that goes on with it when the code is mended.

    Raises: RunError.
    """
    try:
        yield
    except RecipeError as error:  # once there is a run, its settings have been checked: what is wrong is what own code returned
        if run is None:
            raise
        raise RunError(f"{error}. Mend it below {run / 'source'}, the copies that the run reads, then: rung {verb} {run}") from error
    except RungError:
        raise
    except Exception as error:
        who, part = _at_fault(error, parts)
        if part is None:
            raise
        text = str(error).strip().partition("\n")[0].rstrip(".")
        said = f"{who} raised {type(error).__name__}{': ' if text else ''}{text}{own.line(error)}"
        raise RunError(f"{said}. {_onward(part, parts, run, verb)}") from error


def _at_fault(error: Exception, parts: OwnParts) -> tuple[str, Own | None]:
    """Return whose call the error came out of, in words, and the object; (.., None) if it was none of the user's."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if code is Own.__call__.__code__:
            part = frame.f_locals["self"]
            return f"your {next((word for word, known in parts.all() if known is part), 'code')} '{part.name}'", part
        if code is _CALL and parts.network:
            return f"your network '{parts.network.name}'", parts.network
        if code is torch.Tensor.backward.__code__ and (parts.network or parts.loss):
            through = [f"your {word} '{part.name}'" for word, part in parts.all() if part in (parts.network, parts.loss)]
            return f"the backward pass through {' and '.join(through)}", parts.loss or parts.network
    return "", None


def _onward(part: Own, parts: OwnParts, run: Path | None, verb: str) -> str:
    if run is None:
        return "Mend it, then try again"
    if own.is_lost(part.source):
        return "Mend it, then train again"
    return f"Mend it in {run / _places(parts)[0][id(part)]}, the copy that the run reads, then: rung {verb} {run}"
