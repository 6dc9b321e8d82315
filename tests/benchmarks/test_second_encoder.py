"""The weights of a BERT out of the ONNX program that was made of it."""

import pytest
import torch
from transformers import BertConfig, BertModel

from benchmarks.second_encoder import weights_of


def test_every_weight_comes_back() -> None:
    onnx = pytest.importorskip("onnx")
    torch.manual_seed(0)
    config = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=1, intermediate_size=64)
    bert = BertModel(config, add_pooling_layer=False).eval()
    names = {
        name: array for name, array in bert.state_dict().items() if not name.endswith(("position_ids", "type_ids"))
    }
    # The exporter's form: biases, norms and tables by name, matrices transposed and named by the node that reads them.
    initializers, nodes = [], []
    for number, (name, array) in enumerate(names.items()):
        is_matrix = array.dim() == 2 and not name.startswith("embeddings.")
        title = f"onnx::MatMul_{number}" if is_matrix else f"model.0.auto_model.{name}"
        data = (array.T if is_matrix else array).contiguous().numpy()
        initializers.append(onnx.numpy_helper.from_array(data, title))
        if is_matrix:
            place = "/model/model.0/auto_model/" + name.removesuffix(".weight").replace("layer.", "layer@", 1)
            place = place.replace(".", "/").replace("layer@", "layer.")
            nodes.append(onnx.helper.make_node("MatMul", ["x", title], [f"y{number}"], name=f"{place}/MatMul"))
    graph = onnx.helper.make_graph(nodes, "bert", [], [], initializers)
    found = weights_of(onnx.helper.make_model(graph).SerializeToString())
    assert found.keys() == names.keys()
    assert all(torch.equal(found[name], array) for name, array in names.items())
