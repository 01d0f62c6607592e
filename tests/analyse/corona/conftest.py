"""A simulated star before a grating."""

import numpy as np
import pytest

from analyse.corona.templates import forward_of
from stream.corona.forward import Coronae
from stream.corona.instrument import Instrument, shipped
from stream.corona.observed import Observed


@pytest.fixture(scope="session")
def grating():
    """Return an instrument like HETG's, 5.5 to 23 A."""
    whole = shipped("hetg")
    edges = whole.edges_a[(whole.edges_a > 5.5) & (whole.edges_a < 23.0)]
    area = np.interp(0.5 * (edges[1:] + edges[:-1]), whole.middle_a, whole.area_cm2)
    return Instrument.of("like hetg", edges, area, 0.023)


@pytest.fixture(scope="session")
def observe(grating):
    """Return a function: a spectrum of temperatures, norms and a density, with its wavelengths off by an offset."""

    def of(log_t, norm, log_n=10.0, seed=0, exposure=5e4, offset=0.0):
        forward = forward_of(Observed("none", np.ones(grating.channels), grating, 1.0))
        star = Coronae.of(forward, np.atleast_2d(log_t), np.atleast_2d(norm), [log_n], exposure_s=exposure)
        counts = np.random.default_rng(seed).poisson(forward.counts(star)[0]).astype(float)
        return Observed("star", counts, grating, exposure).moved(-offset)

    return of
