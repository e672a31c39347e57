"""The mistakes of known systems, made again: measured, kept with the package, and put into docs/mistakes.md.

    python -m benchmarks.mistakes                                     # all, small: about a quarter of an hour on one core that does nothing else
    python -m benchmarks.mistakes scrambled-colour --author --images 40000 --epochs 10 --seeds 1
    python -m benchmarks.mistakes --page                              # the page again from what is kept

Images come from RUNG_DATA. A replay of the same mistake and size takes the place of the one before; others stay.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.marked import between
from rung.replays import mistakes
from rung.replays.mistakes import MistakeShown, making
from rung.replays.mistakes.record import keep_records
from rung.words import shorten

PAGE = Path(__file__).parents[1] / "docs" / "mistakes.md"
_MOST = 420  # letters of a sentence in the table; the whole stands in the records


def table(shown: Sequence[MistakeShown]) -> str:
    """Return the table of a system: what was done, what it did to the number, what rung says."""
    rows = ["| mistake | what was done | with it | without it | what rung says |", "|---|---|---|---|---|"]
    for one in shown:
        wrong, right = ("<br>".join(f"{figure.what}: **{figure.text}**" for figure in side) for side in (one.wrong, one.right))
        said = "<br>".join(f"`{said.where.partition(',')[0].partition(' --')[0]}`: {shorten(said.sentence, _MOST)}" for said in one.said)
        reported = "".join(f"<br>reported: {figure.what}: {figure.text}" for figure in one.reported)
        seen = f"<br>{one.seen}" if one.seen else ""
        cells = [f"`{one.name}`", f"{one.text}{reported}<br>*{one.budget}*", wrong or "–", f"{right}{seen}", said]
        rows.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(rows)


def write_page() -> None:
    """Put the tables of all systems into the page, each mistake in the words that the file of its system has now."""
    keep_records([replace(one, text=making.text_of(one.system, one.name)) for one in mistakes.shown()], making.order())
    for system in mistakes.known():
        between(system, table(mistakes.shown(system)), PAGE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="mistakes; none: all")
    parser.add_argument("--system", help="of one system only")
    parser.add_argument("--whole", action="store_true", help="with the author's network, images and epochs")
    parser.add_argument("--author", action="store_true", help="with the author's network")
    parser.add_argument("--page", action="store_true", help="train nothing")
    for name in ("images", "epochs", "seeds"):
        parser.add_argument(f"--{name}", type=int)
    given = parser.parse_args()
    started = time.perf_counter()

    def say(sentence: str) -> None:
        print(f"{time.perf_counter() - started:7.1f} s  {sentence}", flush=True)

    def done(shown: MistakeShown) -> None:
        keep_records([shown], making.order())
        print("\n".join(shown.lines()), flush=True)

    if not given.page:
        changes = {name: value for name in ("images", "epochs", "seeds") if (value := getattr(given, name))}
        if given.author:
            changes["author"] = True
        mistakes.run(given.system, given.names or None, whole=given.whole, changes=changes, say=say, done=done)
    if PAGE.exists():
        write_page()
    say("done")


if __name__ == "__main__":
    main()
