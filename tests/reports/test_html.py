"""The page: whole, alone, escaped, accessible, the same for the same input."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from rung.evaluate.predictions import Predictions
from rung.reports.html import _breakable, _coded, render
from rung.reports.inputs import ReportInput, Samples, WrongAnswer

Answered = Callable[..., Predictions]
MakeReport = Callable[..., ReportInput]
Log = Callable[..., list[dict[str, Any]]]

VOID = {"meta", "br", "img", "wbr", "link", "input", "hr"}
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a'b&c{{ 7*7 }}", "</style></table>", "{% raise %}"]


class Page(HTMLParser):
    """Collects what a page holds, and refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(digits_report: ReportInput) -> Page:
    return Page(render(digits_report))


def test_the_page_has_every_section_in_order_and_a_link_to_each(page: Page) -> None:
    ids = [attributes["id"] for attributes in page.all("section")]
    assert " ".join(ids) == "findings scores training confusions classes confidence data samples mistakes network settings notes record"
    assert [a["href"] for a in page.all("a")] == [f"#{name}" for name in ids]
    assert [tag for tag, _ in page.tags if tag in ("h1", "h2")] == ["h1"] + ["h2"] * len(ids)


def test_the_page_needs_nothing_but_itself(page: Page, digits_report: ReportInput) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:image/png;base64,")), (tag, value)
    text = render(digits_report)
    assert "@import" not in text
    assert "url(" not in text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_the_page_says_what_was_measured_where(page: Page) -> None:
    for words in (
        "digits_cnn on digits",
        "of the 358 validation images are classified correctly",
        "the test part (359 images) is sealed",
        "rung test runs/20261120-101500-default-0",
        "Is a small network enough for digits?",
        "Second try: shifts of one pixel.",
        "rung train runs/20261120-101500-default-0/recipe.toml",
        "intervals on this page are at 95",
        "over-fit from epoch 8",
        "2.15.0",
    ):
        assert words in page.text.replace("\u202f%", "%"), words


def test_the_page_can_be_read_by_everyone(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    assert any(attributes.get("name") == "viewport" for attributes in page.all("meta"))
    assert all("alt" in attributes for attributes in page.all("img"))
    assert all(attributes.get("role") == "img" and attributes.get("aria-label") for attributes in page.all("svg"))
    assert all(attributes.get("scope") in ("col", "row") for attributes in page.all("th"))
    assert all(attributes.get("aria-label") for attributes in page.all("div") if attributes.get("role") == "region")


def test_equal_input_gives_equal_bytes(digits_report: ReportInput) -> None:
    assert render(digits_report) == render(replace(digits_report))


def test_the_page_is_small(digits_report: ReportInput) -> None:
    assert len(render(digits_report)) < 200_000


def hostile_report(make_report: MakeReport, answered: Answered, log: Log) -> ReportInput:
    confusion = [[6 if i == j else 1 for j in range(5)] for i in range(5)]
    image = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    notes = [{"path": HOSTILE[0], "reason": HOSTILE[1]}]
    report = make_report(
        {"validation": answered("validation", confusion, HOSTILE)},
        [row | {f"validation_{HOSTILE[0]}": 1.0} for row in log([1.0, 0.5])],
        recipe={"why": HOSTILE[0], "notes": HOSTILE[1], "data": {"sources": [HOSTILE[3]]}, "train": {"epochs": 2, "metrics": [HOSTILE[1]]}},
        kept={"epoch": 2, "how": HOSTILE[0]},
        samples=Samples(image, (image,), (HOSTILE[0], HOSTILE[1])),
        mistakes=[WrongAnswer(image[0], HOSTILE[0], HOSTILE[1], 0.9, 0.05, b"\xff\xe9<b>/x.png".decode("utf-8", "surrogateescape"))],
        command=HOSTILE[0],
        run_id=HOSTILE[1],
        splits_how=HOSTILE[2],
        environment={HOSTILE[0]: {HOSTILE[1]: HOSTILE[2]}},
        files={HOSTILE[1]: HOSTILE[0]},
    )
    return replace(report, data=dict(report.data) | {"name": HOSTILE[3], "dropped": notes, "repaired": notes, "warnings": HOSTILE, "remarks": HOSTILE})


def test_nothing_of_a_user_becomes_markup(make_report: MakeReport, answered: Answered, log: Log) -> None:
    text = render(hostile_report(make_report, answered, log))
    text.encode("utf-8")
    page = Page(text)
    assert len(page.all("script")) == 1
    assert len(page.all("style")) == 1
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert not [attributes for attributes in page.all("img") if attributes["src"] == "x"]
    assert not {tag for tag, _ in page.tags} & {"iframe", "object", "embed", "form", "input", "link", "base", "audio", "video", "foreignobject"}
    assert "{{ 7*7 }}" in page.text
    assert HOSTILE[0] in page.text


def test_an_opened_test_part_is_the_headline_and_never_called_validation(make_report: MakeReport, answered: Answered, log: Log) -> None:
    parts = {
        "train": answered("train", [[30, 0], [1, 29]], ["a", "b"]),
        "validation": answered("validation", [[20, 1], [1, 20]], ["a", "b"]),
        "test": answered("test", [[40, 3], [2, 45]], ["a", "b"]),
    }
    text = Page(render(make_report(parts, log([1.0, 0.5]), recipe={"train": {"epochs": 2}}))).text
    assert "of the 90 test images are classified correctly" in text
    assert "opening 1 of this test set" in text
    assert "is sealed" not in text
    assert "Confusion table of the 90 test images" in text
    assert "90 validation images" not in text


def test_many_classes_are_folded_mapped_and_named_sparsely(make_report: MakeReport, answered: Answered, log: Log) -> None:
    confusion = (np.eye(100, dtype=int) * 8 + np.eye(100, k=1, dtype=int)).tolist()
    report = make_report({"validation": answered("validation", confusion, [f"class_{k:03d}" for k in range(100)])}, log([1.0, 0.5]))
    page = Page(render(report))
    assert "Not every class is named" in page.text
    assert "All 100 classes" in page.text
    assert "The 12 classes of lowest F1 of 100" in page.text
    assert "band: the middle 80" in page.text
    assert 'class="confusion"' not in render(report)


def test_a_run_with_little_to_say_still_gives_a_page(make_report: MakeReport, answered: Answered) -> None:
    report = make_report({"train": answered("train", [[5, 0], [0, 5]], ["a", "b"])}, setup_s=None, layers=[], picture="", files=None, environment={})
    page = Page(render(report))
    ids = [attributes["id"] for attributes in page.all("section")]
    assert "training" not in ids
    assert "samples" not in ids
    assert "there is no test part" in page.text
    assert "None: there is no wrong answer on the 10 train images." in page.text


def test_a_class_without_images_is_a_dash(make_report: MakeReport, answered: Answered) -> None:
    report = make_report({"validation": answered("validation", [[5, 1, 0], [1, 5, 0], [0, 0, 0]], ["a", "b", "absent"])})
    assert re.search(r"absent 0 – ", Page(render(report)).text)


def test_offline_copies_are_counted(make_report: MakeReport, answered: Answered) -> None:
    report = make_report({"train": answered("train", [[5, 0], [0, 5]], ["a", "b"])}, recipe={"augment": {"offline_copies": 2, "flip_horizontal": True}})
    text = Page(render(report)).text
    assert "Train with 2 copies" in text
    assert "Together 10 30" in text


def test_colours_can_be_read_in_light_and_dark() -> None:
    """Contrast of text at least 4.5, of lines at least 3 (WCAG 2.1), from the style sheet's own values."""
    from rung.reports import html

    style = (html._TEMPLATES / "style.css").read_text()
    light, dark = (dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2])
    for theme in (light, dark):
        for name in ("ink", "quiet", "link", "train", "validation", "test", "pick0", "pick1", "pick2"):
            assert contrast(theme[name], theme["paper"]) >= 4.5, (name, theme[name])
        assert contrast(theme["ink"], theme["soft"]) >= 4.5


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    a, b = sorted((luminance(one), luminance(other)))
    return (b + 0.05) / (a + 0.05)


def test_names_break_after_separators_and_numbers_do_not() -> None:
    assert _breakable("test/cat_1.png") == "test/<wbr>cat_<wbr>1.<wbr>png"
    assert _breakable("0.494037, 1e-07") == "0.494037, 1e-07"
    assert _breakable("a.b/3.5.png") == "a.<wbr>b/<wbr>3.5.<wbr>png"


def test_words_between_backticks_are_code_and_still_escaped() -> None:
    assert _coded("as `rung train <x>` does") == "as <code>rung train &lt;x&gt;</code> does"
    assert _coded("one ` alone") == "one ` alone"


def test_one_error_has_a_caption_of_its_own(make_report: MakeReport, answered: Answered) -> None:
    confusion = [[9, 1, 0], [0, 9, 0], [0, 0, 9]]
    page = Page(render(make_report({"validation": answered("validation", confusion, "abc")})))
    assert "The only wrong answer Pair" in page.text
