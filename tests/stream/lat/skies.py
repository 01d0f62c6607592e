"""Messages of photons of a small sky."""

import numpy as np

from stream.lat.photons import BLOCK_S, PHOTON, POINTING, good_times
from stream.transport.photons import PhotonStream

BEGIN_S = 20_000 * BLOCK_S  # MET 432,000,000


def photons(n, seed=0, begin_s=BEGIN_S, span_s=10 * BLOCK_S):
    rng = np.random.default_rng(seed)
    table = np.zeros(n, PHOTON)
    table["TIME"] = np.sort(begin_s + rng.uniform(0, span_s, n))
    table["GLON"], table["GLAT"] = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    table["ENERGY"], table["CONVERSION"] = 300 * rng.random(n) ** -0.7, rng.integers(0, 2, n)
    table["ZENITH"] = rng.uniform(0, 110, n)
    return table


def pointing(begin_s=BEGIN_S, span_s=10 * BLOCK_S, step_s=600.0, seed=0):
    rng = np.random.default_rng(seed)
    table = np.zeros(round(span_s / step_s), POINTING)
    table["START"] = begin_s + step_s * np.arange(len(table))
    table["STOP"], table["LIVETIME"] = table["START"] + step_s, 0.9 * step_s
    for prefix in ("", "ZENITH_"):
        table[f"{prefix}GLON"] = rng.uniform(0, 360, len(table))
        table[f"{prefix}GLAT"] = rng.uniform(-90, 90, len(table))
    return table


def stream(n=5000, span_s=10 * BLOCK_S, *, pointed=True, seed=0, begin_s=BEGIN_S, run_id="made"):
    rows = photons(n, seed, begin_s, span_s)
    gti = good_times([begin_s + 100], [begin_s + span_s])
    rows = rows[rows["TIME"] >= begin_s + 100]
    looked = pointing(begin_s, span_s) if pointed else np.empty(0, POINTING)
    return rows, PhotonStream(run_id, gti, looked, lambda: iter([rows]))
