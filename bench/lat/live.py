"""How long the search of six hours of the sky takes: every patch, the photons of a simulated sky, no known sources."""

import time
from typing import Any

import numpy as np

from bench import figures
from sim.lat.maps import draw_maps
from sim.lat.patches import Truth
from sim.lat.photons import Scatter
from stream.lat.bands import DETECTION
from stream.lat.builtin import stand_in as coarse
from stream.lat.exposure import YEAR_S, survey
from stream.lat.patch import LAT, centres
from stream.lat.psf import profiles_of
from stream.lat.sky import expect, stand_in
from stream.lat.smear import smearing
from stream.lat.whole import Survey, search_sky

COMMAND = "python -m bench.lat.live"
HOURS = 6.0


def main() -> None:
    instrument, rng = coarse(), np.random.default_rng(1)
    exposure = survey(instrument, HOURS * 3600 / YEAR_S)
    profiles = profiles_of(instrument, LAT.blur_deg)
    smear = smearing(stand_in(), profiles)
    truth = Truth.drawn(stand_in(), exposure, rng, smear=smear)
    maps = draw_maps(truth, Scatter(instrument), rng)
    rows: dict[str, tuple[Any, ...]] = {"photons": (sum(int(grid.sum()) for grid in maps), "")}
    nothing = np.zeros(0, DETECTION)
    given = Survey(expect(stand_in(), exposure, smear), exposure, profiles, threads=2)
    given.scene(maps, 0.0, 0.0)  # compiled
    for name in ("first", "second"):
        wall, cpu = time.monotonic(), time.process_time()
        known = Survey(expect(stand_in(), exposure, smear), exposure, profiles, threads=2)
        found = search_sky(known, maps, 25.0, nothing)
        rows[f"search of six hours, {name} time: CPU"] = (time.process_time() - cpu, "s")
        rows[f"search of six hours, {name} time: wall, two threads"] = (time.monotonic() - wall, "s")
    rows |= {"patches": (len(centres()), ""), "found above TS 25": (len(found), "")}
    figures.write("lat_live", COMMAND, rows)


if __name__ == "__main__":
    main()
