"""How hot a plasma is that a network does not know: the temperature whose spectrum is most like the counts."""

from typing import Final

import numpy as np

from stream.corona.forward import Coronae, Forward
from stream.corona.hot import shipped_hot
from stream.corona.instrument import Instrument
from stream.spectra.grid import Floats

LOG_T: Final = np.arange(5.6, 8.01, 0.1)
METALS: Final = (0.1, 0.3, 1.0)  # of the table's: active stars have less iron, and more continuum beside it
LOG_N: Final = 10.0  # cm-3
FLAT: Final = 0.03  # of the counts: a background, and what gaps between chips hold


def templates(instrument: Instrument) -> Floats:
    """Return what is expected of each of METALS at each of LOG_T, of one count in all, (METALS, T, B)."""
    model = Forward.through(instrument, *shipped_hot())
    log_t = np.tile(LOG_T, len(METALS))
    metals = np.repeat(METALS, len(LOG_T))[:, None]
    abundance = np.where([name in ("h", "he") for name in model.elements], 1.0, metals)
    counts = model.counts(Coronae.of(model, log_t[:, None], 1.0, np.full(len(log_t), LOG_N), abundance=abundance))
    shape = counts / counts.sum(axis=1, keepdims=True)
    width = instrument.width_a / instrument.width_a.sum()
    return ((1 - FLAT) * shape + FLAT * width).reshape(len(METALS), len(LOG_T), -1)


def nearest_log_t(counts: Floats, expected: Floats) -> Floats:
    """Return the log T whose template (METALS, T, B) counts (S, B) are likeliest of, (S,), to 0.1."""
    ln = np.tensordot(counts, np.log(expected), axes=(1, 2))  # (S, METALS, T)
    return np.asarray(LOG_T[ln.max(axis=1).argmax(axis=1)])
