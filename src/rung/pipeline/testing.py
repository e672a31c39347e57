"""The one place where test images are scored, after the ledger says so."""

from __future__ import annotations

from functools import partial

from rung.data.imageset import test_set_key
from rung.errors import DataError
from rung.evaluate.vault import open_test
from rung.pipeline import execute, pictures, reporting
from rung.pipeline.execute import Scoring
from rung.pipeline.own_parts import check_read
from rung.pipeline.predicting import trained_network
from rung.pipeline.prepare import Prepared
from rung.store import ledger
from rung.store.run import Run


def open_and_score(run: Run, prepared: Prepared, scoring: Scoring | None = None) -> int:
    """Open the test part for a finished run and score it; returns the how-manieth opening of these images it is.

    scoring(part, done, total) is called with images answered.

    Raises: DataError if there is no test part; VerificationError if the ledger was changed; RunError if a metric that was passed in Python
    could not be read back: then nothing is opened.
    """
    if not len(prepared.splits.test):
        raise DataError(f"{run.id} has no test part ({prepared.splits.how}): train with split.test_fraction above 0, or give test images")
    check_read(prepared.own.metrics)
    network = trained_network(run, prepared.recipe).to(prepared.device())
    root = ledger.home(run.folder.resolve().parent)
    ledger.verify(root)
    opening = open_test(run, root, test_set_key(prepared.images, prepared.splits.test))
    predicted = execute.measure(run, prepared, network, "test", scoring and partial(scoring, "test"))
    execute.write_scores(run, prepared, {"test": predicted})
    pictures.save(run, prepared, predicted)
    reporting.write_report(run)
    return opening
