"""Augmentation acts, varies and keeps labels."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rung.audit.preflight import augmenting
from rung.audit.preflight.augmenting import Judged, Views
from rung.recipe import Augment

PLAIN = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(3))
FLIPPED = PLAIN.flip(3)
HALF = torch.cat([FLIPPED[:20], PLAIN[20:]])
VIEWS = Views(PLAIN, {"flip_horizontal": HALF}, HALF, torch.cat([PLAIN[:20], FLIPPED[20:]]), HALF, HALF, HALF)


def test_augmentation_that_is_set_and_not_used_is_found() -> None:
    assert augmenting.acts(VIEWS, 0.5, 64).state == "ok"
    assert "none of the 64 that the network was given in the first steps was changed" in augmenting.acts(VIEWS, 0.0, 64).sentence
    assert "changed none of 40 images" in augmenting.acts(replace(VIEWS, first=PLAIN), 0.0, 64).sentence
    idle = replace(VIEWS, each={"flip_horizontal": HALF, "zoom_fraction": PLAIN})
    assert "zoom_fraction alone changed none of 40 images." in augmenting.acts(idle, 0.5, 64).sentence


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"second": HALF}, "All of 40 images are the same in two epochs."),
        ({"alike": PLAIN[:1].expand(40, -1, -1, -1)}, "40 rows with the same image are all changed alike"),
        ({"again": PLAIN}, "come out otherwise the second time"),
        ({"apart": PLAIN}, "depends on the batch it is in"),
    ],
)
def test_augmentation_varies_between_epochs_and_images_and_repeats_itself(fields: dict[str, Any], message: str) -> None:
    flips = Augment(flip_horizontal=True)
    assert augmenting.varies(VIEWS, flips, 0).state == "ok"
    found = augmenting.varies(replace(VIEWS, **fields), flips, 0)
    assert found.state == "failed"
    assert message in found.sentence


def test_mixup_draws_once_a_step_and_may() -> None:
    alike = replace(VIEWS, alike=PLAIN[:1].expand(40, -1, -1, -1), apart=PLAIN)
    assert augmenting.varies(alike, Augment(mixup_alpha=0.4), 0).state == "ok"
    assert augmenting.on(Augment(mixup_alpha=0.4, fill="edge", flip_vertical=True)) == ["flip_vertical", "mixup_alpha"]


def judged(after: np.ndarray, far: np.ndarray | None = None, plain: np.ndarray | None = None) -> Judged:
    labels = np.arange(400) % 4
    return Judged(labels, labels if plain is None else plain, {"turn()": (after, np.ones(400) if far is None else far)}, tuple("abcd"), 2000)


def test_augmentation_that_turns_labels_into_others_is_found() -> None:
    labels = np.arange(400) % 4
    assert augmenting.keeps_labels(judged(labels)).state == "ok"
    found = augmenting.keeps_labels(judged((labels + 1) % 4))
    assert found.state == "failed"
    assert "'a', recognised in 100" in found.sentence
    assert "taken for 'b' in 100" in found.sentence


def test_one_class_that_becomes_another_is_found_though_most_survives() -> None:
    labels = np.arange(400) % 4
    found = augmenting.keeps_labels(judged(np.where(labels == 2, 3, labels)))
    assert found.numbers["survives_turn()"] > 0.6
    assert "'c', recognised in 100" in found.sentence


def test_what_happens_to_every_third_image_does_not_hide_behind_the_others() -> None:
    labels = np.arange(400) % 4
    third = np.arange(400) % 3 == 0
    found = augmenting.keeps_labels(judged(np.where(third, (labels + 1) % 4, labels), far=np.where(third, 2.0, 1.0)))
    assert found.state == "failed"


def test_a_judge_that_knows_nothing_says_nothing() -> None:
    labels = np.arange(400) % 4
    assert "knows too little" in augmenting.keeps_labels(judged(labels, plain=np.zeros(400, dtype=np.int64))).sentence
    assert "too few to judge by" in augmenting.keeps_labels(judged(labels, far=np.eye(400)[0])).sentence
