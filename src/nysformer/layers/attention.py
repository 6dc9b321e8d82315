"""Multi-head self-attention over documents, softmax or through landmarks, with its convolution.

Shapes: B batch, N padded length, T packed tokens, E hidden size, H heads, D head width.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nysformer.errors import NysformerError
from nysformer.layers.convolution import HeadKernels
from nysformer.layers.linear import is_plain_linear, project
from nysformer.ops import (
    BLOCK_ROWS,
    Implementation,
    Layout,
    NystromSpec,
    attend,
    depthwise_convolution,
    map_rows,
    nystrom_stream,
    pays_to_stream,
)

__all__ = ["MAX_MAP_BYTES", "SelfAttention"]

# Full maps past this are refused: at 65,536 tokens and 12 heads one layer's map is 200 GB.
MAX_MAP_BYTES = 8 * 2**30


class SelfAttention(nn.Module):
    """Project to queries, keys and values, attend within each document, convolve the values.

    Args:
        hidden_size: E.
        num_heads: H.
        head_size: D.
        spec: of the landmarks; None for softmax attention at every length.
        conv_kernel_size: k, odd; None for no convolution.
        dropout: of attention probabilities, as `softmax_attention` and `nystrom_attention` apply it.
        implementation: as in `nystrom_attention`; it may be set at any time.

    Example:
        >>> attention = SelfAttention(32, 4, 8, NystromSpec(num_landmarks=4), conv_kernel_size=3)
        >>> context, _ = attention(torch.randn(50, 32), Layout([20, 30]))
        >>> context.shape
        torch.Size([50, 32])
    """

    def __init__(
        self,
        hidden_size: int,
        num_heads: int,
        head_size: int,
        spec: NystromSpec | None,
        *,
        conv_kernel_size: int | None = None,
        dropout: float = 0.0,
        implementation: Implementation = "sdpa",
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_size = head_size
        self.spec = spec
        self.dropout = dropout
        self.implementation = implementation
        self.query = nn.Linear(hidden_size, num_heads * head_size)
        self.key = nn.Linear(hidden_size, num_heads * head_size)
        self.value = nn.Linear(hidden_size, num_heads * head_size)
        self.conv = None if conv_kernel_size is None else HeadKernels(num_heads, conv_kernel_size)

    def forward(
        self,
        hidden: Tensor,
        documents: Layout | Tensor | None,
        head_mask: Tensor | None = None,
        return_map: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            hidden: (T, E) packed rows with their `Layout`, or dense (B, N, E).
            documents: the `Layout` of packed rows; for a dense batch its (B, N) mask, True where a token is real, or
                None where all are.
            head_mask: (H,), multiplies what each head contributes, attention and convolution.
            return_map: also return the (B, H, N, N) map, zero rows and columns at masked places, float32 at least; the
                context is then computed from that very tensor, so that gradients reach it. Packed rows only.

        Returns:
            The context in the shape of `hidden`, and the map or None.

        Raises:
            NysformerError: a map past `MAX_MAP_BYTES`, or of a dense batch, which is what a compiled, exported or
                transformed model runs.
        """
        query, (key, value) = self.project_query(hidden), self.project_key_value(hidden)
        if return_map:
            if not isinstance(documents, Layout):
                raise NysformerError(
                    "attention maps are made of packed rows: pass a Layout; a model gives no output_attentions while "
                    "it is compiled, exported or transformed by torch.func"
                )
            return self._attend_by_map(query, key, value, documents, head_mask)
        if isinstance(documents, Layout):
            context = self._attend(query, key, value, offsets=documents)
        else:
            query, key, value = (x.transpose(1, 2) for x in (query, key, value))
            context = self._attend(query, key, value, mask=documents).transpose(1, 2)
        if head_mask is not None:
            context = context * head_mask.to(context.dtype)[:, None]
        return context.flatten(-2), None

    def blocks(self, hidden: Tensor, layout: Layout, head_mask: Tensor | None = None) -> Iterator[Tensor]:
        """The context of packed rows (T, E), (R, H D) at a time, in order; without gradients.

        A long document is projected as it is read, see `nystrom_stream`; short ones share a block.
        """
        start = 0
        for lengths in layout.blocks(BLOCK_ROWS):
            rows = hidden[start : start + sum(lengths)]
            start += len(rows)
            spec = self._stream_spec(lengths)
            contexts = [self._attend_rows(rows, Layout(lengths))] if spec is None else self._stream(rows, spec)
            for context in contexts:
                yield (context if head_mask is None else context * head_mask.to(context.dtype)[:, None]).flatten(-2)

    def _stream_spec(self, lengths: tuple[int, ...]) -> NystromSpec | None:
        """The specification of a document that is projected as it is read; None where those rows go whole.

        It is one long document, nothing is dropped, and projections are linear: an adapter's need not be.
        """
        spec = self.spec
        if spec is None or len(lengths) > 1 or (self.training and self.dropout > 0.0):
            return None
        return spec if pays_to_stream(spec, lengths[0]) and self.projects_linearly() else None

    def _stream(self, document: Tensor, spec: NystromSpec) -> Iterator[Tensor]:
        return nystrom_stream(
            document, self.project_query, self.project_key_value, spec, conv_weight=self._kernels(document)
        )

    def _attend_rows(self, rows: Tensor, layout: Layout) -> Tensor:
        return self._attend(self.project_query(rows), *self.project_key_value(rows), offsets=layout)

    def projects_linearly(self) -> bool:
        """Whether the projection of a mean is the mean of the projections; see `is_plain_linear`."""
        return all(is_plain_linear(projection) for projection in (self.query, self.key, self.value))

    def project_query(self, hidden: Tensor) -> Tensor:
        """(..., E) to queries (..., H, D)."""
        return self._split(project(self.query, hidden))

    def project_key_value(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """(..., E) to keys and values, each (..., H, D)."""
        return self._split(project(self.key, hidden)), self._split(project(self.value, hidden))

    def _kernels(self, values: Tensor) -> Tensor | None:
        return None if self.conv is None else self.conv(values)

    def _split(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (self.num_heads, self.head_size))

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None = None, offsets: Layout | None = None
    ) -> Tensor:
        return attend(
            query,
            key,
            value,
            self.spec,
            mask=mask,
            offsets=offsets,
            conv_weight=self._kernels(value),
            dropout_p=self.dropout if self.training else 0.0,
            implementation=self.implementation,
        )

    def _attend_by_map(
        self, query: Tensor, key: Tensor, value: Tensor, layout: Layout, head_mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The same numbers by way of the full map, a document at a time."""
        places = layout.places(query.device)
        batch, length = layout.padded_shape
        precision = torch.promote_types(query.dtype, torch.float32)
        size = batch * self.num_heads * length**2 * precision.itemsize
        if size > MAX_MAP_BYTES:
            raise NysformerError(
                f"attention maps of {batch} x {self.num_heads} heads x {length} x {length} take {size / 2**30:.0f} GiB "
                f"a layer, past the limit of {MAX_MAP_BYTES // 2**30} GiB: ask for single rows with "
                "nysformer.ops.attention_rows"
            )
        full = query.new_zeros(batch, self.num_heads, length, length, dtype=precision)
        if layout.num_tokens == 0:
            return self._attend(query, key, value, offsets=layout).flatten(-2), full
        queries, keys, values = (x.split(layout.lengths) for x in (query, key, value))
        for (row, columns), q, k in zip(places, queries, keys, strict=True):
            if len(q) > 0:
                heads = self._document_map(q, k)
                if head_mask is not None:
                    heads = heads * head_mask.to(heads.dtype)[:, None, None]
                # (H, n, n) spread to the document's rows and columns.
                full.index_put_((row, self._heads(q), columns[:, None], columns), heads)
        conv_weight = self._kernels(value)
        contexts = []
        for (row, columns), v in zip(places, values, strict=True):
            v = v.transpose(0, 1)
            heads = full[row, self._heads(v), columns[:, None], columns].to(v.dtype) @ v
            if conv_weight is not None and v.shape[1] > 0:
                convolved = depthwise_convolution(v[None], conv_weight)[0]
                heads = heads + (convolved if head_mask is None else convolved * head_mask.to(v.dtype)[:, None, None])
            contexts.append(heads.transpose(0, 1).flatten(-2))
        return torch.cat(contexts), full

    def _heads(self, like: Tensor) -> Tensor:
        return torch.arange(self.num_heads, device=like.device)[:, None, None]

    def _document_map(self, query: Tensor, key: Tensor) -> Tensor:
        """(n, H, D) twice to (H, n, n), with the same dropout as the context would have had."""
        q, k = (x.transpose(0, 1)[None] for x in (query, key))
        full = map_rows(q, k, range(len(query)), self.spec)[0]
        if not self.training or self.dropout == 0.0:
            return full
        if self.spec is not None and not self.spec.is_exact(len(query)):
            return full * F.dropout(full.new_ones(self.num_heads, 1, len(query)), self.dropout)
        return F.dropout(full, self.dropout)
