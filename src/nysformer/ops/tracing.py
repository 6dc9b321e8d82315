"""Detects programs that are recorded or transformed rather than run, where nothing may depend on the data."""

from typing import NoReturn

import torch
from torch.autograd import forward_ad

from nysformer.errors import NysformerError

__all__ = ["check_traceable", "is_differentiated_forward", "is_recorded", "is_transformed", "refuse_script"]

_MODES = torch._C._TorchDispatchModeKey


def is_recorded() -> bool:
    """Whether operations are recorded or transformed: no value may then be read, and no shape may depend on one.

    True under `torch.compile`, `torch.export`, `torch.jit.trace`, `make_fx`, a `FakeTensorMode`, and the transforms of
    `torch.func` (vmap, grad, vjp, jvp and what is made of them).

    Example:
        >>> is_recorded()
        False
        >>> torch.func.vmap(lambda x: x + is_recorded())(torch.zeros(2))
        tensor([1., 1.])
    """
    # The compiler is asked first: it knows none of the other questions.
    return (
        torch.compiler.is_compiling()
        or torch._C._is_tracing()
        or torch._C._are_functorch_transforms_active()
        or torch._C._get_dispatch_mode(_MODES.PROXY) is not None
        or torch._C._get_dispatch_mode(_MODES.FAKE) is not None
    )


def is_differentiated_forward() -> bool:
    """Whether forward-mode differentiation is on: `torch.func.jvp`, or a level of `torch.autograd.forward_ad`."""
    return not torch.compiler.is_compiling() and forward_ad._current_level >= 0


def is_transformed() -> bool:
    """Whether a transform of `torch.func` is on, or forward-mode differentiation: fused kernels lack rules for some."""
    return not torch.compiler.is_compiling() and (
        torch._C._are_functorch_transforms_active() or is_differentiated_forward()
    )


def check_traceable() -> None:
    """Refuse `torch.jit.trace`, whose program is silently wrong for every length and mask but the ones it was shown.

    Raises:
        NysformerError: it is running; the old ONNX exporter uses it too.
    """
    if not torch.compiler.is_compiling() and torch._C._is_tracing():
        raise NysformerError(
            "torch.jit.trace bakes lengths in, and so does torch.onnx.export with dynamo=False: use torch.export, "
            "torch.onnx.export with dynamo=True, or `nysformer export`"
        )


def refuse_script() -> NoReturn:
    """Refuse `torch.jit.script`, for a module's `__prepare_scriptable__`.

    Raises:
        NysformerError: always.
    """
    raise NysformerError(
        "torch.jit.script cannot compile this module: use torch.compile, torch.export, or `nysformer export`"
    )
