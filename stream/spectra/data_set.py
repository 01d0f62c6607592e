"""The bins that one fit sees: on and off counts, and the way from a model to them."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from stream.errors import ConfigError
from stream.kernels.cstat import statistic_sum
from stream.spectra.grid import Floats
from stream.spectra.model import Model
from stream.spectra.response import Band, Response
from stream.spectra.spectrum import Bins, Spectrum, group

FEWEST_BINS: Final = 64  # W-stat joins bins to one off count each, but to no fewer than this in the band
STATISTICS: Final = ("auto", "cstat", "wstat")


@dataclass(frozen=True, slots=True)
class DataSet:
    """One spectrum in one band."""

    band: Band
    bins: Bins
    seconds: Floats  # (channels of the band,) or (1,): exposure x AREASCAL
    counts: Floats  # (b,) on
    off: Floats  # (b,), or none: C-stat
    alpha: Floats  # (b,) on counts per off count of the background
    statistic: str  # "cstat" or "wstat"
    flags: tuple[str, ...] = ()  # what had to be decided: "no background counts"

    def predict(self, model: Model, values: Floats) -> Floats:
        """Return the source counts (b,) that a model predicts."""
        return self.bins(self.band.fold(model.on(self.band.grid, values)[None]) * self.seconds)[0]

    def predict_with_slopes(self, model: Model, values: Floats) -> tuple[Floats, Floats]:
        """Return the source counts (b,) and their derivatives (p, b), 0 for frozen parameters, in one pass."""
        slopes = np.zeros((len(values) + 1, len(self.band.grid.low)))
        slopes[-1] = model.on(self.band.grid, values, slopes[:-1])
        norms = model.norms
        linear = len(norms) == 1 and not model.parameters[norms[0]].frozen  # then the model is norm x derivative
        rows = [i for i, p in enumerate(model.parameters) if not p.frozen] + [len(values)] * (not linear)
        folded = np.zeros((len(values) + 1, len(self.counts)))
        folded[rows] = self.bins(self.band.fold(slopes[rows]) * self.seconds)
        if linear:
            folded[-1] = values[norms[0]] * folded[norms[0]]
        return folded[-1], folded[:-1]

    def value(self, model: Model, values: Floats) -> float:
        """Return the statistic."""
        return float(statistic_sum(self.counts, self.off, self.alpha, self.predict(model, values)))


def prepare(
    spectrum: Spectrum, response: Response, band_kev: tuple[float, float] = (0.5, 8.0), statistic: str = "auto"
) -> DataSet:
    """Return the bins of a spectrum in a band by EBOUNDS, keV.

    "auto" is W-stat with a background and C-stat without; so is a background without any count in the band, flagged.
    Raises ConfigError, one line: another number of channels, no channel in the band, all channels bad.
    """
    if statistic not in STATISTICS:
        raise ConfigError(f"statistic {statistic!r}: expected one of {', '.join(STATISTICS)}")
    if len(spectrum.counts) != len(response.channel):
        raise ConfigError(f"spectrum: {len(spectrum.counts)} channels, but the response has {len(response.channel)}")
    try:
        band = response.band(*band_kev)
    except ValueError as fault:
        raise ConfigError(f"band_kev: {fault}") from None
    inside, background, flags = band.channels, spectrum.background, []
    if not np.any(spectrum.quality[inside] == 0):
        raise ConfigError(f"spectrum: all channels within {band_kev[0]}-{band_kev[1]} keV are bad (QUALITY)")
    if statistic == "wstat" and background is None:
        raise ConfigError("statistic 'wstat': the spectrum has no background")
    if background is not None and statistic != "cstat" and not background.counts[inside].sum() > 0:
        background, flags = None, ["no background counts"]
    seconds = spectrum.exposure_s * _part(spectrum.areascal, inside)
    if background is None or statistic == "cstat":
        bins, none = Bins.of(spectrum.grouping[inside], spectrum.quality[inside]), np.empty(0)
        return DataSet(band, bins, seconds, bins(spectrum.counts[inside]), none, none, "cstat", tuple(flags))
    return _with_background(
        spectrum, background, DataSet(band, Bins(None, None), seconds, *(np.empty(0),) * 3, "wstat")
    )


def _with_background(spectrum: Spectrum, background: Spectrum, empty: DataSet) -> DataSet:
    inside = empty.band.channels
    if len(background.counts) != len(spectrum.counts):
        raise ConfigError(f"background: {len(background.counts)} channels, the spectrum has {len(spectrum.counts)}")
    quality = np.maximum(spectrum.quality, background.quality)[inside]
    bins = Bins.of(spectrum.grouping[inside], quality)
    off_counts = background.counts[inside]
    each = bins(off_counts)  # bins without off counts bias W-stat: join them, whatever the spectrum's own grouping
    joined = group(each, np.ones(len(each), bool), 1.0, max(len(each) // FEWEST_BINS, 1))
    begins = np.arange(len(each)) if bins.begins is None else bins.begins
    bins = Bins(bins.take, begins[joined >= 0])
    off_seconds = background.exposure_s * _part(background.areascal, inside) * _part(background.backscal, inside)
    ratio = empty.seconds * _part(spectrum.backscal, inside) / off_seconds
    ratio = np.broadcast_to(ratio, off_counts.shape)
    weight = off_counts + 1e-3  # channels of one bin may differ in scale: the mean by off counts
    alpha = bins(ratio * weight) / bins(weight)
    return replace(empty, bins=bins, counts=bins(spectrum.counts[inside]), off=bins(off_counts), alpha=alpha)


def _part(column: Floats, inside: slice) -> Floats:
    """Return the values within the band of a column (m,) or a single value (1,)."""
    return column if column.size == 1 else column[inside]
