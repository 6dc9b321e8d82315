"""Three documents of different length in one padded batch: transformers' Nyströmformer, then ours."""

import torch
import transformers

import nysformer

size = {"vocab_size": 1000, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
linear = {"max_position_embeddings": 512, "num_landmarks": 64, "segment_means_seq_len": 512}  # landmarks on
mask = (torch.arange(512) < torch.tensor([[100], [333], [512]])).long()
input_ids = torch.randint(2, 1000, (3, 512)) * mask + (1 - mask)  # 1 is the padding token

for library in (transformers, nysformer):
    model = library.NystromformerModel(library.NystromformerConfig(**size, **linear)).eval()
    try:
        batch = model(input_ids, attention_mask=mask).last_hidden_state
        alone = model(input_ids[1:2, :333]).last_hidden_state
        print(f"{library.__name__}: {tuple(batch.shape)}, off by {(batch[1, :333] - alone).abs().max():.1e} when alone")
    except RuntimeError as error:
        print(f"{library.__name__}: RuntimeError: {error}")
