"""Places on the sky: separations, and from galactic to equatorial coordinates. Degrees in, degrees out."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Rows: galactic x, y, z in ICRS. Hipparcos and Tycho catalogues (ESA SP-1200, vol. 1, 1.5.3, eq. 1.5.11): pole at
# 192.85948, 27.12825 degrees, node at 32.93192.
GALACTIC: Final = np.array(
    [
        [-0.0548755604162154, -0.8734370902348850, -0.4838350155487132],
        [0.4941094278755837, -0.4448296299600112, 0.7469822444972189],
        [-0.8676661490190047, -0.1980763734312015, 0.4559837761750669],
    ]
)


def unit_vectors(lon_deg: ArrayLike, lat_deg: ArrayLike) -> Floats:
    """Return the directions (n, 3) of places (n,)."""
    lon, lat = np.radians(np.asarray(lon_deg, float)), np.radians(np.asarray(lat_deg, float))
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def separation(lon_deg: ArrayLike, lat_deg: ArrayLike, lon2_deg: ArrayLike, lat2_deg: ArrayLike) -> Floats:
    """Return the angle between places, broadcast against each other.

    Haversine: it keeps its digits where the cosine has lost them (12 % at 1e-6 degrees); near antipodes, where it
    would lose its own, it is taken to the antipode.
    """
    lat, lat2 = np.radians(np.asarray(lat_deg, float)), np.radians(np.asarray(lat2_deg, float))
    half = np.radians(np.asarray(lon2_deg, float) - np.asarray(lon_deg, float)) / 2
    both = np.cos(lat) * np.cos(lat2)
    near = np.sin((lat2 - lat) / 2) ** 2 + both * np.sin(half) ** 2
    far = np.sin((lat2 + lat) / 2) ** 2 + both * np.cos(half) ** 2  # near + far = 1
    return np.asarray(2 * np.degrees(np.arctan2(np.sqrt(near), np.sqrt(far))))


def equatorial(glon_deg: ArrayLike, glat_deg: ArrayLike) -> tuple[Floats, Floats]:
    """Return right ascension 0 to 360 and declination, ICRS, of galactic places."""
    x, y, z = np.moveaxis(unit_vectors(glon_deg, glat_deg) @ GALACTIC, -1, 0)
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))


def names(prefix: str, ra_deg: ArrayLike, dec_deg: ArrayLike) -> list[str]:
    """Return names as the catalogues of the LAT make them: "PREFIX JHHMM.m+DDMM", truncated, not rounded (IAU).

    Places that would have the same name get a letter each: A, B, ...
    """
    ra, dec = np.atleast_1d(np.asarray(ra_deg, float)), np.atleast_1d(np.asarray(dec_deg, float))
    tenths = np.floor(ra % 360 * 40 + 1e-6).astype(np.int64)  # of a minute of time
    minutes = np.floor(np.abs(dec) * 60 + 1e-6).astype(np.int64)
    plain = [
        f"{prefix} J{t // 600:02d}{t // 10 % 60:02d}.{t % 10}{'-' if d < 0 else '+'}{m // 60:02d}{m % 60:02d}"
        for t, m, d in zip(tenths.tolist(), minutes.tolist(), dec.tolist(), strict=True)
    ]
    seen: dict[str, int] = {}
    told = []
    for name in plain:
        seen[name] = seen.get(name, 0) + 1
        told.append(f"{name}{chr(64 + seen[name])}" if plain.count(name) > 1 else name)
    return told
