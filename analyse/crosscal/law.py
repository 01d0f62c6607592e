"""What a modified area does to temperatures: ln(kt_fit / kT) by theta and ln kT, of an emulator or a grid."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, RBFInterpolator

from sim.crosscal.sets import GridSet
from stream.crosscal.modifiers import Family
from stream.errors import ConfigError
from stream.judges.crosscal import Emulator

Floats = NDArray[np.float64]
NODES: Final = 20  # temperatures at which an emulator is asked, even in ln kT: ln_ratio is smooth in between
NEIGHBOURS: Final = 60  # simulated thetas that a value between them is made of, where they are no lattice
INVERSIONS: Final = 8  # Newton steps: converges in 4
BEYOND: Final = 1.0  # of ln kT, beyond the nodes: where an inversion ends at most


class Law(Protocol):
    """Where curves of ln(kt_fit / kT) by ln kT come from."""

    @property
    def family(self) -> Family:
        """With the box of theta."""

    @property
    def low(self) -> Floats:
        """Of theta, (p,)."""

    @property
    def high(self) -> Floats:
        """Of theta, (p,)."""

    @property
    def ln_kt(self) -> Floats:
        """Nodes (K,), rising."""

    @property
    def fit_kev(self) -> tuple[float, float]:
        """Temperatures that the biased fits of all thetas have."""

    @property
    def source(self) -> str:
        """In words."""

    def inside(self, theta: Floats) -> NDArray[np.bool_]:
        """Return which theta (n, p) it knows; those in the box, unless it is a local one."""

    def begin(self, count: int, seed: int) -> tuple[Floats, Floats] | None:
        """Return theta (m, p) to look for a posterior from, and ln of the density they are of; None: the prior's."""

    def ln_ratio(self, theta: Floats) -> Floats:
        """Return ln(kt_fit / kT) of theta (n, p) at the nodes, (n, K)."""

    def others(self, theta: Floats) -> Floats | None:
        """Return ln(norm_fit / norm) and nH_fit - nH (1e22 cm-2), (2, n, K); None where they are not known."""


@lru_cache(maxsize=16)
def _basis(nodes: bytes) -> Floats:
    """Return the matrix (K, 4 (K - 1)) from values at nodes to the pieces of their spline: it is linear in them."""
    x = np.frombuffer(nodes)
    return np.ascontiguousarray(CubicSpline(x, np.eye(len(x)), axis=0).c.transpose(2, 1, 0).reshape(len(x), -1))


@dataclass(frozen=True)
class Curves:
    """n curves of (ln kT) -> value as cubic splines through K nodes; straight beyond them."""

    nodes: Floats  # (K,)
    values: Floats  # (n, K)

    @cached_property
    def pieces(self) -> Floats:
        """Coefficients (n, K - 1, 4), highest power first."""
        return (self.values @ _basis(self.nodes.tobytes())).reshape(len(self.values), -1, 4)

    def at(self, x: Floats) -> tuple[Floats, Floats]:
        """Return values and slopes at x (n, ...) ln keV."""
        inside = np.clip(x, self.nodes[0], self.nodes[-1])
        piece = np.clip(np.searchsorted(self.nodes, inside) - 1, 0, len(self.nodes) - 2)
        row = np.arange(len(self.values)).reshape(-1, *[1] * (x.ndim - 1))
        a, b, c, d = np.moveaxis(self.pieces[row, piece], -1, 0)
        u = inside - self.nodes[piece]
        slope = (3 * a * u + 2 * b) * u + c
        return ((a * u + b) * u + c) * u + d + slope * (x - inside), slope

    def invert(self, ln_fit: Floats) -> Floats:
        """Return ln kT whose kt_fit is exp(ln_fit), of ln_fit (n, m); curves are of ln(kt_fit / kT)."""
        x = ln_fit - self.at(ln_fit)[0]
        for _ in range(INVERSIONS):
            value, slope = self.at(x)
            x = x - (x + value - ln_fit) / np.maximum(1 + slope, 0.2)  # a fit that falls with kT has no inverse
            x = np.clip(x, self.nodes[0] - BEYOND, self.nodes[-1] + BEYOND)
        return x


class Everywhere:
    """A law that knows all of its box."""

    def inside(self, theta: Floats) -> NDArray[np.bool_]:
        """Return True for all theta (n, p)."""
        return np.ones(len(theta), bool)

    def begin(self, count: int, seed: int) -> tuple[Floats, Floats] | None:
        """Return None: a posterior is looked for from the prior."""
        return None


@dataclass(frozen=True)
class EmulatedLaw(Everywhere):
    """By a network, at NODES temperatures."""

    emulator: Emulator
    source: str = "emulator"
    nodes: int = NODES

    @property
    def family(self) -> Family:
        """With the box of the training."""
        return self.emulator.family

    @property
    def low(self) -> Floats:
        """Of theta."""
        return np.asarray(self.emulator.low, float)

    @property
    def high(self) -> Floats:
        """Of theta."""
        return np.asarray(self.emulator.high, float)

    @cached_property
    def ln_kt(self) -> Floats:
        """Nodes (K,)."""
        low, high = self.emulator.kt_kev
        return np.linspace(np.log(low), np.log(high), self.nodes)

    @property
    def fit_kev(self) -> tuple[float, float]:
        """Of the training."""
        return self.emulator.kt_fit_kev

    def ln_ratio(self, theta: Floats) -> Floats:
        """Return ln(kt_fit / kT) of theta (n, p), (n, K)."""
        kt = np.tile(np.exp(self.ln_kt), len(theta))
        said = self.emulator.predict(np.repeat(theta, self.nodes, axis=0), kt)
        return np.asarray(said.ln_ratio, float)[:, 0].reshape(len(theta), self.nodes)

    def others(self, theta: Floats) -> Floats | None:
        """Return None: the network says temperatures only."""
        return None


@dataclass(frozen=True)
class GridLaw(Everywhere):
    """Of simulated thetas: cubic between those of a lattice, else by their neighbours (cubic radial functions)."""

    family: Family
    theta: Floats  # (G, p)
    ln_kt: Floats
    ratio: Floats  # (G, K) ln(kt_fit / kT)
    more: Floats  # (2, G, K) ln(norm_fit / norm), nH_fit - nH
    source: str = "grid"

    @classmethod
    def of(cls, grid: GridSet, source: str) -> "GridLaw":
        """Return the law of a grid; thetas that are not done are left out. Raises ConfigError when none is."""
        done = grid.done > 0
        if not done.any():
            raise ConfigError(f"{source}: no theta is done: expected the output of `raysieve simulate crosscal`")
        ratio = np.log(grid.kt_fit[done] / grid.kt_kev)
        setting = grid.about["plan"]["setting"]
        norm = np.log(grid.norm_fit[done][..., 0] / setting["norm"])
        more = np.stack([norm, grid.nh_fit[done][..., 0] - setting["nh_1e22"]])
        return cls(boxed(grid.family, grid.theta), grid.theta[done], np.log(grid.kt_kev), ratio, more, source)

    @property
    def low(self) -> Floats:
        """Of theta."""
        return self.theta.min(axis=0)

    @property
    def high(self) -> Floats:
        """Of theta."""
        return self.theta.max(axis=0)

    @property
    def fit_kev(self) -> tuple[float, float]:
        """Of all thetas."""
        fits = self.ratio + self.ln_kt
        return float(np.exp(fits.min())), float(np.exp(fits.max()))

    @cached_property
    def _between(self) -> Any:
        values = np.concatenate([self.ratio, *self.more], axis=1)
        unit = self._unit(self.theta)
        axes = [np.unique(column) for column in unit.T]
        if np.prod([len(a) for a in axes]) == len(unit):
            order = np.lexsort(unit.T[::-1])
            return Lattice(axes, values[order].reshape(*[len(a) for a in axes], -1))
        return RBFInterpolator(unit, values, neighbors=min(NEIGHBOURS, len(unit)), kernel="cubic", degree=2)

    def _unit(self, theta: Floats) -> Floats:
        """Return theta (n, p) from 0 to 1, in the logarithm where the family is even in it."""
        log = np.array([p.log for p in self.family.parameters])
        ends = (np.where(log, np.log(np.where(log, v, 1.0)), v) for v in (theta, self.low, self.high))
        at, low, high = ends
        return (at - low) / (high - low)

    def ln_ratio(self, theta: Floats) -> Floats:
        """Return ln(kt_fit / kT) of theta (n, p), (n, K)."""
        return np.ascontiguousarray(self._between(self._unit(theta))[:, : len(self.ln_kt)])

    def others(self, theta: Floats) -> Floats | None:
        """Return ln(norm_fit / norm) and nH_fit - nH, (2, n, K)."""
        both = self._between(self._unit(theta))[:, len(self.ln_kt) :]
        return np.ascontiguousarray(both.reshape(len(theta), 2, -1).transpose(1, 0, 2))


def boxed(family: Family, theta: Floats) -> Family:
    """Return a family whose box is that of thetas (G, p)."""
    ends = zip(family.parameters, theta.min(axis=0).tolist(), theta.max(axis=0).tolist(), strict=True)
    return replace(family, parameters=tuple(replace(p, low=low, high=high) for p, low, high in ends))


class Lattice:
    """Values on a lattice of any dimension, between its points by cubics through four neighbours of each axis."""

    def __init__(self, axes: list[Floats], values: Floats) -> None:
        """axes: rising; values (n_1, ..., n_p, K). Axes of fewer than four points: by as many as there are."""
        self.axes, self.values = axes, values

    def __call__(self, theta: Floats) -> Floats:
        """Return values (n, K) at theta (n, p), held at the ends of the axes."""
        rows, weights = zip(*(_stencil(a, t) for a, t in zip(self.axes, theta.T, strict=True)), strict=True)
        flat, strides = self.values.reshape(-1, self.values.shape[-1]), np.ones(len(rows), int)
        for i in range(len(rows) - 2, -1, -1):
            strides[i] = strides[i + 1] * len(self.axes[i + 1])
        out = np.zeros((len(theta), flat.shape[1]))
        for corner in np.ndindex(*[r.shape[1] for r in rows]):
            index = sum(r[:, c] * s for r, c, s in zip(rows, corner, strides, strict=True))
            weight = np.prod([w[:, c] for w, c in zip(weights, corner, strict=True)], axis=0)
            out += weight[:, None] * flat[index]
        return out


def _stencil(axis: Floats, x: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the nearest points (n, m) of an axis, m <= 4, and Lagrange's weights of them."""
    m = min(4, len(axis))
    x = np.clip(x, axis[0], axis[-1])
    first = np.clip(np.searchsorted(axis, x) - m // 2, 0, len(axis) - m)
    rows = first[:, None] + np.arange(m)
    at, weights = axis[rows], np.ones((len(x), m))
    for i in range(m):
        for j in range(m):
            if i != j:
                weights[:, i] *= (x - at[:, j]) / (at[:, i] - at[:, j])
    return rows, weights
