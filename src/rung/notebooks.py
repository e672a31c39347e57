"""A run or a ladder as an executed notebook that opens in Jupyter without rung: what its cells say is made by `rung.reports`, here they are run."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rung.arguments import checked
from rung.errors import RunError
from rung.store import atomic
from rung.store import run as run_store
from rung.store.run import DEFAULT_ROOT, Run

if TYPE_CHECKING:
    from rung.reports.notebook_cells import Cell

_NEEDED: Final = ("nbformat", "nbclient", "ipykernel", "matplotlib")
_START_S: Final = 300  # that Python, numpy and matplotlib may take to start on a busy machine
_CELL_S: Final = 300
_LONGEST: Final = 80  # letters of a folder whose sockets still have names that Unix allows
ENDING: Final = ".ipynb"


@checked
def notebook(what: str | Path | Run, *, page: str | Path | None = None, out: str | Path = DEFAULT_ROOT) -> Path:
    """Write an executed notebook (.ipynb) about a finished run or a ladder, and return where it lies: see docs/notebook.md.

    what: a run (folder, id, or the beginning of its id) or the folder of a ladder. page: where to write; if not set, into its folder, as
    notebook.ipynb. Its code needs Python, numpy, matplotlib and the data that stand in it; its outputs are those of that code.

    Raises: RunError without the packages of the extra "notebook", for a run that is not finished, or where nothing can be written.
    """
    from rung.reports import place

    _check_installed()
    if page is not None:
        _check_ending(Path(page))
        place.check_place(Path(page))
    folder, cells = _cells(what, Path(out))
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


def _cells(what: str | Path | Run, root: Path) -> tuple[Path, list[Cell]]:
    """Return the folder of a run or ladder, and the cells about it."""
    from rung.study.ladder import FILE

    if not isinstance(what, Run):
        for folder in (Path(what), root / what):
            if atomic.exists(folder / FILE):
                from rung.reports import notebook_ladder

                return folder, notebook_ladder.of_folder(folder)
    from rung.pipeline import reporting
    from rung.reports import notebook_run

    run = what if isinstance(what, Run) else run_store.open_run(what, root)
    if not atomic.exists(run.scores):
        raise RunError(f"{run.id} has no scores yet (it is {run.state()}): `rung resume {run.folder}` goes on with it")
    return run.folder, notebook_run.cells(reporting.report_input(run))


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
            raise RunError(f"the code of the notebook could not be run ({str(error).strip().splitlines()[0]}): try again when the machine has time") from error
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
