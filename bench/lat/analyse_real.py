"""`analyse lat` on real photons: the brightest sources of 2FHL's event list (above 50 GeV), against 3FHL.

    python -m bench.lat.analyse_real [SOURCES]

The list has P8R2 photons of 6.5 years with the exposure of the mission's own cube, front and back together; only the
highest band is seen, from its third node (53 GeV) on, so its integrals begin there. PSF of P8R3; sources of the region,
indices (one band tells none) and the fluxes that ours are held against are 3FHL's (7 years, mostly the same photons):
its three bands from 50 GeV to 2 TeV.
"""

import sys
from dataclasses import replace
from typing import Any, Final

import astropy_healpix.healpy as hp
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from analyse.lat.fit import FLUX, SLOPE, Part, X, Y, fit
from analyse.lat.inputs import aimed, parts_of_catalogue
from analyse.lat.region import Optics, region_of
from analyse.lat.source import ellipse_of, settle_region
from analyse.lat.spectra import density
from bench import figures
from bench.lat.search import FILES
from stream.lat.bands import BANDS, TYPES
from stream.lat.exposure import ENERGY_MEV, NODES, Exposure
from stream.lat.patch import Plan, cut, to_sky
from stream.lat.scene import INDICES, Scene
from stream.lat.sky import Diffuse, Expected, expect
from stream.lat.sphere import separation
from stream.transport.lat_catalogue import read_catalogue
from stream.transport.lat_diffuse import read_diffuse
from stream.transport.lat_response import read_instrument

COMMAND: Final = "python -m bench.lat.analyse_real"
LAST, FIRST_NODE, SIDE = BANDS - 1, 2, 1024
PLAN: Final = Plan.of(((SIDE, 0.1, tuple(range(BANDS))),), tuple((band,) for band in range(BANDS)))
FROM_MEV: Final = float(ENERGY_MEV[LAST, FIRST_NODE])
PUBLISHED_MEV: Final = (50_000.0, 2_000_000.0)
KNOWN: Final = {"3FHL J0534.5+2201": "Crab", "3FHL J1104.4+3812": "Mkn 421", "3FHL J1653.8+3945": "Mkn 501"}


def counts() -> NDArray[np.uint16]:
    """Return maps (BANDS, 12 SIDE^2) of which only the last has photons."""
    table = fits.getdata(FILES / "events" / "fermi_2fhl_events.fits.gz", "EVENTS")
    kept = (table["ENERGY"] >= FROM_MEV) & (table["ENERGY"] < ENERGY_MEV[LAST, -1])
    pixel = hp.ang2pix(SIDE, table["L"][kept].astype(float), table["B"][kept].astype(float), lonlat=True)
    maps = np.zeros((BANDS, 12 * SIDE**2), np.uint16)
    np.add.at(maps[LAST], pixel, 1)
    return maps


def exposure() -> Exposure:
    """Return that of the cube, all of it as front. Simpson's rule from FIRST_NODE on: half of it there, none below."""
    with fits.open(FILES / "events" / "fermi_2fhl_exposure_cube_hpx.fits.gz") as cube:
        header = cube["HPXEXPOSURES"].header
        assert (header["ORDERING"], header["NSIDE"], header.get("COORDSYS", "GAL")) == ("RING", 32, "GAL")
        given = np.stack([cube["HPXEXPOSURES"].data[name] for name in cube["HPXEXPOSURES"].columns.names])
        energy = np.asarray(cube["ENERGIES"].data.field(0), float)
    maps = np.zeros((len(TYPES), BANDS, NODES, given.shape[1]), np.float32)
    place = np.interp(np.log(ENERGY_MEV[LAST]), np.log(energy), np.arange(len(energy)))
    low = np.minimum(place.astype(int), len(energy) - 2)
    maps[0, LAST] = given[low] * (1 - (place - low))[:, None] + given[low + 1] * (place - low)[:, None]
    maps[0, LAST, :FIRST_NODE] = 0.0
    maps[0, LAST, FIRST_NODE] /= 2
    return Exposure(maps, 169_232_792.0, "2FHL's cube")


def by_band(expected: Expected) -> Expected:
    """Return the diffuse light by band: all of it is front's."""
    return Expected(*(v.reshape(BANDS, len(TYPES), -1).sum(axis=1) for v in (expected.iem, expected.iso)))


def flux(theta: NDArray[np.float64]) -> float:
    energy = np.geomspace(*PUBLISHED_MEV, 201)
    return float(np.trapezoid(density("powerlaw", energy, theta[FLUX], theta[SLOPE])[0] * energy, np.log(energy)))


def _steep(own: Part, row: Any) -> NDArray[np.float64]:
    """Return its parameters with the index of 3FHL: one band tells none."""
    theta = own.theta.copy()
    theta[SLOPE] = row["index"]
    return theta


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    instrument, seen, maps = read_instrument(FILES / "irfs"), exposure(), counts()
    diffuse: Diffuse = read_diffuse(FILES / "diffuse" / "gll_iem_v07_lowres_fixedwcs.fits.gz", FILES / "diffuse")
    expected, optics = by_band(expect(diffuse, seen)), Optics.of(instrument, PLAN, together=True)
    catalogue = read_catalogue(FILES / "catalogs" / "gll_psch_v13.fit.gz")
    hard = catalogue.band_mev[:, 0] >= 0.99 * PUBLISHED_MEV[0]
    published = np.nansum(catalogue.rows["flux_band"][:, hard], axis=1)
    error = np.sqrt(np.nansum(np.nanmean(catalogue.rows["flux_band_error"][:, hard], axis=2) ** 2, axis=1))
    best = np.argsort(-np.where(catalogue.rows["extended"], 0, published))[:number]
    out: dict[str, tuple[Any, ...]] = {"photons": (int(maps[LAST].sum()), f"from {FROM_MEV / 1e3:.1f} GeV to 1 TeV")}
    pulls, ratios = [], []
    for k in best:
        row = catalogue.rows[k]
        place = float(row["glon_deg"]), float(row["glat_deg"])
        patch = cut([maps], *place, PLAN)
        iem, iso = (v * patch.lit for v in expected.on(patch))
        scene = Scene(patch, iem, iso, np.ones((BANDS, len(INDICES))), optics.profiles())
        region = region_of(scene, optics, seen).of_groups([LAST])
        own, others = aimed(parts_of_catalogue(catalogue, seen, place), seen, place, str(row["name"]))
        (own, *near), norms = settle_region(region, replace(own, theta=_steep(own, row)), others)
        found = fit(region, [own.freed(X, Y, FLUX), *near], norms)
        ts = 2 * (found.value - fit(region, found.parts[1:], norms).value)
        theta = found.parts[0].theta
        ours = flux(theta)
        sigma = ours * found.error(0, FLUX)
        where, ellipse = to_sky(*place, *theta[:FLUX]), ellipse_of(found)
        off = float(separation(*where, *place))
        name = KNOWN.get(str(row["name"]), str(row["name"]))
        out[f"{name}: flux, 50 GeV to 2 TeV"] = (ours, "photons cm-2 s-1", (ours - sigma, ours + sigma))
        out[f"{name}: of 3FHL"] = (
            float(published[k]), "photons cm-2 s-1", (float(published[k] - error[k]), float(published[k] + error[k]))
        )  # fmt: skip
        out[f"{name}: TS"] = (float(ts), "")
        out[f"{name}: from 3FHL's place"] = (off, f"deg, r95 {ellipse.r95_deg if ellipse else np.nan:.3f}")
        pulls.append((ours - published[k]) / np.hypot(sigma, error[k]))
        ratios.append(ours / published[k])
    out["flux over that of 3FHL, median"] = (float(np.median(ratios)), f"of {len(best)}")
    out["differences over their errors, rms"] = (float(np.sqrt(np.mean(np.square(pulls)))), "sigma")
    figures.write("lat_analyse_real", f"{COMMAND} {number}", out)


if __name__ == "__main__":
    main()
