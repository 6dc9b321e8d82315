"""Distillation: reading through landmarks learns from softmax attention over whole documents, without labels."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import nn
from transformers import PreTrainedTokenizerBase

from nysformer.checkpoints.convert.run import quiet
from nysformer.checkpoints.convert.source import convert_source
from nysformer.checkpoints.load import load_model, load_tokenizer, read_tokenizer
from nysformer.checkpoints.options import ConversionOptions
from nysformer.data.documents import Documents
from nysformer.data.framing import Encoder
from nysformer.errors import NysformerError
from nysformer.layers import SelfAttention
from nysformer.models import NystromformerModel, NystromformerPreTrainedModel
from nysformer.models.exact import with_softmax_attention
from nysformer.tasks.distillation import Distillation
from nysformer.training.distill_options import DistillOptions
from nysformer.training.documents import RunDocuments, Texts, read_texts
from nysformer.training.folder import RunFolder
from nysformer.training.run import Start, run_training
from nysformer.training.settings import TrainingResult

__all__ = ["distill"]

_CONVERTED_LENGTH = 4096
"""Positions of a source that is converted, at least: what is learned on shorter documents holds beyond them."""
_TOGETHER = 64
"""Documents that are tokenized in one call."""


def distill(
    options: DistillOptions | None = None, *, console: Console | None = None, **settings: Any
) -> TrainingResult:
    """Train an encoder to read long documents through landmarks as it would read them by softmax attention.

    Documents that softmax attention reads, those of at most `exact_length` tokens, keep their numbers to the last bit:
    what is trained are layers that only longer documents meet (`NystromformerModel.add_long_layers`). They start out as
    the encoder's own. Everything else is frozen, so that the folder with `attention_mode="softmax"` is the source.

    The run folder holds what `nysformer.finetune` leaves in one, and is a model to embed with or to fine-tune.

    Args:
        options: see `DistillOptions`; None makes them of `settings`.
        console: where progress is shown; None shows none.
        settings: fields of `DistillOptions`, or what is to replace those of `options`.

    Returns:
        The outcome, as it also stands in `run.json`; its metrics compare the vectors of the validation documents with
        the exact ones, see `nysformer.tasks.fidelity`.

    Raises:
        NysformerError: as `nysformer.finetune`; a source that cannot be converted, or that has no landmarks; too few
            documents of more than `exact_length` tokens.
        Interrupted: Ctrl-C, with what stands of the run and how to resume it.

    Example:
        >>> distill(  # doctest: +SKIP
        ...     model="runs/minilm-4096", train="texts/", output="runs/minilm-distilled", time_limit=15
        ... ).metrics["centred_cosine"]
        0.97
    """
    chosen = DistillOptions(**settings) if options is None else replace(options, **settings)
    console = console or Console(quiet=True)

    def begin(folder: RunFolder, checkpoint: Path | None) -> Start:
        assert chosen.model is not None
        if checkpoint is None:
            model, tokenizer = _source(chosen)
            source = chosen.model
        else:
            source = str(checkpoint)
            model, tokenizer = _encoder(source), load_tokenizer(source)
        if model.config.exact_length is None:
            raise NysformerError(
                f"{source}: it runs softmax attention at every length, so nothing is approximated; convert it first "
                "with `nysformer convert`"
            )
        texts = read_texts(chosen, Distillation.layouts)
        task = Distillation(with_softmax_attention(model), vector_weight=chosen.vector_weight)
        documents = RunDocuments(**vars(_long(texts, tokenizer, model.config.exact_length)), task=task)

        def load() -> tuple[NystromformerPreTrainedModel, list[str]]:
            return _prepared(model), [f"trained: {_count(model) / 1e6:,.1f} million weights, of long documents only"]

        return Start(source=source, tokenizer=tokenizer, documents=documents, load=load)

    return run_training(chosen, begin, console)


def _source(options: DistillOptions) -> tuple[NystromformerModel, PreTrainedTokenizerBase]:
    """The encoder to learn from, as a Nyströmformer without a head."""
    source = str(options.model)
    conversion = ConversionOptions(num_landmarks=options.num_landmarks)
    with quiet():
        converted = convert_source(source, conversion)
        if converted.kind == "nystromformer":
            model = _encoder(
                source, **({} if options.num_landmarks is None else {"num_landmarks": options.num_landmarks})
            )
        else:
            model = converted.model.base_model.float()
            own_length = model.config.max_position_embeddings
            model.extend_positions(max(_CONVERTED_LENGTH, options.max_length or 0, own_length))
        tokenizer = read_tokenizer(source)
    tokenizer.model_max_length = model.config.max_position_embeddings
    assert isinstance(model, NystromformerModel)
    return model, tokenizer


def _encoder(source: str, **overrides: Any) -> NystromformerModel:
    model = load_model(source, NystromformerModel, hub=True, **overrides)
    assert isinstance(model, NystromformerModel)
    return model


def _prepared(model: NystromformerModel) -> NystromformerModel:
    """The encoder with long layers, which alone are trained. Nothing is dropped, since the teacher drops nothing."""
    if not model.config.long_layers:
        model.add_long_layers()
    model.requires_grad_(False)
    assert model.encoder.long_layer is not None
    model.encoder.long_layer.requires_grad_(True)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, SelfAttention):
            module.dropout = 0.0
    return model


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def _long(texts: Texts, tokenizer: PreTrainedTokenizerBase, exact_length: int) -> Texts:
    """The documents that are read through landmarks, in both parts.

    Raises:
        NysformerError: none to train on, or fewer than two to measure by.
    """
    encoder = Encoder(tokenizer, exact_length)
    parts: dict[str, list[int]] = {}
    for name, documents, least in (("train", texts.train, 1), ("valid", texts.valid, 2)):
        long = [place for place, tokens in enumerate(_lengths(documents, encoder)) if tokens > exact_length]
        if len(long) < least:
            raise NysformerError(
                f"{name}: {len(long)} of {len(documents)} documents have more than {exact_length} tokens, and at least "
                f"{least} are needed; softmax attention reads shorter ones"
            )
        parts[name] = long
    left_out = len(texts.train) + len(texts.valid) - sum(map(len, parts.values()))
    notes = [f"{left_out:,} documents of at most {exact_length:,} tokens are left out: they are read exactly"]
    return Texts(
        train=texts.train.select(parts["train"]),
        valid=texts.valid.select(parts["valid"]),
        logs=texts.logs,
        notes=[*texts.notes, *(notes if left_out else [])],
        groups=None if texts.groups is None else texts.groups[parts["train"]],
    )


def _lengths(documents: Documents, encoder: Encoder) -> list[int]:
    """Tokens of each document, special ones included."""
    frame = encoder.frame()
    texts = (record.text for record in documents)
    lengths: list[int] = []
    while chunk := list(islice(texts, _TOGETHER)):
        lengths += [frame.length(tokens.ids) for tokens in encoder.tokens(chunk)]
    return lengths
