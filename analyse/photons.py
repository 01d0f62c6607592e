"""The photons of spectral models in JAX, for gradients: the same numbers as `stream.spectra.model`."""

from collections.abc import Callable
from typing import Any, Final

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import expit, ndtr

from stream.spectra.absorption import mean_cross_section
from stream.spectra.components import BBODY_NORM, Apec, BBody, Bremss, Gaussian, PowerLaw, TBabs
from stream.spectra.gaunt import gaunt_sum
from stream.spectra.grid import Grid
from stream.spectra.model import Leaf, Model, Pair
from stream.spectra.table import EVEN, KELVIN_PER_KEV, LEAST, PlasmaTable

Shape = Callable[[Any], Any]  # values of a component -> photons or factor (n,)
Frozen = tuple[float | None, ...]  # by parameter: its value, None where it is free
GAUNT_KT: Final = np.geomspace(0.03, 200.0, 240)  # keV: Gaunt factors are smooth between


def photons_in_jax(model: Model, grid: Grid) -> Shape:
    """Return a function of all parameters (p,) to photons cm-2 s-1 (n,), which JAX can differentiate.

    Abundanc and Redshift of apec that are frozen at 1 and 0 are taken as that.
    """
    return _part(model.root, grid, tuple(p.value if p.frozen else None for p in model.parameters))


def _part(part: Leaf | Pair, grid: Grid, frozen: Frozen) -> Shape:
    if isinstance(part, Pair):
        left, right = _part(part.left, grid, frozen), _part(part.right, grid, frozen)
        return (lambda v: left(v) + right(v)) if part.kind == "+" else (lambda v: left(v) * right(v))
    component, places = part.component, part.places
    if isinstance(component, Apec):
        shape = _apec(component, grid, frozen[places])
    else:
        shape = SHAPES[type(component)](component, grid)
    if not part.additive:
        return lambda v: shape(v[places])
    return lambda v: v[places.stop - 1] * shape(v[places])


def _tbabs(_: TBabs, grid: Grid) -> Shape:
    sigma = jnp.asarray(grid.keep("tbabs", mean_cross_section))
    return lambda v: jnp.exp(-v[0] * sigma)


def _powerlaw(_: PowerLaw, grid: Grid) -> Shape:
    low, high = np.log(grid.low), np.log(grid.high)
    middle, half = jnp.asarray(0.5 * (low + high)), jnp.asarray(0.5 * (high - low))

    def shape(v: Any) -> Any:
        x = (1.0 - v[0]) * half
        small = jnp.abs(x) < 0.01  # sinh(x)/x by its series: no 0/0 in the gradient
        safe = jnp.where(small, 1.0, x)
        square = x * x
        ratio = jnp.where(small, 1 + square / 6 * (1 + square / 20), jnp.sinh(safe) / safe)
        return 2.0 * half * jnp.exp((1.0 - v[0]) * middle) * ratio

    return shape


def _points(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the energies (2n,) and weights (2n,) of two Gauss-Legendre points in each bin."""
    off = grid.width * (0.5 / np.sqrt(3.0))
    return np.concatenate([grid.middle - off, grid.middle + off]), np.tile(0.5 * grid.width, 2)


def _bremss(_: Bremss, grid: Grid) -> Shape:
    points, weights = _points(grid)
    n = len(grid.low)
    energy, weight = jnp.asarray(points), jnp.asarray(weights)
    gaunt = jnp.asarray(np.log([gaunt_sum(points, kt)[0] for kt in GAUNT_KT]))
    first, step = float(np.log(GAUNT_KT[0])), float(np.log(GAUNT_KT[1] / GAUNT_KT[0]))

    def shape(v: Any) -> Any:
        at = jnp.clip((jnp.log(v[0]) - first) / step, 0.0, len(GAUNT_KT) - 1.0)
        each = jnp.exp(_catmull_rom(gaunt, at) - energy / v[0]) / (energy * jnp.sqrt(v[0])) * weight
        return each[:n] + each[n:]

    return shape


def _bbody(_: BBody, grid: Grid) -> Shape:
    points, weights = _points(grid)
    n = len(grid.low)
    energy, weight = jnp.asarray(points), jnp.asarray(weights)

    def shape(v: Any) -> Any:
        u = jnp.minimum(energy / v[0], 600.0)
        each = BBODY_NORM * energy**2 / (v[0] ** 4 * jnp.expm1(u)) * weight
        return each[:n] + each[n:]

    return shape


def _catmull_rom(rows: Any, at: Any) -> Any:
    """Return rows (k, n) at a place between them, 0 to k - 1, for equal steps."""
    k = rows.shape[0]
    i = jnp.clip(jnp.floor(at).astype(int), 0, k - 2)
    before, after = jnp.maximum(i - 1, 0), jnp.minimum(i + 2, k - 1)
    x = at - i
    slope_low = (rows[i + 1] - rows[before]) / (i + 1 - before)
    slope_high = (rows[after] - rows[i]) / (after - i)
    value = (1 + 2 * x) * (1 - x) ** 2 * rows[i] + x * x * (3 - 2 * x) * rows[i + 1]
    return value + x * (1 - x) ** 2 * slope_low + x * x * (x - 1) * slope_high


def _apec(component: Apec, grid: Grid, frozen: Frozen) -> Shape:
    table, moved, uneven = component.table, frozen[2] != 0.0, frozen[1] != 1.0
    t = jnp.asarray(table.log_t)
    if moved:
        found = _shifted(table, grid, uneven)
    else:
        logs = jnp.asarray(table.rebinned(grid))
        ratios = jnp.asarray(table.ratios(grid)) if uneven else None

        def found(z: Any, rows: Any) -> Any:
            return logs[rows], None if ratios is None else ratios[rows]

    def shape(v: Any) -> Any:
        rows, weight = _rows(t, jnp.log10(v[0] * KELVIN_PER_KEV))
        log, ratio = found(v[2], rows)
        solar = jnp.exp(weight @ log)
        return solar * (1.0 + (v[1] - 1.0) * expit(weight @ ratio)) if uneven else solar

    return shape


def _rows(t: Any, log_t: Any) -> tuple[Any, Any]:
    """Return the four rows of a table about a temperature, and their weights: Catmull-Rom, as `PlasmaTable.weights`."""
    k = len(t)
    at = jnp.clip(log_t, t[0], t[-1])
    i = jnp.clip(jnp.searchsorted(t, at) - 1, 0, k - 2)
    before, after = jnp.maximum(i - 1, 0), jnp.minimum(i + 2, k - 1)
    wide = t[i + 1] - t[i]
    x = (at - t[i]) / wide
    low = x * (1 - x) ** 2 * wide / (t[i + 1] - t[before])
    high = x * x * (x - 1) * wide / (t[after] - t[i])
    weight = jnp.stack([-low, (1 + 2 * x) * (1 - x) ** 2 - high, x * x * (3 - 2 * x) + low, high])
    return jnp.stack([before, i, i + 1, after]), weight


def _shifted(table: PlasmaTable, grid: Grid, metals: bool) -> Callable[[Any, Any], Any]:
    """Return a function of redshift and rows (4,) to what `PlasmaTable.shifted` gives, logs and ratios (4, n).

    The slope by z is the one given there, not that of the steps in which lines cross edges.
    """
    totals = [jnp.asarray(table.total(name)) for name in ("photons", "metals")[: 1 + metals]]
    edges, width = jnp.asarray(table.edges_kev), jnp.asarray(grid.width)
    low, high, half = jnp.asarray(grid.low), jnp.asarray(grid.high), 0.5 * jnp.asarray(grid.width)
    ends = jnp.stack([low, high, low - half, low + half, high - half, high + half])

    def part(total: Any, place: tuple[Any, Any], z: Any, rows: Any) -> Any:
        i, x = place
        below = total[rows[:, None, None], i] * (1 - x) + total[rows[:, None, None], i + 1] * x
        value = (below[:, 1] - below[:, 0]) / (1 + z)
        flow = (below[:, 5] - below[:, 4]) * high - (below[:, 3] - below[:, 2]) * low
        return value, flow / (width * (1 + z) ** 2) - value / (1 + z)

    def found(z: Any, rows: Any) -> Any:
        here = lax.stop_gradient(z)
        energy = ends * (1 + here)
        i = jnp.clip(jnp.searchsorted(edges, energy, side="right") - 1, 0, len(edges) - 2)
        x = jnp.clip((energy - edges[i]) / (edges[i + 1] - edges[i]), 0.0, 1.0)
        values = [value + by * (z - here) for value, by in (part(total, (i, x), here, rows) for total in totals)]
        photons = jnp.maximum(values[0], LEAST)
        if not metals:
            return jnp.log(photons), None
        least = np.exp(-EVEN) * photons
        ratio = jnp.log(jnp.maximum(values[1], least)) - jnp.log(jnp.maximum(values[0] - values[1], least))
        return jnp.log(photons), ratio

    return found


def _gaussian(_: Gaussian, grid: Grid) -> Shape:
    lower, upper = jnp.asarray(grid.low), jnp.asarray(grid.high)

    def shape(v: Any) -> Any:
        sigma = jnp.maximum(v[1], 1e-5)
        low, high = (lower - v[0]) / sigma, (upper - v[0]) / sigma
        return jnp.where(low > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))

    return shape


SHAPES: Final[dict[type, Callable[[Any, Grid], Shape]]] = {
    TBabs: _tbabs,
    PowerLaw: _powerlaw,
    Bremss: _bremss,
    BBody: _bbody,
    Gaussian: _gaussian,
}
