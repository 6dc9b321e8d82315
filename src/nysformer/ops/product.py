"""Which library multiplies float32 matrices on this CPU: PyTorch's own (MKL in most builds), or oneDNN.

Neither is the faster one on every processor, so the choice is measured, once per process, when the first product
needs it. It applies to the whole process, all threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nysformer.errors import NysformerError

__all__ = [
    "ProductBackend",
    "can_pack",
    "pays_to_pack",
    "product_backend",
    "set_product_backend",
    "use_product_backend",
]

ProductBackend = Literal["onednn", "torch"]

# oneDNN has to be so many times as fast to replace PyTorch's own product: less gains nothing and may be noise.
_CLEARLY = 1.05
# Packed weights may be so many times as slow and stay: keys and values are then one product, activations run inside.
_LOSES = 1.1
# The products that are timed: (rows, in) by (in, out), as in a base-size layer; a few milliseconds each.
_ROWS, _IN, _OUT = 512, 768, 768
_ROUNDS = 5
_SECONDS = 0.05  # no further round after this long

_set: ProductBackend | None = None  # None: measured
_faster: ProductBackend | None = None  # what the measurement chose, once it ran
_packed_pays: bool | None = None
_lock = threading.RLock()


def can_pack(dtype: torch.dtype) -> bool:
    """Whether this PyTorch has oneDNN's linear layer for that dtype on this processor."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32


def product_backend() -> ProductBackend:
    """The library that `nysformer.ops.linear` uses for float32 on a CPU, in this process.

    The first call measures, with as many threads as PyTorch then uses, unless `set_product_backend` has named one. It
    takes less than a tenth of a second on most machines. "onednn" is chosen if it is at least 1.05 times as fast.

    Returns:
        "onednn", or "torch" for `torch.nn.functional.linear`, which is MKL in most builds of PyTorch. Always "torch"
        where this PyTorch has no oneDNN, and while it is switched off (`torch.backends.mkldnn.flags`).

    Example:
        >>> product_backend() in ("onednn", "torch")
        True
    """
    global _faster
    if not torch.backends.mkldnn.enabled:
        return "torch"
    if _set is not None:
        return _set
    if _faster is None:
        with _lock:  # the other threads wait: their work would disturb the measurement
            if _faster is None:
                _faster = _measure_plain()
    return _faster


def set_product_backend(name: ProductBackend | Literal["auto"]) -> None:
    """Fix the choice for the rest of the process, all threads included.

    The two differ in rounding, so a number that must come out the same in two processes needs the same backend in
    both. The form that `nysformer.optimize` gives a float32 model follows: packed for "onednn", plain for "torch".

    Args:
        name: "onednn", "torch", or "auto" to go by the measurement again.

    Raises:
        NysformerError: another name, or "onednn" where this PyTorch does not have it.

    Example:
        >>> with use_product_backend("auto"):  # what was set before comes back
        ...     set_product_backend("torch")
        ...     product_backend()
        'torch'
    """
    global _set
    if name not in ("onednn", "torch", "auto"):
        raise NysformerError(f"product backend {name!r}: choose 'onednn', 'torch' or 'auto'")
    if name == "onednn" and not can_pack(torch.float32):
        raise NysformerError("product backend 'onednn': this PyTorch has no oneDNN products; choose 'torch' or 'auto'")
    _set = None if name == "auto" else name


@contextmanager
def use_product_backend(name: ProductBackend | Literal["auto"]) -> Iterator[None]:
    """`set_product_backend` for the length of a `with` block; the choice before it comes back afterwards.

    Args:
        name: as for `set_product_backend`.

    Raises:
        NysformerError: as `set_product_backend` does.

    Example:
        >>> with use_product_backend("torch"):
        ...     product_backend()
        'torch'
    """
    global _set
    before = _set
    set_product_backend(name)
    try:
        yield
    finally:
        _set = before


def pays_to_pack(dtype: torch.dtype) -> bool:
    """Whether weights of that dtype should be packed for inference.

    bfloat16 always, where oneDNN has it. float32 unless the plain product is clearly faster on this processor, which
    is measured once per process, or unless "torch" was set as the backend.

    Example:
        >>> pays_to_pack(torch.float64)
        False
    """
    global _packed_pays
    if not can_pack(dtype):
        return False
    if dtype != torch.float32:
        return True
    if _set is not None:
        return _set == "onednn"
    if _packed_pays is None:
        plain = product_backend()
        with _lock:
            if _packed_pays is None:
                _packed_pays = _measure_packed(plain)
    return _packed_pays


def onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b by oneDNN, no gradients: (..., I), (O, I) as it is or packed by `pack`, (O,) to (..., O)."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def pack(weight: Tensor) -> Tensor:
    """A weight (O, I) in the memory order that oneDNN's product reads fastest."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())


def _measure_plain() -> ProductBackend:
    if not can_pack(torch.float32):
        return "torch"
    with _undisturbed():
        x, weight, bias = _operands()
        seconds = _least_times(
            {"torch": lambda: F.linear(x, weight, bias), "onednn": lambda: onednn_linear(x, weight, bias)}
        )
    return "onednn" if seconds["onednn"] * _CLEARLY <= seconds["torch"] else "torch"


def _measure_packed(plain: ProductBackend) -> bool:
    product = onednn_linear if plain == "onednn" else F.linear
    with _undisturbed():
        x, weight, bias = _operands()
        packed = pack(weight)
        seconds = _least_times(
            {"plain": lambda: product(x, weight, bias), "packed": lambda: onednn_linear(x, packed, bias)}
        )
    return seconds["packed"] < seconds["plain"] * _LOSES


@contextmanager
def _undisturbed() -> Iterator[None]:
    """No gradients, autocast or function modes: the measured products concern nobody but the measurement."""
    with torch.no_grad(), torch.autocast("cpu", enabled=False), torch._C.DisableTorchFunction():
        yield


def _operands() -> tuple[Tensor, Tensor, Tensor]:
    # Constants: a generator would move the caller's random state, and the time does not depend on the values.
    sizes = ((_ROWS, _IN), (_OUT, _IN), (_OUT,))
    x, weight, bias = (torch.full(size, 0.5, dtype=torch.float32, device="cpu") for size in sizes)
    return x, weight, bias


def _least_times(tasks: Mapping[str, Callable[[], Tensor]]) -> dict[str, float]:
    """Seconds per call, the least of some rounds in which the tasks take turns."""
    for task in tasks.values():
        task()
    taken: dict[str, float] = dict.fromkeys(tasks, float("inf"))
    started = time.perf_counter()
    for _ in range(_ROUNDS):
        for name, task in tasks.items():
            before = time.perf_counter()
            task()
            taken[name] = min(taken[name], time.perf_counter() - before)
        if time.perf_counter() - started > _SECONDS:
            break
    return taken
