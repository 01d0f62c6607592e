"""The parts of a coronal spectrum that tell temperature and density: bins about the lines that matter."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.corona.forward import Coronae, Forward
from stream.errors import ConfigError
from stream.kernels.corona import KMS
from stream.spectra.grid import Floats

Ints = NDArray[np.int64]
BOX_T: Final = (6.0, 7.0)  # log10 kelvin: 1 to 10 MK, the seed's range
BOX_N: Final = (9.0, 11.0)  # log10 cm-3
STRONGEST: Final = 100.0  # counts of the strongest line that lines are ranked at: an SNR of 10
REACH: Final = 3.5  # sigma, to either side of a line, that its window reaches
MOVE_KMS: Final = 150.0  # and so much for its shift
WINGS: Final = 5.0  # sigma that a line outside of a window may reach into it
BLEND: Final = 2e-3  # of a window's light: fainter lines are left out of it
LIGHT: Final = ("h", "he")  # no metals
KNOTS: Final = (
    5  # of what the area is off by, even in ln wavelength over the instrument, as `sim.corona.truth` has them
)
NODES: Final = 11  # of temperature and of density in the box, at which lines are weighed


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """Where log T and log n may lie."""

    log_t: tuple[float, float] = BOX_T
    log_n: tuple[float, float] = BOX_N

    def check(self, forward: Forward) -> None:
        """Raise ConfigError for a range that falls, or beyond the line table."""
        for name in ("log_t", "log_n"):
            (low, high), grid = getattr(self, name), getattr(forward.lines, name)
            if not grid[0] - 1e-6 <= low < high <= grid[-1] + 1e-6:
                raise ConfigError(
                    f"{name} {low:g} to {high:g}: expected a range within the lines', {grid[0]:g} to {grid[-1]:g}"
                )


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """W windows of N bins about K lines, with P pairs of a line and a window it shines into. Make it with `around`.

    Bins that only fill up have `used` False.
    """

    forward: Forward
    box: Box
    lines: Ints  # (L,) rows of the model's lines that are needed; the K that matter first
    count: int  # K
    bins: Ints  # (W, N) of the spectrum
    used: NDArray[np.bool_]  # (W, N)
    pairs: Ints  # (2, P) row of `lines`, window
    owner: Ints  # (W, N) which of the K lines is nearest
    ln_bright: Floats  # (T, N) ln counts s-1 in all windows for norm 1, at the nodes of the line table

    @classmethod
    def around(cls, forward: Forward, count: int = 30, box: Box | None = None) -> "Windows":
        """Return the windows of the `count` lines that tell most of log T and log n within a box.

        Raises ConfigError for a camera, whose lines are no Gaussians of few bins, and for an instrument without lines.
        """
        if forward.instrument.response is not None:
            raise ConfigError(f"{forward.instrument.name}: expected a spectrograph with lines of a few bins: no camera")
        own = box or Box()
        own.check(forward)
        strength, worth = _weigh(forward, own)
        main = np.argsort(-worth, kind="stable")[: min(count, int((worth > 0).sum()))]
        if not len(main):
            raise ConfigError(f"{forward.instrument.name}: no line within its range")
        main = np.sort(main)
        bins, used = _cut(forward, main)
        lists = _shining(forward, bins, used, strength)
        rest = np.setdiff1d(np.concatenate(lists), main)
        lines = np.concatenate([main, rest])
        place = {int(row): k for k, row in enumerate(lines)}
        pairs = np.array([[place[int(row)], w] for w, rows in enumerate(lists) for row in rows]).T
        away = np.abs(forward.instrument.middle_a[bins][..., None] - forward.lines.wavelength_a[main])
        bright = _brightness(forward, bins[used])
        return cls(forward, own, lines, len(main), bins, used, pairs, away.argmin(axis=-1), bright)

    @property
    def names(self) -> list[str]:
        """Return ion and wavelength of each of the K lines: "o_8 18.967"."""
        table, main = self.forward.lines, self.lines[: self.count]
        return [f"{table.ion[k]} {table.wavelength_a[k]:.3f}" for k in main]

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements whose lines shine into the windows."""
        return self.forward.lines.take(self.lines).elements

    @property
    def scatter(self) -> Floats:
        """(K,) what each emissivity is uncertain by, 1 sigma of ln G."""
        return np.asarray(self.forward.lines.scatter[self.lines[: self.count]], float)

    def cut(self, spectra: Floats) -> Floats:
        """Return (S, W, N) of spectra (S, bins); 0 where a bin only fills up."""
        return np.where(self.used, spectra[:, self.bins], 0.0)

    def tables(self) -> dict[str, Any]:
        """Return what `analyse.corona.light` computes with, as arrays."""
        forward, (line, window) = self.forward, self.pairs
        instrument, table = forward.instrument, forward.lines.take(self.lines)
        order = np.argsort(np.argsort(self.lines))[line]  # `take` sorts
        edges = np.concatenate([instrument.edges_a[self.bins], instrument.edges_a[self.bins[:, -1:] + 1]], axis=1)
        wavelength, element = table.wavelength_a[order], table.element[order]
        return {
            "grid": (table.log_t, table.log_n),
            "rows": (_rows(table.log_t, self.box.log_t), _rows(table.log_n, self.box.log_n)),
            "ln_photons": table.ln_photons[..., order].astype(float),  # (T, N, P)
            "continuum": continuum_of(forward, self.bins),
            "ln_bright": self.ln_bright,
            "of_element": (np.array(self.elements)[:, None] == element).astype(float),  # (E, P)
            "of_line": (np.arange(self.count)[:, None] == line).astype(float),  # (K, P)
            "knots_of_pair": _knots(forward, wavelength),  # (KNOTS, P)
            "knots_of_window": _knots(forward, instrument.middle_a[self.bins].mean(axis=1)),  # (KNOTS, W)
            "area": np.where(self.used, instrument.area_cm2[self.bins], 0.0),
            "width": np.where(self.used, instrument.width_a[self.bins], 0.0),
            "window": (window == np.arange(len(self.bins))[:, None]).astype(float),  # (W, P)
            "away": edges[window] - wavelength[:, None],  # (P, N + 1) bounds of bins from the line
            "wavelength": wavelength,  # (P,)
            "sigma": np.maximum(forward.sigma_a[self.lines[line]], 1e-6),
            "owned": (line[:, None] == self.owner[window]).astype(float),  # (P, N)
        }

    def bright(self, log_t: Floats, log_n: Floats) -> Floats:
        """Return `ln_bright` at temperatures and densities of one shape; bilinear, as `Light.bright`."""
        i, x, j, y = self.forward.lines.place(log_t, log_n)
        table = self.ln_bright
        low, high = (table[i + k, j] * (1 - y) + table[i + k, j + 1] * y for k in (0, 1))
        return low * (1 - x) + high * x


def _brightness(forward: Forward, bins: Ints) -> Floats:
    """Return ln counts s-1 in some bins for norm 1 at each temperature and density of the line table, (T, N)."""
    grid = forward.lines.log_t, forward.lines.log_n
    log_t, log_n = (nodes.ravel() for nodes in np.meshgrid(*grid, indexing="ij"))
    counts = forward.counts(Coronae.of(forward, log_t, 1.0, log_n))[:, bins].sum(axis=1)
    return np.log(np.maximum(counts, 1e-300)).reshape(len(grid[0]), -1)


def _knots(forward: Forward, wavelength: Floats) -> Floats:
    """Return what each knot counts at wavelengths, in linear interpolation, (KNOTS, *)."""
    first, last = np.log(forward.instrument.middle_a[[0, -1]])
    x = np.clip((np.log(wavelength) - first) / max(last - first, 1e-12), 0.0, 1.0) * (KNOTS - 1)
    return np.maximum(1.0 - np.abs(x - np.arange(KNOTS)[:, None]), 0.0)


def _rows(grid: Floats, box: tuple[float, float]) -> slice:
    """Return the nodes of a grid that a box needs, two or more."""
    first = int(np.clip(np.searchsorted(grid, box[0] + 1e-6, side="right") - 1, 0, len(grid) - 2))
    return slice(first, max(int(np.searchsorted(grid, box[1] - 1e-6)), first + 1) + 1)


def continuum_of(forward: Forward, bins: Ints) -> Floats:
    """Return ln photons cm-2 s-1 per bin for norm 1, (2, T, *bins): continuum of hydrogen and helium, of the metals."""
    table, (row, part) = forward.continuum, forward.nodes
    light = np.array([name in LIGHT for name in table.elements])
    each = np.asarray(table.ln_photons, float)
    whole = np.stack([np.logaddexp.reduce(each[light], axis=0), np.logaddexp.reduce(each[~light], axis=0)])
    i, x = row[bins], part[bins]
    return (1 - x) * whole[..., i] + x * whole[..., i + 1] + np.log(forward.instrument.width_a[bins])


def _weigh(forward: Forward, box: Box) -> tuple[Floats, Floats]:
    """Return photons caught of each line (nodes, L), and what it tells of log T and log n (L,), in shares.

    By Fisher's information of its counts where the strongest line has STRONGEST, meant over the box; no line tells more
    than the uncertainty of its emissivity lets it.
    """
    t, n = np.linspace(*box.log_t, NODES), np.linspace(*box.log_n, NODES)
    log_t, log_n = (grid.ravel() for grid in np.meshgrid(t, n, indexing="ij"))
    _, by_t, by_n = forward.lines.emissivity(log_t, log_n)
    i, x, j, y = forward.lines.place(log_t, log_n)
    table, area = forward.lines.ln_photons, forward.line_area_cm2
    x, y = x[:, None], y[:, None]
    low = table[i, j] * (1 - y) + table[i, j + 1] * y
    high = table[i + 1, j] * (1 - y) + table[i + 1, j + 1] * y
    caught = np.exp(low * (1 - x) + high * x) * area
    counts = STRONGEST * caught / caught.max(axis=1, keepdims=True).clip(1e-300)
    per = counts / (1 + counts * np.asarray(forward.lines.scatter, float) ** 2)
    told = [(per * _beside(slope, per) ** 2).mean(axis=0) for slope in (by_t, by_n)]
    return caught, sum((one / max(one.sum(), 1e-300) for one in told), np.zeros(len(area)))


def _beside(slope: Floats, weight: Floats) -> Floats:
    """Return slopes of ln counts against their mean: what all lines do alike, the norm takes."""
    return slope - (weight * slope).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True).clip(1e-300)


def _cut(forward: Forward, main: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the bins (W, N) about lines, each once; long stretches in several windows."""
    edges, at = forward.instrument.edges_a, forward.lines.wavelength_a[main]
    reach = REACH * forward.sigma_a[main] + at * MOVE_KMS / KMS
    inside = np.zeros(len(edges) - 1, bool)
    first = np.clip(np.searchsorted(edges, at - reach, side="right") - 1, 0, len(inside) - 1)
    last = np.clip(np.searchsorted(edges, at + reach, side="right") - 1, 0, len(inside) - 1)
    for low, high in zip(first, last, strict=True):
        inside[low : high + 1] = True
    steps = np.diff(np.concatenate([[0], inside.astype(int), [0]]))
    runs = list(zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True))
    size = int(np.median(last - first + 1))
    begins = [(at, min(at + size, end)) for begin, end in runs for at in range(begin, end, size)]
    low, high = (np.array(ends) for ends in zip(*begins, strict=True))
    bins = low[:, None] + np.arange(size)
    used = bins < high[:, None]
    return np.minimum(bins, len(inside) - 1), used


def _shining(forward: Forward, bins: Ints, used: NDArray[np.bool_], strength: Floats) -> list[Ints]:
    """Return the lines that shine into each window, by their most share of its lines' light in the box."""
    edges, at, lists = forward.instrument.edges_a, forward.lines.wavelength_a, []
    reach = WINGS * forward.sigma_a + at * MOVE_KMS / KMS
    for row, inside in zip(bins, used, strict=True):
        low, high = edges[row[0]], edges[row[inside][-1] + 1]
        near = np.flatnonzero((at + reach > low) & (at - reach < high))
        light = strength[:, near]
        share = (light / light.sum(axis=1, keepdims=True).clip(1e-300)).max(axis=0)
        lists.append(near[share >= BLEND])
    return lists
