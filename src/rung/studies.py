"""The functions behind the commands that study several runs at once: with `rung.workbench`, the public Python API."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rung.arguments import checked
from rung.store import atomic
from rung.store import run as run_store
from rung.store.run import DEFAULT_ROOT, Run

if TYPE_CHECKING:
    from rung.study.compare import Comparison


@checked
def compare(
    runs: Sequence[str | Path | Run],
    *,
    metric: str = "accuracy",
    part: str = "validation",
    anyway: bool = False,
    page: str | Path | None = None,
    out: str | Path = DEFAULT_ROOT,
) -> Comparison:
    """Set finished runs beside each other: scores with intervals, paired differences, logs, errors; with `page`, write it there as HTML.

    Runs of one recipe with several seeds are one group, whose interval is over seeds. metric: accuracy, balanced_accuracy, macro_f1, loss, or one's own.
    part: "validation", or "test" once each of the runs has opened it. anyway: compare runs whose rows, preprocessing or metric differ, without ranking them.

    Raises: RunError for fewer than two runs, one that is not finished, or one that differs in what must be the same; RecipeError for a metric there is not.
    """
    from rung.reports import check_page, compare_page
    from rung.study import compare as comparing
    from rung.study import entry

    if page is not None:
        check_page.check_place(Path(page))
    entries = entry.read_all([_found(run, out) for run in runs], least=2)
    found = comparing.compare(entries, metric=metric, part=part, anyway=anyway)
    if page is not None:
        _write(Path(page), compare_page.render(found, comparing.missed(entries, found)))
    return found


def _found(run: str | Path | Run, out: str | Path) -> Run:
    return run if isinstance(run, Run) else run_store.open_run(run, Path(out))


def _write(page: Path, text: str) -> None:
    atomic.make_folder(page.absolute().parent)
    atomic.write_text(page, text)
