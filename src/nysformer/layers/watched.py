"""Detects hooks: on one module's call, and on any module of a block, which then may not be run in pieces."""

from torch import nn
from torch.nn.modules import module as torch_module

__all__ = ["is_hooked", "is_watched"]


def is_hooked(module: nn.Module) -> bool:
    """Whether calling the module does more than its class's forward.

    It does with a hook of its own or a global one, with a forward put in place of the class's, as offloading does, with
    a compiled call (`torch.nn.Module.compile`), and with another `torch.nn.Module.__call__`, as tracers set it.
    """
    return _has_own_hooks(module) or _has_global_hooks()


def is_watched(*blocks: nn.Module) -> bool:
    """Whether any module of these blocks is hooked.

    A hook that reads activations wants them whole, and one that fetches weights should not run per block of rows.
    """
    return _has_global_hooks() or any(_has_own_hooks(module) for block in blocks for module in block.modules())


def _has_own_hooks(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in module.__dict__
        or module._compiled_call_impl is not None
    )


def _has_global_hooks() -> bool:
    return bool(
        torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
        or nn.Module.__call__ is not nn.Module._wrapped_call_impl
    )
