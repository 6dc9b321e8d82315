"""A tiny classifier on disk, for tests that need a model folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from nysformer import NystromformerConfig, NystromformerForSequenceClassification
from nysformer.checkpoints.load import load_model

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def letter_tokenizer() -> PreTrainedTokenizerFast:
    """Makes each letter a token, between [CLS] and [SEP]; 56 tokens."""
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    words = Tokenizer(WordPiece({token: number for number, token in enumerate(tokens)}, unk_token="[UNK]"))
    words.normalizer = BertNormalizer()
    words.pre_tokenizer = BertPreTokenizer()
    words.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def save_classifier(folder: Path, labels: Sequence[str] = ("ham", "spam", "eggs"), **settings: Any) -> Path:
    """Save an untrained classifier of 256 positions with its tokenizer; the same numbers every time."""
    tokenizer = letter_tokenizer()
    tokenizer.save_pretrained(folder)
    usual = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 256,
        "num_landmarks": 8,
        "conv_kernel_size": 5,
        "pad_token_id": 0,
        "initializer_range": 0.5,  # so that documents get different answers
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }
    config = NystromformerConfig(**{**usual, **settings})
    torch.manual_seed(1)
    NystromformerForSequenceClassification(config).save_pretrained(folder)
    return folder


def load_classifier(source: str | Path, **options: Any) -> NystromformerForSequenceClassification:
    """A sequence classifier out of a model folder, see `load_model`."""
    model = load_model(source, NystromformerForSequenceClassification, **options)
    assert isinstance(model, NystromformerForSequenceClassification)
    return model
