"""From maps of the sphere (HEALPix, RING) to flat patches: every pixel goes where its centre lies, none is divided."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def cut_patch(nside, centre, side, pixel, maps, begins, counts, share, middle):
    """Add the counts of all HEALPix pixels whose centres lie on a patch.

    centre (2,) float64: longitude and latitude, radians; side: pixels along a side; pixel: their size, radians, in the
    tangent plane (gnomonic; column 0 is at the highest longitude, row 0 at the lowest latitude); maps (m, 12 nside^2),
    counts per pixel; counts float64, added to: those of map m are from begins[m] on, side^2 of them, rows first; share
    (side, side) float64, added to: the solid angle of the HEALPix pixels that are in each one, over that of a flat
    pixel: it goes up and down by a third, as their centres fall. middle (2, side, side) float64, added to: sums of x
    and y of these centres, in pixels from the corner, each times its part of `share`. (Gorski et al. 2005, ApJ 622,
    759, for the rings.)
    """
    lon0, lat0 = centre
    sin0, cos0 = np.sin(lat0), np.cos(lat0)
    half = side * pixel / 2
    reach = np.arctan(np.sqrt(2.0) * half)
    area = 4 * np.pi / (12.0 * nside * nside) / (pixel * pixel)
    first = ring_above(nside, min(lat0 + reach, np.pi / 2))
    last = ring_above(nside, max(lat0 - reach, -np.pi / 2)) + 1
    for ring in range(max(first, 1), min(last, 4 * nside - 1) + 1):
        z, begin, number, phi0, step = ring_geometry(nside, ring)
        low, high = span_of_ring(z, (lon0, sin0, cos0), reach, number, phi0, step)
        radius = np.sqrt(max(1 - z * z, 0.0))
        for place in range(low, high + 1):
            away = phi0 + place * step - lon0
            cos_away = np.cos(away)
            depth = sin0 * z + cos0 * radius * cos_away
            if depth <= 0.2:
                continue
            x = half - radius * np.sin(away) / depth
            y = half + (cos0 * z - sin0 * radius * cos_away) / depth
            if x < 0 or y < 0:
                continue
            column, row = int(x / pixel), int(y / pixel)
            if column >= side or row >= side:
                continue
            at = begin + place % number
            share[row, column] += area
            middle[0, row, column] += area * x / pixel
            middle[1, row, column] += area * y / pixel
            for m in range(maps.shape[0]):
                if maps[m, at] != 0:
                    counts[begins[m] + row * side + column] += maps[m, at]


@njit(cache=True, nogil=True)
def place_pixels(share, middle, pixel_deg, solid_angle, begins, lit, at):
    """Write what `cut_patch` says of pixels into a row of values, for each channel that begins at one of `begins`.

    lit (n,): solid angle, sr, `solid_angle` being that of a flat pixel; at (n, 2): x and y of the mean centre, degrees
    from the corner; a pixel that has none: its own.
    """
    side = len(share)
    for row in range(side):
        for column in range(side):
            part = share[row, column]
            x = (middle[0, row, column] / part if part > 0 else column + 0.5) * pixel_deg
            y = (middle[1, row, column] / part if part > 0 else row + 0.5) * pixel_deg
            for begin in begins:
                place = begin + row * side + column
                lit[place], at[place, 0], at[place, 1] = part * solid_angle, x, y


@njit(cache=True, nogil=True)
def ring_above(nside, latitude):
    """Return the number of the last ring, from 1 at the north, whose centres are at or north of a latitude, radians."""
    z = np.sin(latitude)
    if abs(z) <= 2.0 / 3:
        return int(nside * (2 - 1.5 * z))
    cap = nside * np.sqrt(3 * max(1 - abs(z), 0.0))
    return int(cap) if z > 0 else int(4 * nside - cap)


@njit(cache=True, nogil=True)
def ring_geometry(nside, ring):
    """Return sine of latitude, number of the first pixel, pixels, longitude of the first, step, of a ring from 1."""
    south = ring > 2 * nside
    i = 4 * nside - ring if south else ring
    if i < nside:
        z, number, phi0 = 1 - i * i / (3.0 * nside * nside), 4 * i, np.pi / (4 * i)
        begin = 2 * i * (i - 1)
    else:
        z, number = 4.0 / 3 - 2.0 * i / (3.0 * nside), 4 * nside
        phi0 = np.pi / (4 * nside) if (i - nside) % 2 == 0 else 0.0
        begin = 2 * nside * (nside - 1) + (i - nside) * 4 * nside
    if south:
        z, begin = -z, 12 * nside * nside - begin - number
    return z, begin, number, phi0, 2 * np.pi / number


@njit(cache=True, nogil=True)
def span_of_ring(z, centre, reach, number, phi0, step):
    """Return the first and last place on a ring, may be outside 0..number - 1, within reach of (lon, sin, cos lat)."""
    lon0, sin0, cos0 = centre
    radius = np.sqrt(max(1 - z * z, 1e-30))
    needed = (np.cos(reach) - sin0 * z) / max(cos0 * radius, 1e-30)
    if needed <= -1:
        return 0, number - 1
    if needed >= 1:
        return 0, -1
    away = np.arccos(needed)
    return int(np.ceil((lon0 - away - phi0) / step)), int(np.floor((lon0 + away - phi0) / step))
