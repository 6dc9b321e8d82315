"""Whether somebody looks between the modules of a block."""

from torch import nn

__all__ = ["is_watched"]


def is_watched(*blocks: nn.Module) -> bool:
    """Whether a hook hangs on any module of these, or a forward was put in place of its own, as offloading does.

    Whoever looks at activations wants them whole, and whoever fetches weights does not want to for every block of rows.
    """
    return any(
        module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
        for block in blocks
        for module in block.modules()
    )
