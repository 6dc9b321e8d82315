"""Fits the head of a document classifier to its encoder as it stands: a linear probe, where fine-tuning then begins.

The head is scaling, dropout, dense, activation, dropout, projection. Its scaling becomes a standardisation of the
features, its first layer moves them to where the activation is nearly linear, and its projection is a scikit-learn fit
to what then comes out.

Shapes: D documents, P pieces of them (a document read in windows has several), F features, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nysformer.errors import NysformerError
from nysformer.files.scratch import disk_errors, scratch_folder
from nysformer.inference.runner import Runner
from nysformer.models import NystromformerForSequenceClassification
from nysformer.tasks.base import Example, Metric
from nysformer.tasks.class_weights import ClassWeights
from nysformer.tasks.labels import REGRESSION
from nysformer.tasks.linear_probe import LinearProbe, fit_probe
from nysformer.tasks.metrics import measure_labels
from nysformer.tasks.sequence_classification import SequenceClassification
from nysformer.training.corpus import Corpus
from nysformer.training.trainer import TokenBudgetTrainer

__all__ = ["Features", "fit_head", "probe_first", "read_features"]

_Rows: TypeAlias = NDArray[np.float32]

# So many batches are chosen from together, so that they hold examples of like length.
_WINDOW_BATCHES = 32
# Spreads below this share of the mean are rounding errors, or would be in bfloat16, whose step is a 256th.
_ROUNDING = 1 / 64
# Rows that go through the head together.
_ROWS = 4_096


@dataclass(frozen=True)
class Features:
    """What the classifier reads of the training documents.

    Attributes:
        pieces: (P, F) float32, of each piece, on disk.
        counts: (D,) pieces of each document.
        targets: of each document: its label's number, C of 0 and 1, or its number.
    """

    pieces: _Rows
    counts: NDArray[np.int64]
    targets: NDArray[Any]

    def by_document(self, function: Callable[[_Rows], _Rows]) -> NDArray[np.float64]:
        """(D, F'): the mean over each document's pieces of what a function makes of their rows."""
        ends = np.cumsum(self.counts)
        starts = ends - self.counts
        means = []
        first = 0
        while first < len(ends):
            last = max(first + 1, int(np.searchsorted(ends, starts[first] + _ROWS, side="right")))
            rows = function(self.pieces[starts[first] : ends[last - 1]]).astype(np.float64)
            sums = np.add.reduceat(rows, starts[first:last] - starts[first], axis=0)
            means.append(sums / self.counts[first:last, None])
            first = last
        return np.concatenate(means)


class _FeatureRunner(Runner):
    """Gives the features in place of the outputs."""

    def outputs(
        self, inputs: Mapping[str, Tensor], batch: Mapping[str, Tensor], examples: Sequence[Example]
    ) -> list[Any]:
        return list(self.model.features(**inputs).float().cpu().numpy())


def probe_first(
    trainer: TokenBudgetTrainer,
    metric: Metric,
    class_weights: ClassWeights | None,
    tokens_per_batch: int,
    progress: Callable[[float], None],
) -> str:
    """Fit the head of a trainer's model to the training documents, and say in a line how.

    Args:
        trainer: before its first step.
        metric, class_weights: see `fit_head`.
        tokens_per_batch, progress: see `read_features`.

    Raises:
        NysformerError: as `read_features` and `fit_head`.
    """
    model, corpus = trainer.model, trainer.corpus
    assert isinstance(model, NystromformerForSequenceClassification)
    with trainer.inference_copy() as (copy, context):
        assert isinstance(copy, NystromformerForSequenceClassification)
        chosen = trainer.train_batches.examples()
        features = read_features(corpus, chosen, copy, tokens_per_batch, context, progress)
    probe = fit_head(model, corpus, features, metric=metric, class_weights=class_weights, seed=trainer.args.seed)
    said = "" if probe.score is None else f", {metric.title} {abs(probe.score):.3f} in folds of the training documents"
    return f"linear probe: C {probe.strength:g}{said}"


def read_features(
    corpus: Corpus,
    chosen: NDArray[np.int64],
    model: NystromformerForSequenceClassification,
    tokens_per_batch: int,
    context: Callable[[], Any],
    progress: Callable[[float], None],
) -> Features:
    """Read training documents once.

    Args:
        corpus: of the run.
        chosen: (P) the examples to read, in rising order, at least one of each document.
        model: in evaluation mode.
        tokens_per_batch: real tokens per batch.
        context: entered around each forward pass, such as autocast.
        progress: is told the share of the tokens that is read.

    Raises:
        NysformerError: not enough memory or disk; features that are not finite.
    """
    runner = _FeatureRunner(model, corpus.task, tokens_per_batch, context)
    lengths = np.asarray(corpus.train.lengths)[chosen].tolist()
    shape = (len(lengths), model.classifier.dense.in_features)
    with disk_errors():
        pieces: _Rows = np.memmap(scratch_folder() / "features", np.float32, "w+", shape=shape)
    labels: list[Any] = []
    total, done, start = sum(lengths), 0, 0
    progress(0.0)
    while start < len(lengths):
        end, tokens = start, 0
        while end < len(lengths) and tokens < _WINDOW_BATCHES * tokens_per_batch:
            tokens += lengths[end]
            end += 1
        examples = [corpus.train[place] for place in chosen[start:end].tolist()]
        pieces[start:end] = np.stack(runner(examples))
        labels += [example.targets["labels"] for example in examples]
        done += tokens
        progress(done / total)
        start = end
    ends = np.cumsum(np.asarray(corpus.parts["train"].pieces, dtype=np.int64))
    counts = np.bincount(np.searchsorted(ends, chosen, side="right"), minlength=len(ends))
    return Features(pieces, counts, np.asarray(labels)[np.cumsum(counts) - counts])


def fit_head(
    model: NystromformerForSequenceClassification,
    corpus: Corpus,
    features: Features,
    *,
    metric: Metric,
    class_weights: ClassWeights | None,
    seed: int,
) -> LinearProbe:
    """Make the model's head a linear probe of the features, in place.

    Its outputs are then those of the fit to them: the probabilities are scikit-learn's.

    Args:
        model: whose head it is.
        corpus: the documents' lengths and groups, and the task.
        features: of the documents.
        metric: the folds choose the strength of the regularisation by it.
        class_weights: how much more documents of rare labels weigh.
        seed: of the folds.

    Raises:
        NysformerError: there is no class to tell from another.
    """
    task = corpus.task
    assert isinstance(task, SequenceClassification)
    if task.problem_type != REGRESSION and len(np.unique(features.targets)) < 2:
        raise NysformerError("probe_first: all training documents have the same labels; leave it out")
    head = model.classifier
    scaling = head.scaling
    assert scaling is not None
    slope, offset = _linear_point(head.activation)
    plain = features.by_document(lambda rows: rows)
    means = plain.mean(axis=0)
    with torch.no_grad():
        scaling.mean.copy_(torch.from_numpy(means))
        scaling.scale.copy_(torch.from_numpy(1 / np.hypot(plain.std(axis=0), _ROUNDING * np.abs(means) + 1e-6)))
        head.dense.weight.copy_(slope * torch.eye(len(means)))
        head.dense.bias.fill_(offset)

    @torch.no_grad()
    def hidden(rows: _Rows) -> _Rows:
        given = torch.from_numpy(np.array(rows)).to(head.dense.weight)
        found: _Rows = head.activation(head.dense(scaling(given))).float().cpu().numpy()
        return found

    seen = features.by_document(hidden)
    centers, spread = seen.mean(axis=0), np.sqrt(seen.var(axis=0).mean())
    lengths, targets = corpus.parts["train"].lengths, torch.from_numpy(features.targets)

    def score(logits: NDArray[np.float64]) -> float:
        outputs = torch.from_numpy(logits)
        value = float(measure_labels(task.problem_type, outputs, targets, lengths, task.labels)[metric.key])
        return -np.inf if np.isnan(value) else value if metric.greater_is_better else -value

    probe = fit_probe(
        (seen - centers) / spread,
        features.targets,
        task.problem_type,
        len(task.labels),
        score=score,
        class_weights=class_weights,
        groups=corpus.groups,
        seed=seed,
    )
    weight = probe.weight / spread
    with torch.no_grad():
        head.out_proj.weight.copy_(torch.from_numpy(weight))
        head.out_proj.bias.copy_(torch.from_numpy(probe.bias - weight @ centers))
    return probe


def _linear_point(activation: Callable[[Tensor], Tensor]) -> tuple[float, float]:
    """The slope and the offset of standardised features at which an activation is most nearly linear.

    gelu, relu and silu are so above 0, tanh around 0. The offset is no larger than that asks for, and the slope not
    small beside it: dropout drops the offset too, and with 3 and 0.1 its noise drowned the features.
    """
    normal = torch.linspace(-3.0, 3.0, 601)
    density = torch.exp(-(normal**2) / 2)

    def straightness(point: tuple[float, float]) -> float:
        with torch.no_grad():
            made = activation(point[0] * normal + point[1]).float()
        table = torch.stack([normal, made])
        return float(torch.cov(table, aweights=density)[0, 1] / torch.cov(table, aweights=density).diag().prod() ** 0.5)

    points = {point: straightness(point) for point in ((1.0, 2.0), (0.5, 0.0), (0.25, 0.5))}
    return max(points, key=lambda point: points[point])
