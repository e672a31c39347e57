"""Robustness: what is asked and kept, what is never opened, differences on the same corrupted images, and the page."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import rung
from rung.errors import RunError
from rung.evaluate import corruptions
from rung.reports import robust_page
from rung.study import entry, robust
from rung.study.robust import Robustness, report
from tests.command import Rung, caller

NAMES = tuple(corruptions.CORRUPTIONS)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rung:
    return caller(monkeypatch, capsys)


@pytest.fixture(scope="module")
def root(few_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs, of which two were asked about corrupted images."""
    folder = tmp_path_factory.mktemp("robust") / "runs"
    shutil.copytree(few_runs, folder)
    rung.robust(["thin-0", "wide-0"], out=folder, images=30)
    return folder


def made_up(name: str, share: float, seed: int = 0) -> Robustness:
    """Return answers to 400 images of which `share` are right at every strength."""
    rng = np.random.default_rng(seed)
    right = {kind: rng.random((5, 400)) < share for kind in NAMES}
    return Robustness(name, "validation", 32, "rows", "weights", rng.random(400) < 0.95, right)


def test_what_is_kept_comes_back(root: Path) -> None:
    found = robust.load(rung.Run(root / "thin-0"))
    assert found is not None
    assert (found.part, found.images, found.size, found.opening) == ("validation", 30, 8, None)
    values = json.loads((root / "thin-0" / "robust.json").read_text())
    assert values["accuracy"]["value"] == pytest.approx(found.clean.mean())
    assert values["corruptions"]["noise"]["accuracy"][4]["value"] == pytest.approx(found.right["noise"][4].mean())
    assert values["mean"]["value"] == pytest.approx(np.mean([found.right[name].mean() for name in NAMES]))
    assert values["lost"]["estimate"] == pytest.approx(found.clean.mean() - values["mean"]["value"])


def test_asked_again_it_gives_the_same_bits_and_asks_nothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(root / "thin-0", tmp_path / "thin-0")
    kept = (tmp_path / "thin-0" / "robust.json").read_bytes()
    (tmp_path / "thin-0" / "robust.json").unlink()
    rung.robust(["thin-0"], out=tmp_path, images=30)
    assert (tmp_path / "thin-0" / "robust.json").read_bytes() == kept
    monkeypatch.setattr(robust, "measure", None)
    assert rung.robust(["thin-0"], out=tmp_path, images=30).runs[0].images == 30


def test_both_runs_are_asked_the_same_images(root: Path) -> None:
    thin, wide = (robust.load(rung.Run(root / name)) for name in ("thin-0", "wide-0"))
    assert thin is not None
    assert wide is not None
    assert thin.rows == wide.rows
    runs = entry.read_all([rung.Run(root / "thin-0"), rung.Run(root / "wide-0")], 2)
    places = [robust.chosen(run, "validation", 20) for run in runs]
    assert np.array_equal(*places)
    assert set(places[0]) < set(robust.chosen(runs[0], "validation", 30))


def test_the_sealed_test_part_is_not_opened(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "thin-0", tmp_path / "thin-0")
    with pytest.raises(RunError, match="the test part of thin-0 is sealed, and rung robust never opens it"):
        rung.robust(["thin-0"], part="test", out=tmp_path)
    assert not (tmp_path / "ledger.jsonl").exists()
    rung.test("thin-0", out=tmp_path)
    found = rung.robust(["thin-0"], part="test", out=tmp_path, images=10, page=tmp_path / "page.html")
    assert found.runs[0].opening == 1
    assert "10 test images, of opening 1 of this test set" in (tmp_path / "page.html").read_text()
    assert rung.verify_ledger(tmp_path) == 1


@pytest.mark.parametrize(
    ("runs", "words", "message"),
    [
        (["thin-0", "other-rows"], {}, "cannot be asked the same corrupted images: .*validation rows: 50 images in thin-0"),
        (["thin-0"], {"part": "train"}, "what was fitted on says too little"),
        (["thin-0"], {"images": 0}, r"images is 0 \(int\): expected a number of images, 1 or more"),
        ([], {}, "no run was given: give 1 or more"),
    ],
)
def test_what_cannot_be_asked_is_refused(root: Path, runs: list[str], words: dict[str, object], message: str) -> None:
    with pytest.raises(RunError, match=message):
        rung.robust(runs, out=root, **words)  # type: ignore[arg-type]


def test_a_damaged_file_is_named(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "thin-0", tmp_path / "thin-0")
    (tmp_path / "thin-0" / "robust.json").write_text('{"form": 1, "images": 30, "right": {"clean": 1}}')
    assert robust.load(rung.Run(tmp_path / "thin-0")) is None  # of another set of corruptions
    values = json.loads((root / "thin-0" / "robust.json").read_text())
    values["right"]["noise"][0] = "not base64!"
    (tmp_path / "thin-0" / "robust.json").write_text(json.dumps(values))
    with pytest.raises(RunError, match=r"robust.json is damaged .*: delete it, and `rung robust"):
        rung.robust(["thin-0"], out=tmp_path)


def test_strengths_of_one_image_count_as_one_image() -> None:
    run = made_up("a", 0.8)
    alike = Robustness("b", "validation", 32, "rows", "weights", run.clean, {name: np.repeat(rows[:1], 5, axis=0) for name, rows in run.right.items()})
    wide, narrow = (one.mean("noise").high - one.mean("noise").low for one in (alike, run))  # type: ignore[operator]
    assert wide == pytest.approx(2 * 1.96 * np.sqrt(0.8 * 0.2 / 400), rel=0.1)
    assert narrow < wide


def test_a_pair_is_told_apart_where_it_differs_and_not_where_it_does_not() -> None:
    told, same = report([made_up("a", 0.7), made_up("b", 0.8, 1)]), report([made_up("a", 0.7), made_up("c", 0.7, 1)])
    assert told.against[0].together.estimate == pytest.approx(0.1, abs=0.02)
    assert told.against[0].together.told_apart
    assert "“b” answers" in robust_page.verdict(told)
    assert "better for" in list(robust_page.sentences(told))[-1]
    assert not same.against[0].together.told_apart
    assert "cannot be told" in robust_page.verdict(same)
    assert same.against[0].each["blur"].level == pytest.approx(1 - 0.05 / len(NAMES))


def test_a_kind_for_which_the_better_one_is_worse_is_named_so() -> None:
    first, second = made_up("a", 0.6), made_up("b", 0.8, 1)
    turned = Robustness("b", "validation", 32, "rows", "weights", second.clean, {**second.right, "jpeg": np.zeros((5, 400), dtype=bool)})
    assert list(robust_page.sentences(report([first, turned])))[-1].endswith("and contrast and worse for JPEG.")


def test_runs_asked_other_images_are_not_set_beside_each_other() -> None:
    first = made_up("a", 0.7)
    other = Robustness("b", "validation", 32, "other rows", "weights", first.clean, first.right)
    with pytest.raises(RunError, match="a and b were not asked the same images"):
        report([first, other])


def test_the_page_needs_nothing_else_and_escapes() -> None:
    runs = report([made_up("a<b>", 0.7), made_up("c", 0.8, 1)])
    image = np.arange(3 * 32 * 32, dtype=np.uint32).reshape(1, 32, 32, 3).astype(np.uint8)
    page = robust_page.render(runs, image)
    assert "a<b>" not in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert page.count("<svg") == 2 + len(NAMES)
    assert page.count("data:image/png") == 6 * len(NAMES)
    assert robust_page.render(runs, image) == page


def test_the_command_prints_a_table_and_writes_the_page_into_the_run(command: Rung, root: Path) -> None:
    said = command("robust", "thin-0", "--out", root, "--images", "30")
    assert said.code == 0, said.err
    assert re.search(r"^thin-0 +[\d.]+\s%( +[\d.]+\s%){6} +[-\d.]+ points?$", said.out, re.MULTILINE)
    assert f"page: {root}/thin-0/robust.html" in said.out
    assert (root / "thin-0" / "robust.html").is_file()
    told = json.loads(command("robust", "thin-0", "wide-0", "--out", root, "--images", "30", "--json").out)
    assert told["page"] == str(root / "robust-thin-0-wide-0.html")
    assert [one["run"] for one in told["runs"]] == ["thin-0", "wide-0"]
    assert set(told["against"][0]["each"]) == set(NAMES)


def test_what_is_lost_is_a_size_and_the_best_is_no_majority() -> None:
    found = report([made_up("a", 0.2), made_up("b", 0.4, 1)])
    assert robust_page.verdict(found) == "“b” answers the largest share of corrupted images rightly, on the mean of all corruptions and strengths."
    assert re.search(r"; [\d.]+ points lost \([\d.]+ to [\d.]+\), most to ", next(robust_page.sentences(found)))
    assert "+" not in " ".join(robust_page.sentences(found))
