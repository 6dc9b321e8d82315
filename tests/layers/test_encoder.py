"""One layer, written out by hand."""

import pytest
import torch
from torch import nn

from nysformer.layers import EncoderLayer, Intermediate, ResidualOutput, SelfAttention
from nysformer.ops import Layout, NystromSpec, stream


def layer(chunk: int = 0, dropout: float = 0.0) -> EncoderLayer:
    torch.manual_seed(0)
    return EncoderLayer(
        SelfAttention(32, 4, 8, NystromSpec(num_landmarks=8), conv_kernel_size=3),
        ResidualOutput(32, 32, layer_norm_eps=1e-5, dropout=dropout),
        Intermediate(32, 48, nn.GELU()),
        ResidualOutput(48, 32, layer_norm_eps=1e-5, dropout=dropout),
        chunk_size_feed_forward=chunk,
    ).double()


def test_post_layer_norm() -> None:
    module, hidden, layout = layer(), torch.randn(50, 32, dtype=torch.float64), Layout([20, 30])
    context, _ = module.attention.self(hidden, layout)
    first = module.attention.output
    attended = first.LayerNorm(first.dense(context) + hidden)
    wide = nn.functional.gelu(module.intermediate.dense(attended))
    expected = module.output.LayerNorm(module.output.dense(wide) + attended)
    output, full = module(hidden, layout)
    torch.testing.assert_close(output, expected)
    assert full is None
    padded = Layout([20, 30], shape=(2, 30), index=torch.cat([torch.arange(20), torch.arange(30, 60)]))
    again, full = module(hidden, padded, return_map=True)
    torch.testing.assert_close(again, expected)
    assert full.shape == (2, 4, 30, 30)


@pytest.mark.parametrize("chunk", [1, 7, 50, 1000])
def test_chunks_do_not_matter(chunk: int) -> None:
    hidden, layout = torch.randn(50, 32, dtype=torch.float64), Layout([20, 30])
    torch.testing.assert_close(layer(chunk)(hidden, layout)[0], layer()(hidden, layout)[0])
    dense = hidden[None]
    torch.testing.assert_close(layer(chunk)(dense, None)[0], layer()(dense, None)[0])


def test_many_rows_at_once() -> None:
    """However the feed-forward block cuts its rows, each token is by itself, forward and backward."""
    module = layer()
    attended = torch.randn(3001, 32, dtype=torch.float64, requires_grad=True)
    output = module.feed_forward(attended)
    (gradient,) = torch.autograd.grad(output.square().sum(), attended)
    for rows in (slice(0, 1), slice(1000, 1100), slice(2990, 3001)):
        few = attended[rows].detach().requires_grad_()
        alone = module.feed_forward(few)
        torch.testing.assert_close(output[rows], alone)
        torch.testing.assert_close(gradient[rows], torch.autograd.grad(alone.square().sum(), few)[0])


def test_no_rows() -> None:
    output, _ = layer()(torch.zeros(0, 32, dtype=torch.float64), Layout([0, 0]))
    assert output.shape == (0, 32)


def test_dropout_in_training_only() -> None:
    module, hidden, layout = layer(dropout=0.5), torch.randn(50, 32, dtype=torch.float64), Layout([50])
    assert not torch.equal(module(hidden, layout)[0], module(hidden, layout)[0])
    module.eval()
    assert torch.equal(module(hidden, layout)[0], module(hidden, layout)[0])


LONG = (0, 5, 1030, 300, 700, 2500, 20, 8)


@pytest.mark.parametrize(
    "spec",
    [
        NystromSpec(num_landmarks=8),
        None,
        NystromSpec(num_landmarks=5000),
        NystromSpec(num_landmarks=8, landmarks="clusters"),
    ],
    ids=str,
)
@pytest.mark.parametrize("chunk", [0, 100])
@pytest.mark.parametrize("longest_whole", [1024, 10_000])
def test_blocks_of_inference_are_the_whole(
    spec: NystromSpec | None, chunk: int, longest_whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_CLUSTER_ROWS", longest_whole)
    module, layout = layer(chunk).float(), Layout(LONG)
    module.attention.self.spec = spec
    hidden, head_mask = (
        torch.randn(sum(LONG), 32, generator=torch.Generator().manual_seed(0)),
        torch.tensor([1.0, 0.0, 0.5, 1.0]),
    )
    expected, _ = module(hidden, layout, head_mask)
    with torch.no_grad():
        output, _ = module(hidden, layout, head_mask)
    torch.testing.assert_close(output, expected.detach(), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_whoever_looks_inside_sees_whole_documents() -> None:
    module, layout, hidden = layer().float(), Layout(LONG), torch.randn(sum(LONG), 32)
    plain, _ = module(hidden, layout)
    seen: list[int] = []
    for part in (module.attention.self.query, module.intermediate.dense, module.output):
        part.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    watched, _ = module(hidden, layout)
    assert seen == 3 * [sum(LONG)]
    torch.testing.assert_close(watched, plain, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_an_attention_of_another_kind_is_called() -> None:
    class Zeros(SelfAttention):
        def forward(
            self,
            hidden: torch.Tensor,
            documents: Layout | torch.Tensor | None,
            head_mask: torch.Tensor | None = None,
            return_map: bool = False,
        ) -> tuple[torch.Tensor, torch.Tensor | None]:
            return torch.zeros_like(hidden), None

    module, hidden = layer().float(), torch.randn(2000, 32)
    module.attention.self = Zeros(32, 4, 8, NystromSpec(num_landmarks=8))
    expected = module.feed_forward(module.attention.output(torch.zeros_like(hidden), hidden))
    torch.testing.assert_close(module(hidden, Layout([2000]))[0], expected)


@torch.no_grad()
def test_projections_that_are_no_linear_layers_are_not_averaged() -> None:
    """An adapter may bend its input: landmarks are then means of what it gives, not what it gives of means."""

    class Bent(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.abs()

    module, hidden = layer().float(), torch.randn(2000, 32)
    module.attention.self.query = Bent()
    with torch.enable_grad():
        expected, _ = module(hidden, Layout([2000]))
    torch.testing.assert_close(module(hidden, Layout([2000]))[0], expected.detach(), atol=1e-4, rtol=1e-4)


def test_attention_dropout_without_gradients() -> None:
    module, hidden = layer().float(), torch.randn(2000, 32)
    module.attention.self.dropout = 0.5
    with torch.no_grad():
        assert not torch.equal(module(hidden, Layout([2000]))[0], module(hidden, Layout([2000]))[0])
        module.eval()
        assert torch.equal(module(hidden, Layout([2000]))[0], module(hidden, Layout([2000]))[0])
