import pytest
import torch

from nysformer.errors import NysformerError
from nysformer.runtime.precision import usable_device


@pytest.mark.parametrize("name", ["cpu", "CPU", "Cpu", "cpu:0", torch.device("cpu")])
def test_a_processor_by_any_name(name: str | torch.device) -> None:
    assert usable_device(name).type == "cpu"


def test_the_first_device_there_is() -> None:
    assert usable_device(None).type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize(
    "name",
    ["", " cpu", "gpu", "meta", "cuda:99", "cuda:-1", "cuda:x", "hpu", "xla", "mkldnn", "abacus", 0, True, 1.5, b"cpu"],
)
def test_anything_else_is_one_line(name: object) -> None:
    with pytest.raises(NysformerError, match=r"^device .* cannot be used \(") as caught:
        usable_device(name)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250
