"""A daemon on the small camera, for the tests of the whole chain."""

import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from astropy.io import fits

from config.load import load
from sim.bad_pixels import scatter
from sim.detector import Imperfections
from sim.photons import XRays
from sim.seeds import Seeds
from sim.telemetry import Telemetry, dark, record
from sim.tracks import Tracks
from stream.stages.calibrate import Calibrate
from stream.transport.maps import write_maps
from stream.transport.recording import RecordingWriter
from stream.wiring import processes

ROOT = Path(__file__).parents[2]
CONFIG = load("quick")
READOUTS = 60  # of the recording that the tests share
TABLES = ("EVENTS", "REJECTED", "TRACKS", "FRAMES", "GAPS", "BADPIX", "GTI")


def camera(readouts, folder, seed=3):
    """Write sky.h5 and maps.h5 of a small camera into a folder."""
    seeds = Seeds(seed)
    model = Imperfections(
        common_mode_rms_adu=2, bad_pixels=scatter(CONFIG.detector, seeds, hot=2, flickering=1, dead=1)
    )
    sources = [XRays(per_frame=1.0), Tracks(per_frame=0.2)]
    sky = Telemetry(CONFIG, sources, model, seeds)
    with RecordingWriter(folder / "sky.h5", sky.start) as writer:
        record(sky, readouts, writer)
    stage = Calibrate()
    for message in dark(CONFIG, model, seeds).messages(100):
        list(stage.process(message))
    list(stage.flush())
    write_maps(folder / "maps.h5", stage.maps.values(), "dark")


def raysieve(*arguments, **kwargs):
    command = [sys.executable, "-m", "raysieve", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300, **kwargs)


def start(*arguments, within=()):
    """Start a command and do not wait for it. within: words before it, such as `ip netns exec`."""
    command = [*within, sys.executable, "-m", "raysieve", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Daemon:
    """`raysieve run`, ready when it is made."""

    def __init__(self, folder, out, *arguments, once=True, config="quick", maps=None, within=(), env=None):
        self.names = [name for option, name in pairwise(arguments) if option == "--only"] or processes()
        self.out, self.url = out, f"ipc://{folder}/links/frames.sock"
        settings = {"links.directory": f"{folder}/links"}
        settings |= {} if config == "lat" else {"correct.maps": maps or folder / "maps.h5"}
        words = [w for key, value in settings.items() for w in ("--set", f"{key}={value}")]
        command = [*within, sys.executable, "-m", "raysieve", "run", config, *words, "--out", str(out), "--quiet"]
        command += [*arguments, "--once"] if once else arguments
        for old in (out / ".status").glob("*.json"):
            old.unlink()
        self.process = subprocess.Popen(
            command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
        )
        try:  # a fresh checkout compiles all kernels, in each of the processes
            wait_for(lambda: len(self.status()) == len(self.names) or self.process.poll() is not None, 300)
        except AssertionError:
            self.process.kill()
            raise

    def status(self):
        found = {}
        for name in self.names:
            path = self.out / ".status" / f"{name}.json"
            if path.is_file():
                found[name] = json.loads(path.read_text())
        return found

    def end(self, timeout=60):
        """Wait for the end; return the exit code and what was said."""
        _, said = self.process.communicate(timeout=timeout)
        return self.process.returncode, said


def wait_for(condition, patience_s=60):
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def tables(path):
    with fits.open(path) as hdus:
        return {name: np.array(hdus[name].data) for name in TABLES}
