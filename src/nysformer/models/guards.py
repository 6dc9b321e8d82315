"""What every model refuses: weights that are not finite, and calls that a copy out of `optimize` cannot answer.

An optimized copy keeps its dense weights packed, outside its parameters. Whatever reads or changes parameters would
pass them over silently, so each such call is refused in one line that names the model to use instead.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from nysformer.errors import NysformerError
from nysformer.layers.fused import is_unchanged_by
from nysformer.models.finite import check_finite_model
from nysformer.models.no_convolution import (
    MARK,
    drop_zero_convolution,
    expects_zeros,
    with_zeros,
    without_zeros,
)
from nysformer.models.settings import read_json

__all__ = ["GuardedModel"]

Model = TypeVar("Model", bound="GuardedModel")


class GuardedModel(PreTrainedModel):
    """A transformers model with these checks.

    Attributes:
        is_optimized: whether the model came out of `optimize`.
    """

    is_optimized = False
    _is_compiled = False  # by `optimize`; a copy or an unpickled model is then compiled again

    def __init__(self, config: PreTrainedConfig, *args: Any, **kwargs: Any) -> None:
        if hasattr(config, "check"):  # what is no configuration at all is transformers' to refuse
            config.check()
        super().__init__(config, *args, **kwargs)

    @classmethod
    def from_pretrained(
        cls: type[Model],
        pretrained_model_name_or_path: str | os.PathLike[str] | None,
        *args: Any,
        config: Any = None,
        output_loading_info: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Load a model, as transformers does.

        Raises:
            NysformerError: a weight holds NaN or infinity, in the dtype it was loaded in.
        """
        if isinstance(config, PreTrainedConfig):
            has_zeros = expects_zeros(config)
            if has_zeros:
                config = copy.deepcopy(config)
                config.conv_kernel_size = 1
        else:
            has_zeros = kwargs.get("conv_kernel_size") is None and _says_zeros(
                config or pretrained_model_name_or_path, kwargs
            )
            if has_zeros:
                kwargs["conv_kernel_size"] = 1
        model, info = super().from_pretrained(
            pretrained_model_name_or_path, *args, config=config, output_loading_info=True, **kwargs
        )
        if has_zeros:
            model._read_zero_convolution(info)
        check_finite_model(model, model.config.name_or_path or cls.__name__)
        return (model, info) if output_loading_info else model

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        is_main_process: bool = True,
        state_dict: Mapping[str, Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        """Write the model folder, as transformers does.

        A model without convolution is written with kernels of zeros, so that transformers reads the folder.

        Raises:
            NysformerError: the model came out of `optimize`, whose packed weights no folder can hold.
        """
        self._refuse_if_optimized("saved: save")
        if self.config.conv_kernel_size is None:
            head_size = self.config.hidden_size // self.config.num_attention_heads
            state_dict = with_zeros(self.state_dict() if state_dict is None else state_dict, head_size)
        super().save_pretrained(save_directory, is_main_process, state_dict, **kwargs)

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        """As transformers does; refused, before a repository is made, for a model out of `optimize`."""
        self._refuse_if_optimized("pushed: push")
        return super().push_to_hub(*args, **kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """As `torch.nn.Module.state_dict`; refused for a model out of `optimize`: it would lack packed weights."""
        self._refuse_if_optimized("read as a state dict: take that of")
        return super().state_dict(*args, **kwargs)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As `torch.nn.Module.load_state_dict`; refused for a model out of `optimize`."""
        self._refuse_if_optimized("given other weights: load them into")
        if self.config.conv_kernel_size is None:
            state_dict = without_zeros(state_dict)
        return super().load_state_dict(state_dict, *args, **kwargs)

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

    def _read_zero_convolution(self, info: dict[str, Any]) -> None:
        """Take the convolution out again that was built to read kernels of zeros, unless it was trained since."""
        absent = {key for key in info["missing_keys"] if ".attention.self.conv." in key}
        info["missing_keys"] = set(info["missing_keys"]) - absent
        encoder = self.base_model.encoder
        if drop_zero_convolution(encoder.layer, absent=bool(absent)):
            self.config.conv_kernel_size = None
            for layer in encoder.long_layer or ():
                layer.attention.self.conv = None

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


# What `from_pretrained` is told about where to find files.
_PLACE = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")


def _says_zeros(source: str | os.PathLike[str] | None, kwargs: Mapping[str, Any]) -> bool:
    """Whether the configuration file there says that the weights hold kernels of zeros; False where there is none."""
    if source is None:
        return False
    try:
        folder = Path(source)
        if (folder / "adapter_config.json").is_file() and not (folder / "config.json").is_file():
            source = read_json(folder / "adapter_config.json").get("base_model_name_or_path") or source

        values, _ = PreTrainedConfig.get_config_dict(source, **{key: kwargs[key] for key in _PLACE if key in kwargs})
    except (OSError, TypeError, ValueError):  # the loading that follows says what is wrong
        return False
    return values.get(MARK) is True and values.get("conv_kernel_size") == 1
