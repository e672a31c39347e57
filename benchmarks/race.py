"""What a race showed, as rows, a table and the picture of the README.

    rung bench cifar10 --seconds 120 --recipe fast --recipe model_s --peer benchmarks/peers/keras_model_s.py --python PEERS/bin/python --out RACE
    python -m benchmarks.race RACE

adds a dated row for each training of the race in the folder RACE to benchmarks/races.jsonl, draws docs/images/bench.svg from the rows of the last race, and
writes its table into benchmarks/README.md.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.marked import between
from rung.racing import FILE
from rung.reports import bench_figure, bench_page
from rung.reports.copies import markdown
from rung.store import atomic
from rung.study.bench import Bench, from_json
from rung.words import plural

HERE = Path(__file__).parent
ROWS = HERE / "races.jsonl"
PICTURE = HERE.parent / "docs" / "images" / "bench.svg"


def rows_of(bench: Bench, number: int) -> list[dict[str, Any]]:
    """Return one row for each training; number: of the race."""
    about = {key: value for key, value in asdict(bench).items() if key != "trials"}
    return [{"race": number, **about, **asdict(trial)} for trial in bench.trials]


def last_race(rows: list[dict[str, Any]]) -> Bench:
    """Return the last race whose rows there are."""
    found = [row for row in rows if row["race"] == rows[-1]["race"]]
    trials = [{key: row[key] for key in ("system", "seed", "epochs", "versions", "problem")} for row in found]
    return from_json({**found[0], "trials": trials})


def table(bench: Bench) -> str:
    """Return the Markdown table of a race, and below it where and with what it was run."""
    versions = {trial.system: ", ".join(f"{name} {version}" for name, version in trial.versions.items()) for trial in bench.trials if trial.versions}
    about = [bench.facts["date"], bench.facts["processor"], plural(bench.threads, "thread"), bench.data, f"{bench.rows['train']:,} images to fit on"]
    facts = f"{', '.join(about)}, accuracy on {bench.rows['validation']:,} validation images, none of them a test image."
    return "\n".join([markdown(bench_page.table(bench)), "", facts, *(f"{system}: {words}." for system, words in versions.items())])


def main(folder: Path) -> None:
    rows = atomic.read_lines(ROWS).rows if ROWS.exists() else []
    new = rows_of(from_json(atomic.read_json(folder / FILE)), rows[-1]["race"] + 1 if rows else 1)
    for row in new:
        atomic.append_line(ROWS, row)
    bench = last_race(new)
    atomic.write_text(PICTURE, bench_figure.picture(bench))
    between("race", table(bench))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
