"""Answers through landmarks beside those of softmax attention."""

import random
from pathlib import Path

import pytest
import torch
from tiny import LETTERS, load_classifier, save_classifier

from benchmarks.answers import measure_answers_on
from nysformer.checkpoints.load import load_tokenizer
from nysformer.errors import NysformerError


def test_long_documents_are_compared(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "model")
    model, tokenizer = load_classifier(folder), load_tokenizer(folder)
    names = list(model.config.id2label.values())
    exact = model.config.exact_length
    draw = random.Random(0)
    texts = [" ".join(draw.choices(LETTERS, k=count)) for count in range(2, 90, 3)]
    labels = [names[number % len(names)] for number in range(len(texts))]
    record = measure_answers_on(folder, texts, labels)
    long = [text for text in texts if exact < len(tokenizer(text)["input_ids"]) <= model.config.max_position_embeddings]
    assert 0 < len(long) < len(texts)
    rows = {row["attention"]: row for row in record.rows}
    assert [row["documents"] for row in record.rows] == [len(long)] * 2
    assert rows["softmax"]["answers_kept"] == 1
    model.config.attention_mode = "softmax"
    softmax = type(model)(model.config).eval()
    softmax.load_state_dict(model.state_dict())
    plain = load_classifier(folder)
    with torch.no_grad():
        same = [
            int(plain(ids).logits.argmax() == softmax(ids).logits.argmax())
            for ids in (tokenizer(text, return_tensors="pt")["input_ids"] for text in long)
        ]
    assert rows["landmarks"]["answers_kept"] == sum(same) / len(same)
    assert record.bars[0]["figure"] == rows["landmarks"]["answers_kept"]


def test_a_model_without_landmarks_is_refused(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "model")
    model, tokenizer = load_classifier(folder), load_tokenizer(folder)
    model.config.attention_mode = "softmax"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with pytest.raises(NysformerError, match="it runs softmax attention at every length"):
        measure_answers_on(folder, ["a b"], ["ham"])
    with pytest.raises(NysformerError):
        measure_answers_on(save_classifier(tmp_path / "other"), ["a"], ["ham"])
