"""What the command line shows: tables, and progress bars where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from rung.words import duration, plural, size, visible

if TYPE_CHECKING:
    from rung.audit.check import CheckReport
    from rung.audit.preflight.outcome import Preflight
    from rung.data.cache import Kept
    from rung.data.describe import DataReport
    from rung.data.imageset import Reading
    from rung.pipeline.predicting import Answer
    from rung.reports.copies import Table as Texts
    from rung.store.run import Run, RunSummary
    from rung.study.bench import Bench
    from rung.study.climb import Watch
    from rung.study.compare import Comparison
    from rung.study.executor import Job
    from rung.study.ladder import Ladder
    from rung.study.noise import Pilot
    from rung.study.replay import Replay
    from rung.study.robust import RobustReport
    from rung.study.search import Searched, Trial
    from rung.training.loop import StepEnd
    from rung.workbench import Opening

_PLAIN_EVERY_S = 10.0
_UNLIMITED = 1_000_000  # characters
_LISTED = 20  # files of each kind that are named, of those left out or repaired
_ON_THE_PAGE = ("level (%)", "covers", "gap (points)", "macro F1 (%)", "operations")  # columns of a ladder's table that a terminal has no room for
_IN_STEPS = ("same", "dropped")  # findings of a ladder that its steps have told already
_errors = Console(stderr=True, highlight=False)
_output = Console(highlight=False, soft_wrap=True)


class Bars:
    """One bar a task on a terminal, a line now and then elsewhere; both on the error stream, so that output stays clean."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.bars = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=_errors, transient=True)
        self.tasks: dict[str, TaskID] = {}
        self.said_at: dict[str, float] = {}

    def reading(self, done: int, total: int) -> None:
        """Show how many files have been read."""
        self._show("reading", done, total)

    def step(self, step: StepEnd) -> None:
        """Show a training's steps."""
        self._show("training", step.step, step.steps, f"loss {step.loss:.3f}")

    def scoring(self, part: str, done: int, total: int) -> None:
        """Show how many images of a part have been answered."""
        self._show(f"scoring {part}", done, total)

    def stages(self, work: str) -> Callable[[int, int], None]:
        """Return what shows the stages done of some work, such as "checking"."""
        return partial(self._show, work)

    def climbing(self) -> Watch:
        """Return what shows a ladder that is being climbed: one bar a training, and a line for each step that begins and ends."""
        from rung.reports.ladder_findings import reasons
        from rung.study.climb import Watch

        def begun(number: int, steps: int, name: str, candidates: Sequence[str]) -> None:
            self.line(f"step {number} of {steps}, {name}: {', '.join(candidates)}")

        return Watch(begun, self.training, lambda step: self.line(f"  {reasons(step)[0]}"), say)

    def training(self, job: Job, step: int, steps: int) -> None:
        """Show the steps of one of several trainings, until it has taken its last."""
        self._show(job.label, step, steps)
        if step >= steps and (task := self.tasks.pop(job.label, None)) is not None:
            self.bars.remove_task(task)

    def tried(self, trial: Trial, trials: int) -> None:
        """Show a trial of a search that has ended."""
        settings = ", ".join(f"{name} = {value}" for name, value in trial.settings.items())
        ended = f"{trial.value:.4f}" if trial.value is not None else f"{trial.state} after {plural(trial.epochs, 'epoch')}" if trial.epochs else trial.state
        self.line(f"trial {trial.number} ({trial.number + 1} of {trials}), {settings}: {ended}")

    def line(self, sentence: str) -> None:
        """Show a sentence, unless the command is to be quiet."""
        if not self.quiet:
            say(sentence)

    def _show(self, what: str, done: int, total: int, extra: str = "") -> None:
        if self.quiet:
            return
        if _errors.is_terminal:
            task = self.tasks.get(what)
            if task is None:
                task = self.tasks[what] = self.bars.add_task(what, total=total)
            self.bars.update(task, completed=done, total=total, description=f"{what} {extra}".strip())
            return
        now = time.monotonic()
        if now - self.said_at.setdefault(what, now) >= _PLAIN_EVERY_S:
            self.said_at[what] = now
            _errors.print(f"{what} {done}/{total} {extra}".strip())


@contextmanager
def bars(quiet: bool = False) -> Iterator[Bars]:
    """Give what shows the progress of a command."""
    shown = Bars(quiet)
    with shown.bars if _errors.is_terminal and not quiet else nullcontext():  # elsewhere its end would be an empty line
        yield shown


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Show on a terminal that something is being done whose end cannot be foreseen."""
    with _errors.status(what) if _errors.is_terminal else nullcontext():
        yield


def say(sentence: str) -> None:
    """Show a sentence on the error stream, above a progress bar if there is one."""
    _errors.print(visible(sentence), markup=False, soft_wrap=True)


def _table(*columns: str, numbers: Sequence[str] = (), prose: Sequence[str] = ()) -> Table:
    """Return a table without rows; only columns of prose may be broken into lines, so that ids, names and scores can be copied and searched."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold", no_wrap=column not in prose)
    return table


def _add(table: Table, *cells: str, style: str = "") -> None:
    """Add a row whose texts are shown as they are: a class may be called "[/b]", which would be an order to rich."""
    table.add_row(*(Text(visible(cell)) for cell in cells), style=style)


def _print_table(table: Table) -> None:
    """Print a table as wide as it is, without blanks at the ends of lines; on a terminal as wide as that, but with nothing cut and no word broken."""
    needed = Measurement.get(_output, _output.options.update_width(_UNLIMITED), table)
    breaks = any(not column.no_wrap for column in table.columns)  # else what does not fit would be cut
    table.width = min(max(_output.width, needed.minimum), needed.maximum) if _output.is_terminal and breaks else needed.maximum
    with _output.capture() as captured:
        _output.print(table)
    lines = captured.get().splitlines()
    _output.file.write("".join(f"{line.rstrip()}\n" for line in lines))


def percent(value: Mapping[str, Any]) -> str:
    """Write a score with its interval: 85.3 % (84.6..86.0), decimals as in `rung.words.percent`."""
    if value["value"] is None:
        return "undefined"
    if value["low"] is None:
        return f"{100 * value['value']:.1f} %"
    return f"{100 * value['value']:.1f} % ({100 * value['low']:.1f}..{100 * value['high']:.1f})"


def run(run: Run) -> None:
    """Show a finished run: its scores, findings, and where the report lies; warnings were said before its first step."""
    from rung.pipeline.reporting import report_input
    from rung.reports.findings import findings

    notes(run.read_data() | {"warnings": []}, _LISTED)
    scores = run.read_scores()
    table = _table("part", "accuracy", "macro F1", "log loss", numbers=("accuracy", "macro F1", "log loss"))
    for part, values in scores.items():
        _add(table, part, percent(values["accuracy"]), percent(values["macro_f1"]), f"{values['log_loss']['value']:.4f}")
    _print_table(table)
    _output.print("intervals: 95 %, over images")
    for finding in findings(report_input(run)):
        _output.print(f"- {finding.sentence}", markup=False)
    if "test" not in scores and run.read_data()["sealed"]:
        _output.print(f"The test part is sealed; when all is chosen: rung test {run.folder}", markup=False)
    _output.print(f"report: {run.report}", markup=False)


def readings(readings: Sequence[Reading]) -> None:
    """Show how files were read: how many, from where, in which time, and why not from the cache."""
    for reading in readings:
        known = f"{reading.known:,} of them from the cache" if reading.known else "none of them from the cache"
        kept = f", kept in {reading.cache}" if reading.cache else ""
        _output.print(f"read {reading.known + reading.decoded:,} files in {reading.seconds_s:.1f} s, {known}{kept}", markup=False)
        if reading.trouble:
            _output.print(f"read without the cache: {reading.trouble}", markup=False)


def opening(opening: Opening) -> None:
    """Show the scores of a test part, and how often these test images have been looked at."""
    from rung.reports.answers_findings import category_text

    scores = opening.scores.to_json()
    _output.print(f"test accuracy {percent(scores['accuracy'])}, macro F1 {percent(scores['macro_f1'])}; intervals: 95 %, over images")
    if scores["categories"]:
        _output.print(category_text("test", scores["categories"]), markup=False)
    again = " (this run had opened it before: the same scores again)" if opening.opened_before else ""
    _output.print(f"opening {opening.opening} of this test set{again}")


def data(report: DataReport) -> None:
    """Show what a data set holds."""
    values = report.to_json()
    height, width, channels = values["shape"]
    parts = {part: counts for part, counts in values["counts"].items() if sum(counts.values())}
    _output.print(
        f"{values['name']}: {sum(sum(c.values()) for c in parts.values())} images, {height} x {width}, {'grey' if channels == 1 else 'colour'}", markup=False
    )
    table = _table("class", *parts, numbers=tuple(parts))
    for name in values["classes"]:
        _add(table, name, *(str(counts.get(name, 0)) for counts in parts.values()))
    _add(table, "all", *(str(sum(counts.values())) for counts in parts.values()), style="bold")
    _print_table(table)
    if report.to_take:
        _output.print(report.to_take)
    notes(values, _LISTED)


def notes(values: Mapping[str, Any], listed: int) -> None:
    """Show what was left out or repaired in a description of data, `listed` files of each kind, and its warnings and remarks."""
    for word, title in (("dropped", "left out"), ("repaired", "repaired")):
        for note in values[word][:listed]:
            _output.print(f"{title}: {note['path']}: {note['reason']}", markup=False)
        if len(values[word]) > listed:
            _output.print(f"{title}: {len(values[word]) - listed} more files; rung data --json lists all")
    for word in ("warning", "remark"):
        for sentence in values[f"{word}s"]:
            _output.print(f"{word}: {sentence}", markup=False)


def check(found: CheckReport, page: Path | None) -> None:
    """Show the verdict of the checks of a data set and its problems, the gravest first, each with what to do."""
    from rung.reports.check_page import verdict

    _output.print(f"{found.name}: {verdict(found)}", markup=False)
    for problem in found.problems:
        _output.print(f"{problem.severity}: {problem.check}: {visible(problem.sentence)}", markup=False)
        _output.print(f"  {visible(problem.advice)}", markup=False)
    if found.clean:
        _output.print(f"clean: {', '.join(found.clean)}", markup=False)
    if found.too_few:
        _output.print(f"not looked at, too few images: {', '.join(found.too_few)}", markup=False)
    for cause in dict.fromkeys(found.unasked.values()):
        _output.print(f"not looked at before {cause} is mended: {', '.join(name for name, by in found.unasked.items() if by == cause)}", markup=False)
    if page is not None:
        _output.print(f"page: {page}", markup=False)


def preflight(found: Preflight) -> None:
    """Show what a pre-flight measured, and for each check that failed what is wrong and what to do."""
    table = _table("check", "result", "measured", prose=("measured",))
    for outcome in found.outcomes:
        _add(table, outcome.check, outcome.state, outcome.measured, style="bold red" if outcome.state == "failed" else "")
    _print_table(table)
    for outcome in found.outcomes:
        if outcome.state != "ok":
            _output.print(f"{outcome.state}: {outcome.check}: {outcome.sentence} {outcome.advice}".rstrip(), markup=False)
    states = [outcome.state for outcome in found.outcomes]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("ok", "failed", "skipped") if state in states)
    _output.print(f"{found.data}, recipe {found.recipe}, seed {found.seed}: {counts}; {duration(found.seconds)}", markup=False)


def runs(found: Sequence[RunSummary], root: Path) -> None:
    """Show a list of runs."""
    if not found:
        _output.print(f"there is no run in {root}", markup=False)
        return
    table = _table("run", "state", "epochs", "validation", "test", "problem", numbers=("epochs", "validation", "test"), prose=("problem",))
    for summary in found:
        accuracies = (summary.validation_accuracy, summary.test_accuracy)
        shown = ["" if value is None else f"{100 * value:.1f} %" for value in accuracies]
        epochs = "" if summary.state == "finished" and summary.epochs_planned is None else f"{summary.epochs}/{summary.epochs_planned or '?'}"
        _add(table, summary.run.id, summary.state, epochs, *shown, summary.problem or summary.failure or "")
    _print_table(table)


def comparison(found: Comparison, page: Path) -> None:
    """Show scores, differences and errors in common of several runs, and where the page lies."""
    from rung.reports import compare_findings, compare_page

    _print_texts(compare_page.score_table(found))
    if found.contrasts:
        _output.print()
        _print_texts(compare_page.difference_table(found))
    _output.print(compare_findings.intervals(found), markup=False)
    for one in found.differing:
        _output.print(f"differs: {one.sentence}", markup=False)
    sentences = (compare_findings.verdict(found), *compare_findings.differences(found), *compare_findings.errors(found), *found.notes)
    for sentence in sentences:
        _output.print(f"- {visible(sentence)}", markup=False)
    _output.print(f"page: {page}", markup=False)


def ladder(found: Ladder, folder: Path, file: Path, verb: str = "ladder") -> None:
    """Show each candidate of a ladder, what is known now, and what to do next; verb: the command that made it."""
    from rung.reports import ladder_findings, ladder_view
    from rung.study.ladder import PAGE

    whole = ladder_view.table(found)
    columns = [place for place, heading in enumerate(whole.headings) if heading not in _ON_THE_PAGE]
    outcome = whole.headings.index("outcome") if whole.rows else 0
    table = _table(*(whole.headings[place] for place in columns), numbers=tuple(whole.numbers))
    for row in whole.rows:
        _add(table, *(row[place] for place in columns), style="bold" if row[outcome].startswith("kept") else "")
    _print_table(table)
    for step in found.steps:
        for sentence in (*ladder_findings.reasons(step), *step.told):
            _output.print(f"{step.number} {visible(step.name)}: {visible(sentence)}", markup=False)
    for finding in ladder_findings.findings(found):
        if finding.kind not in _IN_STEPS:
            _output.print(f"- {visible(finding.sentence)}", markup=False)
    if found.ended and not found.tested:
        when = "when the ladder has all its steps" if verb == "ladder" else "when nothing more is to be tried"
        opened = f"has been opened {plural(found.opened, 'time')} by runs in this folder, and not yet by all of what is kept" if found.opened else "is sealed"
        _output.print(f"The test part {opened}; {when}: rung {verb} {file} --test", markup=False)
    _output.print(f"page: {folder / PAGE}", markup=False)


def search(found: Searched, folder: Path, file: Path) -> None:
    """Show the trials of a search, the best first, and the ladder of its best."""
    from rung.reports.search_table import trials_table

    _print_texts(trials_table(found.trials))
    for sentence in found.trials.told:
        _output.print(sentence, markup=False)
    _output.print()
    ladder(found.ladder, folder, file, "search")


def noise(found: Pilot) -> None:
    """Show what a pilot foretells."""
    from rung.study.noise import estimate_text, sentences

    table = _table("seeds a candidate", "smallest difference that shows", numbers=("seeds a candidate",))
    for seeds, estimate in found.smallest.items():
        _add(table, str(seeds), estimate_text(estimate, found.noise.share))
    _print_table(table)
    _output.print("in brackets: 95 % intervals, for the pilot is small itself")
    for sentence in sentences(found):
        _output.print(f"- {visible(sentence)}", markup=False)


def robust(found: RobustReport, page: Path) -> None:
    """Show how runs stand up to corrupted images, and where the page lies."""
    from rung.reports import robust_page

    _print_texts(robust_page.table(found))
    for sentence in (robust_page.verdict(found), *robust_page.sentences(found)):
        _output.print(f"- {visible(sentence)}", markup=False)
    _output.print(f"page: {page}", markup=False)


def bench(found: Bench, page: Path) -> None:
    """Show what recipes and peers reached in a race, who failed, and where the page lies."""
    from rung.reports import bench_page

    _print_texts(bench_page.table(found))
    for sentence in bench_page.sentences(found):
        _output.print(f"- {visible(sentence)}", markup=False)
    _output.print(f"page: {page}", markup=False)


def replay(found: Replay, command: str) -> None:
    """Show what is known of a replayed system; command: that goes on with it, without minutes."""
    from rung.reports import replay_text as texts

    system = found.system
    lines([f"{system.title}: {texts.task(found)}", texts.budget(found), *filter(None, [texts.at_small(found)])])
    for ladder in system.ladders:
        lines(["", ladder.title or ladder.name])
        _print_texts(texts.table(found, ladder.name), bold=texts.KEPT)
    lines(["", texts.tally(found)])
    for one in texts.judged(found):
        lines([f"- {one.verdict}: {texts.decision(found, one)}", f"  {one.sentence}"])
    if waiting := texts.waiting(found):
        lines([f"- {waiting}"])
    lines([f"- {stage.sentence}" for stage in found.gains])
    lines(["", *(f"mistake: {one.mistake.name}: {one.text} {one.mistake.lesson}" for one in texts.mistakes(found, {}))])
    lines([*found.told, texts.progress(found, command)])


def lines(texts: Sequence[str]) -> None:
    """Show texts as they are, a line each."""
    for text in texts:
        _output.print(visible(text), markup=False)


def _print_texts(texts: Texts, bold: str = "") -> None:
    """Print a table; bold: how the last cell of rows begins that are set in bold."""
    table = _table(*texts.headings, numbers=tuple(texts.numbers))
    for row in texts.rows:
        _add(table, *row, style="bold" if bold and row[-1].startswith(bold) else "")
    _print_table(table)


def cache(found: Sequence[Kept], root: Path | None, cleared: bool) -> None:
    """Show what the cache of decoded images holds, or what was removed from it."""
    if root is None:
        _output.print("there is no cache: RUNG_CACHE is off")
        return
    table = _table("data", "images", "size", "unused", "folder", numbers=("images", "size", "unused"))
    for one in found:
        _add(table, one.source, f"{one.images:,}", size(one.bytes), duration(one.unused_s), f"{one.folder.parent.name}/{one.folder.name}")
    if found:
        _print_table(table)
    all_of_them = size(sum(one.bytes for one in found))
    _output.print(f"removed {all_of_them} from {root}" if cleared else f"{all_of_them} in {root}", markup=False)


def ledger(openings: int, root: Path) -> None:
    """Show that the ledger of a folder of runs is whole, if it has one."""
    if openings:
        _output.print(f"ledger of {root}: {openings} opening{'' if openings == 1 else 's'} of test sets, no line changed", markup=False)


def answers(found: Sequence[Answer]) -> None:
    """Show what a run says of files, the likeliest class first."""
    for answer in found:
        path = visible(answer.path)
        if answer.problem:
            _output.print(f"{path}: not read: {visible(answer.problem)}", markup=False)
            continue
        best = sorted(answer.probabilities.items(), key=lambda entry: -entry[1])[:3]
        _output.print(f"{path}: " + ", ".join(f"{name} {100 * value:.1f} %" for name, value in best), markup=False)


def recipes(known: Mapping[str, str]) -> None:
    """Show the recipes by name."""
    table = _table("recipe", "what it is", prose=("what it is",))
    for name, text in known.items():
        _add(table, name, text)
    _print_table(table)
    _output.print("rung recipes NAME shows one")
