"""Several finished runs as one run folder: the mean of their probabilities, or of their weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from safetensors.torch import save as save_tensors
from torch import nn

from rung import keys
from rung.errors import RunError
from rung.evaluate import ensemble as ensembles
from rung.evaluate import predictions as answers
from rung.evaluate.ensemble import Averaged, Member, Members
from rung.evaluate.predictions import Predictions
from rung.models.build import parameter_counts
from rung.own import Own
from rung.pipeline import execute, pictures, reporting
from rung.pipeline.execute import Scoring
from rung.pipeline.own_parts import OwnParts
from rung.pipeline.predicting import trained_network
from rung.pipeline.prepare import Prepared, with_train
from rung.recipe import Augment, OwnNetwork, Recipe, Train, flat
from rung.store import atomic
from rung.store.run import Run
from rung.study import alike
from rung.study.entry import Entry
from rung.training.process import computing
from rung.training.settle import settle_norms

_PARTS = ("train", "validation")


def check(entries: Sequence[Entry], averaged: Averaged) -> None:
    """Check that runs may be averaged so: the same classes, rows in all parts and preprocessing; for weights the same network too.

    Raises: RunError naming each field that differs and both values.
    """
    inner = [entry.id for entry in entries if ensembles.load(entry.run.folder) is not None]
    if inner:
        raise RunError(f"{inner[0]} is an ensemble itself: name the runs that it is made of")
    found = [one.sentence for one in alike.differing(entries, (*_PARTS, "test"))]
    if found:
        raise RunError(f"these runs cannot be averaged: {'; '.join(found)}. An ensemble is of runs on the same rows (--set split.seed=0 keeps them)")
    if averaged == "weights" and (found := _other_networks(entries)):
        raise RunError(f"the weights of these runs cannot be averaged: {'; '.join(found)}. Average their probabilities: leave --weights out")


def _other_networks(entries: Sequence[Entry]) -> list[str]:
    """Return in which fields of their networks, and of what these see, runs differ from the first."""
    first = entries[0]
    said: dict[str, str] = {}
    for other in entries[1:]:
        a, b = (_network_fields(entry.recipe) for entry in (first, other))
        for name in dict.fromkeys([*a, *b]):
            if a.get(name) != b.get(name):
                said.setdefault(name, f"{name}: {a.get(name, 'not there')} in {first.id}, {b.get(name, 'not there')} in {other.id}")
        if not said and isinstance(first.recipe.network, OwnNetwork) and first.source != other.source:
            said["source"] = f"the code of the network {first.recipe.network.source} in {first.id} and in {other.id}"
    return list(said.values())


def _network_fields(recipe: Recipe) -> dict[str, object]:
    wanted = ("augment.crop", "train.evaluation_views")
    return {name: value for name, value in flat(recipe).items() if (name.startswith("network.") and name != "network.start") or name in wanted}


def recipe_of(entries: Sequence[Entry], prepared: Prepared, averaged: Averaged) -> Recipe:
    """Return the recipe of the run that is the mean: the data, parts and preprocessing of its members; of weights, that of the first member."""
    first = prepared.recipe
    why = f"the mean of the {averaged} of {', '.join(entry.id for entry in entries)}"
    network = first.network.model_copy(update={"start": ""})  # nothing is trained for it
    words = {"name": f"{'weights' if averaged == 'weights' else 'ensemble'}-of-{len(entries)}", "why": why, "notes": "", "network": network}
    if averaged == "weights":
        return first.model_copy(update=words)
    train = Train(keep="last", evaluation_batch_size=first.train.evaluation_batch_size)
    return first.model_copy(update={**words, "augment": Augment(), "train": train})


def make(run: Run, entries: Sequence[Entry], prepared: Prepared, averaged: Averaged, scoring: Scoring | None = None) -> None:
    """Fill the folder of a new run with the mean of finished runs. prepared: the first of them, with the recipe of the new one.

    Probabilities: train and validation are scored from the answers that the runs kept. Weights: batch norm is measured anew on training images,
    and the network answers both parts.
    """
    networks = [trained_network(entry.run, entry.recipe) for entry in entries]
    prepared = replace(prepared, own=replace(prepared.own, start=None))
    ensembles.save(run.folder, Members(averaged, tuple(_member(entry, place) for place, entry in enumerate(entries))))
    for name, text in _sources(entries).items():
        atomic.make_folder(run.source)
        atomic.write_text(run.source / name, text)
    if averaged == "probabilities":
        network: nn.Module = ensembles.together(networks, [entry.recipe for entry in entries]).eval()
        prepared = replace(prepared, own=_as_own(run, prepared.own))
    else:
        network = _averaged(networks, prepared)
    execute.begin(run, replace(prepared, warnings=()))
    _keep(run, network, averaged, len(entries))
    predicted = _answers(run, entries, prepared, network, averaged, scoring)
    execute.write_scores(run, prepared, predicted)
    pictures.save(run, prepared, predicted.get("validation", predicted["train"]))
    reporting.write_report(run, network.cpu())


def _as_own(run: Run, parts: OwnParts) -> OwnParts:
    """Return what of the user's own scores an ensemble, with the ensemble as its network."""
    network = Own("ensemble", partial(ensembles.built, run.folder), ensembles.SOURCE, "ensemble.py:ensemble")
    return OwnParts(network=network, metrics=parts.metrics, costs=parts.costs)


def _member(entry: Entry, place: int) -> Member:
    recipe = entry.recipe
    if isinstance(recipe.network, OwnNetwork):
        file, _, name = recipe.network.source.rpartition(":")
        recipe = recipe.model_copy(update={"network": OwnNetwork(source=f"source/{_kept_as(place, file)}:{name}")})
    accuracy = entry.scores["validation"].accuracy.value if "validation" in entry.scores else None
    return Member(entry.id, entry.seed, str(entry.kept["weights_sha256"]), accuracy, recipe.model_dump(mode="json"))


def _sources(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the text of each file that an own network of a member comes from, by its name in the ensemble's folder."""
    found: dict[str, str] = {}
    for place, entry in enumerate(entries):
        if isinstance(entry.recipe.network, OwnNetwork):
            file = entry.recipe.network.source.rpartition(":")[0]
            found[_kept_as(place, file)] = atomic.read_bytes(entry.run.folder / file).decode("utf-8")
    return found


def _kept_as(place: int, file: str) -> str:
    return f"member{place}_{file.rpartition('/')[2]}"


def _averaged(networks: Sequence[nn.Module], prepared: Prepared) -> nn.Module:
    """Return the network with the mean weights on the run's device, its batch norm measured on the training images in shuffled order."""
    network = networks[0]
    network.load_state_dict(ensembles.mean_weights([other.state_dict() for other in networks]))
    network.to(prepared.device())
    train = prepared.splits.train
    shuffled = train[keys.permutation(prepared.recipe.seed, "settle norms", 0, len(train))]
    batches = with_train(replace(prepared, splits=replace(prepared.splits, train=shuffled)), evaluation_views="one").part("train")
    with computing(prepared.recipe.compute):
        settle_norms(network, batches, prepared.recipe.compute.precision)
    return network


def _keep(run: Run, network: nn.Module, averaged: Averaged, count: int) -> None:
    weights = save_tensors({name: tensor.detach().cpu().contiguous().clone() for name, tensor in network.state_dict().items()})
    counts = parameter_counts(network)
    kept: dict[str, Any] = {
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "epoch": None,
        "how": f"the mean of the {averaged} of {count} runs",
        "stopped": "",
        "notes": [],
        "parameters": counts.total,
        "trainable_parameters": counts.trainable,
        "setup_s": None,
        "fit_s": 0.0,
    }
    atomic.write_bytes(run.weights, weights)
    atomic.write_json(run.kept, kept)


def _answers(
    run: Run, entries: Sequence[Entry], prepared: Prepared, network: nn.Module, averaged: Averaged, scoring: Scoring | None
) -> Mapping[str, Predictions]:
    parts = [part for part in _PARTS if len(getattr(prepared.splits, part))]
    if averaged == "weights":
        return {part: execute.measure(run, prepared, network, part, scoring and partial(scoring, part)) for part in parts}
    means = {part: ensembles.mean_answers([entry.predictions(part) for entry in entries]) for part in parts}
    for part, predicted in means.items():
        answers.save(run.predictions(part), predicted)
    return means
