"""A run: one folder of plain files, from which everything that is said about the run is read."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from rung.errors import RunError, RungError, did_you_mean
from rung.store import atomic, ledger, lock

DEFAULT_ROOT: Final = Path("runs")

State = Literal["running", "finished", "damaged", "failed", "unfinished"]

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_MADE_ID: Final = re.compile(r"\d{8}-\d{6}-.+")


@dataclass(frozen=True)
class Run:
    """The folder of one run; no path inside a run is absolute, so it may be moved, copied and read from a read-only disk."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def recipe(self) -> Path:
        return self.folder / "recipe.toml"

    @property
    def data(self) -> Path:
        return self.folder / "data.json"

    @property
    def environment(self) -> Path:
        return self.folder / "environment.json"

    @property
    def splits(self) -> Path:
        return self.folder / "splits.safetensors"

    @property
    def network(self) -> Path:
        return self.folder / "network.json"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def times(self) -> Path:
        return self.folder / "times.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def weights(self) -> Path:
        return self.folder / "weights.safetensors"

    @property
    def kept(self) -> Path:
        return self.folder / "kept.json"

    @property
    def scores(self) -> Path:
        return self.folder / "scores.json"

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures.safetensors"

    @property
    def opening(self) -> Path:
        return self.folder / ledger.RECEIPT

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def source(self) -> Path:
        return self.folder / "source"

    @property
    def members(self) -> Path:
        """Where it is written which runs this one is the mean of; only an ensemble has it."""
        return self.folder / "members.json"

    @property
    def robust(self) -> Path:
        return self.folder / "robust.json"

    @property
    def failure(self) -> Path:
        return self.folder / "failure.json"

    def predictions(self, part: str) -> Path:
        """Return where the predictions of a part ("train", "validation" or "test") are."""
        return self.folder / "predictions" / f"{part}.safetensors"

    def read_recipe(self) -> str:
        """Return the text of recipe.toml; raises RunError if it cannot be read."""
        try:
            return atomic.read_bytes(self.recipe).decode("utf-8")
        except OSError as error:
            raise atomic.unreadable(error, self.recipe) from error
        except UnicodeDecodeError as error:
            raise RunError(f"{self.recipe} is damaged: it is not UTF-8 text ({error.reason} at byte {error.start})") from error

    def read_rows(self) -> list[dict[str, Any]]:
        """Return the whole rows of metrics.jsonl, one an epoch; raises RunError if a line before the last is damaged."""
        return atomic.read_lines(self.metrics).rows

    def read_scores(self) -> dict[str, Any]:
        """Return scores.json; raises RunError if it is not there or damaged, with what to do."""
        scores = _read_table(self.scores, remedy=f"; `rung resume {self.folder}` writes it again from the answers that are kept")
        for part, values in scores.items():
            try:
                float(values["accuracy"]["value"])
            except (KeyError, TypeError, ValueError) as error:
                raise RunError(f"{self.scores} is damaged: it has no accuracy of {part}; `rung resume {self.folder}` writes it again") from error
        return scores

    def scored(self) -> bool:
        """Return whether scores.json is there and can be used."""
        if not atomic.exists(self.scores):
            return False
        try:
            self.read_scores()
        except RunError:
            return False
        return True

    def read_data(self) -> dict[str, Any]:
        """Return data.json; raises RunError if it is not there or damaged."""
        return _read_table(self.data)

    def read_opening(self) -> int:
        """Return the how-manieth opening of its test set the run's was; raises RunError if it has opened none, or what says so is damaged."""
        return int(_read_table(self.opening)["opening"])

    def state(self) -> State:
        """Return running (somebody holds the lock), finished (it has scores), damaged (they cannot be read), failed (it says why), else unfinished."""
        if lock.holder(self.folder) is not None:
            return "running"
        if atomic.exists(self.scores):
            return "finished" if self.scored() else "damaged"
        return "failed" if atomic.exists(self.failure) else "unfinished"

    def discard(self) -> None:
        """Remove the folder if the run never began (it has no recipe.toml); what is left of it is in the way of the next try."""
        with contextlib.suppress(RungError):  # a drive that is gone does not say whether there is a recipe: what may be a run stays
            if not atomic.exists(self.recipe):
                shutil.rmtree(self.folder, ignore_errors=True)

    def write_failure(self, error: RungError) -> None:
        """Write down why the run stopped, if the folder and the disk allow it: the error itself is on its way to the user."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with contextlib.suppress(RungError):
            atomic.write_json(self.failure, {"time": now, "kind": type(error).__name__, "message": str(error), "exit_code": error.exit_code})

    def clear_failure(self) -> None:
        """Forget why the run stopped, because it goes on; raises RunError if the folder cannot be written."""
        atomic.done(self.failure, 0, lambda: self.failure.unlink(missing_ok=True))


@dataclass(frozen=True)
class RunSummary:
    """One line of the list of runs; problem: what cannot be read in it, or None; failure: why it stopped, if it failed. Fractions are in 0..1."""

    run: Run
    state: State
    problem: str | None
    name: str = ""
    seed: int | None = None
    epochs: int = 0
    epochs_planned: int | None = None
    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    failure: str | None = None


def create(root: Path, name: str, seed: int, identifier: str | None = None) -> Run:
    """Make the folder of a new run, root/<UTC date-time>-<name>-<seed>, with -2, -3, .. if that exists; or root/<identifier>.

    Raises: RunError if `identifier` exists or is no plain name, or if the root cannot be written; ResourceError if the disk is full.
    """
    check_new(root, identifier)
    atomic.make_folder(root)
    base = identifier or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name}-{seed}"
    number = 1
    while True:
        run = Run(root / (base if number == 1 else f"{base}-{number}"))
        if _made(run.folder):
            break
        if identifier is not None:
            raise _exists(run)
        number += 1
    try:
        for folder in (run.checkpoints, run.predictions("train").parent):
            atomic.make_folder(folder)
        atomic.done(run.folder, 4096, lambda: atomic.sync_folder(root))
    except RungError:
        run.discard()
        raise
    return run


def _made(folder: Path) -> bool:
    """Make a folder by one exclusive call; return False if it is there already: of two processes in one second one gets the next number."""

    def make() -> bool:
        try:
            folder.mkdir()
        except FileExistsError:
            return False
        return True

    return atomic.done(folder, 4096, make)


def check_new(root: Path, identifier: str | None = None) -> None:
    """Check what can be known of a new run's place before any work is done for it; nothing is written.

    Raises: RunError if `identifier` exists or is no plain name, or if a folder cannot be made in the root.
    """
    if identifier is not None and not _ID.fullmatch(identifier):
        raise RunError(f"'{identifier}' cannot name a run: use letters, digits, '_', '.' and '-', beginning with a letter or digit, 200 at most")
    if identifier is not None and atomic.exists(root / identifier):
        raise _exists(Run(root / identifier))
    atomic.done(root, 4096, lambda: _check_place(root))


def _check_place(root: Path) -> None:
    """Raise the OSError that making a folder in the root would raise."""
    place = root.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{place} is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        read_only = os.statvfs(place).f_flag & os.ST_RDONLY
        raise OSError(errno.EROFS if read_only else errno.EACCES, "")


def _exists(run: Run) -> RunError:
    if _is_run(run.folder) and run.scored():
        return RunError(f"the name {run.id} is taken: {run.folder} is a finished run; choose another name")
    if _is_run(run.folder):
        return RunError(f"the run {run.folder} exists already: choose another name, or go on with it by `rung resume {run.folder}`")
    return RunError(f"{run.folder} exists already, and is no run that could be gone on with (it has no recipe.toml): choose another name, or delete it")


def open_run(text: str | Path, root: Path) -> Run:
    """Find a run by its id below `root`, by its folder, or by the beginning of one id.

    Raises: RunError if there is none, several, or the folder is no run.
    """
    word = str(text)
    is_word = "/" not in word and word not in (".", "..", "")
    if is_word and _is_run(root / word):
        return Run(root / word)
    folder = Path(word)
    if word and folder.is_dir():
        if not _is_run(folder):
            raise RunError(_never_began(folder) if _looks_like_run(folder) else _no_run(folder, root))
        return Run(folder if folder.name not in ("", "..") else folder.resolve())
    if is_word and _looks_like_run(root / word):
        raise RunError(_never_began(root / word))
    known = _ids(root)
    matches = [name for name in known if is_word and name.startswith(word)]
    if len(matches) == 1 and not _is_run(root / matches[0]):
        raise RunError(_never_began(root / matches[0]))
    if len(matches) == 1:
        return Run(root / matches[0])
    if matches:
        shown = ", ".join(matches[:5]) + (", .." if len(matches) > 5 else "")
        raise RunError(f"'{word}' begins {len(matches)} runs in {root} ({shown}): give more of the id")
    if not known:
        raise RunError(f"there is no run '{word}', and {_NONE.format(root=root)}")
    raise RunError(f"there is no run '{word}' in {root}: {did_you_mean(word, known[-20:])}")


_NONE: Final = "no run at all in {root}: `rung train DATA` makes one, --out names another root"


def _ids(root: Path) -> list[str]:
    return [run.id for run in _runs(root)]


def _no_run(folder: Path, root: Path) -> str:
    """Return that a folder is no run, and which runs there are."""
    known = _ids(root)
    said = f"the runs in {root} are {', '.join(known[-20:])}" if known else f"there is {_NONE.format(root=root)}"
    return f"{folder} is not a run (it has no recipe.toml); {said}"


def _never_began(folder: Path) -> str:
    return f"{folder} has no recipe.toml: it ended before its first step, so there is nothing to go on with; delete it and train again"


def list_runs(root: Path) -> list[RunSummary]:
    """Return all runs below `root`, by id (so the oldest first); one that is broken is listed with its problem and hides no other.

    Raises: RunError if the root is there and cannot be read.
    """
    return [summary_of(run) for run in _runs(root)]


def _runs(root: Path) -> list[Run]:
    try:
        names = sorted(entry.name for entry in os.scandir(root) if not entry.name.startswith(".") and entry.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"cannot read the folder of runs {root}: {error.strerror}") from error
    return [Run(root / name) for name in names if _MADE_ID.fullmatch(name) or _looks_like_run(root / name)]


def _is_run(folder: Path) -> bool:
    return Run(folder).recipe.is_file()


def _looks_like_run(folder: Path) -> bool:
    run = Run(folder)
    try:
        return any(sign.exists() for sign in (run.recipe, run.metrics, run.checkpoints, run.scores, folder / lock.NAME))
    except OSError:
        return True  # it cannot be looked into: shown, with that as its problem


def summary_of(run: Run) -> RunSummary:
    """Return what a list of runs shows of one; whatever is wrong with it is its problem."""
    problems: list[str] = []
    values: dict[str, Any] = {}
    state: State = "unfinished"
    for read in (_recipe_facts, _row_facts, _score_facts, _failure_facts):
        try:
            values |= read(run)
        except (RunError, OSError) as error:
            problems.append(str(error))
    with contextlib.suppress(OSError, RungError):  # a folder that cannot be looked into has its problem already
        state = run.state()
    return RunSummary(run, state, "; ".join(problems) or None, **values)


def _recipe_facts(run: Run) -> dict[str, Any]:
    if not atomic.exists(run.recipe):
        raise RunError(f"{run.folder} has no recipe.toml: it ended before its first step, and may be deleted")
    try:
        recipe = tomllib.loads(run.read_recipe())
        planned = None if atomic.exists(run.members) else recipe.get("train", {}).get("epochs")
        return {"name": str(recipe.get("name", "")), "seed": recipe.get("seed"), "epochs_planned": planned}
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        raise RunError(f"{run.recipe} is damaged: {error}") from error


def _row_facts(run: Run) -> dict[str, Any]:
    return {"epochs": len(run.read_rows())}


def _score_facts(run: Run) -> dict[str, Any]:
    if not atomic.exists(run.scores):
        return {}
    scores = run.read_scores()
    return {f"{part}_accuracy": float(scores[part]["accuracy"]["value"]) for part in ("validation", "test") if part in scores}


def _failure_facts(run: Run) -> dict[str, Any]:
    if atomic.exists(run.scores) or not atomic.exists(run.failure):
        return {}
    return {"failure": str(_read_table(run.failure).get("message"))}


def _read_table(path: Path, remedy: str = "") -> dict[str, Any]:
    try:
        value = atomic.read_json(path)
    except RunError as error:
        raise RunError(f"{error}{remedy}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: it holds no table of names and values{remedy}")
    return value
