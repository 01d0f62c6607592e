"""What a network says of coronal spectra: temperature, density, emission measure, lines; and what it does not know."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.corona.instrument import check_edges
from stream.corona.posterior import COMPONENTS, NUMBERS, moments, quantile
from stream.errors import ConfigError, ModelError
from stream.infer import open_model

INPUT: Final = "counts"
OUTPUTS: Final = ("posterior", "kind", "lines", "expected", "outlier")
HEADS: Final = ("one", "any")  # a corona of one temperature; any emission measure: log T is its weighted mean
SCORES: Final = ("distance", "bins", "joined")
NO_COUNTS, BRIGHTNESS, RESIDUAL, DISTANCE = 1, 2, 4, 8  # bits of `flag`
AT_A_TIME: Final = 64
BEYOND: Final = 2.0  # times fainter or brighter in counts than any spectrum of the calibration
SAME_A: Final = 1e-4  # Angstrom
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """Of n spectra. Those with a flag have NaN for what the network would say."""

    mean: Floats  # (n, HEADS, 3) log10 K, log10 cm-3, log10 of apec's norm times seconds
    sd: Floats  # (n, HEADS, 3)
    low: Floats  # (n, HEADS, 3, levels) of intervals that hold the truth as often as `levels` of the judge say
    high: Floats  # (n, HEADS, 3, levels)
    kind: Floats  # (n, 3) probability of one temperature, of two, of a continuous emission measure
    lines: Floats  # (n, L) probability that a line stands out by 3 sigma
    expected: Floats  # (n, B) the spectrum without noise, counts
    flag: NDArray[np.uint8]  # (n,) 0: known; bits NO_COUNTS, BRIGHTNESS, RESIDUAL, DISTANCE


class CoronaJudge:
    """A shipped network, or an ONNX file of `raysieve export corona`, with the intervals of its card."""

    def __init__(self, model: str = "corona", provider: str = "cpu") -> None:
        """Raises ModelError for a model that cannot be used."""
        self._model = open_model(model, provider)
        card = self._model.card
        self.instrument = str(card.get("instrument"))
        self.bins = int(card.get(f"input.{INPUT}.shape")[1])
        self.ends_a = [float(x) for x in card.get("edges_a")]
        self.ion, self.wavelength_a = list(card.get("ion")), np.asarray(card.get("wavelength_a"), np.float64)
        self.levels = [float(x) for x in card.get("conformal.levels")]
        self._bounds = np.asarray(card.get("conformal.counts"), np.float64)
        self._mass = np.asarray(card.get("conformal.mass"), np.float64)
        self._least, self._most = float(card.get("outlier.least")), float(card.get("outlier.most"))
        self._highest = np.asarray([card.get(f"outlier.{name}") for name in SCORES], np.float64)
        groups = len(self._bounds) + 1
        card.require("output.posterior.shape", ["n", len(HEADS), COMPONENTS, NUMBERS])
        card.require("output.lines.shape", ["n", len(self.wavelength_a)])
        for name, found, shape in (
            ("conformal.mass", self._mass.shape, (len(HEADS), 3, groups, len(self.levels))),
            ("outlier", self._highest.shape, (len(SCORES), groups)),
        ):
            if found != shape:
                raise ModelError(f"{card.path}: {name}: expected {shape}, found {found}")

    @property
    def about(self) -> Mapping[str, str]:
        """What it runs, and where."""
        return {"coronae": str(self._model), "instrument": self.instrument}

    def check(self, edges_a: ArrayLike, name: str = "spectrum") -> None:
        """Raise ConfigError for bins that are not those of the network: of another instrument, or another unit."""
        edges = check_edges(edges_a, name)
        even = np.linspace(self.ends_a[0], self.ends_a[1], self.bins + 1)
        if edges.shape != even.shape or np.abs(edges - even).max() > SAME_A:
            raise ConfigError(
                f"{name}: {len(edges) - 1} bins of {edges[0]:.5g} to {edges[-1]:.5g} A; "
                f"expected {self.instrument}: {self.bins} even ones of {self.ends_a[0]:g} to {self.ends_a[1]:g} A"
            )

    def judge(self, counts: ArrayLike) -> Said:
        """Return what is said of counts (n, B), as many or none. Raises ConfigError for what cannot be counts."""
        given = np.asarray(counts, np.float32)
        if given.ndim != 2 or given.shape[1] != self.bins:
            raise ConfigError(f"counts: {given.shape}; the network takes (n, {self.bins}), of {self.instrument}")
        if not np.all(np.isfinite(given)) or given.min(initial=0) < 0:
            raise ConfigError("counts: expected finite numbers of 0 or more")
        runs = [self._model.run(counts=given[k : k + AT_A_TIME]) for k in range(0, len(given), AT_A_TIME)]
        shapes = [(0, len(HEADS), COMPONENTS, NUMBERS), (0, 3), (0, len(self.ion)), (0, self.bins), (0, len(SCORES))]
        posterior, kind, lines, expected, score = (
            np.concatenate([np.empty(shape), *(run[name] for run in runs)])
            for name, shape in zip(OUTPUTS, shapes, strict=True)
        )
        total = given.sum(axis=1, dtype=np.float64)
        group = np.searchsorted(self._bounds, total, side="right")
        flag = self._flags(total, group, score)
        mean, sd = np.empty((2, len(given), len(HEADS), 3))
        ends = np.empty((2, len(given), len(HEADS), 3, len(self.levels)))
        for head in range(len(HEADS)):
            mean[:, head], sd[:, head] = moments(posterior[:, head])
            self._intervals(posterior[:, head], head, group, ends)
        unknown = flag > 0
        for array in (mean, sd, *ends, kind, lines):
            array[unknown] = np.nan
        return Said(mean, sd, ends[0], ends[1], kind, lines, expected, flag)

    def _intervals(self, posterior: Floats, head: int, group: NDArray[np.int64], ends: Floats) -> None:
        for which in range(3):
            mass = self._mass[head, which][group]  # (n, levels)
            for level in range(len(self.levels)):
                for side, sign in enumerate((-1, 1)):
                    p = 0.5 * (1 + sign * mass[:, level])
                    ends[side, :, head, which, level] = quantile(posterior, p, which)

    def _flags(self, total: Floats, group: NDArray[np.int64], score: Floats) -> NDArray[np.uint8]:
        """Return the flags (n,) of spectra with so many counts and with these scores (n, SCORES)."""
        above = score > self._highest[:, group].T
        faint, bright = total < self._least / BEYOND, total > self._most * BEYOND
        flag = np.where(total <= 0, NO_COUNTS, 0) | np.where(faint | bright, BRIGHTNESS, 0)
        flag |= np.where(above[:, 1] | above[:, 2], RESIDUAL, 0) | np.where(above[:, 0], DISTANCE, 0)
        return flag.astype(np.uint8)


def as_words(flag: int) -> str:
    """Return what a flag says."""
    words: dict[int, Any] = {
        NO_COUNTS: "no counts",
        BRIGHTNESS: "fainter or brighter than trained",
        RESIDUAL: "not as the denoised spectrum",
        DISTANCE: "unlike any known spectrum",
    }
    return ", ".join(text for bit, text in words.items() if flag & bit) or "known"
