"""Lines measured the traditional way: Gaussians of one width and one shift by Poisson likelihood, blends together."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import erf

from analyse.corona.features import Features
from stream.corona.instrument import FWHM
from stream.corona.observed import Observed
from stream.errors import ConfigError
from stream.kernels.corona import KMS
from stream.spectra.grid import Floats

WINGS: Final = 3.5  # FWHM beyond the outermost line of a blend: where the continuum is seen
CLEAR: Final = 1.25  # FWHM from the lines of other blends that it keeps away
STRONG: Final = 12  # blends from which shift and width are taken
LEAST_COUNTS: Final = 25.0  # above the continuum, of such a blend
MOST_SHIFT: Final = 0.7  # FWHM
WIDTHS: Final = (0.6, 2.0)  # of the instrument's
SMALL: Final = 1e-9
FOUND: Final = 3.0  # sigma: a line is identified


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What was measured of F features."""

    features: Features
    counts: Floats  # (F,) in each line; NaN where the instrument sees nothing
    error: Floats  # (F,) 1 sigma
    flux: Floats  # (F,) photons cm-2 s-1
    flux_error: Floats
    significance: Floats  # (F,) sigma: root of twice what ln likelihood loses without the line
    continuum: Floats  # (F,) counts A-1 below it
    shift_kms: float
    width: float  # of all lines, in the instrument's
    model: Floats  # (C,) counts of lines and continuum; NaN between blends

    @property
    def found(self) -> NDArray[np.bool_]:
        """Return which are identified, (F,)."""
        return self.significance >= FOUND


def profile(edges_a: Floats, centre_a: Floats, sigma_a: Floats) -> Floats:
    """Return the share of each line (n,) in each bin, (n, bins)."""
    z = (edges_a[None] - centre_a[:, None]) / (np.sqrt(2.0) * sigma_a[:, None])
    return 0.5 * np.diff(erf(z), axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Blend:
    """Bins about some features, and what the continuum may be there: straight, in photons."""

    at: NDArray[np.int64]  # features
    bins: slice
    edges: Floats
    counts: Floats
    usable: NDArray[np.bool_]
    ramps: Floats  # (2, bins) counts of a continuum that is 1 at the low end, and at the high end
    area: Floats  # (lines,) against the window's mean, so that amplitudes are counts

    def design(self, features: Features, shift_kms: float, width: float) -> Floats:
        """Return counts (lines + 2, bins) for one count of each part."""
        centre = features.wavelength_a[self.at] * (1 + shift_kms / KMS)
        lines = profile(self.edges, centre, features.fwhm_a[self.at] / FWHM * width)
        return np.concatenate([lines, self.ramps]) * self.usable


def _blends(observed: Observed, features: Features) -> list[_Blend]:
    edges, area, usable = observed.instrument.edges_a, observed.instrument.area_cm2, observed.usable()
    out, where, wide = [], features.wavelength_a, features.fwhm_a
    for at in features.blends():
        reach = WINGS * wide[at].max()
        low, high = where[at[0]] - reach, where[at[-1]] + reach
        if at[0] > 0:  # another blend's lines are no continuum
            low = max(low, where[at[0] - 1] + CLEAR * wide[at[0] - 1])
        if at[-1] + 1 < len(features):
            high = min(high, where[at[-1] + 1] - CLEAR * wide[at[-1] + 1])
        a = int(np.clip(np.searchsorted(edges, low) - 1, 0, len(edges) - 2))
        b = int(np.clip(np.searchsorted(edges, high), a + 1, len(edges) - 1))
        bins = slice(a, b)
        some = usable[bins]
        if some.sum() < len(at) + 3:
            continue
        middle = 0.5 * (edges[a:b] + edges[a + 1 : b + 1])
        up = (middle - middle[0]) / max(middle[-1] - middle[0], SMALL)
        light = area[bins] * np.diff(edges[a : b + 1])
        ramps = np.stack([1 - up, up]) * light
        ramps /= np.maximum((ramps * some).sum(axis=1, keepdims=True), SMALL)
        counts = observed.counts[bins] * some
        out.append(_Blend(at, bins, edges[a : b + 1], counts, some, ramps, area[bins]))
    return out


def _linear(design: Floats, counts: Floats, begin: Floats | None = None) -> tuple[Floats, float]:
    """Return the parts (n,), none below 0, that make counts most probable, and minus ln likelihood there."""
    total = max(counts.sum(), 1.0)
    x = np.full(len(design), total / len(design)) if begin is None else begin

    def loss(y: Floats) -> tuple[float, Any]:
        model = np.maximum(y @ design, SMALL)
        return float(model.sum() - counts @ np.log(model)), design @ (1 - counts / model) * scale

    scale = total / len(design)

    def scaled(z: Floats) -> tuple[float, Any]:
        return loss(z * scale)

    found = minimize(scaled, x / scale, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(x))
    return found.x * scale, float(found.fun)


def _shared(blends: list[_Blend], features: Features, weight: Floats) -> tuple[float, float]:
    """Return the shift, km/s, and the width that the strongest blends have in common; 0 and 1 where none is strong."""
    found = []
    for blend in sorted(blends, key=lambda b: -weight[b.at].max())[:STRONG]:
        least = MOST_SHIFT * features.fwhm_a[blend.at].min() / features.wavelength_a[blend.at].max() * KMS
        start, _ = _linear(blend.design(features, 0.0, 1.0), blend.counts)
        lines = start[: len(blend.at)].sum()
        if lines < LEAST_COUNTS or lines < 3 * np.sqrt(max(start.sum(), 1.0)):
            continue
        scale = np.concatenate([np.full(len(start), max(start.sum() / len(start), 1.0)), [least, 1.0]])

        def loss(z: Floats, blend: _Blend = blend, scale: Floats = scale) -> float:
            y = z * scale
            model = np.maximum(y[:-2] @ blend.design(features, y[-2], y[-1]), SMALL)
            return float(model.sum() - blend.counts @ np.log(model))

        bounds = [(0.0, None)] * len(start) + [(-1.0, 1.0), WIDTHS]
        best = minimize(loss, np.concatenate([start, [0.0, 1.0]]) / scale, method="L-BFGS-B", bounds=bounds)
        at = best.x * scale
        inside = abs(best.x[-2]) < 0.999 and WIDTHS[0] < at[-1] < WIDTHS[1]
        if inside:
            found.append((at[-2], at[-1], lines))
    if not found:
        return 0.0, 1.0
    shift, width, counts = np.array(found).T
    return float(_middle(shift, counts)), float(_middle(width, counts))


def _middle(values: Floats, weight: Floats) -> float:
    """Return the weighted median: one bad fit moves it little."""
    order = np.argsort(values)
    share = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(share, 0.5 * share[-1])])


def measure(observed: Observed, features: Features, shared: tuple[float, float] | None = None) -> Measured:
    """Return counts and fluxes of features. shared: shift km/s and width of all lines; None: from the strongest.

    Raises ConfigError for a camera's channels (no lines to fit), and for an instrument that sees none of the features.
    """
    if observed.instrument.response is not None:
        raise ConfigError(f"{observed.name}: a camera's channels: lines are wider apart than it sees; fit the spectrum")
    blends = _blends(observed, features)
    if not blends:
        raise ConfigError(f"{observed.name}: no lines of the table where the instrument sees anything")
    weight = np.zeros(len(features))
    for blend in blends:
        weight[blend.at] = blend.counts.sum()
    shift, width = shared or _shared(blends, features, weight)
    n = len(features)
    counts, error, sigma, continuum = (np.full(n, np.nan) for _ in range(4))
    model = np.full(len(observed.counts), np.nan)
    for blend in blends:
        design = blend.design(features, shift, width)
        parts, loss = _linear(design, blend.counts)
        expected = np.maximum(parts @ design, SMALL)
        information = (design / expected) @ design.T
        spread = np.sqrt(np.maximum(np.diag(np.linalg.pinv(information, hermitian=True)), 0.0))
        model[blend.bins] = np.where(blend.usable, expected, np.nan)
        for i, k in enumerate(blend.at):
            counts[k], error[k] = parts[i], spread[i]
            here = np.searchsorted(blend.edges, features.wavelength_a[k]) - 1
            here = int(np.clip(here, 0, len(blend.counts) - 1))
            continuum[k] = (parts[-2:] @ blend.ramps)[here] / np.diff(blend.edges)[here]
            without, begin = np.delete(design, i, axis=0), np.delete(parts, i) + SMALL
            sigma[k] = 0.0
            if parts[i] > 0:
                sigma[k] = np.sqrt(max(2 * (_linear(without, blend.counts, begin)[1] - loss), 0.0))
    area = np.interp(features.wavelength_a, observed.instrument.middle_a, observed.instrument.area_cm2)
    caught = np.where(area > 0, area, np.nan) * observed.exposure_s
    return Measured(
        features, counts, error, counts / caught, error / caught, np.nan_to_num(sigma), continuum, shift, width, model
    )
