"""A search: trials of one seed that Optuna proposes and prunes, and then a ladder of one step, in which the referee judges the best with other seeds.

Trials run one after the other in this process: each is proposed from what all before it showed, and ended early by comparison with them. So the same search
gives the same trials, however often it was stopped. The referee's trainings need no such order and run side by side.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from rung.errors import RecipeError, RunError
from rung.keys import torch_seed
from rung.store import atomic
from rung.study.entrants import Results
from rung.study.executor import Executor, Job
from rung.study.ladder import Ladder
from rung.study.metrics import metric_named
from rung.study.plan import Choice, Plan, Step, too_small
from rung.study.resolved import Resolve
from rung.study.search_plan import SearchPlan
from rung.words import plural

if TYPE_CHECKING:
    import optuna

FILE: Final = "search.json"
TRIALS: Final = "trials.sqlite"
_STARTUP: Final = 4  # finished trials before one is pruned
_UNTOUCHED: Final = 3  # a trial is not ended in the first third of its epochs, which say little of a rate that climbs first
_BEGUN_AS: Final = "begun as"
_REFUSED: Final = "refused"

State = Literal["finished", "pruned", "diverged", "refused"]


class Pruned(Exception):
    """Raised within a training to end a trial that has no prospects; its run stays as it is, unfinished."""


@dataclass(frozen=True)
class Trial:
    """One combination that was tried. settings: its fields; value: the metric on validation, as in scores.json, None unless finished.

    epochs: that it was trained. run: the id of its run, "" where there is none. reason: why it diverged or was refused.
    """

    number: int
    settings: Mapping[str, Any]
    state: State
    value: float | None
    epochs: int
    run: str
    reason: str = ""


@dataclass(frozen=True)
class Trials:
    """All trials of a search as far as it went; told: what there is to say of them."""

    search: SearchPlan
    trials: tuple[Trial, ...]
    told: tuple[str, ...] = ()

    def best(self) -> list[Trial]:
        """Return the finished trials, best first, of equal settings the first."""
        sign = metric_named(self.search.plan.metric).sign
        ordered = sorted((trial for trial in self.trials if trial.value is not None), key=lambda trial: (-sign * (trial.value or 0.0), trial.number))
        return list({json.dumps(trial.settings, sort_keys=True): trial for trial in reversed(ordered)}.values())[::-1]

    def to_json(self) -> dict[str, Any]:
        """Return plain values in a fixed order."""
        return {"search": self.search.to_json(), "trials": [asdict(trial) for trial in self.trials], "told": list(self.told)}


@dataclass
class Search:
    """A search that goes on. base: settings of all trials; results, executor: of the study's folder, one training at a time."""

    search: SearchPlan
    base: Mapping[str, Any]
    resolve: Resolve
    executor: Executor
    results: Results
    folder: Path
    ended: Callable[[Trial, int], None] = lambda trial, trials: None
    observe: Callable[[Job, int, int], None] = lambda job, step, steps: None
    done: list[Trial] = field(default_factory=list)

    def run(self) -> Trials:
        """Run all trials that the budget allows, those of an earlier call not again; search.json is written after each.

        Raises: RunError if the folder holds another search; RecipeError for a budget too small for two seeds; what `Executor.run` raises.
        """
        told: tuple[str, ...] = ()
        with opened(self.folder / TRIALS, self.search, self.resolve(self.base).epochs // _UNTOUCHED) as study:
            for number in range(self.search.trials):
                if self.done and not self._affordable():
                    budget = self.search.plan.budget_minutes
                    told = (f"The budget of {budget:g} minutes ended the trials after {number}; the rest of it is for the referee.",)
                    break
                self.done.append(self._trial(study, number))
                atomic.write_json(self.folder / FILE, Trials(self.search, tuple(self.done)).to_json())
                self.ended(self.done[-1], self.search.trials)
        found = Trials(self.search, tuple(self.done), told)
        atomic.write_json(self.folder / FILE, found.to_json())
        return found

    def _trial(self, study: optuna.Study, number: int) -> Trial:
        """Run a trial, go on with it, or read it."""
        from optuna.trial import TrialState

        frozen = next((one for one in study.get_trials(deepcopy=False) if one.number == number), None)
        if frozen is None or frozen.state == TrialState.RUNNING:
            self._finish(study, number, frozen)
            frozen = study.get_trials(deepcopy=False)[number]
        settings = {parameter.field: parameter.value(frozen.params[parameter.field]) for parameter in self.search.parameters}
        if refused := frozen.user_attrs.get(_REFUSED):
            return Trial(number, settings, "refused", None, 0, "", refused)
        key = self.resolve({**self.base, **settings}).key(self.search.seed)
        epochs = len(self.results.run(key).read_rows())
        if frozen.state == TrialState.COMPLETE and frozen.value is not None:
            return Trial(number, settings, "finished", metric_named(self.search.plan.metric).sign * frozen.value, epochs, key)
        if frozen.state == TrialState.PRUNED:
            return Trial(number, settings, "pruned", None, epochs, key)
        return Trial(number, settings, "diverged", None, epochs, key, self.results.diverged(key))

    def _finish(self, study: optuna.Study, number: int, frozen: optuna.trial.FrozenTrial | None) -> None:
        """Propose a trial, or take up one that was stopped, and train it to its end."""
        import optuna
        from optuna.trial import TrialState

        # A sampler of its own for each trial: what it draws then follows from the trials before, not from how often the search was stopped.
        study.sampler = optuna.samplers.TPESampler(seed=torch_seed(self.search.seed, "search", number) % 2**32)
        trial = study.ask() if frozen is None else optuna.trial.Trial(study, frozen._trial_id)
        settings = {**self.base, **_proposed(trial, self.search)}
        try:
            key = self.resolve(settings).key(self.search.seed)
        except RecipeError as error:
            trial.set_user_attr(_REFUSED, str(error))
            study.tell(number, state=TrialState.FAIL)
            return
        job = Job(key, settings, self.search.seed, f"trial {number}")
        why = self.results.diverged(key)
        try:
            if not why and not self.results.finished(key):
                why = self.executor.run([job], self._watch(trial, job)).get(key, "")
        except Pruned:
            study.tell(number, state=TrialState.PRUNED)
            return
        if why:
            study.tell(number, state=TrialState.FAIL)
        else:
            study.tell(number, metric_named(self.search.plan.metric).sign * self.results.value(key))

    def _watch(self, trial: optuna.Trial, job: Job) -> Callable[[Job, int, int], None]:
        """Return what reports each epoch of a trial, once it is written down, and ends the trial where it has no prospects."""
        log, seen = self.results.run(job.key).metrics, -1

        def look(job: Job, step: int, steps: int) -> None:
            nonlocal seen
            self.observe(job, step, steps)
            size = log.stat().st_size if log.exists() else 0
            if size == seen or not self.search.prune:
                return
            seen = size
            known = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
            for row in self.results.run(job.key).read_rows():
                if row["epoch"] not in known:
                    trial.report(row["validation_accuracy"], row["epoch"])
            if trial.should_prune():
                raise Pruned

        return look

    def _affordable(self) -> bool:
        """Tell whether another trial fits into the budget beside what the referee will need.

        Raises: RecipeError where not even the referee's two seeds do, after the first trial.
        """
        budget = self.search.plan.budget_minutes
        if budget is None:
            return True
        times = [self.results.seconds(trial.run) for trial in self.done if trial.run]
        if not times:
            return True
        whole = max(times)
        finalists = min(self.search.finalists, self.search.trials)
        reserve = whole * (finalists + 1) * len(self.search.plan.seeds)
        if len(self.done) == 1 and whole * (1 + 2 * (finalists + 1)) > 60 * budget:
            what = f"the first trial and two seeds of {plural(finalists, 'finalist')} and the start"
            raise RecipeError(too_small(budget, whole, 1 + 2 * (finalists + 1), what))
        return sum(times) + whole + reserve <= 60 * budget


@dataclass(frozen=True)
class Searched:
    """A search at its end: its trials, and the ladder of one step in which the referee judged the best of them."""

    trials: Trials
    ladder: Ladder

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**self.trials.to_json(), "ladder": self.ladder.to_json()}


def last_step(found: Trials, results: Results) -> Plan:
    """Return the ladder in which the referee judges the best trials against the start, with seeds that no trial had and what is left of the budget.

    Raises: RunError if no trial was finished.
    """
    search, best = found.search, found.best()[: found.search.finalists]
    if not best:
        raise RunError(f"none of {plural(len(found.trials), 'trial')} was finished: {found.trials[0].reason or 'all were ended early'}")
    choices = tuple(Choice(name=f"trial {trial.number}", settings=dict(trial.settings)) for trial in best)
    why = (
        f"The best {len(choices)} of {plural(len(found.trials), 'trial')} with seed {search.seed}, trained again with other seeds. The trials were scored on "
        "the same validation images, so these have chosen already: what is expected to be lost on test does not count that."
    )
    left = None
    if search.plan.budget_minutes is not None:
        spent_s = sum(results.seconds(trial.run) for trial in found.trials if trial.run)
        left = max(search.plan.budget_minutes - spent_s / 60, 0.001)
    return search.plan.model_copy(update={"steps": (Step(name="best trials", why=why, choices=choices),), "budget_minutes": left})


@contextlib.contextmanager
def opened(path: Path, search: SearchPlan, untouched: int = 1) -> Iterator[optuna.Study]:
    """Open the trials of a search in its SQLite file, or begin them; untouched: epochs that each trial is given before it may be ended.

    Raises: RunError if optuna is not installed, the file is damaged, or its trials are those of another search.
    """
    try:
        import optuna
    except ImportError:
        raise RunError("rung search needs optuna, which is not installed: pip install 'rung[search]'") from None
    from sqlalchemy.exc import DatabaseError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTUP, n_warmup_steps=untouched) if search.prune else optuna.pruners.NopPruner()
    storage = None
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path.absolute()}")
        study = optuna.create_study(storage=storage, study_name=search.plan.name, direction="maximize", pruner=pruner, load_if_exists=True)
        begun_as = json.loads(json.dumps(search.begun_as()))
        before = study.user_attrs.get(_BEGUN_AS)
        if before is None:
            study.set_user_attr(_BEGUN_AS, begun_as)
        elif before != begun_as:
            differing = [name for name in begun_as if begun_as[name] != before.get(name)]
            raise RunError(
                f"{path} holds trials of this search with other {', '.join(differing)}: what they found does not hold for these. "
                "Give the search another name, or delete that file (finished runs stay and are not trained again)"
            )
        yield study
    except DatabaseError as error:
        raise RunError(f"{path} is damaged ({error.orig}): delete it, and search again: no finished run is trained anew") from None
    finally:
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()


def _proposed(trial: optuna.Trial, search: SearchPlan) -> dict[str, Any]:
    """Return the fields that a trial tries; what was drawn for it before stays."""
    found = {}
    for one in search.parameters:
        if one.choices:
            drawn: Any = trial.suggest_categorical(one.field, one.names)
        elif one.whole:
            drawn = trial.suggest_int(one.field, int(one.low or 0), int(one.high or 0), log=one.log)
        else:
            drawn = trial.suggest_float(one.field, float(one.low or 0), float(one.high or 0), log=one.log)
        found[one.field] = one.value(drawn)
    return found
