"""Hidden states of token sequences, in batches of like length under a budget of real tokens.

Shapes: B batch, N padded length, P tokens of a sequence, D hidden size.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from nysformer.data.batches import TokenBudgetBatchSampler
from nysformer.errors import NysformerError
from nysformer.inference.runner import is_out_of_memory
from nysformer.models import NystromformerPreTrainedModel

__all__ = ["hidden_states"]


def hidden_states(
    model: NystromformerPreTrainedModel,
    sequences: Sequence[Sequence[int]],
    token_types: Sequence[Sequence[int] | None],
    tokens_per_batch: int,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The encoder's last hidden states, batch by batch, so that memory holds those of one batch.

    Args:
        model: an encoder, in evaluation mode, on the device it is to run on.
        sequences: token ids, special ones included; none is empty.
        token_types: of each; None where all are 0.
        tokens_per_batch: real tokens per batch; a longer sequence gets its own batch.

    Returns:
        The number of a sequence and its states, (P, D) float32, on the CPU; every sequence once, in any order.

    Raises:
        NysformerError: while reading, if the memory does not suffice or the states are not finite numbers.
    """
    if not sequences:
        return
    sampler = TokenBudgetBatchSampler([len(ids) for ids in sequences], tokens_per_batch, shuffle=False)
    for batch in sampler:
        ids = pad_sequence([torch.tensor(sequences[place]) for place in batch], batch_first=True)
        lengths = torch.tensor([len(sequences[place]) for place in batch])
        arguments = {"input_ids": ids, "attention_mask": torch.arange(ids.shape[1]) < lengths[:, None]}
        if any(token_types[place] is not None for place in batch):
            types = [torch.tensor(token_types[place] or [0] * len(sequences[place])) for place in batch]
            arguments["token_type_ids"] = pad_sequence(types, batch_first=True)
        try:
            with torch.inference_mode():
                output = model(**{name: value.to(model.device) for name, value in arguments.items()})
            states = output.last_hidden_state.float().cpu()
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise NysformerError(
                f"not enough memory for a batch of {len(batch)} sequences, the longest of {ids.shape[1]:,} tokens; "
                "lower tokens_per_batch or max_length"
            ) from error
        if not states.isfinite().all():
            raise NysformerError(
                "the model's hidden states are not finite numbers: its weights are broken; train it again"
            )
        for place, row in zip(batch, states.numpy(), strict=True):
            yield place, row[: len(sequences[place])]
