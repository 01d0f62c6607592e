"""The model of the sky against real photons: interstellar and isotropic light, and the sources of 4FGL-DR2, as counts.

Two maps of the mission: 3FHL's counts above 10 GeV (7 years, P8R2_SOURCE, equatorial) with its exposure cube, and
counts from 2 to 20 GeV (573 weeks, the best PSF quartile of UltraCleanVeto; List et al. 2021, arXiv 2107.09070), whose
exposure is given as one map. Places, energies and intensities are those of the code that simulates and searches;
nothing is fitted. The isotropic light holds what cosmic rays the class lets pass: each map is held against that of
P8R3_SOURCE, which the simulation uses, and against that of its own class (for UltraCleanVeto that of P8R2: the newer
one is not at hand). Those of P8R2 were fitted beside the sources of 3FGL, so only these are counted with them: fainter
ones are in the isotropic light already.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import astropy_healpix.healpy as hp
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from bench import figures
from stream.lat.exposure import ENERGY_MEV
from stream.lat.sky import Diffuse
from stream.lat.sphere import GALACTIC, unit_vectors
from stream.transport.lat_catalogue import read_catalogue
from stream.transport.lat_diffuse import read_diffuse
from tests.real.conftest import DATA

COMMAND: Final = "python -m bench.lat.realsky"
BANDS: Final = ((0, 90), (0, 2), (2, 5), (5, 10), (10, 20), (20, 30), (30, 60), (60, 90))  # of |latitude|, degrees
STEPS: Final = 136  # energies of an integral
OWN_MEV: Final = (
    1697.21,
    2856.81,
    4808.67,
    8094.1,
    10501.2,
    13624.2,
    22932.8,
    38601.2,
    64974.7,
    109367.0,
    238838.0,
    1e6,
)
# photons cm-2 s-1 sr-1 MeV-1: iso_P8R2_SOURCE_V6_v06 and iso_P8R2_ULTRACLEANVETO_V6_PSF3_v06
# fmt: off
OWN_ISO: Final = {
    "above 10 GeV": (
        1.693e-10, 4.527e-11, 1.733e-11, 8.854e-12, 5.782e-12, 3.502e-12, 9.901e-13, 2.958e-13, 7.186e-14, 2.320e-14,
        3.515e-15, 1.749e-16,
    ),
    "2-20 GeV": (
        7.342e-11, 2.067e-11, 1.070e-11, 3.962e-12, 2.334e-12, 1.329e-12, 5.133e-13, 1.389e-13, 3.472e-14, 7.547e-15,
        7.073e-16, 1.051e-16,
    ),
}
# fmt: on
Floats = NDArray[np.float64]
LINE: Final = np.log(ENERGY_MEV.ravel())  # edges of bands twice
ONCE: Final = np.append(np.diff(LINE) > 1e-9, True)


@dataclass(frozen=True)
class Measured:
    """A real map: where its pixels are (galactic), counts, and exposure at energies."""

    glon_deg: Floats
    glat_deg: Floats
    counts: Floats  # (npix,)
    energy_mev: Floats  # (e,), one: the same at all
    exposure: Floats  # (e, npix), cm2 s
    span_mev: tuple[float, float]

    def seen(self, energy_mev: Floats, pixel: NDArray[np.int64]) -> Floats:
        """Return cm2 s at energies (m,) in pixels (n,): (m, n)."""
        place = np.interp(np.log(energy_mev), np.log(self.energy_mev), np.arange(len(self.energy_mev)))
        k = np.minimum(place.astype(int), max(len(self.energy_mev) - 2, 0))
        w = (place - k)[:, None]
        return (
            self.exposure[k][:, pixel] * (1 - w)
            + self.exposure[np.minimum(k + 1, len(self.exposure) - 1)][:, pixel] * w
        )


def hard(folder: Path) -> Measured:
    """Return 3FHL's counts above 10 GeV."""
    with fits.open(folder / "fermi_3fhl_counts_cube_hpx.fits.gz") as cube:
        table, header = cube["SKYMAP"].data, cube["SKYMAP"].header
        assert (header["COORDSYS"], header["ORDERING"], header["NSIDE"]) == ("EQU", "RING", 64)
        counts = np.sum([table[name] for name in table.names], axis=0)
    with fits.open(folder / "fermi_3fhl_exposure_cube_hpx.fits.gz") as cube:
        table, energy = cube["HPXEXPOSURES"].data, np.asarray(cube["ENERGIES"].data.field(0), float)
        exposure = np.stack([table[name] for name in table.names])
    x, y, z = GALACTIC @ unit_vectors(*hp.pix2ang(64, np.arange(len(counts)), lonlat=True)).T
    lon, lat = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(z))
    return Measured(lon, lat, counts, energy, exposure, (10_000.0, 2_000_000.0))


def soft(folder: Path) -> Measured:
    """Return the counts from 2 to 20 GeV."""
    counts, exposure = (_array(folder / f"fermidata_{name}.npy.gz") for name in ("counts", "exposure"))
    lon, lat = hp.pix2ang(128, np.arange(len(counts)), lonlat=True)
    return Measured(lon, lat, counts, np.array([6000.0]), exposure[None], (2000.0, 20_000.0))


def _array(path: Path) -> Floats:
    with gzip.open(path) as file:
        return np.load(file)


def at_energies(values: Floats, energy_mev: Floats) -> Floats:
    """Return intensities at the nodes, (..., nodes), at others: straight in both logarithms."""
    log, at = np.log(np.maximum(values[..., ONCE], 1e-60)), np.log(energy_mev)
    knots = LINE[ONCE]
    k = np.clip(np.searchsorted(knots, at) - 1, 0, len(knots) - 2)
    w = (at - knots[k]) / (knots[k + 1] - knots[k])
    return np.exp(log[..., k] * (1 - w) + log[..., k + 1] * w)


def expected(
    name: str, measured: Measured, diffuse: Diffuse, catalogue: NDArray[Any], pixel: NDArray[np.int64]
) -> dict[str, Floats]:
    """Return counts expected: `iem`, `iso` and `own iso` by pixel, `sources` by row of the catalogue."""
    energy = np.geomspace(*measured.span_mev, STEPS)
    de = np.gradient(np.log(energy)) * energy
    de[[0, -1]] /= 2
    number = len(measured.counts)
    solid_angle = 4 * np.pi / number
    iso_of = at_energies(diffuse.isotropic.mean(axis=0).ravel(), energy) * de
    own_of = np.exp(np.interp(np.log(energy), np.log(OWN_MEV), np.log(OWN_ISO[name]))) * de
    iem, iso, own = np.empty((3, number))
    for part in np.array_split(np.arange(number), 64):
        seen = measured.seen(energy, part)
        nodes = diffuse.iem(measured.glon_deg[part], measured.glat_deg[part]).reshape(LINE.size, -1).T
        iem[part] = ((at_energies(nodes, energy) * de).T * seen).sum(axis=0) * solid_angle
        iso[part], own[part] = iso_of @ seen * solid_angle, own_of @ seen * solid_angle
    spectra = at_energies(catalogue["spectrum"].reshape(len(catalogue), -1), energy) * de
    return {"iem": iem, "iso": iso, "own": own, "sources": (spectra.T * measured.seen(energy, pixel)).sum(axis=0)}


def ratios(
    name: str, measured: Measured, diffuse: Diffuse, catalogue: NDArray[Any], old: NDArray[np.bool_]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield data over model by latitude, and the shares of the model. old: which sources are in 3FGL."""
    nearest = unit_vectors(measured.glon_deg, measured.glat_deg)
    place = unit_vectors(catalogue["glon_deg"], catalogue["glat_deg"])
    pixel = np.concatenate([np.argmax(nearest @ part.T, axis=0) for part in np.array_split(place, 40)])
    model = expected(name, measured, diffuse, catalogue, pixel)
    high, of_source = np.abs(measured.glat_deg), np.abs(measured.glat_deg[pixel])
    for low, top in BANDS:
        inside = (high >= low) & (high < top + (top == 90))
        parts = {key: float(model[key][inside].sum()) for key in ("iem", "iso")}
        near = (of_source >= low) & (of_source < top + (top == 90))
        parts["sources"] = float(model["sources"][near].sum())
        seen, whole = int(measured.counts[inside].sum()), sum(parts.values())
        own = parts["iem"] + float(model["own"][inside].sum() + model["sources"][near & old].sum())
        where = f"{name}, {'all sky' if (low, top) == (0, 90) else f'|b| {low}-{top}'}"
        yield f"{where}: data/model", (seen / whole, "ratio", figures.poisson_interval(seen, whole))
        yield (
            f"{where}: data/model, isotropic light of its class",
            (seen / own, "ratio", figures.poisson_interval(seen, own)),
        )
        yield f"{where}: photons", (seen, "photons")
        for key, value in parts.items():
            yield f"{where}: {key} of the model", (value / whole, "share")


def main() -> None:
    """Write docs/figures/lat_realsky.json."""
    lat = DATA / "lat"
    diffuse = read_diffuse(lat / "diffuse" / "gll_iem_v07_lowres_fixedwcs.fits.gz", lat / "diffuse")
    path = lat / "catalogs" / "gll_psc_v27.fit.gz"
    catalogue = read_catalogue(path).rows
    old = np.char.startswith(np.array(fits.getdata(path, 1)["ASSOC_FGL"], str), "3FGL")
    out = {}
    for name, measured in (("above 10 GeV", hard(lat / "3fhl")), ("2-20 GeV", soft(lat / "sky_2_20GeV"))):
        out.update(ratios(name, measured, diffuse, catalogue, old))
    figures.write("lat_realsky", COMMAND, out)


if __name__ == "__main__":
    main()
