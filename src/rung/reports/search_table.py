"""The trials of a search as a table, the best first."""

from __future__ import annotations

from rung.reports.copies import Table
from rung.study.amounts import is_share, name_text, value_text
from rung.study.plan import shown
from rung.study.search import Trials


def trials_table(found: Trials) -> Table:
    """Return one line a trial: what it tried and how it scored, those that were not finished last."""
    plan, fields = found.search.plan, [parameter.field for parameter in found.search.parameters]
    best = found.best()
    rest = [trial for trial in found.trials if trial not in best]
    rows = []
    for trial in (*best, *sorted(rest, key=lambda trial: (trial.value is None, trial.number))):
        score = "" if trial.value is None else value_text(trial.value, is_share(plan.metric))
        state = "" if trial.state == "finished" else trial.state
        rows.append((str(trial.number), *(shown(trial.settings[field]) for field in fields), score, str(trial.epochs), state))
    return Table(("trial", *fields, name_text(plan.metric), "epochs", "ended"), tuple(rows), frozenset(("trial", name_text(plan.metric), "epochs")))
