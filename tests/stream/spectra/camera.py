"""A small camera: 240 bins of energy, 180 channels, 100 eV of resolution, some area at low energies missing."""

import numpy as np
from scipy.special import ndtr

from stream.spectra.response import Response
from stream.spectra.spectrum import Spectrum


def camera(first_channel=1):
    edges, bounds = np.linspace(0.2, 12.2, 241), np.linspace(0.2, 12.2, 181)
    middle = 0.5 * (edges[1:] + edges[:-1])
    at = (bounds[None, :] - middle[:, None]) / 0.05
    matrix = np.diff(ndtr(at), axis=1)
    matrix[matrix < 1e-6] = 0
    area = 400 * np.exp(-0.5 / middle) * np.exp(-middle / 8)
    return Response.of((edges[:-1], edges[1:]), (bounds[:-1], bounds[1:]), matrix, area, first_channel)


def draw(model, values, response, seconds, seed=0, **more):
    rate = response.fold(model.photons(values, response.energy_lo_kev, response.energy_hi_kev))
    return Spectrum.of(np.random.default_rng(seed).poisson(rate * seconds), seconds, **more)
