"""Where photons of an image came from: shared out between the sources near their pixel and the diffuse light there.

The missing data of a Gibbs sampler (Primini and Kashyap 2014, ApJ 796, 24; Jones, Kashyap and van Dyk 2015, ApJ 808,
137). Only pixels with counts that a source reaches are listed, each with the sources that reach it.
"""

import numpy as np
from numba import njit

REACH = 5.0  # sigma, out to which a source is seen: 4e-6 of its light is beyond


@njit(cache=True, nogil=True)
def window(source, shape):
    """Return the first and the last row, and column, each + 1, that a source (x, y, sigma) reaches."""
    x, y, sigma = source
    reach = REACH * sigma
    top, bottom = max(0, int(np.ceil(y - reach))), min(shape[0], int(np.floor(y + reach)) + 1)
    left, right = max(0, int(np.ceil(x - reach))), min(shape[1], int(np.floor(x + reach)) + 1)
    return top, bottom, left, right


@njit(cache=True, nogil=True)
def psf_at(source, v, u):
    """Return the share of a source's light in a pixel: its Gaussian at the centre, 0 beyond REACH."""
    x, y, sigma = source
    r2 = (u - x) ** 2 + (v - y) ** 2
    if r2 > (REACH * sigma) ** 2:
        return 0.0
    return np.exp(-r2 / (2 * sigma * sigma)) / (2 * np.pi * sigma * sigma)


@njit(cache=True, nogil=True)
def count_reaching(table, exposure, number):
    """Count the sources that reach each pixel; return the exposure of each times its PSF.

    table (n, 3) float64: x, y, sigma, px; exposure (rows, columns) float64, s; number (rows, columns) int64, out. The
    result (n,) float64, s: counts of a source for a rate of 1 s-1.
    """
    seconds = np.zeros(table.shape[0])
    number[:] = 0
    for k in range(table.shape[0]):
        source = (table[k, 0], table[k, 1], table[k, 2])
        top, bottom, left, right = window(source, exposure.shape)
        for v in range(top, bottom):
            for u in range(left, right):
                light = psf_at(source, v, u) * exposure[v, u]
                if light > 0:
                    number[v, u] += 1
                    seconds[k] += light
    return seconds


@njit(cache=True, nogil=True)
def list_reaching(table, exposure, place, begins, source_of, weight):
    """List the sources that reach each pixel of interest, and their PSF times exposure there.

    place (rows, columns) int64: number of the pixel, -1: of no interest; begins (m + 1,) int64: where the list of each
    pixel begins, by `count_reaching`; source_of (l,) int64 and weight (l,) float64, s, out.
    """
    filled = begins[:-1].copy()
    for k in range(table.shape[0]):
        source = (table[k, 0], table[k, 1], table[k, 2])
        top, bottom, left, right = window(source, exposure.shape)
        for v in range(top, bottom):
            for u in range(left, right):
                light = psf_at(source, v, u) * exposure[v, u]
                at = place[v, u]
                if light > 0 and at >= 0:
                    source_of[filled[at]], weight[filled[at]] = k, light
                    filled[at] += 1


@njit(cache=True, nogil=True)
def share_photons(cells, near, rates, diffuse, chance, of_source, of_tile):
    """Draw the origin of each photon; add up the photons of each source and of the diffuse light of each tile, by band.

    cells = (pixel, band, tile, counts, light), each (m,): number of the pixel, of the band, of the tile, int64, counts
    int64, expected counts of diffuse light where its normalisation is 1, float64; near = (begins, source_of, weight) of
    `list_reaching`; rates (n, B) float64, s-1; diffuse (K, B) float64: normalisations; chance (photons,) float64, even
    in 0 to 1, one for each photon in the order of the cells; of_source (n, B), of_tile (K, B) float64, out.
    """
    pixel, band, tile, counts, light = cells
    begins, source_of, weight = near
    of_source[:] = 0.0
    of_tile[:] = 0.0
    photon = 0
    for c in range(pixel.shape[0]):
        b, first, last = band[c], begins[pixel[c]], begins[pixel[c] + 1]
        glow = diffuse[tile[c], b] * light[c]
        total = glow
        for j in range(first, last):
            total += rates[source_of[j], b] * weight[j]
        for _ in range(counts[c]):
            left = chance[photon] * total - glow
            photon += 1
            j = first
            while left >= 0 and j < last:
                left -= rates[source_of[j], b] * weight[j]
                j += 1
            if j == first:
                of_tile[tile[c], b] += 1
            else:
                of_source[source_of[j - 1], b] += 1


@njit(cache=True, nogil=True)
def log_of_cells(cells, near, rates, diffuse):
    """Return the sum of counts x ln(expected counts) of all cells; arguments as of `share_photons`."""
    pixel, band, tile, counts, light = cells
    begins, source_of, weight = near
    found = 0.0
    for c in range(pixel.shape[0]):
        total = diffuse[tile[c], band[c]] * light[c]
        for j in range(begins[pixel[c]], begins[pixel[c] + 1]):
            total += rates[source_of[j], band[c]] * weight[j]
        found += counts[c] * np.log(max(total, 1e-300))
    return found
