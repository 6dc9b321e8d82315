"""Plots are well-formed SVG that say what they were given, the same for the same numbers."""

from xml.etree import ElementTree

import pytest

from nysformer.report.figures import STYLE, Theme, _running_mean, metric_by_length, training_curve
from nysformer.tasks.base import Metric

LONG = {"band": "> 512", "documents": 3, "accuracy": 1.0}
SYSTEMS = {
    name: {"by_length": [{"band": "1-512", "documents": 7, "accuracy": accuracy}, LONG]}
    for name, accuracy in (("majority", 0.25), ("ours", 0.75))
}
LOSS = [(0.1, 2.0), (0.2, 1.5), (0.3, 1.2)]


def bars(theme: Theme = "light") -> str:
    return metric_by_length(SYSTEMS, metric=Metric("accuracy", "accuracy"), model="ours", theme=theme)


def curve(theme: Theme = "light") -> str:
    return training_curve(LOSS, {"accuracy": [(0.3, 0.5)], "macro-F1": [(0.3, 0.4)]}, theme=theme)


@pytest.mark.parametrize("draw", [bars, curve])
def test_svg_is_well_formed_and_repeats(draw) -> None:
    svg = draw()
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert draw() == svg
    assert draw("dark") != svg
    assert "<dc:date>" not in svg


def test_a_bar_for_every_system_and_band() -> None:
    svg = bars()
    model, baseline = svg.count("fill: #1d6fd1"), svg.count("fill: #c3c8ce")
    assert model == baseline == 3  # two bands and the legend


def test_a_run_that_never_got_to_validate_still_draws() -> None:
    assert "<svg" in training_curve(LOSS, {})


def test_the_running_mean_starts_at_what_was_seen() -> None:
    assert _running_mean([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    assert _running_mean([0.0, 1.0], keep=0.5) == pytest.approx([0.0, 2 / 3])


def test_the_legend_says_what_a_point_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STYLE, "svg.fonttype", "none")
    assert "each step" in training_curve(LOSS, {})
    assert "mean over 1,000 steps" in training_curve(LOSS, {}, steps_per_point=1000)
