"""Programs that record the model depend on no value of their example, or are refused in one line."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter
from torch._dynamo.utils import counters
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

import nysformer
from nysformer import NysformerError, NystromformerLayer
from nysformer.ops import attention_map, nystrom_attention, softmax_attention

Make = Callable[..., Any]
NAMES = [
    "Model",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForMultipleChoice",
    "ForQuestionAnswering",
]


def masked(inputs: dict[str, Tensor], lengths: list[int]) -> dict[str, Tensor]:
    mask = torch.zeros_like(inputs["input_ids"])
    for row, length in zip(mask, lengths, strict=True):
        row[..., :length] = 1
    return {**inputs, "attention_mask": mask}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("name", NAMES)
def test_jit_is_refused(make: Make, labelled: Make, name: str) -> None:
    model, inputs = make(name), labelled(name, 2, 40)
    ids = inputs["input_ids"]
    for example in ((ids,), (ids, torch.ones_like(ids))):
        with pytest.raises(NysformerError, match=r"torch\.jit\.trace bakes lengths in.*torch\.export") as caught:
            torch.jit.trace(model, example, strict=False)
        assert "\n" not in str(caught.value)
    with pytest.raises(NysformerError, match=r"torch\.jit\.script cannot compile"):
        torch.jit.script(model)
    with pytest.raises(NysformerError, match=r"symbolic.*torch\.export"):
        torch.fx.symbolic_trace(model, concrete_args={"attention_mask": None, "inputs_embeds": None})


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore:`is_gradient_checkpointing`:FutureWarning"
)
def test_the_old_onnx_exporter_is_refused(make: Make, labelled: Make, tmp_path: Any) -> None:
    with pytest.raises(NysformerError, match=r"dynamo=False.*dynamo=True"):
        torch.onnx.export(make("Model"), (labelled("Model", 2, 40)["input_ids"],), tmp_path / "x.onnx", dynamo=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:`is_gradient_checkpointing`:FutureWarning")
def test_jit_of_the_layers_and_functions_is_refused(tiny: Make) -> None:
    x, mask = torch.randn(2, 20, 32), torch.ones(2, 20, dtype=torch.bool)
    layer, attention = NystromformerLayer(tiny()).eval(), nysformer.NystromAttention(32, 8, 2, num_landmarks=4)
    q = torch.randn(1, 2, 20, 4)
    for traced, example in (
        (layer, (x, mask)),
        (attention, (x, mask)),
        (lambda q: nystrom_attention(q, q, q, num_landmarks=4), (q,)),
        (lambda q: softmax_attention(q, q, q), (q,)),
        (lambda q: attention_map(q, q, num_landmarks=4), (q,)),
    ):
        with pytest.raises(NysformerError, match="bakes lengths in"):
            torch.jit.trace(traced, example)
    for module in (layer, attention):
        with pytest.raises(NysformerError, match="cannot compile"):
            torch.jit.script(module)


@pytest.mark.parametrize("argument", ["input_ids", "attention_mask", "position_ids", "token_type_ids", "inputs_embeds"])
def test_what_is_no_tensor(make: Make, argument: str) -> None:
    ids = {} if argument == "inputs_embeds" else {"input_ids": torch.tensor([[5, 6]])}
    for name in ("Model", "ForMultipleChoice"):
        with pytest.raises(NysformerError, match=f"{argument} is a list: pass a tensor"):
            make(name)(**{**ids, argument: [[1, 1]]})


@pytest.mark.parametrize(
    ("name", "train", "masks"),
    [("Model", False, False), ("Model", True, True), *((name, True, False) for name in NAMES[1:])],
)
def test_one_graph_for_any_length(make: Make, labelled: Make, name: str, train: bool, masks: bool) -> None:
    """With losses; one graph in all where every size is taken for free, and no break in any case."""
    torch.compiler.reset()
    counters.clear()
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "num_hidden_layers": 1}
    model = make(name, **off).train(train)
    compiler = CompileCounter()
    compiled = torch.compile(model, backend=compiler, dynamic=True)
    for batch, length in ((3, 40), (2, 51)):
        inputs = labelled(name, batch, length)
        if masks:
            inputs = masked(inputs, [length, 5, 20, 0][:batch])
        for ours, theirs in zip(compiled(**inputs)[:2], model(**inputs)[:2], strict=False):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert not counters["graph_break"]
    assert compiler.frame_count == (1 if name != "ForMultipleChoice" else 2)


@pytest.mark.parametrize("masks", [False, True])
def test_no_break_where_sizes_are_learnt(make: Make, labelled: Make, masks: bool) -> None:
    torch.compiler.reset()
    counters.clear()
    model = make("ForTokenClassification", num_hidden_layers=1)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for batch, length in ((2, 40), (2, 50), (1, 5)):
        inputs = labelled("ForTokenClassification", batch, length)
        inputs = masked(inputs, [length, 5, 0][:batch]) if masks else inputs
        torch.testing.assert_close(compiled(**inputs).logits, model(**inputs).logits, rtol=1e-4, atol=1e-4)


def test_pads_without_a_mask_do_not_break_the_graph(make: Make, labelled: Make) -> None:
    torch.compiler.reset()
    model, inputs = make("Model", num_hidden_layers=1), labelled("Model", 2, 40)
    inputs["input_ids"][0, -3:] = 1
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(**inputs)[0], model(**inputs)[0], rtol=1e-4, atol=1e-4)


def test_make_fx_and_fake_tensors(make: Make, labelled: Make) -> None:
    model, inputs = make("Model", num_hidden_layers=1), labelled("Model", 3, 40)
    inputs = masked(inputs, [40, 9, 0])
    program = make_fx(lambda ids, mask: model(ids, mask)[0])(*inputs.values())
    other = masked(labelled("Model", 3, 40, seed=1), [3, 40, 25])
    torch.testing.assert_close(program(*other.values()), model(**other)[0], rtol=1e-4, atol=1e-4)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = {key: mode.from_tensor(value) for key, value in inputs.items()}
        assert model(**fake)[0].shape == (3, 40, 32)


def test_nystrom_attention_is_recorded_in_its_dense_form() -> None:
    torch.compiler.reset()
    torch.manual_seed(0)
    attention = nysformer.NystromAttention(16, 8, 2, num_landmarks=4, residual_conv_kernel=3)
    compiled = torch.compile(attention, backend="eager", fullgraph=True)
    x, mask = torch.randn(3, 20, 16), torch.rand(3, 20) < 0.7
    mask[1, 3:], mask[2] = False, False
    poisoned = x.masked_fill(~mask[..., None], float("nan"))
    torch.testing.assert_close(compiled(poisoned, mask), attention(poisoned, mask), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(compiled(x), attention(x), rtol=1e-4, atol=1e-5)
    rows = torch.func.vmap(lambda x, mask: attention(x[None], mask[None])[0])(poisoned, mask)
    torch.testing.assert_close(rows, attention(poisoned, mask), rtol=1e-4, atol=1e-5)
    with pytest.raises(NysformerError, match="gives attention maps"):
        torch.func.vmap(lambda x: attention(x[None], return_attn=True))(x)


def test_maps_of_a_transformed_model(make: Make, labelled: Make) -> None:
    model, ids = make("Model"), labelled("Model", 2, 20)["input_ids"]
    with pytest.raises(NysformerError, match="no output_attentions while it is compiled"):
        torch.func.vmap(lambda ids: model(ids[None], output_attentions=True)[0])(ids)


def test_many_gradients_at_once() -> None:
    """The fast product's backward pass under vmap, as `is_grads_batched` and vectorized Jacobians run it."""
    from nysformer.ops import activate, linear

    torch.manual_seed(0)
    x, weight = torch.randn(4, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    out = linear(activate(x * 2, nn.GELU()), weight)
    cotangents = torch.randn(5, *out.shape)
    together = torch.autograd.grad(out, (x, weight), cotangents, is_grads_batched=True, retain_graph=True)
    for row, cotangent in enumerate(cotangents):
        for ours, theirs in zip(
            together, torch.autograd.grad(out, (x, weight), cotangent, retain_graph=True), strict=True
        ):
            torch.testing.assert_close(ours[row], theirs)


@pytest.mark.parametrize("masks", [False, True])
def test_a_compiled_model_checks_its_position_ids_as_it_runs(make: Make, labelled: Make, masks: bool) -> None:
    torch.compiler.reset()
    model, inputs = make("Model", num_hidden_layers=1), labelled("Model", 1, 20)
    if masks:
        inputs["attention_mask"] = torch.ones(1, 20, dtype=torch.bool)
        inputs["attention_mask"][0, 3] = inputs["attention_mask"][0, 18] = False
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    rows = torch.arange(20)[None] + 2
    if masks:
        rows[0, 18] = 5
    expected = model(**inputs, position_ids=rows)[0]
    torch.testing.assert_close(compiled(**inputs, position_ids=rows)[0], expected, rtol=1e-4, atol=1e-4)
    for wrong in (rows - 1, torch.cat([rows[:, :10], rows[:, :10]], dim=1), rows.flip(1)):
        with pytest.raises(RuntimeError, match="a compiled model reads one document per row"):
            compiled(**inputs, position_ids=wrong)
