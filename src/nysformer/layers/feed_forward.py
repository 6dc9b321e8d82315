"""The dense blocks of an encoder layer, under the names of published checkpoints. Shapes: (..., E) hidden size E."""

from collections.abc import Callable

from torch import Tensor, nn

from nysformer.layers.dropout import Dropout
from nysformer.layers.linear import project
from nysformer.ops import activate

__all__ = ["Intermediate", "ResidualOutput"]

Activation = Callable[[Tensor], Tensor]


class Intermediate(nn.Module):
    """Widen and activate: (..., E) to (..., I)."""

    def __init__(self, hidden_size: int, intermediate_size: int, activation: Activation) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, intermediate_size)
        self.activation = activation

    def forward(self, hidden: Tensor) -> Tensor:
        return activate(project(self.dense, hidden), self.activation)


class ResidualOutput(nn.Module):
    """Project, drop out, add the residual, normalise: (..., in_size) and (..., E) to (..., E)."""

    def __init__(self, in_size: int, hidden_size: int, *, layer_norm_eps: float, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(in_size, hidden_size)
        self.LayerNorm = nn.LayerNorm(hidden_size, eps=layer_norm_eps)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(project(self.dense, hidden)) + residual)
