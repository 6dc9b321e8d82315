"""The Auto classes before, during and after, and what stands on them."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny import letter_tokenizer, save_classifier
from transformers import AutoConfig, AutoModel, AutoTokenizer, pipeline

import nysformer

Make = Callable[..., Any]
AUTO = {
    "AutoModel": "NystromformerModel",
    "AutoModelForTextEncoding": "NystromformerModel",
    "AutoModelForMaskedLM": "NystromformerForMaskedLM",
    "AutoModelForSequenceClassification": "NystromformerForSequenceClassification",
    "AutoModelForMultipleChoice": "NystromformerForMultipleChoice",
    "AutoModelForTokenClassification": "NystromformerForTokenClassification",
    "AutoModelForQuestionAnswering": "NystromformerForQuestionAnswering",
}
LONG = " ".join("abcdefgh" * 30)  # 240 letters, far past the landmarks


@pytest.fixture
def registered() -> Iterator[None]:
    nysformer.register()
    with torch.no_grad():
        yield
    nysformer.unregister()


def saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer = letter_tokenizer()
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    tokenizer.model_max_length = 256
    tokenizer.save_pretrained(folder)
    return folder


def gives(folder: Path, theirs: Path, config: Any) -> set[str]:
    """The library whose classes the Auto classes give, for configurations and folders of both."""
    found = {
        type(AutoConfig.from_pretrained(folder)).__module__,
        type(AutoConfig.for_model("nystromformer")).__module__,
    }
    for auto in AUTO:
        cls = getattr(transformers, auto)
        found.add(type(cls.from_config(config)).__module__)
        found |= {type(cls.from_pretrained(each)).__module__ for each in (folder, theirs)}
    return {name.split(".")[0] for name in found}


def test_before_during_and_after(make: Make, tmp_path: Path) -> None:
    model = make("Model")
    model.save_pretrained(tmp_path / "ours")
    values = {key: getattr(model.config, key) for key in ("vocab_size", "hidden_size", "num_attention_heads")}
    values |= {"num_hidden_layers": 1, "intermediate_size": 48, "max_position_embeddings": 64}
    theirs = transformers.NystromformerModel(transformers.NystromformerConfig(**values))
    theirs.save_pretrained(tmp_path / "theirs")
    assert gives(tmp_path / "ours", tmp_path / "theirs", model.config) == {"transformers"}
    nysformer.register()
    nysformer.register()
    try:
        assert gives(tmp_path / "ours", tmp_path / "theirs", model.config) == {"nysformer"}
        for auto, name in AUTO.items():
            cls = type(getattr(transformers, auto).from_pretrained(tmp_path / "ours"))
            assert cls is getattr(nysformer, name)
        assert isinstance(AutoModel.from_config(theirs.config), transformers.NystromformerModel)
    finally:
        nysformer.unregister()
    assert gives(tmp_path / "ours", tmp_path / "theirs", model.config) == {"transformers"}
    nysformer.unregister()
    assert gives(tmp_path / "ours", tmp_path / "theirs", model.config) == {"transformers"}


def test_what_was_registered_before_comes_back(tiny: Make) -> None:
    class Other(nysformer.NystromformerModel):
        pass

    AutoModel.register(nysformer.NystromformerConfig, Other, exist_ok=True)
    try:
        nysformer.register()
        assert type(AutoModel.from_config(tiny())) is nysformer.NystromformerModel
        nysformer.unregister()
        assert type(AutoModel.from_config(tiny())) is Other
    finally:
        AutoModel._model_mapping._extra_content.pop(nysformer.NystromformerConfig)


def test_a_tokenizer_beside_a_model_without_convolution(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path, conv_kernel_size=None)
    assert AutoTokenizer.from_pretrained(folder)("a b")["input_ids"] == letter_tokenizer()("a b")["input_ids"]
    nysformer.register()
    try:
        assert AutoTokenizer.from_pretrained(folder)("a b")["input_ids"] == letter_tokenizer()("a b")["input_ids"]
    finally:
        nysformer.unregister()


PIPELINES = """
import sys
import nysformer
from transformers import pipeline
from transformers.utils import logging
logging.disable_progress_bar()
nysformer.register()
assert "transformers.models.nystromformer.modeling_nystromformer" not in sys.modules
for argument in sys.argv[1:]:
    task, folder = argument.split("=")
    made = pipeline(task, folder, device="cpu")
    assert type(made.model).__module__.startswith("nysformer."), type(made.model)
    made("a [MASK] c" if task == "fill-mask" else "a b c")
"""


def test_pipelines_say_nothing(make: Make, tmp_path: Path) -> None:
    """transformers imports its own Nyströmformer for a pipeline, and documents it from our configuration."""
    made = {
        "text-classification": "ForSequenceClassification",
        "fill-mask": "ForMaskedLM",
        "token-classification": "ForTokenClassification",
        "feature-extraction": "Model",
    }
    folders = [f"{task}={saved(make(name), tmp_path / task)}" for task, name in made.items()]
    done = subprocess.run([sys.executable, "-c", PIPELINES, *folders], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "ERROR" not in done.stderr
    assert "checkpoint" not in done.stderr


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("batch_size", [1, 3])
def test_pipeline_text_classification(tmp_path: Path, batch_size: int) -> None:
    folder = save_classifier(tmp_path)
    classify = pipeline("text-classification", str(folder), device="cpu")
    assert isinstance(classify.model, nysformer.NystromformerForSequenceClassification)
    texts = ["a", LONG, "b c d", "h g"]
    together = classify(texts, batch_size=batch_size)
    for text, answer in zip(texts, together, strict=True):
        logits = classify.model(**classify.tokenizer(text, return_tensors="pt")).logits
        assert answer["label"] == classify.model.config.id2label[int(logits.argmax())]
        assert answer["score"] == pytest.approx(float(logits.softmax(-1).max()), abs=1e-5)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("batch_size", [1, 3])
def test_pipeline_fill_mask(make: Make, tmp_path: Path, batch_size: int) -> None:
    fill = pipeline("fill-mask", str(saved(make("ForMaskedLM"), tmp_path)), device="cpu")
    texts = ["a [MASK] c", f"{LONG} [MASK] a", "b [MASK]"]
    for text, answer in zip(texts, fill(texts, batch_size=batch_size, top_k=1), strict=True):
        encoded = fill.tokenizer(text, return_tensors="pt")
        place = int((encoded["input_ids"][0] == fill.tokenizer.mask_token_id).nonzero())
        logits = fill.model(encoded["input_ids"], encoded["attention_mask"]).logits[0, place]
        best = answer[0] if isinstance(answer, list) else answer
        assert best["token"] == int(logits.argmax())
        assert best["score"] == pytest.approx(float(logits.softmax(-1).max()), abs=1e-5)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("batch_size", [1, 3])
def test_pipeline_token_classification(make: Make, tmp_path: Path, batch_size: int) -> None:
    label = pipeline("token-classification", str(saved(make("ForTokenClassification"), tmp_path)), device="cpu")
    texts = ["a b", LONG, "c"]
    for text, answer in zip(texts, label(texts, batch_size=batch_size), strict=True):
        logits = label.model(**label.tokenizer(text, return_tensors="pt")).logits[0, 1:-1]
        names = [label.model.config.id2label[index] for index in logits.argmax(-1).tolist()]
        assert [each["entity"] for each in answer] == names


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("batch_size", [1, 3])
def test_pipeline_feature_extraction(make: Make, tmp_path: Path, batch_size: int) -> None:
    extract = pipeline("feature-extraction", str(saved(make("Model"), tmp_path)), device="cpu")
    texts = ["a b", LONG, "c"]
    for text, answer in zip(texts, extract(texts, batch_size=batch_size, return_tensors=True), strict=True):
        encoded = extract.tokenizer(text, return_tensors="pt")
        expected = extract.model(**encoded).last_hidden_state
        torch.testing.assert_close(answer[:, : expected.shape[1]], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("registered")
def test_question_answering_by_its_auto_class(make: Make, tmp_path: Path) -> None:
    """transformers 5 has no such pipeline any more; the model and the tokenizer's pairs are what is left of it."""
    folder = saved(make("ForQuestionAnswering"), tmp_path)
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    batch = tokenizer([["a b", LONG], ["c", "d e"]], padding=True, return_tensors="pt")
    output = model(batch["input_ids"], batch["attention_mask"])
    alone = tokenizer("c", "d e", return_tensors="pt")
    expected = model(alone["input_ids"], alone["attention_mask"])
    length = alone["input_ids"].shape[1]
    for name in ("start_logits", "end_logits"):
        torch.testing.assert_close(output[name][1:, :length], expected[name], rtol=1e-5, atol=1e-5)
        assert int(output[name][1].argmax()) < length
