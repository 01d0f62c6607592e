"""Compare the simulated cosmic rays with what is known; write docs/simulation.md, its pictures and figures."""

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import ks_2samp

from bench import figures
from bench.simulation import beam, page, physics, plots, speed, traditional
from bench.simulation.context import REFERENCE, WINDOWS, ceilings, interval
from bench.simulation.islands import Scenery
from bench.simulation.libraries import RECIPES, provide
from bench.simulation.physics import Row
from bench.simulation_patterns import DATA, fractions, mos
from config.load import load
from sim.hit_library import HitLibrary

COMMAND = "python -m bench.simulation"
PROTONS, READOUTS_AS_MIT, READOUTS_WITH_NOISE = 60_000, 2000, 20_000
MIT = DATA / "wfi_geant4_mit"


def main() -> None:
    """Make everything; libraries that are in the folder are used as they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("out/hits"), help="where the hit libraries are kept")
    parser.add_argument("--aimed", type=int, default=1_200_000, help="primaries of the largest libraries")
    given = parser.parse_args()
    libraries = provide(given.folder, given.aimed)
    pictures = figures.FOLDER.parent / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    found = particles(libraries, given.folder, pictures) | context(libraries, pictures)
    found |= beside_mit(libraries["open_em"], libraries["open"], pictures)
    found |= {f"close: {k}": row for k, row in traditional.with_noise(libraries["close"], READOUTS_WITH_NOISE).items()}
    plots.patterns(pictures / "simulation_patterns.png", fractions(), mos() if MIT.is_dir() else None)
    plots.readout(pictures / "simulation_readout.png", libraries["close"])
    found |= speed.figures(libraries["close"])
    figures.write("simulation", COMMAND, found)
    page.write()


def particles(libraries: dict[str, HitLibrary], folder: Path, pictures: Path) -> dict[str, Row]:
    """Return what single primaries leave in each library, and draw it."""
    found: dict[str, Row] = {}
    wfi, bare = load("wfi"), load("wfi", list(traditional.BARE))
    for name, library in libraries.items():
        found[f"{name}: 2-7 keV, each primary alone"] = physics.background(Scenery(library, wfi))
        if RECIPES[name][3] == 1:
            rows = physics.deposits(library) | physics.tracks(Scenery(library, wfi))
            plain = physics.tracks(Scenery(library, bare))
            rows |= {f"{key}, charge not spread": row for key, row in plain.items()}
            found |= {f"{name}: {key}": row for key, row in rows.items()}
    kev = beam.run(folder / "beam.npz", PROTONS)
    peak, error = beam.most_probable(kev)
    found["1 GeV proton in 450 um, mean"] = (float(kev.mean()), "keV", physics.mean_interval(kev))
    found["1 GeV proton in 450 um, most probable"] = (peak, "keV", (peak - error, peak + error))
    evtlog = physics.evtlog_energies(MIT)
    if evtlog.size:
        found |= physics.proton_energies(evtlog)
    drawn = {"full physics": libraries["open"], "EM only": libraries["open_em"]}
    plots.primaries(pictures / "simulation_primaries.png", drawn, kev, evtlog)
    return found


def context(libraries: dict[str, HitLibrary], pictures: Path) -> dict[str, Row]:
    """Return the ceilings of context for both boards, and draw them."""
    found: dict[str, Row] = {}
    both = {name: ceilings(Scenery(libraries[name], load("wfi"))) for name in REFERENCE}
    for name, (total, counts) in both.items():
        found[f"{name}: X-ray-like particle events"] = (total, f"of {len(libraries[name])} primaries")
        for window in WINDOWS:
            share = 100 * counts[window] / total
            found[f"{name}: with a companion, {window}"] = (share, "%", interval(counts[window], total))
    plots.ceilings(pictures / "simulation_context.png", both, REFERENCE)
    return found


def beside_mit(em: HitLibrary, full: HitLibrary, pictures: Path) -> dict[str, Row]:
    """Return how far our frames and the MIT lists are apart after the same filter, and draw them."""
    if not MIT.is_dir():
        return {}
    theirs, mean = traditional.mit(MIT)
    found: dict[str, Row] = {}
    for name, library in (("EM only", em), ("full physics", full)):
        ours = traditional.ours_as_mit(library, mean, READOUTS_AS_MIT)
        if library is em:
            plots.beside_mit(pictures / "simulation_mit.png", ours, theirs)
        for label, column in (
            ("pixels per track", "track_pixels"),
            ("energy of valid events", "energy_kev"),
            ("distance of valid events to tracks", "track_px"),
        ):
            test = ks_2samp(getattr(theirs, column), getattr(ours, column))
            found[f"MIT lists, {name}: {label}, KS p-value"] = (float(test.pvalue), "")
        found[f"MIT lists, {name}: pixels per track, ours"] = (float(ours.track_pixels.mean()), "mean")
        found[f"MIT lists, {name}: valid events per read-out, ours"] = (ours.energy_kev.size / ours.readouts, "")
    found["MIT lists: pixels per track, theirs"] = (
        float(theirs.track_pixels.mean()),
        "mean",
        physics.mean_interval(theirs.track_pixels),
    )
    count = theirs.energy_kev.size
    spread = np.sqrt(count) / theirs.readouts
    rate = count / theirs.readouts
    found["MIT lists: valid events per read-out, theirs"] = (rate, "", (rate - spread, rate + spread))
    return found


if __name__ == "__main__":
    main()
