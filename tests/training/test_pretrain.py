"""Pretraining: from random weights and from a model, resumed exactly, and what it leaves is a model folder."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tiny import LETTERS, letter_tokenizer, save_classifier

import nysformer
from nysformer.checkpoints.load import load_tokenizer
from nysformer.errors import NysformerError
from nysformer.models import NystromformerConfig
from nysformer.training import pretrain as module
from nysformer.training.corpus import Part
from nysformer.training.finetune import finetune
from nysformer.training.folder import RunFolder
from nysformer.training.pretrain import pretrain
from nysformer.training.pretrain_options import PretrainOptions

Options = Callable[..., PretrainOptions]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder of 24 short texts and 6 long ones, in folders, in which each letter says what the next one is."""
    for number in range(30):
        path = tmp_path / "texts" / f"part {number % 3}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        count = 200 if number % 5 == 0 else 20
        path.write_text(" ".join(LETTERS[(number + place) % 26] for place in range(count)), encoding="utf-8")
    (tmp_path / "texts" / "0.md").write_text("a b c d e f g", encoding="utf-8")
    return tmp_path / "texts"


@pytest.fixture
def options(texts: Path, tmp_path: Path) -> Options:
    """Options of a run of seconds, with changes."""
    settings: dict[str, Any] = {
        "size": "tiny",
        "train": (str(texts),),
        "valid_share": 0.2,
        "output": str(tmp_path / "run"),
        "vocab_size": 100,
        "max_length": 64,
        "num_landmarks": 8,
        "tokens_per_batch": 512,
        "max_steps": 8,
        "eval_steps": 3,
        "log_every": 1,
    }
    return lambda **changes: PretrainOptions(**settings | changes)


def history(run: Path) -> list[dict[str, Any]]:
    """The training curve without the time it took."""
    entries = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in entry.items() if name != "seconds"} for entry in entries]


def said(options: PretrainOptions) -> list[str]:
    console = Console(file=io.StringIO(), width=200)
    pretrain(options, console=console)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_it_learns_and_leaves_a_model_to_measure_to_ask_and_to_fine_tune(
    options: Options, texts: Path, tmp_path: Path
) -> None:
    result = pretrain(options(max_steps=60, eval_steps=30, learning_rate=3e-3, mask_fraction=0.3))
    losses = [entry["loss"] for entry in history(result.output) if "loss" in entry]
    assert losses[-1] < 0.8 * losses[0]
    assert set(result.titles) == {"loss", "perplexity", "accuracy"}
    assert result.truncated == {"train": 0, "valid": 0}
    config = NystromformerConfig.from_pretrained(result.output)
    assert config.reading == {"strategy": "windows", "overlap": 0.0, "max_length": 64}
    assert config.masking == {"mask_fraction": 0.3, "whole_words": False}
    card = (result.output / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: fill-mask" in card
    assert "trained from random weights" in card
    assert "| perplexity, validation |" in card

    measured = nysformer.evaluate(result.output, [texts], device="cpu")
    assert measured["documents"] == 31
    assert measured["tokens"] == pytest.approx(0.3 * (24 * 20 + 6 * 200 + 7), rel=0.2), "as many as in training"
    (answer,) = nysformer.load(result.output, device="cpu").predict("a b [MASK] d [MASK]")
    assert [len(candidates) for candidates in answer.masks] == [5, 5]

    rows = [{"text": "a b", "label": "x"}, {"text": "y z", "label": "y"}] * 3
    tuned = finetune(model=result.output, train=rows, valid=rows, output=tmp_path / "tuned", max_steps=1)
    settings = NystromformerConfig.from_pretrained(tuned.output)
    assert not hasattr(settings, "reading"), "it reads as it was fine-tuned to"
    assert not hasattr(settings, "masking")


def test_all_of_a_long_text_is_trained_on(options: Options) -> None:
    run = pretrain(options(max_steps=1)).output
    data = json.loads((run / "run.json").read_bytes())["data"]
    tokens = data["train"]["tokens"] + data["valid"]["tokens"]
    windows = 25 + 6 * 4  # of 62 tokens and two special ones
    # The last window of a text ends with it and repeats what is before it.
    assert tokens == 24 * 20 + 7 + 6 * 4 * 62 + 2 * windows
    assert {data[part]["truncated"] for part in ("train", "valid")} == {0}


@pytest.mark.parametrize("tokenizer", ["wordpiece", "bpe"])
def test_a_killed_run_resumes_with_the_same_losses(
    options: Options, tmp_path: Path, killed: Callable[[int], None], tokenizer: str
) -> None:
    settings = {"tokenizer": tokenizer, "vocab_size": 300, "whole_words": True}
    whole = pretrain(options(output=str(tmp_path / "whole"), **settings))
    killed(5)
    with pytest.raises(KeyboardInterrupt):
        pretrain(options(**settings))
    run = tmp_path / "run"
    assert history(run)[-1]["step"] == 3
    assert not (run / "model.safetensors").exists()
    resumed = pretrain(options(resume=True, **settings))
    assert history(run) == history(whole.output)
    assert (resumed.metrics, resumed.best_step, resumed.tokens) == (whole.metrics, whole.best_step, whole.tokens)
    weights, expected = (load_file(folder / "model.safetensors") for folder in (run, whole.output))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_the_tokenizer_is_trained_once_even_for_a_run_killed_before_its_first_checkpoint(
    options: Options, tmp_path: Path, killed: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pretrain(options(output=str(tmp_path / "whole")))
    killed(2)
    with pytest.raises(KeyboardInterrupt):
        pretrain(options())
    kept = tmp_path / "run" / "tokenizer"
    assert len(load_tokenizer(whole.output)) == len(module.read_tokenizer(kept))
    monkeypatch.setattr(module, "train_tokenizer", None)
    pretrain(options(resume=True))
    assert history(tmp_path / "run") == history(whole.output)
    monkeypatch.undo()
    assert pretrain(options(overwrite=True, vocab_size=60, max_steps=1)).steps == 1
    assert len(module.read_tokenizer(kept)) <= 60, "of the run that stands there"


def test_a_run_killed_before_its_tokenizer_was_kept_trains_the_same_one(
    options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pretrain(options(output=str(tmp_path / "whole")))

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "keep_tokenizer", kill)
        with pytest.raises(KeyboardInterrupt):
            pretrain(options())
    pretrain(options(resume=True))
    assert history(tmp_path / "run") == history(whole.output)


@pytest.mark.parametrize(
    "changes", [{"mask_fraction": 0.2}, {"whole_words": True}, {"size": "mini"}, {"tokenizer": "bpe"}], ids=str
)
def test_a_resumed_run_keeps_what_shapes_its_losses(options: Options, changes: dict[str, Any]) -> None:
    before = json.loads(json.dumps(options(vocab_size=300).as_json()))
    with pytest.raises(NysformerError, match="but the run began with"):
        options(vocab_size=300, resume=True, **changes).check_resumable(before)


def test_other_documents_of_the_same_lengths_are_not_resumed_with(options: Options, texts: Path) -> None:
    pretrain(options(max_steps=3))
    (texts / "0.md").write_text("g f e d c b a", encoding="utf-8")
    with pytest.raises(NysformerError, match="the documents are not those the run began with"):
        pretrain(options(resume=True))


def test_a_model_goes_on_with_its_head_and_its_tokenizer(options: Options, tmp_path: Path) -> None:
    first = pretrain(options())
    again = {"size": None, "vocab_size": None, "num_landmarks": None, "max_steps": 1, "learning_rate": 1e-12}
    lines = said(options(**again, model=str(first.output), output=str(tmp_path / "again")))
    assert not any(line.startswith("new head") for line in lines)
    metrics = json.loads((tmp_path / "again" / "metrics.json").read_bytes())
    assert metrics["loss"] == pytest.approx(first.metrics["loss"], rel=1e-5)
    assert not (tmp_path / "again" / "tokenizer").exists()
    assert "made from `run`" in (tmp_path / "again" / "README.md").read_text(encoding="utf-8")


def with_mask(folder: Path) -> Path:
    """A classifier whose tokenizer has a mask token in place of a letter inside words."""
    save_classifier(folder)
    tokenizer = letter_tokenizer()
    tokenizer.add_special_tokens({"mask_token": "##z"})
    tokenizer.save_pretrained(folder)
    return folder


def test_a_model_without_the_head_gets_a_new_one_and_says_so(
    options: Options, tmp_path: Path, killed: Callable[[int], None]
) -> None:
    model = str(with_mask(tmp_path / "model"))
    more = {"size": None, "vocab_size": None, "num_landmarks": None, "model": model}
    lines = said(options(**more, output=str(tmp_path / "whole")))
    assert "new head: the checkpoint has no masked language model head" in lines
    killed(5)
    with pytest.raises(KeyboardInterrupt):
        pretrain(options(**more))
    assert not any(line.startswith("new head") for line in said(options(**more, resume=True)))
    assert history(tmp_path / "run") == history(tmp_path / "whole")


def test_a_tokenizer_is_taken(options: Options, tmp_path: Path) -> None:
    folder = tmp_path / "tokenizer alone"
    tokenizer = letter_tokenizer()
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    tokenizer.save_pretrained(folder)
    lines = said(options(tokenizer=str(folder), vocab_size=None, max_steps=1))
    assert f"tokenizer: 57 tokens, of {folder}" in lines
    assert any(line.startswith("model: tiny, 0.4 million weights, random") for line in lines)


def test_held_out_texts_are_not_in_the_vocabulary(options: Options, tmp_path: Path) -> None:
    rows = [{"text": f"word{number} " * 9} for number in range(10)]
    settings = {"train": rows, "valid_share": 0.5, "vocab_size": 1000, "max_steps": 1}
    run = pretrain(options(**settings)).output
    vocabulary = load_tokenizer(run).get_vocab()
    assert sum(f"word{number}" in vocabulary for number in range(10)) == 5


def test_what_is_kept_per_document_does_not_grow_with_it(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[Part] = []
    monkeypatch.setattr("nysformer.training.corpus.Part", lambda: parts.append(Part()) or parts[-1])
    pretrain(options(max_steps=1))
    assert [len(part.targets) for part in parts] == [32 * len(part.lengths) for part in parts]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": None}, "size: no model; name a size"),
        ({"model": "runs/a"}, "size: model names one that has its own; leave out one of the two"),
        ({"model": "runs/a", "size": None}, "vocab_size: model names one that has its own"),
        ({"tokenizer": "folder"}, "vocab_size: the tokenizer of folder is taken as it is"),
        ({"size": "huge"}, "size: 'huge' is unknown; there is tiny, mini, small, base"),
        ({"mask_fraction": 1.0}, "mask_fraction: 1.0 is not below 1"),
        ({"train": ()}, "no training documents"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: Options, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(NysformerError, match=words):
        options(**changes)


def test_the_learning_rate_is_the_sizes_unless_it_is_given(options: Options) -> None:
    assert options().learning_rate == 1e-3
    assert options(size="base").learning_rate == 1e-4
    assert options(size="base", learning_rate=1).learning_rate == 1
    other = {"size": None, "vocab_size": None, "num_landmarks": None}
    assert options(**other, model="a").learning_rate == 5e-5


def test_what_cannot_be_trained_with_is_one_line_and_nothing_is_written(
    options: Options, tmp_path: Path, texts: Path
) -> None:
    no_mask = save_classifier(tmp_path / "no mask")
    bare = tmp_path / "bare"
    bare.mkdir()
    empty = tmp_path / "empty.txt"
    empty.touch()
    taken = {"vocab_size": None}
    model = {"size": None, "vocab_size": None, "num_landmarks": None}
    cases: list[tuple[dict[str, Any], str]] = [
        ({**taken, "tokenizer": str(no_mask)}, "no mask: the tokenizer has no mask token; take another"),
        ({**model, "model": str(no_mask)}, "no mask: the tokenizer has no mask token; take another"),
        ({**taken, "tokenizer": str(bare)}, "bare: no tokenizer in the folder; give tokenizer=NAME"),
        ({**model, "model": str(bare)}, r"bare: no config\.json"),
        ({"train": (str(empty),)}, r"empty\.txt: the file holds no document"),
        ({"train": [{"text": "a b"}]}, r"valid_share: 0\.2: a single document cannot be trained on and held out"),
        ({"vocab_size": 30}, "vocab_size: 30 tokens are too few for the 26 characters of the documents"),
        ({"tokenizer": "bpe"}, "vocab_size: 100 tokens are too few for the 256 bytes"),
        ({"max_length": 2}, "max_length of 2 tokens leaves no room"),
    ]
    for changes, words in cases:
        with pytest.raises(NysformerError, match=words) as caught:
            pretrain(options(**changes))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "run").exists()
