"""Where and in which precision evaluation and prediction run, and the model in one of those precisions."""

import warnings
from typing import TypeVar

import torch

from nysformer.errors import NysformerError
from nysformer.models import NystromformerPreTrainedModel
from nysformer.runtime.optimize import optimize
from nysformer.runtime.options import PRECISIONS, Precision

__all__ = ["check_precision", "fast_copy", "placed", "usable_device"]

# What torch says beyond this is about its build.
_LONGEST_REASON = 80

Model = TypeVar("Model", bound=NystromformerPreTrainedModel)


def fast_copy(model: Model, precision: Precision) -> Model:
    """A copy for inference on this CPU, see `optimize`; "int8" with bfloat16 around it where the processor has that."""
    return optimize(model, quantize="int8") if precision == "int8" else optimize(model, dtype=precision)


def check_precision(dtype: Precision, device: str | torch.device | None) -> torch.device:
    """The device to run on in that precision, before anything is loaded.

    Raises:
        NysformerError: as `usable_device`; an unknown dtype, or one that the device does not have.
    """
    if dtype not in PRECISIONS:
        raise NysformerError(f"unknown dtype {dtype!r}; choose {', '.join(PRECISIONS)}")
    place = usable_device(device)
    if dtype == "int8" and place.type != "cpu":
        raise NysformerError(f"dtype int8 runs on a CPU only, not on {place}; choose float32 or bfloat16")
    return place


def placed(model: Model, dtype: Precision, device: torch.device) -> Model:
    """A model for inference on a device; on a CPU it goes through `optimize`.

    Args:
        model: on the CPU, in evaluation mode.
        dtype, device: see `check_precision`.

    Raises:
        NysformerError: the model cannot be moved there.
    """
    if device.type == "cpu":
        return fast_copy(model, dtype)
    try:
        return model.to(device, {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype])
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise NysformerError(f"device '{device}' cannot be used ({reason}); choose another") from error


def usable_device(name: str | torch.device | None) -> torch.device:
    """The device of that name, after a tensor was made on it.

    Args:
        name: as torch names it ("cpu", "cuda:1", "mps"), in any case; None: the first GPU, else the CPU.

    Raises:
        NysformerError: no such device, or one that this machine or this PyTorch does not have.

    Example:
        >>> usable_device("CPU")
        device(type='cpu')
    """
    if name is None:
        return _first_device()
    if not isinstance(name, str | torch.device):
        raise NysformerError(f"device {name!r} cannot be used (not a name); choose cpu, cuda, cuda:1 or mps")
    try:
        with warnings.catch_warnings():  # about names that torch no longer uses; they fail below
            warnings.simplefilter("ignore")
            device = torch.device(name.lower() if isinstance(name, str) else name)
    except RuntimeError as error:
        raise NysformerError(
            f"device {name!r} cannot be used (not the name of a device); choose cpu, cuda, cuda:1 or mps"
        ) from error
    cause: Exception | None = None
    try:
        torch.zeros(1, device=device)
        reason = "it computes nothing" if device.type == "meta" else ""
    except (AssertionError, ImportError, RuntimeError, TypeError, ValueError) as error:
        cause, reason = error, next(iter(str(error).splitlines()), "").partition(". ")[0]
        if not 0 < len(reason) <= _LONGEST_REASON:
            reason = "this PyTorch does not support it on this machine"
    if reason:
        raise NysformerError(
            f"device '{name}' cannot be used ({reason}); choose one that this machine has, such as cpu, or leave "
            "device out"
        ) from cause
    return device


def _first_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
