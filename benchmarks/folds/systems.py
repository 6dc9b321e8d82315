"""Train a system on a part and keep its prediction of every document; what is kept is not made again."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.commands import execute, shell_line
from benchmarks.encoder import minilm
from benchmarks.folds.parts import Part
from benchmarks.folds.plan import Plan, System, slug
from benchmarks.folds.tfidf import TFIDF
from benchmarks.output import say
from benchmarks.recipes.corpus import Row, read_rows
from benchmarks.record import commit
from nysformer import __version__
from nysformer.data.labels import normal_label
from nysformer.demo.thin import thin_groups
from nysformer.errors import NysformerError
from nysformer.files.atomic import write_atomically
from nysformer.files.cache import read_record, write_record
from nysformer.inference.options import InferenceOptions
from nysformer.options import as_keywords
from nysformer.tasks.metrics import classification_metrics

__all__ = ["Answers", "baseline_answers", "run_baseline", "run_system", "system_answers"]

_FORM = 1  # of the predictions; another one makes them anew
_BEGUN, _TRAINED = "begun.json", "trained.json"


@dataclass(frozen=True, slots=True)
class Answers:
    """The predictions of a part's documents by one row of the table: where they are, and what decides them.

    The file holds a JSON object per document: `id`, `group`, `words`, `label`, `predicted` and `scores` by label.
    """

    path: Path
    key: Mapping[str, Any]

    def kept(self) -> dict[str, Any] | None:
        """What was written down of them, or None where they are not there as they should be."""
        return read_record(self.path.with_suffix(".json"), self.key)

    def rows(self) -> list[Row]:
        return read_rows(self.path)

    def keep(self, rows: Sequence[Row], **more: Any) -> None:
        """Write the predictions, and what else is to be known of them."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(self.path) as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        write_record(self.path.with_suffix(".json"), self.key, [self.path.name], commit=commit(), **more)


def baseline_answers(name: str, part: Part, split: str) -> Answers:
    """The predictions of one of `TFIDF`; of the test documents, it is fitted on training and validation documents."""
    key = {"baseline": name, "part": dict(part.files), "split": split, "form": _FORM}
    return Answers(part.directory / slug(name) / f"{split}.jsonl", key)


def run_baseline(name: str, part: Part, split: str) -> None:
    """Fit one of `TFIDF` and keep its predictions, unless they are kept."""
    answers = baseline_answers(name, part, split)
    if answers.kept() is not None:
        return
    train, asked = part.rows("train") + (part.rows("valid") if split == "test" else []), part.rows(split)
    names = sorted({row["label"] for row in (*train, *asked)})
    began = time.perf_counter()
    score = TFIDF[name]([row["text"] for row in train], [row["label"] for row in train], names)
    fitted = time.perf_counter()
    scores = score([row["text"] for row in asked])
    seconds = time.perf_counter() - fitted
    lowest = torch.finfo(scores.dtype).min
    known = [{n: s for n, s in zip(names, line, strict=True) if s > lowest} for line in scores.tolist()]
    rows = _predicted(asked, [max(line, key=line.__getitem__) for line in known], known)
    answers.keep(rows, seconds=seconds, train_seconds=fitted - began)
    say(f"{part.title}: {name}: fitted in {fitted - began:.0f} s; {_figures(rows, seconds)}")


def system_answers(plan: Plan, system: System, part: Part, split: str) -> dict[str, Answers]:
    """The predictions of a system by evaluation."""
    training = _training_key(plan, system, part)
    return {
        name: Answers(
            part.directory / slug(system.name) / f"{split}-{slug(name)}.jsonl",
            {"training": training, "evaluation": dict(fields), "split": split},
        )
        for name, fields in system.evaluations.items()
    }


def run_system(plan: Plan, system: System, part: Part, split: str, encoders: Path) -> None:
    """Train a system and keep its predictions in every evaluation, unless they are kept.

    A training that was killed is resumed; one that is finished serves further evaluations.

    Args:
        encoders: folder of the converted encoders.

    Raises:
        NysformerError: the training failed, or a document cannot be predicted.
    """
    missing = {name: each for name, each in system_answers(plan, system, part, split).items() if each.kept() is None}
    if not missing:
        return
    model, trained = _trained(plan, system, part, encoders)
    for name, answers in missing.items():
        rows, about = _read(model, system.evaluations[name], part.rows(split), place=f"{part.title}: {system.name}")
        answers.keep(rows, **about, train_seconds=trained["seconds"], training=trained)
        say(f"{part.title}: {system.row_name(name)}: {_figures(rows, about['seconds'])}")


def _training_key(plan: Plan, system: System, part: Part) -> dict[str, Any]:
    """All that decides a training."""
    given = system.options.get("model")
    model = {"positions": plan.positions, **system.encoder} if given is None else _digests(Path(given))
    return {
        "model": model,
        "options": dict(system.options),
        "versions_per_group": system.versions_per_group,
        "part": dict(part.files),
        "seed": part.seed,
        "nysformer": __version__,
        "form": _FORM,
    }


def _digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of a model folder's files; none for a name on the hub."""
    files = sorted(path for path in folder.glob("*") if path.is_file() and not path.name.startswith("."))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _trained(plan: Plan, system: System, part: Part, encoders: Path) -> tuple[Path, dict[str, Any]]:
    """The model, trained unless it is there, and what is to be known of its training."""
    folder = part.directory / slug(system.name)
    model, key = folder / "model", _training_key(plan, system, part)
    known = read_record(model / _TRAINED, key)
    if known is not None:
        return model, known["about"]
    start = system.options.get("model") or minilm(encoders, plan.positions, **system.encoder)
    resume = read_record(folder / _BEGUN, key) is not None and (model / "run.json").is_file()
    train = part.path("train")
    if not resume:
        shutil.rmtree(folder, ignore_errors=True)  # of other options
        folder.mkdir(parents=True)
        write_record(folder / _BEGUN, key, [])
    if system.versions_per_group is not None:
        train = folder / "train.jsonl"
        thin_groups(part.path("train"), train, most=system.versions_per_group, seed=part.seed)
    arguments = system.train_arguments(
        model=start, train=train, valid=part.path("valid"), output=model, seed=part.seed, resume=resume
    )
    log = folder / "train.log"
    say(f"{part.title}: {system.name}: {'resumed' if resume else 'training'}, see {log}\n  {shell_line(arguments)}")
    execute(f"{part.title}: {system.name}", arguments, log, append=resume)
    shutil.rmtree(model / "checkpoints", ignore_errors=True)  # the optimizer's state is larger than the model
    run = json.loads((model / "run.json").read_text(encoding="utf-8"))
    metrics = json.loads((model / "metrics.json").read_text(encoding="utf-8"))
    validation = {name: metrics[name] for name in ("accuracy", "macro_f1") if name in metrics}
    about = {"command": shell_line(arguments), "commit": commit(), **run["outcome"], "validation": validation}
    write_record(model / _TRAINED, key, ["model.safetensors", "config.json"], about=about)
    say(
        f"{part.title}: {system.name}: trained in {about['seconds']:.0f} s ({about['steps']:,} steps, ended by "
        f"{about['stopped_by']}); validation: accuracy {validation['accuracy']:.3f}, "
        f"macro-F1 {validation['macro_f1']:.3f} at step {about['best_step']:,}"
    )
    return model, about


def _read(
    model: Path, fields: Mapping[str, Any], asked: Sequence[Row], *, place: str
) -> tuple[list[Row], dict[str, Any]]:
    """The predictions, and the seconds they took without the loading of the model."""
    from nysformer.inference.predict import Predictor
    from nysformer.tasks.sequence_classification import Prediction

    predictor = Predictor.from_pretrained(model, **as_keywords(InferenceOptions(**fields)))
    began = time.perf_counter()
    given = list(predictor.predict([row["text"] for row in asked]))
    seconds = time.perf_counter() - began
    labels, scores = [], []
    for row, answer in zip(asked, given, strict=True):
        if not isinstance(answer, Prediction) or answer.label is None or answer.probabilities is None:
            raise NysformerError(f"{place}: {row['id']}: has no label: {answer}")
        labels.append(answer.label)
        scores.append(answer.probabilities)
    about = {"seconds": seconds, "max_length": predictor.max_length, "reading": predictor.reading.strategy}
    return _predicted(asked, labels, scores), about


def _predicted(asked: Sequence[Row], labels: Sequence[str], scores: Sequence[Mapping[str, float]]) -> list[Row]:
    return [
        {
            "id": row["id"],
            "group": str(row["group"]),
            "words": len(row["text"].split()),
            "label": normal_label(row["label"]),
            "predicted": normal_label(label),
            "scores": {name: round(value, 4) for name, value in line.items()},
        }
        for row, label, line in zip(asked, labels, scores, strict=True)
    ]


def _figures(rows: Sequence[Row], seconds: float) -> str:
    """How it went, in a few words."""
    names = sorted({row[which] for row in rows for which in ("label", "predicted")})
    scores = torch.nn.functional.one_hot(torch.tensor([names.index(row["predicted"]) for row in rows]), len(names))
    targets = torch.tensor([names.index(row["label"]) for row in rows])
    metrics = classification_metrics(scores.float(), targets, [row["words"] for row in rows], names)
    return (
        f"{len(rows):,} documents in {seconds:.0f} s, accuracy {metrics['accuracy']:.3f}, "
        f"macro-F1 {metrics['macro_f1']:.3f}"
    )
