"""Which lines a spectrograph tells apart: closer lines are one feature, features that overlap one blend."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyse.corona.lists import RELIED_ON, Line
from analyse.corona.templates import LOG_N, emissivities
from stream.corona.forward import Forward
from stream.corona.instrument import FWHM
from stream.corona.lines import SYMBOLS
from stream.spectra.grid import Floats

MERGED: Final = 0.6  # FWHM: closer lines cannot be told apart
APART: Final = 2.5  # FWHM: farther features do not overlap
LEAST: Final = 0.01  # of the strongest feature: fainter ones are not looked for
LOG_T: Final = np.round(np.arange(6.0, 7.501, 0.1), 2)
_ROMAN: Final = ((10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """F features by wavelength, each of one line or more."""

    wavelength_a: Floats  # (F,) of all its lines, weighted by light
    ion: NDArray[np.str_]  # (F,) of the strongest: "fe_17"
    rows: tuple[NDArray[np.int64], ...]  # of each in the forward model's line table
    fwhm_a: Floats  # (F,)

    def __len__(self) -> int:
        return len(self.wavelength_a)

    def blends(self) -> Iterator[NDArray[np.int64]]:
        """Yield which features overlap, by wavelength."""
        apart = np.diff(self.wavelength_a) > APART * np.maximum(self.fwhm_a[1:], self.fwhm_a[:-1])
        yield from np.split(np.arange(len(self)), np.flatnonzero(apart) + 1)

    def holding(self, row: int) -> int:
        """Return the feature that has a line; -1 for none."""
        return next((i for i, rows in enumerate(self.rows) if row in rows), -1) if row >= 0 else -1


def row_of(forward: Forward, line: Line) -> int:
    """Return the row of a line in the model's table; -1 for none, and for one beyond the instrument's range."""
    try:
        row = forward.lines.find(*line)
    except KeyError:
        return -1
    return row if forward.line_area_cm2[row] > 0 else -1


def features_of(forward: Forward, least: float = LEAST, light: Floats | None = None) -> Features:
    """Return the features of an instrument: those of `least` of the strongest or more, in counts.

    light: counts of each line (L,) of the corona that is meant; None: of any between log T 6.0 and 7.5. Lines of
    `analyse.corona.lists` are among them at any strength.
    """
    table, area = forward.lines, forward.line_area_cm2
    if light is None:
        by_t = emissivities(table, np.arange(len(table)), LOG_T, LOG_N) * area[:, None]
        share = by_t / np.maximum(by_t.max(axis=0, initial=0.0), 1e-300)
        top, strong = by_t.mean(axis=1), np.flatnonzero(np.any(share >= least, axis=1))
    else:
        top = light
        strong = np.flatnonzero((top > 0) & (top >= least * top.max(initial=0.0)))
    strong = np.union1d(strong, [row for line in RELIED_ON if (row := row_of(forward, line)) >= 0]).astype(np.int64)
    fwhm = np.maximum(forward.sigma_a * FWHM, np.median(forward.instrument.width_a))
    taken = np.zeros(len(table), bool)
    found = []
    for row in strong[np.argsort(-top[strong], kind="stable")]:
        if taken[row] or not top[row] > 0:
            continue
        near = ~taken & (np.abs(table.wavelength_a - table.wavelength_a[row]) < MERGED * fwhm[row]) & (top > 0)
        taken |= near
        rows = np.flatnonzero(near)
        found.append((float(np.average(table.wavelength_a[rows], weights=top[rows])), str(table.ion[row]), rows, row))
    found.sort(key=lambda one: one[0])
    return Features(
        np.array([one[0] for one in found]),
        np.array([one[1] for one in found], dtype="<U8"),
        tuple(one[2] for one in found),
        np.array([fwhm[one[3]] for one in found]),
    )


def spelled(ion: str) -> str:
    """Return an ion as it is written: Fe XVII of fe_17."""
    symbol, _, stage = ion.partition("_")
    left, text = int(stage), ""
    for value, letters in _ROMAN:
        text, left = text + letters * (left // value), left % value
    return f"{symbol.capitalize()} {text}" if symbol in SYMBOLS.split() else ion
