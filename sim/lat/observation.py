"""An observation of a simulated sky: its photons in order of time, piece by piece."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.lat.background import Sky, vary
from sim.lat.catalogue import UNRESOLVED, YEARS, make_catalogue
from sim.lat.flight import START_S, Even, Orbit, Span
from sim.lat.glow import Glow
from sim.lat.photons import Scatter
from stream.lat.bands import EDGES_MEV, TYPES, channel_of
from stream.lat.exposure import YEAR_S
from stream.lat.instrument import Instrument
from stream.lat.sky import Diffuse

STEP_S: Final = 864_000.0  # of a piece: 3e5 photons
# Half of the 68 % of E'/E by energy, front and back: edisp_P8R3_SOURCE_V3, mean over the field of view.
DISPERSION_MEV: Final = (237.0, 422.0, 750.0, 2371.0, 7499.0, 23_714.0, 74_989.0, 237_137.0, 749_894.0)
DISPERSION: Final = (
    (0.159, 0.133, 0.110, 0.085, 0.064, 0.060, 0.066, 0.080, 0.099),
    (0.140, 0.119, 0.103, 0.080, 0.065, 0.065, 0.074, 0.089, 0.109),
)


@dataclass(frozen=True)
class Order:
    """What is observed, and for how long."""

    years: float
    start_s: float = START_S  # MET
    background_error: float = 1.0  # how far the diffuse light is from the model, in units of what is usual; 0: not
    density: float = 1.0  # of the sources, over what is expected
    dispersion: bool = False  # measured energies differ from the true ones


class Observation:
    """A sky, an instrument and the way it flies."""

    def __init__(
        self, order: Order, instrument: Instrument, model: Diffuse, seed: int, sources: NDArray[Any] | None = None,
        pointed: bool = False,
    ) -> None:  # fmt: skip
        """sources: SOURCE rows to take instead of drawn ones, beside the whole isotropic light."""
        self.order = order
        self._sky_rng, self._rng = (np.random.default_rng((seed, k)) for k in (0, 1))
        self.flight = (Orbit if pointed else Even)(instrument, 1.0)
        self.sky = vary(model, self._sky_rng, order.background_error)
        self.sources = make_catalogue(self._sky_rng, order.density) if sources is None else sources
        if sources is not None:
            self.sky = _with_all_isotropic(self.sky)
        self._scatter = Scatter(instrument)
        self._glow = Glow(self.sky, self.flight.exposure, self._scatter)

    def pieces(self) -> Iterator[tuple[Span, NDArray[Any]]]:
        """Yield each piece of time and its EVENT rows, by time."""
        for span in self.flight.spans(self.order.start_s, self.order.years, STEP_S):
            share = span.live_s / self.flight.exposure.live_s
            shining = self.sources.copy()
            shining["spectrum"] *= share * self.brightness(span)[:, None, None]
            photons = [self._glow.draw(share, self._rng), self._scatter.draw(shining, self.flight.exposure, self._rng)]
            events = self.flight.see(np.concatenate(photons), span, self._rng)
            yield span, self._dispersed(events) if self.order.dispersion else events

    def brightness(self, span: Span) -> NDArray[np.float64]:
        """Return the flux of each source over its mean during a piece, (n,); after ten years they come again."""
        middle = (span.start_s + span.stop_s) / 2 - self.order.start_s
        return np.asarray(self.sources["yearly"][:, int(middle // YEAR_S) % YEARS])

    def _dispersed(self, events: NDArray[Any]) -> NDArray[Any]:
        """Return events with measured energies, log-normal about the true ones; those beyond all bands are left out.

        What true energies below the lowest band would bring in is missing: a few percent of that band.
        """
        kind = events["channel"].astype(np.int64) % len(TYPES)
        log = np.log(events["energy_mev"])
        width = np.where(kind == 0, *(np.interp(log, np.log(DISPERSION_MEV), row) for row in DISPERSION))
        events["energy_mev"] = np.exp(log + width * self._rng.standard_normal(len(events)))
        events["channel"] = channel_of(events["energy_mev"], kind)
        return events[(events["channel"] >= 0) & (events["energy_mev"] < EDGES_MEV[-1])]


def _with_all_isotropic(sky: Sky) -> Sky:
    d = sky.diffuse
    whole = Diffuse(d.energy_mev, d.planes, d.first_deg, d.step_deg, d.isotropic / UNRESOLVED, d.about)
    return Sky(whole, sky.waves, sky.texture)
