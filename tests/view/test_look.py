"""The looker follows daemons that come and go."""

import threading
import time
from dataclasses import replace

import numpy as np

from config.load import load
from stream.messages import End
from stream.transport.pixels import pixels_of
from stream.transport.tap import Tap
from stream.wiring import TAP, url_of
from tests.stream.stages.streams import START
from tests.view.readouts import KEPT, passed, read_out
from view.frame import frame_of
from view.look import Looker
from view.sight import Sight


def wait_for(holds, patience_s=30):
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Telling:
    """A daemon's tap that tells read-outs until it is left."""

    def __init__(self, url, start, first):
        self._url, self._start, self._number, self._over = url, start, first, threading.Event()
        self._thread = threading.Thread(target=self._tell)

    def _tell(self):
        with Tap(self._url, queue=4) as tap:
            tap.offer(self._start)
            while not self._over.is_set():
                tap.offer(read_out(self._number, [(0, 1, 1, 1, 0, KEPT)]))
                self._number += 1
                time.sleep(0.005)
            tap.offer(End(stream="test"))

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()


def test_what_passes_is_added_also_by_the_next_daemon(tmp_path):
    config = load("quick", [f"links.directory={tmp_path}"])
    sight = Sight()
    looker = Looker(config, sight)
    looker.start()
    try:
        url = url_of(TAP.link, config.links)
        with Telling(url, START, 0):
            wait_for(lambda: sight.told(0).get("lists", 0) > 20)
        assert sight.told(0)["run"] == START.run_id
        with Telling(url, replace(START, run_id="next"), 0):
            wait_for(lambda: sight.told(0)["run"] == "next" and sight.told(0)["lists"] > 5)
        assert looker.bad == 0
    finally:
        looker.close()


def test_pixels_and_decisions_of_the_same_read_out_meet():
    found = {q.id: np.full((q.rows, q.columns), q.id, np.int16) for q in START.quadrants}
    found[2][5, 9] = 4000
    sight = Sight()
    sight.open(START)
    product = pixels_of(START, 3, 0, found)
    assert frame_of(product, sight, 80.0, None) is None  # not yet decided
    sight.add(passed(read_out(3, [(2, 9, 5, 4.0, 0, KEPT)], [(1, 9, 9, 0, 5)])))
    frame = frame_of(product, sight, 80.0, None)
    third = frame["quadrants"][2]
    assert (third["at"], third["ev"]) == ([5 * third["columns"] + 9], [4000])
    quadrant = START.quadrants[2]
    assert (frame["events"]["x"], frame["events"]["y"]) == ([quadrant.origin_x_px + 9.5], [quadrant.origin_y_px + 5.5])
    assert (frame["events"]["kind"], frame["events"]["p"], frame["tracks"]["kev"]) == (["kept"], [None], [40.0])
