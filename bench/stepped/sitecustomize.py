"""In the PYTHONPATH of a process: its wall clock is off by what the file STEPPED_CLOCK names holds (s)."""

import os
import time
from pathlib import Path

_now, _now_ns, _file = time.time, time.time_ns, Path(os.environ["STEPPED_CLOCK"])
time.time = lambda: _now() + float(_file.read_text() or 0)
time.time_ns = lambda: _now_ns() + int(1e9 * float(_file.read_text() or 0))
