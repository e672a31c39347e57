"""A handful of the faults that benchmarks/faults.py plants in real CIFAR-10 images, through rung.check with all its checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.faults import false_alarms, found_by_check, named_by
from benchmarks.faults_planted import FAULTS, UNCHANGED
from benchmarks.faulty import Sample, sample

pytestmark = pytest.mark.cifar
FEW = (
    "planes read as pixels",
    "labels of test shuffled",
    "test images in 0..1",
    "a class lacking in train",
)


@pytest.fixture(scope="module")
def given(cifar_official: Path) -> Sample:
    """2,000 training and 500 test images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNG_DATA", str(cifar_official))
        return sample(2_000, 500)


@pytest.mark.parametrize("name", FEW)
def test_a_fault_is_named_by_its_check_and_no_other_check_raises_an_error(name: str, given: Sample) -> None:
    report = found_by_check(FAULTS[name], given)
    assert named_by(FAULTS[name], report), report.problems
    assert false_alarms(FAULTS[name], report) == []


def test_images_as_they_are_raise_no_error_and_match_no_fault(given: Sample) -> None:
    report = found_by_check(UNCHANGED, given)
    assert report.errors == 0
    assert [name for name, fault in FAULTS.items() if named_by(fault, report)] == []


def test_at_least_thirty_four_faults_of_all_checks_are_planted() -> None:
    from rung.audit.check import CHECKS

    assert len(FAULTS) >= 34
    assert {fault.check for fault in FAULTS.values()} == set(CHECKS)
