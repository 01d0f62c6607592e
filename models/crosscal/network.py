"""The emulator: theta and kT -> what a fit makes of kT, its error, and the gradient of it.

Without a modification there is no bias. For families with amplitudes a (the factor is 1 where they are 0) the network
is therefore f = sum_j a_j g_j(theta, ln kT), which any smooth f with f(a = 0) = 0 is (Hadamard's lemma): exact at 0,
and g is nearly flat in a. The gradient goes backwards through the layers by hand, so it is part of any export.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

HEADS: Final = 2  # kt_fit, kt_modified
SMALLEST: Final = 1e-30  # of what has a logarithm
LEAST_UNIT: Final = 1e-3  # of ln_ratio: without noise kt_modified is kT but for the tolerance of fits
_ROOT_2: Final = float(np.sqrt(2.0))
_DENSITY: Final = float(1 / np.sqrt(2 * np.pi))


@dataclass(frozen=True, slots=True)
class Box:
    """Where an emulator is known: theta (p,) in the family's units, kT in keV; rows of theta that are amplitudes."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    kt_kev: tuple[float, float]
    amplitudes: tuple[int, ...] = ()
    logs: tuple[int, ...] = ()  # rows of theta that are seen by their logarithm

    @property
    def by_log(self) -> NDArray[np.bool_]:
        """Return what is seen by its logarithm, of theta and kT, (p + 1,)."""
        return np.isin(np.arange(len(self.low) + 1), [*self.logs, len(self.low)])

    @property
    def scale(self) -> NDArray[np.float64]:
        """Return middle and half width (2, p + 1) of theta and kT, as they are seen."""
        ends = np.array([[*self.low, self.kt_kev[0]], [*self.high, self.kt_kev[1]]])
        ends[:, self.by_log] = np.log(ends[:, self.by_log])
        return np.stack([ends.mean(axis=0), np.diff(ends, axis=0)[0] / 2])


class Emulator(nn.Module):
    """An MLP of GELUs (exact, by erf)."""

    middle: Tensor
    reach: Tensor
    by_log: Tensor
    unit: Tensor
    level: Tensor

    def __init__(self, box: Box, wide: int = 64, deep: int = 3) -> None:
        """wide, deep: of the hidden layers."""
        super().__init__()
        middle, half = box.scale
        self.box = box
        self.amplitudes = tuple(box.amplitudes)
        terms = max(len(self.amplitudes), 1)
        sizes = [len(middle), *[wide] * deep]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.ratio = nn.Linear(wide, HEADS * terms)
        self.sd = nn.Linear(wide, HEADS)
        self.register_buffer("middle", torch.from_numpy(middle))  # of theta and kT as they are seen, double
        self.register_buffer("reach", torch.from_numpy(half))
        self.register_buffer("by_log", torch.from_numpy(box.by_log))
        self.register_buffer("unit", torch.ones(HEADS))  # of ln_ratio
        self.register_buffer("level", torch.zeros(2, HEADS))  # of the logarithm of ln_sd: middle, width

    def scaled(self, theta: Tensor, kt_kev: Tensor) -> Tensor:
        """Return theta (n, p) and kT as they are seen, in -1..1, (n, p + 1); differences in double precision."""
        given = torch.cat([theta.double(), kt_kev.double()[:, None]], dim=1)
        seen = torch.where(self.by_log, torch.log(given.clamp_min(SMALLEST)), given)
        return ((seen - self.middle) / self.reach).to(self.ratio.weight.dtype)

    def weights(self, theta: Tensor) -> Tensor:
        """Return what each term is multiplied with, (n, terms): the amplitudes, of their largest."""
        if not self.amplitudes:
            return torch.ones_like(theta[:, :1]).to(self.ratio.weight.dtype)
        largest = (self.reach + self.middle.abs())[list(self.amplitudes)]
        return (theta[:, list(self.amplitudes)].double() / largest).to(self.ratio.weight.dtype)

    def forward(self, theta: Tensor, kt_kev: Tensor) -> tuple[Tensor, Tensor]:
        """Return ln_ratio (n, HEADS) and the logarithm of ln_sd (n, HEADS)."""
        return self.learn(self.scaled(theta, kt_kev), self.weights(theta))

    def learn(self, x: Tensor, by: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, of scaled inputs (n, p + 1) and weights (n, terms)."""
        for layer in self.layers:
            x = gelu(layer(x))
        terms = self.ratio(x).reshape(len(x), HEADS, -1)
        value = (terms * by[:, None]).sum(dim=2) * self.unit
        return value, self.level[0] + self.level[1] * self.sd(x)

    def hidden(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the last layer (n, wide), and of each the derivative of its GELU, (n, wide)."""
        slopes = []
        for layer in self.layers:
            z = layer(x)
            below = 0.5 * (1 + torch.erf(z / _ROOT_2))
            slopes.append(below + z * _DENSITY * torch.exp(-0.5 * z * z))
            x = z * below
        return x, slopes

    def with_gradient(self, theta: Tensor, kt_kev: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ln_ratio, ln_sd (n, HEADS), and d ln_ratio / d (theta, ln kT), (n, HEADS, p + 1)."""
        x = self.scaled(theta, kt_kev)
        h, slopes = self.hidden(x)
        by = self.weights(theta)[:, None]  # (n, 1, terms)
        terms = self.ratio(h).reshape(-1, HEADS, by.shape[2])
        wide = self.ratio.weight.reshape(HEADS, by.shape[2], -1)  # (HEADS, terms, wide)
        back = (by[..., None] * wide).sum(dim=2)
        for layer, slope in zip(reversed(self.layers), reversed(slopes), strict=True):
            back = linear(back * slope[:, None], layer.weight.T)
        stretch = torch.where(self.by_log[:-1], theta.clamp_min(SMALLEST), torch.ones_like(theta))
        stretch = torch.cat([stretch, torch.ones_like(stretch[:, :1])], dim=1) * self.reach.to(back.dtype)
        back = back / stretch[:, None]
        if self.amplitudes:
            back = back + linear(terms, self._own.T.to(back.dtype))
        ln_sd = torch.exp(self.level[0] + self.level[1] * self.sd(h))
        return (terms * by).sum(dim=2) * self.unit, ln_sd, back * self.unit[:, None]

    @property
    def _own(self) -> Tensor:
        """Return d weights / d theta, (terms, p + 1): the terms' own part of the gradient."""
        own = torch.zeros(len(self.amplitudes), len(self.reach))
        for row, j in enumerate(self.amplitudes):
            own[row, j] = 1 / (self.reach[j] + self.middle[j].abs())
        return own


def count(network: nn.Module) -> int:
    """Return how many weights there are."""
    return sum(p.numel() for p in network.parameters())


def begin(network: Emulator, ratio: NDArray[np.float64], ln_sd: NDArray[np.float64]) -> None:
    """Set the units of what is learned, by ln_ratio and ln_sd (m, HEADS) of the training."""
    logs: Any = np.log(ln_sd)
    with torch.no_grad():
        network.unit.copy_(torch.from_numpy(np.maximum(ratio.std(axis=0), LEAST_UNIT)))
        network.level.copy_(torch.from_numpy(np.stack([logs.mean(axis=0), np.maximum(logs.std(axis=0), 1e-3)])))
