"""The joint posterior of a source's place, flux, index and curvature, of the diffuse norms, and of near neighbours.

The density is the likelihood of `analyse.lat.fit` on fewer cells: pixels where the source shines, wide cells elsewhere,
in which the norms are told as well. Sources farther than JOINT_DEG and the gradients of the norms stay as fitted.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyse.diagnostics import Draws, UnconvergedError
from analyse.ensemble import sample_density
from analyse.groups import write_groups
from analyse.lat.fit import CURVE, FLUX, MOVE_DEG, SLOPE, Fit, Part, X, Y
from analyse.lat.region import SMALLEST, Region, region_of
from analyse.lat.source import away_deg
from analyse.lat.spectra import INDEX, KINDS, at_nodes
from analyse.posterior import FAILED, GOOD
from config.extra import extra
from stream.lat.bands import BANDS, EDGES_MEV
from stream.lat.exposure import WEIGHT_MEV
from stream.lat.patch import to_sky
from stream.lat.psf import STEP_DEG
from stream.lat.scene import FARTHEST_DEG, NORM_BOUNDS, NORM_SD, REACH, UNIT
from stream.transport.fitsfile import disk_faults

Floats = NDArray[np.float64]
JOINT_DEG: Final = 1.0  # neighbours so near are sampled with the source
CELL_DEG: Final = 1.6
MOST_SCALE: Final = 20.0  # of a neighbour's flux over the fit
MOST_FLUX: Final = 1e4  # UNIT
DIFFUSE: Final = 2  # norms of a band that are sampled: interstellar, isotropic


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """Flat between limits; norms Gaussian as well."""

    names: list[str]
    low: Floats  # (k,)
    high: Floats
    mean: Floats  # (k,) and 1 / sd^2 of what is Gaussian; 0: nothing
    stiff: Floats
    start: Floats  # (k,) the fit
    spread: Floats  # (k, k) square root of its covariance

    def scattered(self, rng: np.random.Generator, count: int) -> Floats:
        """Return so many points (count, k) about the fit, within the limits."""
        points = self.start + rng.standard_normal((count, len(self.start))) @ self.spread.T
        margin = 1e-3 * (self.high - self.low)
        inside = (points > self.low + margin) & (points < self.high - margin)
        near = np.clip(self.start, self.low + margin, self.high - margin)
        return np.where(inside, points, near + margin * rng.uniform(-0.5, 0.5, points.shape))

    def stated(self) -> list[str]:
        """Return each in words."""
        ends = zip(self.low, self.high, self.mean, self.stiff, strict=True)
        return [
            f"Gaussian {mean:g} +- {stiff**-0.5:g}" if stiff else f"flat {low:g} to {high:g}"
            for low, high, mean, stiff in ends
        ]


class Density:
    """ln of the posterior density at variables (n, k)."""

    def __init__(self, found: Fit) -> None:
        own, self.kind = found.parts[0], found.parts[0].kind
        self.curved = bool(KINDS[self.kind].curve)
        whole = found.region
        optics = whole.optics
        reach = np.minimum(REACH * optics.r68_deg, FARTHEST_DEG)
        self.region = region = region_of(whole.scene, optics, whole.exposure, fine_deg=reach, cell_deg=CELL_DEG)
        self.weight = _weights(whole, region)
        self.joint = [k for k, p in enumerate(found.parts) if k and p.free[FLUX] and away_deg(p) < JOINT_DEG]
        images = [p.image(region, p.theta) for p in found.parts]
        self.near = np.stack([images[k] for k in self.joint]) if self.joint else np.zeros((0, len(region.counts)))
        still = [image for k, image in enumerate(images) if k and k not in self.joint]
        self.still = sum(still, (region.diffuse[:, 2:] * found.norms[region.group, 2:]).sum(axis=1))
        self.design = np.zeros((BANDS * DIFFUSE, len(region.counts)))
        self.design[region.group * DIFFUSE, np.arange(len(region.group))] = region.diffuse[:, 0]
        self.design[region.group * DIFFUSE + 1, np.arange(len(region.group))] = region.diffuse[:, 1]
        self.seen, self.prior = own.seen, _prior(found, self.joint)
        self._look(own, images[0], reach)

    def _look(self, own: Part, image: Floats, reach: Floats) -> None:
        """Tell cells that are one pixel near the source from wide ones, where its light is taken as it is fitted."""
        region, plan = self.region, self.region.optics.plan
        size = np.bincount(region.cell)
        channel = np.repeat(np.arange(len(plan.scale)), plan.layout[:, 1] ** 2)
        self.channel = np.zeros(len(size), np.int64)
        self.channel[region.cell] = channel
        middle = np.zeros((len(size), 2))
        middle[region.cell] = region.patch.at
        lit = np.bincount(region.cell, region.patch.lit)
        self.fine = np.flatnonzero(size == 1)
        self.at, self.lit = middle[self.fine], lit[self.fine]
        total = region.optics.photons(own.spectrum(own.theta), own.seen).sum(axis=1)
        self.wings = np.where(size > 1, image / np.maximum(total[self.channel], 1e-300), 0.0)
        self.most = int((reach.max() + 2 * MOVE_DEG) / STEP_DEG) + 2
        self.nodes = np.ascontiguousarray(region.optics.nodes[:, :, : self.most])

    @property
    def first_norm(self) -> int:
        """Where the norms begin."""
        return 4 + self.curved

    def __call__(self, variables: Floats) -> Floats:
        """Return it, (n,); -inf beyond the limits."""
        prior, out = self.prior, np.full(len(variables), -np.inf)
        inside = np.flatnonzero(np.all((variables >= prior.low) & (variables <= prior.high), axis=1))
        if inside.size:
            at = variables[inside]
            expected = np.maximum(self.expected(at), SMALLEST)
            likely = (self.region.counts * np.log(expected) - expected) @ self.weight
            out[inside] = likely - 0.5 * ((at - prior.mean) ** 2 @ prior.stiff)
        return np.where(np.isfinite(out), out, -np.inf)

    def expected(self, variables: Floats) -> Floats:
        """Return counts expected, (n, cells)."""
        norms = variables[:, self.first_norm : self.first_norm + BANDS * DIFFUSE]
        scales = variables[:, self.first_norm + BANDS * DIFFUSE :]
        return self.still + norms @ self.design + scales @ self.near + self.source(variables)

    def source(self, variables: Floats) -> Floats:
        """Return those of the source, (n, cells)."""
        optics = self.region.optics
        curve = variables[:, 4] if self.curved else 0.0
        spectra = at_nodes(self.kind, np.log(np.maximum(variables[:, 2], 1e-12)), variables[:, 3], curve) * WEIGHT_MEV
        seen = np.stack([self.seen[list(kinds), b].sum(0) for b, kinds in zip(optics.band, optics.kinds, strict=True)])
        by_node = spectra[:, optics.band] * seen
        total = by_node.sum(axis=2)
        share = by_node / np.maximum(total, 1e-300)[..., None]
        profile = np.matmul(share.transpose(1, 0, 2), self.nodes)  # (channels, n, radii)
        out = total[:, self.channel] * self.wings
        away = np.hypot(*(self.at[None, :, i] - variables[:, i, None] for i in (0, 1))) / STEP_DEG
        k = np.minimum(away.astype(np.int64), self.most - 2)
        walker, channel = np.arange(len(variables))[:, None], self.channel[self.fine][None]
        low, high = profile[channel, walker, k], profile[channel, walker, k + 1]
        out[:, self.fine] = total[:, self.channel[self.fine]] * (low + (away - k) * (high - low)) * self.lit
        return out


def _weights(whole: Region, region: Region) -> Floats:
    """Return the weights of a region's cells: those of another's cells on the same pixels, meant."""
    return np.bincount(region.cell, whole.weight[whole.cell]) / np.bincount(region.cell)


def _prior(found: Fit, joint: list[int]) -> Prior:
    own, places = found.parts[0], [found.place(0, k) for k in (X, Y, FLUX, SLOPE)]
    names, flux = ["x", "y", "flux", "index"], float(np.exp(own.theta[FLUX]))
    start = [own.theta[X], own.theta[Y], flux, own.theta[SLOPE]]
    begun = own.begun or (own.theta[X], own.theta[Y])
    low = [begun[0] - MOVE_DEG, begun[1] - MOVE_DEG, 0.0, INDEX[0]]
    high = [begun[0] + MOVE_DEG, begun[1] + MOVE_DEG, MOST_FLUX, INDEX[1]]
    slopes = [1.0, 1.0, flux, 1.0]  # from the fit's parameters
    if KINDS[own.kind].curve:
        names.append(KINDS[own.kind].curve)
        places.append(found.place(0, CURVE))
        start.append(own.theta[CURVE])
        low.append(KINDS[own.kind].bounds[0])
        high.append(KINDS[own.kind].bounds[1])
        slopes.append(1.0)
    first = sum(int(p.free.sum()) for p in found.parts)
    for band in range(BANDS):
        for norm, what in enumerate(("iem", "iso")):
            names.append(f"{what}_{EDGES_MEV[band]:.0f}")
            places.append(first + 4 * band + norm)
            start.append(found.norms[band, norm])
            low.append(float(NORM_BOUNDS[0][norm]))
            high.append(float(NORM_BOUNDS[1][norm]))
            slopes.append(1.0)
    for k in joint:
        names.append(f"flux_of_{found.parts[k].name}")
        places.append(found.place(k, FLUX))
        start.append(1.0)
        low.append(0.0)
        high.append(MOST_SCALE)
        slopes.append(1.0)
    gaussian = np.array([name.startswith(("iem_", "iso_")) for name in names])
    sd = np.where([name.startswith("iem_") for name in names], NORM_SD[0], NORM_SD[1])
    block = found.covariance[np.ix_(places, places)] * np.outer(slopes, slopes)  # type: ignore[arg-type]
    return Prior(
        names,
        np.array(low),
        np.array(high),
        np.where(gaussian, 1.0, 0.0),
        np.where(gaussian, sd**-2.0, 0.0),
        np.array(start),
        _root(block),
    )


def _root(covariance: Floats) -> Floats:
    """Return a square root; what is at a bound has a small spread of its own."""
    known = np.isfinite(np.diag(covariance))
    full = np.where(known[:, None] & known[None], np.nan_to_num(covariance), 0.0)
    full[~known, ~known] = 1e-4
    values, vectors = np.linalg.eigh(full)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 1e-14)))


def sample(found: Fit, seed: int, steps: int | None = None) -> tuple[Density, Draws]:
    """Return the density of a fit and draws from it. Raises ConfigError without the analyse extra."""
    density = Density(found)
    prior = density.prior
    return density, sample_density(density, prior.scattered, len(prior.names), seed, steps)


def columns(density: Density, draws: Draws) -> dict[str, tuple[Floats, str]]:
    """Return draws (chain, draw) by name and their units: x and y as Galactic places, flux in photons cm-2 s-1."""
    v, patch = draws.variables, density.region.patch
    lon, lat = to_sky(patch.glon_deg, patch.glat_deg, v[..., X], v[..., Y])
    lon = patch.glon_deg + (lon - patch.glon_deg + 180) % 360 - 180  # no jump at 0
    out = {"glon_deg": (lon, "deg"), "glat_deg": (lat, "deg"), "flux": (UNIT * v[..., 2], "photon cm-2 s-1")}
    return out | {name: (v[..., k], "1") for k, name in enumerate(density.prior.names) if k > 2}


def publish(folder: Path, density: Density, draws: Draws, about: dict[str, Any]) -> Path:
    """Write posterior.nc, groups posterior, sample_stats, observed_data; return its path.

    One that fails its gates is written as posterior_failed.nc: raises UnconvergedError then. Raises LinkError when the
    disk refuses.
    """
    with extra("analyse"):
        import xarray as xr
    fault, prior = draws.fault(density.prior.names), density.prior
    for name in (GOOD, FAILED):
        with disk_faults(folder / name):
            (folder / name).unlink(missing_ok=True)
    path = folder / (FAILED if fault else GOOD)
    dims, shape = ("chain", "draw"), draws.variables.shape
    coords = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    told = zip(columns(density, draws).items(), prior.stated(), draws.ess, draws.rhat, strict=True)
    variables = {
        name: (dims, values, {"units": unit, "prior": stated, "ess": float(ess), "r_hat": float(rhat)})
        for (name, (values, unit)), stated, ess, rhat in told
    }
    gates = f"failed: {fault}" if fault else "passed"
    about = {**about, "gates": gates, "sampler": draws.sampler, "sampling_seconds": draws.seconds, **draws.about}
    region = density.region
    observed = {"counts": ("cell", region.counts, {"units": "count"}), "channel": ("cell", density.channel)}
    tree = {
        "posterior": xr.Dataset(variables, coords, about),
        "sample_stats": xr.Dataset({"lp": (dims, draws.stats["lp"])}, coords),
        "observed_data": xr.Dataset(observed | {"weight": ("cell", density.weight)}),
    }
    write_groups(path, tree)
    if fault:
        raise UnconvergedError(f"{path}: the posterior fails its gates: {fault}")
    return path
