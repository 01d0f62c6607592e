"""Line and continuum tables of plasmas up to log T 8.0, for stars hotter than the shipped tables (7.3)."""

from dataclasses import replace
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.corona.continuum import Continuum, shipped_continuum
from stream.corona.lines import LineTable, shipped_lines
from stream.errors import ConfigError
from stream.spectra.grid import Floats

STEP: Final = 1e-3  # of ln G and of ln photons on disc
FLOOR: Final = -32.0  # below the hottest row that ships


def pack(lines: LineTable, continuum: Continuum, log_t: Floats, ln_g: Floats, ln_photons: Floats) -> dict[str, Any]:
    """Return the arrays of a file: what lies above the tables' log T, as steps from their hottest row.

    ln_g (L, H) at log_t (H,): by density the lines go on as at their hottest; ln_photons (E, H, W).
    """
    of_lines = ln_g - lines.ln_g[:, -1, :1]
    of_light = ln_photons - continuum.ln_photons[:, -1:]
    return {
        "log_t": log_t,
        "wavelength_a": lines.wavelength_a,
        "lines": np.rint(np.maximum(of_lines, FLOOR) / STEP).astype(np.int16),
        "continuum": np.rint(np.maximum(of_light, FLOOR) / STEP).astype(np.int16),
    }


def read_hot(path: Path | str, lines: LineTable, continuum: Continuum) -> tuple[LineTable, Continuum]:
    """Return both tables, continued by those of a file. Raises ConfigError for a file of other lines."""
    try:
        with np.load(path, allow_pickle=False) as held:
            log_t, of_lines, of_light, wavelength = (held[k] for k in ("log_t", "lines", "continuum", "wavelength_a"))
    except (OSError, ValueError, KeyError, EOFError) as fault:
        raise ConfigError(f"{path}: expected a table of `python -m sim.corona.hot` ({fault})") from None
    shape = (len(continuum.elements), len(log_t), len(continuum.wavelength_a))
    if not np.array_equal(wavelength, lines.wavelength_a) or of_light.shape != shape:
        raise ConfigError(f"{path}: made of other tables than these: run `python -m sim.corona.hot` anew")
    whole = np.concatenate([lines.log_t, log_t])
    ln_g = _joined(lines.ln_g, lines.ln_g[:, -1:] + of_lines[:, :, None] * STEP)
    light = _joined(continuum.ln_photons, continuum.ln_photons[:, -1:] + of_light * STEP)
    return replace(lines, log_t=whole, ln_g=ln_g, _kept={}), replace(continuum, log_t=whole, ln_photons=light)


def _joined(cool: Any, hot: Any) -> NDArray[np.float32]:
    return np.concatenate([cool, hot], axis=1).astype(np.float32)


@cache
def shipped_hot() -> tuple[LineTable, Continuum]:
    """Return the shipped tables up to log T 8.0. Raises ConfigError where there are none."""
    path = files("stream.corona") / "data" / "hot.npz"
    if not path.is_file():
        raise ConfigError("coronal lines: this installation has no stream/corona/data/hot.npz")
    with as_file(path) as real:
        return read_hot(real, shipped_lines(), shipped_continuum())
