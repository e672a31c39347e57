"""Memory over many epochs: what the process holds must not grow."""

from __future__ import annotations

from pathlib import Path

from benchmarks.torture.kills import real
from benchmarks.torture.runs import Training, fresh
from benchmarks.torture.tally import Tally

LOOKING = """
from pathlib import Path

def look(progress):
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    with open("pages.txt", "a") as file:
        file.write(f"{pages}\\n")
"""


def no_growth(work: Path, epochs: int, settled: int, allowed_fraction: float) -> Tally:
    """Train for `epochs` epochs and compare the memory after the last with that after epoch `settled`."""
    tally = Tally(
        "Memory does not grow with the epochs",
        f"resident memory of one training of digits after epoch {epochs:,} against epoch {settled}: not more than {allowed_fraction:.0%} above",
    )
    folder = fresh(work / "growth")
    (folder / "looking.py").write_text(LOOKING)
    settings = {"train.epochs": epochs, "train.callbacks": ["looking.py:look"], "network.filters": [4], "augment.shift_pixels": 1.0}
    ended = real(Training(settings, checkpoint_s=1).words(), folder)
    if ended.returncode != 0:
        tally.count(f"ended with {ended.returncode}: {ended.stderr}")
        return tally
    pages = [int(line) for line in (folder / "pages.txt").read_text().split()]
    growth = pages[-1] / pages[settled - 1] - 1
    tally.note = f"{pages[settled - 1] * 4 / 1024:.1f} MB, then {pages[-1] * 4 / 1024:.1f} MB: {growth:+.2%}"
    tally.count(None if len(pages) == epochs and growth <= allowed_fraction else f"grew by {growth:.2%} over {len(pages)} epochs")
    return tally
