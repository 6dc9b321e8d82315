"""A model folder's README.md: what the model is, what made it, what it scores, where it ends."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from nysformer.files.atomic import write_atomically
from nysformer.models import NystromformerConfig

__all__ = ["write_card"]

_PIPELINES = {
    "ForMaskedLM": "fill-mask",
    "ForMultipleChoice": "multiple-choice",
    "ForQuestionAnswering": "question-answering",
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "Model": "feature-extraction",
}


def write_card(
    folder: Path,
    config: NystromformerConfig,
    *,
    architecture: str,
    base_model: str | None,
    training: Sequence[str],
    metrics: Sequence[tuple[str, Any]] = (),
    limits: Sequence[str] = (),
) -> None:
    """Write the model card, in the form that the Hugging Face hub reads.

    Args:
        folder: the model folder.
        config: the model's.
        architecture: the model's class name.
        base_model: what it was made from: a hub name or a folder, of which only the name is told; None for a model that
            began with random weights.
        training: a line each, on the data and how the weights came to be.
        metrics: names and values.
        limits: a line each, besides those that every model of this library has.
    """
    is_path = base_model is None or Path(base_model).exists() or Path(base_model).is_absolute()
    origin = "trained from random weights"
    if base_model is not None:
        origin = f"made from `{Path(base_model).name if is_path else base_model}`"
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag=_PIPELINES.get(architecture.removeprefix("Nystromformer")),
        base_model=None if is_path else base_model,
        tags=["nystromformer", "long-documents"],
    )
    lines = [
        f"---\n{data.to_yaml()}\n---",
        f"# {folder.name}",
        f"A `{architecture}`, {origin}.{_pooled(config, architecture)}",
        _code(
            f'from nysformer import {architecture}\n\nmodel = {architecture}.from_pretrained("{folder.name}")', "python"
        ),
        "transformers' Auto classes read it after `nysformer.register()`; the tokenizer lies beside the weights.",
        "## Training data",
        _bullets(training),
        "## Metrics",
        _table(metrics) if metrics else "None measured.",
        "## Limits",
        _bullets([*_reach(config), *limits]),
    ]
    with write_atomically(folder / "README.md") as file:
        file.write("\n\n".join(lines) + "\n")


def _reach(config: NystromformerConfig) -> list[str]:
    if config.position_embedding_type == "absolute":
        reach = [f"Documents of at most {config.max_position_embeddings:,} tokens."]
    else:
        reach = ["Documents of any length: the model has no positions."]
    exact = config.exact_length
    if exact is None:
        return [*reach, "Softmax attention at every length: cost grows with its square."]
    kind = "segments" if config.landmarks == "segments" else f"clusters, {config.landmark_steps} steps"
    overridden = sorted(layer for layer, values in (config.layer_overrides or {}).items() if values)
    layers = f" Layers {', '.join(map(str, overridden))} differ, see `layer_overrides`." if overridden else ""
    return [
        *reach,
        f"Attention is softmax up to {exact:,} tokens, and approximated through {config.num_landmarks:,} landmarks "
        f"a head ({kind}) beyond: the longer the document, the coarser.{layers}",
        *([f"Documents of more than {exact:,} tokens have layers of their own."] if config.long_layers else []),
        "An encoder: it reads and does not write.",
    ]


def _pooled(config: NystromformerConfig, architecture: str) -> str:
    if not architecture.endswith(("ForSequenceClassification", "ForMultipleChoice")):
        return ""
    read = {"first": "", "mean": "the mean of all tokens", "attention": "a mean of all tokens with learned weights"}
    return f" Its head reads {what}." if (what := read[config.classifier_pooling]) else ""


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(metrics: Sequence[tuple[str, Any]]) -> str:
    rows = [
        f"| {name} | {value:.4g} |" if isinstance(value, float) else f"| {name} | {value} |" for name, value in metrics
    ]
    return "\n".join(["| metric | value |", "|---|---|", *rows])


def _code(text: str, language: str) -> str:
    return f"```{language}\n{text}\n```"
