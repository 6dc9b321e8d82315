"""Adapts an encoder to the documents of a task before it is fine-tuned: it goes on predicting their masked words."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import PreTrainedTokenizerBase

from nysformer.checkpoints.load import load_model
from nysformer.data.documents import Documents
from nysformer.errors import NysformerError
from nysformer.files.failures import write_failure
from nysformer.models import NystromformerModel, NystromformerPreTrainedModel
from nysformer.options import as_keywords
from nysformer.training.documents import RunDocuments, Texts
from nysformer.training.folder import RunFolder
from nysformer.training.options import FinetuneOptions
from nysformer.training.pretrain import continue_from
from nysformer.training.pretrain_options import PretrainOptions
from nysformer.training.run import Start, run_training
from nysformer.training.settings import TrainingOptions

__all__ = ["Adaptation"]

_MEASURED = 64
"""Validation documents whose masked words are measured, at most; none of them is trained on."""

_SHARE = 0.5
"""Of a time limit that the adaptation may take."""


@dataclass(frozen=True)
class Adaptation:
    """Masked language modelling on a task's training documents, as a run of its own in a folder of the run's.

    The folder, `RunFolder.adapted`, then is the model folder of a masked language model, that of the last step. A text
    that several documents share, such as the context of several questions, is read once.

    Args:
        options: of the fine-tuning, with `adapt_steps`.
        source: the model to begin with.
        tokenizer: of it.
        documents: of the fine-tuning.

    Raises:
        NysformerError: the tokenizer has no mask token.
    """

    options: FinetuneOptions
    source: str
    tokenizer: PreTrainedTokenizerBase
    documents: RunDocuments

    def __post_init__(self) -> None:
        if self.tokenizer.mask_token_id is None:
            raise NysformerError(
                f"adapt_steps: the tokenizer of {self.source} has no mask token, which masked words are read as; leave "
                "it out, or take a model whose tokenizer has one"
            )

    def __call__(self, model: NystromformerPreTrainedModel, folder: RunFolder, console: Console) -> dict[str, Any]:
        """Train, or go on, or take what is there already, and give a model the encoder, in place.

        Args:
            model: of the fine-tuning; its head stays.
            folder: of the fine-tuning.
            console: where progress is shown.

        Returns:
            What `run.json` says of it: `steps`, `tokens`, `seconds`, `stopped_by`, and the `metrics` of the last step.

        Raises:
            NysformerError, Interrupted: as `run_training`.
        """
        inner = RunFolder(folder.adapted)
        if not (inner.holds_run() and "outcome" in inner.read_json("run.json")):
            self._run(inner, console)
        shutil.rmtree(inner.checkpoints, ignore_errors=True)
        outcome = inner.read_json("run.json")["outcome"]
        metrics = inner.read_json("metrics.json")
        encoder = load_model(inner.path, NystromformerModel)
        model.base_model.load_state_dict(encoder.state_dict())
        console.print(
            f"adapted in {outcome['steps']:,} steps, {outcome['seconds']:,.0f} s; fine-tuning begins with its encoder",
            highlight=False,
        )
        told = {name: outcome[name] for name in ("steps", "tokens", "seconds", "stopped_by")}
        return {**told, "metrics": metrics}

    def _run(self, folder: RunFolder, console: Console) -> None:
        given = self.options
        console.print("adapting to the training documents: masked words are to be predicted", highlight=False)
        minutes = None if given.time_limit is None else _SHARE * given.time_limit
        changes: dict[str, Any] = {
            "model": self.source,
            "output": str(folder.path),
            "resume": folder.holds_run(),
            "overwrite": False,
            "epochs": None,
            "max_steps": given.adapt_steps,
            "time_limit": minutes,
            "learning_rate": given.adapt_learning_rate,
            "best_metric": None,
            "early_stopping": None,
            "group_column": None,  # what is to be held out is
            "group_near_duplicates": False,
        }
        options = PretrainOptions(**{**as_keywords(given, of=TrainingOptions), **changes})
        valid = self.documents.valid
        step = max(1, len(valid) // _MEASURED)  # from all over them
        texts = Texts(
            train=self.documents.train.select(_distinct(self.documents.train)),
            valid=valid.select(islice(range(0, len(valid), step), _MEASURED)),
        )

        def begin(folder: RunFolder, checkpoint: Path | None) -> Start:
            start = continue_from(options, str(checkpoint or self.source), texts, frozen=given.freeze_embeddings)
            return replace(start, last=True)

        try:
            run_training(options, begin, console)
        except NysformerError as error:
            if write_failure(error) is not None:  # which says by itself what it is about
                raise
            raise NysformerError(f"adapt_steps: {error}") from error


def _distinct(documents: Documents) -> Iterator[int]:
    """The places of the documents whose text none before has."""
    seen = set()
    for place, record in enumerate(documents):
        digest = hashlib.blake2b(record.text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            yield place
