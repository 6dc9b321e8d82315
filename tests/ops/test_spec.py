"""The parameters of landmark attention as one value."""

import dataclasses
import pickle
from typing import Any

import pytest
import torch

from nysformer import NysformerError
from nysformer.ops import NystromSpec, nystrom_attention


@pytest.mark.parametrize(("landmarks", "exact"), [(8, 0), (8, 5), (8, 8), (8, 50)])
def test_which_documents_are_exact(landmarks: int, exact: int) -> None:
    spec = NystromSpec(num_landmarks=landmarks, softmax_max_length=exact)
    longest = max(landmarks, exact)
    assert spec.exact_length == longest
    assert spec.is_exact(longest)
    assert not spec.is_exact(longest + 1)
    assert spec.is_exact(longest, 1000)
    assert spec.is_exact(1000, longest)
    assert not spec.is_exact(1000, longest + 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_landmarks": 0}, "num_landmarks is 0"),
        ({"pinv_iterations": 13}, "choose 1 to 12"),
        ({"landmarks": "means"}, "choose 'segments' or 'clusters'"),
        ({"landmark_steps": 0}, "choose 1 to 16"),
        ({"landmark_steps": 17}, "choose 1 to 16"),
    ],
)
def test_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NysformerError, match=message):
        NystromSpec(**{"num_landmarks": 4, **options})


def test_a_value() -> None:
    spec = NystromSpec(num_landmarks=4, scale=0.5)
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert len({spec, NystromSpec(num_landmarks=4, scale=0.5)}) == 1
    assert spec.scale_for(16) == 0.5
    assert NystromSpec(num_landmarks=4).scale_for(16) == 0.25
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.num_landmarks = 5  # type: ignore[misc]


def test_made_inside_a_compiled_function() -> None:
    torch.compiler.reset()

    def attend(x: torch.Tensor) -> torch.Tensor:
        return nystrom_attention(x, x, x, num_landmarks=4)

    x = torch.randn(1, 2, 30, 8)
    compiled = torch.compile(attend, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), attend(x))
