"""The records of replayed systems that ship with the package, made from run folders.

    rung replay cnn_ladder --small --minutes 600                                # trains what is missing
    python -m benchmarks.replays pack runs/replay-cnn_ladder-small              # puts what has run into src/rung/replays/records
    python -m benchmarks.replays pack runs/replay-cnn_ladder --seeds 7          # seeds beyond those that the system names, too

What was shipped before stays where a row still trains the same; a run of the folder takes its place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rung import replays
from rung.replays import left_out, records
from rung.study.ladder import RUNS
from rung.study.replay import RunRecord
from rung.study.system_rows import places
from rung.words import plural, size


def pack(folder: Path, seeds: int | None = None, shipped: Path = records.SHIPPED) -> list[RunRecord]:
    """Write the records of a replay's folder into the package, and return them; what no row trains any more, or saw other images, is dropped.

    Raises: RecipeError if the folder is not named after a system.
    """
    name = folder.resolve().name.removeprefix("replay-")
    small = name.endswith("-small")
    system = replays.system(name.removesuffix("-small"))
    path = shipped / records.file_name(system.name, small)
    wanted = places(system, small, seeds)
    before = records.read(path)
    order = [place.key(seed) for seed in range(100) for place in wanted]
    alike, told = left_out.of_same_data(records.found(folder / RUNS, wanted), before, wanted)
    for line in told:
        print(line, flush=True)
    found = {record.run: record for record in reversed(alike)}
    kept = [found[key] for key in dict.fromkeys(order) if key in found]
    records.write(path, kept)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["pack"])
    parser.add_argument("folders", nargs="+", type=Path, help="folders of replays, such as runs/replay-cnn_ladder-small")
    parser.add_argument("--seeds", type=int, help="how many seeds a row; if not given, as the system says")
    given = parser.parse_args()
    for folder in given.folders:
        kept = pack(folder, given.seeds)
        name = folder.resolve().name.removeprefix("replay-")
        written = sum(path.stat().st_size for path in records.SHIPPED.glob(f"{name}.*"))
        print(f"{folder}: {plural(len(kept), 'record')}, {size(written)}", flush=True)


if __name__ == "__main__":
    main()
