"""The linear module is torch's in all but its products."""

import torch
from torch import nn

from nysformer.layers import Linear


def test_is_a_torch_linear_with_its_state_and_numbers():
    torch.manual_seed(0)
    ours, theirs = Linear(5, 3), nn.Linear(5, 3)
    assert isinstance(ours, nn.Linear)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 7, 5)
    torch.testing.assert_close(ours(x), theirs(x))
