"""Reads the responses of the LAT as the mission publishes them (CALDB): effective area and PSF of one event class."""

from pathlib import Path
from typing import Any

import numpy as np

from stream.errors import ConfigError
from stream.lat.builtin import stand_in
from stream.lat.instrument import KING, Grid, Instrument, Optics
from stream.transport.fitsfile import open_fits

Table = Any


def read_instrument(folder: Path) -> Instrument:
    """Read aeff_*_FB.fits and psf_*_FB.fits of a folder, front and back in one file each.

    Raises ConfigError for a folder without them, with several, or with tables that are none.
    """
    area, psf = _one(folder, "aeff_*_FB.fits*"), _one(folder, "psf_*_FB.fits*")
    with open_fits(area) as areas:
        [hdu.data for hdu in areas]  # read now: what is wrong with it is not to be said of the other file
        with open_fits(psf) as psfs:
            try:
                optics = tuple(_optics(areas, psfs, name) for name in ("FRONT", "BACK"))
            except (KeyError, IndexError) as fault:
                raise ConfigError(f"{area}, {psf}: no response of front and back ({fault})") from None
    return Instrument((optics[0], optics[1]), area.name.removeprefix("aeff_").partition("_FB")[0])


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise ConfigError(f"{folder}: expected one file {pattern}, found {len(found)}")
    return found[0]


def _optics(areas: Table, psfs: Table, name: str) -> Optics:
    area, psf = areas[f"EFFECTIVE AREA_{name}"].data[0], psfs[f"RPSF_{name}"].data[0]
    c0, c1, beta = (float(value) for value in psfs[f"PSF_SCALING_PARAMS_{name}"].data["PSFSCALE"][0])
    grid, king_grid = _grid(area), _grid(psf)
    shape = len(king_grid.cosine), len(king_grid.log_energy)
    king = {key: np.asarray(psf[key], float).reshape(shape) for key in KING}
    values = np.asarray(area["EFFAREA"], float).reshape(len(grid.cosine), len(grid.log_energy))
    return Optics(grid, values, king_grid, king, (c0, c1, beta))


def _grid(row: Table) -> Grid:
    """Return the middles of the bins."""
    low, high = (np.asarray(row[key], float) for key in ("ENERG_LO", "ENERG_HI"))
    begin, end = (np.asarray(row[key], float) for key in ("CTHETA_LO", "CTHETA_HI"))
    return Grid((np.log(low) + np.log(high)) / 2, (begin + end) / 2)


def instrument_of(folder: str) -> Instrument:
    """Return the responses of a folder, or the coarse ones of our own for an empty name."""
    return read_instrument(Path(folder)) if folder else stand_in()
