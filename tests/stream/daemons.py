"""What the processes of a daemon write, without the daemon."""

import json
import time
from collections import Counter

from stream.messages import End
from stream.runner import Runner
from stream.wiring import build, processes, rows_of
from tests.stream.stages.streams import CONFIG, START, frame, maps, with_pixels

LOST = (1, 2)  # read-out and quadrant of the frame that does not come


class Line:
    """A link within one process."""

    def __init__(self, messages=()):
        self.queue, self.counters, self._messages = 64, Counter(), list(messages)

    def receive(self, timeout_s):
        self.counters["messages"] += bool(self._messages)
        return self._messages.pop(0) if self._messages else None

    def send(self, message):
        self._messages.append(message)

    def close(self):
        pass


def write_statuses(out):
    """Let three read-outs with a photon in each frame, and one frame lost, go through all processes."""
    (out / ".status").mkdir(parents=True)
    frames = [
        with_pixels(n, {(30, 20): 500}, q) if n else frame(n, q) for n in range(3) for q in range(4) if (n, q) != LOST
    ]
    line = Line([START, *frames, End(stream="test")])
    for name in processes():
        stages = [build(row.stage, CONFIG, maps()) for row in rows_of(name)]
        after = Line()
        Runner(name, line, stages, after, out / ".status" / f"{name}.json", digest="0123456789abcdef").run(
            bool, 1e9, True
        )
        line = after


def change(out, name, age_s=0.0, **changes):
    """Change a status as if it had been written by a running process so long ago."""
    path = out / ".status" / f"{name}.json"
    status = json.loads(path.read_text()) | {"final": False, "time_s": time.time() - age_s} | changes
    path.write_text(json.dumps(status))
    return status
