"""The linear layer on either library's products: the numbers and gradients of torch.nn.functional.linear."""

import gc
import weakref
from importlib import import_module

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from nysformer.ops import activate, can_pack, linear, use_product_backend
from nysformer.ops.linear import _GRADIENT_ROWS, _by_onednn

needs_onednn = pytest.mark.skipif(not can_pack(torch.float32), reason="this PyTorch has no oneDNN products")
GELU = nn.GELU()


def operands(*shape: int, outputs: int = 6) -> list[torch.Tensor]:
    return [torch.randn(*size, requires_grad=True) for size in (shape, (outputs, shape[-1]), (outputs,))]


@given(
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    outputs=st.integers(1, 7),
    with_bias=st.booleans(),
    activated=st.booleans(),
)
def test_is_torch_s_linear_forward_backward_and_twice(shape, outputs, with_bias, activated):
    torch.manual_seed(0)
    x, weight, bias = operands(*shape, outputs=outputs)
    inputs = (x, weight, bias) if with_bias else (x, weight)
    used = bias if with_bias else None
    ours = linear(activate(x, GELU) if activated else x, weight, used)
    theirs = F.linear(GELU(x) if activated else x, weight, used)
    torch.testing.assert_close(ours, theirs)
    cotangent = torch.randn_like(ours)
    torch.testing.assert_close(
        torch.autograd.grad(ours, inputs, cotangent, retain_graph=True),
        torch.autograd.grad(theirs, inputs, cotangent, retain_graph=True),
    )
    first = [torch.autograd.grad(y, inputs, cotangent, create_graph=True) for y in (ours, theirs)]
    second = [torch.autograd.grad(sum(g.square().sum() for g in gs), (x, weight)) for gs in first]
    torch.testing.assert_close(*second)


def test_gradients_of_more_rows_than_a_block():
    torch.manual_seed(0)
    x, weight, bias = operands(2 * _GRADIENT_ROWS + 3, 5)
    ours, theirs = (torch.autograd.grad(f(x, weight, bias).sum(), (x, weight, bias)) for f in (linear, F.linear))
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-4)  # sums of two thousand


@pytest.mark.parametrize("shape", [(0, 4), (2, 0, 4)])
def test_no_rows(shape):
    x, weight, bias = operands(*shape)
    linear(x, weight, bias).sum().backward()
    assert x.grad.shape == shape
    assert not weight.grad.any()


@needs_onednn
def test_an_activation_is_made_again_not_kept():
    x, weight, _ = operands(10, 4)
    widened = activate(x * 2, GELU)
    gone = weakref.ref(widened)
    out = linear(widened, weight)
    del widened
    gc.collect()
    assert gone() is None
    kept = [t.data_ptr() for t in out.grad_fn.saved_tensors]
    assert x.data_ptr() not in kept
    torch.testing.assert_close(
        torch.autograd.grad(out.sum(), (x, weight)),
        torch.autograd.grad(F.linear(GELU(x * 2), weight).sum(), (x, weight)),
    )


def test_a_recipe_that_is_no_longer_true_is_not_used():
    x, weight, _ = operands(10, 4)
    widened = activate(x, GELU)
    with torch.no_grad():
        widened.mul_(3)
    (ours,) = torch.autograd.grad(linear(widened, weight).sum(), weight)
    (theirs,) = torch.autograd.grad(F.linear(3 * GELU(x), weight).sum(), weight)
    torch.testing.assert_close(ours, theirs)


@needs_onednn
@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_where_onednn_is_not_asked():
    x, weight, bias = operands(3, 4)
    assert _by_onednn(x, weight, bias)
    assert not _by_onednn(x.double(), weight.double())
    assert not _by_onednn(x.to("meta"), weight)
    assert not _by_onednn(x.new_empty(0, 4), weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert not _by_onednn(x, weight)
        assert linear(x, weight, bias).dtype == torch.bfloat16
    with torch.backends.mkldnn.flags(enabled=False):
        assert not _by_onednn(x, weight)


def test_forward_mode_and_functional_transforms():
    torch.manual_seed(0)
    x, weight, bias = (t.detach() for t in operands(3, 4))
    for ours, theirs in zip(
        torch.func.jvp(lambda x: linear(x, weight, bias), (x,), (x,)),
        torch.func.jvp(lambda x: F.linear(x, weight, bias), (x,), (x,)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)
    rows = torch.func.vmap(lambda row: linear(row, weight, bias))(x)
    torch.testing.assert_close(rows, F.linear(x, weight, bias))
    with torch.autograd.forward_ad.dual_level():
        dual = linear(torch.autograd.forward_ad.make_dual(x, x), weight, bias)
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, F.linear(x, weight))
    compiled = torch.compile(lambda x: linear(activate(x, GELU), weight, bias), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), F.linear(GELU(x), weight, bias))


@needs_onednn
def test_checkpointing_and_saved_tensor_hooks_see_what_is_kept():
    x, weight, _ = operands(50, 4)

    def block(x):
        return linear(activate(x @ weight.mT, GELU), weight.mT)

    plain = torch.autograd.grad(block(x).sum(), (x, weight))
    again = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(again.sum(), (x, weight)), plain)
    with torch.autograd.graph.save_on_cpu():
        out = block(x)
    torch.testing.assert_close(torch.autograd.grad(out.sum(), (x, weight)), plain)


@needs_onednn
@pytest.mark.parametrize("activated", [False, True])
def test_both_products_give_the_same_numbers_and_gradients(activated):
    torch.manual_seed(0)
    x, weight, bias = operands(_GRADIENT_ROWS + 3, 5)
    found = []
    for backend in ("onednn", "torch"):
        with use_product_backend(backend):
            out = linear(activate(x, GELU) if activated else x, weight, bias)
            found.append((out, *torch.autograd.grad(out.sum(), (x, weight, bias))))
    torch.testing.assert_close(*found, atol=1e-3, rtol=1e-4)  # sums of a thousand


@needs_onednn
def test_the_chosen_product_is_the_one_that_runs(monkeypatch):
    onednn_calls = []
    module = import_module("nysformer.ops.linear")  # the name in the package is the function's
    original = module.onednn_linear
    monkeypatch.setattr(module, "onednn_linear", lambda *args: onednn_calls.append(1) or original(*args))
    x, weight, bias = operands(3, 4)
    with use_product_backend("torch"):
        linear(x, weight, bias).sum().backward()
    assert onednn_calls == []
    with use_product_backend("onednn"):
        linear(x, weight, bias).sum().backward()
    assert len(onednn_calls) == 3  # the product and both gradients


@needs_onednn
def test_the_torch_product_is_bit_for_bit_torch_s():
    x, weight, bias = operands(70, 40, outputs=30)
    with use_product_backend("torch"), torch.no_grad():
        assert torch.equal(linear(x, weight, bias), F.linear(x, weight, bias))


@needs_onednn
def test_an_activation_is_made_again_with_the_torch_product_too():
    x, weight, _ = operands(10, 4)
    with use_product_backend("torch"):
        widened = activate(x * 2, GELU)
        gone = weakref.ref(widened)
        out = linear(widened, weight)
        del widened
        gc.collect()
        assert gone() is None
        found = torch.autograd.grad(out.sum(), (x, weight))
    torch.testing.assert_close(found, torch.autograd.grad(F.linear(GELU(x * 2), weight).sum(), (x, weight)))
