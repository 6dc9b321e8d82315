"""Differences between our models alone and the same in another library's hands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers

from benchmarks.conversions import LANDMARKS, LENGTH, SIZES, relative, sample, stirred, tiny
from nysformer.errors import NysformerError
from nysformer.models import NystromformerForMaskedLM, register, unregister

__all__ = ["auto_class", "cpu_offload", "disk_offload", "folder_in", "folder_out", "lora_merged"]


def folder_in(mode: str) -> Callable[[Path], float]:
    """Their folder, read by both."""

    def measure(folder: Path) -> float:
        config = transformers.NystromformerConfig(
            **SIZES,
            intermediate_size=128,
            max_position_embeddings=LENGTH,
            num_landmarks=LANDMARKS,
            segment_means_seq_len=LANDMARKS if mode == "softmax" else LENGTH,
            conv_kernel_size=33,
        )
        theirs = stirred(transformers.NystromformerForMaskedLM(config))
        theirs.save_pretrained(folder)
        ours = NystromformerForMaskedLM.from_pretrained(folder)
        return relative(ours(sample()).logits, theirs(sample()).logits)

    return measure


def folder_out(mode: str) -> Callable[[Path], float]:
    """Our folder, read by both."""

    def measure(folder: Path) -> float:
        ours = stirred(tiny(attention_mode=mode, segment_means_seq_len=LENGTH))
        ours.save_pretrained(folder)
        theirs = transformers.NystromformerForMaskedLM.from_pretrained(folder)
        return relative(theirs(sample()).logits, ours(sample()).logits)

    return measure


def auto_class(folder: Path) -> float:
    """Our folder, by an Auto class that has been told of our classes."""
    ours = stirred(tiny())
    ours.save_pretrained(folder)
    register()
    try:
        found = transformers.AutoModelForMaskedLM.from_pretrained(folder)
    finally:
        unregister()
    if not isinstance(found, NystromformerForMaskedLM):
        raise NysformerError(f"AutoModelForMaskedLM gave {type(found)} after nysformer.register()")
    return relative(found(sample()).logits, ours(sample()).logits)


def cpu_offload(folder: Path) -> float:
    """Weights brought to each module as it runs, from memory."""
    import accelerate

    return _offloaded(lambda model: accelerate.cpu_offload(model, execution_device="cpu"))


def disk_offload(folder: Path) -> float:
    """Weights brought to each module as it runs, from disk."""
    import accelerate

    return _offloaded(lambda model: accelerate.disk_offload(model, str(folder), execution_device="cpu"))


def _offloaded(offload: Callable[[Any], Any]) -> float:
    model = stirred(tiny())
    alone = model(sample()).logits
    return relative(offload(model)(sample()).logits, alone)


def lora_merged(folder: Path) -> float:
    """An adapter on queries and values, saved and loaded, beside the weights and merged into them."""
    import peft

    base = stirred(tiny())
    adapted = stirred(peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules=["query", "value"])))
    with_adapter = adapted(input_ids=sample()).logits
    adapted.save_pretrained(folder / "adapter")
    adapted.unload().save_pretrained(folder / "base")  # the weights were stirred too
    again = NystromformerForMaskedLM.from_pretrained(folder / "base")
    loaded = peft.PeftModel.from_pretrained(again, str(folder / "adapter"))
    return relative(loaded.merge_and_unload()(sample()).logits, with_adapter)
