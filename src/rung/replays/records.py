"""Records of finished runs: made from run folders, and kept in two small files, which are shipped with the package.

NAME.jsonl holds one run a line: settings, facts, scores, curves. NAME.npz holds what the runs answered, one byte an image, two from 257 classes on, written
as its distance to the label, for most are 0 and take no room. No path and no weights are in them.
"""

from __future__ import annotations

import io
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from rung.errors import RunError
from rung.evaluate import predictions as answers
from rung.store import atomic
from rung.store.run import Run
from rung.study import ended
from rung.study.replay import Answers, RunRecord
from rung.study.system_rows import Place

COSTS: Final = "costs.json"  # in a replay's folder: about what each training costs beside others
SHIPPED: Final = Path(__file__).parent / "records"
_CURVES: Final = ("learning_rate", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
_FACTS: Final = ("rung", "torch", "python", "processor", "capability", "threads", "device", "device_name")
_GROUPED: Final = ("categories", "own")  # tables of scores within a part
_PARTS: Final = ("validation", "test")
_FORMAT: Final = 1
_SCORE_DIGITS: Final = 6
_CURVE_DIGITS: Final = 5


def found(runs: Path, wanted: Sequence[Place], known: Sequence[str] = ()) -> list[RunRecord]:
    """Return the records of all runs in a folder that have ended and that rows want, but for those that are `known` and have not opened their test part."""
    if not atomic.exists(runs):
        return []
    first = {place.identity: place for place in reversed(wanted)}
    keys = {place.key(seed): (place, seed) for place in first.values() for seed in place.seeds}
    new = {key: wanted for key, wanted in keys.items() if key not in known or atomic.exists(Run(runs / key).opening)}
    made = (record_of(Run(runs / key), place, seed) for key, (place, seed) in new.items())
    return [record for record in made if record is not None]


def record_of(run: Run, place: Place, seed: int) -> RunRecord | None:
    """Return the record of a run of a row; None where it has not ended. Raises RunError where a file of it is damaged."""
    why = ended.diverged(run)
    if not why and not ended.finished(run):
        return None
    about: dict[str, Any] = {"seed": seed, "recipe": place.recipe, "settings": dict(place.settings), "run": run.id}
    about |= {"environment": _environment(run), "content": str(run.read_data().get("content", ""))}
    if why:
        return RunRecord(*place.name, **about, seconds=ended.seconds(run), failed=why)
    kept, scores, rows = atomic.read_json(run.kept), run.read_scores(), run.read_rows()
    parts = [part for part in _PARTS if part in scores]
    said = {part: answers.load(run.predictions(part)) for part in parts}
    order = {part: np.argsort(one.rows) for part, one in said.items()}
    classes = next(iter(said.values())).classes
    short = np.uint8 if len(classes) <= 1 << 8 else np.uint16
    return RunRecord(
        *place.name,
        **about,
        classes=classes,
        parameters=int(kept["parameters"]),
        epochs=len(rows),
        kept_epoch=int(kept["epoch"]),
        stopped=str(kept["stopped"]),
        seconds=round(ended.seconds(run), 1),
        scores={part: dict(_values(values)) for part, values in scores.items()},
        curves={name: tuple(_short(row[name], _CURVE_DIGITS) for row in rows) for name in _CURVES if rows and name in rows[0]},
        answers={part: one.answers()[order[part]].astype(short) for part, one in said.items()},
        labels={part: one.labels[order[part]].astype(short) for part, one in said.items()},
    )


def _values(scores: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, float | None]]]:
    """Yield every score of a part that is one number, by its name, with its interval; those of a table within it as "table.name"."""
    for name, score in scores.items():
        if name in _GROUPED and isinstance(score, Mapping):
            yield from ((f"{name}.{inner}", value) for inner, value in _values(score))
        elif isinstance(score, Mapping) and "value" in score:
            yield name, {end: _short(score.get(end), _SCORE_DIGITS) for end in ("value", "low", "high")}


def _short(value: Any, digits: int) -> Any:
    return None if value is None else float(f"{value:.{digits}g}")


def _environment(run: Run) -> dict[str, Any]:
    """Return what a run was trained on, and the day that it ended."""
    facts = atomic.read_json(run.environment)
    precision = tomllib.loads(run.read_recipe()).get("compute", {}).get("precision")
    day = datetime.fromtimestamp(run.recipe.stat().st_mtime, UTC).strftime("%Y-%m-%d")
    return {**{name: facts[name] for name in _FACTS if facts.get(name) is not None}, "precision": precision, "date": day}


def read_costs(folder: Path) -> dict[str, float]:
    """Return about what each training costs beside others, by the identity of its row, as far as that was found out in a replay's folder."""
    return dict(atomic.read_json(folder / COSTS)) if atomic.exists(folder / COSTS) else {}


def file_name(system: str, small: bool) -> str:
    """Return the name of the files of a system's records, without their endings."""
    return f"{system}-small" if small else system


def shipped(system: str, small: bool) -> list[RunRecord]:
    """Return the records of a system that came with the package, none where there are none."""
    return read(SHIPPED / file_name(system, small))


def write(path: Path, records: Sequence[RunRecord]) -> None:
    """Write records as `path`.jsonl and `path`.npz, ordered by row and seed as they are given; equal records give equal bytes."""
    groups: dict[bytes, list[Answers]] = {}
    labels: dict[bytes, Answers] = {}
    lines = []
    for record in records:
        places = {}
        for part, said in record.answers.items():
            mark = record.labels[part].dtype.str.encode() + record.labels[part].tobytes()
            labels[mark] = record.labels[part]
            groups.setdefault(mark, []).append(said - record.labels[part])  # modulo 256, or 65,536
            places[part] = [list(groups).index(mark), len(groups[mark]) - 1]
        lines.append({"format": _FORMAT, **_plain(record), "answers": places})
    arrays = {f"labels_{number}": labels[mark] for number, mark in enumerate(groups)}
    arrays |= {f"answers_{number}": np.stack(said) for number, said in enumerate(groups.values())}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    atomic.make_folder(path.parent)
    atomic.write_bytes(_arrays(path), content.getvalue())
    atomic.write_bytes(_lines(path), b"".join(map(atomic.encode_line, lines)))


def read(path: Path) -> list[RunRecord]:
    """Return the records that `write` wrote at `path`, none where there are none. Raises RunError where a file is damaged."""
    rows = atomic.read_lines(_lines(path)).rows
    if not rows:
        return []
    try:
        with np.load(_arrays(path), allow_pickle=False) as stored:
            arrays = dict(stored)
        return [_record(dict(row), arrays) for row in rows]
    except (OSError, EOFError, zipfile.BadZipFile, ValueError, KeyError, TypeError, IndexError) as error:
        raise RunError(f"{_lines(path)} or the .npz file beside it is damaged ({error}): take both from the package again") from None


def _lines(path: Path) -> Path:
    return path.with_name(f"{path.name}.jsonl")


def _arrays(path: Path) -> Path:
    return path.with_name(f"{path.name}.npz")


def _plain(record: RunRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__ if name not in ("answers", "labels")}


def _record(row: dict[str, Any], arrays: Mapping[str, Answers]) -> RunRecord:
    if row.pop("format") != _FORMAT:
        raise ValueError("its format is not known")
    places = row.pop("answers")
    labels = {part: arrays[f"labels_{group}"] for part, (group, _) in places.items()}
    said = {part: arrays[f"answers_{group}"][number] + labels[part] for part, (group, number) in places.items()}
    curves = {name: tuple(values) for name, values in row.pop("curves").items()}
    return RunRecord(**row | {"classes": tuple(row["classes"])}, curves=curves, answers=said, labels=labels)
