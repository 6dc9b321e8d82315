"""The page holds every number it was given, fetches nothing, and escapes what it is told."""

import dataclasses
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from nysformer.report.page import Example, Report, render_page
from nysformer.tasks.base import Metric


def metrics(accuracy: float) -> dict[str, Any]:
    return {
        "accuracy": accuracy,
        "macro_f1": accuracy - 0.1,
        "loss": 1.0,
        "documents": 40,
        "per_class": {"A & B": {"precision": 0.125, "recall": 0.25, "f1": 0.375, "documents": 40}},
        "by_length": [
            {"band": "1-512", "documents": 30, "accuracy": accuracy, "macro_f1": 0.5},
            {"band": "> 512", "documents": 10, "accuracy": 0.4, "macro_f1": 0.5},
        ],
    }


REPORT = Report(
    title="A title",
    introduction="An introduction",
    verdict="ours < theirs",
    systems={"theirs": metrics(0.7), "ours": metrics(0.6)},
    metrics=[Metric("accuracy", "accuracy"), Metric("macro_f1", "macro-F1")],
    model="ours",
    loss=[(0.1, 2.0), (0.2, 1.0)],
    validation={"accuracy": [(0.2, 0.6)]},
    example=Example("LICENSE", {"A & B": 0.9, "C": 0.1}),
    settings={"seed": "0"},
    reproduce=["nysformer demo --seed 0"],
    notes=["A note."],
    footer="A footer",
)


class Reader(HTMLParser):
    """Collect the tags, checking that they close in order, and the rows of each table."""

    VOID = ("meta", "img", "source", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.best: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")
        self.in_best = tag == "td" and ("class", "best") in attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "td":
            self.rows[-1][-1] += data
            if self.in_best:
                self.best.append(data)


@pytest.fixture
def page() -> Reader:
    reader = Reader()
    reader.feed(render_page(REPORT))
    assert not reader.open
    return reader


def test_every_system_has_its_row(page: Reader) -> None:
    assert ["theirs", "0.700", "0.600", "0.700", "0.400"] in page.rows
    assert ["ours", "0.600", "0.500", "0.600", "0.400"] in page.rows
    assert page.best == ["0.700", "0.600", "0.700", "0.400", "0.400"]


def test_classes_and_example(page: Reader) -> None:
    assert ["A & B", "0.125", "0.250", "0.375", "40"] in page.rows
    assert ["C", "", "0.100"] in page.rows


def test_nothing_is_fetched(page: Reader) -> None:
    links = [value for name, value in page.attributes if name in {"src", "srcset", "href"} and value]
    assert len(links) == 4
    assert all(link.startswith("data:image/svg+xml;base64,") for link in links)
    assert not re.search(r"url\(|@import|<script", render_page(REPORT))


def test_texts_are_escaped() -> None:
    report = dataclasses.replace(REPORT, title="<script>alert(1)</script>", settings={"model": "<b>bold</b>"})
    assert "<script>" not in render_page(report)
    assert "&lt;b&gt;bold&lt;/b&gt;" in render_page(report)
    assert "ours &lt; theirs" in render_page(report)


def test_what_a_point_of_the_curve_is() -> None:
    assert "training loss; each point is one step. Below" in render_page(REPORT)
    page = render_page(dataclasses.replace(REPORT, log_every=5))
    assert "each point is the mean over 5 steps, or over fewer where a checkpoint or the end came sooner" in page


def test_classes_without_any_f1_and_the_rule_of_the_example() -> None:
    assert "have F1 0" not in render_page(REPORT)
    zero = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "documents": 2}
    ours = metrics(0.6)
    ours["per_class"] |= {"B": zero, "C": zero, "<D>": zero | {"documents": 0}}
    counts = [[40, 0, 0, 0], [2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0]]
    ours["confusion"] = {"labels": ["A & B", "B", "C", "<D>"], "counts": counts}
    report = dataclasses.replace(
        REPORT, systems=REPORT.systems | {"ours": ours}, example=Example("LICENSE", {"C": 1.0}, note="By the rule.")
    )
    page = render_page(report)
    assert "2 of 3 classes have F1 0: C (never predicted); B (predicted, but never rightly)." in page
    assert "By the rule." in page
