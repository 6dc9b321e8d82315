"""Every form of a product is timed at every shape, forward and both gradients, and the choice is written down."""

import numpy as np
import pytest
import torch

from benchmarks import products
from benchmarks.candidates import Size
from nysformer.errors import NysformerError
from nysformer.ops import can_pack, pays_to_pack, product_backend


def test_rows(size: Size) -> None:
    record = products.measure_products(lengths=(8, 16), rounds=1, size=size)
    shapes = {(row["rows"], row["in"], row["out"]) for row in record.rows}
    assert shapes == {(n, *shape) for n in (8, 16) for shape in ((32, 32), (32, 96), (96, 32))}
    forms = {row["form"] for row in record.rows if row["pass"] == "forward"}
    assert {"torch float32", "numpy float32", "torch bfloat16"} <= forms
    assert ("oneDNN float32" in forms) == ("oneDNN, packed float32" in forms) == can_pack(torch.float32)
    for row in record.rows:
        expected = 2 * row["rows"] * row["in"] * row["out"] / row["wall_s"] / 1e12
        assert row["tflops"] == pytest.approx(expected)
    assert {row["faster_than_torch_float32"] for row in record.rows if row["form"] == "torch float32"} == {1.0}
    assert record.notes["chosen"] == {
        "float32": product_backend(),
        "packed_float32_for_inference": pays_to_pack(torch.float32),
    }
    assert "unknown" not in record.notes["numpy"]


@pytest.mark.parametrize("name", products._PASSES)
def test_all_forms_give_the_same_numbers(name: str) -> None:
    found = {}
    for form, task in products._tasks(name, 12, 8, 6).items():
        result = task()
        result = result[0] if isinstance(result, tuple) else result
        found[form] = result if isinstance(result, np.ndarray) else result.detach().float().numpy()
    expected = found["torch float32"]
    for form, result in found.items():
        np.testing.assert_allclose(result, expected, atol=0.1 if "bfloat16" in form else 1e-5, err_msg=form)


@pytest.mark.parametrize("lengths", [(), (0,), (512, -1)])
def test_lengths_below_one_are_refused(lengths: tuple[int, ...]) -> None:
    with pytest.raises(NysformerError, match="rows above 0"):
        products.measure_products(lengths=lengths)
