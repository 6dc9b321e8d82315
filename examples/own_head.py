"""A head of one's own in 20 lines: rate a document from the mean of its tokens."""

import torch
from torch import Tensor, nn

import nysformer


class Rater(nysformer.NystromformerPreTrainedModel):
    def __init__(self, config: nysformer.NystromformerConfig) -> None:
        super().__init__(config)
        self.nystromformer = nysformer.NystromformerModel(config)
        self.score = nn.Linear(config.hidden_size, 1)
        self.post_init()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.nystromformer(input_ids, attention_mask).last_hidden_state  # zero where masked
        return self.score(hidden.sum(dim=1) / attention_mask.sum(dim=1, keepdim=True)).squeeze(-1)


config = nysformer.NystromformerConfig(vocab_size=1000, hidden_size=64, num_attention_heads=4, num_hidden_layers=2)
mask = (torch.arange(300) < torch.tensor([[300], [120]])).long()
print(Rater(config)(torch.randint(2, 1000, (2, 300)), mask).shape)
