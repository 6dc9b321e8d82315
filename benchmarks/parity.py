"""Invariant I5: the same weights give transformers' numbers, in both modes, for the backbone and all five heads."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor, nn

from benchmarks.record import Record, show_table
from nysformer import models

__all__ = ["measure_parity"]

_CLASSES = (
    "NystromformerModel",
    "NystromformerForMaskedLM",
    "NystromformerForSequenceClassification",
    "NystromformerForMultipleChoice",
    "NystromformerForTokenClassification",
    "NystromformerForQuestionAnswering",
)
_LANDMARKS, _LENGTH, _VOCABULARY = 16, 128, 200


def measure_parity(seeds: int = 3) -> Record:
    """Largest difference over seeds, of logits relative to their largest, of gradients to the model's largest.

    Args:
        seeds: how many random models and inputs a cell.
    """
    rows = []
    for mode in ("nystrom", "softmax"):
        for name in _CLASSES:
            pairs = [_differences(mode, name, seed) for seed in range(seeds)]
            rows.append(
                {
                    "mode": mode,
                    "model": name,
                    "logits": max(logits for logits, _ in pairs),
                    "gradients": max(gradients for _, gradients in pairs),
                }
            )
    show_table("Largest difference to transformers, float32 (the invariant's bound is 1e-5)", rows)
    notes = {"tokens": _LENGTH, "landmarks": _LANDMARKS, "layers": 2, "hidden_size": 64, "seeds": seeds}
    return Record("parity", "python -m benchmarks parity", rows, notes)


def _differences(mode: str, name: str, seed: int) -> tuple[float, float]:
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "vocab_size": _VOCABULARY,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": _LENGTH,
        "num_landmarks": _LANDMARKS,
        "segment_means_seq_len": _LANDMARKS if mode == "softmax" else _LENGTH,
        "conv_kernel_size": 33,
        "num_labels": 3,
    }
    theirs = getattr(transformers, name)(transformers.NystromformerConfig(**settings)).eval()
    ours = getattr(models, name)(models.NystromformerConfig(**settings, attention_mode=mode)).eval()
    with torch.no_grad():  # weights large enough for attention to be far from uniform
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    ours.load_state_dict(theirs.state_dict())
    inputs = _inputs(name)
    their_logits, their_gradients = _run(theirs, inputs, one_at_a_time=True)
    our_logits, our_gradients = _run(ours, inputs)
    logits = (our_logits - their_logits).abs().max() / their_logits.abs().max()
    largest = max(gradient.abs().max() for gradient in their_gradients.values())
    gradients = max((our_gradients[key] - gradient).abs().max() / largest for key, gradient in their_gradients.items())
    return float(logits), float(gradients)


def _inputs(name: str) -> dict[str, Tensor]:
    """One document, or one question of two choices."""
    choices = (1, 2) if name.endswith("MultipleChoice") else (1,)
    ids = torch.randint(2, _VOCABULARY, (*choices, _LENGTH))
    if name.endswith("MaskedLM"):
        return {"input_ids": ids, "labels": ids}
    if name.endswith("TokenClassification"):
        return {"input_ids": ids, "labels": ids % 3}
    if name.endswith("QuestionAnswering"):
        return {"input_ids": ids, "start_positions": torch.tensor([5]), "end_positions": torch.tensor([70])}
    if name.endswith("Model"):
        return {"input_ids": ids}
    return {"input_ids": ids, "labels": torch.tensor([1])}


def _run(
    model: nn.Module, inputs: dict[str, Tensor], *, one_at_a_time: bool = False
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits (or hidden states) and the gradient of the loss (or of the states' mean square) for every parameter.

    one_at_a_time: a question's choices each by itself, since in their Nyström mode batch mates change the output.
    """
    if one_at_a_time and inputs["input_ids"].dim() == 3:
        logits = torch.cat([model(choice).logits for choice in inputs["input_ids"].split(1, dim=1)], dim=1)
        loss = nn.functional.cross_entropy(logits, inputs["labels"])
    else:
        outputs = model(**inputs)
        first = outputs[0]
        loss, logits = (first.square().mean(), first) if first.dim() > 0 else (first, outputs[1])
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in model.named_parameters() if parameter.grad is not None}
    return logits.detach(), gradients
