"""The kernels: torch's initial numbers, and the dtype of what they convolve."""

import torch
from torch import nn

from nysformer.layers import HeadKernels


def test_starts_as_torch_s_convolution() -> None:
    torch.manual_seed(0)
    theirs = nn.Conv2d(4, 4, (5, 1), groups=4, bias=False)
    torch.manual_seed(0)
    ours = HeadKernels(4, 5)
    assert torch.equal(ours.weight, theirs.weight)
    ours.load_state_dict(theirs.state_dict())
    assert "4 heads, kernel_size=5" in repr(ours)


def test_is_called_for_its_weight() -> None:
    kernels = HeadKernels(4, 5)
    assert torch.equal(kernels(torch.ones(1)), kernels.weight)
    assert kernels(torch.ones(1, dtype=torch.bfloat16)).dtype == torch.bfloat16
    kernels.register_forward_hook(lambda *_: torch.zeros(4, 1, 5, 1))
    assert not kernels(torch.ones(1)).any()
