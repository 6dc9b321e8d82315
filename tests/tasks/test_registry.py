"""A task of one's own is one module and one line of the registry: every workflow takes it."""

import json
import sys
from pathlib import Path

import pytest
from tiny import save_classifier
from typer.testing import CliRunner

import nysformer
from nysformer.cli.main import app
from nysformer.errors import NysformerError
from nysformer.tasks.registry import TASKS, task_class

TOY = '''
"""Say whether a document is long: a sixth task."""

from dataclasses import dataclass

from nysformer.data.reading import Column, Layout
from nysformer.models import NystromformerForSequenceClassification
from nysformer.tasks.base import Answer, Encoding, Example, Metric, Task, place_of
from nysformer.tasks.pieces import cut, tokens_read


class LongModel(NystromformerForSequenceClassification):
    """A head of its own."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Length(Answer):
    long: bool

    def fields(self, *, top_k=None):
        return {"long": self.long}


class LongMeasure:
    def __init__(self):
        self.right = self.documents = 0

    def add(self, record, encoding, outputs, answer):
        self.documents += 1
        self.right += answer.long == record.label

    def result(self):
        return {"documents": self.documents, "hits": self.right / max(self.documents, 1)}


class IsLong(Task):
    name = "is-long"
    pipeline_tag = "text-classification"
    model_class = LongModel
    head = "length"
    layouts = (Layout(Column("body", "the document"), Column("long", "whether it is long", parse=bool)),)
    answer_columns = {"long": "flag"}
    mistake_columns = {"long": "flag", "predicted": "flag"}
    metrics = (Metric("hits", "hits"),)

    @classmethod
    def from_records(cls, records, options, known=None, tokenizer=None):
        return cls()

    @classmethod
    def from_config(cls, config, tokenizer=None):
        return cls()

    def config_fields(self):
        return {"id2label": {0: "short", 1: "long"}, "label2id": {"short": 0, "long": 1}}

    def texts(self, record):
        return [record.text]

    def encode(self, record, tokens, encoder, reading, *, labelled):
        (document,) = tokens
        pieces = cut(record.text, document, encoder.frame(), reading, encoder.max_length)
        targets = {"labels": int(record.label)} if labelled else {}
        return Encoding(
            examples=[Example(piece.input_ids, piece.token_type_ids, targets) for piece in pieces],
            length=encoder.frame().length(document.ids),
            truncated=tokens_read(pieces) < len(document.ids),
            unknown=document.unknown,
        )

    def decode(self, record, encoding, outputs):
        return Length(**place_of(record, encoding), long=bool(sum(output[1] - output[0] for output in outputs) > 0))

    def measure(self):
        return LongMeasure()

    def mistake(self, record, answer):
        return None if answer.long == record.label else {"long": record.label, "predicted": answer.long}
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "toy_task.py").write_text(TOY, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(TASKS, "is-long", "toy_task:IsLong")
    monkeypatch.delitem(sys.modules, "toy_task", raising=False)
    return "is-long"


def test_a_sixth_task_takes_one_module_and_one_line(toy: str, tmp_path: Path) -> None:
    rows = [{"body": "a b c d e f g" if long else "a b", "long": long} for long in (True, False) * 8]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    encoder = save_classifier(tmp_path / "encoder", initializer_range=0.1)
    run = tmp_path / "run"
    settings = ["--task", toy, "--learning-rate", "0.01", "--epochs", "25", "--tokens-per-batch", "64"]
    files = ["--train", str(path), "--valid", str(path), "--output", str(run), "--model", str(encoder)]
    trained = CliRunner().invoke(app, ["finetune", *files, *settings])
    assert trained.exit_code == 0, trained.output
    assert "hits 1.000" in trained.stdout
    measured = nysformer.evaluate(run, rows, device="cpu")
    assert (measured["task"], measured["hits"]) == ("is-long", 1.0)
    shown = CliRunner().invoke(
        app, ["evaluate", "--model", str(run), str(path), "--errors", str(tmp_path / "errors.csv")]
    )
    assert shown.exit_code == 0, shown.output
    assert "hits" in shown.stdout
    answers = list(nysformer.load(run, device="cpu").predict(rows))
    assert [answer.long for answer in answers] == [row["long"] for row in rows]
    printed = CliRunner().invoke(app, ["predict", "--model", str(run), str(path)])
    assert json.loads(printed.stdout.splitlines()[0])["long"] is True
    assert "| hits, validation | 1 |" in (run / "README.md").read_text(encoding="utf-8")


def test_an_unknown_task_names_those_there_are() -> None:
    with pytest.raises(NysformerError, match="task: there is no 'parsing'; choose sequence-classification"):
        task_class("parsing")


@pytest.mark.parametrize("name", list(TASKS))
def test_every_task_has_what_the_workflows_ask_for(name: str) -> None:
    task = task_class(name)
    assert task.name == name
    assert task.layouts
    assert task.head
    assert isinstance(task.layouts_for({}), tuple)
