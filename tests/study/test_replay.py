"""Rows with what ran of them, and what decisions are worth."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rung import replays
from rung.reports import replay_page
from rung.study.decisions import judged
from rung.study.replay import Budget, Judgement, Replay, RunRecord, replayed
from rung.study.system import System, read_system
from rung.study.system_rows import Place, places
from tests.study.made_systems import LADDER, SYSTEM, make_system, record

Skill = Callable[[Place, int], float | None]


@pytest.fixture
def system(tmp_path: Path) -> System:
    return read_system(make_system(tmp_path))


def ran(system: System, skill: Skill, budget: Budget = "whole", images: int = 500) -> Replay:
    """Return the replay of a system whose rows have the accuracies that `skill` says; None: not run."""
    wanted = places(system, budget == "small")
    known = {place.identity: place for place in reversed(wanted)}.values()
    made = [record(place, seed, value, images) for place in known for seed in place.seeds if (value := skill(place, seed)) is not None]
    return judged(replayed(system, budget, wanted, made))


def by_candidate(start: float, kept: float, spread: float = 0.004) -> Skill:
    return lambda place, seed: {"start": start, "8-16": kept}.get(place.candidate, 0.8) + spread * (seed - 1)


def filters(replay: Replay) -> Judgement:
    return replay.judgements[0]


def test_runs_stand_at_every_name_of_a_training(system: System) -> None:
    found = ran(system, by_candidate(0.7, 0.9))
    kept, again = found.row("base", "filters", "8-16"), found.row("base", "batch", "64")
    assert (kept.same_as, again.same_as) == (None, kept.name)
    assert [run.run for run in again.runs] == [run.run for run in kept.runs] == [kept.place.key(seed) for seed in (0, 1, 2)]
    score, gap = kept.score(), kept.gap()
    assert score is not None
    assert gap is not None
    assert (score.mean, score.seeds, gap.mean) == (pytest.approx(0.9), 3, pytest.approx(0.05))
    assert score.low is not None
    assert score.low < 0.9
    assert len(found.trainings) == 3 * 5
    assert (found.missing, found.hours_left()) == ((), 0)


@pytest.mark.parametrize("budget", ["whole", "small"])
def test_parameters_of_a_row_that_has_not_run_are_those_of_the_same_network(system: System, budget: Budget) -> None:
    """Reported is 4,466 of [8, 16]; of the others nothing."""
    nothing = ran(system, lambda place, seed: None, budget)
    assert [row.known_parameters for row in nothing.shown] == [None, None, 4466, 4466, 4466, 4466]
    some = ran(system, lambda place, seed: 0.9 if place.candidate == "32" else None, budget)
    assert [row.known_parameters for row in some.shown[2:]] == [4466 if budget == "whole" else 100, 100, 100, 100], "what ran goes before what was reported"
    assert [one["parameters"] for one in some.to_json()["rows"]] == [row.known_parameters for row in some.shown]


def test_what_the_small_budget_makes_another_network_has_not_the_parameters_that_were_reported(tmp_path: Path) -> None:
    text = SYSTEM.replace("settings = { data.per_class = 20", "settings = { network.kernel_size = 5, data.per_class = 20")
    found = ran(read_system(make_system(tmp_path, text)), lambda place, seed: None, "small")
    assert {row.known_parameters for row in found.rows} == {None}


def test_starts_of_later_steps_are_left_out_of_tables(system: System) -> None:
    names = [row.name[1:] for row in ran(system, by_candidate(0.7, 0.9)).shown]
    assert names == [("filters", "start"), ("filters", "8"), ("filters", "8-16"), ("batch", "32"), ("batch", "64"), ("stage 2", "start")]


def test_what_is_missing_and_how_long_it_takes(system: System) -> None:
    found = ran(system, lambda place, seed: 0.9 if place.candidate == "8-16" else None)
    assert len(found.missing) == 12
    assert found.hours_left() == pytest.approx(12 * 36 / 3600)
    assert ran(system, lambda place, seed: None).hours_left() is None
    costs = {row.place.identity: 10.0 if row.candidate == "8-16" else 20.0 for row in found.rows if row.same_as is None}
    assert replace(found, costs=costs).hours_left() == pytest.approx(2 * 12 * 36 / 3600), "the rest costs twice as much each"


def test_a_stale_record_is_left_out_and_said(system: System) -> None:
    wanted = places(system)
    good, old = record(wanted[0], 0, 0.9), replace(record(wanted[1], 0, 0.9), run="0" * 16)
    unasked = record(wanted[0], 9, 0.9)
    found = replayed(system, "whole", wanted, [good, old, unasked])
    assert sum(len(row.runs) for row in found.rows) == 1
    assert found.told == ("1 record of runs is left out, for the files now say something else to train: base, filters, 8.",)


def test_a_small_figure_never_stands_beside_a_reported_one(system: System) -> None:
    small = ran(system, by_candidate(0.7, 0.9), "small")
    assert all(row.reported is None for row in small.rows)
    assert "92.3" not in json.dumps([row for row in small.to_json()["rows"]])
    assert all("reported" not in one.sentence and one.sentence.startswith("At the small budget: ") for one in small.judgements)
    assert "92.3" in json.dumps(ran(system, by_candidate(0.7, 0.9)).to_json()["rows"])


@pytest.mark.parametrize(
    ("start", "kept", "verdict", "sentence"),
    [
        (0.70, 0.90, "confirmed", "“8-16” is better than “start ([32, 64])” by 20.00 points ("),
        (0.90, 0.70, "wrong", "“start ([32, 64])” is better than “8-16”, which was carried on, by 20.00 points ("),
    ],
)
def test_differences_that_are_seen(system: System, start: float, kept: float, verdict: str, sentence: str) -> None:
    found = filters(ran(system, by_candidate(start, kept)))
    assert (found.verdict, found.kept, found.over) == (verdict, "8-16", ("start",))
    assert found.sentence.startswith(sentence)
    assert found.differences[0].level == pytest.approx(1 - 0.05 / 2), "two decisions share the error"


def test_what_was_reported_is_held_against_the_noise(system: System) -> None:
    """2.20 points were reported; single runs differ by more where seeds spread by 3 points, and by less where they spread by 0.2."""
    noisy = filters(ran(system, lambda place, seed: {"start": 0.8, "8-16": 0.805}.get(place.candidate, 0.8) + 0.03 * (seed - 1)))
    assert (noisy.verdict, noisy.acted_on) == ("in the noise", pytest.approx(0.022))
    assert noisy.noise == pytest.approx(1.96 * 2**0.5 * 0.03, rel=0.01)
    told = "The author reported 2.20 points more for “8-16” than for “start ([32, 64])”, and two single runs of one network differ by up to 8."
    assert noisy.sentence.startswith(told)
    quiet = filters(ran(system, lambda place, seed: {"start": 0.8, "8-16": 0.804}.get(place.candidate, 0.8) + 0.002 * (seed - 1)))
    assert (quiet.verdict, quiet.acted_on) == ("cannot tell", pytest.approx(0.022))
    assert "; the author reported 2.20 points more for “8-16” than for “start ([32, 64])”." in quiet.sentence
    assert quiet.metric == "accuracy"


def test_what_was_reported_as_macro_f1_is_said_so(tmp_path: Path) -> None:
    """0.2 of macro F1 more is no 20 points of accuracy; a small noise leaves it open."""
    told = SYSTEM.replace("accuracy = 90.1\n", "").replace("macro_f1 = 0.9\n", "macro_f1 = 0.7\n").replace("accuracy = 92.3\n", "macro_f1 = 0.9\n")
    found = filters(ran(read_system(make_system(tmp_path, told)), by_candidate(0.8, 0.804)))
    assert (found.verdict, found.metric) == ("cannot tell", "macro_f1")
    assert found.sentence.endswith("; the author reported 20.00 points of macro F1 more for “8-16” than for “start ([32, 64])”.")
    noisy = filters(ran(read_system(make_system(tmp_path / "noisy", told)), by_candidate(0.8, 0.804, 0.15)))
    assert noisy.sentence.startswith("The author reported 20.00 points of macro F1 more for “8-16” than for “start ([32, 64])”, and two single runs")


def unstable_rate(unstable: bool) -> tuple[Judgement, Judgement]:
    """Return the decisions of the first step and of the rate of the CNN ladder, where all are alike; with the rate 0.1 two of three seeds may learn nothing."""
    wild, kept = {0: 0.1, 1: 0.1, 2: 0.67}, {"0.0004": 0.712}

    def skill(place: Place, seed: int) -> float:
        if unstable and place.candidate == "0.1":
            return wild[seed]
        return kept.get(place.candidate, 0.7) + 0.004 * float(np.random.default_rng([seed, int(place.identity[:8], 16)]).standard_normal())

    found = ran(replays.system("cnn_ladder"), skill).judgements
    return found[0], next(one for one in found if one.kept == "0.0004")


def test_an_unstable_network_says_nothing_of_the_noise_of_others() -> None:
    """Once in the mean of all variances it made every interval fifteen times as wide, and any difference smaller than the noise."""
    (first, rate), (beside, among) = unstable_rate(False), unstable_rate(True)
    widths = [one.differences[0].high - one.differences[0].low for one in (first, beside)]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)
    assert among.noise == pytest.approx(rate.noise or 0)
    others, wild = [[one for one in among.differences if (one.name == "0.1") is odd] for odd in (False, True)]
    for one, before in zip(others, [one for one in rate.differences if one.name != "0.1"], strict=True):
        assert one.high - one.low == pytest.approx(before.high - before.low, rel=0.1)
    assert wild[0].low < -0.9, "its own noise, over three seeds, is all that is known of it"


def test_at_the_small_budget_the_measured_difference_is_held_against_the_noise(system: System) -> None:
    found = filters(ran(system, lambda place, seed: {"start": 0.8, "8-16": 0.81}.get(place.candidate, 0.8) + 0.03 * seed, "small"))
    assert (found.verdict, found.acted_on) == ("in the noise", pytest.approx(0.01))
    assert "“8-16” and “start ([32, 64])” lie 1.00 point apart" in found.sentence


@pytest.mark.parametrize(("seeds", "names"), [(0, "“8-16” and “start ([32, 64])” have"), (1, "“8-16” and “start ([32, 64])” have")])
def test_too_few_seeds_tell_nothing(system: System, seeds: int, names: str) -> None:
    found = filters(ran(system, lambda place, seed: 0.9 if seed < seeds else None))
    assert found.verdict == "not run"
    assert found.sentence == f"Two seeds of each are needed, and {names} fewer so far."


def test_one_that_is_better_is_enough_to_be_wrong(system: System) -> None:
    """The others of the second step: one is much better, one has not run."""
    found = ran(system, lambda place, seed: {"32": 0.95, "8-16": 0.7}.get(place.candidate)).judgements[1]
    assert (found.verdict, found.kept, found.over) == ("wrong", "start", ("32",))
    assert found.sentence.endswith("“64” is the same training as “start (64)” under another name.")


def test_a_decision_between_two_names_of_one_training_is_chance(tmp_path: Path) -> None:
    system = read_system(make_system(tmp_path, SYSTEM.replace('step = "batch"\n[[stage]]', 'step = "batch"\nover = ["64"]\n[[stage]]')))
    found = ran(system, by_candidate(0.7, 0.9)).judgements[1]
    assert (found.verdict, found.over) == ("in the noise", ())
    assert found.sentence == "“start (64)” and “64” are the same training under other names: what the author saw between them is chance."


def test_what_the_small_budget_makes_the_same_is_not_taken_for_chance(tmp_path: Path) -> None:
    epochs = LADDER.replace('field = "train.batch_size"\ncandidates = [32, 64]', 'field = "train.epochs"\ncandidates = [40]')
    system = read_system(make_system(tmp_path, ladder=epochs))
    found = ran(system, by_candidate(0.7, 0.9), "small").judgements[1]
    assert found.verdict == "cannot tell"
    assert found.sentence == "At the small budget: “start (1)” and “40” are the same training there, and not at the whole one."
    assert "same training" not in ran(system, by_candidate(0.7, 0.9)).judgements[1].sentence


def test_what_diverges_is_worse(system: System) -> None:
    wanted = places(system)
    start, _, kept = wanted[:3]
    lost = [RunRecord(*start.name, seed=seed, recipe="", settings={}, run=start.key(seed), failed="the loss is not finite") for seed in (0, 1, 2)]
    found = judged(replayed(system, "whole", wanted, [*lost, *(record(kept, seed, 0.8 + seed / 100) for seed in (0, 1, 2))])).judgements[0]
    assert found.verdict == "confirmed"
    assert found.sentence == "“8-16” is the only one that does not diverge. “start ([32, 64])” diverged with every seed."


def diverging(system: System, failed: Mapping[str, Sequence[int]], skill: Skill) -> Judgement:
    """Return the first decision where these seeds of these candidates diverge, and the others score as `skill` says."""
    made: list[RunRecord] = []
    for place in places(system)[:3]:
        for seed in place.seeds:
            value = skill(place, seed)
            if seed in failed.get(place.candidate, ()):
                made.append(RunRecord(*place.name, seed=seed, recipe="", settings={}, run=place.key(seed), failed="the loss is not finite"))
            elif value is not None:
                made.append(record(place, seed, value))
    return judged(replayed(system, "whole", places(system), made)).judgements[0]


ALL = (0, 1, 2)


LOST = "“start ([32, 64])” diverged with every seed."
FEW = "Two seeds of each are needed, and “start ([32, 64])” has fewer"
PART = "Diverged and left out: “8-16” with 1 of 3 seeds"


@pytest.mark.parametrize(
    ("failed", "missing", "verdict", "sentence"),
    [
        ({"start": [0]}, {"start": [1, 2]}, "not run", f"{FEW} so far. Diverged and left out: “start ([32, 64])” with 1 of 3 seeds."),
        ({"8-16": ALL}, {}, "wrong", "“8-16”, which was carried on, diverged with every seed, and “start ([32, 64])” did not."),
        ({"8-16": ALL}, {"start": [1, 2]}, "not run", f"{FEW} so far. “8-16” diverged with every seed."),
        ({"8-16": ALL, "start": ALL}, {}, "cannot tell", "There is nothing to compare it with. “8-16” and “start ([32, 64])” diverged with every seed."),
        ({"start": [0, 2]}, {}, "cannot tell", f"{FEW}. Diverged and left out: “start ([32, 64])” with 2 of 3 seeds."),
        (
            {"start": [0], "8-16": [1]},
            {},
            "cannot tell",
            f"Two seeds in common with “8-16” are needed, and “start ([32, 64])” has fewer. {PART} and “start ([32, 64])” with 1 of 3 seeds.",
        ),
        ({"start": ALL, "8-16": [1]}, {}, "confirmed", f"“8-16” is the only one that does not diverge with every seed. {LOST} {PART}."),
    ],
)
def test_divergence_is_judged_when_all_seeds_have_run(
    system: System, failed: dict[str, Sequence[int]], missing: dict[str, Sequence[int]], verdict: str, sentence: str
) -> None:
    found = diverging(system, failed, lambda place, seed: None if seed in missing.get(place.candidate, ()) else 0.8 + seed / 100)
    assert (found.verdict, found.sentence) == (verdict, sentence)


def test_what_is_said_to_be_open_is_open(tmp_path: Path) -> None:
    """The nearest by its mean is surely worse, and a noisier one that lies further off is not told: of this one it is said."""
    both = SYSTEM.replace('over = ["start"]\n', "")
    shares = {"8-16": (0.80, 0.802, 0.798), "8": (0.76, 0.762, 0.758), "start": (0.98, 0.7, 0.3)}
    found = filters(ran(read_system(make_system(tmp_path, both)), lambda place, seed: shares.get(place.candidate, (0.8, 0.8, 0.8))[seed], images=5000))
    ends = {one.name: (one.estimate, one.low, one.high) for one in found.differences}
    assert ends["8"][0] > ends["start"][0]
    assert ends["8"][2] < 0 < ends["start"][2]
    assert "it cannot be told whether “start ([32, 64])” or “8-16” is better: “start ([32, 64])” minus “8-16” is −14.00 points (" in found.sentence
    assert found.sentence.endswith("; “8” is lower than “8-16”.")


def test_what_only_the_text_of_the_author_says_was_not_carried_on(tmp_path: Path) -> None:
    meant = read_system(make_system(tmp_path, SYSTEM.replace('over = ["start"]\n', 'over = ["start"]\nby = "text"\n')))
    found = filters(ran(meant, by_candidate(0.9, 0.7)))
    assert (found.verdict, found.decision.word) == ("wrong", "kept here")
    assert found.sentence.startswith("“start ([32, 64])” is better than “8-16”, which is kept here, by 20.00 points (")


def test_a_stage_after_a_training_that_diverged_diverged_with_it(system: System) -> None:
    """Else it would be missing for ever: it has no weights to begin from."""
    wanted = places(system)
    made = [record(place, seed, 0.9) for place in wanted for seed in place.seeds if place.after is None]
    lost = next(one for one in made if one.candidate == "8-16" and one.seed == 1)
    failed = replace(lost, scores={}, answers={}, labels={}, failed="the loss is not finite", seconds=3.0)
    found = replayed(system, "whole", wanted, [failed if one is lost else one for one in made])
    stage = found.row("base", "stage 2")
    assert [(run.seed, run.failed) for run in stage.runs] == [(1, "base, filters, 8-16, from which it begins, diverged")]
    assert stage.missing == (0, 2)
    assert stage.seconds is None
    assert found.row("base", "filters", "8-16").failed == 1


@pytest.mark.parametrize(
    ("stage", "budget", "says"),
    [
        (0.96, "whole", "“stage 2” is better than “batch, start (64)”, from whose kept weights it begins, by 6.00 points ("),
        (0.4, "small", "At the small budget: “stage 2” is worse than “batch, start (64)”, from whose kept weights it begins, by 50.00 points ("),
        (0.902, "whole", "“stage 2” cannot be told from “batch, start (64)”, from whose kept weights it begins: the difference is 0.20 points (−"),
        (None, "whole", ""),
    ],
)
def test_a_stage_is_compared_with_what_it_begins_from(system: System, stage: float | None, budget: Budget, says: str) -> None:
    usual = by_candidate(0.7, 0.9)
    found = ran(system, lambda place, seed: (stage and stage + 0.004 * (seed - 1)) if place.after else usual(place, seed), budget)
    assert [one.sentence[: len(says)] for one in found.gains] == ([says] if says else [])
    assert [one["stage"] for one in found.to_json()["stages"]] == (["stage 2"] if says else [])
    assert says in replay_page.render(found).replace("\u202f", " ").replace("&#39;", "'")


def test_a_stage_of_one_seed_is_compared_with_nothing(system: System) -> None:
    (found,) = ran(system, lambda place, seed: None if place.after and seed else 0.9).gains
    assert found.difference is None
    assert found.sentence == "“stage 2” cannot be compared with “batch, start (64)”, from whose kept weights it begins: two seeds in common are needed."


def test_verdicts_are_provisional_until_all_has_run_with_the_seeds_of_the_system(system: System) -> None:
    def told(seeds: int | None, skill: Skill) -> tuple[bool, bool]:
        wanted = places(system, seeds=seeds)
        made = [record(place, seed, value) for place in wanted for seed in place.seeds if (value := skill(place, seed)) is not None]
        found = judged(replayed(system, "whole", wanted, made))
        assert found.to_json()["provisional"] is found.provisional
        return found.provisional, any(sentence.startswith("The verdicts are provisional: ") for sentence in found.told)

    everything = by_candidate(0.7, 0.9)
    assert told(None, everything) == told(3, everything) == (False, False)
    assert told(2, everything) == (True, True)
    assert told(None, lambda place, seed: None if (place.candidate, seed) == ("8", 2) else everything(place, seed)) == (True, True)
    assert told(None, lambda place, seed: None) == (True, False), "nothing has run: there is nothing to be taken for settled"


def test_rows_that_answered_other_images_are_compared_over_seeds(system: System) -> None:
    wanted = places(system)
    sizes = {"start": 400, "8-16": 500}
    made: Sequence[RunRecord] = [record(place, seed, 0.7 + 0.2 * (size == 500) + seed / 500, size) for place in wanted[:3:2] for seed in range(3) for size in [sizes[place.candidate]]]  # fmt: skip  # noqa: E501
    found = judged(replayed(system, "whole", wanted, made)).judgements[0]
    assert (found.verdict, found.differences[0].covers) == ("confirmed", "seeds")


def test_the_record_is_plain_json(system: System) -> None:
    found = json.loads(json.dumps(ran(system, by_candidate(0.7, 0.9)).to_json()))
    assert (found["system"], found["budget"], found["trainings"], found["missing"]) == ("tiny", "whole", 15, 0)
    assert found["rows"][2]["reported"] == {"parameters": 4466, "accuracy": 92.3, "macro_f1": None, "note": "one run"}
    assert found["decisions"][0]["verdict"] == "confirmed"
