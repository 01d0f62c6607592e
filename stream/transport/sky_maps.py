"""Reads the map file of a window of the sky (`stream.transport.sky_files`): counts, and exposure if there is one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.lat.bands import BANDS, EDGES_MEV, NSIDE, TYPES, channel_of
from stream.lat.cube import count_into, new_maps
from stream.lat.exposure import ENERGY_MEV, NODES, Exposure
from stream.lat.exposure import NSIDE as EXPOSURE_NSIDE
from stream.lat.instrument import Instrument
from stream.transport.fitsfile import why_no_fits

KEV = 1000.0  # in a MeV


@dataclass(frozen=True, slots=True, eq=False)
class WindowMaps:
    """What a map file holds."""

    maps: list[NDArray[Any]]  # counts (channels of the grid, 12 nside^2) for each of GRIDS
    middle_cm2_s: NDArray[np.float32] | None  # (TYPES, BANDS, npix) in the middle of each band; None: not known
    start_s: float
    stop_s: float
    ontime_s: float  # good time
    about: str  # of the exposure

    def exposure(self, instrument: Instrument) -> Exposure | None:
        """Return the exposure at all nodes: from that in the middle of a band as the acceptance goes on from there."""
        if self.middle_cm2_s is None:
            return None
        cm2_s = np.empty((*self.middle_cm2_s.shape[:2], NODES, self.middle_cm2_s.shape[2]), np.float32)
        for kind in range(len(TYPES)):
            area = instrument.acceptance_cm2_sr(kind, ENERGY_MEV.ravel()).reshape(BANDS, NODES)
            ratio = area / area[:, NODES // 2, None]
            cm2_s[kind] = ratio[..., None] * self.middle_cm2_s[kind][:, None]
        return Exposure(cm2_s, self.ontime_s, self.about)


def read_window(path: Path) -> WindowMaps:
    """Read a map file. Raises ConfigError (one line) for another file, other bands, or rows that are not counts."""
    try:
        with fits.open(path) as file:
            edges = np.array([file["BANDS"].data[name] for name in ("E_MIN", "E_MAX")], float) / KEV
            wanted = np.array([EDGES_MEV[:-1], EDGES_MEV[1:]])
            if edges.shape != wanted.shape or not np.allclose(edges, wanted, rtol=1e-3):
                raise ConfigError(f"{path}: BANDS: expected {BANDS} bands of 300 MeV to 1 TeV, as this stream has")
            maps = new_maps()
            for kind, name in enumerate(TYPES):
                _count(path, file[name.upper()].data, kind, maps)
            header = file[0].header
            span = float(header["TSTART"]), float(header["TSTOP"]), float(header["ONTIME"])
            known = all(f"{name.upper()}_EXPOSURE" in file for name in TYPES)
            middle = np.stack([_exposure(path, file[f"{n.upper()}_EXPOSURE"].data) for n in TYPES]) if known else None
            return WindowMaps(maps, middle, *span, str(header.get("EXPOSURE", "unknown")))
    except (OSError, KeyError, ValueError, TypeError) as fault:
        reason = why_no_fits(path, fault) if isinstance(fault, OSError) else " ".join(str(fault).split())[:120]
        raise ConfigError(f"{path}: expected a map file of this stream (FRONT, BACK, BANDS): {reason}") from None


def _count(path: Path, rows: Any, kind: int, maps: list[NDArray[Any]]) -> None:
    band, pixel, number = (np.asarray(rows[name], float) for name in ("CHANNEL", "PIX", "VALUE"))
    good = np.isfinite(band) & np.isfinite(pixel) & np.isfinite(number) & (number >= 0) & (number == np.floor(number))
    good &= (band >= 0) & (band < BANDS) & (pixel >= 0)
    good[good] &= pixel[good] < 12 * np.array(NSIDE)[band[good].astype(int)] ** 2
    if not good.all():
        raise ConfigError(f"{path}: {TYPES[kind].upper()}: {int((~good).sum())} rows of {len(good)} are no counts")
    middle = ENERGY_MEV[band.astype(int), NODES // 2]
    channel = channel_of(middle, np.full(len(band), kind)).astype(np.int8)
    count_into(maps, np.repeat(channel, number.astype(int)), np.repeat(pixel.astype(np.uint32), number.astype(int)))


def _exposure(path: Path, rows: Any) -> NDArray[np.float32]:
    table = np.stack([np.asarray(rows[f"CHANNEL{band}"], np.float32) for band in range(BANDS)])
    if table.shape[1] != 12 * EXPOSURE_NSIDE**2 or not np.all(np.isfinite(table) & (table >= 0)):
        raise ConfigError(f"{path}: exposure: expected {12 * EXPOSURE_NSIDE**2} values of cm2 s, not below 0")
    return table
