import copy
import json
import multiprocessing
import pickle
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from predicting import labels_of
from safetensors.torch import load_file, save_file

from nysformer.checkpoints.load import load_classifier, load_tokenizer
from nysformer.data.records import Item, Record, RecordError, Waiting
from nysformer.errors import NysformerError
from nysformer.inference import runner
from nysformer.inference.predict import Predictor
from nysformer.runtime.precision import Precision
from nysformer.tasks.sequence_classification import Prediction

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def texts(count: int) -> list[str]:
    """Of 1 to 300 letters, short and long ones mixed: some are past the 256 positions."""
    return [" ".join(LETTERS[(7 * i + j) % 26] for j in range(1 + (i * i * 37) % 300)) for i in range(count)]


@pytest.fixture(scope="module")
def predictor(classifier: Path) -> Predictor:
    return Predictor.from_pretrained(classifier, tokens_per_batch=512, device="cpu")


def test_answers_are_the_models_own_in_order(classifier: Path, predictor: Predictor) -> None:
    documents = texts(40)
    answers = list(predictor.predict(documents))
    assert [answer.line for answer in answers] == list(range(1, 41))
    model, tokenizer = load_classifier(classifier), load_tokenizer(classifier)
    for text, answer in zip(documents, answers, strict=True):
        assert isinstance(answer, Prediction)
        alone = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            expected = model(alone["input_ids"]).logits[0].softmax(-1)
        assert list(answer.probabilities) == ["ham", "spam", "eggs"]
        torch.testing.assert_close(torch.tensor(list(answer.probabilities.values())), expected, rtol=1e-4, atol=1e-5)
        assert answer.label == max(answer.probabilities, key=answer.probabilities.get)
        assert answer.length == len(text.split()) + 2
        assert answer.truncated == (answer.length > 256)
        assert answer.labels is None
        assert answer.value is None
    assert len({answer.label for answer in answers}) > 1


@given(budget=st.integers(1, 2000), window=st.integers(1, 9), documents=st.integers(0, 8), seed=st.integers(0, 99))
def test_order_and_answers_do_not_depend_on_budget_and_window(
    classifier: Path, predictor: Predictor, budget: int, window: int, documents: int, seed: int
) -> None:
    items: list[Item] = [Record(text, "f", seed + i) for i, text in enumerate(texts(seed + documents)[seed:])]
    items.insert(seed % (len(items) + 1), RecordError("f", 0, "damaged"))
    items.insert(seed % 3 % (len(items) + 1), Waiting())
    expected = list(predictor.predict(items))
    other = Predictor(predictor.model, predictor.tokenizer, tokens_per_batch=budget)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "WINDOW_DOCUMENTS", window)
        answers = list(other.predict(items))
    assert [(answer.source, answer.line) for answer in answers] == [
        (item.source, item.line) for item in items if not isinstance(item, Waiting)
    ]
    for answer, same in zip(answers, expected, strict=True):
        assert type(answer) is type(same)
        if isinstance(answer, Prediction) and isinstance(same, Prediction):
            assert answer.probabilities == pytest.approx(same.probabilities, abs=1e-5)


def test_reading_runs_ahead_by_a_bounded_window(predictor: Predictor) -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "a b c d"

    answers = predictor.predict(endless())
    for _ in range(3000):
        next(answers)
    window = min(runner.WINDOW_DOCUMENTS, runner.WINDOW_BATCHES * 512 * runner.CHARACTERS_PER_TOKEN // 7 + 1)
    assert 3000 <= read <= 3000 + window


def test_waiting_answers_what_is_at_hand(predictor: Predictor) -> None:
    def slow() -> Iterator[Item]:
        yield Waiting()
        yield Record("a b", "pipe", 1)
        yield Waiting()
        raise AssertionError("read on before answering")

    assert next(predictor.predict(slow())).line == 1


def test_documents_without_tokens_and_bad_records_keep_their_place(predictor: Predictor) -> None:
    bad = RecordError("x.jsonl", 2, "invalid JSON")
    items = [Record("a", "x.jsonl", 1), bad, Record("\u200b\x00", "x.jsonl", 3), Record("b", "x.jsonl", 4)]
    answers = list(predictor.predict(items))
    assert [answer.line for answer in answers] == [1, 2, 3, 4]
    assert answers[1] is bad
    assert answers[2] == RecordError("x.jsonl", 3, "the tokenizer finds no token in the document")
    assert list(predictor.predict([])) == []
    assert list(predictor.predict([bad])) == [bad]


def test_max_length(classifier: Path, predictor: Predictor) -> None:
    short = Predictor.from_pretrained(classifier, max_length=10, device="cpu")
    cut, whole = short.predict(["a " * 50, "a " * 8])
    assert (cut.length, cut.truncated) == (52, True)
    assert (whole.length, whole.truncated) == (10, False)
    assert cut.probabilities == pytest.approx(next(predictor.predict(["a " * 8])).probabilities, abs=1e-6)
    with pytest.raises(NysformerError, match="past the model's position table of 256"):
        Predictor.from_pretrained(classifier, max_length=257)
    with pytest.raises(NysformerError, match="no room beside 2 special ones"):
        Predictor.from_pretrained(classifier, max_length=2)


def test_without_positions_any_length(make_classifier: Callable[..., Path]) -> None:
    folder = make_classifier(position_embedding_type="none")
    predictor = Predictor.from_pretrained(folder, max_length=1000, device="cpu")
    (answer,) = predictor.predict(["a " * 600])
    assert (answer.length, answer.truncated) == (602, False)


def test_bfloat16_is_close(classifier: Path, predictor: Predictor) -> None:
    low = Predictor.from_pretrained(classifier, dtype="bfloat16", device="cpu")
    assert low.model.dtype == torch.bfloat16
    for a, b in zip(low.answered(texts(10)), predictor.answered(texts(10)), strict=True):
        assert a.outputs[0].dtype == np.float32
        np.testing.assert_allclose(a.outputs[0], b.outputs[0], rtol=0.1, atol=0.1 * abs(b.outputs[0]).max())


def test_multi_label(make_classifier: Callable[..., Path]) -> None:
    predictor = Predictor.from_pretrained(make_classifier(problem_type="multi_label_classification"), device="cpu")
    for item, answer in zip(predictor.answered(texts(8)), predictor.predict(texts(8)), strict=True):
        assert answer.label is None
        shares = torch.from_numpy(item.outputs[0]).sigmoid().tolist()
        assert list(answer.probabilities.values()) == pytest.approx(shares)
        assert answer.labels == tuple(name for name, p in answer.probabilities.items() if p >= 0.5)
        assert set(answer.to_dict()) == {"source", "line", "labels", "probabilities", "length", "truncated", "unknown"}


def test_regression(make_classifier: Callable[..., Path]) -> None:
    one = Predictor.from_pretrained(make_classifier(labels=["score"]), device="cpu")
    assert one.task.problem_type == "regression"
    (item,) = one.answered(["a b"])
    (answer,) = one.predict(["a b"])
    assert answer.value == item.outputs[0].item()
    assert set(answer.to_dict()) == {"source", "line", "value", "length", "truncated", "unknown"}
    two = Predictor.from_pretrained(make_classifier(labels=["x", "y"], problem_type="regression"), device="cpu")
    (answer,) = two.predict(["a b"])
    assert list(answer.value) == ["x", "y"]


def test_a_line_of_json(predictor: Predictor) -> None:
    (answer,) = predictor.predict([Record("a b", "LICENSE", None)])
    line = json.loads(json.dumps(answer.to_dict()))
    assert list(line) == ["source", "line", "label", "probabilities", "length", "truncated", "unknown"]
    assert line["source"] == "LICENSE"
    assert line["line"] is None
    assert sum(line["probabilities"].values()) == pytest.approx(1, abs=2e-6)
    assert line["length"] == 4


def test_what_cannot_be_used(classifier: Path, predictor: Predictor, tmp_path: Path) -> None:
    with pytest.raises(NysformerError, match="unknown dtype 'float8'"):
        Predictor.from_pretrained(classifier, dtype="float8")
    with pytest.raises(NysformerError, match="device 'abacus' cannot be used"):
        Predictor.from_pretrained(classifier, device="abacus")
    with pytest.raises(NysformerError, match="holds nothing"):
        Predictor(predictor.model, predictor.tokenizer, tokens_per_batch=0)
    larger = load_tokenizer(classifier)
    larger.add_tokens(["new"])
    with pytest.raises(NysformerError, match="the tokenizer knows 57 tokens, the model 56"):
        Predictor(predictor.model, larger)
    model = load_classifier(classifier)
    with torch.no_grad():
        model.classifier.out_proj.bias.fill_(float("nan"))
    with pytest.raises(NysformerError, match="not finite"):
        list(Predictor(model, predictor.tokenizer).predict(["a"]))
    broken = shutil.copytree(classifier, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["classifier.out_proj.bias"].fill_(float("nan"))
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(NysformerError, match=r"classifier\.out_proj\.bias"):
        Predictor.from_pretrained(broken, device="cpu")


@pytest.mark.parametrize("max_length", [32, None])
def test_threads_share_a_predictor(classifier: Path, max_length: int | None) -> None:
    predictor = Predictor.from_pretrained(classifier, max_length=max_length, device="cpu")
    documents = texts(200)
    expected = [next(predictor.predict(text)) for text in documents]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda text: next(predictor.predict(text)), documents))
    assert answers == expected


def test_threads_share_a_tokenizer_through_two_predictors(classifier: Path) -> None:
    model, tokenizer = load_classifier(classifier), load_tokenizer(classifier)
    tokenizer.backend_tokenizer.enable_truncation(max_length=9)
    predictors = [Predictor(model, tokenizer, max_length=length) for length in (8, 200)]
    jobs = [(predictor, text) for text in texts(60) for predictor in predictors]
    expected = [next(predictor.predict(text)) for predictor, text in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda job: next(job[0].predict(job[1])), jobs)) == expected
    assert tokenizer.backend_tokenizer.truncation["max_length"] == 9


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_a_copy_and_a_pickle_answer_alike(classifier: Path, dtype: Precision) -> None:
    predictor = Predictor.from_pretrained(classifier, dtype=dtype, max_length=40, device="cpu")
    expected = list(predictor.predict(texts(5)))
    for other in (copy.deepcopy(predictor), pickle.loads(pickle.dumps(predictor))):
        assert list(other.predict(texts(5))) == expected
        assert other.max_length == 40


def test_workers_that_are_spawned_answer_alike(classifier: Path, predictor: Predictor) -> None:
    expected = [answer.label for answer in predictor.predict(texts(6))]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        assert pool.submit(labels_of, predictor, texts(6)).result() == expected


def test_joblib_keeps_a_predictor(tmp_path: Path, predictor: Predictor) -> None:
    joblib.dump(predictor, tmp_path / "predictor")
    assert labels_of(joblib.load(tmp_path / "predictor"), texts(6)) == labels_of(predictor, texts(6))


def test_one_text_is_one_document(predictor: Predictor) -> None:
    (answer,) = predictor.predict("a b c")
    assert (answer.source, answer.line, answer.length) == ("document", 1, 5)
    (answer,) = predictor.predict(Record("a b c", "mail", 7))
    assert (answer.source, answer.line, answer.length) == ("mail", 7, 5)


def test_what_is_no_text_is_an_error_in_its_place(predictor: Predictor) -> None:
    answers = list(predictor.predict(["a", None, "b", float("nan"), {"text": "c"}, "", "d", {"a": 1}]))
    assert [isinstance(answer, RecordError) for answer in answers] == [
        *(False, True, False, True, False, True, False, True)
    ]
    assert str(answers[1]) == "document:2: None, not a text"
    assert [answer.line for answer in answers] == [1, 2, 3, 4, 5, 6, 7, 8]
    with pytest.raises(NysformerError, match="documents is one mapping; put it into a list"):
        predictor.predict({"text": "a"})


def test_what_was_read_before_the_documents_fail_is_answered(predictor: Predictor) -> None:
    def breaks() -> Iterator[str]:
        yield "a"
        yield "b"
        raise OSError("the connection is lost")

    answers = predictor.predict(breaks())
    assert [next(answers).line, next(answers).line] == [1, 2]
    with pytest.raises(OSError, match="the connection is lost"):
        next(answers)


def test_the_first_window_is_small_and_the_next_ones_grow(classifier: Path) -> None:
    predictor = Predictor.from_pretrained(classifier, device="cpu")
    read = 0

    def count() -> Iterator[str]:
        nonlocal read
        for _ in range(300):
            read += 1
            yield "a b"

    seen = []
    for _ in predictor.predict(count()):
        seen.append(read)
    assert [seen.count(number) for number in sorted(set(seen))] == [32, 64, 128, 76]


def test_the_share_of_unknown_tokens(predictor: Predictor) -> None:
    known, half, unknown = predictor.predict(["a b", "a \u0436 b \u4e00", "\u0436 \u4e00"])
    assert (known.unknown, half.unknown, unknown.unknown) == (0.0, 0.5, 1.0)
    assert unknown.to_dict()["unknown"] == 1.0
    (third,) = predictor.predict("a \u0436 b")
    assert third.to_dict()["unknown"] == 0.333333


def test_only_the_likeliest_probabilities(predictor: Predictor) -> None:
    (answer,) = predictor.predict("a b c")
    best = answer.to_dict(top_k=2)["probabilities"]
    assert next(iter(best)) == answer.label
    assert list(best.values()) == sorted(answer.to_dict()["probabilities"].values(), reverse=True)[:2]
    assert len(answer.to_dict(top_k=9)["probabilities"]) == 3


def test_columns_of_the_row_come_through(predictor: Predictor) -> None:
    (answer,) = predictor.predict([Record("a", "x.csv", 2, columns={"id": 7})])
    assert answer.columns == {"id": 7}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_length": 10**12}, "max_length of 1000000000000 tokens is past the model's position table of 256"),
        ({"max_length": 1e12}, "max_length is 1000000000000.0: give a whole number"),
        ({"max_length": True}, "max_length is True: give a whole number"),
        ({"max_length": "64"}, "max_length is '64': give a whole number"),
        ({"max_length": -1}, "max_length of -1 tokens leaves no room"),
        ({"tokens_per_batch": -5}, "holds nothing"),
        ({"tokens_per_batch": 0.5}, "tokens_per_batch is 0.5: give a whole number"),
        ({"tokens_per_batch": None}, "tokens_per_batch is None: give a whole number"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
        ({"dtype": torch.bfloat16}, "unknown dtype torch.bfloat16"),
        ({"device": "meta"}, "device 'meta' cannot be used"),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used"),
        ({"device": ""}, "device '' cannot be used"),
    ],
)
def test_options_out_of_range_are_one_line(classifier: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(NysformerError) as caught:
        Predictor.from_pretrained(classifier, **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_of_other_libraries_are_numbers(classifier: Path) -> None:
    predictor = Predictor.from_pretrained(classifier, max_length=torch.tensor(40), device="CPU")
    assert predictor.max_length == 40


def test_memory_that_does_not_suffice_is_one_line(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(predictor.model, "forward", full)
    with pytest.raises(NysformerError, match="the longest of 5 tokens; lower tokens_per_batch or max_length"):
        list(predictor.predict(["a", "a b c"]))
