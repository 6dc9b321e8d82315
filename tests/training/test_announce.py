"""What the console says before the training: sizes, what was left out, labels, and why the head is new."""

import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from rich.console import Console

from nysformer.tasks.labels import SINGLE_LABEL
from nysformer.tasks.sequence_classification import SequenceClassification
from nysformer.training.announce import announce
from nysformer.training.corpus import Part
from nysformer.training.finetune import finetune
from nysformer.training.options import FinetuneOptions

Options = Callable[..., FinetuneOptions]


def lines_of(options: FinetuneOptions, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    finetune(options, console=console)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_folders_of_labels_and_what_they_held_besides(options: Options, tmp_path: Path) -> None:
    for label in ("cats", "dogs"):
        for number in range(4):
            path = tmp_path / "texts" / label / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("a b c" if label == "cats" else "x y z", encoding="utf-8")
        (tmp_path / "texts" / label / "photo.jpg").write_bytes(b"\xff\xd8")
    shown = lines_of(options(train=(str(tmp_path / "texts"),), valid=(), valid_share=0.25, max_steps=1))
    assert shown[0].startswith("training: 6 documents")
    assert shown[1].startswith("validation: 2 documents")
    assert shown[2].startswith("training: skipped: 2 ")
    assert ".jpg" in shown[2]
    assert [line.split() for line in shown[3:6]] == [
        ["label", "training", "validation"],
        ["cats", "3", "1"],
        ["dogs", "3", "1"],
    ]


def test_many_labels_and_names_that_are_no_markup(options: Options, tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    names = ["[red]name[/red]", *(f"label {number:02}" for number in range(40))]
    path.write_text("".join(json.dumps({"text": "a b", "label": name}) + "\n" for name in names), encoding="utf-8")
    shown = lines_of(options(train=(str(path),), valid=(str(path),), max_steps=1), width=60)
    table = shown[shown.index("label            training  validation") + 1 :]
    assert table[0].split() == ["[red]name[/red]", "1", "1"]
    assert table[30] == "and 11 more labels"
    assert table[31].startswith(
        "new head: the model's labels are ham, spam; the documents have [red]name[/red], label 00"
    )
    assert table[31].endswith("label 08, ...")


def test_labels_that_got_another_spelling_are_said() -> None:
    class Whole:
        task = SequenceClassification(["ham"], SINGLE_LABEL)
        parts: ClassVar[dict[str, Part]] = {part: Part(labels=Counter({"ham": 1})) for part in ("train", "valid")}

        def summary(self) -> list[str]:
            return ["training: 1 document"]

    from nysformer.data.reader import ReadLog

    console = Console(file=io.StringIO(), width=100)
    log = ReadLog(normalized=Counter({("ham ", "ham"): 3}))
    announce(console, Whole(), {"valid": log}, [])  # type: ignore[arg-type]
    assert "validation: labels: 3 written otherwise, such as 'ham ' for 'ham'" in console.file.getvalue()
