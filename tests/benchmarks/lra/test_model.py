"""The two attentions share everything else; batch mates change nothing; pooling is what its name says."""

import pytest
import torch

from benchmarks.lra.dropout import Dropout
from benchmarks.lra.model import Attention, Classifier, ModelSize, Pooling
from benchmarks.lra.schedule import rate
from nysformer.ops import Layout


def model(attention: Attention = "nystrom", pooling: Pooling = "mean", convolution: int | None = 5) -> Classifier:
    torch.manual_seed(0)
    size = ModelSize(7, 64, 3, attention, landmarks=8, convolution=convolution, pooling=pooling, width=16)
    made = Classifier(size).eval()
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return made


def test_the_paper_size() -> None:
    weights = {name: tuple(weight.shape) for name, weight in Classifier(ModelSize(15, 2000)).named_parameters()}
    assert weights["positions.weight"] == (2000, 64)
    assert weights["blocks.1.attention.conv.weight"] == (2, 1, 35, 1)
    assert weights["blocks.1.widen.weight"] == (128, 64)
    assert "blocks.2.widen.weight" not in weights


def test_the_twins_have_the_same_weights_and_agree_where_landmarks_are_all_tokens() -> None:
    nystrom, softmax = model("nystrom"), model("softmax")
    assert nystrom.state_dict().keys() == softmax.state_dict().keys()
    tokens, short, long = torch.randint(7, (40,)), Layout([8]), Layout([40])
    with torch.no_grad():
        assert torch.allclose(nystrom(tokens[:8], short), softmax(tokens[:8], short), atol=1e-6)
        assert not torch.allclose(nystrom(tokens, long), softmax(tokens, long), atol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "padded", "first"])
def test_batch_mates_change_nothing(pooling: Pooling) -> None:
    made, tokens = model(pooling=pooling), torch.randint(7, (60,))
    together = made(tokens, Layout([20, 40]))
    alone = [made(part, Layout([len(part)])) for part in tokens.split([20, 40])]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_pooling() -> None:
    tokens, layout = torch.randint(7, (30,)), Layout([30])
    states = model().encode(tokens, layout)
    for pooling, pooled in (("mean", states.mean(0)), ("padded", states.sum(0) / 64), ("first", states[0])):
        made = model(pooling=pooling)  # type: ignore[arg-type]
        expected = made.output(torch.relu(made.hidden(pooled)))
        assert torch.allclose(made(tokens, layout)[0], expected, atol=1e-5)


def test_without_convolution() -> None:
    assert not any("conv" in name for name in model(convolution=None).state_dict())


def test_dropout_drops_its_share_and_its_gradient() -> None:
    dropout, x = Dropout(0.1), torch.ones(100_001, requires_grad=True)
    out = dropout(x)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    dropped = (out == 0).double().mean().item()
    assert abs(dropped - 0.1) < 0.005  # five standard errors
    assert out.max().item() == pytest.approx(1 / 0.9, abs=1e-4)
    assert torch.equal(gradient, out)
    assert not torch.equal(dropout(x), out)
    assert dropout.eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_the_rate_rises_and_falls() -> None:
    rates = [rate(step, 20, 5) for step in range(20)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[-1] == pytest.approx(1 / 15)
    assert rate(0, 1, 0) == 1.0
