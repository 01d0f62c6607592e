"""Folds spectra through a redistribution matrix kept as runs: neighbouring channels that one energy reaches."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def fold_runs(energy, first, ends, values, photons, out):
    """Add to out (k, channels) float64 what photons (k, energies) float64 give through the matrix.

    Run r holds values[ends[r - 1]:ends[r]] float32 of the channels from first[r] on, reached by the energy bin
    energy[r]; energy, first (runs,) int32, ends (runs,) int64. All columns go through in one pass over the matrix.
    No runs: out stays.
    """
    begin = 0
    for r in range(energy.size):
        end = ends[r]
        at, place = first[r], energy[r]
        run = values[begin:end]
        for j in range(photons.shape[0]):
            p = photons[j, place]
            row = out[j, at : at + run.size]  # slices, indexed from 0: the compiler sees that it may use vector units
            for i in range(run.size):
                row[i] += p * run[i]
        begin = end


@njit(cache=True, nogil=True)
def cut_runs(energy, first, ends, values, low, high, kept_energy, kept_first, kept_ends, kept_values):
    """Keep of the runs what lies in the channels low..high - 1, counted from low; returns (runs, values) kept.

    The kept arrays are as large as the given ones; a run that misses the channels is left out.
    """
    begin = runs = n = 0
    for r in range(energy.size):
        end = ends[r]
        a = max(low, first[r])
        b = min(high, first[r] + end - begin)
        if b > a:
            kept_energy[runs] = energy[r]
            kept_first[runs] = a - low
            for i in range(b - a):
                kept_values[n + i] = values[begin + a - first[r] + i]
            n += b - a
            kept_ends[runs] = n
            runs += 1
        begin = end
    return runs, n


@njit(cache=True, nogil=True)
def find_runs(matrix, threshold, energy, first, ends, values):
    """Write the runs of a dense matrix (energies, channels): neighbours above threshold; returns (runs, values).

    energy, first, ends: as many as there may be runs; values: as many as the matrix has.
    """
    runs = n = 0
    for j in range(matrix.shape[0]):
        i = 0
        while i < matrix.shape[1]:
            if matrix[j, i] > threshold:
                energy[runs], first[runs] = j, i
                while i < matrix.shape[1] and matrix[j, i] > threshold:
                    values[n] = np.float32(matrix[j, i])
                    n += 1
                    i += 1
                ends[runs] = n
                runs += 1
            else:
                i += 1
    return runs, n
