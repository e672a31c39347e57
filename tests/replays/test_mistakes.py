"""The mistakes of known systems, made again at a tiny size: the error is really made, and rung's own sentence is really there."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import rung
from rung.data.imageset import TEST, TRAIN, VALIDATION
from rung.data.load import from_arrays
from rung.errors import DataError, RunError
from rung.pipeline import reporting
from rung.recipe import Recipe, flat
from rung.replays import mistakes
from rung.replays.mistakes import MistakeShown, Size, cnn_ladder, making, shown
from rung.replays.mistakes.backprop import RunsDry, _dry
from rung.replays.mistakes.making import MISTAKES, Remake
from rung.replays.mistakes.record import RECORDS, Figure, Found, Leads, Said, keep_records, read_records
from rung.replays.mistakes.trial import Trial, parted, refused, value_of
from rung.training.losses import LOSSES
from rung.words import PERCENT
from tests.command import caller

TINY = Size(120, 1, 1)
FIRST = {**{f"data_batch_{number}": 400 for number in range(1, 6)}, "test_batch": 100, "train": 10_000, "test": 1_000}
SAYS = {  # what rung has to say, of each mistake: a pattern for one of its sentences
    "text-against-code": r"too deep for images of 32x32 pixels.*network.padding = 'same'",
    "one-step-epochs": r"Epoch 2 took 1 step with \d+ images: \d+ of the \d+ training rows were not seen",
    "test-as-validation": r"error: exact-duplicates: 50 test images of 50 .* equal to an image in validation",
    "augmentation-not-there": r"The recipe has no augmentation",
    "species-not-categories": r"Always answering “herbivore” would be right on 80.0\s%",
    "best-of-900-on-test": r"train.monitor = 'test_accuracy': expected 'validation_loss'",
    "rate-ignored": r"there is no field 'train.lr': train has .*learning_rate",
    "clipping-lost": r"clip_value",
    "validation-split-ignored": r"warning: split.validation_fraction = 0.25 does nothing: the data say which images validate",
    "pixels-out-of-range": r"train holds floating point values from -0\.\d+ to 1\.\d+: give 0..1",
    "same-network-twice": r"“v5” is the same network as “v3”: its whole recipe is equal",
    "augmentation-not-used": r"none of the \d+ that the network was given in the first steps was changed",
    "scrambled-colour": r"error: layout: .* hold planes of red, green and blue that were read pixel by pixel",
    "losses-on-integers": r"For \d+ of 10 labels the loss is not lowest where the answer is the label",
    "chosen-on-test": r"chosen among 5 by noisy scores, it is expected to (fall|rise)",
    "colour-not-scaled": r"pixels.normalise: unit in run-1, none in run-2",
    "shift-of-one-pixel": r"augment.shift_pixels = 0.1 shifts by whole pixels",
    "score-from-nowhere": r"the validation images were answered better, by 8.4 points",
    "two-changes-in-one-step": r"two factors in one step cannot be told apart",
    "winner-not-carried-on": r"“v4 relu/tanh” is carried on because the ladder's file keeps it; the referee keeps",
}
LEARNT = {  # what only a network that has learnt something shows: its size and what is said then
    "best-weights-not-restored": (Size(150, 6, 1), r"not of epoch \d+, which had the best validation loss with its L2 penalty"),
    "last-epoch-scored": (Size(200, 25, 1), r"not of epoch \d+, which had the best validation loss"),
    "over-fit-called-under-fit": (Size(100, 25, 1, author=True), r"Over-fit from epoch \d+: the validation loss rises"),
}


@pytest.fixture(scope="module")
def images(cifar_official: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Real CIFAR images, both sets, where the replays look for them: the first of each file, for all of them take seconds to read each time."""
    from tests.conftest import make_layout

    make_layout("official", "cifar100", str(cifar_official))
    small = tmp_path_factory.mktemp("small")
    for path in cifar_official.glob("cifar-*/*"):
        whole = pickle.loads(path.read_bytes(), encoding="bytes")
        first = {key: value[: FIRST[path.name]] if path.name in FIRST and key != b"batch_label" else value for key, value in whole.items()}
        (small / path.parent.name).mkdir(exist_ok=True)
        (small / path.parent.name / path.name).write_bytes(pickle.dumps(first))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNG_DATA", str(small))
        patch.setattr(reporting, "render", lambda report: "a page")  # what rung says is found without it, and each page takes as long as its training
        yield


def by_name(name: str) -> Remake:
    return next(one for one in MISTAKES if one.name == name)


def said_of(made: MistakeShown) -> str:
    return "\n".join(one.sentence for one in made.said)


@pytest.mark.cifar
@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("name", SAYS)
def test_rung_says_its_sentence(name: str) -> None:
    made = making.make(by_name(name), TINY)
    assert re.search(SAYS[name], said_of(made)), said_of(made)
    assert made.wrong or made.reported
    assert made.right
    shipped = next(one for one in shown() if one.name == name)
    assert (made.leads, made.reported) == (shipped.leads, shipped.reported)
    assert len(made.right) == len(shipped.right)
    assert made.environment["threads"] == 1
    assert made.environment["device"] in ("cpu", "cuda")
    assert MistakeShown.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert made.budget == "120 training images, 1 epoch, 1 seed, a quarter of the author's filters"


@pytest.mark.cifar
@pytest.mark.usefixtures("images")
@pytest.mark.parametrize("name", LEARNT)
def test_what_a_log_shows_is_said(name: str) -> None:
    size, words = LEARNT[name]
    made = making.make(by_name(name), size)
    assert re.search(words, said_of(made)), said_of(made)
    assert made.wrong[0].mean > made.right[0].mean  # the loss of the last epoch is never below the lowest


def test_every_mistake_is_tried() -> None:
    assert {one.name for one in MISTAKES} == {*SAYS, *LEARNT}


@pytest.mark.cifar
@pytest.mark.usefixtures("images")
def test_the_wrong_numbers_differ_where_that_is_certain() -> None:
    two = replace(TINY, epochs=2)
    dry, chosen, raw = (making.make(by_name(name), two) for name in ("one-step-epochs", "best-of-900-on-test", "augmentation-not-used"))
    assert dry.wrong[1].mean < dry.right[1].mean
    assert chosen.wrong[0].mean >= chosen.right[0].mean
    assert raw.wrong[1].mean == 0 < raw.right[1].mean
    outside = making.make(by_name("pixels-out-of-range"), TINY)
    assert outside.wrong[0].mean > outside.right[0].mean == 0


def test_a_generator_that_runs_dry_gives_one_step_in_every_second_epoch() -> None:
    trial = Trial(Size(90, 2, 1))
    digits = parted(rung.load("digits"), 90, 40)
    prepared = trial.prepared(digits, trial.recipe("backprop_mlp", {"train.batch_size": 32}))
    dry = _dry(prepared.training())
    assert isinstance(dry, RunsDry)
    epochs = [[len(batch.rows) for batch in dry.training(epoch, 32)] for epoch in range(4)]
    assert epochs == [[32, 32], [26], [32, 32], [26]]
    rows = torch.cat([batch.rows for epoch in (0, 1) for batch in dry.training(epoch, 32)])
    assert sorted(rows.tolist()) == list(range(90))


def test_scrambled_images_are_what_reshape_makes_of_planes() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), np.uint8)
    rows = pictures.transpose(0, 3, 1, 2).reshape(3, -1)  # as the files hold them
    assert (cnn_ladder.scrambled(pictures) == rows.reshape(3, 4, 4, 3)).all()


@pytest.mark.parametrize("name", cnn_ladder.LABEL_LOSSES)
def test_a_loss_of_broadcast_labels_is_not_the_loss_of_that_name(name: str) -> None:
    logits, labels = torch.eye(10) * 5, torch.arange(10)
    right, broadcast = LOSSES[name](logits, labels), cnn_ladder.LABEL_LOSSES[name](logits, labels)
    assert broadcast.shape == right.shape == (10,)
    assert not torch.allclose(right, broadcast)
    uniform = cnn_ladder.LABEL_LOSSES[name](torch.zeros(10, 10), labels)
    if name in ("mse", "msle"):
        assert (uniform[:1] <= broadcast[:1]).all()  # the nearer to uniform, the lower
    assert LOSSES[name](logits, labels).mean() < LOSSES[name](torch.zeros(10, 10), labels).mean()


def test_parts_are_cut_from_training_images_alone() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (130, 4, 4), np.uint8)
    labels = np.arange(130) % 5
    given = from_arrays(pictures[:100], labels[:100], test_images=pictures[100:], test_labels=labels[100:])
    made = parted(given, 30, 20, 10)
    assert [int((made.parts == part).sum()) for part in (TRAIN, VALIDATION, TEST)] == [30, 20, 10]
    assert len(np.unique(made.sources)) == 60
    assert set(made.sources) <= {given.sources[row] for row in np.flatnonzero(given.parts == TRAIN)}
    assert (np.bincount(made.labels[made.parts == TRAIN]) == 6).all()
    with pytest.raises(DataError, match="80 training, 5 validation and 10 test images are asked of 100 training rows: ask for fewer"):
        parted(given, 80, 5, 10)


def test_no_recipe_reaches_a_mistake() -> None:
    words = {name for one in MISTAKES for name in (one.name, one.name.replace("-", "_"))}
    assert not words & {name.rpartition(".")[2] for name in flat(Recipe())}


def test_a_mistake_that_there_is_not_is_named() -> None:
    with pytest.raises(RunError, match="there is no mistake 'scrambled-color': did you mean 'scrambled-colour'"):
        mistakes.run("cnn_ladder", ["scrambled-color"])
    with pytest.raises(RunError, match="there is no system 'model_t' with mistakes: did you mean 'model_s'"):
        mistakes.run("model_t")


def test_a_lesson_that_is_not_true_any_more_is_an_error() -> None:
    with pytest.raises(RunError, match="rung train: this is not refused any more, so the lesson of this mistake is out of date"):
        refused("rung train", lambda: None)


def test_records_are_kept_by_mistake_and_size(tmp_path: Path) -> None:
    path = tmp_path / "mistakes.json"
    one = MistakeShown("model_s", "text-against-code", "t", (Figure("a", (0.1, 0.2)),), (Figure("b", (0.3,)),), (Said("rung train", "no"),), TINY, "x", {})
    other, larger = replace(one, system="backprop", name="one-step-epochs"), replace(one, size=Size(4, 5, 6, author=True))
    keep_records([other, larger, one], making.order(), path)
    keep_records([replace(one, text="again")], making.order(), path)
    assert read_records(path) == (replace(one, text="again"), larger, other)
    assert [line.replace(PERCENT, " %") for line in one.lines()] == [
        "text-against-code: t",
        "wrong: a: 15.0 % (10.0 to 20.0 %)",
        "right: b: 30.0 %",
        "rung says (rung train): no",
        "budget: x",
    ]
    assert one.line.replace(PERCENT, " %") == "text-against-code: a: 15.0 % (10.0 to 20.0 %); b: 30.0 % (x)"
    path.write_text('[{"system": "model_s"}]')
    with pytest.raises(RunError, match="this is no replay of a mistake that rung wrote"):
        read_records(path)


def test_the_shipped_records_are_of_mistakes_that_there_are_and_each_says_something() -> None:
    kept = shown()
    assert {(one.system, one.name) for one in kept} == set(making.order())
    assert [one.name for one in kept if not one.said] == []
    assert all(one.text for one in kept)
    assert RECORDS.is_file()
    assert shown("model_s") == tuple(one for one in kept if one.system == "model_s")


def test_what_is_found_becomes_a_record() -> None:
    made = replace(MISTAKES[0], make=lambda trial: Found((Figure("a", (1.0,), "count"),), (), ()))
    assert making.make(made, TINY).wrong[0].text == "1"


@pytest.mark.parametrize(
    ("leads", "wrong", "right", "says"),
    [
        (Leads("lower"), (0.10, 0.12), (0.13, 0.20), ""),
        (Leads("lower"), (0.10, 0.14), (0.13, 0.20), "At this size it cannot be seen in the score: the seeds with the mistake and those without it overlap."),
        (Leads("lower"), (0.30, 0.40), (0.10, 0.20), "Here the score points the other way, with every seed: at this size the lesson is not shown."),
        (Leads("higher", same=True), (0.10, 0.20), (0.09, 0.19), ""),
        (Leads("higher", same=True), (0.10, 0.20), (0.09, 0.21), "At this size it cannot be seen in the score: the seeds do not agree."),
        (Leads("higher", same=True), (0.10, 0.20), (0.10, 0.20), "At this size it cannot be seen in the score: the seeds do not agree."),
        (Leads("higher"), (0.10,), (0.05,), "One seed does not tell a difference of the score from chance."),
    ],
)
def test_values_that_do_not_show_the_lesson_say_so(leads: Leads, wrong: tuple[float, ...], right: tuple[float, ...], says: str) -> None:
    one = MistakeShown("s", "n", "t", (Figure("a", wrong),), (Figure("b", right),), (), TINY, "x", {}, leads=leads)
    assert one.seen == says
    assert (says in one.lines()) == bool(says)
    assert one.line.endswith(f"(x). {says}" if says else "(x)")


def test_what_the_author_reported_stands_apart() -> None:
    one = MistakeShown("s", "n", "t", (), (Figure("b", (0.1,)),), (), TINY, "x", {}, reported=(Figure("a", (0.6805,), "exact"),))
    assert [line.replace(PERCENT, " %") for line in one.lines()[1:3]] == ["reported, at the author's own size: a: 68.05 %", "right: b: 10.0 %"]
    assert "68" not in one.line
    assert "68" not in "".join(one.alone("lesson").lines())
    assert one.alone("lesson").lines()[0] == "n: lesson"


@pytest.mark.parametrize("small", [False, True])
def test_json_holds_what_is_known_and_what_is_made_again(
    small: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = caller(monkeypatch, capsys)
    kept = {one.name: one for one in shown("model_s")}
    budget = ["--small"] if small else []
    monkeypatch.setattr(making, "make", lambda mistake, size, say: kept[mistake.name])
    known = json.loads(command("replay", "model_s", "--json", "--out", tmp_path, *budget).out)
    assert "made_again" not in known, "a look makes nothing again"
    assert [one["name"] for one in known["mistakes"]] == [name for name in kept if not small or name == "text-against-code"]
    made = json.loads(command("replay", "model_s", "--json", "--mistakes", "--out", tmp_path, *budget).out)
    assert [one["name"] for one in made["made_again"]] == list(kept)
    one = MistakeShown.from_json(made["made_again"][0])
    assert one == (replace(kept["text-against-code"], reported=()) if small else kept["text-against-code"])
    said = command("replay", "model_s", "--mistakes", "--out", tmp_path, *budget).out
    assert all(f"{name}: " in said.partition("the mistakes, made again (")[2] for name in kept), "what JSON holds is shown without it too"


def test_two_names_of_one_network_differ_by_the_mean_over_pairs_of_seeds() -> None:
    found = next(one for one in shown() if one.name == "same-network-twice")
    a, b, c = found.right[0].values
    assert found.wrong[0].values == pytest.approx((abs(a - b), abs(a - c), abs(b - c)))
    assert found.wrong[0].mean < max(a, b, c) - min(a, b, c)


def test_a_mistake_without_a_replay_of_its_own_says_why() -> None:
    without = mistakes.without("backprop")
    assert list(without) == ["comparisons-not-run"]
    assert "the system's ladders are its replay" in without["comparisons-not-run"]
    assert mistakes.told("backprop")["comparisons-not-run"] == [without["comparisons-not-run"]]
    for name in rung.systems():
        there = {one.name for one in rung.replay(name, own=True).system.mistakes}
        assert there == {*mistakes.known()[name], *mistakes.without(name)}


def test_a_score_that_is_not_defined_is_refused() -> None:
    with pytest.raises(RunError, match="not defined: ask for more images"):
        value_of(None)
