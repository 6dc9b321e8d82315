"""What every model refuses: weights that are not finite, and calls that a copy out of `optimize` cannot answer.

An optimized copy keeps its dense weights packed, outside its parameters. Whatever reads or changes parameters would
pass them over in silence, so each such call is refused in one line that names the model to use instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor, nn
from transformers import PreTrainedModel

from nysformer.errors import NysformerError
from nysformer.layers.fused import is_unchanged_by
from nysformer.models.finite import check_finite_model

__all__ = ["GuardedModel"]

Model = TypeVar("Model", bound="GuardedModel")


class GuardedModel(PreTrainedModel):
    """A transformers model with these checks.

    Attributes:
        is_optimized: whether the model came out of `optimize`.
    """

    is_optimized = False
    _is_compiled = False  # by `optimize`; a copy or an unpickled model is then compiled again

    @classmethod
    def from_pretrained(cls: type[Model], *args: Any, **kwargs: Any) -> Any:
        """Load a model, as transformers does.

        Raises:
            NysformerError: a weight holds NaN or infinity, in the dtype it was loaded in.
        """
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded  # with the loading report, where it is asked for
        check_finite_model(model, model.config.name_or_path or cls.__name__)
        return loaded

    def save_pretrained(self, save_directory: str | os.PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Write the model folder, as transformers does.

        Raises:
            NysformerError: the model came out of `optimize`, whose packed weights no folder can hold.
        """
        self._refuse_if_optimized("saved: save")
        super().save_pretrained(save_directory, *args, **kwargs)

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        """As transformers does; refused, before a repository is made, for a model out of `optimize`."""
        self._refuse_if_optimized("pushed: push")
        return super().push_to_hub(*args, **kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """As `torch.nn.Module.state_dict`; refused for a model out of `optimize`: it would lack packed weights."""
        self._refuse_if_optimized("read as a state dict: take that of")
        return super().state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """As `torch.nn.Module.load_state_dict`; refused for a model out of `optimize`."""
        self._refuse_if_optimized("given other weights: load them into")
        return super().load_state_dict(*args, **kwargs)

    def train(self: Model, mode: bool = True) -> Model:
        """As `torch.nn.Module.train`.

        Raises:
            NysformerError: the model came out of `optimize`, and has neither gradients nor dropout in its layers.
        """
        if mode:
            self._refuse_if_optimized("trained: train")
        return super().train(mode)

    def requires_grad_(self: Model, requires_grad: bool = True) -> Model:
        """As `torch.nn.Module.requires_grad_`; refused for a model out of `optimize`, which has no gradients."""
        if requires_grad:
            self._refuse_if_optimized("trained: train")
        return super().requires_grad_(requires_grad)

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """As transformers does; refused for a model out of `optimize`."""
        self._refuse_if_optimized("resized: resize")
        return super().resize_token_embeddings(*args, **kwargs)

    def add_adapter(self, *args: Any, **kwargs: Any) -> None:
        """As transformers does, by peft; refused for a model out of `optimize`."""
        self._refuse_if_optimized("given an adapter: give it to")
        super().add_adapter(*args, **kwargs)

    def load_adapter(self, *args: Any, **kwargs: Any) -> Any:
        """As transformers does, by peft; refused for a model out of `optimize`."""
        self._refuse_if_optimized("given an adapter: give it to")
        return super().load_adapter(*args, **kwargs)

    def _apply(self: Model, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Model:
        if self.is_optimized and not is_unchanged_by(fn, self.dtype):
            self._refuse_if_optimized("moved or converted: do so with")
        return super()._apply(fn, recurse)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self._is_compiled:
            self.compile(dynamic=True)

    def _become_optimized(self, *, compiled: bool) -> None:
        """Mark this model as `optimize`'s, and every model inside it; compile it where asked."""
        for module in self.modules():
            if isinstance(module, GuardedModel):
                module.is_optimized = True
        if compiled:
            self._is_compiled = True
            self.compile(dynamic=True)

    def _refuse_if_optimized(self, what: str) -> None:
        if self.is_optimized:
            raise NysformerError(f"an optimized model cannot be {what} the model it was made from")
