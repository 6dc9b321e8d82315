"""A conversion ends in a whole model folder, or in nothing."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from sources import LENGTH, AuthorsModel, build, noisy, save
from tiny import letter_tokenizer
from transformers import AutoTokenizer

import nysformer
from nysformer import NysformerError
from nysformer.checkpoints.convert import run as module
from nysformer.checkpoints.convert.run import convert
from nysformer.checkpoints.load import load_tokenizer
from nysformer.checkpoints.options import MOST_STEPS, ConversionOptions, LandmarkKind
from nysformer.ops import LANDMARK_KINDS, MAX_LANDMARK_STEPS


def test_a_whole_model_folder(tmp_path: Path) -> None:
    source = build("Roberta", "ForMaskedLM")
    folder = save(source, tmp_path / "source")
    done = convert(folder, tmp_path / "out", ConversionOptions(max_position_embeddings=200, num_landmarks=8))
    assert (done.kind, done.architecture) == ("roberta", "NystromformerForMaskedLM")
    assert (done.max_position_embeddings, done.num_landmarks, done.exact_length) == (200, 8, LENGTH)
    assert max(each.largest for each in done.differences) <= 1e-5
    names = {path.name for path in done.output.iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    tokenizer = load_tokenizer(done.output)
    assert tokenizer.model_max_length == 200
    batch = tokenizer("a b c", return_tensors="pt", return_token_type_ids=False)
    model = nysformer.NystromformerForMaskedLM.from_pretrained(done.output)
    torch.testing.assert_close(model(**batch).logits, source(**batch).logits, rtol=1e-5, atol=1e-5)
    card = (done.output / "README.md").read_text()
    assert card.startswith("---\n")
    for words in ("pipeline_tag: fill-mask", "# out", "made from `source`", "40 tokens", "8 landmarks", "200 tokens"):
        assert words in card
    assert str(tmp_path) not in card


def test_clusters_stand_in_the_card(tmp_path: Path) -> None:
    options = ConversionOptions(num_landmarks=8, landmarks="clusters", landmark_steps=3)
    done = convert(save(build("Bert"), tmp_path / "source"), tmp_path / "out", options)
    assert done.landmarks == "clusters"
    assert "8 landmarks a head (clusters, 3 steps) beyond" in (done.output / "README.md").read_text()
    assert nysformer.NystromformerModel.from_pretrained(done.output).config.landmark_steps == 3


def test_the_kinds_of_landmarks_are_those_of_the_attention() -> None:
    assert get_args(LandmarkKind) == LANDMARK_KINDS
    assert MOST_STEPS == MAX_LANDMARK_STEPS


def test_a_converted_folder_can_be_converted_again(tmp_path: Path) -> None:
    folder = save(build("DistilBert"), tmp_path / "source")
    first = convert(folder, tmp_path / "first", ConversionOptions(num_landmarks=8))
    second = convert(first.output, tmp_path / "second", ConversionOptions(max_position_embeddings=80))
    assert (second.kind, second.max_position_embeddings, second.exact_length) == ("nystromformer", 80, LENGTH)


def test_a_source_without_a_padding_token(tmp_path: Path) -> None:
    config = nysformer.NystromformerConfig(
        vocab_size=56,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        pad_token_id=None,
    )
    nysformer.NystromformerModel(config).save_pretrained(tmp_path / "source")
    letter_tokenizer().save_pretrained(tmp_path / "source")
    assert convert(tmp_path / "source", tmp_path / "output").kind == "nystromformer"


def test_an_authors_file_wants_a_tokenizer(tmp_path: Path) -> None:
    torch.save(noisy(AuthorsModel(5)).state_dict(), tmp_path / "model.pt")
    letter_tokenizer().save_pretrained(tmp_path / "letters")
    options = ConversionOptions(allow_pickle=True, num_landmarks=8)
    with pytest.raises(NysformerError, match="give tokenizer="):
        convert(tmp_path / "model.pt", tmp_path / "out", options)
    done = convert(tmp_path / "model.pt", tmp_path / "out", options, tokenizer=tmp_path / "letters")
    assert load_tokenizer(done.output)("a")["input_ids"] == letter_tokenizer()("a")["input_ids"]


def test_a_tokenizer_that_does_not_fit(tmp_path: Path) -> None:
    folder = save(build("Bert", vocab_size=30), tmp_path / "source")
    with pytest.raises(NysformerError, match="56 tokens and the model only 30"):
        convert(folder, tmp_path / "out")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(NysformerError, match="no tokenizer in the folder"):
        convert(folder, tmp_path / "out")


def test_nothing_is_written_where_the_check_fails_or_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(build("Bert"), tmp_path / "source")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_card", fail)
        with pytest.raises(NysformerError, match="out: cannot be written"):
            convert(folder, tmp_path / "out")
    weights = module.convert_source

    def wrong(*arguments: Any) -> Any:
        conversion = weights(*arguments)
        with torch.no_grad():
            conversion.model.embeddings.word_embeddings.weight[5:].add_(1.0)
            conversion.model.embeddings.word_embeddings.weight[:, 0].mul_(-3.0)
        return conversion

    with monkeypatch.context() as patch:
        patch.setattr(module, "convert_source", wrong)
        with pytest.raises(NysformerError, match="nothing was written"):
            convert(folder, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_what_stands_at_the_output_stays(tmp_path: Path) -> None:
    folder = save(build("Bert"), tmp_path / "source")
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(NysformerError, match="stands there already"):
        convert(folder, folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_position_embeddings": 10**12}, "max_position_embeddings: 1000000000000 is above 1,048,576"),
        ({"num_landmarks": 0}, "num_landmarks: 0 is below 1; give a whole number from 1 to"),
        ({"num_landmarks": True}, "num_landmarks: True is not a whole number"),
        ({"softmax_max_length": 1.5}, "softmax_max_length: 1.5 is not a whole number"),
        ({"num_attention_heads": "4"}, "num_attention_heads: '4' is not a whole number"),
        ({"allow_pickle": "no"}, "allow_pickle: 'no' is neither True nor False"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], words: str) -> None:
    with pytest.raises(NysformerError, match=words):
        ConversionOptions(**options)
