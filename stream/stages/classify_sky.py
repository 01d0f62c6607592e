"""Product "detections" -> Product "detections": what the sources of the mission are, and which are none."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from config.lat import ClassifySky as Section
from stream.judges.lat_cutouts import CutoutJudge
from stream.lat.cube import MISSION
from stream.lat.cutouts import by_band, cut_out, last_years, whole_years
from stream.lat.instrument import Instrument
from stream.lat.psf import profiles_of
from stream.lat.sky import Diffuse, expect
from stream.lat.smear import smearing
from stream.messages import Message, Product
from stream.stages.accumulate_sky import SkyProduct

DETECTIONS, CLASSES = "DETECTIONS", "CLASSES"
PREFIX: Final = "P_"  # of the columns of CLASSES
LEAST_YEARS: Final = 2


class ClassifySky:
    """Judges a cut-out of the counted sky about each detection of the mission by its years and bands.

    The product has a table CLASSES besides: P_BLL, ..., P_FAKE (n,) float32, whose sum is 1. With fewer than two years
    the light curve says nothing: then they are NaN, and the product is counted as `without_light_curve`. Other windows
    and everything else pass.
    """

    name = "classify_sky"

    def __init__(self, section: Section, instrument: Instrument, diffuse: Diffuse) -> None:
        """Raises ModelError for a model that is no network of cut-outs."""
        self._judge = CutoutJudge(section.model, section.provider)
        self._diffuse, self._smear = diffuse, smearing(diffuse, profiles_of(instrument))
        self._sky: SkyProduct | None = None  # what the next detections were found in
        self.counters: Counter[str] = Counter()

    @property
    def about(self) -> dict[str, str]:
        """What it runs, and where."""
        return dict(self._judge.about)

    def process(self, message: Message) -> Iterable[Message]:
        """Product "detections" of the mission: give it with its classes."""
        if isinstance(message, SkyProduct):
            self._sky = message
        if not isinstance(message, Product) or message.kind != "detections":
            return (message,)
        found = message.tables.get(DETECTIONS)
        if found is None or message.header.get("WINDOW") != MISSION or self._sky is None:
            return (message,)
        sky, self._sky = self._sky, None
        header = {**message.header, "CLASSES": self.about["cut-outs"]}
        return (replace(message, header=header, tables={**message.tables, CLASSES: self._told(found, sky)}),)

    def flush(self) -> Iterable[Message]:
        """Nothing is held back."""
        return ()

    def _told(self, found: NDArray[Any], product: SkyProduct) -> NDArray[Any]:
        sky, exposure = product.sky, product.exposure(MISSION)
        table = np.full(len(found), np.nan, [(f"{PREFIX}{name}", "<f4") for name in self._judge.classes])
        self.counters["missions"] += 1
        if exposure is None or whole_years(last_years(sky.years, sky.years_s), sky.years_s) < LEAST_YEARS:
            self.counters["without_light_curve"] += 1
            return table
        expected = by_band(expect(self._diffuse, exposure, self._smear))
        p = self._judge.judge(cut_out(sky.years, sky.years_s, expected, (found["glon_deg"], found["glat_deg"])))
        for k, name in enumerate(table.dtype.names or ()):
            table[name] = p[:, k]
        self.counters["classified"] += len(found)
        return table


def classes_in(product: Product) -> Mapping[str, NDArray[Any]] | None:
    """Return the probability (n,) of each class of a product "detections"; None: it was not asked for."""
    table = product.tables.get(CLASSES)
    if table is None:
        return None
    return {name.removeprefix(PREFIX): table[name] for name in table.dtype.names or ()}
