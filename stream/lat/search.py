"""The search for point sources on a patch: a matched filter says where one may be, a likelihood fit what it is.

In each round the filter looks at what background and known sources leave over, each peak above the round's threshold is
fitted in place, index and flux (`stream.kernels.sky_fit`), then background and sources are fitted again in turns. The
background is not taken as known: in each band its interstellar and isotropic parts have free norms, and the first a
gradient; and every channel's likelihood has a weight 1 / (1 + (DOUBT^2 counts of background under the PSF)), so that no
band is trusted beyond DOUBT (4FGL: 3 %; Abdollahi et al. 2020, ApJS 247, 33, section 3.2).
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.ndimage import maximum_filter, zoom

from stream.kernels.sky_fit import INDEX_LOW, INDEX_STEP, PARAMETERS, add_source, fit_source
from stream.lat.bands import AT_BOUND, BANDS, CHANNELS, CONFUSED, DETECTION, EDGE, NOT_SETTLED, TYPES
from stream.lat.exposure import Exposure, counts, power_law
from stream.lat.patch import BLUR_DEG, INNER_DEG, LAYOUT, PIXEL_DEG, SCALE, SIDE_DEG, Patch, image_of, to_sky
from stream.lat.psf import STEP_DEG, Profiles

Floats = NDArray[np.float64]
UNIT: Final = 1e-10  # photons cm-2 s-1 of the kernel's fluxes
INDICES: Final = INDEX_LOW + INDEX_STEP * np.arange(36)
FILTER_INDEX: Final = 2.2
FILTER_FLUX: Final = 2.0  # UNIT; of the source whose noise the filter's weights allow for
DOUBT: Final = 0.03
ROUNDS: Final = (400.0, 100.0, 49.0, 25.0)  # thresholds in TS before the last
REACH: Final = 2.5  # of the likelihood: 68 % radii
FARTHEST_DEG: Final = 2.5  # at most
WINGS: Final = 6.0  # of a source in the model, likewise
WINGS_DEG: Final = 8.0
MOVE_DEG: Final = 0.5  # from where the filter saw it
NEAR_DEG: Final = 0.12  # peaks so near to a source are its own
PRIOR: Final = (2.3, 0.4)  # of the index: mean and sd of DR2's
BOUNDS: Final = (1.0, 4.4)
NORM_SD: Final = (0.3, 0.5, 0.1, 0.1)  # interstellar, isotropic, gradient per half side of the patch


@dataclass(slots=True)
class Scene:
    """What is expected on a patch, and what was found."""

    patch: Patch
    iem: Floats  # (LENGTH,) counts expected for norms of 1
    iso: Floats
    rate: Floats  # (CHANNELS, k) counts per UNIT of flux at INDICES
    profiles: Profiles
    norms: Floats = field(default_factory=lambda: np.tile([1.0, 1.0, 0.0, 0.0], (BANDS, 1)))
    sources: list[Floats] = field(default_factory=list)  # (4,) as the kernel has them
    ts: list[float] = field(default_factory=list)
    covariances: list[Floats] = field(default_factory=list)
    settled: list[bool] = field(default_factory=list)
    fresh: list[bool] = field(default_factory=list)  # to be fitted (again)
    background: Floats = field(init=False)  # (LENGTH,) counts expected from it
    light: Floats = field(init=False)  # from the sources

    def __post_init__(self) -> None:
        self.background, self.light = self.iem + self.iso, np.zeros(len(self.iem))

    @property
    def reach(self) -> Floats:
        """How far from a source the likelihood looks, degrees, (CHANNELS,)."""
        return np.minimum(REACH * self.profiles.r68_deg, FARTHEST_DEG)

    @property
    def wings(self) -> Floats:
        """How far a source reaches in the model."""
        return np.minimum(WINGS * self.profiles.r68_deg, WINGS_DEG)


def scene_of(patch: Patch, diffuse: tuple[Floats, Floats], exposure: Exposure, profiles: Profiles) -> Scene:
    """Return a scene without sources. diffuse: counts per sr of (interstellar, isotropic) light, (LENGTH,)."""
    at = exposure.at(patch.glon_deg, patch.glat_deg)[..., 0]
    rate = counts(power_law(np.full(len(INDICES), UNIT), INDICES), at)
    by_channel = rate.transpose(2, 1, 0).reshape(CHANNELS, len(INDICES))
    return Scene(patch, diffuse[0] * patch.lit, diffuse[1] * patch.lit, np.ascontiguousarray(by_channel), profiles)


def search(scene: Scene, least_ts: float = 16.0, rounds: tuple[float, ...] = ROUNDS) -> NDArray[Any]:
    """Find the sources of a scene above a TS; return DETECTION rows, most significant first, none: no rows.

    Those in the margin are found as well, with the flag EDGE.
    """
    fit_background(scene)
    for threshold in (*(t for t in rounds if t > least_ts), least_ts):
        if add_peaks(scene, threshold):
            settle(scene)
    for _ in range(2):
        drop(scene, least_ts)
        scene.fresh = [True] * len(scene.sources)
        settle(scene)
    drop(scene, least_ts)
    return detections_of(scene)


def _set_background(scene: Scene) -> None:
    for channel in range(CHANNELS):
        a, b, by_x, by_y = scene.norms[channel // len(TYPES)]
        x, y = _tilt(channel)
        iem, iso = image_of(scene.iem, channel), image_of(scene.iso, channel)
        image_of(scene.background, channel)[:] = iem * np.maximum(a + by_x * x + by_y * y, 0.05) + iso * b


@cache
def _tilt(channel: int) -> tuple[Floats, Floats]:
    side = LAYOUT[channel, 1]
    at = (np.arange(side) + 0.5) / side * 2 - 1
    return at[None, :], at[:, None]


def _add(scene: Scene, source: Floats, sign: float) -> None:
    patch, values = scene.patch, scene.profiles.values
    add_source(
        scene.light, LAYOUT, SCALE, patch.lit, patch.at, values, STEP_DEG, scene.rate, source, sign, scene.wings
    )  # fmt: skip


def weights_of(scene: Scene) -> Floats:
    """Return the weight of each channel's likelihood, (CHANNELS,), from the background under the PSF mid-patch."""
    out = np.empty(CHANNELS)
    for channel in range(CHANNELS):
        image = image_of(scene.background, channel)
        under = float(np.mean(image)) * np.pi * (scene.profiles.r68_deg[channel] / SCALE[channel]) ** 2
        out[channel] = 1 / (1 + DOUBT**2 * under)
    return out


def fit_background(scene: Scene) -> None:
    """Fit the norms of the background with the sources as they are: Newton on the penalised likelihood, each band."""
    prior = 1 / np.array(NORM_SD) ** 2
    start = np.array([1.0, 1.0, 0.0, 0.0])
    for band in range(BANDS):
        channels = [band * len(TYPES) + kind for kind in range(len(TYPES))]
        columns, n, rest = [], [], []
        for channel in channels:
            iem, iso = image_of(scene.iem, channel), image_of(scene.iso, channel)
            x, y = _tilt(channel)
            columns.append(np.stack([iem, iso, iem * x, iem * y]).reshape(4, -1))
            n.append(scene.patch.image(channel, scene.patch.counts).ravel())
            rest.append(image_of(scene.light, channel).ravel())
        design, observed, known = np.concatenate(columns, axis=1), np.concatenate(n), np.concatenate(rest)
        norms = scene.norms[band].copy()
        for _ in range(4):
            expected = np.maximum(norms @ design + known, 1e-9)
            gradient = design @ (observed / expected - 1) - prior * (norms - start)
            information = (design / expected) @ design.T + np.diag(prior)
            norms += np.linalg.solve(information, gradient)
            norms[:2] = np.maximum(norms[:2], 0.05)
        scene.norms[band] = norms
    _set_background(scene)


def filter_map(scene: Scene) -> tuple[Floats, Floats]:
    """Return TS and flux, UNIT, of one more source of FILTER_INDEX at each pixel of the finest grid."""
    model, weight = scene.background + scene.light, weights_of(scene)
    place = round((FILTER_INDEX - INDEX_LOW) / INDEX_STEP)
    fine = round(SIDE_DEG / min(PIXEL_DEG))
    total = np.zeros((3, fine, fine))
    for grid in sorted(set(PIXEL_DEG)):
        channels = [c for c in range(CHANNELS) if SCALE[c] == grid]
        side = round(SIDE_DEG / grid)
        sums = np.zeros((3, side, side // 2 + 1), complex)
        for channel in channels:
            n, m = (image_of(v, channel) for v in (scene.patch.counts, model))
            lit = image_of(scene.patch.lit, channel)
            kernel = _stamp(scene.profiles, channel)
            peak = scene.rate[channel, place] * kernel.max() * float(lit.mean())
            m = np.maximum(m, 1e-4)
            variance = m + FILTER_FLUX * peak
            each, square = rfft2(kernel), rfft2(kernel**2)
            light = scene.rate[channel, place] * lit
            sums[0] += weight[channel] * rfft2(light * (n - m) / variance) * each
            sums[1] += weight[channel] * rfft2(light**2 / variance) * square
            sums[2] += weight[channel] * rfft2(light**2 * m / variance**2) * square
        for i in range(3):
            image = irfft2(sums[i], (side, side))
            total[i] += image if side == fine else zoom(image, fine / side, order=1, mode="nearest", grid_mode=True)
    pull, power, noise = total
    with np.errstate(divide="ignore", invalid="ignore"):
        ts = np.where(pull > 0, pull**2 / np.maximum(noise, 1e-12), 0.0)
    return ts, pull / np.maximum(power, 1e-12)


_STAMPS: dict[tuple[int, int], Floats] = {}


def _stamp(profiles: Profiles, channel: int) -> Floats:
    """Return the profile around pixel (0, 0) of the periodic image of a channel, sr-1."""
    key = id(profiles), channel
    if key not in _STAMPS:
        side = int(LAYOUT[channel, 1])
        away = SCALE[channel] * np.minimum(np.arange(side), side - np.arange(side))
        _STAMPS[key] = profiles.at(channel, np.hypot(away[:, None], away[None, :]))
    return _STAMPS[key]


def add_peaks(scene: Scene, threshold: float) -> int:
    """Add a source at each peak of the filter above a threshold, fitted; return how many."""
    ts, flux = filter_map(scene)
    peak = (ts == maximum_filter(ts, 5)) & (ts > threshold)
    edge = 3
    peak[:edge] = peak[-edge:] = False
    peak[:, :edge] = peak[:, -edge:] = False
    rows, columns = np.nonzero(peak)
    order = np.argsort(-ts[rows, columns])
    fine, added = min(PIXEL_DEG), 0
    for row, column in zip(rows[order], columns[order], strict=True):
        x, y = (column + 0.5) * fine, (row + 0.5) * fine
        if any(np.hypot(s[0] - x, s[1] - y) < NEAR_DEG for s in scene.sources):
            continue
        guess = max(float(flux[row, column]), 0.1)
        scene.sources.append(np.array([x, y, np.log(guess), FILTER_INDEX]))
        scene.ts.append(float(ts[row, column]))
        scene.covariances.append(np.zeros((PARAMETERS, PARAMETERS)))
        scene.settled.append(False)
        scene.fresh.append(True)
        _add(scene, scene.sources[-1], 1.0)
        added += 1
    return added


def settle(scene: Scene, steps: int = 6) -> None:
    """Fit the fresh sources in turn, strongest first, with all others as they are, then the background."""
    weight = weights_of(scene)
    limits = np.array([*PRIOR, MOVE_DEG, *BOUNDS, np.log(1e-3)])
    for i in np.argsort([-t for t in scene.ts]):
        if not scene.fresh[i]:
            continue
        source = scene.sources[i]
        _add(scene, source, -1.0)
        scene.ts[i], scene.settled[i] = fit_source(
            scene.patch.counts, scene.background + scene.light, LAYOUT, SCALE, scene.patch.lit, scene.patch.at,
            scene.profiles.values, STEP_DEG, scene.rate, source, scene.reach, weight, limits, steps,
            scene.covariances[i],
        )  # fmt: skip
        _add(scene, source, 1.0)
        scene.fresh[i] = not scene.settled[i]
    fit_background(scene)


def drop(scene: Scene, least_ts: float) -> None:
    """Forget the sources below a TS, and those that have come to lie on a stronger one."""
    keep: list[int] = []
    for i in np.argsort([-t for t in scene.ts]):
        near = any(np.hypot(*(scene.sources[i] - scene.sources[k])[:2]) < NEAR_DEG / 2 for k in keep)
        if scene.ts[i] >= least_ts and not near:
            keep.append(int(i))
        else:
            _add(scene, scene.sources[i], -1.0)
    for name in ("sources", "ts", "covariances", "settled", "fresh"):
        setattr(scene, name, [getattr(scene, name)[i] for i in keep])


def detections_of(scene: Scene) -> NDArray[Any]:
    """Return DETECTION rows of the sources, in their order."""
    out = np.zeros(len(scene.sources), DETECTION)
    out["id"] = np.arange(1, len(out) + 1)
    out["probability"] = np.nan
    for row, source, ts, covariance, settled in zip(
        out, scene.sources, scene.ts, scene.covariances, scene.settled, strict=True
    ):
        lon, lat = to_sky(scene.patch.glon_deg, scene.patch.glat_deg, source[0], source[1])
        spread = np.sqrt(np.sqrt(max(np.linalg.det(covariance[:2, :2]), 0.0)))  # of a circle of the same area
        row["glon_deg"], row["glat_deg"], row["ts"] = lon, lat, ts
        row["r68_deg"], row["r95_deg"] = 1.515 * spread, 2.448 * spread
        row["flux"], row["index"] = UNIT * np.exp(source[2]), source[3]
        row["flux_error"] = row["flux"] * np.sqrt(covariance[2, 2])
        row["index_error"] = np.sqrt(covariance[3, 3])
        by_index = [np.interp(source[3], INDICES, r) for r in scene.rate]
        row["counts"] = np.exp(source[2]) * np.reshape(by_index, (BANDS, len(TYPES))).sum(axis=1)
        row["flag"] = _flag(scene, source, settled)
    return out


def _flag(scene: Scene, source: Floats, settled: bool) -> int:
    flag = 0 if settled else NOT_SETTLED
    if np.abs(source[:2] - SIDE_DEG / 2).max() > INNER_DEG / 2:
        flag |= EDGE
    if min(abs(source[3] - b) for b in BOUNDS) < 1e-6:
        flag |= AT_BOUND
    stronger = [s for s in scene.sources if s[2] > source[2]]
    if any(np.hypot(*(s - source)[:2]) < 0.5 for s in stronger):
        flag |= CONFUSED
    return flag


__all__ = ["BLUR_DEG", "Scene", "scene_of", "search"]
