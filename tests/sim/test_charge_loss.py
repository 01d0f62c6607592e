"""The shipped charge-loss table is what its command makes."""

import numpy as np
import pytest

from config.load import load
from sim.charge_loss import CLASSES, match, measure
from sim.photons import PHOTON
from stream.messages import EVENT


def test_the_shipped_table_agrees_with_a_smaller_run_of_its_command():
    shipped = load("wfi").reconstruct.charge_loss
    made = measure(load("wfi"), 40_000, seed=9)
    assert made["energy_ev"] == shipped.energy_ev
    for name, tolerance in (("single", 5), ("double", 4), ("triple", 12), ("quad", 15)):  # eV; 4 sigma of this run
        table = np.array(getattr(shipped, f"{name}_ev"))
        assert np.abs(np.array(made[f"{name}_ev"]) - table).max() < tolerance
    assert list(CLASSES) == ["single", "double", "triple", "quad"]


def test_isolated_photons_are_paired_with_their_events():
    photons, events = np.zeros(4, PHOTON), np.zeros(3, EVENT)
    photons["x"], photons["y"] = [10.4, 30, 33, 50], 20
    events["x"], events["y"] = [11, 30, 49], 20
    event, photon = match(events, photons)
    assert photon.tolist() == [0, 3]  # 30 and 33 are not isolated
    assert event.tolist() == [0, 2]


def test_no_events_or_no_photons_give_no_pairs():
    for events, photons in ((np.zeros(0, EVENT), np.zeros(2, PHOTON)), (np.zeros(2, EVENT), np.zeros(0, PHOTON))):
        assert [len(part) for part in match(events, photons)] == [0, 0]


@pytest.mark.parametrize("name", ["wfi", "quick"])
def test_both_cameras_share_the_table(name):
    assert load(name).reconstruct.charge_loss == load("wfi").reconstruct.charge_loss
