"""Faulty config.json files: each works right, or is one line that blames config.json and the setting."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import load_classifier

from nysformer import NysformerError, NystromformerForSequenceClassification
from nysformer.checkpoints.convert.run import convert
from nysformer.checkpoints.inspect import inspect
from nysformer.checkpoints.load import load_model, load_tokenizer
from nysformer.inference.predict import Predictor
from nysformer.tasks.sequence_classification import SequenceClassification


@pytest.fixture
def copy(classifier: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(classifier, tmp_path / "copy"))


def change(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


WAYS: dict[str, Callable[[Path], Any]] = {
    "tokenizer": load_tokenizer,
    "classifier": load_classifier,
    "model": load_model,
    "predictor": Predictor.from_pretrained,
    "inspect": inspect,
    "convert": lambda folder: convert(folder, folder.with_name("converted")),
}

NAN = float("nan")
COUNTS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "num_landmarks",
)
FAULTS: list[tuple[str, Any]] = [
    *((name, value) for name in COUNTS for value in (None, "8", [8], {"a": 8}, -1, 0, 8.5, 10**12)),
    *((name, True) for name in COUNTS[:3]),
    *(
        (name, value)
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob")
        for value in (None, "0.1", [0.1], -0.1, 1.5, NAN)
    ),
    *(("layer_norm_eps", value) for value in (None, "1e-5", 0.0, -1e-5, NAN, float("inf"), [1e-5])),
    *(("initializer_range", value) for value in (None, "wide", -0.02, NAN)),
    *(("hidden_act", value) for value in (None, 5, "gelu_fresh", ["gelu"], "")),
    *(("pad_token_id", value) for value in (999999, -1, "0", 0.5, [0])),
    *(("conv_kernel_size", value) for value in ("5", 4, 0, -5, 10**12 + 1, 5.0)),
    *(("segment_means_seq_len", value) for value in ("64", 0, -8, 1.5)),
    *(("chunk_size_feed_forward", value) for value in (None, -1, "4", 0.5)),
    *(("pinv_iterations", value) for value in (None, 0, 13, "6")),
    *(("softmax_max_length", value) for value in (None, -1, "64")),
    *(("attention_mode", value) for value in ("fast", 3, [])),
    *(("position_embedding_type", value) for value in (None, "relative_key", 2)),
    *(("classifier_pooling", value) for value in (None, "max", 2)),
    *(("problem_type", value) for value in ("ranking", 3, [])),
    *(("architectures", value) for value in ("NystromformerModel", 5, [5], {"a": 1})),
    *(("tie_word_embeddings", value) for value in ("yes", None, 1)),
    *(("inv_coeff_init_option", value) for value in ("yes", None, 2)),
    *(("pruned_heads", value) for value in ([0], "0", {"a": [0]}, {"0": 1}, {"0": ["x"]}, {"9": [0]}, {"0": [9]})),
    *(("dtype", value) for value in ("float99", 5, "nn", "int8", [])),
    *(("torch_dtype", value) for value in ("float99", 5, "relu")),
    *(("num_labels", value) for value in (0, -1, "3", 2.5, 10**12, 5, [3])),
    *(
        ("id2label", value)
        for value in (
            [],
            ["ham", "spam", "eggs"],
            {},
            "ham",
            5,
            {"1": "ham", "2": "spam", "3": "eggs"},
            {"0": "ham", "1": "spam", "3": "eggs"},
            {"0": "ham", "00": "spam", "2": "eggs"},
            {"a": "ham", "b": "spam", "c": "eggs"},
            {"0": "ham", "1": "ham", "2": "eggs"},
            {"0": 1, "1": 2, "2": 3},
            {"0": None, "1": "spam", "2": "eggs"},
            {"0": {"0": "ham"}, "1": "spam", "2": "eggs"},
        )
    ),
    ("is_decoder", True),
    ("add_cross_attention", True),
    ("add_cross_attention", "no"),
    ("quantization_config", {"quant_method": "bitsandbytes", "load_in_4bit": True}),
    ("check", "me"),
    ("to_dict", 5),
    ("output_hidden_states", "yes"),
    ("return_dict", "no"),
]


@pytest.mark.parametrize(("name", "value"), FAULTS, ids=[f"{name}={value!r:.24}" for name, value in FAULTS])
def test_a_fault_is_one_line_that_blames_the_setting(
    copy: Path, name: str, value: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    change(copy, **{name: value})
    for way, read in WAYS.items():
        with pytest.raises(NysformerError) as caught:
            read(copy)
        said = str(caught.value)
        assert "\n" not in said, way
        assert len(said.replace(str(copy), "")) < 320, way
        assert "config.json" in said, way
        assert name in said, way
        assert "tokenizer" not in said, way
    assert not copy.with_name("converted").exists()
    if name == "quantization_config":
        return  # transformers' own loader knows what to do with one
    with pytest.raises(NysformerError, match=name):
        NystromformerForSequenceClassification.from_pretrained(copy)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("value", [["nystromformer"], {"a": 1}, 5, None], ids=repr)
def test_a_model_type_that_is_no_name(copy: Path, value: Any) -> None:
    change(copy, model_type=value)
    for way, read in WAYS.items():
        with pytest.raises(NysformerError, match=r"config\.json") as caught:
            read(copy)
        assert "\n" not in str(caught.value), way
        assert "tokenizer" not in str(caught.value), way


HARMLESS: list[tuple[str, Any]] = [
    ("return_dict", False),
    ("return_dict", None),
    ("output_attentions", True),
    ("output_hidden_states", True),
    ("num_landmarks", 10**9),
    ("architectures", []),
    ("architectures", None),
    ("transformers_version", "99.1.0"),
    ("an_unknown_field", {"of": ["any", NAN]}),
    ("num_labels", 3),
    ("label2id", {"ham": 2, "spam": 1, "eggs": 0}),
    ("label2id", {"LABEL_0": 0, "LABEL_1": 1}),
    ("label2id", ["ham"]),
    ("label2id", None),
    ("auto_map", {"AutoModel": "modeling_mine.Mine"}),
    ("bos_token_id", None),
    ("eos_token_id", [3, 3]),
    ("dtype", "bfloat16"),
    ("torch_dtype", "float16"),
    ("problem_type", None),
    ("chunk_size_feed_forward", 7),
    ("pad_token_id", None),
]


@pytest.mark.parametrize(("name", "value"), HARMLESS, ids=[f"{name}={value!r:.24}" for name, value in HARMLESS])
def test_what_changes_nothing_is_no_fault(classifier: Path, copy: Path, name: str, value: Any) -> None:
    change(copy, **{name: value})
    if name == "num_landmarks":
        classifier = Path(shutil.copytree(classifier, copy.with_name("softmax")))
        change(classifier, softmax_max_length=256)
    text = ["a b c", "d e"]
    expected = [answer.to_dict() for answer in Predictor.from_pretrained(classifier).predict(text)]
    found = [answer.to_dict() for answer in Predictor.from_pretrained(copy).predict(text)]
    assert found == expected
    model = load_classifier(copy)
    assert model.config.label2id == {"ham": 0, "spam": 1, "eggs": 2}
    assert model(torch.tensor([[2, 5, 3]])).logits.shape == (1, 3)
    inspect(copy)
    load_tokenizer(copy)


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "not valid JSON"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-9]), "not valid JSON"),
    "nested": (lambda path: path.write_text('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"), "nested too deeply"),
    "nested objects": (lambda path: path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000), "nested too deeply"),
    "latin-1": (lambda path: path.write_bytes('{"model_type": "nyström"}'.encode("latin-1")), "not valid JSON"),
    "binary": (lambda path: path.write_bytes(bytes(range(256))), "not valid JSON"),
    "a list": (lambda path: path.write_text("[1]"), "not a JSON object"),
    "a number": (lambda path: path.write_text("5"), "not a JSON object"),
    "null": (lambda path: path.write_text("null"), "not a JSON object"),
    "a key twice": (
        lambda path: path.write_text(path.read_text().rstrip().removesuffix("}") + ', "hidden_size": 32}'),
        "'hidden_size' stands in it twice",
    ),
    "a long number": (lambda path: path.write_text('{"vocab_size": ' + "9" * 5000 + "}"), "not valid JSON"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "it is not a file"),
    "no type": (lambda path: path.write_text("{}"), "by its config.json the model's type is None"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_none(copy: Path, name: str) -> None:
    damage, words = FILES[name]
    damage(copy / "config.json")
    for way, read in WAYS.items():
        if name == "no type" and way == "tokenizer":
            continue  # it needs nothing of it
        with pytest.raises(NysformerError) as caught:
            read(copy)
        said = str(caught.value)
        assert "\n" not in said, way
        assert len(said.replace(str(copy), "")) < 320, way
        assert "config.json" in said or way == "convert", way
        assert words in said or way in ("convert", "tokenizer"), way
        assert "its tokenizer" not in said, way


def test_a_byte_order_mark_is_read(copy: Path) -> None:
    path = copy / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_classifier(copy).config.num_labels == 3


def test_a_file_of_a_gigabyte_is_not_read(copy: Path) -> None:
    with (copy / "config.json").open("r+b") as file:
        file.truncate(2**30)
    with pytest.raises(NysformerError, match="far more than any configuration"):
        load_classifier(copy)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("vocab_size", 2**30),
        ("type_vocab_size", 2**30),
        ("max_position_embeddings", 2**30),
        ("intermediate_size", 2**30),
        ("hidden_size", 2**20),
        ("num_hidden_layers", 999),
        ("conv_kernel_size", 2**30 + 1),
    ],
)
def test_a_size_the_weights_do_not_have_is_found_before_memory_is_taken(copy: Path, name: str, value: int) -> None:
    change(copy, **{name: value})
    for way in ("classifier", "model", "predictor", "inspect"):
        with pytest.raises(NysformerError, match=r"weights do not match its config\.json") as caught:
            WAYS[way](copy)
        assert name in str(caught.value)


def test_a_label_map_is_checked_where_names_are_taken(classifier: Path) -> None:
    config = load_classifier(classifier).config
    config.id2label = {1: "ham", 2: "spam", 3: "eggs"}
    with pytest.raises(NysformerError, match=r"id2label has the keys \[1, 2, 3\]: number its 3 labels from 0 to 2"):
        SequenceClassification.from_config(config)


def test_labels_given_in_place_of_faulty_ones(copy: Path) -> None:
    change(copy, id2label=["ham"], num_labels=7)
    names = {0: "a", 1: "b", 2: "c"}
    model = load_classifier(copy, id2label=names, label2id={"a": 0, "b": 1, "c": 2})
    assert model.config.id2label == names
    assert load_classifier(copy, new_head=True, num_labels=4).config.num_labels == 4


def test_only_label2id(copy: Path) -> None:
    path = copy / "config.json"
    values = json.loads(path.read_text())
    del values["id2label"]
    path.write_text(json.dumps(values))
    assert load_classifier(copy).config.id2label == {0: "ham", 1: "spam", 2: "eggs"}


TOKENIZERS: dict[str, Callable[[Path], object]] = {
    "cut": lambda folder: (folder / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes()[:-99]),
    "empty": lambda folder: (folder / "tokenizer.json").write_bytes(b""),
    "another object": lambda folder: (folder / "tokenizer.json").write_text('{"a": 1}'),
    "binary": lambda folder: (folder / "tokenizer.json").write_bytes(bytes(range(256))),
    "settings cut": lambda folder: (folder / "tokenizer_config.json").write_text("{"),
    "settings of a list": lambda folder: (folder / "tokenizer_config.json").write_text("[]"),
    "an unknown class": lambda folder: (folder / "tokenizer_config.json").write_text('{"tokenizer_class": 5}'),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_faulty_tokenizer_is_blamed_on_the_tokenizer(copy: Path, name: str) -> None:
    TOKENIZERS[name](copy)
    with pytest.raises(NysformerError, match="its tokenizer cannot be read") as caught:
        load_tokenizer(copy)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value).replace(str(copy), "")) < 320


def test_code_beside_a_tokenizer_is_not_run(copy: Path) -> None:
    path = copy / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": {"AutoTokenizer": ["mine.A", "mine.B"]}}))
    (copy / "mine.py").write_text(f"open({str(copy / 'ran')!r}, 'w')\n")
    assert load_tokenizer(copy)("a")["input_ids"] == [2, 4, 3]
    assert not (copy / "ran").exists()
