"""A small part of a simulated sky with cut-outs, made once."""

from functools import cache

import numpy as np

from sim.lat.cutouts import cutouts_of
from sim.lat.patches import Truth
from sim.lat.photons import Scatter
from stream.lat.builtin import stand_in
from stream.lat.exposure import survey
from stream.lat.psf import profiles_of
from stream.transport.lat_diffuse import read_diffuse


@cache
def made(seed=1, number=160, fakes=40):
    """Return the truth with some of its sources, and their cut-outs with fakes."""
    rng = np.random.default_rng(seed)
    instrument = stand_in()
    whole = Truth.drawn(read_diffuse(None, None), survey(instrument, 10.0), rng)
    bright = whole.sources[(whole.sources["flux"] > 4e-10) & (whole.sources["flux"] < 2e-8)]
    few = rng.permutation(bright)[:number]
    truth = Truth(few, whole.sky, whole.exposure, whole.expected)
    return truth, cutouts_of(truth, Scatter(instrument), profiles_of(instrument), rng, fakes)
