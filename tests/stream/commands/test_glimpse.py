import threading
import time

import numpy as np
from click.testing import CliRunner

from stream.clock import now_ns
from stream.commands.glimpse import glimpse, told
from stream.errors import LinkError
from stream.messages import EVENT, TRACK, End, EventList, Reason
from stream.transport.tap import Tap
from tests.stream.stages.streams import START


def read_out(n, **more):
    events = np.zeros(3, EVENT)
    events["energy_ev"], events["reason"] = [1000, 6400, 9000], [0, 0, Reason.MIP | Reason.PATTERN]
    events["quadrant"], events["x"], events["y"] = 2, 30, 40
    return EventList(stream="test", sequence=n, time_ns=n, events=events, tracks=np.zeros(1, TRACK), **more)


def test_a_read_out_is_one_line():
    text = told(read_out(7), 3)
    assert text == (
        "read-out 7: 2 events, 1 rejected (1 pattern, 1 mip), 1 tracks; brightest 6.40 keV in quadrant 2 at 30, 40; "
        "3 not shown"
    )
    assert "ms old" in told(read_out(7, trace=(now_ns(),)), -1)
    assert told(EventList(stream="test", sequence=0, time_ns=0), -1) == "read-out 0: 0 events, 0 rejected, 0 tracks"


def test_the_command_shows_a_stream_to_its_end(tmp_path):
    done = []

    def stream():
        with Tap(f"ipc://{tmp_path}/tap.sock", queue=4) as tap:
            tap.offer(START)
            n = 0
            while tap.counters["told"] < 5 and not done:
                tap.offer(read_out(n))
                n += 1
                time.sleep(0.01)
            while not done:
                tap.offer(End(stream="test", frames=n))
                time.sleep(0.05)

    teller = threading.Thread(target=stream)
    teller.start()
    shown = CliRunner().invoke(glimpse, ["quick", "--set", f"links.directory={tmp_path}", "--every", "0"])
    done.append(True)
    teller.join()
    assert shown.exit_code == 0, shown.output
    lines = shown.output.splitlines()
    assert lines[0].startswith("start: stream test, run ")
    assert lines[1].startswith("read-out ")
    assert lines[-1].startswith("end: ")


def test_no_daemon_is_one_line(tmp_path):
    shown = CliRunner().invoke(glimpse, ["quick", "--set", f"links.directory={tmp_path}", "--wait", "0.3"])
    assert isinstance(shown.exception, LinkError)
    assert "nothing came for 0.3 s; is the daemon running" in str(shown.exception)
