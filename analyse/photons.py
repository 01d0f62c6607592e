"""The photons of spectral models in JAX, for gradients: the same numbers as `stream.spectra.model`."""

from collections.abc import Callable
from typing import Any, Final

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr

from stream.spectra.absorption import mean_cross_section
from stream.spectra.components import BBODY_NORM, Apec, BBody, Bremss, Gaussian, Parameter, PowerLaw, TBabs
from stream.spectra.gaunt import gaunt_sum
from stream.spectra.grid import Grid
from stream.spectra.model import Leaf, Model, Pair
from stream.spectra.table import KELVIN_PER_KEV

Shape = Callable[[Any], Any]  # values of a component -> photons or factor (n,)
GAUNT_KT: Final = np.geomspace(0.03, 200.0, 240)  # keV: Gaunt factors are smooth between


def photons_in_jax(model: Model, grid: Grid) -> Shape:
    """Return a function of all parameters (p,) to photons cm-2 s-1 (n,), which JAX can differentiate."""
    return _part(model.root, grid, model.parameters)


def _part(part: Leaf | Pair, grid: Grid, parameters: tuple[Parameter, ...]) -> Shape:
    if isinstance(part, Pair):
        left, right = _part(part.left, grid, parameters), _part(part.right, grid, parameters)
        return (lambda v: left(v) + right(v)) if part.kind == "+" else (lambda v: left(v) * right(v))
    places = part.places
    if isinstance(part.component, Apec):
        shape = _apec(part.component, grid, plain=all(p.frozen and p.value in (0, 1) for p in parameters[places][1:3]))
    else:
        shape = SHAPES[type(part.component)](part.component, grid)
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


def _apec(component: Apec, grid: Grid, plain: bool) -> Shape:
    """As the component. plain: abundance 1 and redshift 0 to stay, so that the table is in the bins of the grid."""
    table = component.table
    logs, metal_logs = (jnp.asarray(part) for part in ((table.rebinned(grid),) * 2 if plain else table.logs))
    knots, edges = np.asarray(table.log_t), jnp.asarray(table.edges_kev)
    t, k = jnp.asarray(knots), len(knots)
    low, high = jnp.asarray(grid.low), jnp.asarray(grid.high)

    def shape(v: Any) -> Any:
        at = jnp.clip(jnp.log10(v[0] * KELVIN_PER_KEV), knots[0], knots[-1])
        i = jnp.clip(jnp.searchsorted(t, at) - 1, 0, k - 2)
        before, after = jnp.maximum(i - 1, 0), jnp.minimum(i + 2, k - 1)
        wide = t[i + 1] - t[i]
        x = (at - t[i]) / wide

        def emission(rows: Any) -> Any:
            slope_low = (rows[i + 1] - rows[before]) * wide / (t[i + 1] - t[before])
            slope_high = (rows[after] - rows[i]) * wide / (t[after] - t[i])
            value = (1 + 2 * x) * (1 - x) ** 2 * rows[i] + x * x * (3 - 2 * x) * rows[i + 1]
            return jnp.exp(value + x * (1 - x) ** 2 * slope_low + x * x * (x - 1) * slope_high)

        if plain:
            return emission(logs)
        photons = jnp.maximum(emission(logs) + (v[1] - 1) * emission(metal_logs), 0.0)
        total = jnp.concatenate([jnp.zeros(1), jnp.cumsum(photons)])
        shift = 1 + v[2]
        return (jnp.interp(high * shift, edges, total) - jnp.interp(low * shift, edges, total)) / shift

    return shape


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
