"""Torture of the ledger: many processes write openings at once and are killed at random moments.

    python -m benchmarks.torture.ledgers --writers 16 --count 1000

prints passed/total and ends with 1 if an acknowledged opening is missing or doubled, or the chain is broken.
"""

from __future__ import annotations

import argparse
import selectors
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

from benchmarks.torture.tally import Tally
from rung.store import atomic, ledger

SOURCE = Path(__file__).parents[2] / "src"

# Each opening carries a word of its own; the word is printed only after record() has returned.
CHILD = f"""
import os, sys
sys.path.insert(0, {str(SOURCE)!r})
from pathlib import Path
from rung.store import ledger
root, writer, first, last = Path(sys.argv[1]), *map(int, sys.argv[2:])
for number in range(first, last):
    word = f"{{writer}}-{{os.getpid()}}-{{number}}"
    ledger.record(root, "images", {{"word": word}})
    os.write(1, f"{{word}}\\n".encode())
"""


def storm(root: Path, writers: int, count: int, kills: int, seed: int = 0) -> tuple[int, list[str]]:
    """Let `writers` processes record `count` openings each, killing one (it goes on in a new process) `kills` times; return acknowledged and failures."""
    draw = Random(seed)
    selector = selectors.DefaultSelector()
    acknowledged: set[str] = set()

    def start(writer: int, first: int) -> None:
        words = [sys.executable, "-c", CHILD, str(root), str(writer), str(first), str(count)]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, bufsize=0)
        assert child.stdout is not None
        selector.register(child.stdout, selectors.EVENT_READ, (child, writer))

    for writer in range(writers):
        start(writer, 0)
    total = writers * count
    deaths = sorted(draw.sample(range(total), kills), reverse=True)  # after so many acknowledged openings, the one that spoke last is killed
    while selector.get_map():
        for key, _ in selector.select():
            child, writer = key.data
            if deaths and len(acknowledged) >= deaths[-1]:
                deaths.pop()
                child.kill()
            said = key.fileobj.read(65536)  # type: ignore[union-attr]
            if said:
                acknowledged |= set(said.decode().split())
                continue
            selector.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]
            child.wait()
            done = sum(word.startswith(f"{writer}-") for word in acknowledged)
            if done < count:
                start(writer, done)
    return len(acknowledged), _judge(root, acknowledged)


def _judge(root: Path, acknowledged: set[str]) -> list[str]:
    openings = ledger.openings(root, "images")
    present = Counter(row["word"] for row in openings)
    failures = [f"{word} was acknowledged and is there {present[word]} times" for word in sorted(acknowledged) if present[word] != 1]
    failures += [f"opening {number} says it is {row['opening']}" for number, row in enumerate(openings, 1) if row["opening"] != number]
    if atomic.read_lines(root / "ledger.jsonl").torn:
        failures.append("a torn line stayed")
    if ledger.verify(root) != len(openings):
        failures.append("the chain holds another number of openings")
    return failures


def tally(root: Path, writers: int, count: int, kills: int) -> Tally:
    """Let the storm loose, and count each acknowledged opening as a trial."""
    acknowledged, failures = storm(root, writers, count, kills)
    return Tally(
        "An opening of a test set that was acknowledged is in the ledger, once",
        f"{writers} processes write {count:,} openings each, {kills} times one of them is killed and goes on",
        drawn=True,
        total=acknowledged,
        failures=failures,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--count", type=int, default=1000, help="openings of each writer")
    parser.add_argument("--kills", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        found = tally(Path(root), options.writers, options.count, options.kills)
    print(found)
    return int(bool(found.failures))


if __name__ == "__main__":
    sys.exit(main())
