"""A coronal spectrum as it was observed: counts with the instrument that took them."""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream.corona.instrument import KEV_A, Instrument
from stream.errors import ConfigError
from stream.spectra.grid import Floats

GAP: Final = 0.3  # of the area around: below it is a gap between chips, and what is in it depends on the dither
AROUND_A: Final = 1.0
LEAST_AREA: Final = 0.003  # of the largest


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """Counts (C,) and the instrument: as many as its bins, or as channels of its response."""

    name: str
    counts: Floats  # (C,)
    instrument: Instrument
    exposure_s: float
    background: Floats | None = None  # (C,) counts of it that are expected, where they are known
    good: NDArray[np.bool_] | None = None  # (C,); None: all
    about: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ConfigError for counts that cannot be, and for none at all."""
        if len(self.counts) != self.instrument.channels:
            raise ConfigError(f"{self.name}: {len(self.counts)} counts, expected {self.instrument.channels}, as bins")
        if not np.all(np.isfinite(self.counts) & (self.counts >= 0)):
            raise ConfigError(f"{self.name}: counts: expected 0 or more in every bin")
        if not (np.isfinite(self.exposure_s) and self.exposure_s > 0):
            raise ConfigError(f"{self.name}: exposure {self.exposure_s:g}: expected seconds above 0")
        if not self.counts.sum() > 0:
            raise ConfigError(f"{self.name}: no counts: nothing to analyse")

    @property
    def channel_edges_a(self) -> tuple[Floats, Floats]:
        """Return the ends of each count's wavelengths, low and high, Angstrom, (C,) each."""
        if self.instrument.response is None:
            return self.instrument.edges_a[:-1], self.instrument.edges_a[1:]
        response = self.instrument.response
        return KEV_A / response.e_max_kev.clip(1e-3), KEV_A / response.e_min_kev.clip(1e-3)

    def usable(self) -> NDArray[np.bool_]:
        """Return which counts (C,) the instrument tells something of: marked good, and not where its area has gaps."""
        good = np.ones(len(self.counts), bool) if self.good is None else self.good.copy()
        if self.instrument.response is not None:
            return good
        area = self.instrument.area_cm2
        reach = max(int(AROUND_A / np.median(self.instrument.width_a)), 1)
        around = np.array([np.median(area[max(i - reach, 0) : i + reach + 1]) for i in range(0, len(area), reach)])
        level = np.interp(np.arange(len(area)), np.arange(0, len(area), reach), around)
        return good & (area > GAP * level) & (area > LEAST_AREA * area.max())

    def within(self, low_a: float, high_a: float) -> "Observed":
        """Return the bins within wavelengths; of a camera all, those outside marked. Raises ConfigError for none."""
        low, high = self.channel_edges_a
        keep = (low >= low_a - 1e-9) & (high <= high_a + 1e-9)
        if not keep.any():
            raise ConfigError(f"{self.name}: no bins within {low_a:g}-{high_a:g} A")
        if self.instrument.response is not None:
            return replace(self, good=keep if self.good is None else keep & self.good)
        rows = np.flatnonzero(keep)
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        kept = self.instrument
        smaller = replace(
            kept,
            edges_a=kept.edges_a[part.start : part.stop + 1],
            area_cm2=kept.area_cm2[part],
            fwhm_a=kept.fwhm_a[part],
        )
        back = None if self.background is None else self.background[part]
        good = None if self.good is None else self.good[part]
        return replace(self, counts=self.counts[part], instrument=smaller, background=back, good=good)

    def joined(self, factor: int) -> "Observed":
        """Return it with so many bins joined to one; a rest at the end is left out; a camera's as it is."""
        if factor <= 1 or self.instrument.response is not None:
            return self
        n, kept = len(self.counts) // factor, self.instrument
        if n < 1:
            raise ConfigError(f"{self.name}: {len(self.counts)} bins: fewer than the {factor} to be joined")
        width = kept.width_a[: n * factor].reshape(n, factor)
        area = (kept.area_cm2[: n * factor].reshape(n, factor) * width).sum(axis=1) / width.sum(axis=1)
        fwhm = kept.fwhm_a[: n * factor].reshape(n, factor).mean(axis=1)
        wide = replace(kept, edges_a=kept.edges_a[: n * factor + 1 : factor], area_cm2=area, fwhm_a=fwhm)
        counts = self.counts[: n * factor].reshape(n, factor).sum(axis=1)
        back = None if self.background is None else self.background[: n * factor].reshape(n, factor).sum(axis=1)
        good = None if self.good is None else np.asarray(self.good[: n * factor].reshape(n, factor).all(axis=1))
        return replace(self, counts=counts, instrument=wide, background=back, good=good)

    def moved(self, offset_a: float) -> "Observed":
        """Return it with all wavelengths less an offset: that of its scale, or of the star's motion."""
        if self.instrument.response is not None or offset_a == 0:
            return self
        moved = replace(self.instrument, edges_a=self.instrument.edges_a - offset_a)
        return replace(self, instrument=moved)
