"""A classifier that reads the embeddings beside the last layer: the same numbers on every way through the backbone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from nysformer import NysformerError, NystromformerConfig, NystromformerForSequenceClassification, optimize

Make = Callable[..., Any]
KINDS = ["first", "mean", "attention"]
NAME = "ForSequenceClassification"


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Lengths out of order, a hole, a late start, and documents on both sides of the landmarks."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.arange(40) < torch.tensor([[7], [40], [3], [23]])
    mask[1, 5:9] = mask[3, :4] = False
    return torch.randint(2, 99, (4, 40), generator=generator), mask


def reader(make: Make, kind: str = "mean", **changes: Any) -> Any:
    model = make(NAME, classifier_pooling=kind, classifier_layers="first+last", **changes).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for pooling in (model.embedding_pooling, model.pooling):
            if pooling.query is not None:
                pooling.query.normal_(generator=generator)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_classifier_reads(make: Make, batch: tuple[Tensor, Tensor], kind: str) -> None:
    model = reader(make, kind)
    ids, mask = batch
    states = model.nystromformer(ids, mask, output_hidden_states=True).hidden_states
    rows = []
    for embedded, last, real in zip(states[0], states[-1], mask, strict=True):
        for tokens, pooling in ((embedded[real], model.embedding_pooling), (last[real], model.pooling)):
            if pooling.query is not None:
                rows.append((tokens @ pooling.query / tokens.shape[-1] ** 0.5).softmax(0) @ tokens)
            else:
                rows.append(tokens[0] if kind == "first" else tokens.mean(0))
    features = model.features(ids, mask)
    torch.testing.assert_close(features, torch.stack(rows).view(4, 64), rtol=1e-12, atol=1e-12)
    assert torch.equal(model.classifier(features), model(ids, mask).logits)
    assert model.classifier.dense.weight.shape == (64, 64)
    assert model.classifier.out_proj.weight.shape[1] == 64


@pytest.mark.parametrize("kind", KINDS)
def test_a_hooked_backbone_gives_the_same_and_no_more(make: Make, batch: tuple[Tensor, Tensor], kind: str) -> None:
    model = reader(make, kind)

    def run() -> tuple[Any, list[Tensor]]:
        model.zero_grad()
        output = model(*batch, labels=torch.tensor([0, 1, 2, 0]))
        output.loss.backward()
        return output, [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    packed, gradients = run()
    handle = model.nystromformer.register_forward_hook(lambda *_: None)
    hooked, same = run()
    handle.remove()
    assert hooked.hidden_states is packed.hidden_states is None
    assert hooked.keys() == packed.keys()
    torch.testing.assert_close(hooked.logits, packed.logits, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(same, gradients, rtol=1e-9, atol=1e-12)


def test_gradients_of_a_returned_embedding_hold_the_heads_part(make: Make, batch: tuple[Tensor, Tensor]) -> None:
    """The weights for the last layer are zero, so that all gradients come by way of the embeddings."""
    model = reader(make)
    with torch.no_grad():
        model.classifier.dense.weight[:, 32:] = 0
    output = model(*batch, output_hidden_states=True)
    output.hidden_states[0].retain_grad()
    output.logits.sum().backward()
    gradient = output.hidden_states[0].grad
    assert gradient is not None
    assert gradient[batch[1]].any(dim=-1).all()
    assert not gradient[~batch[1]].any()


@pytest.mark.parametrize("changes", [{"long_layers": True}, {"attention_mode": "softmax"}, {"pruned_heads": {0: [1]}}])
@pytest.mark.parametrize(("dtype", "quantize"), [("float32", None), ("bfloat16", None), ("float32", "int8")])
@torch.no_grad()
def test_optimized(
    make: Make,
    batch: tuple[Tensor, Tensor],
    changes: dict[str, Any],
    dtype: Literal["float32", "bfloat16"],
    quantize: Literal["int8"] | None,
) -> None:
    model = reader(make, **changes).float()
    try:
        fast = optimize(model, dtype=dtype, quantize=quantize)
    except NysformerError:
        pytest.skip("not a precision of this machine")
    features, mask = fast.features(*batch).float(), batch[1][..., None]
    states = fast.nystromformer(*batch, output_hidden_states=True).hidden_states
    own = torch.cat([(state.float() * mask).sum(1) / mask.sum(1) for state in (states[0], states[-1])], dim=-1)
    bound = 1e-5 if dtype == "float32" else 2e-2
    torch.testing.assert_close(features, own, rtol=0, atol=bound)
    # Beside the plain model's, the embeddings are no product: only the dtype rounds them.
    compared = 64 if (dtype, quantize) == ("float32", None) else 32
    torch.testing.assert_close(features[:, :compared], model.features(*batch)[:, :compared], rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(make: Make, labelled: Make, dtype: torch.dtype) -> None:
    for kind in KINDS:
        output = reader(make, kind).to(dtype)(**labelled(NAME, 2, 30))
        output.loss.backward()
        assert output.logits.dtype == dtype
        assert output.loss.isfinite()


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded(make: Make, batch: tuple[Tensor, Tensor], tmp_path: Path, kind: str) -> None:
    model = reader(make, kind).float()
    model.save_pretrained(tmp_path)
    again = NystromformerForSequenceClassification.from_pretrained(tmp_path)
    assert again.config.classifier_layers == "first+last"
    assert ("embedding_pooling.query" in again.state_dict()) == (kind == "attention")
    assert torch.equal(again(*batch).logits, model(*batch).logits)


def test_the_published_head_has_no_more_weights(make: Make) -> None:
    model = make(NAME)
    assert NystromformerConfig().classifier_layers == "last"
    assert model.embedding_pooling is None
    assert model.classifier.dense.weight.shape == (32, 32)


def test_only_a_head_that_reads_them_keeps_the_embeddings(make: Make, batch: tuple[Tensor, Tensor]) -> None:
    inputs = dict.fromkeys(
        ("token_type_ids", "position_ids", "inputs_embeds", "output_attentions", "output_hidden_states", "head_mask")
    )
    for model, kept in ((reader(make), True), (make(NAME), False), (make("ForMaskedLM"), False)):
        states = model._run_backbone(input_ids=batch[0], attention_mask=batch[1], **inputs)
        assert (states.embedded is not None) == kept
        assert states.hidden_states is None


def test_multiple_choice_refuses(make: Make) -> None:
    with pytest.raises(NysformerError, match="classifier_layers is 'first\\+last', and multiple choice reads the last"):
        make("ForMultipleChoice", classifier_layers="first+last")
