"""Three tables, one sum, one norm."""

import torch

from nysformer.layers import Embeddings


def embeddings(num_positions: int | None = 12, padding_idx: int | None = 1) -> Embeddings:
    torch.manual_seed(0)
    return Embeddings(20, 8, 2, num_positions=num_positions, padding_idx=padding_idx, layer_norm_eps=1e-5, dropout=0.0)


def test_the_sum_is_normalised() -> None:
    module = embeddings()
    ids, types, positions = torch.tensor([3, 4, 3]), torch.tensor([0, 1, 0]), torch.tensor([2, 3, 4])
    tables = module.word_embeddings.weight, module.token_type_embeddings.weight, module.position_embeddings.weight
    total = tables[0][ids] + tables[1][types] + tables[2][positions]
    expected = torch.nn.functional.layer_norm(total, (8,))
    torch.testing.assert_close(module(ids, token_type_ids=types, position_ids=positions), expected)
    given = module(None, token_type_ids=types, position_ids=positions, inputs_embeds=tables[0][ids])
    torch.testing.assert_close(given, expected)
    batched = module(ids[None], token_type_ids=types[None], position_ids=positions[None])
    torch.testing.assert_close(batched[0], expected)


def test_without_positions() -> None:
    module = embeddings(num_positions=None)
    ids = torch.tensor([3, 3])
    output = module(ids, token_type_ids=torch.zeros_like(ids), position_ids=torch.tensor([2, 99]))
    assert torch.equal(output[0], output[1])


def test_the_padding_row_has_no_gradient() -> None:
    module = embeddings()
    assert not module.word_embeddings.weight[1].any()
    ids = torch.tensor([1, 5])
    module(ids, token_type_ids=torch.zeros_like(ids), position_ids=ids).square().mul(torch.arange(8.0)).sum().backward()
    gradient = module.word_embeddings.weight.grad
    assert gradient is not None
    assert not gradient[1].any()
    assert gradient[5].any()


def test_blocks_of_inference_are_the_whole() -> None:
    torch.manual_seed(0)
    module = Embeddings(10, 4, 2, num_positions=3000, padding_idx=1, layer_norm_eps=1e-5, dropout=0.0)
    ids, types, positions = torch.randint(10, (2500,)), torch.randint(2, (2500,)), torch.arange(2500)
    for given in ({"input_ids": ids}, {"input_ids": None, "inputs_embeds": torch.randn(2500, 4)}):
        expected = module(**given, token_type_ids=types, position_ids=positions).detach()
        with torch.no_grad():
            assert torch.equal(module(**given, token_type_ids=types, position_ids=positions), expected)

    seen: list[int] = []
    module.LayerNorm.register_forward_hook(lambda _module, inputs, _output: seen.append(len(inputs[0])))
    with torch.no_grad():
        module(ids, token_type_ids=types, position_ids=positions)
    assert seen == [2500]
