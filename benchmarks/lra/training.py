"""One training run: resumed where it stopped, judged on the validation split, tested once at its end.

Every random number depends on the seed and the step alone, or on a state that the checkpoint holds, so that a run that
was cut off and resumed ends with the very weights of one that was not.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.lra.model import Classifier, ModelSize
from benchmarks.lra.schedule import rate
from benchmarks.lra.sequences import Sequences, Splits
from nysformer.errors import NysformerError
from nysformer.files.atomic import write_atomically
from nysformer.ops import product_backend, use_product_backend

__all__ = ["LEARNING_RATE", "Settings", "Training"]

LEARNING_RATE = 1e-4

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides the outcome, but the data.

    Attributes:
        size: of the model.
        steps, warmup, batch: of the training for the task.
        learning_rate: at the end of the warm-up; it falls linearly to zero.
        seed: of the weights, the order of the sequences, dropout and masks.
        pretrain_steps: before that, of filling in hidden tokens of the training split, with a schedule of its own.
        hidden_share: of the tokens, in the pretraining.
        valid_every: steps between validations; the last step is always followed by one.
    """

    size: ModelSize
    steps: int
    warmup: int
    batch: int
    learning_rate: float = LEARNING_RATE
    seed: int = 0
    pretrain_steps: int = 0
    hidden_share: float = 0.15
    valid_every: int = 250


@dataclass(slots=True)
class Progress:
    """What the checkpoint holds beside weights and random state.

    Attributes:
        step: that comes next; pretraining counts.
        seconds: of all sittings, validations included.
        curve: a row per validation.
        losses: training losses since the last row.
        best: accuracy on the validation split, highest so far; its weights are the ones that are tested.
        test: accuracy on the test split, once the run is finished.
        commit: of the code that began the run.
    """

    step: int = 0
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    best: float = -1.0
    best_step: int = 0
    test: float | None = None
    commit: str | None = None


class Training:
    """A run and its checkpoint.

    Args:
        settings: of the run.
        splits: of the task.
        checkpoint: its file; a run begins where the checkpoint says, if there is one.
        say: prints a line of the log.
        commit: of the code, for a run that begins.

    Raises:
        NysformerError: the checkpoint is damaged, or of a run with other settings.
    """

    def __init__(
        self,
        settings: Settings,
        splits: Splits,
        checkpoint: Path,
        *,
        say: Callable[[str], None],
        commit: str | None = None,
    ) -> None:
        self.settings, self.splits, self.checkpoint, self.say = settings, splits, checkpoint, say
        self.progress = Progress(commit=commit)
        torch.manual_seed(settings.seed)
        self.model = Classifier(settings.size)
        self.filler = nn.Linear(settings.size.width, settings.size.vocabulary) if settings.pretrain_steps else None
        self.best: dict[str, Tensor] = {}
        self.optimizer = self._new_optimizer()
        # Two libraries round differently, and which one is faster is measured in every process.
        self.product = product_backend()
        if checkpoint.is_file():
            self._load()

    def run(self, *, until: float = float("inf"), save_every: float = 180.0, log_every: int = 50) -> bool:
        """Train, validate, test, until all is done or the clock says so.

        Args:
            until: `time.monotonic()` at which to stop, after the step that is under way.
            save_every: seconds between checkpoints.
            log_every: steps between lines of the log.

        Returns:
            Whether the run is finished; else the same call goes on with it.
        """
        with use_product_backend(self.product):
            return self._run(until, save_every, log_every)

    def _run(self, until: float, save_every: float, log_every: int) -> bool:
        progress, settings = self.progress, self.settings
        total = settings.pretrain_steps + settings.steps
        saved = clock = time.monotonic()
        while progress.step < total:
            progress.losses.append(self._step())
            progress.step += 1
            now = time.monotonic()
            progress.seconds, clock = progress.seconds + now - clock, now
            if progress.step % log_every == 0:
                self._log(progress.losses[-log_every:])
            if self._validates_now():
                self._validate()
                now = time.monotonic()
                progress.seconds, clock = progress.seconds + now - clock, now
            if now - saved >= save_every or now >= until or progress.step == total:
                self._save()
                saved = now
            if now >= until and progress.step < total:
                return False
        if progress.test is None:
            self.model.load_state_dict(self.best)
            progress.test, _ = self._judge(self.splits.test)
            progress.seconds += time.monotonic() - clock
            self._save()
        return True

    def rows(self, step: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The rows of the training split at that step: every pass in an order of its own, remainders left out."""
        settings, count = self.settings, len(self.splits.train)
        passes, place = divmod(step, count // settings.batch)
        order = np.random.default_rng([settings.seed, passes]).permutation(count)
        return order[place * settings.batch : (place + 1) * settings.batch]

    def _step(self) -> float:
        settings, step = self.settings, self.progress.step
        pretrains = step < settings.pretrain_steps
        if step == settings.pretrain_steps and step > 0:
            self.optimizer = self._new_optimizer()
        steps, begun = (settings.pretrain_steps, 0) if pretrains else (settings.steps, settings.pretrain_steps)
        warmup = round(settings.warmup * steps / settings.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate(step - begun, steps, warmup)
        self.model.train()
        batch = self.splits.train.batch(self.rows(step))
        if pretrains:
            loss = self._filling_loss(batch.tokens, batch.layout)
        else:
            loss = F.cross_entropy(self.model(batch.tokens, batch.layout), batch.labels)
        if not loss.isfinite():
            raise NysformerError(f"the loss at step {step} is {loss.item()}; lower learning_rate")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def _filling_loss(self, tokens: Tensor, layout: Any) -> Tensor:
        assert self.filler is not None
        hidden = torch.rand(len(tokens)) < self.settings.hidden_share
        states = self.model.encode(tokens.masked_fill(hidden, self.model.mask_token), layout)
        return F.cross_entropy(self.filler(states[hidden]), tokens[hidden])

    def _validates_now(self) -> bool:
        done = self.progress.step - self.settings.pretrain_steps
        return done > 0 and (done % self.settings.valid_every == 0 or done == self.settings.steps)

    def _validate(self) -> None:
        progress = self.progress
        accuracy, loss = self._judge(self.splits.valid)
        step = progress.step - self.settings.pretrain_steps
        row = {
            "step": step,
            "train_loss": float(np.mean(progress.losses)),
            "valid_loss": loss,
            "valid_accuracy": accuracy,
            "seconds": round(progress.seconds, 1),
        }
        progress.curve.append(row)
        progress.losses.clear()
        if accuracy > progress.best:
            progress.best, progress.best_step = accuracy, step
            self.best = {name: weight.clone() for name, weight in self.model.state_dict().items()}
        self.say(f"step {step:,}: validation {accuracy:.2f}%, loss {loss:.4f}")

    def _judge(self, sequences: Sequences) -> tuple[float, float]:
        """Accuracy in percent, and the mean loss."""
        self.model.eval()
        right, loss = 0, 0.0
        with torch.no_grad():
            for rows in _in_order(sequences, self.settings.batch):
                batch = sequences.batch(rows)
                logits = self.model(batch.tokens, batch.layout)
                right += int((logits.argmax(-1) == batch.labels).sum())
                loss += float(F.cross_entropy(logits, batch.labels, reduction="sum"))
        return 100 * right / len(sequences), loss / len(sequences)

    def _log(self, losses: list[float]) -> None:
        progress = self.progress
        phase = "pretraining " if progress.step <= self.settings.pretrain_steps else ""
        per_step = progress.seconds / progress.step
        self.say(f"{phase}step {progress.step:,}: loss {np.mean(losses):.4f}, {per_step:.2f} s per step")

    def _new_optimizer(self) -> torch.optim.AdamW:
        weights = [*self.model.parameters(), *(self.filler.parameters() if self.filler is not None else ())]
        rate = self.settings.learning_rate
        return torch.optim.AdamW(weights, lr=rate, eps=1e-6, weight_decay=0.0, fused=True)

    def _save(self) -> None:
        state = {
            "format": _FORMAT,
            "settings": asdict(self.settings),
            "progress": asdict(self.progress),
            "model": self.model.state_dict(),
            "filler": None if self.filler is None else self.filler.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "product": self.product,
        }
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(self.checkpoint, binary=True) as file:
            buffer = io.BytesIO()
            torch.save(state, buffer)
            file.write(buffer.getbuffer())

    def _load(self) -> None:
        path = self.checkpoint
        try:
            state = torch.load(path, weights_only=True)
            settings = state["settings"] if state["format"] == _FORMAT else None
        except Exception as error:  # torch.load raises whatever the damage makes it
            raise NysformerError(f"{path}: no checkpoint of a run ({type(error).__name__}); remove it") from error
        if settings != asdict(self.settings):
            raise NysformerError(f"{path}: of a run with other settings; name another folder or remove it")
        self.progress = Progress(**state["progress"])
        self.model.load_state_dict(state["model"])
        if self.filler is not None:
            self.filler.load_state_dict(state["filler"])
        self.best = state["best"]
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self.product = state["product"]


def _in_order(sequences: Sequences, batch: int) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
    """All rows in batches, of neighbours in length: what is measured does not depend on batch mates."""
    order = np.argsort(sequences.lengths, kind="stable")
    for start in range(0, len(order), batch):
        yield order[start : start + batch]
