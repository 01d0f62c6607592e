"""What a spectrum or line fluxes see of a corona: the parts from which `analyse.corona.dem` takes its model."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyse.corona.dem import Seen
from stream.corona.forward import Coronae, Forward
from stream.corona.hot import shipped_hot
from stream.corona.lines import ERG_A, NORM, LineTable
from stream.corona.observed import Observed
from stream.spectra.grid import Floats

LOG_T: Final = np.round(np.arange(6.0, 8.001, 0.1), 2)
LOG_N: Final = 10.5
LINES: Final = 120  # the strongest ones, whose emissivities are uncertain one by one
FIXED: Final = ("h", "he")  # never free: their light is that of the norm


def forward_of(observed: Observed) -> Forward:
    """Return the model of a spectrum's instrument, with lines up to log T 8.0."""
    lines, continuum = shipped_hot()
    return Forward.through(observed.instrument, lines, continuum)


def templates(forward: Forward, log_t: Floats, log_n: float, exposure_s: float, without: Any = ()) -> Floats:
    """Return counts of norm 1 by element and temperature, (E, K, C); without: rows of lines that are left out."""
    k, e = len(log_t), len(forward.elements)
    factor = np.ones(len(forward.lines))
    factor[np.asarray(without, np.int64)] = 0.0
    abundance = np.tile(np.eye(e), (k, 1))
    corona = Coronae.of(
        forward,
        np.repeat(log_t, e)[:, None],
        np.ones((k * e, 1)),
        np.full(k * e, log_n),
        abundance=abundance,
        exposure_s=exposure_s,
        line_factor=factor,
    )
    return np.moveaxis(forward.counts(corona).reshape(k, e, -1), 0, 1)


def line_shapes(forward: Forward, rows: NDArray[np.int64], exposure_s: float) -> Floats:
    """Return counts of one photon cm-2 s-1 in each of some lines, (L, C)."""
    n = len(rows)
    dark = Coronae.of(forward, np.full(n, 6.5), np.zeros(n), np.full(n, LOG_N), exposure_s=exposure_s)
    light = np.zeros((n, len(forward.lines)))
    light[np.arange(n), rows] = 1.0
    return forward.counts(dark, light)


def emissivities(table: LineTable, rows: Any, log_t: Floats, log_n: Floats | float) -> Floats:
    """Return photons cm-2 s-1 of norm 1 in some lines, (L, K), at temperatures (K,) and densities (K,) or one."""
    at = np.asarray(rows, np.int64)
    some = table.take(at)
    order = np.argsort(np.argsort(at, kind="stable"), kind="stable")
    ln_g = some.emissivity(log_t, log_n)[0].T
    to_photons = 4 * np.pi * NORM / some.hydrogen_per_electron * some.wavelength_a / ERG_A
    return (np.exp(ln_g) * to_photons[:, None])[order]


def of_spectrum(
    observed: Observed,
    forward: Forward,
    log_t: Floats = LOG_T,
    log_n: float = LOG_N,
    fixed: tuple[str, ...] = (),
    lines: int = LINES,
) -> Seen:
    """Return what a spectrum sees. fixed: elements that keep the table's abundance, beside FIXED; lines: LINES."""
    usable = observed.usable()
    light = emissivities(forward.lines, np.arange(len(forward.lines)), log_t, log_n)
    caught = (light * forward.line_area_cm2[:, None]).max(axis=1)
    rows = np.sort(np.argsort(-caught, kind="stable")[:lines])
    low, high = observed.channel_edges_a
    flat = observed.exposure_s * (high - low) if observed.background is None else observed.background
    return Seen(
        data=observed.counts[usable],
        sigma=None,
        log_t=log_t,
        elements=forward.elements,
        templates=templates(forward, log_t, log_n, observed.exposure_s, rows)[..., usable],
        emissivity=light[rows],
        group=forward.element_rows[rows],
        shape=line_shapes(forward, rows, observed.exposure_s)[:, usable],
        scatter=forward.lines.scatter[rows].astype(float),
        background=flat[usable],
        free=np.array([e not in (*FIXED, *fixed) for e in forward.elements]),
    )


def of_fluxes(
    flux: tuple[Floats, Floats],
    emissivity: Floats,
    element: tuple[str, ...],
    log_t: Floats,
    scatter: Mapping[str, float] | float = 0.0,
) -> Seen:
    """Return what line fluxes see. flux: values and 1 sigma (D,); emissivity (D, K) of norm 1, abundance in it.

    element: symbol of each (D,); "" or "h" for continuum. scatter: of ln emissivity, added to sigma in quadrature.
    """
    value, sigma = (np.asarray(v, float) for v in flux)
    names = tuple(dict.fromkeys(name or "h" for name in element))
    of = np.array([names.index(name or "h") for name in element])
    parts = np.zeros((len(names), len(log_t), len(value)))
    parts[of, :, np.arange(len(value))] = emissivity
    atomic = np.array([scatter if isinstance(scatter, float) else scatter.get(name, 0.0) for name in element])
    return Seen(
        data=value,
        sigma=np.hypot(sigma, atomic * value),
        log_t=log_t,
        elements=names,
        templates=parts,
        emissivity=np.zeros((0, len(log_t))),
        group=np.zeros(0, np.int64),
        shape=np.zeros((0, len(value))),
        scatter=np.zeros(0),
        background=np.zeros(len(value)),
        free=np.array([name not in FIXED for name in names]),
    )


def of_features(
    measured: Any,
    forward: Forward,
    chosen: NDArray[np.int64] | None = None,
    grid: tuple[Floats, float] = (LOG_T, LOG_N),
    fixed: tuple[str, ...] = ("fe",),
) -> Seen:
    """Return what the measured fluxes of features see (`analyse.corona.measure.Measured`).

    chosen: rows of features; None: all that were measured. grid: log T (K,) and log n. Each feature's emissivity is
    uncertain by the scatter of its lines. Lines alone do not tell how much hydrogen there is: the abundance of one
    element is fixed.
    """
    known = np.isfinite(measured.flux) & (measured.flux_error > 0)
    at = np.flatnonzero(known) if chosen is None else chosen[known[chosen]]
    table, log_t = forward.lines, grid[0]
    light = emissivities(table, np.arange(len(table)), *grid)
    names = tuple(e for e in forward.elements if e in set(table.element.tolist()))
    element = np.array([names.index(e) for e in table.element.tolist()])
    parts, own = np.zeros((len(names), len(log_t), len(at))), np.zeros((len(at), len(log_t)))
    group, scatter = np.zeros(len(at), np.int64), np.zeros(len(at))
    for d, k in enumerate(at):
        rows = measured.features.rows[k]
        top = light[rows].max(axis=1)
        group[d] = element[rows[np.argmax(top)]]
        scatter[d] = np.average(table.scatter[rows], weights=top)
        for row in rows:
            if element[row] == group[d]:
                own[d] += light[row]
            else:
                parts[element[row], :, d] += light[row]
    return Seen(
        data=measured.flux[at],
        sigma=measured.flux_error[at],
        log_t=log_t,
        elements=names,
        templates=parts,
        emissivity=own,
        group=group,
        shape=np.eye(len(at)),
        scatter=scatter,
        background=np.zeros(len(at)),
        free=np.array([name not in fixed for name in names]),
    )
