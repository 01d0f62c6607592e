"""Energy bands, conversion types and channels: which photons are kept, and in maps of which resolution.

A channel is a band and a type of conversion, in the order `channel = band * 2 + type`: its photons share a PSF. Maps
are HEALPix, RING, galactic. The bands are those of UNEK (seed 004); a pixel is at most half the 68 % radius of
its band's front PSF (P8R3_SOURCE_V3: 1.65, 1.0, 0.57, 0.32, 0.13, 0.10 degrees at the lower edges).
"""

from typing import Final

import numpy as np

EDGES_MEV: Final = (300.0, 500.0, 1000.0, 2000.0, 7000.0, 20_000.0, 1_000_000.0)
BANDS: Final = len(EDGES_MEV) - 1
TYPES: Final = ("front", "back")  # where the photon converted; CONVERSION_TYPE 0 and 1
CHANNELS: Final = BANDS * len(TYPES)
NSIDE: Final = (256, 256, 512, 1024, 1024, 1024)  # by band: 0.23, 0.23, 0.11, 0.06, 0.06, 0.06 degrees
GRIDS: Final = ((256, (0, 1)), (512, (2,)), (1024, (3, 4, 5)))
"""Bands that share a resolution: their maps are kept as one array (channels of these bands, 12 nside^2)."""
# Zenith cuts by band, for front and back, degrees: seed 004 (105 above 1 GeV; below, 100 front and 90 back).
ZENITH_DEG: Final = ((100.0, 90.0), (100.0, 90.0), (105.0, 105.0), (105.0, 105.0), (105.0, 105.0), (105.0, 105.0))
REFERENCE_MEV: Final = (1000.0, 100_000.0)  # of fluxes: photons cm-2 s-1 in this range, as 4FGL's Flux1000

DETECTION: Final = np.dtype(  # a source as the search gives it
    [
        ("id", "<i4"),  # from 1, most significant first
        ("glon_deg", "<f8"),
        ("glat_deg", "<f8"),
        ("r68_deg", "<f4"),  # of its position, statistical; a circle
        ("r95_deg", "<f4"),
        ("ts", "<f4"),  # 2 ln of the likelihood ratio with and without it
        ("flux", "<f4"),  # photons cm-2 s-1, 1 to 100 GeV
        ("flux_error", "<f4"),
        ("index", "<f4"),  # of a power law E^-index
        ("index_error", "<f4"),
        ("counts", "<f4", (BANDS,)),  # expected from the source, by band
        ("flux_band", "<f4", (BANDS,)),  # photons cm-2 s-1 in each band, fitted alone
        ("flux_band_error", "<f4", (BANDS,)),
        ("probability", "<f4"),  # that it is a source, as the network says; NaN: not asked
        ("flag", "<i4"),  # Flag
    ]
)
EDGE, CONFUSED, AT_BOUND, NOT_SETTLED = 1, 2, 4, 8
"""Bits of `flag`: near the edge of its patch; a brighter one within the PSF; index at a bound; fit not at its end."""


def channels_of(bands: tuple[int, ...]) -> list[int]:
    """Return the channels of some bands, in their order."""
    return [band * len(TYPES) + kind for band in bands for kind in range(len(TYPES))]


def channel_of(energy_mev: np.ndarray, conversion: np.ndarray) -> np.ndarray:
    """Return the channel (n,) int64 of photons by energy (n,) MeV and conversion type (n,) 0 or 1; -1: in no band."""
    band = np.searchsorted(EDGES_MEV, energy_mev, side="right") - 1
    inside = (band >= 0) & (band < BANDS)
    return np.where(inside, band * len(TYPES) + conversion, -1)
