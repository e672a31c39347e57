"""What a notebook of a replay shows beside its comparisons: networks, settings, curves, classes, backpropagation itself, decisions, mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from rung.evaluate.categories import FIELD, parse
from rung.evaluate.intervals import t_interval
from rung.explain import curves, mistakes
from rung.recipe import Recipe, change
from rung.reports import tables
from rung.reports.notebook_cells import Cell, bullets, code, escaped, packed, table_text, words
from rung.reports.notebook_curves import curves_of
from rung.reports.notebook_network import drawn, layer_rows, reasons
from rung.reports.replay_text import Told, kept_name, verdict
from rung.study.amounts import range_text, signed_text
from rung.study.plan import START
from rung.study.replay import Estimate, Replay, Row, RunRecord, row_name
from rung.study.system_rows import recipe_named
from rung.training.optimizer_defaults import resolved
from rung.words import PERCENT, count, listing, percent, plural, quoted, visible

if TYPE_CHECKING:
    from rung.explain.architecture import LayerRow

Layers = Callable[[Row], Sequence["LayerRow"]]
Matrix = npt.NDArray[np.int64]

_LEVEL: Final = 0.95
_NAMED: Final = 3
_FAR: Final = 0.1  # between train and validation accuracy
_AGAIN: Final = (
    "`rung replay {} --mistakes` makes each again that has a replay of its own, and shows the wrong number, the right one, and what rung says. "
    "Figures are means over seeds, in brackets the lowest and the highest of the seeds."
)


def recipe_of(row: Row) -> Recipe:
    """Return the whole recipe of a row."""
    return change(recipe_named(row.place.recipe), {**row.place.settings, "data.sources": row.place.data})


def key_of(row: Row) -> str:
    """Return by which key DATA["rows"] holds a row."""
    return visible(row_name(row.name))


def estimate_text(found: Estimate | None) -> str:
    """Write a share and its interval over seeds: "71.2 % (70.1 to 72.3)"."""
    if found is None:
        return "not run"
    interval = "" if found.low is None or found.high is None else f" ({found.low * 100:.1f} to {found.high * 100:.1f})"
    return f"{percent(found.mean)}{interval}"


def row_data(row: Row, layers: Layers) -> dict[str, Any]:
    """Return what the figures of one row need: its layers, and of each seed the training log and the answers on validation."""
    answered = [run for run in row.scored if "validation" in run.answers and "validation" in run.labels]
    labels = packed(answered[0].labels["validation"]) if answered else ""
    alike = [run for run in answered if packed(run.labels["validation"]) == labels]
    return {
        "layers": drawn(layers(row)),
        "classes": [visible(name) for name in alike[0].classes] if alike else [],
        "labels": labels,
        "seeds": [run.seed for run in alike],
        "answers": [packed(run.answers["validation"]) for run in alike],
        "curves": [{"name": f"seed {run.seed}", "curves": curves_of(run.curves)} for run in row.scored],
    }


def networks(rows: Sequence[Row], layers: Layers, names: Sequence[str]) -> Iterator[Cell]:
    """Yield why each row's network is built so, its picture and its layers; of one that is there already only whose it is. names: of the rows."""
    before: list[Sequence[LayerRow]] = []
    for row, name in zip(rows, names, strict=True):
        found = layers(row)
        if found and found in before:
            yield words(f"The network of {escaped(quoted(name))} is that of {escaped(quoted(names[before.index(found)]))}.")
        else:
            yield from _network(row, layers)
        before.append(found)


def _network(row: Row, layers: Layers) -> Iterator[Cell]:
    found = layers(row)
    if not found:
        return
    total = sum(one.parameters for one in found)
    yield words(f"### {escaped(_title(row))}: the network, and why it is built so", f"{_whole_name(row)} {count(total)} parameters.", bullets(reasons(found)))
    yield code(then=f'draw_network(DATA["rows"][{key_of(row)!r}]["layers"])')
    yield words(table_text(("layer", "what", "output", "parameters"), layer_rows(found), ("parameters",)))


def networks_apart(rows: Sequence[Row], layers: Layers) -> list[dict[str, Any]]:
    """Return what is drawn of the networks of a step, those that look alike as one; nothing where all do."""
    found: list[tuple[list[str], list[dict[str, object]]]] = []
    for row in rows:
        picture = drawn(layers(row))
        same = next((names for names, other in found if other == picture), None)
        if same is None:
            found.append(([visible(row.label)], picture))
        else:
            same.append(visible(row.label))
    several = len(found) > 1 and all(picture for _, picture in found)
    return [{"name": ", ".join(names), "layers": picture} for names, picture in found] if several else []


def settings(row: Row) -> Cell:
    """Return the hyper-parameters of a row, as its training takes them."""
    recipe = recipe_of(row)
    taken = recipe.model_copy(update={"train": resolved(recipe.train)})
    return words(f"### {escaped(_title(row))}: hyper-parameters", _whole_name(row), *setting_tables(taken))


def setting_tables(recipe: Recipe) -> Iterator[str]:
    """Yield the hyper-parameters of a recipe: those that a sheet asks for and those that differ from their defaults, then the others, folded away."""
    changed, rest = tables.settings(recipe, tables.ASKED)
    headings = ("field", "value", "default", "meaning")

    def listed(settings: Sequence[tables.Setting]) -> str:
        return table_text(headings, [(f"`{one.name}`", one.value, one.default, one.meaning) for one in settings])

    yield "A default is given where the value differs from it."
    yield listed(changed)
    if rest:
        yield f"<details><summary>The {len(rest)} others, at their defaults</summary>\n\n{listed(rest)}\n\n</details>"


def trainings(row: Row) -> Iterator[Cell]:
    """Yield the training log of a row, all its seeds in one axis, and what it shows."""
    title = words(f"### {escaped(_title(row))}: training", _whole_name(row), bullets(_course(row)) if row.scored else _not_run(row))
    yield title
    if row.scored:
        yield code(then=f'draw_traces(DATA["rows"][{key_of(row)!r}]["curves"])')


def _course(row: Row) -> list[str]:
    """Return how the trainings of a row went: how long, which epoch was best, whether it over-fits, and how far train and validation lie apart."""
    runs = row.scored
    said = [f"Epoch whose weights are scored: {listing([f'{run.kept_epoch} of {run.epochs} (seed {run.seed})' for run in runs])}."]
    onsets = [(run.seed, found.overfit_from) for run in runs if (found := _read(run)) is not None and found.overfit_from is not None]
    if onsets:
        each = listing([f"epoch {epoch} (seed {seed})" for seed, epoch in onsets])
        said.append(f"Over-fit from {each}: from there the validation loss rises while the training loss goes on falling.")
    else:
        said.append("The validation loss does not rise, beyond its own noise, while the training loss falls: by this sign no over-fitting can be told.")
    gap = row.gap()
    if gap is not None:
        between = "" if gap.low is None or gap.high is None else f" (95{PERCENT} interval over seeds {range_text(gap.low, gap.high, True)})"
        heart = " The other sign, this distance, is there: much of what is known of the training images does not hold for new ones." if gap.mean > _FAR else ""
        said.append(f"Accuracy on train minus validation, both in evaluation mode: {signed_text(gap.mean, True)} points{between}.{heart}")
    stopped = list(dict.fromkeys(run.stopped for run in runs if run.stopped))
    return [*said, *([f"Why it ended: {listing(stopped)}."] if stopped else [])]


def _read(run: RunRecord) -> curves.Curves | None:
    """Read a record's log; None where it has too few columns to be read."""
    needed = ("train_loss", "validation_loss")
    if not all(run.curves.get(name) for name in needed):
        return None
    length = min(len(values) for values in run.curves.values())
    return curves.read([{"epoch": at + 1, **{name: values[at] for name, values in run.curves.items() if name != "epoch"}} for at in range(length)])


def classes(row: Row) -> Iterator[Cell]:
    """Yield accuracy, precision, recall, F1 and the confusion matrix of a row, counted from its answers, and which classes are hardest."""
    matrices = _matrices(row)
    about = "On validation, counted from the answers of each seed. The confusion matrix and the sentences are of the first seed."
    said = [*_hardest(matrices[0], row.scored[0].classes), *_categories(row)] if matrices else []
    yield words(f"### {escaped(_title(row))}: classes", _whole_name(row), about if matrices else _not_run(row), bullets(said))
    if matrices:
        yield code(
            then=f"""
            shown = DATA["rows"][{key_of(row)!r}]
            matrices = [confusion_of(unpacked(shown["labels"]), unpacked(answers), len(shown["classes"])) for answers in shown["answers"]]
            print_seeds(matrices, shown["classes"], shown["seeds"])
            draw_confusion(matrices[0], shown["classes"], f"validation, seed {{shown['seeds'][0]}}")
            """
        )


def _matrices(row: Row) -> list[Matrix]:
    """Return the confusion matrix of each seed that kept its answers."""
    found = []
    for run in row.scored:
        if "validation" in run.answers and "validation" in run.labels and run.classes:
            size, labels = len(run.classes), run.labels["validation"].astype(np.int64)
            found.append(np.bincount(labels * size + run.answers["validation"], minlength=size**2).reshape(size, size))
    return found


def _hardest(matrix: Matrix, names: Sequence[str]) -> list[str]:
    """Return which classes are found more and less often than the mean, and which two are confused most."""
    plain, said = matrix.tolist(), []
    for side, what in (("above", "more"), ("below", "less")):
        found = [one for one in mistakes.standings(plain, names, level=_LEVEL) if one.side == side]
        if found:
            each = listing([f"{quoted(one.name)} ({percent(one.value.value or 0)})" for one in found])
            verb = "is" if len(found) == 1 else "are"
            said.append(f"{each} {verb} found {what} often than the mean of the classes ({percent(found[0].mean)}), at 95{PERCENT} for all classes together.")
    if not said:
        said.append(f"No class can be told from the mean of the classes, at 95{PERCENT} for all together.")
    pairs = mistakes.pairs(plain, names, _LEVEL)
    hardest = [pair for pair in pairs if pair.hardest]
    if hardest and len(hardest) <= _NAMED and len(names) > 2:
        each = listing([f"{quoted(pair.first)} and {quoted(pair.second)} ({plural(pair.errors, 'error')})" for pair in hardest])
        said.append(f"Confused most: {each}.")
    elif pairs and len(names) > 2:
        said.append("The errors are spread too evenly, or too few, to say which two classes are confused most.")
    return said


def _categories(row: Row) -> Iterator[str]:
    """Yield the scores of the same answers as answers of coarser categories, where the recipe has such."""
    wanted = {"accuracy": "accuracy", "macro_recall": "balanced accuracy", "macro_f1": "macro F1"}
    found = [f"{words} {estimate_text(score)}" for name, words in wanted.items() if (score := row.score("validation", f"categories.{name}"))]
    if found:
        yield f"The same answers by categories ({row.place.settings.get(FIELD, 'as the recipe has them')}): {listing(found)}.{_always(row)}"


def _always(row: Row) -> str:
    """Say what always answering the commonest category would score; "" where the row does not say which there are."""
    run, named = row.scored[0], row.place.settings.get(FIELD)
    if not named or "validation" not in run.labels:
        return ""
    coarse = parse(str(named), run.classes)
    shares = np.bincount(coarse.of[run.labels["validation"]]) / len(run.labels["validation"])
    return f" Always answering {quoted(coarse.names[int(shares.argmax())])} would be right on {percent(float(shares.max()))} of these images."


def groups(row: Row, wanted: Mapping[str, Sequence[str]]) -> Iterator[Cell]:
    """Yield the share of images answered rightly by groups of classes, and the first group minus each other with its interval over seeds."""
    shares = {name: _group_shares(row, members) for name, members in wanted.items()}
    if not all(shares.values()):
        yield words(_not_run(row))
        return
    first, *others = shares
    said = [f"{name.capitalize()} ({', '.join(wanted[name])}): {percent(float(np.mean(values)))} answered rightly." for name, values in shares.items()]
    for other in others:
        gains = np.array(shares[first]) - np.array(shares[other])
        found = t_interval(gains, _LEVEL, -1.0, 1.0)
        if found.low is None or found.high is None:
            said.append(f"{first.capitalize()} minus {other}: {signed_text(float(gains.mean()), True)} points, one seed: no interval.")
        else:
            told = "a difference" if found.low > 0 or found.high < 0 else "which cannot be told from none"
            between = f"95{PERCENT} interval over {plural(len(gains), 'seed')} {range_text(found.low, found.high, True)}"
            said.append(f"{first.capitalize()} minus {other}: {signed_text(float(gains.mean()), True)} points ({between}), {told}.")
    yield words(f"### {escaped(_title(row))}: {escaped(' and '.join(wanted))}", _whole_name(row), bullets(said))


def _group_shares(row: Row, members: Sequence[str]) -> list[float]:
    """Return the share of the images of some classes that are answered rightly, seed by seed."""
    shares = []
    for run, matrix in zip(row.scored, _matrices(row), strict=False):
        chosen = [at for at, name in enumerate(run.classes) if name in members]
        total = int(matrix[chosen].sum())
        if total:
            shares.append(float(sum(matrix[at, at] for at in chosen)) / total)
    return shares


def against_first(rows: Sequence[Row]) -> list[str]:
    """Return each row of one ladder minus the first, seed by seed: accuracy on validation, with Student's interval over seeds, these images held fixed."""
    first = by_seed(rows[0])
    said = []
    for row in rows[1:]:
        mine = by_seed(row)
        gains = np.array([mine[seed] - first[seed] for seed in mine if seed in first])
        if row.ladder != rows[0].ladder or not len(gains):
            continue
        found = t_interval(gains, _LEVEL, -1.0, 1.0)
        sure = "one seed: no interval"
        if found.low is not None and found.high is not None:
            sure = f"95{PERCENT} interval over {plural(len(gains), 'seed')} {range_text(found.low, found.high, True)}"
        names = f"{quoted(f'{row.step}, {row.label}')} minus {quoted(f'{rows[0].step}, {rows[0].label}')}"
        said.append(f"{names}, seed by seed: {signed_text(float(gains.mean()), True)} points ({sure}).")
    return said


def by_seed(row: Row) -> dict[int, float]:
    """Return the accuracy on validation of each seed that has one."""
    return {run.seed: value for run in row.scored if (value := run.value("validation", "accuracy")) is not None}


def decisions(replay: Replay) -> Cell:
    """Return every decision of the author with what it is worth, and each stage against what it begins from."""
    rows = [(one.decision.ladder, one.decision.step, kept_name(replay, one), verdict(one), one.sentence) for one in replay.judgements]
    return words(
        "### Every decision",
        table_text(("ladder", "step", "carried on", "verdict", "why"), rows),
        bullets([one.sentence for one in replay.gains]),
    )


def mistakes_told(told: Sequence[Told], called: str) -> Cell:
    """Return the author's mistakes, each with what rung says to it, and what making it again has shown; called: how commands name the replay."""
    found = [f"- {escaped(one.text)} **{escaped(one.mistake.lesson)}**{''.join(f'{chr(10)}    - {escaped(line)}' for line in one.lines)}" for one in told]
    return words(
        "### Difficulties and answers: what went wrong in the author's work",
        "\n".join(found) or "None is known.",
        _AGAIN.format(called) if found else "",
    )


def better(replay: Replay) -> Cell:
    """Return what was shown to be better than what the author carried on, the largest gain first."""
    found = [(difference, one) for one in replay.judgements for difference in one.differences if difference.low > 0]
    found.sort(key=lambda pair: -pair[0].estimate)
    said = [
        f"{one.decision.ladder}, {one.decision.step}: {quoted(replay.row(one.decision.ladder, one.decision.step, difference.name).label)} instead of "
        f"{quoted(kept_name(replay, one))}, "
        f"{signed_text(difference.estimate, True)} points "
        f"({range_text(difference.low, difference.high, True)})."
        for difference, one in found
    ]
    none = "Nothing that ran so far was shown to be better than what the author carried on."
    return words("### What was measured to be better", bullets(said) if said else none)


def _title(row: Row) -> str:
    """Name a row in a heading, shortly: by its candidate without what stands in brackets, the start of a ladder by the ladder alone."""
    if row.candidate == START:
        return row.ladder if row.keep else f"{row.ladder}, {row.step}"
    return row.candidate.partition(" (")[0]


def _whole_name(row: Row) -> str:
    return f"Row: {escaped(row_name((row.ladder, row.step, row.label)))}."


def _not_run(row: Row) -> str:
    return f"{escaped(quoted(row_name((row.ladder, row.step, row.label))))} has not run yet."
