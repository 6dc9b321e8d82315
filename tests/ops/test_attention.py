"""Dense, masked, packed and cross attention against the reference, forward and backward.

Shapes: B documents, H heads, N queries, S keys, D head width, M landmarks, k kernel size.
"""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from margins import margin
from torch import Tensor

from nysformer.ops import Layout, nystrom_attention, reference, softmax_attention

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}
NAN = float("nan")
# What float32 rounds away is a tenth of it.
MARGIN = 3e-6
KINDS: list[dict[str, Any]] = [
    {"num_landmarks": None},
    {"num_landmarks": 8},
    {"num_landmarks": 8, "landmarks": "clusters"},
]


class Case:
    """Documents of their own lengths, and how to attend in them. `options` fit the reference and the fast form."""

    def __init__(
        self, documents: list[tuple[Tensor, Tensor, Tensor]], options: dict[str, Any], conv_weight: Tensor | None
    ) -> None:
        self.documents = documents  # query (N, H, D), key and value (S, H, D) each
        self.options = options
        self.conv_weight = conv_weight

    def __repr__(self) -> str:
        shapes = [(*q.shape, len(k)) for q, k, _ in self.documents]
        return f"(N, H, D, S) {shapes}, {self.options}, kernel {getattr(self.conv_weight, 'shape', None)}"

    def leaves(self) -> list[Tensor]:
        parts = [part for document in self.documents for part in document]
        return parts if self.conv_weight is None else [*parts, self.conv_weight]


@st.composite
def cases(draw: st.DrawFn, cross: bool = False, longest: int = 200, most: int = 3) -> Case:
    heads, width = draw(st.sampled_from([1, 2, 3])), draw(st.sampled_from([4, 8, 16]))
    m = draw(st.one_of(st.none(), st.integers(1, 64)))
    length = st.one_of(st.integers(1, longest), st.integers(1, 12))
    if m is not None:  # the edge where landmarks take over
        length = st.one_of(length, st.integers(max(1, m - 1), m + 2))
    lengths = draw(st.lists(length, min_size=1, max_size=most))
    key_lengths = [draw(length) for _ in lengths] if cross else lengths
    torch.manual_seed(draw(st.integers(0, 999)))
    options: dict[str, Any] = {"num_landmarks": m, "scale": draw(st.sampled_from([None, 0.1, 1.0 / width]))}
    if m is not None and draw(st.booleans()):
        options |= {"landmarks": "clusters", "landmark_steps": draw(st.sampled_from([2, 1, 3]))}

    def tokens(n: int) -> Tensor:
        """Of clusters, such that float32 finds them."""
        x = torch.randn(n, heads, width)
        while "landmarks" in options and margin(x, m, options["landmark_steps"]) < MARGIN:  # type: ignore[arg-type]
            x = torch.randn(n, heads, width)
        return x

    documents = [
        (tokens(n), tokens(s), torch.randn(s, heads, width)) for n, s in zip(lengths, key_lengths, strict=True)
    ]
    if m is not None:
        options["per_head_start"] = draw(st.booleans())
        options["softmax_max_length"] = draw(st.sampled_from([0, 0, 20, 100]))
        options["pinv_iterations"] = draw(st.sampled_from([6, 6, 1, 8]))
    kernel = None if cross else draw(st.sampled_from([None, 1, 3, 65]))
    return Case(documents, options, None if kernel is None else torch.randn(heads, 1, kernel, 1) / kernel)


def attend(query: Tensor, key: Tensor, value: Tensor, num_landmarks: int | None, **options: Any) -> Tensor:
    if num_landmarks is None:
        return softmax_attention(query, key, value, **options)
    return nystrom_attention(query, key, value, num_landmarks=num_landmarks, **options)


def packed(case: Case) -> list[Tensor]:
    """Each document's output, by the packed form."""
    queries, keys, values = (list(parts) for parts in zip(*case.documents, strict=True))
    offsets = Layout([len(q) for q in queries])
    key_offsets = None if offsets.lengths == tuple(map(len, keys)) else Layout([len(k) for k in keys])
    output = attend(
        torch.cat(queries),
        torch.cat(keys),
        torch.cat(values),
        offsets=offsets,
        key_offsets=key_offsets,
        conv_weight=case.conv_weight,
        **case.options,
    )
    return list(output.split(offsets.lengths))


def dense(case: Case) -> list[Tensor]:
    """Each document's output, alone, by the dense form without a mask."""
    return [
        attend(*(part.transpose(0, 1)[None] for part in document), conv_weight=case.conv_weight, **case.options)[
            0
        ].transpose(0, 1)
        for document in case.documents
    ]


def scattered(parts: Sequence[Tensor], places: Sequence[Tensor], size: int) -> tuple[Tensor, Tensor]:
    """Documents (n, H, D) at those places of (B, H, size, D), NaN everywhere else; and the (B, size) mask."""
    rows, masks = [], []
    for part, place in zip(parts, places, strict=True):
        rows.append(part.new_full((size, *part.shape[1:]), NAN).index_put((place,), part).transpose(0, 1))
        masks.append(torch.zeros(size, dtype=torch.bool).index_fill(0, place, True))
    return torch.stack(rows), torch.stack(masks)


def places_of(parts: Sequence[Tensor], extra: int, holes: bool) -> tuple[list[Tensor], int]:
    size = max(map(len, parts)) + extra
    draw = torch.randperm if holes else torch.arange
    return [draw(size)[: len(part)].sort().values for part in parts], size


def masked(case: Case, extra: int, holes: bool, cross: bool) -> list[Tensor]:
    """Each document's output, by the dense form with poison under the mask."""
    queries, keys, values = (list(parts) for parts in zip(*case.documents, strict=True))
    key_places, key_size = places_of(keys, extra, holes)
    query_places, query_size = places_of(queries, extra // 2, holes) if cross else (key_places, key_size)
    query, query_mask = scattered(queries, query_places, query_size)
    key, mask = scattered(keys, key_places, key_size)
    value, _ = scattered(values, key_places, key_size)
    output = attend(
        query,
        key,
        value,
        mask=mask,
        query_mask=query_mask if cross else None,
        conv_weight=case.conv_weight,
        **case.options,
    )
    assert not output.detach().transpose(1, 2)[~query_mask].any(), "masked queries give zeros"
    return [row[:, place].transpose(0, 1) for row, place in zip(output, query_places, strict=True)]


def check(case: Case, form: Any, dtype: torch.dtype, **arguments: Any) -> None:
    """Output and the gradients of query, key, value and kernel, of the form in `dtype` and the reference in float64."""
    results = []
    seeds = [torch.randn_like(query) for query, _, _ in case.documents]
    for precision, run in ((dtype, form), (torch.float64, None)):
        leaves = [leaf.detach().to(precision).requires_grad_() for leaf in case.leaves()]
        documents = [(leaves[i], leaves[i + 1], leaves[i + 2]) for i in range(0, 3 * len(case.documents), 3)]
        copy = Case(documents, case.options, None if case.conv_weight is None else leaves[-1])
        if run is None:
            outputs = [reference.attention(*d, conv_weight=copy.conv_weight, **copy.options) for d in documents]
        else:
            outputs = run(copy, **arguments)
        total = sum((output * seed.to(precision)).sum() for output, seed in zip(outputs, seeds, strict=True))
        gradients = torch.autograd.grad(total, leaves)  # type: ignore[arg-type]
        results.append((outputs, gradients))
    (outputs, gradients), (true_outputs, true_gradients) = results
    scale = max(output.abs().max() for output in true_outputs)
    for output, truth in zip(outputs, true_outputs, strict=True):
        assert output.dtype == dtype
        assert (output - truth).abs().max() <= TOLERANCE[dtype] * scale
    scale = max(gradient.abs().max() for gradient in true_gradients)
    for gradient, truth in zip(gradients, true_gradients, strict=True):
        assert (gradient - truth).abs().max() <= TOLERANCE[dtype] * scale


dtypes = st.sampled_from([torch.float64, torch.float32])


@given(case=cases(), dtype=dtypes)
def test_packed(case: Case, dtype: torch.dtype) -> None:
    check(case, packed, dtype)


@given(case=cases(most=1), dtype=dtypes)
def test_dense(case: Case, dtype: torch.dtype) -> None:
    check(case, dense, dtype)


@given(case=cases(), dtype=dtypes, extra=st.integers(0, 40), holes=st.booleans())
def test_masked(case: Case, dtype: torch.dtype, extra: int, holes: bool) -> None:
    check(case, masked, dtype, extra=extra, holes=holes, cross=False)


@given(case=cases(cross=True), dtype=dtypes)
def test_packed_cross_attention(case: Case, dtype: torch.dtype) -> None:
    check(case, packed, dtype)


@given(case=cases(cross=True), dtype=dtypes, extra=st.integers(0, 40), holes=st.booleans())
def test_masked_cross_attention(case: Case, dtype: torch.dtype, extra: int, holes: bool) -> None:
    check(case, masked, dtype, extra=extra, holes=holes, cross=True)


@settings(max_examples=15)
@given(case=cases(longest=700, most=2), dtype=dtypes, form=st.sampled_from([packed, dense]))
def test_long_documents(case: Case, dtype: torch.dtype, form: Any) -> None:
    check(case, form, dtype)


@settings(max_examples=25)
@given(n=st.integers(1, 64), m=st.integers(64, 70))
def test_short_documents_are_softmax_exactly(n: int, m: int) -> None:
    query, key, value = torch.randn(3, 2, 2, n, 8).unbind(0)
    assert torch.equal(nystrom_attention(query, key, value, num_landmarks=m), softmax_attention(query, key, value))
    by_length = nystrom_attention(query, key, value, num_landmarks=2, softmax_max_length=n)
    assert torch.equal(by_length, softmax_attention(query, key, value))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_document_without_tokens(kind: dict[str, Any]) -> None:
    query, key, value = (x.requires_grad_() for x in torch.randn(3, 40, 2, 4).unbind(0))
    conv_weight = torch.randn(2, 1, 3, 1, requires_grad=True)
    output = attend(query, key, value, **kind, offsets=[0, 0, 20, 20, 40, 40], conv_weight=conv_weight)
    expected = attend(query, key, value, **kind, offsets=[0, 20, 40], conv_weight=conv_weight)
    torch.testing.assert_close(output, expected)
    # Queries that have nothing to attend to.
    output = attend(query, key, value, **kind, offsets=[0, 20, 40], key_offsets=[0, 40, 40])
    assert output[:20].any()
    assert not output[20:].any()
    nothing = attend(query[:0], key[:0], value[:0], **kind, offsets=[0, 0], conv_weight=conv_weight)
    assert nothing.shape == (0, 2, 4)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_fully_masked_document_gives_zeros_and_zero_gradients(kind: dict[str, Any]) -> None:
    tensors = torch.randn(3, 2, 2, 30, 4)
    tensors[:, 1] = NAN
    query, key, value = (x.clone().requires_grad_() for x in tensors.unbind(0))
    mask = torch.tensor([[True], [False]]).expand(2, 30)
    output = attend(query, key, value, **kind, mask=mask, conv_weight=torch.randn(2, 1, 3, 1))
    assert not output[1].any()
    for gradient in torch.autograd.grad(output.square().sum(), (query, key, value)):
        assert gradient.isfinite().all()
        assert gradient[0].any()
        assert not gradient[1].any()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_everything_masked(kind: dict[str, Any]) -> None:
    query, key, value = (x.requires_grad_() for x in torch.full((3, 2, 2, 30, 4), NAN).unbind(0))
    output = attend(query, key, value, **kind, mask=torch.zeros(2, 30))
    assert not output.any()
    assert not any(gradient.any() for gradient in torch.autograd.grad(output.sum(), (query, key, value)))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_queries_of_a_document_without_keys_give_zeros(kind: dict[str, Any]) -> None:
    query, key, value = torch.randn(2, 2, 25, 4), torch.randn(2, 2, 30, 4), torch.randn(2, 2, 30, 4)
    mask = torch.tensor([[True], [False]]).expand(2, 30)
    output = attend(query, key, value, **kind, mask=mask)
    assert output[0].any()
    assert not output[1].any()


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_batch_mates_do_not_matter(kind: dict[str, Any]) -> None:
    query, key, value = torch.randn(3, 4, 2, 50, 4).unbind(0)
    query[1], key[1] = 100 * query[1], 100 * key[1]  # transformers' start is the largest over the batch
    output = attend(query, key, value, **kind)
    for b in range(4):
        alone = attend(query[b : b + 1], key[b : b + 1], value[b : b + 1], **kind)
        torch.testing.assert_close(output[b : b + 1], alone, rtol=1e-5, atol=1e-5)


def test_dropout_in_softmax_mode_drops_probabilities() -> None:
    query = key = torch.zeros(1, 1, 1, 4)
    output = softmax_attention(query, key, torch.ones(1, 1, 1, 4), dropout_p=0.5)
    assert output.unique().tolist() in ([0.0], [2.0])
    query = key = torch.zeros(1, 1, 200, 4)
    output = softmax_attention(query, key, torch.ones(1, 1, 200, 4), dropout_p=0.5)
    # Each query has its own draw over the keys.
    assert len(output[0, 0, :, 0].unique()) > 10
    torch.testing.assert_close(output.mean(), torch.tensor(1.0), atol=0.05, rtol=0)


def test_dropout_in_nystrom_mode_drops_a_tokens_value_for_all_landmarks() -> None:
    torch.manual_seed(3)
    n, m = 300, 8
    query, key = torch.randn(2, 1, 2, n, n).unbind(0)
    value = torch.eye(n).expand(1, 2, n, n)  # the output is the map itself
    full = nystrom_attention(query, key, value, num_landmarks=m)
    output = nystrom_attention(query, key, value, num_landmarks=m, dropout_p=0.25)
    ratio = (output / full)[0]
    dropped = ratio.abs().amax(dim=1) < 1e-6  # (H, S): a token is gone for every query or for none
    torch.testing.assert_close(
        ratio[0].T[~dropped[0]], torch.full((int((~dropped[0]).sum()), n), 4 / 3), rtol=1e-2, atol=1e-2
    )
    assert 0.1 < dropped.float().mean() < 0.4
    assert not torch.equal(dropped[0], dropped[1]), "one draw a head"


WRONG: list[tuple[str, tuple[tuple[int, ...], ...], dict[str, Any]]] = [
    ("query, key and value are", ((2, 3, 4), (2, 3, 4), (2, 3, 4)), {}),
    ("query, key and value are", ((1, 2, 3, 4),) * 3, {"offsets": [0, 3]}),
    ("key and value need one shape", ((1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 4, 4)), {}),
    ("key and value need one shape", ((1, 2, 3, 8), (1, 2, 3, 4), (1, 2, 3, 4)), {}),
    ("masks belong to the dense form", ((3, 2, 4),) * 3, {"offsets": [0, 3], "mask": torch.ones(1, 3)}),
    ("key_offsets belong to the packed form", ((1, 2, 3, 4),) * 3, {"key_offsets": [0, 3]}),
    ("as many queries as keys", ((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4)), {"conv_weight": torch.ones(2, 1, 3, 1)}),
    ("k odd", ((1, 2, 3, 4),) * 3, {"conv_weight": torch.ones(2, 1, 4, 1)}),
]


@pytest.mark.parametrize(("message", "shapes", "options"), WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("m", [None, 2])
def test_shapes_that_do_not_fit(
    message: str, shapes: tuple[tuple[int, ...], ...], options: dict[str, Any], m: int | None
) -> None:
    with pytest.raises(ValueError, match=message):
        attend(*(torch.zeros(shape) for shape in shapes), m, **options)


@pytest.mark.parametrize("options", [{"num_landmarks": 0}, {"num_landmarks": 2, "pinv_iterations": 13}])
def test_options_out_of_bounds(options: dict[str, Any]) -> None:
    x = torch.zeros(1, 1, 10, 4)
    with pytest.raises(ValueError, match=r"is 0: at least 1|is 13: choose 1 to 12"):
        nystrom_attention(x, x, x, **options)
