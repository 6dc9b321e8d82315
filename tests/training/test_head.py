"""A trained head is kept where the documents ask what it answers, with its order; everywhere else it is new."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from rich.console import Console
from safetensors.torch import load_file, save_file
from tiny import letter_tokenizer, save_classifier

from nysformer import NystromformerConfig, NystromformerForMaskedLM, NystromformerForSequenceClassification
from nysformer.errors import NysformerError
from nysformer.inference.evaluate import evaluate
from nysformer.tasks.labels import SINGLE_LABEL
from nysformer.tasks.sequence_classification import SequenceClassification
from nysformer.training.finetune import finetune
from nysformer.training.head import load_with_head, read_head
from nysformer.training.options import FinetuneOptions
from nysformer.training.settings import TrainingResult

Options = Callable[..., FinetuneOptions]
OUT = "classifier.out_proj"


def set_config(folder: Path, **changes: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes), encoding="utf-8")
    return folder


def reorder(folder: Path, order: Sequence[int]) -> Path:
    """The same model with its outputs in another order."""
    weights = load_file(folder / "model.safetensors")
    for name in (f"{OUT}.weight", f"{OUT}.bias"):
        weights[name] = weights[name][list(order)].contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    names = json.loads((folder / "config.json").read_bytes())["id2label"]
    labels = [names[str(place)] for place in order]
    return set_config(
        folder,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )


def one_tiny_step(options: Options, model: Path, **changes: Any) -> tuple[TrainingResult, str]:
    console = Console(file=io.StringIO(), width=200)
    settings = {"model": str(model), "max_steps": 1, "learning_rate": 1e-12} | changes
    result = finetune(options(**settings), console=console)
    heads = [line for line in console.file.getvalue().splitlines() if line.startswith("new head")]
    return result, "\n".join(heads)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_the_same_labels_in_another_order_are_the_same_model(
    options: Options, documents: tuple[Path, Path], tmp_path: Path, order: tuple[int, ...]
) -> None:
    model = reorder(save_classifier(tmp_path / "model", labels=("law", "letter", "poem")), order)
    before = evaluate(model, [documents[1]])
    assert 0 < before["accuracy"] < 1, "an order that is lost would show"
    result, said = one_tiny_step(options, model)
    assert said == ""
    assert result.metrics["accuracy"] == before["accuracy"]
    assert result.metrics["loss"] == pytest.approx(before["loss"], rel=1e-5)
    labels = [("law", "letter", "poem")[place] for place in order]
    assert list(result.metrics["per_class"]) == labels
    config = NystromformerConfig.from_pretrained(result.output)
    assert [config.id2label[number] for number in range(3)] == labels
    assert config.label2id == {label: number for number, label in enumerate(labels)}
    record = json.loads((result.output / "run.json").read_bytes())
    assert list(record["data"]["train"]["labels"]) == labels
    assert f"Labels: {labels[0]} (" in (result.output / "README.md").read_text(encoding="utf-8")
    assert evaluate(result.output, [documents[1]])["accuracy"] == before["accuracy"]

    longer, _ = one_tiny_step(options, model, max_steps=2, resume=True)
    assert list(longer.metrics["per_class"]) == labels, "a resumed run keeps its own order"
    assert longer.metrics["accuracy"] == before["accuracy"]


def test_validation_documents_may_lack_a_label(options: Options, documents: tuple[Path, Path], tmp_path: Path) -> None:
    lines = documents[1].read_text(encoding="utf-8").splitlines(keepends=True)
    some = tmp_path / "some.jsonl"
    some.write_text("".join(line for line in lines if json.loads(line)["label"] != "poem"), encoding="utf-8")
    model = reorder(save_classifier(tmp_path / "model", labels=("law", "letter", "poem")), (2, 0, 1))
    result, said = one_tiny_step(options, model, valid=(str(some),))
    assert said == ""
    assert result.metrics["accuracy"] == evaluate(model, [some])["accuracy"]


def test_whole_numbers_keep_the_models_order(options: Options, tmp_path: Path) -> None:
    rows = [{"text": "a b c d"[: 2 * place + 1], "label": number} for place, number in enumerate((10, 9, 10, 9))]
    path = tmp_path / "numbers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    model = save_classifier(tmp_path / "model", labels=("10", "9"))
    result, said = one_tiny_step(options, model, train=(str(path),), valid=(str(path),))
    assert said == ""
    assert list(result.metrics["per_class"]) == ["10", "9"]
    assert result.metrics["accuracy"] == evaluate(model, [path])["accuracy"]


def test_a_wrong_label2id_is_put_right(options: Options, documents: tuple[Path, Path], tmp_path: Path) -> None:
    model = reorder(save_classifier(tmp_path / "model", labels=("law", "letter", "poem")), (1, 2, 0))
    set_config(model, label2id={"law": 0, "letter": 1, "poem": 2})
    result, said = one_tiny_step(options, model)
    assert said == ""
    assert NystromformerConfig.from_pretrained(result.output).label2id == {"letter": 0, "poem": 1, "law": 2}
    assert result.metrics["accuracy"] == evaluate(set_config(model, label2id={}), [documents[1]])["accuracy"]


@pytest.mark.parametrize(
    ("labels", "changes", "words"),
    [
        (("law", "poem"), {}, "the model's labels are law, poem; the documents have law, letter, poem"),
        (("law", "letter", "prose"), {}, "the model's labels are law, letter, prose; the documents have law"),
        (("a", "b", "c", "law", "letter", "poem"), {}, "the model's labels are a, b, c, law, letter, poem; the"),
        (("LABEL_0", "LABEL_1", "LABEL_2"), {}, "the model's labels are LABEL_0, LABEL_1, LABEL_2; the documents"),
        (
            ("law", "letter", "poem"),
            {"problem_type": "multi_label_classification"},
            "the model's head is for multi label classification",
        ),
        (("law", "letter", "poem"), {"problem_type": "regression"}, "the model's head is for regression"),
    ],
)
def test_every_other_head_is_new_and_said(
    options: Options, tmp_path: Path, labels: tuple[str, ...], changes: dict[str, Any], words: str
) -> None:
    model = set_config(save_classifier(tmp_path / "model", labels=labels), **changes)
    result, said = one_tiny_step(options, model)
    assert said.startswith(f"new head: {words}")
    assert list(result.metrics["per_class"]) == ["law", "letter", "poem"]
    before, after = load_file(model / "model.safetensors"), load_file(result.output / "model.safetensors")
    body = "nystromformer.encoder.layer.0.output.dense.weight"
    torch.testing.assert_close(after[body], before[body])
    dense = "classifier.dense.weight"
    assert (after[dense] - before[dense]).abs().max() > 0.1, "the first layer of the head is new, too"
    assert torch.equal(after[f"{OUT}.bias"].abs() < 1e-6, torch.ones(3, dtype=torch.bool))


@pytest.mark.parametrize("names", [{"0": "law", "1": "law", "2": "poem"}, {"1": "law", "2": "letter", "3": "poem"}])
def test_a_label_map_that_names_no_outputs_is_refused(options: Options, tmp_path: Path, names: dict[str, str]) -> None:
    model = set_config(save_classifier(tmp_path / "model", labels=("law", "letter", "poem")), id2label=names)
    with pytest.raises(NysformerError, match="id2label") as caught:
        one_tiny_step(options, model)
    assert "\n" not in str(caught.value)
    assert not Path(options().output).exists()


def test_a_checkpoint_without_a_head(options: Options, tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "classifier")
    config = NystromformerConfig.from_pretrained(folder, id2label={0: "LABEL_0", 1: "LABEL_1"})
    encoder = tmp_path / "encoder"
    NystromformerForMaskedLM(config).save_pretrained(encoder)
    letter_tokenizer().save_pretrained(encoder)
    assert one_tiny_step(options, encoder)[1] == "new head: the checkpoint has no classification head"

    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if not name.startswith("classifier")},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    task = SequenceClassification(["ham", "spam", "eggs"], SINGLE_LABEL)
    head = read_head(str(folder), SequenceClassification)
    _, reason = load_with_head(str(folder), head, task)
    assert reason is not None
    assert "no trained classification head of 3 labels" in reason


def test_pooling(options: Options, tmp_path: Path) -> None:
    model = save_classifier(tmp_path / "model", labels=("law", "letter", "poem"), classifier_pooling="mean")
    for pooling, words in (
        (None, ""),
        ("mean", ""),
        ("attention", "new head: the model's head has pooling 'mean', and 'attention' is asked for"),
    ):
        result, said = one_tiny_step(options, model, pooling=pooling, output=str(tmp_path / f"run-{pooling}"))
        assert said == words
        assert NystromformerConfig.from_pretrained(result.output).classifier_pooling == (pooling or "mean")
    assert "pooling.query" in load_file(result.output / "model.safetensors")
    assert "a mean of all tokens with learned weights" in (result.output / "README.md").read_text(encoding="utf-8")
    assert one_tiny_step(options, result.output, output=str(tmp_path / "next"))[1] == ""
    with pytest.raises(NysformerError, match="pooling: token-classification has no use for it"):
        finetune(options(task="token-classification", pooling="mean", output=str(tmp_path / "tags")))


def test_a_new_head_is_the_same_for_the_same_seed(options: Options, encoder: Path, tmp_path: Path) -> None:
    first, again, other = (
        one_tiny_step(options, encoder, output=str(tmp_path / name), seed=seed)[0]
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    heads = [load_file(run.output / "model.safetensors")[f"{OUT}.weight"] for run in (first, again, other)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_names_that_are_equal_after_normalization(
    options: Options, documents: tuple[Path, Path], tmp_path: Path
) -> None:
    model = save_classifier(tmp_path / "model", labels=(" poem", "law", "letter  "))
    plain = save_classifier(tmp_path / "plain", labels=("poem", "law", "letter"))
    result, said = one_tiny_step(options, model)
    assert said == ""
    assert list(result.metrics["per_class"]) == ["poem", "law", "letter"]
    assert result.metrics["accuracy"] == evaluate(plain, [documents[1]])["accuracy"]
    config = NystromformerConfig.from_pretrained(result.output)
    assert [config.id2label[number] for number in range(3)] == ["poem", "law", "letter"]


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # of peft
def test_an_adapter_keeps_its_head(options: Options, documents: tuple[Path, Path], tmp_path: Path) -> None:
    base = reorder(save_classifier(tmp_path / "model", labels=("law", "letter", "poem")), (2, 0, 1))
    settings = LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"], r=2)
    adapter = tmp_path / "adapter"
    get_peft_model(NystromformerForSequenceClassification.from_pretrained(base), settings).save_pretrained(adapter)
    result, said = one_tiny_step(options, adapter)
    assert said == ""
    assert list(result.metrics["per_class"]) == ["poem", "law", "letter"]
    assert result.metrics["accuracy"] == evaluate(base, [documents[1]])["accuracy"]
