"""The search on the real sky: 2 to 20 GeV, one band, pixels of half a degree, against 4FGL-DR2.

The map (GCE_NN's, UltraCleanVeto, best quarter of the PSF, 573 weeks) has one channel, so nothing is known of spectra:
the index stays at 2.3. Its PSF is the front one at these energies, narrowed by SHARPER, and its background the fitted
templates with free norms on each patch.

How much of DR2 can be in it at all: the same search on maps that are drawn from DR2's own point sources and from these
templates, so that the diffuse light is just as the search believes. What it misses there, no better model would find.
"""

import gzip
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import figures
from stream.lat.associate import Rule, associate, by_chance, completeness, purity
from stream.lat.exposure import WEIGHT_MEV
from stream.lat.instrument import Instrument
from stream.lat.patch import LAT, Plan, centres, cut, to_sky
from stream.lat.psf import REACH_DEG, STEP_DEG, Profiles, profiles_of
from stream.lat.scene import INDICES, UNIT, Scene
from stream.lat.search import search
from stream.lat.whole import merge
from stream.transport.lat_catalogue import read_catalogue
from stream.transport.lat_response import read_instrument
from tests.real.conftest import DATA

import astropy_healpix.healpy as hp  # isort: skip

COMMAND = "python -m bench.lat.realmap"
LAT_DATA = DATA / "lat"
NSIDE = 128
PLAN = Plan.of(((NSIDE, 0.2, (0,)),), ((0,),))
NORMS = {"Opi": 3.37, "Oic": 2.75, "bub": 1.55, "iso": 0.92}  # of the templates: fitted to this map, whole sky
SHARPER = 0.75  # the best quarter's PSF over that of all front photons
BAND_GEV = (2.0, 20.0)
THRESHOLDS = (9.0, 16.0, 25.0)


def read(name: str) -> NDArray[np.float64]:
    with gzip.open(LAT_DATA / "sky_2_20GeV" / f"{name}.npy.gz") as file:
        return np.asarray(np.load(file), float)


def narrowed(instrument: Instrument) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return degrees, and the PSF there of front photons of 2 to 7 GeV, narrowed."""
    sharp = profiles_of(instrument).values[LAT.groups[3][0]]
    r = STEP_DEG * np.arange(int(REACH_DEG / STEP_DEG) + 1)
    return r, np.interp(r / SHARPER, r, sharp, right=0.0)


def profile(instrument: Instrument) -> Profiles:
    """Return the PSF of this map in its pixels."""
    r, sharp = narrowed(instrument)
    sigma = 58.6 / NSIDE / np.sqrt(12)
    x, weight = np.polynomial.hermite_e.hermegauss(15)
    dx, dy = np.meshgrid(sigma * x, sigma * x)
    away = np.hypot(r[:, None, None] + dx, dy)
    blurred = np.einsum("nij,i,j->n", np.interp(away, r, sharp), weight, weight)
    ring = 2 * np.pi * np.sin(np.radians(r)) * np.radians(STEP_DEG)
    blurred /= float((blurred * ring).sum())
    inside = np.cumsum(blurred * ring)
    return Profiles(blurred[None], np.array([np.interp(0.68, inside, r)]))


def scene(place: NDArray[np.float64], maps: dict[str, NDArray[np.float64]], known: Profiles) -> Scene:
    patch = cut([maps["counts"][None]], *place, PLAN)
    side = int(PLAN.layout[0, 1])
    at = (np.arange(side) + 0.5) * PLAN.scale[0]
    x, y = np.meshgrid(at, at)
    pixels, weights = hp.get_interp_weights(NSIDE, *to_sky(*place, x.ravel(), y.ravel()), lonlat=True)
    of = {name: (maps[name][pixels] * weights).sum(axis=0) for name in ("iem", "iso", "exposure")}
    solid_angle = 4 * np.pi / (12 * NSIDE**2)
    low, high = (1000 * e for e in BAND_GEV)
    power = np.where(INDICES == 1, -1e-6, 1 - INDICES)
    share = (low**power - high**power) / (1e3**power - 1e5**power)
    rate = (UNIT * share * of["exposure"].mean())[None]
    return Scene(
        patch, of["iem"] * patch.lit / solid_angle, of["iso"] * patch.lit / solid_angle, rate, known, prior=(2.3, 0.01)
    )


def read_maps() -> dict[str, NDArray[np.float64]]:
    """Return counts, exposure (cm2 s), and the counts that the templates expect."""
    maps = {"counts": read("fermidata_counts"), "exposure": read("fermidata_exposure")}
    maps["iem"] = sum(NORMS[name] * read(f"template_{name}") for name in ("Opi", "Oic", "bub"))
    maps["iso"] = NORMS["iso"] * read("template_iso")
    return maps


def drawn(maps: dict[str, NDArray[np.float64]], rows: NDArray[Any], seed: int) -> dict[str, NDArray[np.float64]]:
    """Return maps with counts of a catalogue's point sources and of the templates."""
    rng = np.random.default_rng(seed)
    flux = (rows["spectrum"][:, 3:5] * WEIGHT_MEV[3:5]).sum(axis=(1, 2))  # bands of 2 to 7 and 7 to 20 GeV
    pixel = hp.ang2pix(NSIDE, rows["glon_deg"], rows["glat_deg"], lonlat=True)
    expected = np.where(rows["extended"], 0.0, np.nan_to_num(flux)) * maps["exposure"][pixel]
    of = np.repeat(np.arange(len(rows)), rng.poisson(expected))
    r, sharp = narrowed(read_instrument(LAT_DATA / "irfs"))
    inside = np.cumsum(sharp * np.sin(np.radians(r)))
    away = np.radians(np.interp(rng.random(len(of)), inside / inside[-1], r))
    angle = rng.uniform(0, 2 * np.pi, len(of))
    lon, lat = np.radians(rows["glon_deg"][of]), np.radians(rows["glat_deg"][of])
    new_lat = np.arcsin(np.sin(lat) * np.cos(away) + np.cos(lat) * np.sin(away) * np.cos(angle))
    turn = np.arctan2(np.sin(angle) * np.sin(away) * np.cos(lat), np.cos(away) - np.sin(lat) * np.sin(new_lat))
    places = hp.ang2pix(NSIDE, np.degrees(lon + turn) % 360, np.degrees(new_lat), lonlat=True)
    counts = rng.poisson(maps["iem"] + maps["iso"]) + np.bincount(places, minlength=len(maps["iem"]))
    return maps | {"counts": counts.astype(float)}


def find(maps: dict[str, NDArray[np.float64]]) -> tuple[NDArray[Any], float]:
    """Return what is found on the whole sky, and the CPU seconds that it took."""
    known, places = profile(read_instrument(LAT_DATA / "irfs")), centres()
    began = time.process_time()
    found = merge(places, [search(scene(place, maps, known), min(THRESHOLDS)) for place in places])
    return found, time.process_time() - began


def measure() -> dict[str, tuple[Any, ...]]:
    maps, rows = read_maps(), read_catalogue(LAT_DATA / "catalogs" / "gll_psc_v27.fit.gz").rows
    found, seconds = find(maps)
    best, _ = find(drawn(maps, rows, 1))
    out: dict[str, tuple[Any, ...]] = {"CPU": (seconds, "s")}
    for least in THRESHOLDS:
        judge(out, f"TS > {least:g}", found[found["ts"] >= least], rows)
        judge(out, f"of DR2 alone, TS > {least:g}", best[best["ts"] >= least], rows)
    return out


def judge(out: dict[str, tuple[Any, ...]], label: str, found: NDArray[Any], rows: NDArray[Any]) -> None:
    """Put in what the detections above a threshold are, chance matches within half a degree taken out."""
    rule = Rule(np.inf, 0.5)
    told, (chance, chance_rows) = associate(found, rows, rule), by_chance(found, rows, rule)
    out[f"{label}: detections"] = (len(found), "")
    for where, which in (("", None), (", |b| > 20", np.abs(found["glat_deg"]) > 20)):
        pure = purity(told, chance, which)
        out[f"{label}: purity against DR2{where}"] = (pure.value, f"of {pure.number}", (pure.low, pure.high))
    out[f"{label}: a turned detection matches"] = (pure.chance, "")
    plain, far = ~rows["extended"], np.abs(rows["glat_deg"]) > 20
    for where, which in (("", plain), (", |b| > 20", plain & far), (", associated", plain & rows["associated"])):
        for low, high in ((0, 10), (10, 20), (20, 40), (20, np.inf), (40, np.inf)):
            own = which & (rows["significance"] >= low) & (rows["significance"] < high)
            share = completeness(told, chance_rows, rows, own)
            name = f"of {low:g}-{high:g} sigma" if np.isfinite(high) else f"above {low:g} sigma"
            out[f"{label}: found {name}{where}"] = (share.value, f"of {share.number}", (share.low, share.high))
    bright = told.entry >= 0
    bright[bright] = rows["significance"][told.entry[bright]] > 20
    middle = float(np.median(told.separation_deg[bright]))
    out[f"{label}: separation of those above 20 sigma, median"] = (middle, "deg")


if __name__ == "__main__":
    figures.write("lat_realmap", COMMAND, measure())
