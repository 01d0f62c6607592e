"""The network: a candidate and the islands around it attend to each other (Vaswani et al. 2017, arXiv:1706.03762)."""

import torch
from torch import Tensor, nn

from models.islands.dataset import COLUMNS

FIRST, HEADS, LAYERS, DROPOUT = 64, 4, 2, 0.1
NOISE_EV = 25.55  # 7 electrons of 3.65 eV: where the logarithm of an energy begins to be one
SCALE_PX = 100.0
DERIVED = 26


def logarithm(energy_ev: Tensor) -> Tensor:
    """Return the logarithm of energies, linear within the noise, with the sign of the energy."""
    return torch.sign(energy_ev) * torch.log1p(energy_ev.abs() / NOISE_EV)


def shape_of(around: Tensor) -> Tensor:
    """Return what is known of each island as the candidate sees it, (n, k, DERIVED), of columns ISLAND (n, k, 16).

    Beside size and charge: how far it is, how its long axis lies to the candidate, and how far its ends are.
    """
    x, y, mean_x, mean_y, xx, yy, xy, energy, peak, pixels, left, right, low, high, same, track = around.unbind(-1)
    r2 = x * x + y * y
    r = torch.sqrt(r2 + 0.01)
    half_sum, half_difference = (xx + yy) / 2, (xx - yy) / 2
    spread = torch.sqrt(half_difference**2 + xy**2 + 1e-6)
    length = torch.sqrt(12 * (half_sum + spread) + 1)
    width = torch.sqrt(12 * (half_sum - spread).clamp_min(0) + 1)
    double = (half_difference * (x * x - y * y) + 2 * xy * x * y) / (spread * (r2 + 0.01))  # cos of twice the angle
    along = r * torch.sqrt((1 + double).clamp_min(0) / 2)
    across = r * torch.sqrt((1 - double).clamp_min(0) / 2)
    ends = [torch.hypot(left, low), torch.hypot(right, high), torch.hypot(left, high), torch.hypot(right, low)]
    rising = xy >= 0  # which diagonal of its extent the island lies along
    one, two = torch.where(rising, ends[0], ends[2]), torch.where(rising, ends[1], ends[3])
    wide = (
        (mean_x - x) * x + (mean_y - y) * y
    ) / r  # towards the end whose charge spread more, seen from the candidate
    gap = torch.hypot(torch.maximum(left, -right).clamp_min(0), torch.maximum(low, -high).clamp_min(0))
    facts = (
        x / SCALE_PX, y / SCALE_PX, double, across / (length + r), along / (length + r), 1 / (1 + r / 10),
        torch.log1p(r), torch.log1p(gap), torch.log1p(torch.minimum(one, two)), torch.log1p(torch.maximum(one, two)),
        torch.log1p(along), torch.log1p(across), torch.log1p(along / length), torch.log1p(across / length),
        torch.log(length), torch.log(width), torch.log(length / width), torch.log1p(pixels), logarithm(energy) / 4,
        logarithm(peak) / 4, logarithm(energy / pixels.clamp_min(1)) / 4, logarithm(energy / length) / 4, same, track,
        wide, wide / length,
    )  # fmt: skip
    return torch.stack(facts, dim=-1)


class Block(nn.Module):
    """Attention of all to all that are known, then a step for each; both beside what was there."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.step = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return x (n, k, width) one step on; hidden (n, 1, 1, k): large and negative where nothing is known."""
        n, k, width = x.shape
        parts = self.ask(self.before(x)).reshape(n, k, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        weight = (parts[0] @ parts[1].transpose(2, 3)) * (width // self.heads) ** -0.5 + hidden
        seen = (torch.softmax(weight, dim=-1) @ parts[2]).transpose(1, 2).reshape(n, k, width)
        x = x + self.drop(self.join(seen))
        return x + self.drop(self.step(self.after(x)))


class IslandNet(nn.Module):
    """Candidates and what is around them -> the logit that a particle made them."""

    shift: Tensor

    def __init__(self, width: int = FIRST, heads: int = HEADS, layers: int = LAYERS, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.of_candidate = nn.Sequential(nn.Linear(COLUMNS + 2, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.of_island = nn.Sequential(nn.Linear(DERIVED, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.end = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.register_buffer("shift", torch.zeros(()))  # from the share of particles in training to that in the stream

    def forward(self, candidate: Tensor, around: Tensor, known: Tensor) -> Tensor:
        """Return logits (n,) of candidate (n, 31), around (n, k, 16), known (n, k): CANDIDATE, ISLAND, 1 or 0."""
        energy, rest, pixels = candidate[:, :1], candidate[:, 1:6], logarithm(candidate[:, 6:])
        facts = torch.cat(
            [torch.log(energy / 1000), (energy / 10_000) ** 2, rest, pixels / 4, known.sum(1, True) / 10], 1
        )
        x = torch.cat([self.of_candidate(facts)[:, None], self.of_island(shape_of(around))], dim=1)
        seen = torch.cat([torch.ones_like(known[:, :1]), known], dim=1)
        hidden = ((seen - 1) * 1e4)[:, None, None]
        for block in self.blocks:
            x = block(x, hidden)
        return self.end(x[:, 0])[:, 0] + self.shift
