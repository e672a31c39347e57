"""Each finding appears when its numbers say so, and only then."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rung.errors import RunError
from rung.evaluate.intervals import wilson
from rung.evaluate.predictions import Predictions
from rung.reports import answers_findings, training_findings
from rung.reports.finding import LABELS, Finding
from rung.reports.findings import findings, verdict
from rung.reports.inputs import ReportInput

Answered = Callable[..., Predictions]
MakeReport = Callable[..., ReportInput]
Log = Callable[..., list[dict[str, Any]]]

FALLING = [2.0, 1.5, 1.2, 1.0, 0.9, 0.85, 0.8, 0.78]


def of_kind(report: ReportInput, kind: str) -> Finding | None:
    found = [finding for finding in findings(report) if finding.kind == kind]
    assert len(found) <= 1
    return found[0] if found else None


def balanced(right: int, wrong: int, classes: int = 4) -> list[list[int]]:
    """A confusion table with so many right and wrong answers in each class, the wrong ones going to the next class."""
    return [[right if i == j else wrong if j == (i + 1) % classes else 0 for j in range(classes)] for i in range(classes)]


@pytest.fixture
def plain(make_report: MakeReport, answered: Answered, log: Log) -> ReportInput:
    """A run with nothing remarkable in it: four equal classes, calibrated, both parts alike, a log that ends well."""
    parts = {"train": answered("train", balanced(180, 20), "abcd"), "validation": answered("validation", balanced(90, 10), "abcd")}
    return make_report(parts, log(FALLING), recipe={"train": {"epochs": 8}})


def with_answers(report: ReportInput, make_report: MakeReport, *predictions: Predictions) -> ReportInput:
    made = make_report({p.part: p for p in predictions}, report.rows, recipe={"train": {"epochs": 8}})
    return replace(made, data=made.data)


# verdict


def test_verdict_gives_score_interval_part_and_seal(make_report: MakeReport, answered: Answered) -> None:
    parts = {"train": answered("train", balanced(9, 1), "abcd"), "validation": answered("validation", balanced(90, 10), "abcd")}
    sentence = verdict(make_report(parts, sealed=25)).sentence.replace("\u202f", " ")
    assert sentence == "90.0 % of the 400 validation images are classified correctly (95 % interval 86.7 to 92.6 %); the test part (100 images) is sealed."
    assert "there is no test part" in verdict(make_report(parts)).sentence


def test_verdict_of_an_opened_test_part_says_which_opening(make_report: MakeReport, answered: Answered) -> None:
    parts = {"validation": answered("validation", balanced(9, 1), "abcd"), "test": answered("test", balanced(90, 10), "abcd")}
    found = verdict(make_report(parts, opening=3))
    assert "400 test images" in found.sentence
    assert found.sentence.endswith("this is opening 3 of this test set.")
    assert "validation" not in found.sentence


def test_verdict_on_training_images_says_so(make_report: MakeReport, answered: Answered) -> None:
    assert "which it was fitted on" in verdict(make_report({"train": answered("train", balanced(9, 1), "abcd")})).sentence


@pytest.mark.parametrize(("opening", "there"), [(1, False), (2, True), (None, False)])
def test_a_second_opening_is_a_finding(plain: ReportInput, opening: int | None, there: bool) -> None:
    assert (of_kind(replace(plain, opening=opening), "openings") is not None) == there


# which weights


def test_best_weights_chosen_on_validation_lean_to_the_optimistic_side(plain: ReportInput) -> None:
    sentence = of_kind(plain, "scored_weights").sentence
    assert "epoch 8 of 8, the best by validation loss (0.7800)" in sentence
    assert "lean to the optimistic side" in sentence


def test_last_weights_that_are_the_best_were_not_chosen(make_report: MakeReport, plain: ReportInput) -> None:
    report = make_report(plain.predictions, plain.rows, recipe={"train": {"epochs": 8, "keep": "last"}}, kept={"epoch": 8, "how": "the last epoch"})
    assert of_kind(report, "scored_weights").sentence.endswith("the best by validation loss (0.7800).")


def test_last_weights_where_another_epoch_was_better_cannot_be_told_apart_inside_the_noise(make_report: MakeReport, plain: ReportInput, log: Log) -> None:
    generator = np.random.default_rng(3)
    losses = [*(0.6 + 0.8 * np.exp(-np.arange(28) / 5) + 0.004 * generator.normal(size=28)), 0.5649, 0.5663]
    recipe = {"train": {"epochs": 30, "keep": "last"}}
    found = of_kind(make_report(plain.predictions, log(losses), recipe=recipe, kept={"epoch": 30, "how": "the last epoch"}), "scored_weights")
    assert "epoch 30 of 30, the last epoch, not of epoch 29" in found.sentence
    assert "0.5649 against 0.5663" in found.sentence
    assert "cannot be told" in found.sentence
    assert found.numbers["told_apart"] is False


def test_last_weights_far_from_the_best_are_told_apart(make_report: MakeReport, plain: ReportInput, log: Log) -> None:
    recipe = {"train": {"epochs": 12, "keep": "last"}}
    losses = [2.0, 1.5, 1.2, 1.0, 0.9, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4]
    found = of_kind(make_report(plain.predictions, log(losses), recipe=recipe, kept={"epoch": 12, "how": "the last epoch"}), "scored_weights")
    assert found.numbers["told_apart"] is True
    assert "more than one epoch's noise" in found.sentence


@pytest.mark.parametrize(("best", "told"), [(0.91, False), (0.99, True)])
def test_accuracies_are_told_apart_by_the_interval_of_the_score(make_report: MakeReport, plain: ReportInput, log: Log, best: float, told: bool) -> None:
    rows = log([1.0, 0.9, 0.8], validation_accuracy=[0.7, best, 0.9])
    recipe = {"train": {"epochs": 3, "keep": "last", "monitor": "validation_accuracy"}}
    found = of_kind(make_report(plain.predictions, rows, recipe=recipe, kept={"epoch": 3, "how": "the last epoch"}), "scored_weights")
    assert found.numbers["told_apart"] is told


def test_averaged_weights_are_called_so(make_report: MakeReport, plain: ReportInput) -> None:
    recipe = {"train": {"epochs": 8, "keep": "averaged", "ema_decay": 0.999}}
    assert "moving average (decay 0.999)" in of_kind(make_report(plain.predictions, plain.rows, recipe=recipe), "scored_weights").sentence


def test_without_validation_nothing_was_chosen(make_report: MakeReport, answered: Answered) -> None:
    rows = [{"epoch": 1, "learning_rate": 0.1, "train_loss": 1.0, "train_accuracy": 0.5}]
    recipe = {"train": {"epochs": 1, "keep": "last"}}
    report = make_report({"train": answered("train", balanced(9, 1), "abcd")}, rows, recipe=recipe, kept={"epoch": 1, "how": "the last epoch"})
    assert "no validation part" in of_kind(report, "scored_weights").sentence
    assert of_kind(report, "gap") is None


# gaps


def test_gap_interval_is_newcombes() -> None:
    """Newcombe 1998, table II, method 10, example (a): 56/70 - 48/80."""
    found = training_findings._gap("gap", "train", "validation", wilson(56, 70, 0.95).to_json(), wilson(48, 80, 0.95).to_json())
    assert found.numbers["low"] == pytest.approx(0.0524, abs=5e-5)
    assert found.numbers["high"] == pytest.approx(0.3339, abs=5e-5)


def test_a_bound_near_none_shows_its_side() -> None:
    found = training_findings._gap("gap", "train", "validation", {"value": 0.97, "low": 0.96, "high": 0.98}, {"value": 0.955, "low": 0.93, "high": 0.9661})
    assert "interval 0.01 to" in found.sentence


def test_a_gap_inside_the_noise_cannot_be_told(plain: ReportInput) -> None:
    assert "cannot be told from none" in of_kind(plain, "gap").sentence
    assert of_kind(plain, "test_gap") is None


def test_a_real_gap_is_named(plain: ReportInput, make_report: MakeReport, answered: Answered) -> None:
    parts = [answered("train", balanced(99, 1), "abcd"), answered("validation", balanced(90, 10), "abcd"), answered("test", balanced(60, 40), "abcd")]
    report = with_answers(plain, make_report, *parts)
    assert "better than new ones, by 9.0 points" in of_kind(report, "gap").sentence
    assert "by 30.0 points" in of_kind(report, "test_gap").sentence


# the log


def test_overfitting(plain: ReportInput, make_report: MakeReport, log: Log) -> None:
    losses = [1.0, 0.6, 0.45, 0.4, 0.42, 0.46, 0.5, 0.55, 0.6, 0.66]
    rows = log(losses, [0.9 * 0.75**i for i in range(10)])
    found = of_kind(make_report(plain.predictions, rows, recipe={"train": {"epochs": 10}}), "overfit")
    assert "from epoch 5" in found.sentence
    assert "0.4000 in epoch 4 to 0.6600 in epoch 10" in found.sentence
    assert of_kind(plain, "overfit") is None


def test_an_early_end_comes_with_its_reason(plain: ReportInput, make_report: MakeReport, log: Log) -> None:
    rows, kept = log([1.0, 0.5, 0.6, 0.7]), {"epoch": 2, "how": "best by validation_loss"}
    recipe = {"train": {"epochs": 30, "early_stopping": 2}}
    stopped = {**kept, "stopped": "early stopping: no better validation_loss for 2 epochs"}
    found = of_kind(make_report(plain.predictions, rows, recipe=recipe, kept=stopped), "ended_early")
    assert found.sentence == "The training ended after 4 of 30 planned epochs (early stopping: no better validation loss for 2 epochs)."
    by_callback = make_report(plain.predictions, rows, recipe=recipe, kept={**kept, "stopped": "a callback stopped it after epoch 4"})
    assert "(a callback stopped it after epoch 4)" in of_kind(by_callback, "ended_early").sentence
    assert of_kind(make_report(plain.predictions, rows, recipe=recipe, kept=kept), "ended_early").sentence.endswith("4 of 30 planned epochs.")
    assert of_kind(plain, "ended_early") is None


def test_diverged(plain: ReportInput, make_report: MakeReport, log: Log) -> None:
    broken = make_report(plain.predictions, log([1.0, 1.2, 1.5, 2, 3, 4, 5], [1.0, 1.2, 1.5, 2, 3, 4, 5]), recipe={"train": {"epochs": 7}})
    assert "since epoch 2" in of_kind(broken, "diverged").sentence
    assert of_kind(plain, "diverged") is None


@pytest.mark.parametrize(
    ("train", "monitored", "said"),
    [
        ({"loss": "mine.py:focal"}, "validation loss “focal”", "The losses of the curves are “focal”, your own; the log loss of the scores"),
        ({"loss": "mse", "monitor": "validation_objective"}, "validation loss “mse” with its L2 penalty", "The losses of the curves are “mse”; the log loss"),
        ({"label_smoothing": 0.1}, "validation loss with smoothing", "The losses of the curves have 10.0 % of each label spread over all classes"),
        ({"label_smoothing": 0.1, "monitor": "validation_objective"}, "validation loss with smoothing and its L2 penalty", "The losses of the curves have"),
        ({}, "validation loss", None),
    ],
)
def test_a_loss_that_is_not_the_log_loss_of_the_scores_is_named(
    make_report: MakeReport, plain: ReportInput, log: Log, train: dict[str, Any], monitored: str, said: str | None
) -> None:
    losses = [1.0, 0.6, 0.45, 0.4, 0.42, 0.46, 0.5, 0.55, 0.6, 0.66]
    report = make_report(plain.predictions, log(losses, [0.9 * 0.75**i for i in range(10)]), recipe={"train": {"epochs": 10, **train}})
    assert f"best by {monitored} (0.4000)" in of_kind(report, "scored_weights").sentence
    assert f"the {monitored.removesuffix(' with its L2 penalty').removesuffix(' and its L2 penalty')} rises" in of_kind(report, "overfit").sentence
    found = of_kind(report, "loss")
    assert found is None if said is None else found.sentence.replace("\u202f", " ").startswith(said)


def test_batch_norm_that_had_not_settled(make_report: MakeReport, answered: Answered, log: Log) -> None:
    """As Model S on the digits: 18 steps an epoch, momentum 0.99; right in training mode, wrong in evaluation mode."""
    losses = [2.30, 2.31, 2.33, 2.36, 2.40, 2.45, 2.5, 2.6]
    rows = [row | {"step": 18 * row["epoch"]} for row in log(losses, [2.4 - 0.25 * i for i in range(8)])]
    parts = {part: answered(part, balanced(27, 73), "abcd") for part in ("train", "validation")}
    recipe = {"train": {"epochs": 8}, "network": {"kind": "cnn", "batch_norm": "after_activation"}}
    unsettled = make_report(parts, rows, recipe=recipe, norm_memory=0.99)
    sentence = of_kind(unsettled, "batch_norm").sentence.replace("\u202f", " ")
    assert "right on 27.0 % of the training images in evaluation mode, and was on 40.0 % in training mode" in sentence
    assert "after 18 steps its averages (momentum 0.99) were still 83.5 % of what they started from" in sentence
    assert "set network.defaults = 'torch'" in sentence
    for kind in ("overfit", "plateau", "training_mode"):
        assert of_kind(unsettled, kind) is None, "what the validation of unsettled averages shows is not believed"
    torch_like = make_report(parts, rows, recipe={**recipe, "network": {"kind": "cnn", "defaults": "torch"}}, norm_memory=0.9)
    assert "network.defaults" not in of_kind(torch_like, "batch_norm").sentence
    without = make_report(parts, rows, recipe=recipe)
    settled = make_report(parts, [row | {"step": 1000 * row["epoch"]} for row in rows], recipe=recipe, norm_memory=0.99)
    for report in (without, settled):
        assert of_kind(report, "batch_norm") is None
        assert of_kind(report, "overfit") is not None
    good = {part: answered(part, balanced(90, 10), "abcd") for part in parts}
    assert of_kind(make_report(good, rows, recipe=recipe, norm_memory=0.99), "batch_norm") is None, "no harm is seen"


def test_a_log_that_lacks_the_scored_epoch_is_damaged(plain: ReportInput) -> None:
    with pytest.raises(RunError, match="the scored weights are of epoch 9, but the training log has 8 rows without it"):
        findings(replace(plain, kept={"epoch": 9, "how": "the last epoch"}))


def test_plateau_and_improving_exclude_what_is_not_there(plain: ReportInput, make_report: MakeReport, log: Log) -> None:
    flat = make_report(plain.predictions, log([1.0, *[0.5] * 9], validation_accuracy=[0.7, *[0.9] * 9]), recipe={"train": {"epochs": 10}})
    assert "since epoch 2 of 10" in of_kind(flat, "plateau").sentence
    assert of_kind(flat, "improving") is None
    steep = make_report(plain.predictions, log([2 - 0.1 * i for i in range(15)]), recipe={"train": {"epochs": 15}})
    assert "More epochs may give more" in of_kind(steep, "improving").sentence
    assert of_kind(steep, "improving").numbers["from"] == 10  # of 15: the last six, which tell that it improves
    assert of_kind(steep, "plateau") is None
    rows = [row | {"learning_rate": 0.1 * (1 - i / 15) ** 3} for i, row in enumerate(steep.rows)]
    assert "under 0.1" in of_kind(replace(steep, rows=rows), "improving").sentence
    assert "longer schedule" in of_kind(replace(steep, rows=rows), "improving").sentence


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({}, "training mode, while the weights change"),
        ({"augment": {"flip_horizontal": True}}, "on augmented images and while"),
        ({"augment": {"mixup_alpha": 0.2}}, "on mixed images and while"),
        ({"augment": {"fill": "zero"}}, "training mode, while the weights change"),
        ({"network": {"kind": "mlp", "dense": [8], "dense_dropout": 0.3}}, "with dropout and while"),
        ({"network": {"kind": "cnn", "block_dropout": [0.0, 0.1, 0.0]}, "augment": {"zoom_fraction": 0.1}}, "on augmented images, with dropout and while"),
    ],
)
def test_training_mode_says_what_is_on(plain: ReportInput, make_report: MakeReport, recipe: dict[str, Any], words: str) -> None:
    found = of_kind(make_report(plain.predictions, plain.rows, recipe=recipe), "training_mode")
    assert words in found.sentence
    assert "right on 90.0" in found.sentence
    assert found.numbers["training_mode"] == pytest.approx(1 - 0.9 * 0.78 / 4)


def test_training_mode_is_not_spoken_of_without_a_log(plain: ReportInput) -> None:
    assert of_kind(replace(plain, rows=[]), "training_mode") is None


# answers


@pytest.mark.parametrize(
    ("confusion", "words"),
    [
        ([[80, 0], [3, 17]], "better than that"),
        ([[78, 2], [16, 4]], "cannot tell"),
        ([[50, 30], [10, 10]], "worse than that"),
        ([[49, 1], [1, 49]], None),
    ],
)
def test_against_always_giving_the_commonest_answer(make_report: MakeReport, answered: Answered, confusion: list[list[int]], words: str | None) -> None:
    found = of_kind(make_report({"validation": answered("validation", confusion, ["benign", "malignant"])}), "chance")
    assert found is None if words is None else words in found.sentence


def test_a_balanced_network_that_guesses_is_called_so(make_report: MakeReport, answered: Answered) -> None:
    assert "cannot tell" in of_kind(make_report({"validation": answered("validation", [[10] * 4] * 4, "abcd")}), "chance").sentence


def test_classes_that_are_never_answered(plain: ReportInput, make_report: MakeReport, answered: Answered) -> None:
    silent = make_report({"validation": answered("validation", [[9, 0, 0], [2, 0, 0], [0, 0, 0]], ["cat", "dog", "none"])})
    found = of_kind(silent, "never_answered")
    assert found.sentence == "The network never answers “dog”, though 2 validation images are of that class."
    assert of_kind(plain, "never_answered") is None


def test_classes_above_and_below_average(plain: ReportInput, make_report: MakeReport, answered: Answered) -> None:
    confusion = [[200, 0, 0], [0, 180, 20], [80, 0, 120]]
    report = make_report({"validation": answered("validation", confusion, ["ship", "dog", "cat"])})
    assert of_kind(report, "above_average").sentence.startswith("“ship” (100.0")
    assert of_kind(report, "below_average").sentence.startswith("“cat” (60.0")
    assert of_kind(report, "classes_alike") is None
    assert "No class can be told from the mean" in of_kind(plain, "classes_alike").sentence
    assert of_kind(plain, "above_average") is None
    assert of_kind(plain, "below_average") is None


def test_one_hardest_pair(make_report: MakeReport, answered: Answered) -> None:
    confusion = [[60, 40, 0], [30, 70, 0], [1, 2, 97]]
    found = of_kind(make_report({"validation": answered("validation", confusion, ["cat", "dog", "ship"])}), "confusions")
    assert found.sentence.startswith("“cat” and “dog” are confused most")
    assert "(40 “cat” answered “dog”, 30 the other way)" in found.sentence


def test_pairs_that_cannot_be_ranked(make_report: MakeReport, answered: Answered) -> None:
    confusion = [[60, 22, 0, 0], [18, 60, 0, 0], [0, 0, 60, 20], [0, 0, 18, 60]]
    found = of_kind(make_report({"validation": answered("validation", confusion, "abcd")}), "confusions")
    assert "“a” and “b” (40) and “c” and “d” (38)" in found.sentence
    assert "cannot tell" in found.sentence


def test_few_errors_name_no_pair(make_report: MakeReport, answered: Answered) -> None:
    confusion = balanced(99, 0)
    confusion[0][1] = 3
    found = of_kind(make_report({"validation": answered("validation", confusion, "abcd")}), "confusions")
    assert "too few to say" in found.sentence
    assert "by count" in found.sentence
    once = of_kind(make_report({"validation": answered("validation", balanced(99, 1), "abcd")}), "confusions")
    assert once.sentence == "The 4 validation errors fall on 4 pairs of classes, on each once: too few to say which pair is hardest."
    assert of_kind(make_report({"validation": answered("validation", balanced(99, 0), "abcd")}), "confusions") is None


def test_many_errors_without_a_hardest_pair_are_not_called_few(make_report: MakeReport, answered: Answered) -> None:
    confusion = [[60 if i == j else 20 for j in range(6)] for i in range(6)]
    found = of_kind(make_report({"validation": answered("validation", confusion, "abcdef")}), "confusions")
    assert found.sentence.startswith("The 600 validation errors fall on 15 pairs of classes: too evenly to say which pair is hardest; the first by count is")


def test_two_classes_have_no_hardest_pair(make_report: MakeReport, answered: Answered) -> None:
    found = of_kind(make_report({"validation": answered("validation", [[50, 12], [5, 50]], ["benign", "malignant"])}), "confusions")
    assert found.sentence == "17 validation errors: 12 “benign” answered “malignant”, 5 the other way."


@pytest.mark.parametrize(("confidence", "there"), [(0.95, True), (0.8, False)])
def test_sure_and_wrong(make_report: MakeReport, answered: Answered, confidence: float, there: bool) -> None:
    report = make_report({"validation": answered("validation", balanced(90, 10), "abcd", confidence)})
    found = of_kind(report, "confident_mistakes")
    assert (found is not None) == there
    assert not there or found.sentence.startswith("All 40 wrong answers were")


def test_one_error_is_spoken_of_as_one(make_report: MakeReport, answered: Answered) -> None:
    confusion = balanced(99, 0)
    confusion[2][0] = 1
    report = make_report({"validation": answered("validation", confusion, "abcd", 0.95)})
    assert of_kind(report, "confusions").sentence == "There is 1 validation error: “c” answered “a”."
    sure = of_kind(report, "confident_mistakes").sentence.replace("\u202f", " ")
    look = "look at it under Worst mistakes in report.html, for a look-alike or a wrong label."
    assert sure == f"The only wrong answer was given with a confidence of 90 % or more: {look}"


def test_some_of_the_wrong_answers_are_sure(make_report: MakeReport, answered: Answered) -> None:
    made = answered("validation", balanced(90, 1), "abcd", 0.95)
    doubtful = made.logits.copy()
    wrong = np.flatnonzero(made.answers() != made.labels)
    doubtful[wrong[1:]] /= 2
    found = of_kind(make_report({"validation": replace(made, logits=doubtful)}), "confident_mistakes")
    assert found.sentence.startswith("1 of the 4 wrong answers was given")


@pytest.mark.parametrize(("confidence", "words"), [(0.99, "over-confident by 9.0 points"), (0.7, "under-confident by 20.0 points"), (0.9, "cannot tell")])
def test_calibration(make_report: MakeReport, answered: Answered, confidence: float, words: str) -> None:
    assert words in of_kind(make_report({"validation": answered("validation", balanced(90, 10), "abcd", confidence)}), "calibration").sentence


def test_calibrated_answers_are_rarely_called_otherwise(plain: ReportInput) -> None:
    called = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        confidence = generator.uniform(0.55, 1, 300)
        right = generator.random(300) < confidence
        logits = np.stack([np.log(confidence / (1 - confidence)), np.zeros(300)], axis=1).astype(np.float32)
        numbers = np.arange(300)
        predictions = Predictions("validation", ("a", "b"), logits, np.where(right, 0, 1), numbers, numbers)
        scores = {"validation": {"accuracy": wilson(int(right.sum()), 300, 0.95).to_json()}}
        finding = next(answers_findings.calibration(replace(plain, predictions={"validation": predictions}, scores=scores)))
        called += "cannot tell" not in finding.sentence
    assert called <= 18  # 5 % expected at most; 18 of 200 by chance once in 200 times


def test_uneven_training_classes(plain: ReportInput, make_report: MakeReport, answered: Answered) -> None:
    parts = {"train": answered("train", [[60, 0], [0, 20]], ["cat", "dog"])}
    kept = {"epoch": 1, "how": "the last epoch"}
    found = of_kind(make_report(parts, kept=kept), "imbalance")
    assert "60 images of “cat” and 20 of “dog”; the recipe does not even that out" in found.sentence
    evened = make_report(parts, kept=kept, recipe={"train": {"sampling": "balanced"}})
    assert "train.sampling = 'balanced' evens that out" in of_kind(evened, "imbalance").sentence
    weighted = make_report(parts, kept=kept, recipe={"train": {"class_weights": {"dog": 3.0}}})
    assert "the recipe gives the classes weights of its own in training" in of_kind(weighted, "imbalance").sentence
    assert of_kind(plain, "imbalance") is None


def test_files_and_copies(plain: ReportInput) -> None:
    assert of_kind(plain, "data") is None
    assert of_kind(plain, "copies") is None
    notes = [{"path": "a.jpg", "reason": "truncated"}]
    report = replace(plain, data=dict(plain.data) | {"dropped": notes, "repaired": notes * 2})
    assert of_kind(report, "data").sentence.startswith("1 file was left out and 2 files were repaired")


def test_near_duplicates_stand_beside_the_scores_without_them(plain: ReportInput) -> None:
    part = plain.shown_part
    scores = plain.scores[part]
    without = {"accuracy": scores["accuracy"] | {"value": 0.5, "low": 0.4, "high": 0.6}}
    report = replace(plain, scores={**plain.scores, part: {**scores, "twins": 2, "without_twins": without}})
    found = of_kind(report, "copies")
    assert f"2 {part} images of {scores['images']} have a near-duplicate in train; without them the accuracy is 50.0" in found.sentence
    assert found.numbers["accuracy_without"] == 0.5
    only = replace(plain, scores={**plain.scores, part: {**scores, "twins": 1, "without_twins": {}}})
    assert "1 " + part + " image of" in of_kind(only, "copies").sentence
    assert "these scores tell nothing about new images" in of_kind(only, "copies").sentence


def test_every_sentence_has_numbers_and_a_heading(digits_report: ReportInput, plain: ReportInput) -> None:
    for report in (digits_report, plain):
        for finding in [verdict(report), *findings(report)]:
            assert finding.kind in LABELS
            assert finding.numbers
            assert finding.sentence.endswith(".")
            assert any(character.isdigit() for character in finding.sentence)


def test_hostile_names_cannot_turn_a_sentence_around(make_report: MakeReport, answered: Answered) -> None:
    names = ["\u202eevil", b"caf\xe9".decode("utf-8", "surrogateescape"), "x" * 300]
    report = make_report({"validation": answered("validation", [[9, 30, 0], [9, 9, 0], [0, 0, 9]], names)})
    for finding in findings(report):
        finding.sentence.encode("utf-8")
        assert "\u202e" not in finding.sentence
        assert "x" * 60 not in finding.sentence
