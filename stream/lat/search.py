"""The search for point sources on a patch: a matched filter says where one may be, a likelihood fit what it is.

In each round the filter looks at what background and known sources leave over, each peak above the round's threshold is
fitted in place, index and flux (`stream.kernels.sky_fit`), then the background again. The filter weighs each pixel with
signal over variance, the variance being that of the background and of a source at the threshold: at high energies, and
in short times, where one photon is a lot, the weights of a filter for background alone would run away.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.ndimage import maximum_filter

from stream.kernels.sky_fit import INDEX_LOW, INDEX_STEP
from stream.kernels.sky_light import enlarge, filter_images
from stream.lat.bands import AT_BOUND, BANDS, CONFUSED, DETECTION, EDGE, EDGES_MEV, NOT_SETTLED, REFERENCE_MEV
from stream.lat.masks import Places
from stream.lat.patch import INNER_DEG, SIDE_DEG, to_patch, to_sky
from stream.lat.psf import Stamp
from stream.lat.scene import BOUNDS, INDICES, UNIT, WINGS_DEG, Scene, Source

Floats = NDArray[np.float64]
FILTER_INDEX: Final = 2.2
FILTER_FLUX: Final = 2.0  # UNIT, at least: at the threshold of ten years
FILTER_COUNTS: Final = 3.0  # of all channels, at least: at that of hours
ROUNDS: Final = (400.0, 100.0, 49.0, 25.0)  # thresholds in TS before the last
NEAR_DEG: Final = 0.12  # peaks so near to a source are its own
SAME_DEG: Final = 0.06  # and sources so near to each other are one
BESIDE_DEG: Final = 1.5  # a new source has those so near fitted again
RIM: Final = 3  # pixels along the edges where the filter sees the other side
RIM_DEG: Final = 0.5  # within it, a known source stays as it is
# Of positions: what the covariance says is too narrow where the background is not quite the model, as 4FGL's is (1.06,
# and a floor of 0.007 degrees). So widened, 95 % circles hold 88 % of the faintest simulated sources (6.95e-11), whose
# peak is often a fluctuation beside them, and 93 to 98 % of those above, all beyond 20 degrees from the plane; within
# 10 degrees of it, where the diffuse light is not the model, 63 to 94 % (TS > 16, bench.lat.search).
WIDER: Final = 1.3
LEAST_DEG: Final = 0.0025  # sigma
LEAST: Final = 1e-4  # counts per pixel in its variance


def search(
    scene: Scene,
    least_ts: float = 16.0,
    known: NDArray[Any] | None = None,
    rounds: tuple[float, ...] = ROUNDS,
    places: Places | None = None,
) -> NDArray[Any]:
    """Find the sources of a scene above a TS; return DETECTION rows, most significant first, none: no rows.

    Those in the margin are found as well, with the flag EDGE. known: DETECTION rows of bright sources, from an earlier
    search: those on the patch are where its fit begins, those beyond shine into it. places: where a network has seen
    sources; they take the place of the filter's peaks, all rounds of them.
    """
    if known is not None:
        _begin_with(scene, known)
    scene.fit_background()
    if scene.sources:
        settle(scene)
    seen = filter_map(scene)
    if places is not None:
        add_places(scene, places, seen[1])
        settle(scene)
    for threshold in () if places is not None else (*(t for t in rounds if t > least_ts), least_ts):
        if add_peaks(scene, threshold, seen):
            settle(scene)
            seen = filter_map(scene)
    for _ in range(2 if scene.sources else 0):
        drop(scene, least_ts)
        for source in scene.sources:
            source.fresh = True
        settle(scene)
    drop(scene, least_ts)
    return detections_of(scene)


def _begin_with(scene: Scene, known: NDArray[Any]) -> None:
    x, y = to_patch(scene.patch.glon_deg, scene.patch.glat_deg, known["glon_deg"], known["glat_deg"])
    with np.errstate(invalid="ignore"):
        off = np.maximum(np.maximum(-x, x - SIDE_DEG), np.maximum(-y, y - SIDE_DEG))
    for row, at_x, at_y, beyond in zip(known, x, y, off, strict=True):
        at = np.array([at_x, at_y, np.log(row["flux"] / UNIT), row["index"]])
        if beyond < -RIM_DEG:
            scene.sources.append(Source(at, float(row["ts"])))
        if beyond < WINGS_DEG:
            scene.add(at)


def filter_map(scene: Scene, *, doubted: bool = True) -> tuple[Floats, Floats, Floats]:
    """Return TS, flux and the flux of one sigma, UNIT, of one more source of FILTER_INDEX at each finest pixel.

    doubted: the background may differ from the model, as `Scene.doubt` says; else it is known but for its noise.
    """
    plan = scene.plan
    rate = scene.rate[:, round((FILTER_INDEX - INDEX_LOW) / INDEX_STEP)]
    flux = max(FILTER_FLUX, FILTER_COUNTS / float(rate.sum()))
    fine = int(plan.layout[:, 1].max())
    images = np.zeros((3, fine, fine))
    for _, _, channels in plan.grids:
        side = int(plan.layout[channels[0], 1])
        sums = np.zeros((3, side, side // 2 + 1), np.complex64)
        for c in channels:
            stamp = _stamp(scene, c)
            of = _transform(_weighed(scene, c, float(rate[c]), flux * float(rate[c]) * stamp.peak, doubted))
            sums[0] += of[0] * stamp.once
            sums[1:] += of[1:] * stamp.squared
        for image, folded in zip(images, irfft2(sums, (side, side)), strict=True):
            enlarge(folded, image)
    pull, power, noise = images[0], np.maximum(images[1], 1e-12), np.maximum(images[2], 1e-12)
    ts = np.where(pull > 0, pull**2 / noise, 0.0)
    return ts, pull / power, np.sqrt(noise) / power


def _weighed(scene: Scene, channel: int, rate: float, peak: float, doubted: bool) -> NDArray[np.float32]:
    """Return a channel's weighed excess, signal and variance, (3, rows, columns); peak: of a source, per sr."""
    begin, side = (int(value) for value in scene.plan.layout[channel])
    scale = float(scene.plan.scale[channel])
    doubt = scene.doubt(np.asarray((np.arange(side) + 0.5) * scale, float)) * doubted
    under = np.pi * (float(scene.profiles.r68_deg[channel]) / scale) ** 2
    more = peak * float(scene.plan.image(scene.patch.lit, channel).mean())
    out = np.empty((3, side, side), np.float32)
    filter_images(
        scene.patch.counts, scene.background, scene.light, scene.patch.lit, begin, side, doubt, under, rate, more,
        LEAST, out,
    )  # fmt: skip
    return out


def _transform(images: NDArray[np.floating]) -> NDArray[np.complex64]:
    return np.asarray(rfft2(images.astype(np.float32, copy=False)))


def _stamp(scene: Scene, channel: int) -> Stamp:
    """Return the transforms of the profile around pixel (0, 0) of the periodic image of a channel."""
    kept = scene.profiles.stamps
    if channel not in kept:
        side = int(scene.plan.layout[channel, 1])
        away = scene.plan.scale[channel] * np.minimum(np.arange(side), side - np.arange(side))
        stamp = scene.profiles.at(channel, np.hypot(away[:, None], away[None, :]))
        kept[channel] = Stamp(float(stamp.max()), _transform(stamp), _transform(stamp**2))
    return kept[channel]


def add_peaks(scene: Scene, threshold: float, seen: tuple[Floats, Floats, Floats]) -> int:
    """Add a source at each peak of what the filter has seen above a threshold; return how many."""
    ts, flux, _ = seen
    if not (ts > threshold).any():
        return 0
    peak = (ts == maximum_filter(ts, 5)) & (ts > threshold)
    peak[:RIM] = peak[-RIM:] = peak[:, :RIM] = peak[:, -RIM:] = False
    pixel = SIDE_DEG / len(ts)
    before = len(scene.sources)
    for row, column in sorted(zip(*np.nonzero(peak), strict=True), key=lambda at: -ts[at]):
        _begin(scene, np.array([column + 0.5, row + 0.5]) * pixel, flux[row, column], float(ts[row, column]))
    return len(scene.sources) - before


def add_places(scene: Scene, places: Places, flux: Floats) -> None:
    """Add a source at each place, surest first; flux: what the filter has there, UNIT, (side, side)."""
    scale = len(flux) / SIDE_DEG
    for x, y, p in zip(places.x_deg, places.y_deg, places.p, strict=True):
        _begin(scene, np.array([x, y]), flux[int(y * scale), int(x * scale)], float(p))


def _begin(scene: Scene, place: Floats, flux: float, ts: float) -> None:
    """Add a source of FILTER_INDEX to the scene, to be fitted with its neighbours, unless one is there."""
    if any(np.hypot(*(s.at[:2] - place)) < NEAR_DEG for s in scene.sources):
        return
    at = np.array([*place, np.log(max(flux, 0.1)), min(FILTER_INDEX, scene.prior[0])])
    for other in scene.sources:
        other.fresh |= bool(np.hypot(*(other.at[:2] - place)) < BESIDE_DEG)
    scene.sources.append(Source(at, ts))
    scene.add(at)


def settle(scene: Scene) -> None:
    """Fit the fresh sources in turn, strongest first, then the background."""
    for source in sorted(scene.sources, key=lambda s: -s.ts):
        if source.fresh:
            scene.fit(source)
    scene.fit_background()


def drop(scene: Scene, least_ts: float) -> None:
    """Forget the sources below a TS, and those that have come to lie on a stronger one; strongest first then."""
    kept: list[Source] = []
    for source in sorted(scene.sources, key=lambda s: -s.ts):
        near = any(np.hypot(*(source.at - k.at)[:2]) < SAME_DEG for k in kept)
        if source.ts >= least_ts and not near:
            kept.append(source)
        else:
            scene.add(source.at, -1.0)
    scene.sources = kept


def detections_of(scene: Scene) -> NDArray[Any]:
    """Return DETECTION rows of the sources, in their order."""
    out = np.zeros(len(scene.sources), DETECTION)
    out["id"] = np.arange(1, len(out) + 1)
    for name in ("probability", "flux_band", "flux_band_error"):
        out[name] = np.nan
    for row, source in zip(out, scene.sources, strict=True):
        row["glon_deg"], row["glat_deg"] = to_sky(scene.patch.glon_deg, scene.patch.glat_deg, *source.at[:2])
        spread = max(np.linalg.det(source.covariance[:2, :2]), 0.0) ** 0.25  # sigma of the circle of the same area
        spread = float(np.hypot(WIDER * spread, LEAST_DEG))
        row["r68_deg"], row["r95_deg"] = 1.515 * spread, 2.448 * spread  # of a two-dimensional Gaussian
        row["ts"], row["flux"], row["index"] = source.ts, UNIT * np.exp(source.at[2]), source.at[3]
        row["flux_error"] = row["flux"] * np.sqrt(source.covariance[2, 2])
        row["index_error"] = np.sqrt(source.covariance[3, 3])
        by_channel = np.array([np.exp(np.interp(source.at[3], INDICES, np.log(r))) for r in scene.rate])
        for group, channels in enumerate(scene.plan.groups[:BANDS]):
            row["counts"][group] = np.exp(source.at[2]) * by_channel[list(channels)].sum()
        if len(scene.plan.groups) == BANDS:
            share = UNIT * shares(float(source.at[3]))
            row["flux_band"], row["flux_band_error"] = (share * part for part in scene.by_band(source))
        row["flag"] = _flag(scene, source)
    return out


def shares(index: float) -> Floats:
    """Return photons in each band over those from 1 to 100 GeV of a power law, (BANDS,)."""
    power = -1e-6 if abs(index - 1) < 1e-6 else 1 - index
    edges, (low, high) = np.array(EDGES_MEV) ** power, np.array(REFERENCE_MEV) ** power
    return np.asarray(np.diff(edges) / (high - low))


def _flag(scene: Scene, source: Source) -> int:
    flag = 0 if source.settled else NOT_SETTLED
    if np.abs(source.at[:2] - SIDE_DEG / 2).max() > INNER_DEG / 2:
        flag |= EDGE
    if min(abs(source.at[3] - b) for b in BOUNDS) < 1e-6:
        flag |= AT_BOUND
    if any(s.at[2] > source.at[2] and np.hypot(*(s.at - source.at)[:2]) < 0.5 for s in scene.sources):
        flag |= CONFUSED
    return flag
