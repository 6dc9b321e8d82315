"""A model folder out as one program that needs neither this library nor transformers: ONNX or torch.export.

Shapes: B batch, C choices (multiple choice only), N length; all of them free in what is written.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from nysformer.checkpoints.load import has_tokenizer, load_model, load_tokenizer
from nysformer.checkpoints.options import Format
from nysformer.errors import NysformerError
from nysformer.files.folders import check_new_folder, new_folder
from nysformer.models import NystromformerConfig, NystromformerForMultipleChoice, NystromformerPreTrainedModel
from nysformer.options import Flag

__all__ = ["Exported", "export", "trace"]

FILES: dict[Format, str] = {"onnx": "model.onnx", "torch-export": "model.pt2"}
# What is written has to give the model's numbers to here, relative to the largest where that is above 1.
TOLERANCE = 1e-4
# The same past where landmarks are clusters: a token midway between two centres goes to either of them by the last
# digit of a sum, and all numbers of the document move a little. On MiniLM that was .01 at 2,000 tokens.
CLUSTER_TOLERANCE = 0.05
# Lengths the check runs at, as far as the model reads; none of them is traced.
CHECKED_LENGTHS = (7, 63, 1_000)
_TRACED = (2, 40)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        path: of the program.
        inputs, outputs: their names.
        difference: the largest between its numbers and PyTorch's; None where there is no ONNX Runtime to run it.
        lengths: the tokens a document at which they were compared.
    """

    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    difference: float | None
    lengths: tuple[int, ...]


class Program(nn.Module):
    """A model as a function of tensors: ids and mask in, a dictionary of tensors out."""

    def __init__(self, model: NystromformerPreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor]:
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return dict(output.items())


def export(source: str | Path, output: str | Path, *, format: Format, token_types: bool = False) -> Exported:
    """Write `output`/model.onnx or `output`/model.pt2, with config.json and the tokenizer beside it.

    The program reads input_ids and attention_mask, int64, (B, N), 1 where a token is real, for any B and N; for
    multiple choice (B, C, N). It gives what the model gives: last_hidden_state, logits, or start_logits and end_logits.
    It is run and compared with the model before it is written.

    Args:
        source: a model folder; its config.json names the backbone or one of the five heads.
        output: a folder to make.
        format: "onnx" or "torch-export".
        token_types: also read token_type_ids, for models that were trained with them; otherwise they are 0.

    Raises:
        NysformerError: as `load_model`; something stands at `output`; the package that writes ONNX is missing; numbers
            that differ from the model's.

    Example:
        >>> export("runs/demo", "runs/demo-onnx", format="onnx").difference  # doctest: +SKIP
        1.2e-06
    """
    if format not in FILES:
        raise NysformerError(f"format is {format!r}: choose {' or '.join(FILES)}")
    Flag().read("token_types", token_types)
    if format == "onnx":
        _check_onnx()
    check_new_folder(output)
    # None of these changes a number of the output; each would be a branch or a tensor too many in the program.
    model = load_model(
        source, chunk_size_feed_forward=0, output_hidden_states=False, output_attentions=False, return_dict=True
    ).requires_grad_(False)
    inputs = ("input_ids", "attention_mask", *(["token_type_ids"] if token_types else []))
    outputs = tuple(Program(model)(**_sample(model, inputs, *_TRACED)))
    with new_folder(output) as folder:
        path = folder / FILES[format]
        run: Callable[..., Any] | None
        if format == "onnx":
            run = _write_onnx(model, path, inputs, outputs)
        else:
            # By way of memory: where the disk is full, torch's own writer ends the process instead of raising an error.
            whole = io.BytesIO()
            torch.export.save(trace(model, inputs), whole)
            path.write_bytes(whole.getbuffer())
            run = torch.export.load(path).module()
        lengths = tuple(sorted({min(length, model.config.max_position_embeddings) for length in CHECKED_LENGTHS}))
        differences = {} if run is None else {length: _compare(model, run, inputs, length) for length in lengths}
        for length, difference in differences.items():
            tolerance = CLUSTER_TOLERANCE if _clusters(model.config, length) else TOLERANCE
            if not difference <= tolerance:
                raise NysformerError(
                    f"{source}: the {format} program differs from the model by {difference:.1g} at {length} tokens, "
                    f"past {tolerance:.0g}; nothing is written: please report it with the versions of torch and onnx"
                )
        model.config.to_json_file(folder / "config.json")
        if has_tokenizer(source):
            load_tokenizer(source).save_pretrained(folder)
    largest = max(differences.values(), default=None)
    return Exported(Path(output) / FILES[format], inputs, outputs, largest, lengths)


def trace(model: NystromformerPreTrainedModel, inputs: tuple[str, ...]) -> ExportedProgram:
    """The model's dense form as one graph over those inputs, of any batch and length."""
    sizes = {place: Dim(name) for place, name in enumerate(_sizes(model))}
    with _quiet(), torch.no_grad():
        return torch.export.export(
            Program(model).eval(),
            (),
            _sample(model, inputs, *_TRACED),
            dynamic_shapes=dict.fromkeys(inputs, sizes),
            strict=False,
        )


def _sizes(model: NystromformerPreTrainedModel) -> tuple[str, ...]:
    """The names of an input's sizes, all free."""
    return ("batch", "choices", "length") if _has_choices(model) else ("batch", "length")


def _has_choices(model: NystromformerPreTrainedModel) -> bool:
    return isinstance(model, NystromformerForMultipleChoice)


def _sample(model: NystromformerPreTrainedModel, inputs: tuple[str, ...], batch: int, length: int) -> dict[str, Tensor]:
    """Documents of random tokens, every second one half as long and padded."""
    shape = (batch, 3, length) if _has_choices(model) else (batch, length)
    generator = torch.Generator().manual_seed(length)
    mask = torch.ones(shape, dtype=torch.int64)
    mask[1::2, ..., (length + 1) // 2 :] = 0
    tensors = {
        "input_ids": torch.randint(model.config.vocab_size, shape, generator=generator),
        "attention_mask": mask,
        "token_type_ids": torch.randint(model.config.type_vocab_size, shape, generator=generator),
    }
    return {name: tensors[name] for name in inputs}


def _clusters(config: NystromformerConfig, length: int) -> bool:
    """Whether a layer reads a document of that length through clusters."""
    specs = (config.nystrom_spec(layer) for layer in range(config.num_hidden_layers))
    return any(spec is not None and spec.landmarks == "clusters" and not spec.is_exact(length) for spec in specs)


def _compare(
    model: NystromformerPreTrainedModel, run: Callable[..., Any], inputs: tuple[str, ...], length: int
) -> float:
    """The largest difference at that length, alone and padded, relative to numbers above 1; NaN is infinite."""
    worst = 0.0
    for batch in (1, 2):
        sample = _sample(model, inputs, batch, length)
        with torch.no_grad():
            expected, given = Program(model)(**sample), run(**sample)
        for name, truth in expected.items():
            real = truth > torch.finfo(truth.dtype).min  # what answers are never found at
            difference = (given[name] - truth)[real].abs().max() / truth[real].abs().max().clamp(min=1.0)
            worst = max(worst, float(difference.nan_to_num(nan=float("inf"))))
    return worst


def _check_onnx() -> None:
    for package in ("onnx", "onnxscript"):
        if find_spec(package) is None:
            raise NysformerError(f"export to ONNX needs {package}: run `pip install 'nysformer[export]'`")


def _write_onnx(
    model: NystromformerPreTrainedModel, path: Path, inputs: tuple[str, ...], outputs: tuple[str, ...]
) -> Callable[..., Any] | None:
    """Write the program, and give a function that runs what was written, where ONNX Runtime is installed."""
    with _quiet(), torch.no_grad():
        written = torch.onnx.export(
            Program(model).eval(),
            (),
            kwargs=_sample(model, inputs, *_TRACED),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes={name: dict(enumerate(_sizes(model))) for name in inputs},
            dynamo=True,
            verbose=False,
        )
        assert written is not None
        written.save(str(path))
    if find_spec("onnxruntime") is None:
        return None
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(**tensors: Tensor) -> dict[str, Tensor]:
        arrays = session.run(list(outputs), {name: tensor.numpy() for name, tensor in tensors.items()})
        return {name: torch.from_numpy(array) for name, array in zip(outputs, arrays, strict=True)}

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says about packages and functions of its own."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category=DeprecationWarning)
            warnings.simplefilter("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", "# The axis name", UserWarning)  # inputs share their sizes
            yield
    finally:
        logger.setLevel(level)
