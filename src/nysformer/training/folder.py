"""The run folder: a model folder with the record of its training. Every file in it is whole at any moment."""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from nysformer.errors import NysformerError
from nysformer.files.atomic import write_atomically
from nysformer.files.folders import new_folder
from nysformer.files.locks import holds_nothing

__all__ = ["RunFolder"]

_STATE = "trainer_state.json"
_NOT_OF_THE_MODEL = {_STATE, "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "metrics.json"}


@dataclass(frozen=True)
class RunFolder:
    """The files of one run and where they stand.

    `checkpoints/checkpoint-N` are model folders too, each with `metrics.json` and the state of the training; `logs`
    holds the TensorBoard events; `tokenizer` is there from the beginning of a run with a new model on; `adapted` is the
    folder of the run before a fine-tuning, see `nysformer.training.adapt.Adaptation`; model, tokenizer, `metrics.json`,
    `history.jsonl` and `run.json` lie in the folder.
    """

    path: Path

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def tokenizer(self) -> Path:
        return self.path / "tokenizer"

    @property
    def adapted(self) -> Path:
        return self.path / "adapted"

    @property
    def models(self) -> tuple[Path, ...]:
        """Folders with model folders in them, which another run removes."""
        return self.checkpoints, self.adapted

    def holds_run(self) -> bool:
        """Whether a run began here."""
        return (self.path / "run.json").is_file()

    def check(self, *, resume: bool, overwrite: bool) -> None:
        """See whether a run may be written here, without writing anything.

        Raises:
            NysformerError: the path is a file; it holds something and neither flag is given; it holds no run to resume
                or to overwrite.
        """
        if self.path.exists() and not self.path.is_dir():
            raise NysformerError(f"{self.path}: a file stands where the run folder should be; name another folder")
        if resume and not self.holds_run():
            raise NysformerError(f"{self.path}: there is no run to resume; leave out resume=True")
        if resume or not self.path.is_dir() or holds_nothing(self.path):
            return
        if not overwrite:
            raise NysformerError(
                f"{self.path}: the folder is not empty; name another, or give resume=True or overwrite=True"
            )
        if not self.holds_run():
            raise NysformerError(f"{self.path}: the folder holds something else than a run; empty it or name another")

    def clear(self) -> None:
        """Remove an earlier run; what it did not write stays. `run.json` goes last, so that it can be done again."""
        # Half a checkpoint, left by a kill in the middle, must not look like one to resume from.
        for state in self.checkpoints.glob(f"checkpoint-*/{_STATE}"):
            state.unlink(missing_ok=True)
        (self.adapted / "run.json").unlink(missing_ok=True)
        for folder in (*self.models, self.logs, self.tokenizer):
            shutil.rmtree(folder, ignore_errors=True)
        written = self.read_json("run.json").get("files", []) if self.holds_run() else []
        for name in [*written, "metrics.json", "history.jsonl", "run.json"]:
            (self.path / Path(name).name).unlink(missing_ok=True)

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON object of this folder.

        Raises:
            NysformerError: it is missing or damaged.
        """
        path = self.path / name
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise NysformerError(f"{path}: cannot be read ({error}); begin a new run") from error
        if not isinstance(content, dict):
            raise NysformerError(f"{path}: not a JSON object; begin a new run")
        return content

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON object, whole or not at all."""
        self._write(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def write_lines(self, name: str, entries: Iterable[dict[str, Any]]) -> None:
        """Write a JSON object a line, whole or not at all."""
        self._write(name, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries))

    def _write(self, name: str, text: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            file.write(text)

    def keep_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Write a tokenizer into `tokenizer`, whole or not at all; one that stands there stays."""
        if self.tokenizer.exists():
            return
        with new_folder(self.tokenizer) as partial:
            tokenizer.save_pretrained(partial)

    def last_state(self) -> tuple[Path, dict[str, Any]] | None:
        """The newest whole checkpoint and the trainer's state in it; halves that a kill left behind are removed.

        The state is the last file of a checkpoint to be written, so a checkpoint is whole if its state can be read.
        """
        newest: tuple[Path, dict[str, Any]] | None = None
        steps = {path: path.name.removeprefix("checkpoint-") for path in self.checkpoints.glob("checkpoint-*")}
        numbered = [path for path, step in steps.items() if step.isdecimal()]
        for path in sorted(numbered, key=lambda path: int(steps[path])):
            state = None
            with contextlib.suppress(OSError, ValueError):
                state = json.loads((path / _STATE).read_bytes())
            if state is None:
                shutil.rmtree(path, ignore_errors=True)
            else:
                newest = path, state
        return newest

    def publish(self, checkpoint: Path) -> list[str]:
        """Make a checkpoint's model and tokenizer those of the run folder.

        Each file is replaced as a whole, the weights last.

        Returns:
            The names of the files.
        """
        names = sorted(file.name for file in checkpoint.iterdir() if file.is_file())
        names = [name for name in names if name not in _NOT_OF_THE_MODEL and not name.startswith(".")]
        names.sort(key=lambda name: "safetensors" in name)
        for name in names:
            partial = self.path / f".{name}.{uuid.uuid4().hex}.part"
            try:
                shutil.copyfile(checkpoint / name, partial)
                os.replace(partial, self.path / name)
            finally:
                partial.unlink(missing_ok=True)
        return names
