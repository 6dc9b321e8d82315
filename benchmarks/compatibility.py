"""Every way in and out of this library, with the test that holds it and the largest difference measured now."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers.utils import logging

from benchmarks import conversions, departures, ecosystem
from benchmarks.record import Record, show_table
from nysformer.files.atomic import write_atomically

__all__ = ["PAGE", "ROWS", "Row", "measure_compatibility"]

PAGE = Path("docs/compatibility.md")
_COMMAND = "python -m benchmarks compatibility"


@dataclass(frozen=True)
class Row:
    """One way.

    Attributes:
        source: what it starts from.
        direction: where to, and by what.
        test: the file and test that hold it.
        measure: gives the largest difference of outputs, relative to the largest output; reads an empty folder.
    """

    source: str
    direction: str
    test: str
    measure: Callable[[Path], float]


ROWS: tuple[Row, ...] = (
    *(
        Row(
            f"{name}, with its masked-LM head",
            "in: `nysformer convert`",
            "tests/checkpoints/convert/test_source.py::test_the_sources_numbers",
            conversions.of_family(name),
        )
        for name in ("BERT", "RoBERTa", "XLM-RoBERTa", "DistilBERT", "ELECTRA")
    ),
    Row(
        "all-MiniLM-L6-v2, a BERT of 6 trained layers",
        "in: `nysformer convert`",
        "tests/cli/test_convert.py::test_the_packaged_minilm",
        conversions.of_minilm,
    ),
    Row(
        "the authors' training checkpoint",
        "in: `nysformer convert`",
        "tests/checkpoints/convert/test_authors.py::test_the_authors_numbers",
        conversions.of_the_authors,
    ),
    Row(
        "transformers' Nyströmformer, softmax attention",
        "in: `nysformer convert`, up to the landmarks",
        "tests/checkpoints/convert/test_source.py::test_a_nystromformer_gets_its_landmarks_turned_on",
        conversions.of_a_nystromformer,
    ),
    Row(
        "transformers' Nyströmformer folder, softmax mode",
        "in: `from_pretrained`",
        "tests/models/test_parity.py::test_equals_transformers",
        ecosystem.folder_in("softmax"),
    ),
    Row(
        "transformers' Nyströmformer folder, Nyström mode",
        "in: `from_pretrained`",
        "tests/models/test_configuration.py::test_their_folder_with_landmarks_is_read_by_both",
        ecosystem.folder_in("nystrom"),
    ),
    Row(
        "our folder, softmax mode",
        "out: transformers' `from_pretrained`",
        "tests/models/test_configuration.py::test_our_folder_is_read_by_both",
        ecosystem.folder_out("softmax"),
    ),
    Row(
        "our folder, Nyström mode",
        "out: transformers' `from_pretrained`",
        "tests/models/test_configuration.py::test_our_folder_is_read_by_both",
        ecosystem.folder_out("nystrom"),
    ),
    Row(
        "our folder",
        "out: `AutoModelForMaskedLM` after `nysformer.register()`",
        "tests/models/test_registration.py::test_before_during_and_after",
        ecosystem.auto_class,
    ),
    Row(
        "our model",
        "out: `accelerate`, offloaded to the CPU",
        "tests/models/test_ecosystem.py::test_accelerate_offload",
        ecosystem.cpu_offload,
    ),
    Row(
        "our model",
        "out: `accelerate`, offloaded to disk",
        "tests/models/test_ecosystem.py::test_accelerate_offload",
        ecosystem.disk_offload,
    ),
    Row(
        "our model with a PEFT adapter (LoRA)",
        "in: saved, loaded and merged",
        "tests/models/test_ecosystem.py::test_lora_is_trained_saved_loaded_and_merged",
        ecosystem.lora_merged,
    ),
    Row(
        "nystrom-attention 0.0.14's layer",
        "in: `NystromAttention(compat=True)`",
        "tests/layers/test_nystrom_attention.py::test_compat_has_the_packages_numbers",
        departures.layer_in,
    ),
    Row(
        "our `NystromAttention(compat=True)`",
        "out: nystrom-attention 0.0.14's layer",
        "tests/layers/test_nystrom_attention.py::test_state_dicts_and_settings_both_ways",
        departures.layer_out,
    ),
    Row(
        "MiniLM, converted",
        "out: sentence-transformers after `nysformer.register()`",
        "tests/models/test_sentence_transformers.py::test_converted_minilm_keeps_its_embeddings",
        departures.sentence_vectors,
    ),
    Row(
        "our folder",
        "out: ONNX Runtime, by `nysformer export`",
        "tests/checkpoints/test_export.py::test_onnx",
        departures.exported("onnx"),
    ),
    Row(
        "our folder",
        "out: `torch.export`, by `nysformer export`",
        "tests/checkpoints/test_export.py::test_torch_export",
        departures.exported("torch-export"),
    ),
    Row(
        "our model",
        "out: `torch.compile(fullgraph=True, dynamic=True)`",
        "tests/checkpoints/test_export.py::test_compiled_for_any_length",
        departures.compiled,
    ),
)


def measure_compatibility(page: Path = PAGE) -> Record:
    """Measure every row, on models made on the spot, and write the page.

    Args:
        page: the file to write.
    """
    rows = []
    bar, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)
    try:
        for row in ROWS:
            torch.manual_seed(0)
            with tempfile.TemporaryDirectory() as folder, torch.no_grad():
                difference = row.measure(Path(folder))
            rows.append(
                {"source": row.source, "direction": row.direction, "test": row.test, "largest_difference": difference}
            )
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()
    with write_atomically(page) as file:
        file.write(_page(rows))
    shown = [{name: row[name] for name in ("largest_difference", "source", "direction")} for row in rows]
    show_table("Largest difference of outputs, relative to the largest output, float32", shown)
    return Record("compatibility", _COMMAND, rows, {"page": str(page)})


_HEAD = f"""# Compatibility

Made by `{_COMMAND}`; do not edit. The largest difference is that of the outputs (logits, or
hidden states where there is no head), relative to the largest of them, in float32, on small models with weights of unit
effect made on the spot. A test holds each row.

| from | way | largest difference | test |
|---|---|---|---|
"""
_FOOT = """
Without `nysformer.register()` transformers' Auto classes give transformers' own Nyströmformer, also for a configuration
of ours: they go by the name of its class. transformers 5 has no question-answering pipeline any more;
`AutoModelForQuestionAnswering` gives our model. What transformers' own class cannot honour in a folder of ours (pruned
heads, softmax up to a length) is named in a warning when the folder is saved. A model without convolution is saved with
kernels of zeros, so that transformers and `AutoTokenizer` read the folder.

- Second derivatives (gradient penalties, Hessian-vector products) need `attn_implementation="eager"`: PyTorch's fused
  attention has none on a CPU.
- Several documents in one row: `DataCollatorWithFlattening(position_ids_start=2)`. Position ids are rows of the table,
  which start at 2; lower ones are refused.
- Linear layers are plain `torch.nn.Linear`, so dynamic quantization, adapters, pruning and parametrizations find them.
- `torch.jit.trace`, `torch.jit.script` and `torch.onnx.export(dynamo=False)` are refused: they bake lengths in.
- Compiled models check position ids as they run; exported and `torch.func` programs check shapes only.
"""


def _page(rows: list[dict[str, object]]) -> str:
    lines = [
        f"| {row['source']} | {row['direction']} | {row['largest_difference']:.1e} | `{row['test']}` |\n"
        for row in rows
    ]
    return "".join([_HEAD, *lines, _FOOT])
