"""Physics, detector, correct and reconstruct together: patterns are as the size of the clouds says."""

import numpy as np
import pytest
from scipy.special import ndtri

from config.load import load
from sim.charge_loss import reconstructed
from sim.detector import Imperfections
from sim.diffusion import sigma_um
from sim.photons import XRays
from sim.seeds import Seeds
from sim.silicon import draw_depth_um
from sim.spectra import Spectrum
from sim.telemetry import Telemetry
from stream.messages import Flag


@pytest.mark.parametrize("energy", [1500.0, 6000.0])
def test_singles_are_those_whose_neighbours_get_less_than_the_split_threshold(energy):
    config = load("quick")
    source = XRays(per_frame=0.3, spectrum=Spectrum(shape="lines", lines_ev=(energy,)))
    camera = Telemetry(config, [source], Imperfections(noise_e=1.0), Seeds(2))
    maps = {q.id: camera.detector.true_maps(q.id) for q in config.detector.quadrants}
    events = np.concatenate([e.events for e in reconstructed(config, camera.messages(7_000), maps)])
    valid = (events["reason"] == 0) & (events["flag"] & np.uint16(Flag.BORDER) == 0)
    singles = (events["pattern"][valid & (events["energy_ev"] > 0.9 * energy)] == 0).mean()
    depth = draw_depth_um(np.full(100_000, energy), 450.0, np.random.default_rng(1))
    margin = -ndtri(config.reconstruct.split_threshold_ev / energy) * sigma_um(config.simulate.sensor, depth)
    assert singles == pytest.approx(((1 - 2 * margin / 130) ** 2).mean(), abs=0.025)
