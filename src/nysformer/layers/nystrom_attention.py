"""Self-attention as a layer of its own, under the name and weights of the nystrom-attention package.

Shapes: B batch, N padded length, C channels of x, H heads, D head width, M landmarks, R rows asked for, T packed
tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal, get_args, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nysformer.errors import NysformerError
from nysformer.layers.attention import MAX_MAP_BYTES
from nysformer.layers.convolution import HeadKernels
from nysformer.layers.linear import project
from nysformer.ops import (
    Implementation,
    LandmarkKind,
    Layout,
    NystromSpec,
    attend,
    check_traceable,
    depthwise_convolution,
    is_recorded,
    map_factors,
    map_rows,
    refuse_script,
)
from nysformer.ops.front_padded import FrontPadded, front_padding

__all__ = ["NystromAttention"]

Factors = tuple[Tensor, Tensor, Tensor]


class Projections(nn.Sequential):
    """`torch.nn.Sequential`, its linear layers on the fast product."""

    def forward(self, input: Tensor) -> Tensor:
        for module in self:
            input = project(module, input)
        return input


class NystromAttention(nn.Module):
    """Multi-head Nyström self-attention with the constructor, call and weights of nystrom-attention 0.0.14's class.

    By default it is right: any length, padding and batch mates change nothing, half precision works, documents of at
    most `num_landmarks` tokens get softmax attention. Its numbers are then not that package's, which attends its own
    padding. `compat=True` gives that package's numbers, for checkpoints trained with it.

    Args:
        dim: C.
        dim_head: D.
        heads: H.
        num_landmarks: M.
        pinv_iterations: steps of the inverse, 1 to 12.
        residual: add the depthwise convolution of the values.
        residual_conv_kernel: its size, odd.
        eps: joins the token counts of masked landmarks with `compat`; otherwise counts need no help.
        dropout: of the output.
        compat: the package's numbers, to 1e-5: front padding that is attended, uniform rows at masked places, one start
            of the inverse for the whole batch.
        implementation: "sdpa" for torch's fused attention, "eager" for plain products, which have second derivatives on
            every device; see `nysformer.ops.nystrom_attention`.
        landmarks, landmark_steps: "segments" or "clusters", and the steps to find these; see the same. `compat` has
            segments only.

    Raises:
        NysformerError: no landmark, an even kernel, steps out of bounds, another implementation or kind of landmarks,
            or clusters with `compat`.

    Example:
        >>> attention = NystromAttention(dim=64, dim_head=16, heads=4, num_landmarks=32)
        >>> bags = torch.randn(2, 1_000, 64)
        >>> mask = torch.ones(2, 1_000, dtype=torch.bool)
        >>> mask[1, 300:] = False
        >>> attention(bags, mask=mask).shape
        torch.Size([2, 1000, 64])
        >>> attention.attention_rows(bags, rows=[0], mask=mask).shape
        torch.Size([2, 4, 1, 1000])
    """

    def __init__(
        self,
        dim: int,
        dim_head: int = 64,
        heads: int = 8,
        num_landmarks: int = 256,
        pinv_iterations: int = 6,
        residual: bool = True,
        residual_conv_kernel: int = 33,
        eps: float = 1e-8,
        dropout: float = 0.0,
        *,
        compat: bool = False,
        implementation: Implementation = "sdpa",
        landmarks: LandmarkKind = "segments",
        landmark_steps: int = 2,
    ) -> None:
        super().__init__()
        if residual and residual_conv_kernel % 2 == 0:
            raise NysformerError(f"residual_conv_kernel is {residual_conv_kernel}: an odd kernel keeps the length")
        if implementation not in get_args(Implementation):
            raise NysformerError(f"implementation is {implementation!r}: choose 'sdpa' or 'eager'")
        if compat and landmarks != "segments":
            raise NysformerError(f"landmarks is {landmarks!r}: with compat they are 'segments', as in the package")
        self.heads = heads
        self.spec = NystromSpec(
            num_landmarks=num_landmarks,
            landmarks=landmarks,
            landmark_steps=landmark_steps,
            pinv_iterations=pinv_iterations,
        )
        self.eps = eps
        self.compat = compat
        self.implementation = implementation
        inner = heads * dim_head
        self.to_qkv = nn.Linear(dim, 3 * inner, bias=False)
        self.to_out = Projections(nn.Linear(inner, dim), nn.Dropout(dropout))
        self.res_conv = HeadKernels(heads, residual_conv_kernel) if residual else None

    @property
    def num_landmarks(self) -> int:
        """M."""
        return self.spec.num_landmarks

    @property
    def pinv_iterations(self) -> int:
        """Steps of the inverse."""
        return self.spec.pinv_iterations

    def __prepare_scriptable__(self) -> None:
        """Called by `torch.jit.script`; raises NysformerError."""
        refuse_script()

    @overload
    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        return_attn: Literal[False] = False,
        return_attn_matrices: Literal[False] = False,
    ) -> Tensor: ...

    @overload
    def forward(
        self, x: Tensor, mask: Tensor | None = None, return_attn: bool = False, return_attn_matrices: bool = False
    ) -> Tensor | tuple[Tensor, Tensor] | tuple[Tensor, Factors]: ...

    def forward(
        self, x: Tensor, mask: Tensor | None = None, return_attn: bool = False, return_attn_matrices: bool = False
    ) -> Tensor | tuple[Tensor, Tensor] | tuple[Tensor, Factors]:
        """Attend within each document.

        Args:
            x: (B, N, C). What stands at masked places is not read, not even NaN (with `compat`: it is not to be NaN).
            mask: (B, N), bool or 0/1, True where a token is real; None where all are.
            return_attn: also return the (B, H, N, N) map, zero rows and columns at masked places. O(N^2); see
                `attention_rows` for the rows one looks at.
            return_attn_matrices: also return its factors F (B, H, N, M), Z (B, H, M, M) and B (B, H, M, N) instead.
                With `compat`, N is the padded length in both.

        Returns:
            (B, N, C), exactly zero at masked places (with `compat`: what the package gives there); with the map or its
            factors where asked for.

        Raises:
            NysformerError: shapes that do not fit, a map past 8 GiB, factors of a document of at most M tokens,
                `torch.jit.trace`, or a map asked of a compiled, exported or transformed module.
        """
        mask = self._check(x, mask)
        if self.compat:
            return self._compat(x, mask, return_attn, return_attn_matrices)
        if is_recorded():
            if return_attn or return_attn_matrices:
                raise NysformerError("no compiled, exported or transformed (torch.func) module gives attention maps")
            return self._dense(x, mask)
        layout = Layout.dense(*x.shape[:2]) if mask is None else Layout.from_mask(mask)
        query, key, value = self._project(layout.pack(x))
        output = layout.unpack(self.to_out(self._attend(query, key, value, offsets=layout).flatten(-2)))
        if return_attn_matrices:
            return output, self._factors(query, key, layout)
        if return_attn:
            return output, self._rows(query, key, layout, range(x.shape[1]))
        return output

    def _dense(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """`forward` without a shape that depends on the mask."""
        if mask is not None:
            x = x.masked_fill(~mask[..., None], 0.0)
        query, key, value = (part.transpose(1, 2) for part in self._project(x))
        output = self.to_out(self._attend(query, key, value, mask=mask).transpose(1, 2).flatten(-2))
        return output if mask is None else output.masked_fill(~mask[..., None], 0.0)

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
            conv_weight=None if self.res_conv is None else self.res_conv(value),
            implementation=self.implementation,
        )

    def attention_rows(self, x: Tensor, rows: Sequence[int] = (0,), mask: Tensor | None = None) -> Tensor:
        """What the tokens at `rows` attend to, a class token in front as a rule, in O((N + R) M).

        Args:
            x: (B, N, C).
            rows: R positions in x, 0 .. N - 1.
            mask: as in `forward`.

        Returns:
            (B, H, R, N) in float32 at least: those rows of the map, zero at masked places. They sum to about 1 (with
            `compat` less, by what the padding takes) and may hold negative numbers.

        Raises:
            NysformerError: shapes that do not fit, or a row outside x.
        """
        mask = self._check(x, mask)
        outside = [row for row in rows if not 0 <= row < x.shape[1]]
        if outside:
            raise NysformerError(f"rows holds {outside[0]}: x has positions 0 to {x.shape[1] - 1}")
        if self.compat:
            padding = front_padding(x.shape[1], self.num_landmarks)
            parts, _ = self._front_padded(x, mask)
            index = torch.tensor(list(rows), dtype=torch.int64, device=x.device) + padding
            return parts.rows(index, self.pinv_iterations)[..., padding:]
        layout = Layout.dense(*x.shape[:2]) if mask is None else Layout.from_mask(mask)
        query, key, _ = self._project(layout.pack(x))
        return self._rows(query, key, layout, rows)

    def _check(self, x: Tensor, mask: Tensor | None) -> Tensor | None:
        check_traceable()
        channels = self.to_qkv.in_features
        if x.dim() != 3 or x.shape[-1] != channels:
            raise NysformerError(f"x has shape {tuple(x.shape)}: pass (batch, tokens, {channels})")
        if mask is not None and mask.shape != x.shape[:2]:
            raise NysformerError(
                f"mask has shape {tuple(mask.shape)}: pass (batch, tokens) = {tuple(x.shape[:2])}, True where real"
            )
        return None if mask is None else mask.bool()

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(..., C) to queries, keys and values, each (..., H, D)."""
        query, key, value = project(self.to_qkv, x).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        return query, key, value

    def _rows(self, query: Tensor, key: Tensor, layout: Layout, rows: Sequence[int]) -> Tensor:
        """Those rows of every document's map, (B, H, R, N), from packed queries and keys (T, H, D)."""
        batch, length = layout.padded_shape
        _check_size((batch, self.heads, len(rows), length))
        index = torch.tensor(list(rows), dtype=torch.int64, device=query.device)
        result = query.new_zeros(batch, self.heads, len(rows), length, dtype=_precision(query))
        heads = self._head_index(query)
        for (row, columns), q, k in _documents(query, key, layout):
            asked, found = (index[:, None] == columns).nonzero(as_tuple=True)
            values = map_rows(q, k, found, self.spec)
            result[row, heads, asked[:, None], columns] = values[0]
        return result

    def _factors(self, query: Tensor, key: Tensor, layout: Layout) -> Factors:
        """F (B, H, N, M), Z (B, H, M, M) and B (B, H, M, N) from packed queries and keys, zero at masked places."""
        batch, length = layout.padded_shape
        shortest = min((size for size in layout.lengths if size > 0), default=length)
        if shortest <= self.num_landmarks:
            raise NysformerError(
                f"a document of {shortest} tokens has softmax attention, which has no factors through "
                f"{self.num_landmarks} landmarks: ask for the map by return_attn"
            )
        shapes = ((length, self.num_landmarks), (self.num_landmarks,) * 2, (self.num_landmarks, length))
        first, inverse, third = (
            query.new_zeros(batch, self.heads, *shape, dtype=_precision(query)) for shape in shapes
        )
        heads, segments = self._head_index(query), torch.arange(self.num_landmarks, device=query.device)
        for (row, columns), q, k in _documents(query, key, layout):
            parts = map_factors(q, k, self.spec)
            first[row, heads, columns[:, None], segments] = parts[0][0]
            inverse[row] = parts[1][0]
            third[row, heads, segments[:, None], columns] = parts[2][0]
        return first, inverse, third

    def _head_index(self, like: Tensor) -> Tensor:
        return torch.arange(self.heads, device=like.device)[:, None, None]

    def _compat(
        self, x: Tensor, mask: Tensor | None, return_attn: bool, return_attn_matrices: bool
    ) -> Tensor | tuple[Tensor, Tensor] | tuple[Tensor, Factors]:
        """`forward` with the package's numbers."""
        parts, value = self._front_padded(x, mask)
        context = parts.attend(value, self.pinv_iterations, self.implementation)
        if self.res_conv is not None:
            context = context + depthwise_convolution(value, self.res_conv(value))
        output = self.to_out(context.transpose(1, 2).flatten(-2))[:, -x.shape[1] :]
        if return_attn_matrices:
            return output, parts.factors(self.pinv_iterations)
        if return_attn:
            length = value.shape[2]
            _check_size((len(x), self.heads, length, length))
            return output, parts.rows(torch.arange(length, device=x.device), self.pinv_iterations)
        return output

    def _front_padded(self, x: Tensor, mask: Tensor | None) -> tuple[FrontPadded, Tensor]:
        """Padded queries and keys, and the values (B, H, N, D) with zeros at masked places."""
        padding = front_padding(x.shape[1], self.num_landmarks)
        x = F.pad(x, (0, 0, padding, 0))
        query, key, value = (part.transpose(1, 2) for part in self._project(x))
        if mask is not None:
            mask = F.pad(mask, (padding, 0), value=False)
            value = value * mask[:, None, :, None]
        return FrontPadded.of(query, key, mask, num_landmarks=self.num_landmarks, eps=self.eps), value


def _documents(query: Tensor, key: Tensor, layout: Layout) -> Iterator[tuple[tuple[Tensor, Tensor], Tensor, Tensor]]:
    """Each document that has tokens: its row and columns in the padded form, its queries and keys (1, H, n, D)."""
    parts = zip(layout.places(query.device), query.split(layout.lengths), key.split(layout.lengths), strict=True)
    for place, q, k in parts:
        if len(q) > 0:
            yield place, q.transpose(0, 1)[None], k.transpose(0, 1)[None]


def _precision(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _check_size(shape: tuple[int, ...]) -> None:
    size = 4 * math.prod(shape)
    if size > MAX_MAP_BYTES:
        raise NysformerError(
            f"{' x '.join(map(str, shape))} attention weights take {size / 2**30:.0f} GiB, past the limit of "
            f"{MAX_MAP_BYTES // 2**30} GiB: ask for fewer rows, with attention_rows"
        )
