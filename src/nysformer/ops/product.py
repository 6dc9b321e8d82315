"""Which library multiplies float32 matrices on this CPU: PyTorch's own (MKL in most builds), or oneDNN.

Neither is the faster one on every processor, so the choice is measured, once per process, when the first product
needs it. It applies to the whole process, all threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
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

# Times as fast the other form must be, in so many measurements running, to replace the usual one. Smaller differences
# matter less than that two processes on one machine choose the same, since the forms round differently.
_CLEARLY = 1.1
_TIMES = 3
# The products that are timed: (rows, in) by (in, out), as in a base-size layer; a few milliseconds each.
_ROWS, _IN, _OUT = 512, 768, 768
_ROUNDS = 5
_SECONDS = 0.04  # no further round after this long

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
    takes about a tenth of a second. "onednn" is chosen unless "torch" is clearly faster, by a tenth.

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
        replaced = _is_clearly_faster(lambda: F.linear(x, weight, bias), lambda: onednn_linear(x, weight, bias))
    return "torch" if replaced else "onednn"


def _measure_packed(plain: ProductBackend) -> bool:
    product = onednn_linear if plain == "onednn" else F.linear
    with _undisturbed():
        x, weight, bias = _operands()
        packed = pack(weight)
        return not _is_clearly_faster(lambda: product(x, weight, bias), lambda: onednn_linear(x, packed, bias))


def _is_clearly_faster(other: Callable[[], Tensor], usual: Callable[[], Tensor]) -> bool:
    """Whether `other` should replace `usual`. One measurement is enough to keep it, a busy moment not to replace it."""
    return all(_ratio(other, usual) >= _CLEARLY for _ in range(_TIMES))


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


def _ratio(other: Callable[[], Tensor], usual: Callable[[], Tensor]) -> float:
    """How many times as fast `other` is, by the least times of some rounds in which the two take turns."""
    tasks, clock = (other, usual), _clock()
    taken = [float("inf"), float("inf")]
    for task in tasks:
        task()
    started = time.perf_counter()
    for _ in range(_ROUNDS):
        for place, task in enumerate(tasks):
            before = clock()
            task()
            taken[place] = min(taken[place], clock() - before)
        if time.perf_counter() - started > _SECONDS:
            break
    return taken[1] / taken[0]


def _clock() -> Callable[[], float]:
    """This thread's processor time where that is precise, since it stands still while another program has the core."""
    if hasattr(time, "thread_time") and time.get_clock_info("thread_time").resolution <= 1e-5:
        return time.thread_time
    return time.perf_counter
