"""Named rules and one's own: what each keeps."""

from pathlib import Path

import pytest

from rung.errors import RecipeError
from rung.study.referee import Verdict
from rung.study.rules import Standing, decide

VERDICT = Verdict("start", (), "“start” stays.", 0.01)


def standing(name: str, f1: float, gap: float = 0.05, parameters: int = 100, flops: int = 10) -> Standing:
    return Standing(name, (f1,), f1, f1, gap, parameters, flops)


def test_score_keeps_what_the_referee_keeps() -> None:
    assert decide("score", [standing("start", 0.1), standing("a", 0.9)], VERDICT, 0.005).kept == "start"


@pytest.mark.parametrize(
    ("standings", "kept"),
    [
        ([standing("start", 0.70), standing("a", 0.75), standing("b", 0.80)], "b"),
        ([standing("start", 0.70), standing("a", 0.796, parameters=50), standing("b", 0.80)], "a"),
        ([standing("start", 0.70), standing("a", 0.794, parameters=50), standing("b", 0.80)], "b"),
        ([standing("start", 0.70), standing("a", 0.799, gap=0.02), standing("b", 0.80, gap=0.05, parameters=1)], "a"),
        ([standing("start", 0.70), standing("a", 0.799, gap=0.04), standing("b", 0.80, gap=0.05, parameters=1)], "b"),
        ([standing("start", 0.80, flops=5), standing("a", 0.80)], "start"),
        # the filters of S4's ladder: 138,042 .. 5,099,082 parameters; 32-64-128 was carried on
        ([standing("16", 0.706, parameters=138_042), standing("32", 0.734, parameters=418_218), standing("128", 0.739, parameters=5_099_082)], "32"),
    ],
)  # fmt: skip
def test_score_gap_size_looks_at_f1_then_gap_then_size(standings: list[Standing], kept: str) -> None:
    found = decide("score_gap_size", standings, VERDICT, 0.0051)
    assert found.kept == kept
    assert f"'{kept}' is kept by score_gap_size" in found.reason
    assert "this rule holds no error rate" in found.reason


def own(folder: Path, body: str) -> str:
    (folder / "mine.py").write_text(f"def pick(standings, verdict):\n    {body}\n")
    return "mine.py:pick"


def test_ones_own_rule_is_looked_for_beside_the_ladder(tmp_path: Path) -> None:
    found = decide(
        own(tmp_path, "return min(standings, key=lambda one: one.parameters).name"),
        [standing("start", 0.1), standing("a", 0.2, 0.0, 3)],
        VERDICT,
        0.0,
        tmp_path,
    )
    assert found.kept == "a"
    assert found.reason == "'a' is kept by your rule pick; the referee keeps 'start'."


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return 'b'", r"^your rule 'pick' returned 'b': return the name of the one to keep, 'start', 'a'$"),
        ("return standings[0]", r"^your rule 'pick' returned Standing\(.*: return the name of the one to keep"),
        ("return 1 / 0", r"^your rule 'pick' failed: ZeroDivisionError: division by zero, at .*mine.py:2$"),
    ],
)
def test_a_rule_that_names_none_of_them_is_refused(tmp_path: Path, body: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        decide(own(tmp_path, body), [standing("start", 0.1), standing("a", 0.2)], VERDICT, 0.0, tmp_path)
