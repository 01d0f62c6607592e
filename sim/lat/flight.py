"""How the LAT comes by its photons: when, at which angles, and which of those that reach it it sees.

Two ways. `Even`: every direction is seen as often and at all angles alike, as `stream.lat.exposure.survey` has it.
`Orbit`: photons fall evenly in time on a LAT with its largest area, and each is kept with the share of that area that
it meets where the instrument looks at that moment, within the zenith cut of its band: so pointing, livetime and photons
belong together.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from sim.lat.orbit import ROCK_DEG, ROW_S, good_times, rows_between
from sim.lat.photons import PHOTON
from stream.lat.bands import BANDS, CHANNELS, EDGES_MEV, TYPES, ZENITH_DEG
from stream.lat.exposure import ENERGY_MEV, NODES, NSIDE, SURVEY_LIVE, YEAR_S, Exposure, survey
from stream.lat.instrument import Instrument
from stream.lat.sphere import GALACTIC, unit_vectors

Floats = NDArray[np.float64]
START_S: Final = 239_557_417.0  # MET of 2008-08-04 15:43:36, when the survey began
LEAST_COSINE: Final = 0.2
EVENT: Final = np.dtype(
    [
        *[(name, PHOTON[name]) for name in PHOTON.names or ()],
        ("time_s", "f8"),
        ("theta_deg", "f4"),  # from the axis
        ("phi_deg", "f4"),  # about it, from the direction of the zenith
        ("zenith_deg", "f4"),
    ]
)
CUT: Final = np.cos(np.radians(ZENITH_DEG)).ravel()  # by channel
_STEPS: Final = (64, 81)  # energies and cosines of the table of areas


@dataclass(frozen=True)
class Span:
    """A piece of the observation."""

    start_s: float
    stop_s: float
    live_s: float
    gti: Floats  # (k, 2) start, stop
    rows: NDArray[Any] | None = None  # sim.lat.orbit.ROW of all of it


class Even:
    """The even survey."""

    def __init__(self, instrument: Instrument, years: float) -> None:
        self.exposure = survey(instrument, years)
        self._areas = Areas(instrument)

    def spans(self, start_s: float, years: float, step_s: float) -> Iterator[Span]:
        """Yield the observation in pieces of step_s."""
        for begin, end in _pieces(start_s, start_s + years * YEAR_S, step_s):
            yield Span(begin, end, (end - begin) * SURVEY_LIVE, np.array([[begin, end]]))

    def see(self, photons: NDArray[Any], span: Span, rng: np.random.Generator) -> NDArray[Any]:
        """Return EVENT rows of all photons, by time."""
        number = len(photons)
        time_s = rng.uniform(span.start_s, span.stop_s, number)
        order = np.argsort(time_s)
        out = _events(photons[order])
        out["time_s"] = time_s[order]
        cosine = self._areas.cosines(out["channel"], out["energy_mev"], rng)
        theta, rock = np.arccos(cosine), np.radians(ROCK_DEG)
        along, across = cosine * np.cos(rock), np.sin(theta) * np.sin(rock)
        least = np.clip((CUT[out["channel"]] - along) / np.maximum(across, 1e-9), -1, 1)  # of cos phi, for the cut
        phi = rng.uniform(-1, 1, number) * np.arccos(least)
        out["theta_deg"], out["phi_deg"] = np.degrees(theta), np.degrees(phi) % 360
        out["zenith_deg"] = np.degrees(np.arccos(np.clip(along + across * np.cos(phi), -1, 1)))
        return out


class Orbit:
    """The pointing of `sim.lat.orbit`."""

    def __init__(self, instrument: Instrument, years: float) -> None:
        self._areas = Areas(instrument)
        maps = np.empty((len(TYPES), BANDS, NODES, 12 * NSIDE**2), np.float32)
        for kind in range(len(TYPES)):
            most = self._areas.most_cm2(kind, ENERGY_MEV.ravel()).reshape(BANDS, NODES)
            maps[kind] = (most * years * YEAR_S)[..., None]
        self.exposure = Exposure(maps, years * YEAR_S, "as if the axis were everywhere")

    def spans(self, start_s: float, years: float, step_s: float) -> Iterator[Span]:
        """Yield the observation in pieces of step_s, in whole rows of pointing."""
        step, begin = max(round(step_s / ROW_S), 1) * ROW_S, start_s // ROW_S * ROW_S
        for first, last in _pieces(begin, begin + np.ceil(years * YEAR_S / ROW_S) * ROW_S, step):
            rows = rows_between(first, last)
            yield Span(first, last, float(rows["live_s"].sum()), good_times(rows), rows)

    def see(self, photons: NDArray[Any], span: Span, rng: np.random.Generator) -> NDArray[Any]:
        """Return EVENT rows of those photons that are seen, by time."""
        rows = span.rows
        if rows is None or not span.live_s:
            return np.zeros(0, EVENT)
        so_far = np.cumsum(rows["live_s"])
        when = rng.random(len(photons)) * so_far[-1]
        row = np.minimum(np.searchsorted(so_far, when, side="right"), len(rows) - 1)
        place = unit_vectors(photons["glon_deg"], photons["glat_deg"]) @ GALACTIC
        axis, zenith = rows["axis"][row], rows["zenith"][row]
        cosine, up = np.einsum("ni,ni->n", place, axis), np.einsum("ni,ni->n", place, zenith)
        seen = self._areas.share(photons["channel"], photons["energy_mev"], cosine)
        kept = np.flatnonzero((rng.random(len(photons)) < seen) & (up >= CUT[photons["channel"]]))
        out = _events(photons[kept])
        out["time_s"] = rows["start_s"][row[kept]] + rng.random(len(kept)) * ROW_S
        out["theta_deg"] = np.degrees(np.arccos(np.clip(cosine[kept], -1, 1)))
        out["zenith_deg"] = np.degrees(np.arccos(np.clip(up[kept], -1, 1)))
        out["phi_deg"] = _azimuth(place[kept], axis[kept], zenith[kept])
        return out[np.argsort(out["time_s"], kind="stable")]


@dataclass
class Areas:
    """Effective areas by type, ln of the energy and cosine, fast to look up."""

    instrument: Instrument
    log: Floats = field(init=False)
    cosine: Floats = field(init=False)
    cm2: Floats = field(init=False)  # (TYPES, energies, cosines)

    def __post_init__(self) -> None:
        self.log = np.linspace(np.log(EDGES_MEV[0]), np.log(EDGES_MEV[-1]), _STEPS[0])
        self.cosine = np.linspace(LEAST_COSINE, 1.0, _STEPS[1])
        self.cm2 = np.stack([self.instrument.area_cm2(k, np.exp(self.log), self.cosine) for k in range(len(TYPES))])

    def most_cm2(self, kind: int, energy_mev: Floats) -> Floats:
        """Return the largest area at energies (n,)."""
        return np.interp(np.log(energy_mev), self.log, self.cm2[kind].max(axis=1))

    def share(self, channel: NDArray[Any], energy_mev: NDArray[Any], cosine: Floats) -> Floats:
        """Return the area over the largest of that energy for photons (n,); 0 outside the field of view."""
        kind = channel.astype(np.int64) % len(TYPES)
        at = np.interp(np.log(energy_mev), self.log, np.arange(len(self.log)))
        x = (cosine - LEAST_COSINE) / (self.cosine[1] - self.cosine[0])
        out = np.empty(len(cosine))
        for k in range(len(TYPES)):
            mine = kind == k
            area = map_coordinates(self.cm2[k], [at[mine], np.maximum(x[mine], 0)], order=1, mode="nearest")
            out[mine] = area / self.most_cm2(k, energy_mev[mine])
        return np.where(cosine >= LEAST_COSINE, out, 0.0)

    def cosines(self, channel: NDArray[Any], energy_mev: NDArray[Any], rng: np.random.Generator) -> Floats:
        """Return angles to the axis as the area has them when all directions are alike, (n,) cosines."""
        out = np.empty(len(channel))
        at = np.interp(np.log(energy_mev), self.log, np.arange(len(self.log))).astype(np.int64)
        for key in np.unique(channel.astype(np.int64) % len(TYPES) + len(TYPES) * at):
            step, kind = divmod(int(key), len(TYPES))
            mine = (channel % len(TYPES) == kind) & (at == step)
            area = self.cm2[kind, step]
            cdf = np.concatenate([[0.0], np.cumsum((area[1:] + area[:-1]) / 2)])
            out[mine] = np.interp(rng.random(int(mine.sum())) * cdf[-1], cdf, self.cosine)
        return out


def _pieces(begin: float, end: float, step: float) -> Iterator[tuple[float, float]]:
    while begin < end - 1e-6:
        yield begin, min(begin + step, end)
        begin += step


def _events(photons: NDArray[Any]) -> NDArray[Any]:
    out = np.zeros(len(photons), EVENT)
    for name in photons.dtype.names or ():
        out[name] = photons[name]
    return out


def _azimuth(place: Floats, axis: Floats, zenith: Floats) -> Floats:
    """Return the angle about the axis from the direction of the zenith, (n,) degrees from 0 to 360."""
    x = zenith - np.einsum("ni,ni->n", zenith, axis)[:, None] * axis
    y = np.cross(axis, x)
    return np.degrees(np.arctan2(np.einsum("ni,ni->n", place, y), np.einsum("ni,ni->n", place, x))) % 360


assert len(CUT) == CHANNELS
