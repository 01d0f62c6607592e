"""Light of coronal plasmas: lines and continuum of many mixtures of temperatures, and lines as Gaussians in bins."""

import math

import numpy as np
from numba import njit

REACH = 5.0  # sigma, to either side, that a line is followed: 6e-7 of it is beyond
KMS = 299792.458  # speed of light


@njit(cache=True, nogil=True)
def line_light(table, at_t, at_n, norm, factor, out):
    """Add photons cm-2 s-1 of lines to out (S, L).

    table (T, N, L) ln photons for norm 1; at_t: row and fraction (S, M) each; at_n: (S,) each; norm (S, M); factor
    (S, L) or (1, L). Straight in ln between the nodes of the table.
    """
    (row, part), (column, share) = at_t, at_n
    for s in range(row.shape[0]):
        j, y = column[s], share[s]
        for m in range(row.shape[1]):
            if norm[s, m] <= 0.0:
                continue
            i, x = row[s, m], part[s, m]
            a, b, c, d = (1 - x) * (1 - y), (1 - x) * y, x * (1 - y), x * y
            low, low_n, high, high_n = table[i, j], table[i, j + 1], table[i + 1, j], table[i + 1, j + 1]
            for k in range(out.shape[1]):
                out[s, k] += norm[s, m] * math.exp(a * low[k] + b * low_n[k] + c * high[k] + d * high_n[k])
        own = factor[s if factor.shape[0] > 1 else 0]
        for k in range(out.shape[1]):
            out[s, k] *= own[k]


@njit(cache=True, nogil=True)
def continuum_light(table, at_t, norm, abundance, out):
    """Add photons of continua to out (S, W). table (E, T, W) ln photons for norm 1; abundance (S, E), a factor."""
    row, part = at_t
    for s in range(row.shape[0]):
        for m in range(row.shape[1]):
            if norm[s, m] <= 0.0:
                continue
            i, x = row[s, m], part[s, m]
            for e in range(table.shape[0]):
                scale = norm[s, m] * abundance[s, e]
                if scale <= 0.0:
                    continue
                low, high = table[e, i], table[e, i + 1]
                for k in range(out.shape[1]):
                    out[s, k] += scale * math.exp((1 - x) * low[k] + x * high[k])


@njit(cache=True, nogil=True)
def to_bins(nodes, row, part, width, out):
    """Add a smooth density (S, W) to bins (S, B): straight in ln between nodes row and row + 1 (B,), times width."""
    ln = np.empty(nodes.shape[1])
    for s in range(nodes.shape[0]):
        if nodes[s].max() <= 0.0:
            continue
        for k in range(ln.size):
            ln[k] = math.log(max(nodes[s, k], 1e-300))
        for b in range(row.size):
            out[s, b] += width[b] * math.exp((1 - part[b]) * ln[row[b]] + part[b] * ln[row[b] + 1])


@njit(cache=True, nogil=True)
def spread_lines(light, wavelength, sigma, moved, edges, out):
    """Add lines to bins (S, B) as Gaussians, integrated over each bin.

    light (S, L); wavelength, sigma of the instrument (L,) A; moved: shift and sigma of the star's own broadening, km/s,
    (S,) each; edges (B + 1,) A, rising. What falls outside of the edges is lost.
    """
    shift, broad = moved
    bins = edges.size - 1
    for s in range(light.shape[0]):
        for k in range(wavelength.size):
            if light[s, k] <= 0.0:
                continue
            centre = wavelength[k] * (1.0 + shift[s] / KMS)
            wide = math.hypot(sigma[k], wavelength[k] * broad[s] / KMS)
            low, high = centre - REACH * wide, centre + REACH * wide
            if high < edges[0] or low >= edges[bins]:
                continue
            b = max(np.searchsorted(edges, low, side="right") - 1, 0)
            if high <= edges[b + 1] and low >= edges[b]:
                out[s, b] += light[s, k]
                continue
            scale = 1.0 / (wide * math.sqrt(2.0))
            before = math.erf((edges[b] - centre) * scale)
            while b < bins and edges[b] < high:
                after = math.erf((edges[b + 1] - centre) * scale)
                out[s, b] += 0.5 * light[s, k] * (after - before)
                before = after
                b += 1
