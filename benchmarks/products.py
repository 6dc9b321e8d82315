"""How fast this machine multiplies, by library: what a layer's products cost, and why one of them was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]
from torch import Tensor

from benchmarks.candidates import BASE, Size
from benchmarks.record import Record, show_table
from benchmarks.timing import Task, time_interleaved
from nysformer.errors import NysformerError
from nysformer.layers.fused import PackedLinear
from nysformer.ops import ProductBackend, can_pack, linear, pays_to_pack, product_backend, use_product_backend

__all__ = ["measure_products"]

_TORCH, _ONEDNN, _PACKED, _NUMPY = "torch float32", "oneDNN float32", "oneDNN, packed float32", "numpy float32"
_TORCH_HALF, _PACKED_HALF = "torch bfloat16", "oneDNN, packed bfloat16"
_PASSES = ("forward", "gradient of input", "gradient of weight")
# Calls of one turn take at least this many rows together.
_ROWS_A_TURN = 4096


def measure_products(lengths: Sequence[int] = (512, 4096), rounds: int = 4, size: Size = BASE) -> Record:
    """Time every form of x W^T + b and of its two gradients, at the shapes of a layer.

    Args:
        lengths: rows of x.
        rounds: turns of a form.
        size: its hidden and intermediate sizes give the shapes.

    Raises:
        NysformerError: a length below 1.
    """
    lengths = sorted(set(lengths))
    if not lengths or lengths[0] < 1:
        raise NysformerError(f"products: lengths {lengths}: give numbers of rows above 0")
    shapes = [
        (size.hidden, size.hidden),
        (size.hidden, size.intermediate),
        (size.intermediate, size.hidden),
    ]
    rows: list[dict[str, Any]] = []
    for length in lengths:
        for inside, outside in shapes:
            for name in _PASSES:
                rows += _measure(name, length, inside, outside, rounds)
    chosen = {"float32": product_backend(), "packed_float32_for_inference": pays_to_pack(torch.float32)}
    show_table(f"Products; chosen here: {'oneDNN' if chosen['float32'] == 'onednn' else 'torch'} for float32", rows)
    notes = {
        "chosen": chosen,
        "torch": "torch.nn.functional.linear and, for the gradient of a weight, products over blocks of rows",
        "oneDNN": "mkldnn._linear_pointwise with the weight as it is; packed: with the weight reordered beforehand",
        "numpy": _blas_of_numpy(),
        "rounds": rounds,
    }
    return Record("products", "python -m benchmarks products", rows, notes)


def _measure(name: str, length: int, inside: int, outside: int, rounds: int) -> list[dict[str, Any]]:
    timings = time_interleaved(
        _tasks(name, length, inside, outside),
        rounds=rounds,
        calls=max(1, _ROWS_A_TURN // length),
        title=f"products, {name}, {length:,} x {inside:,} to {outside:,}",
    )
    return [
        {
            "rows": length,
            "in": inside,
            "out": outside,
            "pass": name,
            "form": form,
            "wall_s": timing.wall,
            "tflops": 2 * length * inside * outside / timing.wall / 1e12,
            "faster_than_torch_float32": timings[_TORCH].wall / timing.wall,
        }
        for form, timing in timings.items()
    ]


def _tasks(name: str, length: int, inside: int, outside: int) -> dict[str, Task]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(length, inside, generator=generator)
    weight = torch.randn(outside, inside, generator=generator) / inside**0.5
    bias = torch.zeros(outside)
    backends: dict[str, ProductBackend] = {_TORCH: "torch"}
    if can_pack(torch.float32):
        backends[_ONEDNN] = "onednn"
    half = [tensor.bfloat16() for tensor in (x, weight, bias)]
    tasks: dict[str, Task] = {}
    for form, backend in backends.items():
        tasks[form] = _with_backend(backend, _product(name, x, weight, bias))
    if name == "forward":
        for form, operands in ((_PACKED, (x, weight, bias)), (_PACKED_HALF, half)):
            if can_pack(operands[0].dtype):
                tasks[form] = _without_gradients(partial(PackedLinear(*operands[1:]), operands[0]))
    tasks[_NUMPY] = _by_numpy(name, x.numpy(), weight.numpy(), bias.numpy())
    tasks[_TORCH_HALF] = _product(name, *half)
    return tasks


def _product(name: str, x: Tensor, weight: Tensor, bias: Tensor) -> Task:
    """A pass through `nysformer.ops.linear`: the product, or one gradient, its graph made beforehand."""
    if name == "forward":
        return _without_gradients(partial(linear, x, weight, bias))
    wanted = (x if name == "gradient of input" else weight).detach().requires_grad_()
    out = linear(wanted, weight, bias) if name == "gradient of input" else linear(x, wanted, bias)
    cotangent = torch.ones_like(out)
    return lambda: torch.autograd.grad(out, wanted, cotangent, retain_graph=True)


def _by_numpy(name: str, x: Any, weight: Any, bias: Any) -> Task:
    controller, threads = ThreadpoolController(), torch.get_num_threads()
    cotangent = np.ones((len(x), len(weight)), dtype=x.dtype)
    calls: dict[str, Task] = {
        "forward": lambda: x @ weight.T + bias,
        "gradient of input": lambda: cotangent @ weight,
        "gradient of weight": lambda: cotangent.T @ x,
    }

    def call() -> object:
        with controller.limit(limits=threads, user_api="blas"):
            return calls[name]()

    return call


def _with_backend(backend: ProductBackend, task: Task) -> Task:
    def call() -> object:
        with use_product_backend(backend):
            return task()

    return call


def _without_gradients(task: Callable[[], Tensor]) -> Task:
    return torch.inference_mode()(task)


def _blas_of_numpy() -> str:
    """The name and version of the library that numpy multiplies with."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
