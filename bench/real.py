"""How many rows of the missions' own event lists come out of the rebuilt frames, with the same values."""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.stats import beta

from bench import figures
from tests.real.conftest import DATA, invoke, pair, tables

COMMAND = "python -m bench.real"
Figures = dict[str, tuple[object, ...]]
ACIS = {"SRC_FRAME": "expno", "SRC_CHIP": "ccd_id", "SRC_X": "chipx", "SRC_Y": "chipy"}


def lists(kind: str, source: Path, config: str, *options: object) -> dict[str, NDArray[np.void]]:
    """Return the tables of our event list of a mission's list."""
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "frames.h5"
        invoke("convert", kind, source, frames, *options)
        invoke("process", frames, "--config", config, "--out", folder)
        return tables(Path(folder) / "events.fits")


def share(hits: NDArray[np.bool_] | int, total: int) -> tuple[object, ...]:
    """Return a share in percent with its 68 % interval (Clopper and Pearson 1934, Biometrika 26, 404)."""
    k = int(np.sum(hits))
    low = beta.ppf(0.1587, k, total - k + 1) if k else 0.0
    high = beta.ppf(0.8413, k + 1, total - k) if k < total else 1.0
    return 100 * k / total, f"% of {total} rows", (100 * float(low), 100 * float(high))


def wfi() -> Figures:
    """Compare both runs of the WFI background group."""
    found: Figures = {}
    for run in ("0000", "0001"):
        stem = DATA / "wfi_geant4_mit" / f"geant_events_20201006173157{run}"
        ours = lists("wfi-pixels", Path(f"{stem}_pix.fits"), "wfi_geant4_lists")["EVENTS"]
        theirs = fits.getdata(f"{stem}_evt.fits")
        a, b = pair(ours, theirs, {"SRC_FRAME": "FRAME", "SRC_X": "ACTX", "SRC_Y": "ACTY"})
        name, total = f"WFI Geant4 run {run}", len(theirs)
        x, y = ours[a], theirs[b]
        found[f"{name}: events found"] = share(len(a), total)
        found[f"{name}: events besides"] = (len(ours) - len(a), "events")
        found[f"{name}: PATTERN"] = share(x["PATTERN"] == y["PATTERN"], total)
        found[f"{name}: VFAINT"] = share(x["VFAINT"] == y["VFAINT"], total)
        found[f"{name}: ENERGY within 1e-5"] = share(abs(x["ENERGY"] / 1000 / y["ENERGY"] - 1) < 1e-5, total)
        found[f"{name}: MIPDIST within 1e-3"] = share(abs(x["MIPDIST"] - y["MIPDIST"]) < 1e-3, total)
        found[f"{name}: BLOBDIST within 1e-3"] = share(abs(x["TRACKDIST"] - y["BLOBDIST"]) < 1e-3, total)
    return found


def acis() -> Figures:
    """Compare a VFAINT and a FAINT observation of Chandra ACIS."""
    folder = DATA / "acis"
    path = folder / "kes75_500_1500.fits.gz"
    ours, theirs = lists("acis", path, "acis")["EVENTS"], fits.getdata(path, "EVENTS")
    a, b = pair(ours, theirs, ACIS)
    x, y, total = ours[a], theirs[b], len(theirs)
    found: Figures = {
        "ACIS VFAINT: events found": share(len(a), total),
        "ACIS VFAINT: events besides": (len(ours) - len(a), "events"),
        "ACIS VFAINT: FLTGRADE": share(x["NEIGHBOURS"] == y["fltgrade"], total),
        "ACIS VFAINT: GRADE": share(x["GRADE"] == y["grade"], total),
        "ACIS VFAINT: PHA": share(x["PHA"] == y["pha"], total),
    }
    path = folder / "acisf28229_repro_evt2.fits.gz"
    biases = [word for n in (1, 2) for word in ("--bias", folder / f"acisf828602635N001_{n}_bias0.fits.gz")]
    ours = lists("acis", path, "acis", *biases, "--bpix", folder / "acisf28229_000N001_bpix1.fits.gz")["EVENTS"]
    theirs = fits.getdata(path, "EVENTS")
    a, b = pair(ours, theirs, ACIS)
    x, y, total = ours[a], theirs[b], len(theirs)
    found["ACIS FAINT: events found at their pixel"] = share(len(a), total)
    found["ACIS FAINT: events besides"] = (len(ours) - len(a), "events")
    found["ACIS FAINT: PHA_RO"] = share(x["PHA"] == y["pha_ro"], total)
    found["ACIS FAINT: raw grade equal to the CTI-corrected one"] = share(x["NEIGHBOURS"] == y["fltgrade"], total)
    return found


def suzaku() -> Figures:
    """Compare the Suzaku XIS sample."""
    path = DATA / "suzaku" / "suzaku_xis0_crab_3x3_event_file_1.fits"
    ours, theirs = lists("suzaku", path, "suzaku")["EVENTS"], fits.getdata(path, "EVENTS")
    keys = {"SRC_FRAME": "EXPOSURE_SEQ_NO", "SRC_CHIP": "SEGMENT", "SRC_X": "ACTX", "SRC_Y": "ACTY"}
    a, b = pair(ours, theirs, keys)
    return {"Suzaku XIS: GRADE": share(ours["GRADE"][a] == theirs["GRADE"][b], len(theirs))}


def main() -> None:
    """Compare all and write docs/figures/real.json."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    figures.write("real", COMMAND, wfi() | acis() | suzaku())


if __name__ == "__main__":
    main()
