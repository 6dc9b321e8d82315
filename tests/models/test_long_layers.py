"""Documents that are read through landmarks have layers of their own; those of softmax attention never meet them."""

import copy
import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nysformer import NystromformerConfig, NystromformerForMaskedLM, NystromformerModel, optimize
from nysformer.checkpoints.load import load_model
from nysformer.errors import NysformerError
from nysformer.models.exact import with_softmax_attention

LENGTHS = (15, 100, 20, 60)
SHORT, LONG = [0, 2], [1, 3]


def new_model(**settings: object) -> NystromformerModel:
    torch.manual_seed(0)
    usual: dict[str, object] = {
        "vocab_size": 60,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 128,
        "num_landmarks": 8,
        "softmax_max_length": 20,
        "attention_mode": "auto",
        "initializer_range": 0.3,
        "conv_kernel_size": None,
    }
    return NystromformerModel(NystromformerConfig(**usual | settings)).eval()


def give_offsets(model: NystromformerModel) -> NystromformerModel:
    """Long layers that differ from the others."""
    model.add_long_layers()
    assert model.encoder.long_layer is not None
    with torch.no_grad():
        for parameter in model.encoder.long_layer.parameters():
            parameter.normal_(std=0.1)
    return model


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Ids and mask of two short documents and two long ones; token 20 is the last that softmax attention reads."""
    ids = torch.randint(3, 60, (len(LENGTHS), max(LENGTHS)), generator=torch.Generator().manual_seed(0))
    return ids, torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]


@torch.no_grad()
def test_nothing_changes_until_they_are_trained_and_short_documents_never_do(batch: tuple[Tensor, Tensor]) -> None:
    model = new_model()
    before = model(*batch)[0]
    model.add_long_layers()
    assert torch.equal(model(*batch)[0], before)
    after = give_offsets(new_model())(*batch)[0]
    assert torch.equal(after[SHORT], before[SHORT])
    assert ((after[LONG] - before[LONG]).abs().amax(dim=(1, 2)) > 0.1).all()


@torch.no_grad()
def test_a_document_does_not_depend_on_its_batch_mates(batch: tuple[Tensor, Tensor]) -> None:
    model = give_offsets(new_model())
    ids, mask = batch
    together = model(ids, mask)[0]
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(model(ids[row : row + 1, :length])[0][0], together[row, :length])
        assert not together[row, length:].any()


@torch.no_grad()
@pytest.mark.parametrize("settings", [{}, {"conv_kernel_size": 5}, {"attention_mode": "nystrom"}])
def test_saved_and_loaded(tmp_path: Path, batch: tuple[Tensor, Tensor], settings: dict[str, object]) -> None:
    model = give_offsets(new_model(**settings))
    model.save_pretrained(tmp_path)
    for loaded in (NystromformerModel.from_pretrained(tmp_path), load_model(tmp_path, NystromformerModel)):
        assert torch.equal(loaded(*batch)[0], model(*batch)[0])
        assert loaded.config.conv_kernel_size == model.config.conv_kernel_size


def test_transformers_users_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert "long_layers=True" in give_offsets(new_model()).config._unknown_to_transformers()


def test_a_folder_without_them_is_refused_where_the_configuration_names_them(tmp_path: Path) -> None:
    model = new_model()
    model.config.long_layers = True
    model.save_pretrained(tmp_path)
    with pytest.raises(NysformerError, match=r"weights do not match its config\.json"):
        load_model(tmp_path, NystromformerModel)


@torch.no_grad()
def test_other_forms_give_the_same_numbers(batch: tuple[Tensor, Tensor]) -> None:
    model = give_offsets(new_model())
    expected = model(*batch)[0]
    outputs = model(*batch, output_attentions=True, output_hidden_states=True)
    torch.testing.assert_close(outputs[0], expected)
    assert [tuple(each.shape) for each in outputs.attentions] == [(4, 4, 100, 100)] * 2
    sums = outputs.attentions[0].sum(dim=-1)
    torch.testing.assert_close(sums[SHORT], batch[1][SHORT, None].float().expand(2, 4, 100))
    exported = torch.export.export(model, batch, strict=False).module()
    torch.testing.assert_close(exported(*batch)[0], expected)
    for other in (optimize(model, dtype="float32"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(other(*batch)[0], expected, rtol=1e-4, atol=1e-5)


def test_heads_are_pruned_in_both(batch: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    model = give_offsets(new_model(conv_kernel_size=5))
    head_mask = torch.ones(2, 4)
    head_mask[0, 1] = 0
    expected = model(*batch, head_mask=head_mask)[0]
    model.prune_heads({0: [1]})
    torch.testing.assert_close(model(*batch)[0], expected)
    model.save_pretrained(tmp_path)
    assert torch.equal(load_model(tmp_path, NystromformerModel)(*batch)[0], model(*batch)[0])


def test_gradients_reach_the_layers_of_either_kind(batch: tuple[Tensor, Tensor]) -> None:
    ids, mask = batch
    model = give_offsets(new_model())
    assert model.encoder.long_layer is not None
    projections = (model.encoder.long_layer[0].output.dense, model.encoder.layer[0].output.dense)
    model(ids[SHORT], mask[SHORT])[0].square().sum().backward()
    assert projections[0].weight.grad is None
    assert projections[1].weight.grad is not None
    model.zero_grad()
    model(ids, mask)[0].square().sum().backward()
    assert all(each.weight.grad is not None for each in projections)


@torch.no_grad()
def test_the_exact_encoder_stays_inside(batch: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    model = give_offsets(new_model())
    expected = new_model(attention_mode="softmax")(*batch)[0]
    torch.testing.assert_close(with_softmax_attention(model)(*batch)[0], expected)
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path, NystromformerModel, attention_mode="softmax")
    torch.testing.assert_close(loaded(*batch)[0], expected)


def test_a_head_model_has_them_too(batch: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    config = give_offsets(new_model()).config
    model = NystromformerForMaskedLM(config).eval()
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert torch.equal(loaded(*batch).logits, model(*batch).logits)


@pytest.mark.parametrize(("settings", "line"), [({"attention_mode": "softmax"}, "reads documents of any length alike")])
def test_refused_where_no_document_is_long(settings: dict[str, object], line: str) -> None:
    with pytest.raises(NysformerError, match=line):
        new_model(**settings).add_long_layers()


def test_refused_twice() -> None:
    with pytest.raises(NysformerError, match="already"):
        give_offsets(new_model()).add_long_layers()
