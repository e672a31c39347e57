"""Finished runs of the digits, as small as they can be."""

from pathlib import Path

import pytest

import rung

THIN = {
    "data.per_class": 30,
    "split.seed": 0,
    "network.filters": [8],
    "network.batch_norm": "none",
    "train.epochs": 5,
    "train.batch_size": 16,
    "train.learning_rate": 0.01,
    "compute.threads": 1,
}
WIDE = THIN | {"network.filters": [16, 16], "train.epochs": 6}


@pytest.fixture(scope="session")
def few_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs thin-0, thin-1 and wide-0, wide-1 on the same rows, and other-rows; not to be changed."""
    folder = tmp_path_factory.mktemp("few")
    for seed in (0, 1):
        rung.train("digits", "digits", settings=THIN, seed=seed, out=folder, name=f"thin-{seed}")
        rung.train("digits", "digits", settings=WIDE, seed=seed, out=folder, name=f"wide-{seed}")
    rung.train("digits", "digits", settings=THIN | {"split.seed": 5, "train.epochs": 2}, out=folder, name="other-rows")
    return folder
