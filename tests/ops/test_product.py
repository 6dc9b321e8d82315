"""The choice of product: measured once, settable, without a trace in the caller's state. No test looks at a clock."""

import threading
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from nysformer.errors import NysformerError
from nysformer.ops import (
    can_pack,
    linear,
    pays_to_pack,
    product,
    product_backend,
    set_product_backend,
    use_product_backend,
)

needs_onednn = pytest.mark.skipif(not can_pack(torch.float32), reason="this PyTorch has no oneDNN products")


@pytest.fixture
def unmeasured(monkeypatch):
    """As in a fresh process: nothing set, nothing measured."""
    for name in ("_set", "_faster", "_packed_pays"):
        monkeypatch.setattr(product, name, None)


def answer(monkeypatch, *ratios):
    """Let the timer find the other form so many times as fast; the list that is returned grows when it is asked."""
    left, asked = list(ratios), []

    def ratio(other, usual):
        asked.append((other, usual))
        return left.pop(0)

    monkeypatch.setattr(product, "_ratio", ratio)
    return asked


@needs_onednn
@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([0.5], "onednn"),
        ([1.0], "onednn"),
        ([1.09], "onednn"),
        ([1.1, 1.1, 1.1], "torch"),
        ([3.0, 2.0, 4.0], "torch"),
        ([3.0, 1.0], "onednn"),  # a busy moment
        ([3.0, 3.0, 1.0], "onednn"),
    ],
)
def test_torch_only_where_it_is_clearly_faster_each_time(unmeasured, monkeypatch, ratios, expected):
    asked = answer(monkeypatch, *ratios)
    assert product_backend() == expected
    assert product_backend() == expected
    assert len(asked) == len(ratios)  # once per process


@needs_onednn
@pytest.mark.parametrize(
    ("ratios", "expected"), [([0.5], True), ([1.0], True), ([1.09], True), ([1.2] * 3, False), ([1.2, 0.9], True)]
)
def test_float32_is_packed_unless_the_plain_product_is_clearly_faster(unmeasured, monkeypatch, ratios, expected):
    asked = answer(monkeypatch, 1.0, *ratios)
    assert pays_to_pack(torch.float32) is pays_to_pack(torch.float32) is expected
    assert len(asked) == 1 + len(ratios)


@needs_onednn
def test_the_forms_that_are_compared_give_the_same_numbers(unmeasured, monkeypatch):
    for plain in ("onednn", "torch"):
        monkeypatch.setattr(product, "_faster", None if plain == "onednn" else plain)
        monkeypatch.setattr(product, "_packed_pays", None)
        asked = answer(monkeypatch, *[0.5] * 2)
        product_backend()
        pays_to_pack(torch.float32)
        for other, usual in asked:
            torch.testing.assert_close(other(), usual())


@needs_onednn
def test_what_is_set_is_not_measured(unmeasured, monkeypatch):
    asked = answer(monkeypatch)
    for name in ("onednn", "torch"):
        with use_product_backend(name):
            assert product_backend() == name
            assert pays_to_pack(torch.float32) is (name == "onednn")
            linear(torch.ones(2, 3), torch.ones(4, 3))
    assert asked == []


@needs_onednn
def test_the_first_product_measures_and_the_next_do_not(unmeasured, monkeypatch):
    asked = answer(monkeypatch, 0.5)
    for _ in range(3):
        linear(torch.ones(2, 3), torch.ones(4, 3))
    assert len(asked) == 1


def test_nothing_is_measured_where_no_choice_is_to_be_made(unmeasured, monkeypatch):
    asked = answer(monkeypatch)
    linear(torch.ones(2, 3, dtype=torch.float64), torch.ones(4, 3, dtype=torch.float64))
    linear(torch.ones(2, 3, device="meta"), torch.ones(4, 3, device="meta"))
    compiled = torch.compile(lambda x: linear(x, torch.ones(4, 3)), backend="eager", fullgraph=True)
    compiled(torch.ones(2, 3))
    with torch.autocast("cpu", torch.bfloat16):
        linear(torch.ones(2, 3), torch.ones(4, 3))
    assert pays_to_pack(torch.float64) is False
    assert asked == []


def test_without_onednn_it_is_torch(unmeasured, monkeypatch):
    monkeypatch.setattr(product, "can_pack", lambda dtype: False)
    asked = answer(monkeypatch)
    assert product_backend() == "torch"
    assert not pays_to_pack(torch.float32)
    assert asked == []
    with pytest.raises(NysformerError, match="no oneDNN products"):
        set_product_backend("onednn")


@needs_onednn
@pytest.mark.filterwarnings("ignore:TF32 acceleration")
def test_onednn_switched_off_is_torch(unmeasured, monkeypatch):
    asked = answer(monkeypatch, 0.5)
    with torch.backends.mkldnn.flags(enabled=False):
        assert product_backend() == "torch"
    assert asked == []
    assert product_backend() == "onednn"  # the switch is not remembered


@pytest.mark.parametrize("name", ["mkl", "", "OneDNN", None, 1])
def test_an_unknown_backend_is_refused(name):
    before = product_backend()
    with pytest.raises(NysformerError, match="choose 'onednn', 'torch' or 'auto'"):
        set_product_backend(name)
    with pytest.raises(NysformerError), use_product_backend(name):
        pass
    assert product_backend() == before


@needs_onednn
def test_a_block_restores_what_was_set_even_after_an_error():
    with use_product_backend("torch"):
        with pytest.raises(KeyError), use_product_backend("onednn"):
            raise KeyError("inside")
        assert product_backend() == "torch"
        with use_product_backend("onednn"):
            set_product_backend("torch")
        assert product_backend() == "torch"


@needs_onednn
def test_eight_threads_measure_once(unmeasured, monkeypatch):
    asked = []
    together = threading.Barrier(8)

    def ratio(other, usual):
        asked.append(threading.get_ident())
        threading.Event().wait(0.05)  # time enough for the others to arrive
        return 0.5

    monkeypatch.setattr(product, "_ratio", ratio)
    found = []

    def ask():
        together.wait()
        found.append(product_backend())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    assert found == ["onednn"] * 8


@needs_onednn
def test_a_measurement_leaves_no_trace(unmeasured):
    """The real one, whatever it finds: random state, gradients, inference mode and function modes are untouched."""
    seen = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            seen.append(function)
            return function(*args, **(kwargs or {}))

    random = torch.get_rng_state()
    x, weight = torch.ones(2, 3, requires_grad=True), torch.ones(4, 3)
    with Watch():
        assert product_backend() in ("onednn", "torch")
        assert pays_to_pack(torch.float32) in (True, False)
    assert [function for function in seen if function in (F.linear, torch.full)] == []
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
    product._faster = None
    linear(x, weight).sum().backward()
    assert torch.equal(x.grad, torch.full((2, 3), 4.0))
    product._faster = None
    with torch.inference_mode():
        assert torch.equal(linear(x, weight), torch.full((2, 4), 3.0))
        assert torch.is_inference_mode_enabled()


def test_the_least_time_of_each_counts(monkeypatch):
    clock = iter([0.0, 5.0, 5.0, 6.0, 10.0, 12.0, 12.0, 16.0])  # 5 and 1 s; then 2 and 4 s
    rounds = iter([0.0, 0.001, 100.0])
    monkeypatch.setattr(product, "_clock", lambda: lambda: next(clock))
    monkeypatch.setattr(product.time, "perf_counter", lambda: next(rounds))
    called = []
    assert product._ratio(lambda: called.append("a"), lambda: called.append("b")) == 1.0 / 2.0
    assert "".join(called) == "ab" * 3  # once to warm up; no third round, for time


def test_a_coarse_clock_is_not_used(monkeypatch):
    assert product._clock() in (product.time.thread_time, product.time.perf_counter)
    coarse = SimpleNamespace(resolution=0.015625)
    monkeypatch.setattr(product.time, "get_clock_info", lambda name: coarse)
    assert product._clock() is product.time.perf_counter
