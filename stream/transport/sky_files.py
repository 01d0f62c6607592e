"""Counts of the sky on disk: maps for others (FITS), and all that was counted, to go on with (HDF5).

A map file has, for front and back, a sparse HEALPix map in which each band has its own NSIDE (GADF sky maps: columns
PIX, CHANNEL, VALUE and a table BANDS with E_MIN, E_MAX in keV), the exposure if it is known, and the good time.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.lat.bands import BANDS, EDGES_MEV, NSIDE, TYPES
from stream.lat.cube import Sky, Window
from stream.lat.exposure import ENERGY_MEV, NODES, Exposure
from stream.lat.exposure import NSIDE as EXPOSURE_NSIDE
from stream.lat.photons import MJDREF
from stream.lat.snapshot import pack, unpack
from stream.transport import hdf5
from stream.transport.products import save

FORMAT: Final = "raysieve sky"
KEV: Final = 1000.0  # in a MeV
HEALPIX: Final = {"PIXTYPE": "HEALPIX", "ORDERING": "RING", "COORDSYS": "GAL", "HPX_CONV": "GADF"}
MET: Final = {"MJDREFI": MJDREF[0], "MJDREFF": MJDREF[1], "TIMESYS": "TT", "TIMEUNIT": "s"}

Cards = Mapping[str, Any]


def write_window(path: Path, window: Window, exposure: Exposure | None, cards: Cards) -> None:
    """Write the map file of a window. Raises LinkError if the disk refuses."""
    primary = fits.PrimaryHDU()
    known = "none" if exposure is None else exposure.about
    about = {**cards, **MET, "TSTART": window.start_s, "TSTOP": window.stop_s, "ONTIME": window.ontime_s}
    primary.header.update({"ORIGIN": "raysieve", "CREATOR": "raysieve", **about, "EXPOSURE": known})
    hdus = [primary]
    for kind, name in enumerate(TYPES):
        hdus.append(_counts(window, kind, name.upper()))
    hdus.append(_bands())
    if exposure is not None:
        hdus += [_exposure(exposure, kind, name.upper()) for kind, name in enumerate(TYPES)]
        hdus.append(_nodes())
    gti = fits.BinTableHDU(window.gti, name="GTI")
    for column in gti.columns:
        column.unit = "s"
    for hdu in (*hdus[1:], gti):
        hdu.header.update(MET)
    save(path, [*hdus, gti])


def _counts(window: Window, kind: int, name: str) -> Any:
    parts = []
    for band in range(BANDS):
        pixels, number = window.listed(len(TYPES) * band + kind)
        rows = np.empty(len(pixels), [("PIX", "<i4"), ("CHANNEL", "<i2"), ("VALUE", "<i4")])
        rows["PIX"], rows["CHANNEL"], rows["VALUE"] = pixels, band, number
        parts.append(rows)
    hdu = fits.BinTableHDU(np.concatenate(parts), name=name)
    hdu.header.update({**HEALPIX, "INDXSCHM": "SPARSE", "BANDSHDU": "BANDS", "NSIDE": max(NSIDE)})
    hdu.header.update({"ORDER": max(NSIDE).bit_length() - 1, "BUNIT": "count"})
    return hdu


def _bands() -> Any:
    edges = np.array(EDGES_MEV) * KEV
    columns = [
        fits.Column("CHANNEL", "I", array=np.arange(BANDS)),
        fits.Column("ENERGY", "E", "keV", array=np.sqrt(edges[1:] * edges[:-1])),
        fits.Column("E_MIN", "E", "keV", array=edges[:-1]),
        fits.Column("E_MAX", "E", "keV", array=edges[1:]),
        fits.Column("NSIDE", "J", array=np.array(NSIDE)),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="BANDS")
    hdu.header.update({"AXCOLS1": "E_MIN,E_MAX", "INTERP1": "log"})
    return hdu


def _exposure(exposure: Exposure, kind: int, name: str) -> Any:
    """Return the exposure in the middle of each band (by ln E)."""
    maps = exposure.cm2_s[kind, :, NODES // 2]
    columns = [fits.Column(f"CHANNEL{band}", "E", "cm2 s", array=maps[band]) for band in range(BANDS)]
    hdu = fits.BinTableHDU.from_columns(columns, name=f"{name}_EXPOSURE")
    hdu.header.update({**HEALPIX, "INDXSCHM": "IMPLICIT", "BANDSHDU": "NODES", "NSIDE": EXPOSURE_NSIDE})
    hdu.header.update({"ORDER": EXPOSURE_NSIDE.bit_length() - 1, "BUNIT": "cm2 s"})
    hdu.header.update({"FIRSTPIX": 0, "LASTPIX": 12 * EXPOSURE_NSIDE**2 - 1})
    return hdu


def _nodes() -> Any:
    columns = [
        fits.Column("CHANNEL", "I", array=np.arange(BANDS)),
        fits.Column("ENERGY", "E", "keV", array=ENERGY_MEV[:, NODES // 2] * KEV),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="NODES")
    hdu.header.update({"AXCOLS1": "ENERGY", "INTERP1": "log"})
    return hdu


def write_sky(path: Path, sky: Sky) -> None:
    """Write all that was counted, whole or not at all. Raises LinkError if the disk refuses."""
    with hdf5.NewFile(path, FORMAT) as new, new.writing():
        for name, rows in pack(sky).items():
            stored = {} if rows.size == 0 else {"chunks": _chunk(rows), **hdf5.filters()}
            new.file.create_dataset(name, data=rows, **stored)


def _chunk(rows: NDArray[Any]) -> tuple[int, ...]:
    return (*(1,) * (rows.ndim - 1), min(rows.shape[-1], 1 << 18))


def read_sky(path: Path) -> Sky | None:
    """Return what was counted; None if there is no such file. Raises ConfigError for one that is damaged."""
    if not path.is_file():
        return None
    with hdf5.open_file(path, (FORMAT,)) as file:
        try:
            return unpack({name: file[name][()] for name in file})
        except hdf5.FAULTS as fault:
            raise ConfigError(f"{path}: {hdf5.reason(fault)}; move it away to begin anew") from None
