"""Spectra of `raysieve simulate corona` in memory; counts and their brightness are drawn anew each time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from config.errors import ConfigError
from sim.corona.sets import CoronaSet, read_set
from sim.corona.truth import KINDS, SEEN
from stream.corona.instrument import Instrument

BRIGHT: Final = 10.0  # SNR at which a line must be seen in some spectra to be on the list
SOME: Final = 5  # spectra
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """S spectra with their truth."""

    counts: Floats  # (S, B)
    expected: Floats  # (S, B)
    target: Floats  # (S, 3) log T (mean by emission measure), log n, log10 of apec's norm times exposure in s
    seen: Floats  # (S, L) 1 where a line stands out by 3 sigma of what is expected, else 0
    kind: NDArray[np.int64]  # (S,) of KINDS


class Spectra:
    """A set in memory: S spectra of B bins, and the lines that a network is asked for."""

    def __init__(self, path: Path, lines: NDArray[np.int64] | None = None) -> None:
        """lines: rows of the set's lines, (L,); None: those that are seen in some spectra.

        Raises ConfigError for any other file, for a set without spectra, and for one without such lines.
        """
        given = read_set(path)
        self.path, self.about, self.instrument = path, given.about, given.instrument
        self.counts, self._expected = given.counts, given.arrays["expected"]
        self.truth: NDArray[Any] = given.truth
        if not len(self.truth):
            raise ConfigError(f"{path}: no spectra")
        self.lines = _lines_of(given) if lines is None else lines
        if not len(self.lines) or self.lines.max() >= len(given.ion):
            raise ConfigError(f"{path}: no lines of 3 sigma, or other lines than those of the network")
        self.ion, self.wavelength_a = given.ion[self.lines], given.wavelength_a[self.lines]
        self.sigma = given.arrays["line_sigma"][:, self.lines]  # (S, L)
        fluence = self.truth["log_norm"] + np.log10(self.truth["exposure_s"])
        self.target = np.stack([self.truth["log_t"], self.truth["log_n"], fluence], axis=1).astype(np.float32)
        self.kind = self.truth["kind"].astype(np.int64)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.truth)

    def as_they_are(self, rows: NDArray[np.int64]) -> Batch:
        """Return spectra with the counts of the file."""
        seen = (self.sigma[rows] >= SEEN).astype(np.float32)
        expected = self._expected[rows].astype(np.float32)
        return Batch(self.counts[rows].astype(np.float32), expected, self.target[rows], seen, self.kind[rows])

    def drawn(self, rows: NDArray[np.int64], rng: Generator) -> Batch:
        """Return spectra of the same stars as bright as chance has it, with new noise.

        All that is expected of a spectrum, and its background, goes with the square of its SNR; so nothing but the
        Poisson numbers has to be made again.
        """
        low, high = self.about["snr"]
        snr = rng.uniform(low, high, len(rows)).astype(np.float32) / self.truth["snr"][rows]
        expected = self._expected[rows].astype(np.float32) * (snr**2)[:, None]
        target = self.target[rows].copy()
        target[:, 2] += 2 * np.log10(snr)
        seen = (self.sigma[rows] * snr[:, None] >= SEEN).astype(np.float32)
        counts = rng.poisson(expected).astype(np.float32)
        return Batch(counts, expected, target, seen, self.kind[rows])

    def shapes(self, most: int) -> Floats:
        """Return what is expected of the first spectra, each of one count in all, (most, B)."""
        expected = self._expected[:most].astype(np.float32)
        return expected / expected.sum(axis=1, keepdims=True)


def _lines_of(given: CoronaSet) -> NDArray[np.int64]:
    """Return the rows of lines that at least SOME spectra would show at an SNR of BRIGHT."""
    sigma = given.arrays["line_sigma"] * (BRIGHT / given.truth["snr"])[:, None]
    return np.flatnonzero((sigma >= SEEN).sum(axis=0) >= SOME)


def check_kinds(spectra: Spectra) -> None:
    """Raise ConfigError for a set that lacks one of the KINDS of coronae."""
    missing = [name for k, name in enumerate(KINDS) if not (spectra.kind == k).any()]
    if missing:
        raise ConfigError(f"{spectra.path}: no coronae of kind {', '.join(missing)}; expected all of --shares above 0")


def same_grid(one: Instrument, other: Instrument) -> bool:
    """Return whether two instruments have the same bins."""
    return one.edges_a.shape == other.edges_a.shape and bool(np.allclose(one.edges_a, other.edges_a, atol=1e-6))
