"""Documents to token ids, and label names to numbers."""

from collections.abc import Sequence
from typing import Any

import datasets
from transformers import PreTrainedTokenizerBase

from nysformer.data.encode import TextEncoder
from nysformer.data.labels import UnusableLabel, normal_label
from nysformer.data.quiet import no_progress_bars
from nysformer.errors import NysformerError
from nysformer.files.scratch import disk_errors

__all__ = ["encode_labels", "label_table", "tokenize"]


def tokenize(dataset: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> datasets.Dataset:
    """Replace the column `text` by token ids, special tokens included.

    Args:
        dataset: with the columns `text` and `source`.
        tokenizer: of the model.
        max_length: tokens a document may have; a longer one loses its end, special tokens stay where they belong.

    Returns:
        The dataset with `input_ids` (int32), `length` (tokens before the cut) and `truncated` (bool) in the place of
        `text`. Who calls says how many were cut: `sum(dataset["truncated"])`.

    Raises:
        NysformerError: `max_length` leaves no room beside the special tokens, or a document gives no token at all.
    """
    with no_progress_bars(), disk_errors():
        return dataset.map(
            _tokenize,
            batched=True,
            batch_size=64,
            remove_columns=["text"],
            fn_kwargs={"encode": TextEncoder(tokenizer, max_length)},
            features=datasets.Features(
                {name: feature for name, feature in dataset.features.items() if name != "text"}
                | {
                    "input_ids": datasets.List(datasets.Value("int32")),
                    "length": datasets.Value("int64"),
                    "truncated": datasets.Value("bool"),
                }
            ),
        )


def _tokenize(batch: dict[str, Any], encode: TextEncoder) -> dict[str, Any]:
    columns: dict[str, Any] = {"input_ids": [], "length": [], "truncated": []}
    for source, encoded in zip(batch["source"], encode(batch["text"]), strict=True):
        if encoded is None:
            raise NysformerError(f"{source}: the tokenizer finds no token in the document; fix or remove it")
        for name, values in columns.items():
            values.append(getattr(encoded, name))
    return columns


def label_table(dataset: datasets.Dataset) -> list[str]:
    """The label names of a dataset with the column `label`, sorted: by value if all are whole numbers, else as text.

    Example:
        >>> label_table(datasets.Dataset.from_dict({"label": ["10", "9", "10"]}))
        ['9', '10']
    """
    names = dataset.unique("label")
    return sorted(names, key=int) if all(_is_integer(name) for name in names) else sorted(names)


def _is_integer(name: str) -> bool:
    return name.removeprefix("-").isdecimal()


def encode_labels(dataset: datasets.Dataset, names: Sequence[str]) -> datasets.Dataset:
    """Replace the column `label` by `labels`, the label's index in `names` (int64).

    Args:
        dataset: with the columns `label` and `source`.
        names: the model's labels, from `label_table` of the training set. A model from elsewhere may spell them in
            another way than `labels.normal_label`, by which the dataset's are spelled.

    Raises:
        NysformerError: a label that is not among the names, with the first document that carries it.
    """
    index = {_normal(name): number for number, name in enumerate(names)}
    index |= {name: number for number, name in enumerate(names)}
    unknown = set(dataset.unique("label")) - index.keys()
    if unknown:
        source, label = next(
            (source, label)
            for source, label in zip(dataset["source"], dataset["label"], strict=True)
            if label in unknown
        )
        known = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        same = next((name for name in names if name.casefold() == label.casefold()), None)
        meant = f"; {same!r} differs only in case" if same is not None else ""
        raise NysformerError(
            f"{source}: the label {label!r} is none of those the model is trained on ({known}){meant}; "
            "fix the label, remove the document or add training documents for it"
        )
    with no_progress_bars(), disk_errors():
        return dataset.map(
            _encode,
            batched=True,
            remove_columns=["label"],
            fn_kwargs={"index": index},
            features=datasets.Features(
                {name: feature for name, feature in dataset.features.items() if name != "label"}
                | {"labels": datasets.Value("int64")}
            ),
        )


def _normal(name: str) -> str:
    try:
        return normal_label(name)
    except UnusableLabel:
        return name


def _encode(batch: dict[str, Any], index: dict[str, int]) -> dict[str, Any]:
    return {"labels": [index[label] for label in batch["label"]]}
