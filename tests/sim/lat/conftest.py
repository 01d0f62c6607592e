import numpy as np
import pytest

from sim.lat.background import vary
from sim.lat.flight import Even, Orbit
from sim.lat.photons import Scatter
from stream.lat.builtin import stand_in
from stream.lat.sky import stand_in as diffuse_stand_in


@pytest.fixture(scope="session")
def instrument():
    return stand_in()


@pytest.fixture(scope="session")
def scatter(instrument):
    return Scatter(instrument)


@pytest.fixture(scope="session")
def even(instrument):
    return Even(instrument, 1.0)


@pytest.fixture(scope="session")
def orbit(instrument):
    return Orbit(instrument, 1.0)


@pytest.fixture(scope="session")
def exact_sky():
    """Return the diffuse light just as the model has it."""
    return vary(diffuse_stand_in(), np.random.default_rng(0), strength=0.0)
