"""One star's spectrum, or its line fluxes, analysed: lines, ratios, emission measure, and what is not to be trusted."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyse.corona.dem import Dem, Seen, climb, invert
from analyse.corona.features import Features, features_of, row_of
from analyse.corona.identify import align, filter_lines
from analyse.corona.lists import OF_DEM, RATIOS
from analyse.corona.measure import Measured, measure
from analyse.corona.ratios import Estimate, Predicted, estimate
from analyse.corona.templates import LOG_N, emissivities, forward_of, of_features, of_fluxes, of_spectrum
from stream.corona.fluxes import Fluxes
from stream.corona.forward import Forward
from stream.corona.observed import Observed
from stream.errors import ConfigError
from stream.spectra.grid import Floats

LOG_T: Final = np.round(np.arange(5.8, 8.001, 0.1), 2)
DENSITIES: Final = np.arange(8.5, 12.51, 0.5)  # log n that a free density is tried at
LEAST_LINES: Final = 5  # identified ones, for an emission measure
POOR: Final = 3.0  # chi-squared of each datum beyond which the model does not describe the spectrum
CONSTRAINED: Final = 0.3  # dex
ATOMIC: Final = 0.1  # of each emissivity of fluxes that come with their own


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How a spectrum is to be analysed."""

    use: str = "auto"  # "lines", "spectrum"
    band_a: tuple[float, float] | None = None
    join: int = 1  # bins to one
    log_n: float | None = None  # None: LOG_N
    free_n: bool = False
    fixed: tuple[str, ...] = ()  # elements that keep the table's abundance
    smoothness: float | None = None  # None: by the evidence


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What was found; None where there was nothing to find it by."""

    observed: Observed | Fluxes
    offset_a: float
    log_n: float
    log_n_error: float | None  # None: it was fixed
    dem: Dem | None
    flags: tuple[str, ...]
    forward: Forward | None = None
    features: Features | None = None
    measured: Measured | None = None
    filtered: Floats | None = None  # (F,) sigma by matched filter
    estimate: Estimate | None = None
    chosen: NDArray[np.int64] | None = None  # features of the emission measure; None: whole spectrum


def analyse_fluxes(fluxes: Fluxes, plan: Plan) -> Analysis:
    """Return the emission measure of line fluxes; abundances of elements are free, continuum holds hydrogen."""
    fixed = plan.fixed
    if "h" not in fluxes.element and not fixed:
        fixed = (max(set(fluxes.element), key=fluxes.element.count),)
    seen = of_fluxes((fluxes.flux, fluxes.sigma), fluxes.emissivity, fluxes.element, fluxes.log_t)
    seen = replace(seen, free=seen.free & ~np.isin(seen.elements, list(fixed)))
    dem = invert(seen, plan.smoothness)
    return Analysis(fluxes, 0.0, plan.log_n or LOG_N, None, dem, tuple(_flags(dem)))


def analyse_spectrum(observed: Observed, plan: Plan) -> Analysis:
    """Return all that a spectrum tells. Raises ConfigError for a band without bins or without counts."""
    if plan.band_a is not None:
        observed = observed.within(*plan.band_a)
    observed = observed.joined(plan.join)
    if not observed.counts[observed.usable()].sum() > 0:
        raise ConfigError(f"{observed.name}: no counts where the instrument has an area: nothing to analyse")
    camera = observed.instrument.response is not None
    if camera and plan.use == "lines":
        raise ConfigError(f"{observed.name}: a camera tells no lines apart: expected --use spectrum")
    if camera:
        forward = forward_of(observed)
        log_n = LOG_N if plan.log_n is None else plan.log_n
        dem = invert(of_spectrum(observed, forward, LOG_T, log_n, plan.fixed), plan.smoothness)
        return Analysis(observed, 0.0, log_n, None, dem, tuple(_flags(dem)), forward)
    return _grating(observed, plan)


def _grating(observed: Observed, plan: Plan) -> Analysis:
    forward = forward_of(observed)
    offset = align(observed, forward, features_of(forward))
    observed = observed.moved(offset)
    forward = forward_of(observed)
    light: Floats | None = None
    log_n = LOG_N if plan.log_n is None else plan.log_n
    for _ in range(2):  # once more with the light that was found: which line a feature is, depends on it
        features = features_of(forward, light=light)
        measured = measure(observed, features)
        found = estimate(measured, Predicted.of(forward, features))
        chosen = choose(forward, features, measured, plan.free_n)
        dem = None
        if int(measured.found[chosen].sum()) < LEAST_LINES:
            break
        fixed = plan.fixed or (_most(forward, features, chosen),)
        dem = invert(of_features(measured, forward, chosen, (LOG_T, log_n), fixed), plan.smoothness)
        light = line_light(forward, dem, log_n) * forward.line_area_cm2
    flags = []
    error: float | None = None
    if dem is None:
        flags.append(f"fewer than {LEAST_LINES} lines identified: no emission measure, temperatures not to be trusted")
    elif plan.free_n:
        log_n, error, dem = free_density(dem, measured, forward, chosen)
    used: NDArray[np.int64] | None = chosen
    if plan.use == "spectrum":
        dem, used = invert(of_spectrum(observed, forward, LOG_T, log_n, plan.fixed), plan.smoothness), None
    if dem is not None:
        flags += _flags(dem)
    filtered = filter_lines(observed, features)
    parts = (forward, features, measured, filtered, found, used)
    return Analysis(observed, offset, log_n, error, dem, tuple(flags), *parts)


def choose(forward: Forward, features: Features, measured: Measured, dense: bool = False) -> NDArray[np.int64]:
    """Return the features of the lines that an emission measure relies on; dense: those that tell density too.

    Where the instrument has fewer than LEAST_LINES of them identified: all that are.
    """
    wanted = list(OF_DEM)
    if dense:
        wanted += [line for ratio in RATIOS if ratio.tells == "n" for line in (ratio.over, ratio.under)]
    rows = {features.holding(row_of(forward, line)) for line in wanted}
    at = np.array(sorted(rows - {-1}), np.int64)
    at = at[np.isfinite(measured.flux[at]) & (measured.flux_error[at] > 0)]
    return at if measured.found[at].sum() >= LEAST_LINES else np.flatnonzero(measured.found)


def line_light(forward: Forward, dem: Dem, log_n: float) -> Floats:
    """Return photons cm-2 s-1 of each line of the model (L,), by an emission measure and its abundances."""
    d = np.exp(dem.x[: dem.nodes])
    known = dict(zip(dem.seen.elements, dem.abundance.tolist(), strict=True))
    abundance = np.array([known.get(e, 1.0) for e in forward.lines.element.tolist()])
    return abundance * (emissivities(forward.lines, np.arange(len(forward.lines)), dem.seen.log_t, log_n) @ d)


def free_density(dem: Dem, measured: Measured, forward: Forward, chosen: NDArray[np.int64]) -> tuple[float, float, Dem]:
    """Return log n and its 1 sigma by the evidence of DENSITIES, and the emission measure at the likeliest of them."""
    fixed = tuple(e for e, free in zip(dem.seen.elements, dem.seen.free, strict=True) if not free)
    tried = []
    for log_n in DENSITIES:
        seen: Seen = of_features(measured, forward, chosen, (LOG_T, float(log_n)), fixed)
        tried.append(climb(seen, dem.smoothness, dem.x))
    ln = np.array([evidence for _, evidence in tried])
    weight = np.exp(ln - ln.max())
    weight /= weight.sum()
    mean = float(weight @ DENSITIES)
    step = DENSITIES[1] - DENSITIES[0]
    sd = float(np.sqrt(weight @ (DENSITIES - mean) ** 2 + step**2 / 12))
    return mean, sd, replace(tried[int(np.argmax(ln))][0], evidence=dem.evidence)


def _most(forward: Forward, features: Features, chosen: NDArray[np.int64]) -> str:
    """Return the element of most of the chosen features: iron in most coronae."""
    names = [str(features.ion[k]).partition("_")[0] for k in chosen]
    return max(sorted(set(names)), key=names.count)


def _flags(dem: Dem) -> list[str]:
    """Return why an emission measure is not to be trusted, in words."""
    out = []
    if not dem.converged:
        out.append("the emission measure did not converge")
    per = dem.statistic / max(len(dem.seen.data), 1)
    if per > POOR:
        out.append(f"out of distribution: {per:.1f} of the statistic for each datum: the model does not describe this")
    best = int(np.argmax(dem.log_dem))
    if best in (0, dem.nodes - 1):
        end = "coldest" if best == 0 else "hottest"
        out.append(f"out of distribution: the emission measure is largest at the {end} temperature of the grid")
    return out
