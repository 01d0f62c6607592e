"""What single primaries leave: energies, islands, background; beside the references."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ksone, kstest

from bench.figures import poisson_interval
from bench.simulation.context import interval, like_xrays
from bench.simulation.islands import Scenery
from sim.geant4.spectrum import cumulative
from sim.hit_library import HitLibrary

BAND_KEV = (2.0, 7.0)
TRACK_EV, PIXEL_EV = 15_000.0, 100.0  # MIT lists: a track has more than 15 keV; pixels above 0.1 keV
SHARES_KEV = ((100.0, 200.0), (200.0, 500.0), (500.0, np.inf))
Row = tuple[Any, ...]  # value, unit, interval


def deposits(library: HitLibrary) -> dict[str, Row]:
    """Return shares and energies of the primaries with signal."""
    primaries, made = library.primaries(), library.production
    kev, hit = primaries["deposit_kev"].astype(float), len(library)
    hit_low, hit_high = interval(hit, made.aimed)
    scale = made.aimed / made.sphere_primaries
    rows: dict[str, Row] = {
        "sphere primaries with signal": (100 * hit / made.sphere_primaries, "%", (hit_low * scale, hit_high * scale)),
        "deposit, median": (float(np.median(kev)), "keV", median_interval(kev)),
        "deposit, mean": (float(kev.mean()), "keV", mean_interval(kev)),
    }
    for low, high in SHARES_KEV:
        inside = int(((kev > low) & (kev <= high)).sum())
        name = f"deposit {low:.0f}-{high:.0f} keV" if high < np.inf else f"deposit above {low:.0f} keV"
        rows[name] = (100 * inside / hit, "%", interval(inside, hit))
    alone = hit - with_primary(library)
    rows["without the proton itself in silicon"] = (100 * alone / hit, "%", interval(alone, hit))
    return rows


def with_primary(library: HitLibrary) -> int:
    """Return how many primaries left energy in the silicon themselves."""
    segments, first = library.segments(0, len(library)), library.primaries()["first_segment"]
    own = segments["creator"] == library.production.processes.index("primary")
    return int(np.count_nonzero(np.add.reduceat(own, first)))


def tracks(scenery: Scenery) -> dict[str, Row]:
    """Return the sizes of islands with more than 15 keV."""
    islands = scenery.islands(PIXEL_EV)
    size = islands["pixels"][islands["energy_ev"] > TRACK_EV].astype(float)
    return {
        "island > 15 keV, mean pixels": (float(size.mean()), "pixels", mean_interval(size)),
        "island > 15 keV, median pixels": (float(np.median(size)), "pixels"),
        "island > 15 keV, 90 % pixels": (float(np.percentile(size, 90)), "pixels"),
    }


def background(scenery: Scenery) -> Row:
    """Return the rate of islands like X-rays at 2-7 keV, each primary for itself, protons only: cts/cm2/s/keV."""
    islands, made = scenery.islands(80.0), scenery.library.production
    inside = (islands["energy_ev"] > 1e3 * BAND_KEV[0]) & (islands["energy_ev"] < 1e3 * BAND_KEV[1])
    count = int((like_xrays(islands) & inside).sum())
    exposure = made.exposure_s * made.area_cm2 * (BAND_KEV[1] - BAND_KEV[0])
    return count / exposure, "counts/cm2/s/keV", poisson_interval(count, exposure)


def evtlog_energies(folder: Path) -> NDArray[np.float64]:
    """Return the kinetic energies (GeV) of the primaries of the MIT runs that are there."""
    found: list[float] = []
    for path in sorted(folder.glob("*_EvtLog_*.gdat.gz")):
        with gzip.open(path, "rt") as file:
            next(file)  # names of the columns
            found += [float(line.split("\t")[2]) for line in file]
    return np.array(found)


def proton_energies(energies: NDArray[np.float64]) -> dict[str, Row]:
    """Return the Kolmogorov-Smirnov distance of energies to our spectrum, and its limit at 5 %."""
    energy, share = cumulative()
    distance = kstest(energies, lambda e: np.interp(np.log(e), np.log(energy), share)).statistic
    return {
        "proton energies, KS to the EvtLog": (float(distance), ""),
        "proton energies, 5 % limit": (float(ksone.ppf(0.975, energies.size)), ""),
    }


def median_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 68 % interval of a median, from the order statistics."""
    half = 0.5 / np.sqrt(values.size)
    low, high = np.quantile(values, [0.5 - half, 0.5 + half])
    return float(low), float(high)


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 68 % interval of a mean."""
    error = values.std() / np.sqrt(values.size)
    return float(values.mean() - error), float(values.mean() + error)
