"""What a network says of coronal spectra: temperature, density, emission measure, lines; and what it does not know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from stream.corona.instrument import NAMES, check_edges, shipped
from stream.corona.posterior import COMPONENTS, NUMBERS, in_box, moments, quantile
from stream.corona.regrid import Brightest, Regridded, area_on, coverage, place, same_edges, to_nominal, whole, windows
from stream.errors import ConfigError, ModelError
from stream.infer import open_model

INPUT: Final = "counts"
OUTPUTS: Final = ("posterior", "kind", "lines", "expected", "outlier")
HEADS: Final = ("one", "any")  # a corona of one temperature; any emission measure: log T is its weighted mean
SCORES: Final = ("distance", "bins", "joined")
NO_COUNTS, BRIGHTNESS, RESIDUAL, DISTANCE, AREA = 1, 2, 4, 8, 16  # bits of `flag`
AT_A_TIME: Final = 64
BEYOND: Final = 2.0  # times fainter or brighter in counts than any spectrum of the calibration
COVERED: Final = 0.8  # of a flat spectrum's counts must lie where another grid has an area at all
SAME_WIDTH: Final = 0.25  # by which lines may be wider or narrower than those that a network has learned
LOST: Final = 0.05  # of the expected counts may be missing for want of area: areas of the training are off by 5 %
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
    seen: NDArray[np.bool_]  # (n, L) whether it is told as seen: from the card's probability on, by counts in all
    expected: Floats  # (n, B) the spectrum without noise, counts
    mixture: Floats  # (n, COMPONENTS, 6) the posterior for one temperature, `stream.corona.posterior.in_box`
    excess: Floats  # (n, 2) wavelength (Angstrom) of the line's width with most counts too many, and by how many sigma
    flag: NDArray[np.uint8]  # (n,) 0: known; bits NO_COUNTS, BRIGHTNESS, RESIDUAL, DISTANCE, AREA


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
        self._brightest = Brightest(min(2 * self._bounds[-1], self._most), float(card.get("outlier.window")))
        self._highest = np.asarray([card.get(f"outlier.{name}") for name in SCORES], np.float64)
        self._seen = np.asarray(card.get("seen"), np.float64)
        self.edges_a = np.linspace(self.ends_a[0], self.ends_a[1], self.bins + 1)
        self._nominal = shipped(self.instrument) if self.instrument in NAMES else None
        groups = len(self._bounds) + 1
        card.require("output.posterior.shape", ["n", len(HEADS), COMPONENTS, NUMBERS])
        card.require("output.lines.shape", ["n", len(self.wavelength_a)])
        for name, found, shape in (
            ("conformal.mass", self._mass.shape, (len(HEADS), 3, groups, len(self.levels))),
            ("outlier", self._highest.shape, (len(SCORES), groups)),
            ("seen", self._seen.shape, (groups,)),
        ):
            if found != shape:
                raise ModelError(f"{card.path}: {name}: expected {shape}, found {found}")

    @property
    def about(self) -> Mapping[str, str]:
        """What it runs, and where."""
        return {"coronae": str(self._model), "instrument": self.instrument}

    @property
    def grid(self) -> str:
        """Its bins, in words."""
        return f"{self.instrument}: {self.bins:,} even bins of {self.ends_a[0]:g} to {self.ends_a[1]:g} A"

    def check(self, edges_a: ArrayLike, name: str = "spectrum") -> None:
        """Raise ConfigError for bins that are not those of the network: of another instrument, or another unit."""
        edges = check_edges(edges_a, name)
        if not same_edges(edges, self.edges_a):
            raise ConfigError(f"{name}: {bins_of(edges)}; expected {self.grid}")

    def covers(self, edges_a: Floats, area_cm2: Floats, fwhm_a: Floats) -> float:
        """Return how much of its range other bins (C + 1,) cover by area (C,), 0 to 1; 0 for what it cannot take.

        That are bins wider than its own, lines of another width (C,), and less than COVERED of its range.
        """
        nominal = self._nominal
        if nominal is None:
            return 0.0
        middle, width = 0.5 * (edges_a[1:] + edges_a[:-1]), np.diff(edges_a)
        inside = (middle > self.ends_a[0]) & (middle < self.ends_a[1])
        if not inside.any() or width[inside].max() > nominal.width_a.min() * 1.001:
            return 0.0
        wanted = np.interp(middle[inside], nominal.middle_a, nominal.fwhm_a)
        if abs(float(np.median(fwhm_a[inside] / wanted)) - 1) > SAME_WIDTH:
            return 0.0
        found = coverage(area_on(area_cm2, edges_a, self.edges_a), nominal.area_cm2 * nominal.width_a)
        return found if found >= COVERED else 0.0

    def fit(self, counts: ArrayLike, edges_a: Floats, area_cm2: Floats | None, rng: Generator) -> Regridded:
        """Return counts (n, C) of bins (C + 1,) with an area (C,) as the network knows them; None: its own area.

        Only what differs is changed: another grid or area, a spectrum brighter than any that it has learned from.
        Raises ConfigError for what cannot be changed so (`stream.corona.regrid`).
        """
        given, own = np.asarray(counts), same_edges(edges_a, self.edges_a)
        nominal = None if self._nominal is None else self._nominal.area_cm2
        area = None if area_cm2 is None else area_on(area_cm2, edges_a, self.edges_a)
        if own and (area is None or nominal is None or np.allclose(area, nominal, rtol=1e-3)):
            bright = (given.sum(axis=1) > self._most) | (windows(given).max(axis=1, initial=0) > self._brightest.window)
            out = Regridded(
                given.astype(np.float32), np.ones(len(given)), np.zeros(len(given)), np.ones(given.shape, np.float32)
            )
            if bright.any():
                even = np.ones(self.bins)
                less = to_nominal(whole(given[bright]), even, even, self._brightest, rng)
                for name in Regridded.__slots__:
                    getattr(out, name)[bright] = getattr(less, name)
            return out
        if area is None or nominal is None:
            raise ConfigError(f"no area: expected that of every bin, since they are not those of {self.grid}")
        return to_nominal(place(given, edges_a, self.edges_a, rng), area, nominal, self._brightest, rng)

    def judge(self, counts: ArrayLike, part: ArrayLike | None = None) -> Said:
        """Return what is said of counts (n, B), as many or none; part (n, B): of the area it knows, where it lacks.

        Raises ConfigError for what cannot be counts.
        """
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
        if part is not None:
            lost = (expected * (1 - np.asarray(part))).sum(axis=1) / np.maximum(expected.sum(axis=1), 1e-9)
            flag |= np.where(lost > LOST, AREA, 0).astype(np.uint8)
        mean, sd = np.empty((2, len(given), len(HEADS), 3))
        ends = np.empty((2, len(given), len(HEADS), 3, len(self.levels)))
        for head in range(len(HEADS)):
            mean[:, head], sd[:, head] = moments(posterior[:, head])
            self._intervals(posterior[:, head], head, group, ends)
        unknown, mixture = flag > 0, in_box(posterior[:, 0])
        seen = (lines > self._seen[group][:, None]) & ~unknown[:, None]
        for array in (mean, sd, *ends, kind, lines, mixture):
            array[unknown] = np.nan
        excess = self._excess(given, expected)
        return Said(mean, sd, ends[0], ends[1], kind, lines, seen, expected, mixture, excess, flag)

    def _excess(self, counts: NDArray[np.float32], expected: Floats) -> Floats:
        """Return the wavelength with most counts (n, B) beyond those expected, and by how many sigma, (n, 2)."""
        found, least = windows(counts), windows(expected)
        sigma = (found - least) / np.sqrt(np.maximum(least, 1.0))
        most = sigma.argmax(axis=1)
        middle = 0.5 * (self.edges_a[1:] + self.edges_a[:-1])
        return np.stack([middle[most], sigma[np.arange(len(most)), most]], axis=1)

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


def bins_of(edges_a: Floats) -> str:
    """Return bins (C + 1,) in words."""
    return f"{len(edges_a) - 1:,} bins of {edges_a[0]:.5g} to {edges_a[-1]:.5g} A"


def choose(
    judges: Sequence[CoronaJudge], edges_a: ArrayLike, more: tuple[Floats, Floats] | None, name: str
) -> CoronaJudge:
    """Return the network whose grid the bins (C + 1,) are, else the one whose range they cover best.

    more: area and width of a line in each bin, (C,); without them nothing but a network's own grid will do. Raises
    ConfigError, naming the grids that are known, for bins of none.
    """
    edges = check_edges(edges_a, name)
    for judge in judges:
        if same_edges(edges, judge.edges_a):
            return judge
    covered = [judge.covers(edges, *more) if more else 0.0 for judge in judges]
    if not max(covered) > 0:
        known = "; ".join(judge.grid for judge in judges)
        raise ConfigError(
            f"{name}: {bins_of(edges)}; expected {known}; or narrower ones, with their area and line width"
        )
    return judges[int(np.argmax(covered))]


def as_words(flag: int) -> str:
    """Return what a flag says."""
    words: dict[int, Any] = {
        NO_COUNTS: "no counts",
        BRIGHTNESS: "fainter or brighter than trained",
        RESIDUAL: "not as the denoised spectrum",
        DISTANCE: "unlike any known spectrum",
        AREA: "too little area where light is expected",
    }
    return ", ".join(text for bit, text in words.items() if flag & bit) or "known"
