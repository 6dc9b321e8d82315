"""Tiny encoders of other families on disk, and one in the layout of the Nyströmformer authors' training code."""

import math
from pathlib import Path
from typing import Any

import torch
import transformers
from tiny import letter_tokenizer
from torch import Tensor, nn

FAMILIES = ("Bert", "Roberta", "XLMRoberta", "DistilBert", "Electra")
LENGTH = 40  # tokens a source reads


def noisy(model: Any, seed: int = 0) -> Any:
    """Weights of about unit effect, biases too, so that a wrong place or a forgotten one shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 32**-0.5 if parameter.dim() > 1 else 0.2
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def build(family: str, head: str = "Model", **options: Any) -> Any:
    """A model of that family and head of 2 layers, 32 wide, that reads `LENGTH` tokens."""
    rows = LENGTH + 2 if "Roberta" in family else LENGTH
    values: dict[str, Any] = {
        "vocab_size": len(letter_tokenizer()),
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "hidden_size": 32,
        "embedding_size": 32,
        "max_position_embeddings": rows,
        "hidden_dim" if family == "DistilBert" else "intermediate_size": 48,
    }
    config = getattr(transformers, f"{family}Config")(**{**values, **options})
    torch.manual_seed(0)
    return noisy(getattr(transformers, f"{family}{head}")(config))


def save(model: Any, folder: Path) -> Path:
    """Save a model with the letters' tokenizer."""
    model.save_pretrained(folder)
    letter_tokenizer().save_pretrained(folder)
    return folder


class AuthorsModel(nn.Module):
    """Post-norm layers with softmax attention under the authors' module names, with a masked-LM head over them."""

    def __init__(self, conv_kernel_size: int | None, size: int = 32, heads: int = 4, layers: int = 2) -> None:
        super().__init__()
        vocabulary = len(letter_tokenizer())
        self.heads, self.layers = heads, layers
        self.model = nn.Module()
        self.model.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(vocabulary, size),
                "position_embeddings": nn.Embedding(LENGTH + 2, size),
                "token_type_embeddings": nn.Embedding(2, size),
                "norm": nn.LayerNorm(size),
            }
        )
        for index in range(layers):
            attention: dict[str, nn.Module] = {name: nn.Linear(size, size) for name in ("W_q", "W_k", "W_v", "ff")}
            attention["attn"] = nn.Module()
            if conv_kernel_size is not None:
                padding = (conv_kernel_size // 2, 0)
                attention["attn"].conv = nn.Conv2d(
                    heads, heads, (conv_kernel_size, 1), padding=padding, groups=heads, bias=False
                )
            layer = {"mha": nn.ModuleDict(attention), "norm1": nn.LayerNorm(size), "norm2": nn.LayerNorm(size)}
            layer |= {"ff1": nn.Linear(size, 48), "ff2": nn.Linear(48, size)}
            self.model.add_module(f"transformer_{index}", nn.ModuleDict(layer))
        self.mlm = nn.ModuleDict(
            {"dense": nn.Linear(size, size), "norm": nn.LayerNorm(size), "mlm_class": nn.Linear(size, vocabulary)}
        )
        self.mlm["mlm_class"].weight = self.model.embeddings["word_embeddings"].weight

    def forward(self, ids: Tensor) -> Tensor:
        """(B, N) ids to (B, N, V)."""
        tables = self.model.embeddings
        places = torch.arange(ids.shape[1]) + 2
        x = tables["word_embeddings"](ids) + tables["position_embeddings"](places)
        x = tables["norm"](x + tables["token_type_embeddings"](torch.zeros_like(ids)))
        for index in range(self.layers):
            layer = getattr(self.model, f"transformer_{index}")
            x = layer["norm1"](x + self.attend(layer["mha"], x))
            x = layer["norm2"](x + layer["ff2"](gelu(layer["ff1"](x))))
        return self.mlm["mlm_class"](self.mlm["norm"](gelu(self.mlm["dense"](x))))

    def attend(self, mha: Any, x: Tensor) -> Tensor:
        """Softmax attention and the convolution of the values."""
        q, k, v = (mha[name](x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for name in ("W_q", "W_k", "W_v"))
        context = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ v
        if hasattr(mha["attn"], "conv"):
            context = context + mha["attn"].conv(v)
        return mha["ff"](context.transpose(1, 2).flatten(2))


def gelu(x: Tensor) -> Tensor:
    """Its tanh form."""
    return nn.functional.gelu(x, approximate="tanh")
