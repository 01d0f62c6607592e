"""Maps of the shipped network around candidates."""

import numpy as np

from config.load import load
from stream.messages import WINDOW_SIDE
from tests.view.readouts import KEPT, passed, read_out
from view.cams import Cams


def test_maps_around_candidates_and_only_there():
    cams = Cams(load("quick"))
    assert (cams.name.split()[0], cams.own) == ("frames", False)
    frames = {0: np.zeros((200, 200), np.int16), 1: np.zeros((64, 64), np.int16)}
    frames[0][90:95, 50:80] = 3000  # a track, and an event at its side
    frames[0][92, 90] = 1500
    events = passed(read_out(1, [(0, 90, 92, 1.5, 0, KEPT), (1, 5, 5, 12.0, 0, KEPT)])).tables["EVENTS"]
    (window,) = cams.look(frames, events)  # 12 keV is beyond the band
    assert (window["quadrant"], window["left"], window["bottom"]) == (0, 90 - WINDOW_SIDE // 2, 92 - WINDOW_SIDE // 2)
    assert abs(sum(window["p"]) - 1) < 0.01
    assert window["p"][0] < 0.5  # not empty
    heat = np.array(window["map"])
    _, x = np.unravel_index(heat.argmax(), heat.shape)
    assert x < heat.shape[1] // 2  # where the track is
    assert cams.look(frames, events[:0]) == []
