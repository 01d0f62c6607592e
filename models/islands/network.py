"""The network: a candidate and the islands around it attend to each other (Vaswani et al. 2017, arXiv:1706.03762)."""

import torch
from torch import Tensor, nn

from models.islands.dataset import COLUMNS
from stream.kernels.context import PIXELS_OF

INNER, HEADS, LAYERS, DROPOUT = 64, 4, 2, 0.1
NOISE_EV = 25.55  # 7 electrons of 3.65 eV: where the logarithm of an energy begins to be one
FACTS = COLUMNS + 2 + 2 * PIXELS_OF
SCALE_PX = 100.0
BLUNT = 0.005  # pixels^2, half the difference of the axes' variances: below, an island has no direction
DERIVED = 28


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
    cos, sin = _axis(half_difference / spread, xy / spread)
    blunt = spread < BLUNT
    along = torch.where(blunt, r * 0.5**0.5, (x * cos + y * sin).abs())
    across = torch.where(blunt, r * 0.5**0.5, (x * sin - y * cos).abs())
    ends = [_away(left, low), _away(right, high), _away(left, high), _away(right, low)]
    rising = xy >= 0  # which diagonal of its extent the island lies along
    one, two = torch.where(rising, ends[0], ends[2]), torch.where(rising, ends[1], ends[3])
    gap = _away(torch.maximum(left, -right).clamp_min(0), torch.maximum(low, -high).clamp_min(0))
    beyond = along - length / 2  # its end, along the axis
    wide = ((mean_x - x) * x + (mean_y - y) * y) / r  # away from the candidate lies the end whose charge spread more
    facts = (
        x / SCALE_PX, y / SCALE_PX, double, across / (length + r), along / (length + r), 1 / (1 + r / 10),
        torch.log1p(r), torch.log1p(gap), torch.log1p(torch.minimum(one, two)), torch.log1p(torch.maximum(one, two)),
        torch.log1p(along), torch.log1p(across), torch.log1p(along / length), torch.log1p(across / length),
        torch.log(length), torch.log(width), torch.log(length / width), torch.log1p(pixels), logarithm(energy) / 4,
        logarithm(peak) / 4, logarithm(energy / pixels.clamp_min(1)) / 4, logarithm(energy / length) / 4, same, track,
        torch.sign(beyond) * torch.log1p(beyond.abs()), across / (beyond.abs() + width), wide / (wide.abs() + 0.1),
        wide / (wide.abs() + 0.02 * length),
    )  # fmt: skip
    return torch.stack(facts, dim=-1)


def _axis(cos2: Tensor, sin2: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of half an angle; the larger by the root, the other from it: no difference near 0."""
    one, two = (torch.sqrt((1 + sign * cos2).clamp_min(0.5) / 2) for sign in (1, -1))
    steep = cos2 < 0
    return torch.where(steep, sin2 / (2 * two), one), torch.where(steep, two, sin2 / (2 * one))


def _away(x: Tensor, y: Tensor) -> Tensor:
    return torch.sqrt(x * x + y * y)  # ONNX has no hypot


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
    candidate_mean: Tensor
    candidate_deviation: Tensor
    island_mean: Tensor
    island_deviation: Tensor

    def __init__(self, width: int = INNER, heads: int = HEADS, layers: int = LAYERS, dropout: float = DROPOUT) -> None:
        super().__init__()
        for name, size in (("candidate", FACTS), ("island", DERIVED)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_deviation", torch.ones(size))
        self.of_candidate = nn.Sequential(
            nn.Linear(FACTS, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, width),
        )
        self.of_island = nn.Sequential(nn.Linear(DERIVED, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.end = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))
        self.register_buffer("shift", torch.zeros(()))  # from the share of particles in training to that in the stream

    def forward(self, candidate: Tensor, around: Tensor, known: Tensor) -> Tensor:
        """Return logits (n,) of candidate (n, 31), around (n, k, 16), known (n, k): CANDIDATE, ISLAND, 1 or 0."""
        facts = (facts_of(candidate, known) - self.candidate_mean) / self.candidate_deviation
        islands = (shape_of(around) - self.island_mean) / self.island_deviation
        x = torch.cat([self.of_candidate(facts)[:, None], self.of_island(islands)], dim=1)
        seen = torch.cat([torch.ones_like(known[:, :1]), known], dim=1)
        hidden = ((seen - 1) * 1e4)[:, None, None]
        for block in self.blocks:
            x = block(x, hidden)
        return self.end(x[:, 0])[:, 0] + self.shift

    def scale_to(self, candidate: Tensor, around: Tensor, known: Tensor) -> None:
        """Take mean and spread of what goes in from candidates to learn from; they belong to the weights."""
        for name, values in (
            ("candidate", facts_of(candidate, known)),
            ("island", shape_of(around)[known > 0]),
        ):
            getattr(self, f"{name}_mean").copy_(values.mean(dim=0))
            getattr(self, f"{name}_deviation").copy_(values.std(dim=0).clamp_min(1e-3))


def facts_of(candidate: Tensor, known: Tensor) -> Tensor:
    """Return what is known of candidates, (n, FACTS), of columns CANDIDATE (n, 31) and the islands around (n, k).

    The pixels three times: over all decades, as shares of the event, and how they rise from the noise: a wide cloud
    leaks into neighbours, tracks of electrons do not fall into the shapes of clouds.
    """
    energy, rest, pixels = candidate[:, :1], candidate[:, 1:6], candidate[:, 6:]
    facts = [torch.log(energy / 1000), (energy / 10_000) ** 2, rest, known.sum(1, True)]
    return torch.cat([*facts, logarithm(pixels), pixels / energy, (pixels / NOISE_EV).clamp(-4, 8)], dim=1)
