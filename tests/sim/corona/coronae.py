"""Small sets of coronae, of an instrument with few bins."""

from pathlib import Path

import numpy as np

from sim.corona.sets import write_set
from sim.corona.truth import Setting
from stream.corona.forward import Forward
from stream.corona.instrument import Instrument

BINS, ENDS_A = 640, (8.0, 24.0)


def model() -> Forward:
    edges = np.linspace(*ENDS_A, BINS + 1)
    return Forward.through(Instrument.of("small", edges, 20.0, 0.05))


def made(folder: Path, seed: int, spectra: int = 120, **setting: object) -> Path:
    path = folder / f"coronae_{seed}.h5"
    list(write_set(path, model(), Setting(**setting), spectra, seed))
    return path
