"""How long each direction was seen, by the angle to the instrument's axis and within which cut of the zenith angle.

A direction counts while it is within the field of view (cosine above LEAST_COSINE) and its zenith angle within the cut
of its band and type; the instrument's livetime of a row of pointing is shared evenly over its time. With the effective
area that gives the exposure. Left out, as in the responses' own files of lesser order: the azimuth, and the loss of
efficiency with trigger rate (a few percent below 300 MeV; Ackermann et al. 2012, ApJS 203, 4, sections 5.2 and 5.3).
"""

from typing import Final, Self

import astropy_healpix.healpy as hp
import numpy as np
from numpy.typing import NDArray

from stream.kernels.photons import add_livetime
from stream.lat.bands import BANDS, TYPES, ZENITH_DEG
from stream.lat.exposure import ENERGY_MEV, NODES, NSIDE, Exposure
from stream.lat.instrument import Instrument
from stream.lat.photons import Table, overlap_s
from stream.lat.sphere import unit_vectors

BINS: Final = 40  # of the cosine: the area changes by 3 % from one to the next
LEAST_COSINE: Final = 0.2  # 78 degrees: beyond, there is no response (as that of the LAT's own livetime cubes)
CUTS_DEG: Final = tuple(sorted({cut for band in ZENITH_DEG for cut in band}))
assert len(CUTS_DEG) == 3  # as the kernel has it
ROWS: Final = 8192  # that the kernel takes at a time: they stay in the processor's cache
_PIXELS: Final = np.stack(hp.pix2vec(NSIDE, np.arange(12 * NSIDE**2)), axis=1).astype(np.float32)
COSINE: Final = LEAST_COSINE + (np.arange(BINS) + 0.5) * (1 - LEAST_COSINE) / BINS


def in_good_time(pointing: Table, gti: Table) -> Table:
    """Return the POINTING rows that overlap the GTI, with the share of their livetime that lies in it."""
    shared_s = overlap_s(gti, pointing["START"], pointing["STOP"])
    rows = pointing[shared_s > 0].copy()
    rows["LIVETIME"] *= shared_s[shared_s > 0] / (rows["STOP"] - rows["START"])
    return rows


class Livetime:
    """s by zone (zenith angle up to the first of CUTS_DEG, the second, the third, beyond), pixel and cosine."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.zones: NDArray[np.float64] = np.zeros((len(CUTS_DEG) + 1, len(_PIXELS), BINS))
        self.live_s = 0.0  # of the instrument

    def add(self, rows: Table, sign: int = 1) -> Self:
        """Add POINTING rows (n,), all of their livetime; sign -1: take away what was added."""
        rows = rows[rows["LIVETIME"] > 0]
        cuts = np.cos(np.radians(CUTS_DEG)).astype(np.float32)
        for first in range(0, len(rows), ROWS):
            part = rows[first : first + ROWS]
            axis = unit_vectors(part["GLON"], part["GLAT"]).T.astype(np.float32, order="C")
            zenith = unit_vectors(part["ZENITH_GLON"], part["ZENITH_GLAT"]).T.astype(np.float32, order="C")
            live_s = sign * part["LIVETIME"].astype(float)
            add_livetime(axis, zenith, live_s, cuts, LEAST_COSINE, _PIXELS, self.zones)
        self.live_s += sign * float(rows["LIVETIME"].sum(dtype=float))
        return self

    def seen_s(self, zenith_deg: float) -> NDArray[np.float64]:
        """Return s by pixel and cosine, (12 NSIDE^2, BINS), within one of CUTS_DEG."""
        return np.asarray(np.maximum(self.zones[: CUTS_DEG.index(zenith_deg) + 1].sum(axis=0), 0.0))

    def exposure(self, instrument: Instrument, about: str) -> Exposure:
        """Return the exposure with the area of an instrument."""
        seen = {cut: self.seen_s(cut) for cut in CUTS_DEG}
        maps = np.empty((len(TYPES), BANDS, NODES, len(_PIXELS)), np.float32)
        for kind in range(len(TYPES)):
            area = instrument.area_cm2(kind, ENERGY_MEV.ravel(), COSINE).reshape(BANDS, NODES, BINS)
            for band in range(BANDS):
                maps[kind, band] = area[band] @ seen[ZENITH_DEG[band][kind]].T
        return Exposure(maps, max(self.live_s, 0.0), f"{about}, {instrument.about}")
