"""The likelihood of a region, and its maximum: all free parameters of all sources and the diffuse norms together.

ln L = sum of w (n ln m - m) over cells, w as 4FGL weighs (`stream.lat.scene`), with Gaussian priors of the norms and of
how the slopes of neighbours differ from what is known of them. Fisher's scoring, damped; slopes by differences.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyse.lat.region import SMALLEST, Region
from analyse.lat.spectra import INDEX, KINDS, at_nodes
from stream.lat.exposure import ENERGY_MEV
from stream.lat.scene import NORM_BOUNDS
from stream.lat.spectral import PIVOT_MEV

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
X, Y, FLUX, SLOPE, CURVE = range(5)
STEP: Final = (0.01, 0.01, 0.02, 0.02, 0.02)  # of differences
MOST: Final = (0.15, 0.15, 1.5, 0.5, 0.3)  # of a parameter's move in one step
FAINTEST: Final = -9.0  # ln flux over UNIT, or over what is known: none
BRIGHTEST: Final = 12.0
MOVE_DEG: Final = 0.5  # of the source from where it began
TILT_SD: Final = 0.3  # prior of a neighbour's slope, about what is known of it
ROUNDS: Final = 40
RISE: Final = 1e-3  # of ln L, below which it is at its maximum


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A source in the model. theta (5,): x, y (degrees from the corner), ln flux over UNIT, index, curvature.

    With a spectrum `base` (BANDS, NODES), a neighbour's, ln flux and index are those over and beyond it.
    """

    name: str
    theta: Floats
    free: Mask  # (5,)
    seen: Floats  # cm2 s, (TYPES, BANDS, NODES), where it is
    kind: str = "powerlaw"
    base: Floats | None = None
    ts: float = 0.0  # as it was found, or of the catalogue
    begun: tuple[float, float] | None = None  # where it may not go far from

    def spectrum(self, theta: Floats) -> Floats:
        """Return photons cm-2 s-1 MeV-1, (BANDS, NODES)."""
        if self.base is None:
            return at_nodes(self.kind, *theta[FLUX:].tolist())[0]
        return self.base * np.exp(theta[FLUX]) * (ENERGY_MEV / PIVOT_MEV) ** -theta[SLOPE]

    def image(self, region: Region, theta: Floats) -> Floats:
        """Return its counts (cells,)."""
        return region.image(self.spectrum(theta), theta[:FLUX], self.seen)

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """Lowest and highest theta."""
        x, y = self.begun or (float(self.theta[X]), float(self.theta[Y]))
        slope = INDEX if self.base is None else (-1.5, 1.5)
        ends = ((x - MOVE_DEG, x + MOVE_DEG), (y - MOVE_DEG, y + MOVE_DEG), (FAINTEST, BRIGHTEST), slope)
        return tuple(np.array(side) for side in zip(*ends, KINDS[self.kind].bounds, strict=True))  # type: ignore[return-value]

    def freed(self, *which: int, theta: Floats | None = None) -> "Part":
        """Return the same with these parameters free and no others."""
        free = np.zeros(5, bool)
        free[list(which)] = True
        return replace(self, free=free, theta=(self.theta if theta is None else theta).copy())


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A maximum. Parameters: the free ones of the parts, part by part, then the norms, group by group."""

    region: Region
    parts: tuple[Part, ...]
    norms: Floats  # (groups, 4)
    value: float  # ln L, priors included
    covariance: Floats  # of the parameters; NaN at a bound
    settled: bool

    def error(self, part: int, which: int) -> float:
        """Return the error of a parameter; NaN if it is not free, or at a bound."""
        at = self.place(part, which)
        return float("nan") if at is None else float(np.sqrt(self.covariance[at, at]))

    def place(self, part: int, which: int) -> int | None:
        """Return where a parameter lies in the covariance; None: it is not free."""
        if not self.parts[part].free[which]:
            return None
        return sum(int(p.free.sum()) for p in self.parts[:part]) + int(self.parts[part].free[:which].sum())

    def expected(self) -> Floats:
        """Return counts expected in all cells."""
        return _background(self.region, self.norms) + sum(p.image(self.region, p.theta) for p in self.parts)


def fit(region: Region, parts: Sequence[Part], norms: Floats | None = None) -> Fit:
    """Return the maximum from where the parts and the norms (groups, 4) are; None: from their prior."""
    return _Search(region, parts, region.norm_mean if norms is None else norms).run()


def _background(region: Region, norms: Floats) -> Floats:
    return np.asarray((region.diffuse * norms[region.group]).sum(axis=1))


class _Search:
    """The state of one climb."""

    def __init__(self, region: Region, parts: Sequence[Part], norms: Floats) -> None:
        self.region, self.parts = region, tuple(parts)
        self.groups = np.unique(region.group[region.kept])
        self.norms = norms.copy()
        still = [p.image(region, p.theta) for p in self.parts if not p.free.any()]
        self.still = np.sum(still, axis=0) if still else np.zeros(len(region.counts))
        ends = [tuple(side[p.free] for side in p.bounds) for p in self.parts]
        self.low = np.concatenate([*(low for low, _ in ends), np.tile(NORM_BOUNDS[0], len(self.groups))])
        self.high = np.concatenate([*(high for _, high in ends), np.tile(NORM_BOUNDS[1], len(self.groups))])
        free = [np.flatnonzero(p.free) for p in self.parts]
        self.most = np.concatenate([*(np.array(MOST)[which] for which in free), np.full(4 * len(self.groups), 1.0)])
        tilts = [(which == SLOPE) & (p.base is not None) for p, which in zip(self.parts, free, strict=True)]
        stiff = [np.where(tilt, TILT_SD**-2, 0.0) for tilt in tilts]
        self.stiff = np.concatenate([*stiff, (region.norm_sd[self.groups] ** -2).ravel()])
        self.middle = np.concatenate([*(np.zeros(len(t)) for t in tilts), region.norm_mean[self.groups].ravel()])

    def start(self) -> Floats:
        own = [p.theta[p.free] for p in self.parts]
        return np.clip(np.concatenate([*own, self.norms[self.groups].ravel()]), self.low, self.high)

    def thetas(self, at: Floats) -> tuple[list[Floats], Floats]:
        out, first = [], 0
        for part in self.parts:
            theta = part.theta.copy()
            theta[part.free] = at[first : first + int(part.free.sum())]
            first += int(part.free.sum())
            out.append(theta)
        norms = self.norms.copy()
        norms[self.groups] = at[first:].reshape(-1, 4)
        return out, norms

    def expected(self, at: Floats) -> Floats:
        thetas, norms = self.thetas(at)
        moving = zip(self.parts, thetas, strict=True)
        light = sum((p.image(self.region, t) for p, t in moving if p.free.any()), self.still)
        return np.maximum(light + _background(self.region, norms), SMALLEST)[self.region.kept]

    def value(self, at: Floats, expected: Floats) -> float:
        region = self.region
        n, w = region.counts[region.kept], region.weight[region.kept]
        return float(w @ (n * np.log(expected) - expected)) - 0.5 * float(self.stiff @ (at - self.middle) ** 2)

    def jacobian(self, at: Floats) -> Floats:
        region, columns = self.region, []
        for part, theta in zip(self.parts, self.thetas(at)[0], strict=True):
            for which in np.flatnonzero(part.free):
                if which == FLUX:
                    columns.append(part.image(region, theta))
                    continue
                ends = [theta.copy(), theta.copy()]
                ends[0][which] -= STEP[which]
                ends[1][which] += STEP[which]
                down, up = (part.image(region, end) for end in ends)
                columns.append((up - down) / (2 * STEP[which]))
        for group in self.groups:
            columns += list(np.where(region.group == group, region.diffuse.T, 0.0))
        return np.stack(columns, axis=1)[region.kept]

    def slopes(self, at: Floats, expected: Floats) -> tuple[Floats, Floats]:
        region, made = self.region, self.jacobian(at)
        n, w = region.counts[region.kept], region.weight[region.kept]
        gradient = made.T @ (w * (n / expected - 1)) - self.stiff * (at - self.middle)
        scaled = made * np.sqrt(w / expected)[:, None]
        return gradient, scaled.T @ scaled + np.diag(self.stiff)

    def run(self) -> Fit:
        at = self.start()
        expected = self.expected(at)
        best = self.value(at, expected)
        gradient, information = self.slopes(at, expected)
        damping, settled = 1e-3, False
        for _ in range(ROUNDS):
            trial = self.step(at, gradient, information, damping)
            made = self.expected(trial)
            value = self.value(trial, made)
            if not value >= best - 1e-9:
                damping = max(damping, 1e-2) * 10
                if damping > 1e6:
                    settled = True
                    break
                continue
            rise, at, best, expected = value - best, trial, value, made
            gradient, information = self.slopes(at, expected)
            damping = max(damping / 10, 1e-6)
            if rise < RISE:
                settled = True
                break
        thetas, norms = self.thetas(at)
        parts = tuple(replace(p, theta=t) for p, t in zip(self.parts, thetas, strict=True))
        return Fit(self.region, parts, norms, best, self.inverse(at, gradient, information), settled)

    def held(self, at: Floats, gradient: Floats) -> Mask:
        """Return which parameters are at a bound and would go beyond."""
        return ((at <= self.low) & (gradient < 0)) | ((at >= self.high) & (gradient > 0))

    def step(self, at: Floats, gradient: Floats, information: Floats, damping: float) -> Floats:
        go = np.flatnonzero(~self.held(at, gradient))
        full = information[np.ix_(go, go)].copy()
        full[np.diag_indices(len(go))] *= 1 + damping
        full[np.diag_indices(len(go))] += 1e-12
        trial = at.copy()
        trial[go] += np.clip(np.linalg.solve(full, gradient[go]), -self.most[go], self.most[go])
        return np.clip(trial, self.low, self.high)

    def inverse(self, at: Floats, gradient: Floats, information: Floats) -> Floats:
        go = np.flatnonzero(~self.held(at, gradient))
        full = information[np.ix_(go, go)] + 1e-12 * np.eye(len(go))
        out = np.full(information.shape, np.nan)
        out[np.ix_(go, go)] = np.linalg.inv(full)
        return out
