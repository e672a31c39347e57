"""Runs beside each other: what is compared, what is refused, and the page."""

import itertools
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rung
from rung.errors import RecipeError, RunError
from rung.reports import compare_findings, compare_page
from rung.reports.place import page_name
from rung.study import entry
from rung.study.compare import Comparison, missed, over_seeds
from rung.study.metrics import metric_named
from rung.study.paired import Side, difference
from tests.command import Rung, caller
from tests.study.conftest import THIN

FOUR = ["thin-0", "thin-1", "wide-0", "wide-1"]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rung:
    return caller(monkeypatch, capsys)


@pytest.fixture(scope="module")
def found(few_runs: Path) -> Comparison:
    return rung.compare(FOUR, out=few_runs)


def test_seeds_of_one_recipe_are_a_group_with_an_interval_over_seeds(found: Comparison) -> None:
    assert [(group.name, group.runs, group.seeds, group.value.covers) for group in found.groups] == [
        ("thin", ("thin-0", "thin-1"), (0, 1), "seeds"),
        ("wide", ("wide-0", "wide-1"), (0, 1), "seeds"),
    ]
    assert found.groups[0].value.value == pytest.approx(np.mean([one.value for one in found.groups[0].each if one.value is not None]))
    assert found.groups[0].settings == {"network.filters": "8", "train.epochs": "5"}
    assert found.groups[1].settings == {"network.filters": "16, 16", "train.epochs": "6"}
    assert found.groups[1].parameters > found.groups[0].parameters


def test_the_difference_is_paired_and_names_its_unit(found: Comparison) -> None:
    (contrast,) = found.contrasts
    assert (contrast.difference.covers, contrast.difference.paired, contrast.difference.level) == ("seeds and images", True, 0.95)
    assert contrast.difference.estimate == pytest.approx((found.groups[1].value.value or 0) - (found.groups[0].value.value or 0))
    assert contrast.confusion is not None
    assert np.sum(contrast.confusion) == pytest.approx(0)
    assert np.trace(contrast.confusion) == pytest.approx(contrast.difference.estimate * found.images)
    assert contrast.errors is not None
    same = contrast.errors
    assert same.both_right + same.first_only + same.second_only + same.both_wrong == pytest.approx(found.images)


def test_rows_that_all_get_wrong_are_those_of_the_kept_answers(found: Comparison, few_runs: Path) -> None:
    runs = entry.read_all([rung.Run(few_runs / name) for name in FOUR], 2)
    answers = [run.predictions("validation") for run in runs]
    wrong = [set(one.rows[one.answers() != one.labels].tolist()) for one in answers]
    assert set(found.wrong_in_all or ()) == set.intersection(*wrong)
    shown = missed(runs, found)
    assert 0 < len(shown) <= len(found.wrong_in_all or ())
    assert all(answer != one.true for one in shown for answer in one.answers.values())


def test_seeds_with_parts_of_their_own_are_over_parts_too(few_runs: Path, tmp_path: Path) -> None:
    for name in ("thin-0", "other-rows"):
        shutil.copytree(few_runs / name, tmp_path / name)
    recipe = tmp_path / "other-rows" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("epochs = 2", "epochs = 5"))
    found = rung.compare(["thin-0", "other-rows"], out=tmp_path, anyway=True)
    assert [group.value.covers for group in found.groups] == ["seeds and parts"]
    assert found.wrong_in_all is None


def test_of_three_groups_the_differences_hold_together(few_runs: Path) -> None:
    found = rung.compare(["thin-0", "wide-0", "other-rows"], out=few_runs, anyway=True)
    assert len(found.contrasts) == 3
    assert found.joint_level == pytest.approx(1 - 0.05 / 3)
    assert all(contrast.difference.level == found.joint_level for contrast in found.contrasts)


@pytest.mark.parametrize(("metric", "covers"), [("macro_f1", "images"), ("loss", "images"), ("balanced_accuracy", "images")])
def test_other_metrics(few_runs: Path, metric: str, covers: str) -> None:
    found = rung.compare(["thin-0", "wide-0"], out=few_runs, metric=metric)
    (contrast,) = found.contrasts
    assert contrast.difference.covers == covers
    values = [rung.Run(few_runs / name).read_scores()["validation"] for name in ("thin-0", "wide-0")]
    name = {"loss": "log_loss", "balanced_accuracy": "macro_recall"}.get(metric, metric)
    assert contrast.difference.estimate == pytest.approx(values[1][name]["value"] - values[0][name]["value"], abs=1e-6)
    ahead = "wide-0" if (contrast.difference.estimate > 0) != (metric == "loss") else "thin-0"
    assert contrast.better == (ahead if contrast.difference.told_apart else None)


@pytest.mark.parametrize(
    ("runs", "words", "message"),
    [
        (
            ["thin-0", "other-rows"],
            {},
            r"split.seed: 0 in thin-0, 5 in other-rows; train rows: .*; validation rows: 50 images in thin-0, 51 images, 8 of",
        ),
        (["thin-0"], {}, "1 run was given: give 2 or more"),
        (["thin-0", "thin-0"], {}, "thin-0 is named twice"),
        (["thin-0", "thin-1"], {"part": "test"}, "thin-0, thin-1 have no answers to the test part: open it with `rung test`"),
    ],
)
def test_what_cannot_be_compared_is_refused(few_runs: Path, runs: list[str], words: dict[str, str], message: str) -> None:
    with pytest.raises(RunError, match=message):
        rung.compare(runs, out=few_runs, **words)


def test_a_metric_that_is_not_there_is_refused(few_runs: Path) -> None:
    with pytest.raises(RecipeError, match="there is no metric 'acuracy': did you mean 'accuracy'"):
        rung.compare(FOUR, out=few_runs, metric="acuracy")
    with pytest.raises(RunError, match=r"runs is 'thin-0' \(str\): expected a list of runs"):
        rung.compare("thin-0", out=few_runs)  # type: ignore[arg-type]


def test_other_preprocessing_is_named_with_both_values(few_runs: Path, tmp_path: Path) -> None:
    for name in ("thin-0", "thin-1"):
        shutil.copytree(few_runs / name, tmp_path / name)
    recipe = tmp_path / "thin-1" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('filter = "bilinear"', 'filter = "bicubic"'))
    with pytest.raises(RunError, match=r"pixels.filter: bilinear in thin-0, bicubic in thin-1.*--anyway"):
        rung.compare(["thin-0", "thin-1"], out=tmp_path)


def test_compared_all_the_same_the_page_says_what_differs_and_ranks_nothing(few_runs: Path, tmp_path: Path) -> None:
    found = rung.compare(["thin-0", "other-rows"], out=few_runs, anyway=True, page=tmp_path / "deep" / "page.html")
    page = (tmp_path / "deep" / "page.html").read_text()
    assert "What differs and should not" in page
    assert "<code>split.seed</code>" in page
    assert "their scores do not rank them" in compare_findings.verdict(found)
    assert {row[-1] for row in compare_page.difference_table(found).rows} == {"not ranked"}
    assert found.contrasts[0].errors is None
    assert not found.contrasts[0].difference.paired
    assert "(0: as chance" not in page


def test_a_network_that_is_there_twice_counts_once(few_runs: Path, tmp_path: Path) -> None:
    for name in ("thin-0", "thin-1"):
        shutil.copytree(few_runs / name, tmp_path / name)
    shutil.copytree(few_runs / "thin-0", tmp_path / "copy")
    found = rung.compare(["thin-0", "copy", "thin-1"], out=tmp_path)
    assert [group.runs for group in found.groups] == [("thin-0", "thin-1")]
    assert "copy is left out: it is the same network as thin-0" in found.notes[0]
    assert compare_findings.verdict(found) == "One recipe, 2 seeds."


def test_the_page_needs_nothing_else_and_escapes(few_runs: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a<b>&-0"
    shutil.copytree(few_runs / "thin-0", odd)
    runs = entry.read_all([rung.Run(odd), rung.Run(few_runs / "wide-0")], 2)
    from rung.study.compare import compare

    found = compare(runs)
    page = compare_page.render(found, missed(runs, found))
    assert "a<b>" not in page
    assert "a&lt;b&gt;&amp;-0" in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert page.count("<svg") == 4
    assert "nan" not in page.lower().replace("nano", "")
    assert compare_page.render(found, missed(runs, found)) == page


def test_many_classes_are_listed_by_what_changed_and_many_groups_begin_the_colours_again(found: Comparison) -> None:
    classes = tuple(f"class {k}" for k in range(25))
    change = np.zeros((25, 25))
    change[3, 7], change[3, 3] = 4, -4
    contrast = replace(found.contrasts[0], confusion=tuple(map(tuple, change.tolist())))
    groups = tuple(replace(found.groups[0], name=f"g{k}", runs=(f"r{k}",), seeds=(0,), each=(found.groups[0].value,)) for k in range(10))
    pairs = tuple(replace(contrast, first=a.name, second=b.name) for a, b in itertools.combinations(groups, 2))
    logs = {f"r{k}": found.logs["thin-0"] for k in range(10)}
    page = compare_page.render(replace(found, classes=classes, groups=groups, contrasts=pairs, logs=logs))
    assert "class 3 → class 7" in page
    assert 'class="confusion"' not in page
    assert "37 more pairs" in page
    assert "hue7" in page
    assert "hue8" not in page


def share(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float((probabilities.argmax(1) == labels).mean())


def test_a_metric_of_ones_own_has_an_interval_over_seeds_only_and_must_be_the_same_code(tmp_path: Path) -> None:
    for seed in (0, 1):
        rung.train("digits", "digits", settings=THIN | {"train.epochs": 1}, seed=seed, out=tmp_path, name=f"a-{seed}", metrics=[share])
        shutil.copytree(tmp_path / f"a-{seed}", tmp_path / f"b-{seed}")
        recipe, kept = tmp_path / f"b-{seed}" / "recipe.toml", tmp_path / f"b-{seed}" / "kept.json"
        recipe.write_text(recipe.read_text().replace("batch_size = 16", "batch_size = 17"))
        kept.write_text(kept.read_text().replace('"weights_sha256": "', '"weights_sha256": "other'))
    (single,) = rung.compare(["a-0", "b-0"], out=tmp_path, metric="share").contrasts
    assert (single.difference.low, single.difference.covers, single.better) == (None, "nothing", None)
    found = rung.compare(["a-0", "a-1", "b-0", "b-1"], out=tmp_path, metric="share")
    assert found.contrasts[0].difference.covers == "seeds"
    assert "run more seeds" in next(compare_findings.differences(rung.compare(["a-0", "b-0"], out=tmp_path, metric="share")))
    (tmp_path / "b-0" / "source" / "share.py").write_text("def share(p, y): return 0.0")
    with pytest.raises(RunError, match="metric share: its code in a-0, other code in b-0"):
        rung.compare(["a-0", "b-0"], out=tmp_path, metric="share")


def test_seeds_of_one_score_have_no_interval() -> None:
    value = over_seeds(np.array([0.9, 0.9, 0.9]), 0.95, metric_named("accuracy"), True)
    assert (value.value, value.low, value.covers) == (0.9, None, "nothing")
    assert over_seeds(np.array([0.98, 1.0]), 0.95, metric_named("accuracy"), True).high == 1.0
    assert (over_seeds(np.array([-3.0, 1.0]), 0.95, metric_named("own"), True).low or 0) < -3


def test_the_command_prints_tables_and_writes_the_page(command: Rung, few_runs: Path, tmp_path: Path) -> None:
    said = command("compare", *FOUR, "--out", few_runs, "--page", tmp_path / "c.html")
    assert said.code == 0, said.err
    assert re.search(r"^thin +0, 1 +[\d.]+\s% +[\d.]+ to [\d.]+\s% +seeds +[\d,]+$", said.out, re.MULTILINE)
    assert "seeds and images" in said.out
    assert f"page: {tmp_path}/c.html" in said.out
    assert (tmp_path / "c.html").stat().st_size > 10_000
    told = json.loads(command("compare", *FOUR, "--out", few_runs, "--page", tmp_path / "c.html", "--json").out)
    assert [group["name"] for group in told["groups"]] == ["thin", "wide"]
    refused = command("compare", "thin-0", "other-rows", "--out", few_runs)
    assert refused.code == 2
    assert "rung: these runs cannot be ranked" in refused.err
    assert not list(few_runs.glob("*.html"))


def test_differences_of_shares_and_their_axis_end_at_100_points(found: Comparison) -> None:
    contrast, spread = found.contrasts[0], np.array([[1.0, 0.2], [0.0, 0.1]])
    apart = difference(*(Side((0, 1), values, found.groups[0].value, 50) for values in spread), 0.95, same_images=True)
    assert (apart.low or 0) < -1
    page = compare_page.render(replace(found, contrasts=(replace(contrast, difference=apart.of_shares),)))
    assert "−100" in page
    left = 24 + 6.4 * len("wide − thin")
    assert f'x1="{left:.1f}"' in page, "the whisker begins where the axis does"


@pytest.mark.parametrize(
    ("within", "said"),
    [
        ((0.91, 0.08), "; between seeds of “thin” 0.91 and between seeds of “wide” 0.08."),
        ((0.6, 0.58), "; between seeds of “thin” 0.60 and between seeds of “wide” 0.58: as alike as two seeds of one recipe."),
        ((None, 0.9), "; between seeds of “wide” 0.90: other errors than another seed of one recipe makes."),
        ((None, None), "all that the accuracies allow)."),
    ],
)
def test_whether_errors_are_alike_is_measured_by_named_recipes(found: Comparison, within: tuple[float | None, float | None], said: str) -> None:
    (contrast,) = found.contrasts
    assert contrast.errors is not None
    changed = replace(found, contrasts=(replace(contrast, errors=replace(contrast.errors, overlap=0.59, within=within)),))
    assert next(compare_findings.errors(changed)).endswith(said)


def test_a_page_is_named_by_its_runs(command: Rung, few_runs: Path, tmp_path: Path) -> None:
    for name in ("thin-0", "wide-0", "thin-1"):
        shutil.copytree(few_runs / name, tmp_path / name)
    for runs in (("thin-0", "wide-0"), ("thin-0", "thin-1")):
        assert f"page: {tmp_path}/compare-{'-'.join(runs)}.html" in command("compare", *runs, "--out", tmp_path).out
    assert sorted(page.name for page in tmp_path.glob("*.html")) == ["compare-thin-0-thin-1.html", "compare-thin-0-wide-0.html"]


def test_the_name_of_a_page_of_many_runs_is_short_and_its_own() -> None:
    names = [page_name("compare", [f"20260101-120000-digits-{seed}" for seed in range(count)]) for count in (30, 31)]
    assert all(name.startswith("compare-20260101-120000-digits-0-and-") and len(name) < 80 for name in names)
    assert names[0] != names[1]
