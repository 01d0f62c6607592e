"""A simulated sky of few sources with cut-outs, made once."""

from functools import cache

import numpy as np

from sim.lat.cutouts import count, cutouts_of
from sim.lat.patches import Truth
from sim.lat.photons import Scatter
from stream.lat.builtin import stand_in
from stream.lat.cutouts import by_band
from stream.lat.exposure import survey
from stream.lat.psf import profiles_of
from stream.lat.sky import expect
from stream.transport.lat_diffuse import read_diffuse

WHOLE = 3  # years


@cache
def made(seed=1, number=160, fakes=40):
    """Return the truth with some of its sources, and their cut-outs with fakes."""
    rng = np.random.default_rng(seed)
    instrument = stand_in()
    model, exposure = read_diffuse(None, None), survey(instrument, WHOLE)
    whole = Truth.drawn(model, exposure, rng)
    bright = whole.sources[(whole.sources["flux"] > 6e-10) & (whole.sources["flux"] < 2e-8)]
    few = rng.permutation(bright)[:number]
    truth = Truth(few, whole.sky, whole.exposure, whole.expected)
    counted = count(truth, Scatter(instrument), WHOLE, rng)
    return truth, cutouts_of(truth, counted, by_band(expect(model, exposure)), profiles_of(instrument), rng, fakes)
