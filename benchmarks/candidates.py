"""Who is measured: ours in its forms, its peers, and the limit, all of one size.

Shapes: B batch, N tokens, E hidden size.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import transformers
from torch import Tensor, nn

from nysformer.errors import NysformerError
from nysformer.layers.fused import PackedLinear, can_quantize
from nysformer.models import NystromformerConfig, NystromformerModel
from nysformer.ops import can_pack
from nysformer.runtime.optimize import optimize

__all__ = [
    "BASE",
    "CANDIDATES",
    "LIMIT",
    "NOTES",
    "Candidate",
    "Size",
    "build_nysformer",
    "check_length",
    "find",
    "forward_task",
]

Family = Literal[
    "limit",
    "limit, packed",
    "nysformer",
    "nysformer optimized",
    "nysformer compiled",
    "transformers",
    "BERT",
    "ModernBERT",
]


@dataclass(frozen=True, slots=True)
class Size:
    """The shape of every candidate, base size at two layers if nothing else is said; `positions` bounds a document."""

    hidden: int = 768
    heads: int = 12
    intermediate: int = 3072
    layers: int = 2
    vocabulary: int = 30_000
    landmarks: int = 64
    kernel: int = 65
    positions: int = 4096


BASE = Size()
LIMIT = "limit"

NOTES = {
    "limit": "the linear layers of every layer alone (torch.nn.Linear), each with weights of its own, same shapes and "
    "dtype; embeddings, norms, activations and attention are not in it",
    "limit, packed": "the same products with weights packed by oneDNN, as `nysformer.optimize` runs them: what is "
    "faster here is the product, not the architecture",
    "transformers": "its Nyströmformer in Nyström mode: segment_means_seq_len is the length",
    "BERT": "scaled_dot_product_attention, no pooler",
    "ModernBERT": "same depth, width and heads; its own gated feed-forward, two thirds as wide so that its products "
    "are as many; rotary positions, no biases; of two layers the first is global, the second sees 128 tokens",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One encoder in one precision.

    Attributes:
        family: whose code it is.
        precision: of weights and products: "float32", "bfloat16", or "int8" (bfloat16 around the products).
    """

    family: Family
    precision: Literal["float32", "bfloat16", "int8"]

    @property
    def name(self) -> str:
        return f"{self.family} {self.precision}"

    def is_available(self) -> bool:
        """Whether this machine has what it needs."""
        if self.family == "limit, packed":
            return can_pack(getattr(torch, self.precision))
        if self.family == "nysformer compiled":
            return any(shutil.which(compiler) for compiler in ("g++", "c++", "clang++", "cl"))
        return self.precision != "int8" or can_quantize()

    def build(self, size: Size, length: int) -> nn.Module:
        """The encoder in eval mode, for documents of up to `size.positions` tokens; transformers' for just `length`.

        Ours and transformers' have the same weights, the same ones every time.
        """
        torch.manual_seed(0)
        return _BUILDERS[self.family](size, length, self.precision).eval()


CANDIDATES = (
    Candidate("limit", "float32"),
    Candidate("limit, packed", "float32"),
    Candidate("limit", "bfloat16"),
    Candidate("limit, packed", "bfloat16"),
    Candidate("nysformer", "float32"),
    Candidate("nysformer", "bfloat16"),
    Candidate("nysformer optimized", "float32"),
    Candidate("nysformer optimized", "bfloat16"),
    Candidate("nysformer optimized", "int8"),
    Candidate("nysformer compiled", "bfloat16"),
    Candidate("transformers", "float32"),
    Candidate("BERT", "float32"),
    Candidate("BERT", "bfloat16"),
    Candidate("ModernBERT", "float32"),
)


def find(name: str) -> Candidate:
    """The candidate of that name."""
    return next(candidate for candidate in CANDIDATES if candidate.name == name)


def check_length(length: int, size: Size) -> None:
    """Refuse a length that transformers' Nyström form cannot have.

    Raises:
        NysformerError: which, and what it can have.
    """
    if length % size.landmarks or length <= size.landmarks:
        raise NysformerError(
            f"a length of {length} tokens: transformers' Nyströmformer, measured beside ours, needs a multiple of "
            f"{size.landmarks} above {size.landmarks}; give one"
        )


def forward_task(model: nn.Module, size: Size, length: int, *, batch: int = 1) -> Callable[[], Tensor]:
    """A call of the model on `batch` full documents, without gradients; returns its last hidden states (B, N, E)."""
    generator = torch.Generator().manual_seed(length)
    if isinstance(model, Products):
        hidden = torch.randn(batch * length, size.hidden, generator=generator).to(model.precision)
        return torch.inference_mode()(lambda: model(hidden))
    ids = torch.randint(10, size.vocabulary, (batch, length), generator=generator)
    return torch.inference_mode()(lambda: model(input_ids=ids).last_hidden_state)


class Products(nn.Module):
    """A layer's linear layers and nothing else: (T, E) to (T, E)."""

    def __init__(self, size: Size, precision: torch.dtype, *, packed: bool) -> None:
        super().__init__()
        self.precision = precision
        hidden, wide = size.hidden, size.intermediate
        shapes = (
            (hidden, hidden),
            (hidden, hidden),
            (hidden, hidden),
            (hidden, hidden),
            (hidden, wide),
            (wide, hidden),
        )

        def make(inside: int, outside: int) -> Callable[[Tensor], Tensor]:
            linear = nn.Linear(inside, outside).to(precision).requires_grad_(False)
            return PackedLinear(linear.weight, linear.bias) if packed else linear

        self.products = [[make(*shape) for shape in shapes] for _ in range(size.layers)]

    def forward(self, hidden: Tensor) -> Tensor:
        for query, key, value, attended, widened, narrowed in self.products:
            query(hidden)
            key(hidden)
            hidden = narrowed(widened(attended(value(hidden))))
        return hidden


def build_nysformer(size: Size, **settings: Any) -> NystromformerModel:
    """Ours, float32, with landmarks and seeded weights; `settings` are further fields of the configuration."""
    torch.manual_seed(0)
    return NystromformerModel(NystromformerConfig(**_shape(size), **settings))


def _shape(size: Size) -> dict[str, Any]:
    return {
        "vocab_size": size.vocabulary,
        "hidden_size": size.hidden,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "intermediate_size": size.intermediate,
        "max_position_embeddings": size.positions,
        "num_landmarks": size.landmarks,
        "conv_kernel_size": size.kernel,
    }


def _limit(size: Size, length: int, precision: str, *, packed: bool = False) -> nn.Module:
    return Products(size, getattr(torch, precision), packed=packed)


def _packed_limit(size: Size, length: int, precision: str) -> nn.Module:
    return _limit(size, length, precision, packed=True)


def _nysformer(size: Size, length: int, precision: str) -> nn.Module:
    return build_nysformer(size).to(getattr(torch, precision))


def _optimized(size: Size, length: int, precision: str) -> nn.Module:
    model = build_nysformer(size)
    if precision == "int8":
        return optimize(model, dtype="bfloat16", quantize="int8")
    return optimize(model, dtype=getattr(torch, precision))


def _compiled(size: Size, length: int, precision: str) -> nn.Module:
    return optimize(build_nysformer(size), dtype=getattr(torch, precision), compile=True)


def _transformers(size: Size, length: int, precision: str) -> nn.Module:
    config = transformers.NystromformerConfig(**_shape(size), segment_means_seq_len=length)
    model = transformers.NystromformerModel(config)
    model.load_state_dict(build_nysformer(size).state_dict())
    return model.to(getattr(torch, precision))


def _bert(size: Size, length: int, precision: str) -> nn.Module:
    config = transformers.BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.intermediate,
        max_position_embeddings=size.positions,
        attn_implementation="sdpa",
    )
    return transformers.BertModel(config, add_pooling_layer=False).to(getattr(torch, precision))


def _modernbert(size: Size, length: int, precision: str) -> nn.Module:
    config = transformers.ModernBertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=2 * size.intermediate // 3,  # it has two products in, one out
        max_position_embeddings=size.positions,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        cls_token_id=1,
        sep_token_id=2,
        attn_implementation="sdpa",
    )
    return transformers.ModernBertModel(config).to(getattr(torch, precision))


_BUILDERS: dict[Family, Callable[[Size, int, str], nn.Module]] = {
    "limit": _limit,
    "limit, packed": _packed_limit,
    "nysformer": _nysformer,
    "nysformer optimized": _optimized,
    "nysformer compiled": _compiled,
    "transformers": _transformers,
    "BERT": _bert,
    "ModernBERT": _modernbert,
}
