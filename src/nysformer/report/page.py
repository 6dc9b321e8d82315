"""A report is one self-contained HTML page: no script, nothing fetched, light or dark as its reader has it."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from nysformer.report.figures import Points, Theme, metric_by_length, training_curve
from nysformer.tasks.base import Metric
from nysformer.tasks.weaknesses import zero_f1

__all__ = ["Example", "Report", "render_page"]


@dataclass(frozen=True)
class Example:
    """One classified document: what it is, the probability of each label, likeliest first, and why it is shown."""

    title: str
    probabilities: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class Report:
    """Everything a page says.

    Args:
        title: of the page.
        introduction: one paragraph: the task and its data.
        verdict: one sentence: who won, by how much.
        systems: name -> metrics of a task (see `nysformer.tasks.base.Measure`), in the table's order, all on the same
            documents.
        metrics: those to show, of which more is better; the first is shown by length, too.
        model: the name in `systems` of the system the page is about.
        loss: (minutes, training loss), in order; empty where the model did no step.
        validation: metric name -> (minutes, value), in order.
        example: one classified document.
        settings: name -> value, as they are to be read.
        reproduce: shell lines.
        notes: sentences of small print.
        footer: the last line.
        log_every: training steps of which a point of `loss` is the mean.
    """

    title: str
    introduction: str
    verdict: str
    systems: Mapping[str, Mapping[str, Any]]
    metrics: Sequence[Metric]
    model: str
    loss: Points
    validation: Mapping[str, Points]
    example: Example
    settings: Mapping[str, str]
    reproduce: Sequence[str]
    notes: Sequence[str]
    footer: str
    log_every: int = 1


def render_page(report: Report) -> str:
    """Render the page; every text is escaped, plots are embedded for a light and for a dark page."""
    themes: tuple[Theme, Theme] = ("light", "dark")
    first = report.metrics[0]
    bars = {theme: metric_by_length(report.systems, metric=first, model=report.model, theme=theme) for theme in themes}
    plots = [
        {
            "title": f"{_capital(first.title)} by length",
            "caption": "Bars over few documents move much with each of them; the number is below each band.",
            "light": _data_url(bars["light"]),
            "dark": _data_url(bars["dark"]),
        },
    ]
    if report.loss:
        curve = {
            theme: training_curve(report.loss, report.validation, theme=theme, steps_per_point=report.log_every)
            for theme in themes
        }
        caption = (
            f"Above: training loss; {_points(report.log_every)}. Below: validation, on groups that training never sees."
        )
        light, dark = (_data_url(curve[theme]) for theme in themes)
        plots.append({"title": "Training curve", "caption": caption, "light": light, "dark": dark})
    environment = Environment(
        loader=PackageLoader("nysformer.report"), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    about = report.systems[report.model]
    return environment.get_template("page.html.j2").render(
        report=report,
        documents=about["documents"],
        titles=[_capital(metric.title) for metric in report.metrics],
        headline=_capital(" and ".join(metric.title for metric in report.metrics)),
        by_length=first.title,
        bands=about["by_length"],
        per_class=about["per_class"],
        weakness=zero_f1(about),
        rows=_rows(report),
        plots=plots,
    )


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]


def _points(log_every: int) -> str:
    if log_every == 1:
        return "each point is one step"
    return f"each point is the mean over {log_every:,} steps, or over fewer where a checkpoint or the end came sooner"


def _rows(report: Report) -> list[dict[str, Any]]:
    values = {
        name: [
            *(measured[metric.key] for metric in report.metrics),
            *(band[report.metrics[0].key] for band in measured["by_length"]),
        ]
        for name, measured in report.systems.items()
    }
    # Ties are all best; a difference that the table does not show is no difference.
    best = [max(round(value, 3) for value in column) for column in zip(*values.values(), strict=True)]
    return [
        {
            "name": name,
            "model": name == report.model,
            "cells": [{"value": value, "best": round(value, 3) == top} for value, top in zip(row, best, strict=True)],
        }
        for name, row in values.items()
    ]


def _data_url(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
