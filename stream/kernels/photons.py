"""Photons of the gamma-ray sky: into HEALPix maps, and how long the instrument has looked at each pixel."""

import numpy as np
from numba import njit

KEPT, NO_BAND, ZENITH, NO_NUMBER = 0, 1, 2, 3  # what `place_photons` does with a photon


@njit(cache=True, nogil=True)
def ring_pixel(nside, lon, lat):
    """Return the HEALPix pixel, RING (Gorski et al. 2005, ApJ 622, 759), of a place in radians; |lat| <= pi / 2."""
    z = np.sin(lat)
    turn = lon * (2 / np.pi)
    turn -= 4 * np.floor(turn / 4)
    if turn >= 4:  # a negative angle smaller than the last digit
        turn = 0.0
    if abs(z) <= 2 / 3:
        a, b = nside * (0.5 + turn), nside * z * 0.75
        down, up = int(np.floor(a - b)), int(np.floor(a + b))
        ring = nside + 1 + down - up  # from 1
        shift = 1 - (ring & 1)
        place = ((down + up - nside + shift + 1) >> 1) % (4 * nside)
        return 2 * nside * (nside - 1) + (ring - 1) * 4 * nside + place
    part = turn - np.floor(turn)
    root = nside * np.cos(lat) / np.sqrt((1 + abs(z)) / 3)  # sqrt(3 (1 - |z|)), to its last digit at the poles
    ring = int(part * root) + int((1 - part) * root) + 1
    place = int(turn * ring) % (4 * ring)
    return 2 * ring * (ring - 1) + place if z > 0 else 12 * nside * nside - 2 * ring * (ring + 1) + place


@njit(cache=True, nogil=True)
def place_photons(photons, edges, cuts, nsides, coarse_nside, channel, pixel, coarse):
    """Write the channel (n,) int8, its pixel and the one of the coarse map (n,) uint32 of photons; return what became.

    photons: (n,) records of GLON, GLAT, ENERGY, CONVERSION, ZENITH (degrees, MeV); edges: (bands + 1,) MeV; cuts:
    (bands, 2) degrees, up to and with; nsides: (bands,). Channel -1: not used. Returns (4,) int64: how many were kept,
    lie in no band, above the zenith cut, or have no numbers in range.
    """
    counted = np.zeros(4, np.int64)
    for i in range(photons.size):
        p = photons[i]
        lon, lat, energy, kind, zenith = p.GLON, p.GLAT, p.ENERGY, p.CONVERSION, p.ZENITH
        channel[i] = -1
        pixel[i] = coarse[i] = 0
        if not (abs(lat) <= 90 and abs(lon) <= 720 and energy > 0 and kind <= 1 and 0 <= zenith <= 180):
            counted[NO_NUMBER] += 1
            continue
        band = -1
        while band + 1 < edges.size and energy >= edges[band + 1]:
            band += 1
        if band < 0 or band >= nsides.size:
            counted[NO_BAND] += 1
            continue
        if zenith > cuts[band, kind]:
            counted[ZENITH] += 1
            continue
        channel[i] = 2 * band + kind
        x, y = np.radians(np.float64(lon)), np.radians(np.float64(lat))
        pixel[i] = ring_pixel(nsides[band], x, y)
        coarse[i] = pixel[i] if nsides[band] == coarse_nside else ring_pixel(coarse_nside, x, y)
        counted[KEPT] += 1
    return counted


@njit(cache=True, nogil=True)
def add_photons(row, pixel, maps, most):
    """Count photons in maps (rows, pixels) of unsigned integers; returns how many found theirs at its end.

    row: (n,), below 0: not for these maps; pixel: (n,); most: what a pixel holds. A full one stays full.
    """
    full = 0
    for i in range(row.size):
        if row[i] >= 0:
            before = maps[row[i], pixel[i]]
            if before + 1 > most:
                full += 1
            else:
                maps[row[i], pixel[i]] = before + 1
    return full


@njit(cache=True, nogil=True, fastmath=True)
def add_livetime(axis, zenith, live_s, cosine_cuts, least_cosine, pixels, out):
    """Add to out (4, pixels, cosines) float64 the livetime of rows of pointing, each for all pixels.

    axis, zenith: (3, n) float32, directions of the instrument and away from the Earth; live_s: (n,) float64; pixels:
    (p, 3) float32; cosine_cuts: (3,) float32, falling. Zone k of out: below so many of the cuts. The cosines are even
    bins from least_cosine to 1; what the instrument sees at a larger angle is left out. No rows: out stays.
    """
    bins, rows = out.shape[2], axis.shape[1]
    scale, least = np.float32(bins / (1 - least_cosine)), np.float32(least_cosine)
    zero, zone, last = np.float32(0), np.float32(bins), np.float32(bins - 1)
    near, middle, far = cosine_cuts[0], cosine_cuts[1], cosine_cuts[2]
    place = np.empty(rows, np.int32)
    flat = np.empty((4, 4 * bins + 1))  # four copies: neighbours in time fall into the same bin, and would wait in line
    for p in range(pixels.shape[0]):
        x, y, z = pixels[p, 0], pixels[p, 1], pixels[p, 2]
        for i in range(rows):  # without a branch: the compiler uses vector units
            cosine = axis[0, i] * x + axis[1, i] * y + axis[2, i] * z
            up = zenith[0, i] * x + zenith[1, i] * y + zenith[2, i] * z
            below = (zero if up >= near else zone) + (zero if up >= middle else zone) + (zero if up >= far else zone)
            b = min((cosine - least) * scale, last)
            place[i] = np.int32(below + b) if b > zero else np.int32(4 * bins)
        flat[:] = 0
        for i in range(0, rows - 3, 4):
            for k in range(4):
                flat[k, np.uint32(place[i + k])] += live_s[i + k]
        for i in range(rows - rows % 4, rows):
            flat[0, np.uint32(place[i])] += live_s[i]
        for k in range(4):
            for b in range(bins):
                j = k * bins + b
                out[k, p, b] += flat[0, j] + flat[1, j] + flat[2, j] + flat[3, j]
