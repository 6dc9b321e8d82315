"""What the other implementations get wrong, as facts of the versions pinned for these tests, and ours beside each."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from nystrom_attention import NystromAttention

import nysformer
from nysformer import ops

Make = Callable[..., Any]


@pytest.fixture
def theirs(tiny: Make) -> Callable[..., Any]:
    """transformers' encoder in Nyström mode, with the weights that `make("Model")` has."""

    def build(source: Any, length: int = 64, **options: Any) -> Any:
        config = transformers.NystromformerConfig(
            vocab_size=99,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=48,
            max_position_embeddings=256,
            num_landmarks=8,
            conv_kernel_size=5,
            segment_means_seq_len=length,
            **options,
        )
        model = transformers.NystromformerModel(config).eval()
        model.load_state_dict(source.state_dict(), strict=False)
        return model

    return build


def package(m: int = 8) -> Any:
    torch.manual_seed(0)
    return NystromAttention(32, 8, 4, num_landmarks=m, residual_conv_kernel=5).eval()


def ours_of(module: Any, x: torch.Tensor, m: int = 8, mask: torch.Tensor | None = None) -> torch.Tensor:
    """The same weights through our op."""
    query, key, value = module.to_qkv(x).unflatten(-1, (3, 4, 8)).permute(2, 0, 3, 1, 4).unbind(0)
    context = ops.nystrom_attention(query, key, value, num_landmarks=m, mask=mask, conv_weight=module.res_conv.weight)
    return module.to_out(context.transpose(1, 2).flatten(2))


@torch.no_grad()
def test_another_length_than_the_configured_one(make: Make, theirs: Make) -> None:
    ours, ids = make("Model"), torch.randint(2, 99, (2, 60))
    assert ours(ids)[0].shape == (2, 60, 32)
    with pytest.raises(RuntimeError, match="invalid for input of size"):
        theirs(ours)(ids)


@torch.no_grad()
def test_half_the_configured_length_mixes_documents(make: Make, theirs: Make) -> None:
    ours = make("Model")
    ids = torch.randint(2, 99, (2, 32))
    changed = torch.stack([ids[0], torch.randint(2, 99, (32,))])
    mixing = theirs(ours)
    assert (mixing(ids)[0][0] - mixing(changed)[0][0]).abs().max() > 1e-3
    assert torch.equal(ours(ids)[0][0], ours(changed)[0][0])


@torch.no_grad()
def test_the_package_attends_to_its_own_padding() -> None:
    module, x = package(), torch.randn(1, 50, 32)
    mask = torch.ones(1, 50, dtype=torch.bool)
    assert (module(x) - module(x, mask=mask)).abs().max() > 1e-3
    torch.testing.assert_close(ours_of(module, x), ours_of(module, x, mask=mask))


@torch.no_grad()
def test_a_padded_batch(make: Make, theirs: Make) -> None:
    ours = make("Model")
    ids = torch.randint(2, 99, (2, 64))
    mask = torch.arange(64) < torch.tensor([[64], [40]])
    torch.testing.assert_close(ours(ids, mask)[0][1, :40], ours(ids[1:, :40])[0][0], rtol=1e-5, atol=1e-5)
    with pytest.raises(RuntimeError, match="size of tensor"):
        theirs(ours)(ids, mask)
    module, x = package(), torch.randn(1, 40, 32)
    padded = torch.nn.functional.pad(x, (0, 0, 0, 24))
    assert (module(padded, mask=mask[1:])[:, :40] - module(x)).abs().max() > 1e-3
    torch.testing.assert_close(ours_of(module, padded, mask=mask[1:])[:, :40], ours_of(module, x), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_masked_content_leaks(make: Make, theirs: Make) -> None:
    ours = make("Model", attention_mode="softmax")
    other = theirs(ours, length=8)  # softmax mode, the one that takes a mask
    mask = torch.arange(64)[None] < 40
    ids = torch.randint(2, 99, (1, 64))
    changed = torch.where(mask, ids, 98 - ids.clamp(max=96))
    before, after = (other(x, mask)[0][:, :40] for x in (ids, changed))
    assert (before - after).abs().max() > 1e-3, "the convolution is not masked"
    assert torch.equal(ours(ids, mask)[0], ours(changed, mask)[0])


@torch.no_grad()
def test_batch_mates(make: Make, theirs: Make) -> None:
    ours, ids = make("Model"), torch.randint(2, 99, (8, 64))
    other = theirs(ours)
    assert (other(ids)[0][:1] - other(ids[:1])[0]).abs().max() > 1e-3
    torch.testing.assert_close(ours(ids)[0][:1], ours(ids[:1])[0], rtol=1e-5, atol=1e-5)
    module, x = package(), torch.randn(8, 64, 32)
    x[1:] *= 8
    assert (module(x)[:1] - module(x[:1])).abs().max() > 1e-4
    torch.testing.assert_close(ours_of(module, x)[:1], ours_of(module, x[:1]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_half_precision_weights(make: Make, theirs: Make, dtype: torch.dtype) -> None:
    ours, ids = make("Model"), torch.randint(2, 99, (1, 64))
    other = theirs(ours).to(dtype)
    assert ours.to(dtype)(ids)[0].isfinite().all()
    with pytest.raises(RuntimeError, match=r"dtype|scalar type"):
        other(ids)
    with pytest.raises(RuntimeError, match=r"dtype|scalar type"):
        package().to(dtype)(torch.randn(1, 64, 32, dtype=dtype))


@torch.no_grad()
def test_the_exact_start(make: Make, theirs: Make) -> None:
    ours, ids = make("Model", inv_coeff_init_option=True), torch.randint(2, 99, (1, 64))
    assert not torch.allclose(ours(ids)[0], make("Model")(ids)[0])
    with pytest.raises(TypeError):
        theirs(ours, inv_coeff_init_option=True)(ids)


def test_no_convolution(make: Make) -> None:
    assert make("Model", conv_kernel_size=None)(torch.randint(2, 99, (1, 50)))[0].isfinite().all()
    with pytest.raises(Exception, match="conv_kernel_size"):
        transformers.NystromformerConfig(conv_kernel_size=None)


@torch.no_grad()
def test_an_even_kernel(make: Make, theirs: Make) -> None:
    with pytest.raises(nysformer.NysformerError, match="conv_kernel_size is 4"):
        make("Model", conv_kernel_size=4)
    config = transformers.NystromformerConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48, conv_kernel_size=4
    )
    with pytest.raises(RuntimeError, match="size of tensor"):
        transformers.NystromformerModel(config).eval()(torch.randint(2, 99, (1, 64)))


@torch.no_grad()
def test_attention_dropout(make: Make, theirs: Make) -> None:
    options = {"attention_probs_dropout_prob": 0.5, "hidden_dropout_prob": 0.0}
    ours, ids = make("Model", **options), torch.randint(2, 99, (1, 64))
    other = theirs(ours, **options).train()
    assert torch.equal(other(ids)[0], other(ids)[0]), "never applied"
    ours.train()
    assert not torch.equal(ours(ids)[0], ours(ids)[0])


@torch.no_grad()
def test_attention_maps(make: Make, theirs: Make) -> None:
    ours, ids = make("Model"), torch.randint(2, 99, (1, 64))
    assert ours(ids, output_attentions=True).attentions[0].shape == (1, 4, 64, 64)
    assert theirs(ours)(ids, output_attentions=True).attentions[0].shape == (1, 4, 64, 8)


@torch.no_grad()
def test_head_masks_and_pruning(make: Make, theirs: Make) -> None:
    ours, ids = make("Model"), torch.randint(2, 99, (1, 64))
    other, heads = theirs(ours), torch.tensor([0.0, 1.0, 1.0, 1.0])
    assert not torch.allclose(ours(ids, head_mask=heads)[0], ours(ids)[0])
    assert torch.equal(other(ids, head_mask=heads)[0], other(ids)[0]), "taken and ignored"
    assert not hasattr(other, "prune_heads")
    ours.prune_heads({0: [1]})


def test_the_default_configuration() -> None:
    theirs, ours = transformers.NystromformerConfig(), nysformer.NystromformerConfig()
    assert theirs.num_landmarks == theirs.segment_means_seq_len, "softmax attention, quadratic"
    assert ours.resolved_attention_mode == "auto"
    assert ours.resolved_segment_means_seq_len != ours.num_landmarks
