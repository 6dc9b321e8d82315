"""PEFT's adapters on every part of the models: equal at the start, trained, saved, loaded and merged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

from nysformer import NysformerError

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",  # PEFT asks for it
    "ignore::UserWarning:peft.*",
)

Make = Callable[..., Any]
TABLES = ["word_embeddings", "position_embeddings", "token_type_embeddings"]
ADAPTERS: dict[str, peft.PeftConfig] = {
    **{table: peft.LoraConfig(r=2, target_modules=[table]) for table in TABLES},
    "tables by DoRA": peft.LoraConfig(r=2, target_modules=TABLES[:2], use_dora=True),
    "all linear": peft.LoraConfig(r=2, target_modules="all-linear"),
    "DoRA": peft.LoraConfig(r=2, target_modules=["query", "dense"], use_dora=True),
    "tokens": peft.LoraConfig(r=2, target_modules=["query"], trainable_token_indices=[3, 5]),
    "positions": peft.LoraConfig(
        r=2, target_modules=["query"], trainable_token_indices={"position_embeddings": [3, 5]}
    ),
    "trainable tokens": peft.TrainableTokensConfig(token_indices=[3, 5], target_modules=["word_embeddings"]),
    "whole modules": peft.LoraConfig(
        r=2, target_modules=["query"], modules_to_save=["conv", "word_embeddings", "position_embeddings", "LayerNorm"]
    ),
    "IA3": peft.IA3Config(target_modules=["key", "value", "output.dense"], feedforward_modules=["output.dense"]),
}
# Where the token table is also the decoder's weight, PEFT can neither merge an adapter on one of the two, nor keep the
# decoder's bias under trainable tokens.
HEADS = {
    name: "ForMaskedLM" if name in ("all linear", "DoRA", "whole modules", "IA3", *TABLES[1:]) else "ForMultipleChoice"
    for name in ADAPTERS
}


@pytest.mark.parametrize("kind", ADAPTERS)
def test_trained_saved_loaded_and_merged(make: Make, labelled: Make, tmp_path: Path, kind: str) -> None:
    head = HEADS[kind]
    inputs, base = labelled(head, 2, 40), make(head)
    inputs["input_ids"][..., ::2] = 3
    plain = base(**inputs).logits.detach()
    base.save_pretrained(tmp_path / "base")
    torch.manual_seed(0)
    model = peft.get_peft_model(base, ADAPTERS[kind]).eval()
    torch.testing.assert_close(model(**inputs).logits, plain, rtol=1e-4, atol=1e-4)
    trained = [each for each in model.parameters() if each.requires_grad]
    for _ in range(2):  # the second factor starts at zero, so the first learns from the second step on
        model.zero_grad()
        model.train()(**inputs).loss.backward()
        assert all(each.grad is not None and each.grad.isfinite().all() for each in trained)
        with torch.no_grad():
            for each in trained:
                each.sub_(each.grad, alpha=0.3)
    model.eval()
    with torch.no_grad():
        tuned = model(**inputs).logits
        assert not torch.allclose(tuned, plain, atol=1e-3)
        model.save_pretrained(tmp_path / "adapter")
        loaded = type(make(head)).from_pretrained(tmp_path / "base")
        again = peft.PeftModel.from_pretrained(loaded, str(tmp_path / "adapter")).eval()
        torch.testing.assert_close(again(**inputs).logits, tuned, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(again.merge_and_unload()(**inputs).logits, tuned, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("config", [peft.LoraConfig, peft.IA3Config])
def test_no_adapter_goes_into_the_convolution(make: Make, config: type[peft.PeftConfig]) -> None:
    more = {"feedforward_modules": []} if config is peft.IA3Config else {}
    with pytest.raises(ValueError, match=r"Target module HeadKernels\(4 heads, kernel_size=5\) is not supported"):
        peft.get_peft_model(make("Model"), config(target_modules=["conv"], **more))


def test_ids_are_checked_against_a_wrapped_table(make: Make) -> None:
    model = peft.get_peft_model(make("Model"), peft.LoraConfig(r=2, target_modules=TABLES))
    with pytest.raises(NysformerError, match="outside 0 to 98"):
        model(torch.full((1, 5), 99))
    with pytest.raises(NysformerError, match="the position table holds 256"):
        model(torch.full((1, 257), 5))
    with pytest.raises(NysformerError, match="token_type_ids holds 2 to 2, outside 0 to 1"):
        model(torch.full((1, 5), 5), token_type_ids=torch.full((1, 5), 2))


@torch.no_grad()
def test_longer_and_larger_under_an_adapter(make: Make) -> None:
    ids = torch.randint(2, 99, (2, 40), generator=torch.Generator().manual_seed(0))
    model = peft.get_peft_model(make("ForMaskedLM"), peft.LoraConfig(r=2, target_modules=["query"])).eval()
    before = model(ids).logits
    model.extend_positions(300)
    model.resize_token_embeddings(120)
    torch.testing.assert_close(model(ids).logits[..., :99], before)
    assert model(torch.full((1, 300), 119)).logits.shape == (1, 300, 120)
    wrapped = peft.get_peft_model(make("ForMaskedLM"), peft.LoraConfig(r=2, target_modules=TABLES))
    for grow in (lambda: wrapped.extend_positions(300), lambda: wrapped.resize_token_embeddings(120)):
        with pytest.raises(NysformerError, match=r"wrapped by an adapter.*merge_and_unload") as caught:
            grow()
        assert "\n" not in str(caught.value)
    assert wrapped.get_input_embeddings().weight.shape == (99, 32)
