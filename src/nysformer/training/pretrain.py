"""Pretraining: an encoder learns to predict masked words, from random weights or from where a model stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias, cast

from rich.console import Console
from transformers import PreTrainedTokenizerBase

from nysformer.checkpoints.load import check_model, load_tokenizer, read_tokenizer
from nysformer.data.vocabulary import TokenizerKind, train_tokenizer
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig, NystromformerForMaskedLM, NystromformerPreTrainedModel
from nysformer.tasks.masked_lm import MaskedLM
from nysformer.training.documents import RunDocuments, Texts, read_texts
from nysformer.training.folder import RunFolder
from nysformer.training.head import load_with_head, read_head
from nysformer.training.layers import freeze_tables
from nysformer.training.pretrain_options import LANDMARKS, POSITIONS, TRAINED_TOKENIZERS, VOCABULARY, PretrainOptions
from nysformer.training.run import Start, run_training
from nysformer.training.settings import TrainingResult
from nysformer.training.sizes import SIZES, SizeName

__all__ = ["continue_from", "new_model", "pretrain"]

_Loaded: TypeAlias = tuple[NystromformerPreTrainedModel, Sequence[str]]


def pretrain(
    options: PretrainOptions | None = None, *, console: Console | None = None, **settings: Any
) -> TrainingResult:
    """Train a Nyströmformer to predict masked words of documents; the best checkpoint becomes the model in the output.

    With `size` the model begins with random weights, and its tokenizer is trained on the training documents or taken;
    with `model` a model goes on, with its own tokenizer, and with its masked language model head where it has one. A
    document of more than `max_length` tokens is read in windows, so that all of it is trained on; its last window ends
    with it, and what an earlier window has is not asked for again.

    The folder holds what `nysformer.finetune` leaves in one, and is a model to fine-tune. It also holds `tokenizer`
    from the beginning of a run with `size`, so that a run that is resumed before its first checkpoint has the same one.

    Args:
        options: see `PretrainOptions`; None makes them of `settings`.
        console: where progress is shown; None shows none.
        settings: fields of `PretrainOptions`, or what is to replace those of `options`.

    Returns:
        The outcome, as it also stands in `run.json`.

    Raises:
        NysformerError: as `nysformer.finetune`; a tokenizer without a mask token; `vocab_size` too small.
        Interrupted: Ctrl-C, with what stands of the run and how to resume it.

    Example:
        >>> pretrain(size="tiny", train="texts/", valid_share=0.05, output="runs/tiny").metrics  # doctest: +SKIP
        {'documents': 40, 'tokens': 12024, 'loss': 4.1, 'perplexity': 60.3, 'accuracy': 0.31}
    """
    chosen = PretrainOptions(**settings) if options is None else replace(options, **settings)
    console = console or Console(quiet=True)

    def begin(folder: RunFolder, checkpoint: Path | None) -> Start:
        source = chosen.model if checkpoint is None else str(checkpoint)
        if source is None:
            return _new(chosen, folder, console)
        return continue_from(chosen, source)

    return run_training(chosen, begin, console)


def continue_from(options: PretrainOptions, source: str, texts: Texts | None = None, *, frozen: bool = False) -> Start:
    """What a run begins with that goes on with a model.

    Args:
        options: of the run.
        source: a model folder, or the name of a model on the hub.
        texts: to train on and to measure by; None for those that the options name.
        frozen: leave the embedding tables as they are.

    Raises:
        NysformerError: as `pretrain`.
    """
    check_model(source, hub=True)
    tokenizer = load_tokenizer(source)
    task = _task(options, tokenizer, source)
    head = read_head(source, MaskedLM, tokenizer)

    def load() -> _Loaded:
        model, reason = load_with_head(source, head, task)
        if frozen:
            freeze_tables(model)
        return model, [] if reason is None else [f"new head: {reason}"]

    texts = read_texts(options, MaskedLM.layouts) if texts is None else texts
    return _start(source, tokenizer, task, texts, load)


def _new(options: PretrainOptions, folder: RunFolder, console: Console) -> Start:
    name = options.tokenizer or TRAINED_TOKENIZERS[0]
    max_length = options.max_length or POSITIONS
    kept = options.resume and folder.tokenizer.is_dir()
    if kept or not options.trains_tokenizer:
        name = str(folder.tokenizer) if kept else name
        tokenizer = read_tokenizer(name)
        task = _task(options, tokenizer, name)
        texts = read_texts(options, MaskedLM.layouts)
        said = f"tokenizer: {len(tokenizer):,} tokens, of {name}"
    else:
        texts = read_texts(options, MaskedLM.layouts)
        console.print(f"training a {name} tokenizer on {len(texts.train):,} documents", highlight=False)
        vocab_size = options.vocab_size or VOCABULARY
        tokenizer = train_tokenizer(texts.train, cast(TokenizerKind, name), vocab_size, max_length)
        task = _task(options, tokenizer, name)
        said = f"tokenizer: {len(tokenizer):,} tokens, {name}, trained on the training documents"
    assert options.size is not None
    size = options.size

    def load() -> _Loaded:
        model = new_model(size, tokenizer, max_length, options.num_landmarks or LANDMARKS)
        count = sum(parameter.numel() for parameter in model.parameters())
        return model, [said, f"model: {size}, {count / 1e6:,.1f} million weights, random to begin with"]

    return _start(name, tokenizer, task, texts, load, keep_tokenizer=True)


def _start(
    source: str,
    tokenizer: PreTrainedTokenizerBase,
    task: MaskedLM,
    texts: Texts,
    load: Callable[[], _Loaded],
    *,
    keep_tokenizer: bool = False,
) -> Start:
    def masked() -> _Loaded:
        model, notes = load()
        model.config.masking = task.masking.as_config()
        return model, notes

    documents = RunDocuments(**vars(texts), task=task)
    return Start(source=source, tokenizer=tokenizer, documents=documents, load=masked, keep_tokenizer=keep_tokenizer)


def _task(options: PretrainOptions, tokenizer: PreTrainedTokenizerBase, source: str) -> MaskedLM:
    settings = {"mask_fraction": options.mask_fraction, "whole_words": options.whole_words}
    try:
        return MaskedLM.from_records((), settings, tokenizer=tokenizer)
    except NysformerError as error:
        raise NysformerError(f"{source}: {str(error).removeprefix('masked-lm: ')}") from error


def new_model(
    size: SizeName, tokenizer: PreTrainedTokenizerBase, max_length: int, num_landmarks: int
) -> NystromformerForMaskedLM:
    """A model of a size with random weights, which torch's generator draws.

    Args:
        size: see `nysformer.training.sizes.SIZES`.
        tokenizer: gives the vocabulary and the special tokens.
        max_length: positions.
        num_landmarks: landmarks per head.

    Raises:
        NysformerError: values that no model can have.
    """
    shape = SIZES[size]
    config = NystromformerConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=max_length,
        num_landmarks=num_landmarks,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
    )
    return NystromformerForMaskedLM(config)
