"""Fine-tuning for any task, from files or rows to a run folder that is a model folder."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from nysformer.checkpoints.load import check_model, load_tokenizer
from nysformer.errors import NysformerError
from nysformer.models import NystromformerPreTrainedModel
from nysformer.tasks.registry import task_class
from nysformer.training.adapt import Adaptation
from nysformer.training.documents import read_documents
from nysformer.training.folder import RunFolder
from nysformer.training.head import load_with_head, read_head
from nysformer.training.layers import freeze_tables
from nysformer.training.options import FinetuneOptions
from nysformer.training.run import Start, run_training
from nysformer.training.settings import TrainingResult

__all__ = ["finetune"]


def finetune(
    options: FinetuneOptions | None = None, *, console: Console | None = None, **settings: Any
) -> TrainingResult:
    """Fine-tune a Nyströmformer for a task on documents; the best checkpoint becomes the model in `options.output`.

    The folder holds `model.safetensors`, `config.json` with the label names, the tokenizer, `metrics.json` (the
    validation documents at the best checkpoint), `history.jsonl` (the training curve), `README.md` (a model card),
    `run.json` (options, versions, documents, outcome), `logs` (TensorBoard) and `checkpoints` (the best and the last,
    to resume from). With `adapt_steps` it holds `adapted` too, the masked language model of those steps' end, which
    other fine-tunings may begin with. Every file is whole at any moment: a killed run is resumed with `resume`, one
    that is complete only writes its outcome again. While the run lasts, the folder is locked against other runs.

    Where the model has a trained head for the task and the documents' labels, the run goes on with it, in its order of
    the labels; where it has not, the head is new, and the console says why.

    Args:
        options: see `FinetuneOptions`; None makes them of `settings`.
        console: where progress is shown; None shows none.
        settings: fields of `FinetuneOptions`, or what is to replace those of `options`.

    Returns:
        The outcome, as it also stands in `run.json`.

    Raises:
        NysformerError: unusable documents, model, tokenizer, options or run folder, or another run in that folder,
            before anything is written; a loss that is not finite; a write that failed, with what stands of the run.
        Interrupted: Ctrl-C, with what stands of the run and how to resume it.

    Example:
        >>> finetune(  # doctest: +SKIP
        ...     model="encoder", train="train.jsonl", valid=[{"text": "Dear all,", "label": "letter"}], output="runs/a"
        ... ).metrics["macro_f1"]
        0.71
    """
    chosen = FinetuneOptions(**settings) if options is None else replace(options, **settings)

    def begin(folder: RunFolder, checkpoint: Path | None) -> Start:
        source = str(checkpoint or chosen.model)
        check_model(source, hub=True)
        kind = task_class(chosen.task)
        if chosen.pooling is not None and not kind.pools:
            raise NysformerError(f"pooling: {kind.name} has no use for it; leave it out")
        if chosen.head_layers is not None and not kind.reads_embeddings:
            raise NysformerError(f"head_layers: {kind.name} has no use for it; leave it out")
        if chosen.probe_first and not kind.probes:
            raise NysformerError(f"probe_first: {kind.name} has no head that can be fitted; leave it out")
        tokenizer = load_tokenizer(source)
        head = read_head(source, kind, tokenizer)
        documents = read_documents(chosen, head.known, tokenizer)

        def load() -> tuple[NystromformerPreTrainedModel, list[str]]:
            model, reason = load_with_head(
                source, head, documents.task, chosen.pooling, chosen.head_layers, probed=chosen.probe_first
            )
            model.config.__dict__.pop("masking", None)  # of a pretraining
            if chosen.freeze_embeddings:
                freeze_tables(model)
            return model, [] if reason is None else [f"new head: {reason}"]

        return Start(
            source=source,
            tokenizer=tokenizer,
            documents=documents,
            load=load,
            class_weights=chosen.class_weights,
            final_whole=chosen.final_whole,
            adapt=Adaptation(chosen, source, tokenizer, documents) if chosen.adapt_steps else None,
            layer_decay=chosen.layer_decay,
            probe_first=chosen.probe_first,
        )

    return run_training(chosen, begin, console)
