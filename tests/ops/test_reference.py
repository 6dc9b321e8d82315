"""The truth itself, held to the formula by hand and to other people's code where that is right."""

import math
import warnings

import pytest
import torch
from nystrom_attention import NystromAttention
from sklearn.cluster import KMeans
from torch import Tensor
from transformers import NystromformerConfig
from transformers.models.nystromformer.modeling_nystromformer import NystromformerSelfAttention

from nysformer.ops import reference


def test_one_landmark_by_hand() -> None:
    # M = 1: F is all ones, A = [[1]], so Z = 1 at every step, and every output is B V = softmax(q~ K^T) V.
    query = torch.tensor([[1.0], [3.0]]).unsqueeze(1)
    key = torch.tensor([[0.0], [1.0]]).unsqueeze(1)
    value = torch.tensor([[10.0], [20.0]]).unsqueeze(1)
    weight = 1 / (1 + math.exp(-2.0))  # q~ = 2, scores (0, 2)
    expected = 10 * (1 - weight) + 20 * weight
    output = reference.attention(query, key, value, num_landmarks=1, scale=1.0)
    torch.testing.assert_close(output.flatten(), torch.tensor([expected, expected], dtype=torch.float64))


def test_two_landmarks_by_hand() -> None:
    # Queries and keys (0, 0, a, a) with scale 1 and M = 2: landmarks (0, a), A = [[1/2, 1/2], [1 - p, p]].
    a = 2.0
    p = math.exp(a * a) / (1 + math.exp(a * a))
    x = torch.tensor([0.0, 0.0, a, a]).view(4, 1, 1)
    kernel = torch.tensor([[0.5, 0.5], [1 - p, p]], dtype=torch.float64)
    third = torch.tensor([[0.25] * 4, [(1 - p) / 2, (1 - p) / 2, p / 2, p / 2]], dtype=torch.float64)
    first = kernel[[0, 0, 1, 1]]
    z = kernel.T / (0.5 + p)  # the second column's sum is the larger
    for _ in range(6):
        az = kernel @ z
        z = (13 * z - z @ az @ (15 * torch.eye(2, dtype=torch.float64) - 7 * az + az @ az)) / 4
    full = reference.attention_map(x, x, num_landmarks=2, scale=1.0)
    torch.testing.assert_close(full[0], first @ z @ third)


def test_the_start_is_shared_by_the_heads_unless_each_has_its_own() -> None:
    torch.manual_seed(0)
    query, key = (3 * torch.randn(2, 21, 2, 4, dtype=torch.float64)).unbind(0)
    shared = reference.attention_map(query, key, num_landmarks=4)
    own = reference.attention_map(query, key, num_landmarks=4, per_head_start=True)
    alone = torch.cat(
        [reference.attention_map(query[:, h : h + 1], key[:, h : h + 1], num_landmarks=4) for h in (0, 1)]
    )
    torch.testing.assert_close(own, alone)
    changed = (own - shared).abs().amax(dim=(1, 2)) > 1e-6
    assert changed.sum() == 1, "the head with the largest column sum starts at the same place both ways"


@pytest.mark.parametrize(("n", "m"), [(5, 2), (7, 3), (64, 64), (65, 64), (700, 64), (3, 5)])
def test_landmarks_are_the_means_of_the_named_tokens(n: int, m: int) -> None:
    x = torch.randn(n, 3, dtype=torch.float64)
    means = reference.segment_means(x, m)
    for j in range(m):
        tokens = range(math.floor(j * n / m), math.floor((j + 1) * n / m))
        if tokens:
            torch.testing.assert_close(means[j], torch.stack([x[i] for i in tokens]).mean(dim=0))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_clusters_are_those_of_scikit_learn(steps: int) -> None:
    x = torch.randn(60, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(steps))
    start = reference.segment_means(x, 6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        theirs = KMeans(6, init=start.numpy(), n_init=1, max_iter=steps, tol=0.0, algorithm="lloyd").fit(x.numpy())
    ours = reference.cluster_centres(x, start, steps)
    torch.testing.assert_close(ours, torch.from_numpy(theirs.cluster_centers_), rtol=1e-10, atol=1e-10)
    assert torch.equal(reference.cluster_centres(x, start, 0), start)


def test_clusters_of_ties_and_empty_ones() -> None:
    x = torch.tensor([[0.0], [2.0], [2.0], [4.0]], dtype=torch.float64)
    centres = torch.tensor([[5.0], [1.0], [3.0], [1.0]], dtype=torch.float64)
    assert reference.cluster_centres(x, centres, 1).flatten().tolist() == [4.0, 4.0 / 3, 3.0, 1.0]


@pytest.mark.parametrize(("n", "k"), [(1, 1), (1, 65), (4, 3), (5, 9), (30, 7)])
def test_convolution_is_a_weighted_sum_of_neighbours(n: int, k: int) -> None:
    value, kernel = torch.randn(n, 2, dtype=torch.float64), torch.randn(k, dtype=torch.float64)
    expected = torch.zeros(n, 2, dtype=torch.float64)
    for i in range(n):
        for j in range(k):
            if 0 <= i + j - k // 2 < n:
                expected[i] += kernel[j] * value[i + j - k // 2]
    torch.testing.assert_close(reference.convolution(value, kernel), expected)


def test_the_iteration_converges_to_the_pseudo_inverse() -> None:
    kernel = torch.softmax(5 * torch.eye(6, dtype=torch.float64) + 0.1 * torch.randn(6, 6, dtype=torch.float64), -1)
    start = kernel.sum(dim=0).max()
    six, many = (reference.iterative_inverse(kernel, start, steps) for steps in (6, 12))
    torch.testing.assert_close(many, torch.linalg.pinv(kernel), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(six, torch.linalg.pinv(kernel), rtol=1e-6, atol=1e-6)


def test_softmax_is_softmax() -> None:
    query, key, value = torch.randn(3, 9, 2, 4, dtype=torch.float64).unbind(0)
    expected = torch.nn.functional.scaled_dot_product_attention(*(x.transpose(0, 1) for x in (query, key, value)))
    for landmarks in (None, 9, 64):
        output = reference.attention(query, key, value, num_landmarks=landmarks)
        torch.testing.assert_close(output, expected.transpose(0, 1))
    through_length = reference.attention(query, key, value, num_landmarks=4, softmax_max_length=9)
    torch.testing.assert_close(through_length, expected.transpose(0, 1))


def transformers_attention(query: Tensor, key: Tensor, value: Tensor, m: int, conv: Tensor) -> Tensor:
    """(N, H, D) through transformers' module, its projections set to the identity on wanted inputs."""
    n, heads, width = query.shape
    config = NystromformerConfig(
        hidden_size=heads * width,
        num_attention_heads=heads,
        num_landmarks=m,
        segment_means_seq_len=n,
        conv_kernel_size=conv.shape[2],
    )
    module = NystromformerSelfAttention(config).eval()
    module.conv.weight.data.copy_(conv)
    for projection, rows in ((module.query, query), (module.key, key), (module.value, value)):
        projection.forward = lambda hidden, rows=rows: rows.reshape(1, n, -1)  # type: ignore[method-assign]
    return module(torch.zeros(1, n, heads * width))[0].view(n, heads, width)


def test_equals_transformers_where_its_lengths_work() -> None:
    torch.manual_seed(1)
    query, key, value = torch.randn(3, 32, 2, 8).unbind(0)
    conv = torch.randn(2, 1, 5, 1)
    theirs = transformers_attention(query, key, value, 8, conv)
    ours = reference.attention(query, key, value, num_landmarks=8, conv_weight=conv)
    torch.testing.assert_close(ours, theirs.detach().double(), rtol=1e-5, atol=1e-5)


def test_equals_nystrom_attention_where_its_lengths_work() -> None:
    torch.manual_seed(2)
    n, m, heads, width = 48, 6, 3, 8
    module = NystromAttention(heads * width, width, heads, num_landmarks=m, residual_conv_kernel=5).double().eval()
    x = torch.randn(1, n, heads * width, dtype=torch.float64)
    query, key, value = module.to_qkv(x)[0].view(n, 3, heads, width).unbind(1)
    conv = module.res_conv.weight
    context = reference.attention(query, key, value, num_landmarks=m, conv_weight=conv)
    torch.testing.assert_close(module.to_out(context.flatten(1))[None], module(x))
