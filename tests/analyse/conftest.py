"""A spectrum of a small camera, on disk and fitted."""

import numpy as np
import pytest
from scipy.special import ndtr

from stream.spectra.fit import fit_spectrum
from stream.spectra.model import parse_model
from stream.spectra.response import Response
from stream.spectra.spectrum import Spectrum
from stream.transport.ogip import write_arf, write_rmf, write_spectrum

TRUTH = (0.3, 1.8, 1e-3)


@pytest.fixture(scope="session")
def response():
    edges, bounds = np.geomspace(0.3, 10.0, 121), np.linspace(0.3, 10.0, 81)
    middle = np.sqrt(edges[1:] * edges[:-1])
    matrix = np.diff(ndtr((bounds[None] - middle[:, None]) / 0.06), axis=1)
    area = 400 * np.exp(-0.5 / middle) * np.exp(-middle / 8)
    return Response.of((edges[:-1], edges[1:]), (bounds[:-1], bounds[1:]), matrix, area)


@pytest.fixture(scope="session")
def spectrum(response):
    photons = parse_model("tbabs*powerlaw").photons(TRUTH, response.energy_lo_kev, response.energy_hi_kev)
    rng, seconds = np.random.default_rng(5), 2e4
    background = Spectrum.of(rng.poisson(4.0, 80), seconds, backscal=4.0)
    return Spectrum.of(rng.poisson(response.fold(photons) * seconds + 1.0), seconds, background)


@pytest.fixture(scope="session")
def fit(spectrum, response):
    return fit_spectrum(parse_model("tbabs*powerlaw"), spectrum, response)


@pytest.fixture(scope="session")
def files(tmp_path_factory, spectrum, response):
    folder = tmp_path_factory.mktemp("observation")
    write_rmf(folder / "a.rmf", response)
    write_arf(folder / "a.arf", response)
    write_spectrum(folder / "b.pha", spectrum.background)
    names = {"RESPFILE": "a.rmf", "ANCRFILE": "a.arf", "BACKFILE": "b.pha"}
    write_spectrum(folder / "a.pha", spectrum, names)
    return folder
