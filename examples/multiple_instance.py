"""A multiple-instance learner: bags with one label each, the model finds the patches that made it.

Run: python examples/multiple_instance.py [heat_map.png]
"""

import sys

import torch
from torch import Tensor, nn

from nysformer import NystromAttention

FEATURES, SIDE = 32, 24  # a training bag is an image of 24 x 24 patches; the one at the end has 224 x 224


class BagClassifier(nn.Module):
    """A class token in front of the patches, one attention layer, a label from the class token."""

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(FEATURES, dim), nn.GELU())
        self.token = nn.Parameter(torch.randn(1, 1, dim))
        self.norm = nn.LayerNorm(dim)
        self.attention = NystromAttention(dim, dim_head=16, heads=2, num_landmarks=32, residual_conv_kernel=9)
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2))

    def forward(self, bags: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, N, features) and (B, N), True where a patch is real, to logits (B, 2)."""
        x = self.with_token(bags)
        mask = None if mask is None else nn.functional.pad(mask, (1, 0), value=True)
        x = x + self.attention(self.norm(x), mask)
        return self.head(x[:, 0])

    def heat(self, bag: Tensor) -> Tensor:
        """What the class token attends to: (N, features) to (N,). One row, O(N M), not the N x N map."""
        rows = self.attention.attention_rows(self.norm(self.with_token(bag[None])), rows=[0])
        return rows[0, :, 0, 1:].mean(dim=0)

    def with_token(self, bags: Tensor) -> Tensor:
        return torch.cat([self.token.expand(len(bags), -1, -1), self.embed(bags)], dim=1)


def make_bag(label: int, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noise patches (N, features); with label 1 a disc of 3% of them is moved. Also where that disc is, (N,)."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    centre = side * (0.2 + 0.6 * torch.rand(2, generator=generator))
    inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < 0.03 * side**2 / 3.14
    disc = inside.flatten() & bool(label)
    bag = torch.randn(side * side, FEATURES, generator=generator)
    bag[disc, :4] += 3
    return bag, disc


def batch(size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Bags of different sizes, padded: (B, N, features), (B, N), (B,)."""
    labels = torch.arange(size) % 2
    sides = torch.randint(SIDE // 2, SIDE + 1, (size,), generator=generator).tolist()
    bags = [make_bag(int(label), side, generator)[0] for label, side in zip(labels, sides, strict=True)]
    mask = nn.utils.rnn.pad_sequence([torch.ones(len(bag), dtype=torch.bool) for bag in bags], batch_first=True)
    return nn.utils.rnn.pad_sequence(bags, batch_first=True), mask, labels


def main() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = BagClassifier()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(1, 81):
        bags, mask, labels = batch(16, generator)
        loss = nn.functional.cross_entropy(model(bags, mask), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            print(f"step {step}: loss {loss.item():.3f}")

    model.eval()
    with torch.no_grad():
        bags, mask, labels = batch(64, generator)
        right = (model(bags, mask).argmax(dim=1) == labels).float().mean()
        large, disc = make_bag(1, 224, generator)
        probability = model(large[None]).softmax(dim=1)[0, 1]
        heat = model.heat(large)
    print(f"64 new bags: {right:.1%} right")
    print(f"a bag of {len(large):,} patches: P(label 1) = {probability:.3f}")
    top = heat.topk(int(disc.sum())).indices
    share = disc[top].float().mean()
    print(f"{disc.sum():,} of its patches made the label; of the {len(top):,} most attended {share:.1%} did")
    if len(sys.argv) > 1:
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(1, 2, figsize=(8, 4), layout="constrained")
        panels = {"what made the label": disc.float(), "what the class token attends to": heat}
        for axis, (title, values) in zip(axes, panels.items(), strict=True):
            axis.imshow(values.view(224, 224), cmap="magma", vmin=0, vmax=float(values.quantile(0.995)))
            axis.set_title(title)
            axis.axis("off")
        figure.savefig(sys.argv[1], dpi=60)


if __name__ == "__main__":
    main()
