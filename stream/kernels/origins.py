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
def weigh(table, near, exposure, weight):
    """Write the PSF times exposure of all listed sources, now at the places of `table`, (l,) float64, s.

    near = (begins, source_of, x, y): the lists of `list_reaching`, which stay as they are, and the places of their
    pixels (m,) float64, px; exposure (m,) float64, s.
    """
    begins, source_of, x, y = near
    for i in range(x.shape[0]):
        for j in range(begins[i], begins[i + 1]):
            k = source_of[j]
            variance = table[k, 2] ** 2
            r2 = (x[i] - table[k, 0]) ** 2 + (y[i] - table[k, 1]) ** 2
            weight[j] = exposure[i] * np.exp(-r2 / (2 * variance)) / (2 * np.pi * variance)


@njit(cache=True, nogil=True)
def expose(table, centre, exposure, seconds):
    """Write the exposure times the PSF of sources at the places of `table`, in the pixels that `centre` reaches.

    table, centre (n, 3) float64; exposure (rows, columns) float64, s; seconds (n,) float64, out.
    """
    for k in range(table.shape[0]):
        x, y, sigma = table[k]
        source = (centre[k, 0], centre[k, 1], centre[k, 2])
        top, bottom, left, right = window(source, exposure.shape)
        across = np.exp(-((np.arange(left, right) - x) ** 2) / (2 * sigma * sigma))
        total = 0.0
        for v in range(top, bottom):
            along = 0.0
            for u in range(left, right):
                if (u - source[0]) ** 2 + (v - source[1]) ** 2 <= (REACH * sigma) ** 2:
                    along += exposure[v, u] * across[u - left]
            total += along * np.exp(-((v - y) ** 2) / (2 * sigma * sigma))
        seconds[k] = total / (2 * np.pi * sigma * sigma)


@njit(cache=True, nogil=True)
def share_photons(cells, near, weight, light, chance, out):
    """Draw the origin of each photon; add up the photons of each source and of the diffuse light of each tile, by band.

    cells = (pixel, band, tile, counts, glow), each (m,): number of the pixel, of the band, of the tile, int64, counts
    int64, expected counts of diffuse light where its normalisation is 1, float64; near, weight as of `weigh`; light =
    (rates (n, B) float64, s-1, normalisations (K, B) float64); chance (photons,) float64, even in 0 to 1, one for each
    photon in the order of the cells; out = (of_source (n, B), of_tile (K, B), places (n, 2)) float64, the last the sums
    of x and of y of each source's photons.
    """
    pixel, band, tile, counts, glow = cells
    begins, source_of, x, y = near
    rates, normalisations = light
    of_source, of_tile, places = out
    of_source[:] = 0.0
    of_tile[:] = 0.0
    places[:] = 0.0
    photon = 0
    for c in range(pixel.shape[0]):
        b, first, last = band[c], begins[pixel[c]], begins[pixel[c] + 1]
        own = normalisations[tile[c], b] * glow[c]
        total = own
        for j in range(first, last):
            total += rates[source_of[j], b] * weight[j]
        for _ in range(counts[c]):
            left = chance[photon] * total - own
            photon += 1
            j = first
            while left >= 0 and j < last:
                left -= rates[source_of[j], b] * weight[j]
                j += 1
            if j == first:
                of_tile[tile[c], b] += 1
            else:
                k = source_of[j - 1]
                of_source[k, b] += 1
                places[k, 0] += x[pixel[c]]
                places[k, 1] += y[pixel[c]]


@njit(cache=True, nogil=True)
def log_of_cells(cells, near, weight, light):
    """Return the sum of counts x ln(expected counts) of all cells; arguments as of `share_photons`."""
    pixel, band, tile, counts, glow = cells
    begins, source_of, _, _ = near
    rates, normalisations = light
    found = 0.0
    for c in range(pixel.shape[0]):
        total = normalisations[tile[c], band[c]] * glow[c]
        for j in range(begins[pixel[c]], begins[pixel[c] + 1]):
            total += rates[source_of[j], band[c]] * weight[j]
        found += counts[c] * np.log(max(total, 1e-300))
    return found
