"""From the numbers of a run to sentences: each says only what its numbers show at the stated level, and says so where they cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rung.reports import answers_findings, training_findings
from rung.reports.finding import LABELS, Finding
from rung.reports.inputs import ReportInput
from rung.reports.tables import score_text
from rung.words import count, listing, percent, plural, points, quoted

__all__ = ["LABELS", "Finding", "findings", "verdict"]


def verdict(report: ReportInput) -> Finding:
    """Return the one sentence of the report: the accuracy with its interval, the part it is measured on, and what is known of the test part."""
    part = report.shown_part
    scores = report.scores[part]
    accuracy = scores["accuracy"]
    if part == "test":
        seal = f"; this is opening {report.opening} of this test set" if report.opening is not None else ""
    elif report.sealed_images:
        seal = f"; the test part ({plural(report.sealed_images, 'image')}) is sealed"
    else:
        seal = "; there is no test part"
    own = ", which it was fitted on," if part == "train" else ""
    share, interval = score_text(accuracy)
    sentence = f"{share} of the {count(scores['images'])} {part} images{own} are classified correctly{interval}{seal}."
    return Finding(
        "verdict", sentence, {"part": part, "images": scores["images"], "opening": report.opening, **{k: accuracy[k] for k in ("value", "low", "high")}}
    )


def findings(report: ReportInput) -> list[Finding]:
    """Return what the run shows, in the order a reader wants; what is not there is not said."""
    return list(_all(report))


def _all(report: ReportInput) -> Iterator[Finding]:
    yield from _openings(report)
    yield from _members(report)
    yield from _start(report)
    if report.rows:
        found = training_findings.read_curves(report)
        yield from training_findings.scored_weights(report, found)
        yield from training_findings.batch_norm(report)
        yield from training_findings.gap(report)
        yield from training_findings.overfitting(report, found)
        yield from training_findings.ending(report, found)
        yield from training_findings.training_mode(report, found)
        yield from training_findings.loss(report)
    else:
        yield from training_findings.gap(report)
    yield from answers_findings.against_guessing(report)
    yield from answers_findings.never_answered(report)
    yield from answers_findings.classes(report)
    yield from answers_findings.categories(report)
    yield from answers_findings.confusions(report)
    yield from answers_findings.confident_mistakes(report)
    yield from answers_findings.calibration(report)
    yield from answers_findings.imbalance(report)
    yield from _data(report)


def _openings(report: ReportInput) -> Iterator[Finding]:
    if report.opening is not None and report.opening > 1:
        sentence = (
            f"These test scores are of opening {report.opening} of this test set: what was decided since the first may lean on it, and then they are too good."
        )
        yield Finding("openings", sentence, {"opening": report.opening})


def _members(report: ReportInput) -> Iterator[Finding]:
    """Say which runs an ensemble is the mean of, and whether it answers more validation images rightly than the best of them."""
    if report.members is None:
        return
    names = listing([quoted(member.run) for member in report.members.members])
    known = [member.accuracy for member in report.members.members if member.accuracy is not None]
    said = f"This run is {report.members.words}: {names}. Nothing was trained for it."
    if "validation" not in report.scores or len(known) < len(report.members.members):
        yield Finding("members", said, {})
        return
    own = float(report.scores["validation"]["accuracy"]["value"])
    beside = f"{points(abs(own - max(known)))} {'above' if own > max(known) else 'below'}" if own != max(known) else "just as good as"
    said += f" By themselves they have {percent(min(known))} to {percent(max(known))} on validation; their mean is {beside} the best of them."
    yield Finding("members", said, {"accuracy": own, "lowest": min(known), "highest": max(known)})


def _start(report: ReportInput) -> Iterator[Finding]:
    """Say from which run's weights the training began."""
    if start := report.data.get("start"):
        sentence = f"The training began from the kept weights of {quoted(start['run'])} (SHA-256 {start['weights_sha256'][:16]}..); a copy lies in this run."
        yield Finding("start", sentence, start)


def _data(report: ReportInput) -> Iterator[Finding]:
    """Say how many files were left out or repaired, and how many images are in two of the parts that the data bring."""
    counts = {"left out": len(report.data.get("dropped", ())), "repaired": len(report.data.get("repaired", ()))}
    if any(counts.values()):
        said = listing([f"{plural(n, 'file')} {'was' if n == 1 else 'were'} {what}" for what, n in counts.items() if n])
        yield Finding("data", f"{said}; each is listed with its reason under Data.", counts)
    for part, scores in report.scores.items():
        if scores.get("twins"):
            yield _twins(part, scores)


def _twins(part: str, scores: Mapping[str, Any]) -> Finding:
    """Say how many images of a part have a near-duplicate in train, and what the accuracy is without them."""
    images = f"{plural(scores['twins'], f'{part} image')} of {count(scores['images'])} {'has' if scores['twins'] == 1 else 'have'} a near-duplicate in train"
    numbers = {"part": part, "twins": scores["twins"], "images": scores["images"]}
    if not scores["without_twins"]:
        return Finding("copies", f"{images}: these scores tell nothing about new images.", numbers)
    with_all, without = scores["accuracy"], scores["without_twins"]["accuracy"]
    share, interval = score_text(without)
    sentence = f"{images}; without {'it' if scores['twins'] == 1 else 'them'} the accuracy is {share}{interval}, with all {score_text(with_all)[0]}."
    return Finding("copies", sentence, numbers | {"accuracy": with_all["value"], "accuracy_without": without["value"]})
