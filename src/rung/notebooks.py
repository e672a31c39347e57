"""A run, a ladder or a replayed system as an executed notebook that needs no rung: `rung.reports` makes its cells, here they are run."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rung.arguments import checked
from rung.errors import RunError, did_you_mean, one_line
from rung.store import atomic
from rung.store import run as run_store
from rung.store.run import DEFAULT_ROOT, Run

if TYPE_CHECKING:
    from rung.explain.architecture import LayerRow
    from rung.reports.notebook_cells import Cell
    from rung.study.replay import Row

_NEEDED: Final = ("nbformat", "nbclient", "ipykernel", "matplotlib")
_START_S: Final = 300  # that Python, numpy and matplotlib may take to start on a busy machine
_CELL_S: Final = 300
_LONGEST: Final = 80  # letters of a folder whose sockets still have names that Unix allows
_NAMED: Final = 20  # runs that may be meant, the newest
ENDING: Final = ".ipynb"


@checked
def notebook(what: str | Path | Run, *, page: str | Path | None = None, small: bool = False, out: str | Path = DEFAULT_ROOT) -> Path:
    """Write an executed notebook (.ipynb) about a finished run, a ladder or a replayed system, and return where it lies: see docs/notebook.md.

    what: a run (folder, id, or the beginning of its id), the folder of a ladder, or a system (its name, or its folder). page: where to write; if not set,
    into the folder of the run, ladder or replay, as notebook.ipynb. small: the small budget of a system. Its code needs Python, numpy, matplotlib and the
    data that stand in it; its outputs are those of that code. Nothing is trained.

    Raises: RunError without the packages of the extra "notebook", for a run that is not finished, or where nothing can be written.
    """
    from rung.reports import place

    _check_installed()
    if page is not None:
        _check_ending(Path(page))
        place.check_place(Path(page))
    folder, cells = _cells(what, small, Path(out))
    target = folder / "notebook.ipynb" if page is None else Path(page)
    place.write_page(target, executed(cells))
    return target


def _check_installed() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise RunError(f"rung notebook needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: pip install 'rung[notebook]'")


def _check_ending(page: Path) -> None:
    if page.suffix != ENDING:
        raise RunError(f"{page} is no name of a notebook: give one that ends with {ENDING}, such as {page.stem or 'run'}{ENDING}")


def _cells(what: str | Path | Run, small: bool, root: Path) -> tuple[Path, list[Cell]]:
    """Return the folder of a run, ladder or replay, and the cells about it."""
    from rung.study.ladder import FILE

    if not isinstance(what, Run) and _is_system(what):
        return _of_system(what, small, root)
    if small:
        raise RunError(_no_small(what))
    if not isinstance(what, Run):
        for folder in (Path(what), root / what):
            if atomic.exists(folder / FILE):
                from rung.reports import notebook_ladder

                return folder, notebook_ladder.of_folder(folder)
    from rung.pipeline import reporting
    from rung.reports import notebook_run

    run = what if isinstance(what, Run) else _run(what, root)
    if not atomic.exists(run.scores):
        raise RunError(f"{run.id} has no scores yet (it is {run.state()}): `rung resume {run.folder}` goes on with it")
    return run.folder, notebook_run.cells(reporting.report_input(run))


def _run(what: str | Path, root: Path) -> Run:
    """Return the run of a folder, an id, or the beginning of one. Raises: RunError, which names what may be meant where nothing is called so."""
    from rung import replays
    from rung.study.ladder import FILE

    word = str(what)
    try:
        return run_store.open_run(what, root)
    except RunError:
        runs = [one.run.id for one in run_store.list_runs(root)]
        if Path(word).exists() or (root / word).exists() or any(name.startswith(word) for name in runs):
            raise
        ladders = sorted(path.parent.name for path in root.glob(f"*/{FILE}"))
        known = [*replays.systems(), *ladders, *runs[-_NAMED:]]
        raise RunError(f"there is no run, ladder or system '{one_line(word)}': {did_you_mean(word, known)}") from None


def _no_small(what: str | Path | Run) -> str:
    from rung import replays

    word = what.id if isinstance(what, Run) else str(what)
    return f"small is for a system, which has a small budget, and {one_line(word)} is none: {did_you_mean(word, replays.systems())}"


def _is_system(what: str | Path) -> bool:
    from rung import replays
    from rung.study.system import FILE

    return str(what) in replays.systems() or (Path(what) / FILE).is_file()


def _of_system(what: str | Path, small: bool, root: Path) -> tuple[Path, list[Cell]]:
    """Return the folder of a replay, and the cells about what is known of it."""
    from rung import replays
    from rung.replays import mistakes
    from rung.replays.records import file_name
    from rung.reports import notebook_replay
    from rung.reports.replay_text import called

    found = replays.replay(what, small=small, out=root)
    folder = root / f"replay-{file_name(found.system.name, small)}"
    return folder, notebook_replay.cells(found, layers_of, mistakes.told(found.system.name, small), called(str(what), small, root))


def layers_of(row: Row) -> Sequence[LayerRow]:
    """Return the layers of a row's network, built with start weights; none where the data's name does not tell what images it sees."""
    from rung.explain.architecture import layers
    from rung.models.build import build
    from rung.reports.notebook_blocks import recipe_of

    recipe, known = recipe_of(row), _images_of(row)
    if known is None or recipe.network.kind == "own":
        return []
    classes, channels, size = known
    channels = 1 if recipe.pixels.colour == "grey" else channels
    size = recipe.augment.crop or (recipe.pixels.size if isinstance(recipe.pixels.size, int) else size)
    found = layers(build(recipe.network, classes=classes, channels=channels, size=size, seed=recipe.seed), channels, size)
    return found if row.parameters in (None, sum(layer.parameters for layer in found)) else []


def _images_of(row: Row) -> tuple[int, int, int] | None:
    """Return classes, channels and pixels a side of a row's images by the name of its data."""
    source = row.place.data[0] if len(row.place.data) == 1 else ""
    known = (5, 3, 32) if source.startswith("cifar100:") else {"cifar10": (10, 3, 32), "cifar100": (100, 3, 32), "digits": (10, 1, 8)}.get(source)
    merged = row.place.settings.get("data.classes")
    return (len(str(merged).split(";")), *known[1:]) if known and merged else known


def executed(cells: Sequence[Cell]) -> str:
    """Run the code cells one after the other in a Python of their own, and return the notebook with their outputs as text.

    Raises: RunError if the packages of the extra are not installed, or no kernel can be started.
    """
    _check_installed()
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    made = _notebook(cells)
    with tempfile.TemporaryDirectory(prefix="rung-notebook-") as folder:
        client = NotebookClient(made, km=_manager(folder), timeout=_CELL_S, startup_timeout=_START_S, record_timing=False)
        client.extra_arguments = ["--HistoryManager.enabled=False"]
        try:
            client.execute(cleanup_kc=True, cwd=folder, env=_surroundings(folder))
        except (CellTimeoutError, DeadKernelError, RuntimeError, OSError) as error:
            why = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise RunError(f"the code of the notebook could not be run ({why}): try again when the machine has time") from error
    return str(nbformat.writes(made)) + "\n"


def _notebook(cells: Sequence[Cell]) -> Any:
    """Return the cells in the form of nbformat, named by their places, so that equal cells make an equal file."""
    from nbformat import v4

    made = v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    for number, cell in enumerate(cells, 1):
        one = v4.new_markdown_cell(cell.text) if cell.kind == "markdown" else v4.new_code_cell(cell.text)
        one["id"] = f"cell-{number}"
        if cell.hidden:
            one["metadata"] |= {"jupyter": {"source_hidden": True}, "tags": ["hide-input"]}
        made["cells"].append(one)
    return made


def _manager(folder: str) -> Any:
    """Return what starts a kernel: this very Python, and not one that a user has put in its place."""
    from jupyter_client import AsyncKernelManager
    from jupyter_client.kernelspec import KernelSpecManager

    made = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), connection_file=f"{folder}/kernel.json")
    if os.name == "posix" and len(folder) <= _LONGEST:
        made.transport, made.ip = "ipc", f"{folder}/socket"  # files that nobody else may read, in place of ports
    return made


def _surroundings(folder: str) -> dict[str, str]:
    """Return the environment of the kernel: no start-up file and no style of the user changes what comes out."""
    own = {"IPYTHONDIR": folder, "MATPLOTLIBRC": os.devnull, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    return {**os.environ, **own}
