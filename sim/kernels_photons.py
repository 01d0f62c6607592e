"""Photons of point sources on the sphere, drawn one by one."""

import numpy as np

from stream.kernels import njit


@njit(cache=True, nogil=True)
def scatter(places, first, node_cdf, radius_cdf, radius, uniform, out):
    """Draw energies and places of photons that leave sources through the PSF.

    places (s, 2) longitude and latitude, radians; first (s + 1,): photons first[i]..first[i + 1] - 1 are of source i;
    node_cdf (s, k): cumulative share of its photons by energy node; radius_cdf (k, r): of the PSF within radius (r,),
    radians, at each node; uniform (n, 4): what is drawn from. out (n, 3): node, longitude, latitude, radians.
    """
    for i in range(len(places)):
        lon0, sin0, cos0 = places[i, 0], np.sin(places[i, 1]), np.cos(places[i, 1])
        for at in range(first[i], first[i + 1]):
            node = min(np.searchsorted(node_cdf[i], uniform[at, 0]), node_cdf.shape[1] - 1)
            cdf = radius_cdf[node]
            k = min(max(np.searchsorted(cdf, uniform[at, 1]), 1), len(cdf) - 1)
            part = (uniform[at, 1] - cdf[k - 1]) / max(cdf[k] - cdf[k - 1], 1e-30)
            r = radius[k - 1] + part * (radius[k] - radius[k - 1])
            angle = 2 * np.pi * uniform[at, 2]
            sine = sin0 * np.cos(r) + cos0 * np.sin(r) * np.cos(angle)
            sine = min(max(sine, -1.0), 1.0)
            turn = np.arctan2(np.sin(angle) * np.sin(r) * cos0, np.cos(r) - sin0 * sine)
            out[at, 0], out[at, 1], out[at, 2] = node, lon0 + turn, np.arcsin(sine)
