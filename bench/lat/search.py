"""The search on simulated skies whose background is not the one that it is given: completeness, purity, places.

    python -m bench.lat.search [SKIES]

A sky: sources of the mock catalogue down to 2e-11, interstellar light of another norm, spectrum and fine structure than
the model (`sim.lat.background`), ten years, front and back. A detection is matched with the brightest source above
2.5e-11 within 0.3 degrees that has none, most significant first (as UNEK was judged). completeness: matched over all
sources of a bin of true flux; purity: matched over all detections of a bin of fitted flux; both per sky position cut.
So many sources are faint that one lies near any place by chance: what detections turned by 15, 45, ... degrees about
the poles match is said, and purity is also told without it, (m - c) / (1 - c).
"""

import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import figures
from sim.lat.maps import draw_maps
from sim.lat.patches import Truth
from sim.lat.photons import Scatter
from stream.lat.associate import wilson
from stream.lat.exposure import survey
from stream.lat.patch import LAT
from stream.lat.psf import profiles_of
from stream.lat.sky import Diffuse, expect
from stream.lat.smear import smearing
from stream.lat.sphere import separation
from stream.lat.whole import Maps, Survey, search_sky
from stream.transport.lat_diffuse import read_diffuse
from stream.transport.lat_response import read_instrument
from tests.real.conftest import DATA

COMMAND = "python -m bench.lat.search"
FILES = DATA / "lat"
EDGES = (6.95e-11, 1.27e-10, 2.34e-10, 4.28e-10, 7.85e-10, 1.44e-9, 1.0)
MATCH_DEG, LEAST_FLUX = 0.3, 2.5e-11
CUTS = {"|b| > 20": (20.0, 91.0), "all sky": (0.0, 91.0), "|b| < 10": (0.0, 10.0)}
THRESHOLDS = (12.0, 16.0, 25.0)
TURNS_DEG = tuple(range(15, 360, 30))
YEARS = 10.0


def match(found: NDArray[Any], sources: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the source of each detection, -1: none, and the separations, degrees."""
    entry, apart = np.full(len(found), -1), np.full(len(found), np.nan)
    free = sources["flux"] > LEAST_FLUX
    for k, one in enumerate(found):  # strongest first
        near = np.flatnonzero(free & (np.abs(sources["glat_deg"] - one["glat_deg"]) < MATCH_DEG))
        away = separation(sources["glon_deg"][near], sources["glat_deg"][near], one["glon_deg"], one["glat_deg"])
        near, away = near[away < MATCH_DEG], away[away < MATCH_DEG]
        if len(near):
            best = sources["flux"][near].argmax()
            entry[k], apart[k] = near[best], away[best]
            free[near[best]] = False
    return entry, apart


def by_chance(found: NDArray[Any], sources: NDArray[Any]) -> NDArray[np.float64]:
    """Return how often each detection is matched when it is turned about the poles, (n,)."""
    hits = np.zeros(len(found))
    for turn in TURNS_DEG:
        turned = found.copy()
        turned["glon_deg"] = (found["glon_deg"] + turn) % 360
        hits += match(turned, sources)[0] >= 0
    return hits / len(TURNS_DEG)


@dataclass(frozen=True, slots=True, eq=False)
class Skies:
    """What skies are drawn with, and searched with."""

    model: Diffuse
    smear: NDArray[np.float64]
    given: Survey
    scatter: Scatter

    @classmethod
    def of_ten_years(cls) -> "Skies":
        """Return those of the mission's responses and diffuse models."""
        instrument = read_instrument(FILES / "irfs")
        model = read_diffuse(FILES / "diffuse" / "gll_iem_v07_lowres_fixedwcs.fits.gz", FILES / "diffuse")
        exposure, profiles = survey(instrument, YEARS), profiles_of(instrument, LAT.blur_deg)
        smear = smearing(model, profiles)
        return cls(
            model, smear, Survey(expect(model, exposure, smear), exposure, profiles, threads=2), Scatter(instrument)
        )

    def draw(self, seed: int) -> tuple[Maps, NDArray[Any]]:
        """Return the counts of a sky, and its sources."""
        rng = np.random.default_rng((2024, seed))
        truth = Truth.drawn(self.model, self.given.exposure, rng, smear=self.smear)
        return draw_maps(truth, self.scatter, rng), truth.sources


def judge(label: str, skies: list[tuple[NDArray[Any], NDArray[Any]]]) -> dict[str, tuple[Any, ...]]:
    """Return the figures of all skies together: what was kept of each, and its sources."""
    true, seen = [], []
    for kept, sources in skies:
        entry, apart = match(kept, sources)
        got, off, r95 = np.zeros(len(sources), bool), np.full(len(sources), np.nan), np.full(len(sources), np.nan)
        hit = entry >= 0
        got[entry[hit]], off[entry[hit]], r95[entry[hit]] = True, apart[hit], kept["r95_deg"][hit]
        true.append(np.stack([sources["flux"], sources["glat_deg"], got, off, r95], axis=1))
        seen.append(np.stack([kept["flux"], kept["glat_deg"], hit, by_chance(kept, sources)], axis=1))
    out: dict[str, tuple[Any, ...]] = {}
    _bins(out, label, np.concatenate(true), np.concatenate(seen))
    return out


def _bins(out: dict[str, tuple[Any, ...]], label: str, true: NDArray[Any], seen: NDArray[Any]) -> None:
    for cut, (low_b, high_b) in CUTS.items():
        here = (np.abs(true[:, 1]) >= low_b) & (np.abs(true[:, 1]) < high_b)
        there = (np.abs(seen[:, 1]) >= low_b) & (np.abs(seen[:, 1]) < high_b)
        _purity(out, f"{label}, {cut}", seen[there])
        for low, high in pairwise(EDGES):
            name = f"{label}, {cut}, from {low:.2e}"
            mine = here & (true[:, 0] >= low) & (true[:, 0] < high)
            _share(out, f"{name}: completeness", true[mine, 2])
            _purity(out, name, seen[there & (seen[:, 0] >= low) & (seen[:, 0] < high)])
            got = true[mine & (true[:, 2] > 0)]
            if len(got):
                out[f"{name}: position, median"] = (float(np.median(got[:, 3])), "deg")
                _share(out, f"{name}: within r95", got[:, 3] <= got[:, 4])


def _purity(out: dict[str, tuple[Any, ...]], name: str, seen: NDArray[Any]) -> None:
    _share(out, f"{name}: purity", seen[:, 2])
    if len(seen):
        chance = float(np.mean(seen[:, 3]))
        freed = [(m - chance) / (1 - chance) for m in (float(np.mean(seen[:, 2])), *out[f"{name}: purity"][2])]
        out[f"{name}: a turned detection matches"] = (chance, "")
        out[f"{name}: purity, chance taken out"] = (freed[0], f"of {len(seen)}", (freed[1], freed[2]))


def _share(out: dict[str, tuple[Any, ...]], name: str, hits: NDArray[Any]) -> None:
    if len(hits):
        out[name] = (float(np.mean(hits)), f"of {len(hits)}", wilson(int(np.sum(hits)), len(hits)))


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    skies, found, seconds = Skies.of_ten_years(), [], []
    for seed in range(number):
        maps, sources = skies.draw(seed)
        began = time.process_time()
        found.append((search_sky(skies.given, maps, min(THRESHOLDS)), sources))
        seconds.append(time.process_time() - began)
        print(f"sky {seed}: {len(found[-1][0]):,} found, {seconds[-1]:.0f} s", flush=True)
    write(found, seconds, f"{COMMAND} {number}")


def write(found: list[tuple[NDArray[Any], NDArray[Any]]], seconds: list[float], command: str) -> None:
    """Write docs/figures/lat_search.json of what was found on skies, their sources, and the CPU seconds of each."""
    rows: dict[str, tuple[Any, ...]] = {"skies": (len(found), "")}
    rows["search of a sky: CPU"] = (float(np.median(seconds)), "s")
    for least in THRESHOLDS:
        rows |= judge(f"TS > {least:g}", [(table[table["ts"] >= least], sources) for table, sources in found])
    figures.write("lat_search", command, rows)


if __name__ == "__main__":
    main()
