"""The network of coronal spectra: a small residual network beside projections that the physics gives it.

What a Poisson spectrum says of temperature and density is linear in its counts: sum of counts times ln of what is
expected. The projections begin as the principal components of that logarithm, those of the denoised spectrum as the
components of its root; both are learned further. Counts are scaled by what is expected of a spectrum of so many counts
in all (`mean`), never by their own maximum.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool1d, softplus

from sim.corona.truth import KINDS
from stream.corona.posterior import COMPONENTS, ENDS, NUMBERS, PARTS

PROJECTED, DENOISED, FEATURES = 48, 48, 128
FILTERS: Final = (16, 32, 32)
PATCHES: Final = 400  # of bins, about so many, that the residual network begins with
LEAST: Final = 1e-7  # of the counts in all: of a bin that hardly anything comes to
AROUND: Final = 2  # bins to either side of a line: one FWHM of a grating
COARSE: Final = 20  # bins that are joined for a residual
SOFT: Final = 0.5  # counts: expected ones below that weigh less in a residual; `_off` is for this number only
NARROWEST: Final = 0.02  # of a component, in its unconstrained space


class Block(nn.Module):
    """Two convolutions and what came in."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm1d(wide), nn.ReLU(),
            nn.Conv1d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm1d(wide),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(n, wide, bins) -> the same shape."""
        return torch.relu(x + self.layers(x))


class Patches(nn.Conv1d):
    """Neighbouring bins as one, with more channels. Always of 32 bits.

    torch 2.13 on processors with AMX gives wrong convolutions of 16 bits where a stride of 4 divides the bins; a test
    holds the network of 16 bits against that of 32.
    """

    def __init__(self, before: int, wide: int, step: int) -> None:
        super().__init__(before, wide, step, stride=step, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, before, bins) -> (n, wide, bins // step)."""
        if not torch.is_autocast_enabled(x.device.type):
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


def trunk(bins: int) -> nn.Sequential:
    """Return the residual network: patches of bins, a quarter of them in each of two steps, then FEATURES numbers."""
    layers: list[nn.Module] = []
    before, size = 1, bins
    for wide, step in zip(FILTERS, (patch(bins), 4, 4), strict=True):
        layers += [Patches(before, wide, step), nn.BatchNorm1d(wide), nn.ReLU()]
        layers += [Block(wide)] if before > 1 else []  # not among the narrowest patches: most of the time, and no gain
        before, size = wide, size // step
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * size, FEATURES), nn.ReLU())


def patch(bins: int) -> int:
    """Return how many bins a patch has: a power of two, 4 or more, so that there are about PATCHES."""
    return int(2 ** max(round(float(np.log2(bins / PATCHES))), 2))


class CoronaNet(nn.Module):
    """Counts (n, B) -> what `forward` returns, for L lines. About 550,000 weights for 2,980 bins."""

    mean: Tensor
    offset: Tensor
    places: Tensor
    centre: Tensor
    whiten: Tensor

    def __init__(self, bins: int, places: NDArray[np.int64]) -> None:
        """places: bin of each line, (L,)."""
        super().__init__()
        lines = len(places)
        self.trunk = trunk(bins)
        self.project = nn.Linear(bins, PROJECTED, bias=False)
        self.join = nn.Sequential(
            nn.BatchNorm1d(FEATURES + 2 * PROJECTED + 1),
            nn.Linear(FEATURES + 2 * PROJECTED + 1, 192), nn.ReLU(), nn.Linear(192, FEATURES), nn.ReLU(),
        )  # fmt: skip
        self.posterior = nn.Linear(FEATURES, 2 * COMPONENTS * NUMBERS)
        self.kind = nn.Linear(FEATURES, len(KINDS))
        self.line = nn.Linear(FEATURES, lines)
        self.evidence = nn.Parameter(torch.zeros(3, lines))
        self.scores = nn.Linear(FEATURES, DENOISED)
        self.decode = nn.Linear(DENOISED, bins)
        self.register_buffer("mean", torch.full((bins,), 1.0 / bins))
        self.register_buffer("offset", torch.zeros(2))  # of log10 norm exposure / counts: middle, width
        self.register_buffer("places", torch.from_numpy(np.asarray(places, np.int64)))
        self.register_buffer("centre", torch.zeros(FEATURES))  # of the features of known spectra
        self.register_buffer("whiten", torch.eye(FEATURES))

    def features(self, counts: Tensor, total: Tensor) -> Tensor:
        """Return (n, FEATURES) of counts (n, B) and their sum (n, 1)."""
        expected = total * self.mean
        beside = self.project(counts - expected)  # their difference, since 16 bits do not hold that of two projections
        root = torch.sqrt(counts + 0.375) - torch.sqrt(expected + 0.375)
        seen = self.trunk(root[:, None])
        many = total + 1.0
        return self.join(torch.cat([seen, beside / torch.sqrt(many), 10 * beside / many, torch.log(many)], dim=1))

    def forward(self, counts: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return the mixtures (n, 2, COMPONENTS, NUMBERS), logits of kinds and of lines (n, L), expected counts, h.

        Mixtures: of one temperature, of any; PARTS of `stream.corona.posterior`. h (n, FEATURES) are the features.
        """
        total = counts.sum(dim=1, keepdim=True)
        h = self.features(counts, total)
        expected = (total + 1.0) * (self.decode(self.scores(h)) ** 2 + LEAST)
        mixtures = self.constrain(self.posterior(h).reshape(-1, 2, COMPONENTS, NUMBERS), total)
        return mixtures, self.kind(h), self.line(h) + self.local(counts, expected), expected, h

    def constrain(self, raw: Tensor, total: Tensor) -> Tensor:
        """Return weights, means and covariances' Cholesky factors of raw numbers; the norm goes with the counts."""
        weight = torch.softmax(raw[..., :1], dim=2)
        brightness = torch.log10(total + 1.0)[:, :, None, None]
        norm = self.offset[0] + self.offset[1] * raw[..., 3:4] + brightness
        scale = softplus(raw[..., 4:7]) + NARROWEST
        off = raw[..., 7:]
        third = scale[..., 2:] * self.offset[1]
        lower = torch.cat([scale[..., :2], third, off[..., :1], off[..., 1:] * self.offset[1]], dim=-1)
        return torch.cat([weight, raw[..., 1:3], norm, lower], dim=-1)

    def local(self, counts: Tensor, expected: Tensor) -> Tensor:
        """Return what the bins at each line add to its logit, (n, L)."""
        rows = torch.cat([self.places + step for step in range(-AROUND, AROUND + 1)])
        rows = rows.clamp(0, counts.shape[1] - 1)
        both = torch.stack([x.index_select(1, rows) for x in (counts, expected.detach())], dim=1)
        near = both.reshape(-1, 2, 2 * AROUND + 1, len(self.places)).sum(dim=2)
        root = torch.sqrt(near + 0.375)
        log = torch.log(near[:, 1] + 0.1)
        return self.evidence[0] * root[:, 0] + self.evidence[1] * root[:, 1] + self.evidence[2] * log


def log_density(mixtures: Tensor, target: Tensor) -> Tensor:
    """Return ln density (n, 2) of targets (n, 3) in the unconstrained space (`unconstrained`)."""
    d = target[:, None, None] - mixtures[..., 1:4]
    a, b, c = mixtures[..., 4], mixtures[..., 5], mixtures[..., 6]
    x = d[..., 0] / a
    y = (d[..., 1] - mixtures[..., 7] * x) / b
    z = (d[..., 2] - mixtures[..., 8] * x - mixtures[..., 9] * y) / c
    ln = torch.log(mixtures[..., 0] + 1e-12) - torch.log(a * b * c) - 0.5 * (x * x + y * y + z * z)
    return torch.logsumexp(ln, dim=2) - 1.5 * float(np.log(2 * np.pi))


def unconstrained(target: Tensor) -> Tensor:
    """Return targets (n, 3) with log T and log n as logits of their place in the box."""
    parts = []
    for column, (low, high) in enumerate(ENDS):
        parts.append(torch.logit(((target[:, column] - low) / (high - low)).clamp(1e-3, 1 - 1e-3)))
    return torch.stack([*parts, target[:, 2]], dim=1)


def residuals(counts: Tensor, expected: Tensor) -> Tensor:
    """Return by how many sigma counts (n, B) are off what is expected, (n, 2): in bins, and in COARSE of them together.

    Sum of (counts - expected)^2 / (expected + SOFT), less its mean and over its deviation for Poisson numbers.
    """
    pairs = ((counts, expected), (_joined(counts), _joined(expected)))
    return torch.cat([_off(c, m) for c, m in pairs], dim=1)


def _off(c: Tensor, m: Tensor) -> Tensor:
    """Return by how many sigma (n, 1) counts are off.

    With weights w = 1 / (m + 1/2), the variance of w (c - m)^2 is 2 - w and its mean 1 - w / 2: nothing else is needed.
    """
    weight = 1.0 / (m + SOFT)
    off = c - m
    both = (weight * off * off).sum(dim=1, keepdim=True)
    total, bins = weight.sum(dim=1, keepdim=True), c.shape[1]
    return (both - (bins - 0.5 * total)) / torch.sqrt((2.0 * bins - total).clamp_min(1e-2))


def _joined(x: Tensor) -> Tensor:
    return avg_pool1d(x[:, None], COARSE)[:, 0] * COARSE


def begin(network: CoronaNet, shapes: NDArray[np.float32], offset: NDArray[np.float64]) -> None:
    """Set what physics gives: mean, projections, decoder. shapes: (s, B) expected, each of one count; offset: (s,)."""
    mean = shapes.mean(axis=0)
    with torch.no_grad():
        network.mean.copy_(torch.from_numpy(mean))
        network.offset.copy_(torch.tensor([offset.mean(), offset.std()]))
        root = np.sqrt(mean + LEAST)
        logs = np.log(shapes + LEAST) * root
        network.project.weight.copy_(torch.from_numpy(components(logs, PROJECTED)[0] / root))
        roots = np.sqrt(shapes)
        rows, size = components(roots, DENOISED)
        network.decode.weight.copy_(torch.from_numpy((rows * size[:, None]).T))
        network.decode.bias.copy_(torch.from_numpy(roots.mean(axis=0)))
        network.posterior.weight.mul_(0.3)


def components(rows: NDArray[np.float32], most: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the principal components (most, B) of rows (s, B), and the deviation along each (most,).

    By way of the products of the rows: they are fewer than bins. Beyond their number the components are 0.
    """
    off = rows - rows.mean(axis=0)
    values, vectors = np.linalg.eigh(off @ off.T)
    values, vectors = np.maximum(values[::-1][:most], 1e-12), vectors[:, ::-1][:, :most]
    found = np.zeros((most, rows.shape[1]), np.float32)
    found[: len(values)] = (vectors / np.sqrt(values)).T @ off
    spread = np.zeros(most, np.float32)
    spread[: len(values)] = np.sqrt(values / len(rows))
    return found, spread


__all__ = ["PARTS", "CoronaNet", "begin", "log_density", "residuals", "unconstrained"]
