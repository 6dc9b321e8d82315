"""The plots of a report, as SVG text: sharp at any size, a few kilobytes, the same bytes for the same numbers.

Each plot is drawn for a light or for a dark page, on a transparent ground. Figures are made without pyplot, so nothing
here touches a display or matplotlib's global state.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["Theme", "accuracy_by_length", "training_curve"]

Theme = Literal["light", "dark"]
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Palette:
    """`systems` colours baselines in order; `model` stands out from them."""

    ink: str
    faint: str
    model: str
    second: str
    systems: tuple[str, ...]


PALETTES: dict[Theme, Palette] = {
    "light": Palette("#1f2328", "#d5d9de", "#1d6fd1", "#b4540a", ("#c3c8ce", "#e3ab62", "#b4691f", "#7d8793")),
    "dark": Palette("#e4e7eb", "#3a4149", "#63a8ff", "#ffa657", ("#59626c", "#a9793a", "#e0a35a", "#8b96a3")),
}
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "svg.fonttype": "path",  # the page looks the same whatever fonts its reader has
    "svg.hashsalt": "nysformer",
}


def accuracy_by_length(systems: Mapping[str, Mapping[str, Any]], *, model: str, theme: Theme = "light") -> str:
    """Draw accuracy by length band, a bar for each system.

    Args:
        systems: name -> the result of `nysformer.tasks.metrics.classification_metrics`, all on the same documents.
        model: the name of the system to stand out.
        theme: the page it is for.

    Returns:
        An SVG document.
    """
    palette = PALETTES[theme]
    bands = systems[model]["by_length"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.5), layout="constrained")
        axes = figure.subplots()
        width = 0.84 / len(systems)
        baseline_colours = iter(palette.systems * len(systems))
        for position, (name, metrics) in enumerate(systems.items()):
            heights = [band["accuracy"] for band in metrics["by_length"]]
            centres = [band + (position - (len(systems) - 1) / 2) * width for band in range(len(bands))]
            colour = palette.model if name == model else next(baseline_colours)
            bars = axes.bar(centres, heights, width * 0.92, label=name, color=colour)
            axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=7.5, color=palette.ink)
        axes.set_xticks(range(len(bands)), [f"{band['band']} tokens\n{band['documents']} documents" for band in bands])
        axes.set_ylim(0, 1)
        axes.set_ylabel("accuracy")
        _clean(axes, palette)
        axes.tick_params(axis="x", length=0)
        figure.legend(loc="outside upper left", ncols=len(systems), frameon=False, labelcolor=palette.ink)
        return _svg(figure)


def training_curve(
    loss: Points,
    validation: Mapping[str, Points],
    *,
    unit: str = "minutes",
    theme: Theme = "light",
    steps_per_point: int = 1,
) -> str:
    """Draw the training loss above the validation metrics, over the same axis.

    Args:
        loss: (time, training loss) in order of time; drawn as it is, with its running mean over it.
        steps_per_point: steps of which each of these losses is the mean.
        validation: metric name -> (time, value in [0, 1]) in order of time.
        unit: what the time axis counts.
        theme: the page it is for.

    Returns:
        An SVG document.
    """
    palette = PALETTES[theme]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 4.0), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True)
        times = [time for time, _ in loss]
        label = "each step" if steps_per_point == 1 else f"mean over {steps_per_point:,} steps"
        upper.plot(times, [value for _, value in loss], color=palette.model, alpha=0.3, linewidth=1, label=label)
        upper.plot(times, _running_mean([value for _, value in loss]), color=palette.model, label="running mean")
        upper.set_ylabel("training loss")
        upper.set_ylim(bottom=0)
        for (name, points), colour in zip(validation.items(), (palette.model, palette.second), strict=False):
            lower.plot(
                [x for x, _ in points], [y for _, y in points], color=colour, marker="o", markersize=4, label=name
            )
        lower.set_ylabel("validation")
        lower.set_ylim(0, 1)
        lower.set_xlim(left=0)
        lower.set_xlabel(unit)
        for axes in (upper, lower):
            _clean(axes, palette)
            if axes.has_data():
                axes.legend(frameon=False, labelcolor=palette.ink, loc="best")
        return _svg(figure)


def _running_mean(values: Sequence[float], keep: float = 0.9) -> list[float]:
    """Exponential mean that starts at the mean of what has been seen, not at zero."""
    means: list[float] = []
    total = weight = 0.0
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        means.append(total / weight)
    return means


def _clean(axes: Axes, palette: Palette) -> None:
    axes.set_facecolor("none")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(palette.faint)
    axes.grid(axis="y", color=palette.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=palette.ink, which="both")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.label.set_color(palette.ink)
    axes.yaxis.label.set_color(palette.ink)


def _svg(figure: Figure) -> str:
    figure.patch.set_alpha(0)
    target = io.StringIO()
    figure.savefig(target, format="svg", metadata={"Date": None})
    return target.getvalue()
