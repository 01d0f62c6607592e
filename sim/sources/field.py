"""A field of the Galaxy as a camera sees it: sources of known class, diffuse light, particles, the origin of events."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sim.check import require
from sim.seeds import Seeds
from sim.sources.camera import Camera
from sim.sources.diffuse import Glow, glows
from sim.sources.emission import Emission
from sim.sources.galaxy import Sight, look
from sim.sources.populations import ALL, CLASSES, Extragalactic, Population, census
from sim.sources.sky import NODES_NH, sample
from sim.sources.times import draw_times

Floats = NDArray[np.float64]

PLACES: Final = 9  # parameters of the longest model: tbabs*(apec + apec)
TRUTH = np.dtype(
    [
        ("id", "i4"),  # from 0; as `source` of its events
        ("class", "S8"),
        ("population", "S24"),
        ("x", "f8"),  # column, px; pixel centres at integers
        ("y", "f8"),  # row
        ("l", "f8"),  # deg
        ("b", "f8"),
        ("distance_kpc", "f8"),  # infinite: outside the Galaxy
        ("nh", "f8"),  # 1e22 cm-2, of its own included
        ("flux", "f8"),  # erg cm-2 s-1, 0.5-8 keV, absorbed
        ("flux_unabsorbed", "f8"),
        ("expected", "f8"),  # counts in all channels, before the edge of the camera cuts some off
        ("counts", "i4"),  # events in this field
        ("variation", "f8"),  # rms of its rate over the mean
        ("model", "S40"),  # XSPEC expression
        ("values", "f8", (PLACES,)),  # of its parameters in their order; NaN beyond
    ]
)
EVENT = np.dtype(
    [
        ("time", "f8"),  # s from the beginning
        ("x", "f4"),  # column, px; pixel centres at integers
        ("y", "f4"),
        ("energy_ev", "f4"),  # measured: within its channel
        ("photon_ev", "f4"),  # of the photon; NaN: a particle made it
        ("channel", "i4"),  # number
        ("source", "i4"),  # id in the truth; RIDGE, FOREGROUND, PARTICLE
    ]
)
RIDGE, FOREGROUND, PARTICLE = -1, -2, -3
MOST_EVENTS: Final = 50_000_000
POPULATION, SKY, EVENTS, BACK = range(4)  # what is drawn: key of `Seeds.of_set`
_TRIES: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What to look at, and how long."""

    l_deg: float = 0.0
    b_deg: float = -1.5
    exposure_s: float = 5_000.0
    density: float = 1.0  # of all Galactic and other sources over what is expected there
    numbers: Mapping[str, float] = field(default_factory=dict)  # class: mean number in the field, in place of that
    diffuse: float = 1.0  # diffuse light over what is expected there
    texture: float = 0.5  # rms of the log of its brightness
    knots: float = 6.0  # mean number of compact pieces of it
    least_counts: float = 5.0  # expected of a source; fainter ones are the ridge
    wanted_counts: float = 25.0  # likewise, of a source of `numbers`
    most_counts: float = 20_000.0  # brighter ones would pile up: nobody points there in this mode

    def __post_init__(self) -> None:
        unknown = sorted(set(self.numbers) - set(CLASSES))
        require(
            "field",
            (-360 <= self.l_deg <= 360, "-360 <= l_deg <= 360"),
            (-90 <= self.b_deg <= 90, "-90 <= b_deg <= 90"),
            (0 < self.exposure_s <= 1e8, "0 < exposure_s <= 1e8"),
            (0 <= self.density <= 100, "0 <= density <= 100"),
            (not unknown, f"classes {', '.join(CLASSES)} (not {', '.join(unknown)})"),
            (all(0 <= n <= 10_000 for n in self.numbers.values()), "0 to 10,000 sources of a class"),
            (0 <= self.diffuse <= 1000, "0 <= diffuse <= 1000"),
            (0 <= self.texture <= 2, "0 <= texture <= 2"),
            (0 <= self.knots <= 1000, "0 <= knots <= 1000"),
            (0.1 <= self.least_counts < self.most_counts <= 1e7, "0.1 <= least_counts < most_counts <= 1e7"),
            (self.least_counts <= self.wanted_counts < self.most_counts, "least <= wanted_counts < most_counts"),
        )


@dataclass(frozen=True, slots=True)
class Field:
    """A field and all that is true of it."""

    camera: Camera
    setup: Setup
    seed: int
    run: int
    truth: NDArray[Any]  # (n,) TRUTH
    events: NDArray[Any]  # (m,) EVENT, rising by time
    glows: tuple[Glow, ...]
    too_bright: int  # sources that were left out

    @property
    def sight(self) -> Sight:
        """The line of sight to its middle."""
        return look(self.setup.l_deg, self.setup.b_deg)

    def exposure(self) -> Floats:
        """Return the exposure map, (rows, columns) s."""
        return self.camera.exposure(self.setup.exposure_s)

    def inside(self, low_kev: float = 0.5, high_kev: float = 8.0) -> NDArray[np.bool_]:
        """Return which events lie in a band of measured energy, (m,)."""
        energy = self.events["energy_ev"]
        return (energy >= 1000 * low_kev) & (energy < 1000 * high_kev)

    def image(self, low_kev: float = 0.5, high_kev: float = 8.0) -> Floats:
        """Return the counts of a band of measured energy, (rows, columns)."""
        return image_of(self.events[self.inside(low_kev, high_kev)], self.camera)

    def diffuse(self, low_kev: float = 0.5, high_kev: float = 8.0) -> Floats:
        """Return the mean counts px-1 of diffuse light and particles in a band, (rows, columns): P(diffuse | place)."""
        middle = 0.5 * (self.camera.response.energy_lo_kev + self.camera.response.energy_hi_kev)
        within = (middle >= low_kev) & (middle < high_kev)
        sky = sum((g.rate * float(g.spectrum[within].sum()) for g in self.glows), np.zeros(self.exposure().shape))
        return sky * self.exposure() + self.camera.particles * (high_kev - low_kev) * self.setup.exposure_s


def image_of(events: NDArray[Any], camera: Camera) -> Floats:
    """Return the counts in each pixel, (rows, columns)."""
    x, y = np.rint(events["x"]).astype(int), np.rint(events["y"]).astype(int)
    flat = np.bincount(y * camera.columns + x, minlength=camera.rows * camera.columns)
    return flat.reshape(camera.rows, camera.columns).astype(float)


def make_field(camera: Camera, setup: Setup, seed: int = 0, run: int = 0) -> Field:
    """Return a field; same seed and run, same field. Raises ConfigError for one that cannot be."""
    seeds = Seeds(seed, run)
    parts, too_bright = _sources(camera, setup, seeds)
    sky = tuple(
        glows(camera, (setup.l_deg, setup.b_deg), setup.diffuse, (setup.texture, setup.knots), seeds.of_set(SKY))
    )
    _require_room(camera, setup, parts, sky)
    truth, events = _light(camera, setup, parts, seeds.of_set(EVENTS))
    events += _background(camera, setup, sky, seeds.of_set(BACK))
    joined = np.concatenate(events)
    joined = joined[(abs(joined["x"] + 0.5 - camera.columns / 2) < camera.columns / 2)]
    joined = joined[(abs(joined["y"] + 0.5 - camera.rows / 2) < camera.rows / 2)]
    joined = joined[np.argsort(joined["time"], kind="stable")]
    truth["counts"] = np.bincount(joined["source"][joined["source"] >= 0], minlength=len(truth))
    return Field(camera, setup, seed, run, truth, joined, sky, too_bright)


@dataclass(frozen=True, slots=True)
class _Part:
    """The sources of one emission: their rows of truth, and the counts expected by bin of energy (n, bins)."""

    emission: Emission
    rows: NDArray[Any]
    counts: Floats


def _sources(camera: Camera, setup: Setup, seeds: Seeds) -> tuple[list[_Part], int]:
    sight, parts, too_bright = look(setup.l_deg, setup.b_deg), [], 0
    for kind in CLASSES:
        those = [p for p in ALL if p.kind == kind]
        rng = seeds.of_set(POPULATION, CLASSES.index(kind))
        if kind in setup.numbers:
            parts += _wanted(those, int(rng.poisson(setup.numbers[kind])), camera, setup, rng)
            continue
        for population in those:
            there = census(population, sight, camera.sky_sr)
            least = _least_flux(population.emission, there.nh, camera, setup)
            n = int(rng.poisson(min(setup.density * there.expected(least), 1e6)))
            drawn = _draw(population, n, camera, setup, rng)
            expected = drawn.rows["expected"]
            too_bright += int((expected > setup.most_counts).sum())
            parts.append(_pick(drawn, (expected >= setup.least_counts) & (expected <= setup.most_counts)))
    return parts, too_bright


def _wanted(
    those: list[Population | Extragalactic], number: int, camera: Camera, setup: Setup, rng: Generator
) -> list[_Part]:
    """Return so many sources of a class, of its populations as often as each would be seen."""
    parts: list[_Part] = []
    setup = replace(setup, least_counts=setup.wanted_counts)
    left, sight = number, look(setup.l_deg, setup.b_deg)
    chance = []
    for population in those:
        there = census(population, sight, camera.sky_sr)
        chance.append(there.expected(_least_flux(population.emission, there.nh, camera, setup)))
    kind = those[0].kind
    require(
        f"{kind}: {number} sources at l {setup.l_deg:g}, b {setup.b_deg:g}", (not left or sum(chance) > 0, "any there")
    )
    for _ in range(_TRIES):
        if left <= 0:
            break
        for population, n in zip(
            those, rng.multinomial(max(2 * left, 20), np.array(chance) / sum(chance)), strict=True
        ):
            drawn = _draw(population, int(n), camera, setup, rng)
            seen = (drawn.rows["expected"] >= setup.least_counts) & (drawn.rows["expected"] <= setup.most_counts)
            taken = np.flatnonzero(seen)[: max(left, 0)]
            parts.append(_pick(drawn, taken))
            left -= len(taken)
    require(f"{kind}: {number} sources in {setup.exposure_s:g} s", (left <= 0, "some bright enough: a longer exposure"))
    return parts


def _pick(part: _Part, which: NDArray[Any]) -> _Part:
    return _Part(part.emission, part.rows[which], part.counts[which])


def _draw(population: Population | Extragalactic, n: int, camera: Camera, setup: Setup, rng: Generator) -> _Part:
    """Return n sources with their spectra, among those that may be bright enough."""
    there = census(population, look(setup.l_deg, setup.b_deg), camera.sky_sr)
    emission, bins = population.emission, len(camera.response.area_cm2)
    rows = np.zeros(n, TRUTH)
    if not n:
        return _Part(emission, rows, np.zeros((0, bins)))
    log_flux, distance, nh = there.draw(n, rng, _least_flux(emission, there.nh, camera, setup))
    made = emission.spectra(emission.draw(rng, n), nh, 10**log_flux, camera.shapes)
    rows["class"], rows["population"], rows["model"] = population.kind, population.name, emission.model.text
    rows["distance_kpc"], rows["flux_unabsorbed"], rows["flux"] = distance, 10**log_flux, made.flux
    rows["nh"] = made.values[:, 0]
    rows["values"] = np.pad(made.values, ((0, 0), (0, PLACES - made.values.shape[1])), constant_values=np.nan)
    rows["x"] = rng.uniform(-0.5, camera.columns - 0.5, n)
    rows["y"] = rng.uniform(-0.5, camera.rows - 0.5, n)
    _place(rows, camera, setup)
    seconds = setup.exposure_s * camera.through(rows["x"], rows["y"])
    counts = camera.detected(made.photons) * seconds[:, None]
    rows["expected"] = counts.sum(axis=1)
    return _Part(emission, rows, counts)


def _place(rows: NDArray[Any], camera: Camera, setup: Setup) -> None:
    """Set l and b: b goes up with y, l down with x."""
    step = camera.arcsec_per_px / 3600
    rows["b"] = setup.b_deg + step * (rows["y"] - (camera.rows - 1) / 2)
    across = step * (rows["x"] - (camera.columns - 1) / 2)
    rows["l"] = (setup.l_deg - across / max(np.cos(np.radians(setup.b_deg)), 1e-3)) % 360


def _least_flux(emission: Emission, nh: Floats, camera: Camera, setup: Setup) -> Floats:
    """Return the unabsorbed log flux that no source of this kind needs to fall below to be left out, by column (d,)."""
    key = ("best", id(emission))
    if key not in camera.kept:
        rates = camera.detected(sample(emission, camera.shapes).photons).sum(axis=1).reshape(-1, len(NODES_NH))
        camera.kept[key] = np.log10(np.maximum(rates.max(axis=0), 1e-30))
    rate = np.interp(nh, NODES_NH, camera.kept[key])
    return np.log10(setup.least_counts / setup.exposure_s) - rate


def _require_room(camera: Camera, setup: Setup, parts: list[_Part], sky: tuple[Glow, ...]) -> None:
    total = sum(float(part.counts.sum()) for part in parts) + setup.exposure_s * sum(float(g.rate.sum()) for g in sky)
    span = float(camera.response.e_max_kev.max() - camera.response.e_min_kev.min())
    total += camera.particles * span * camera.rows * camera.columns * setup.exposure_s
    require(f"field: {total:.3g} events", (total <= MOST_EVENTS, f"at most {MOST_EVENTS:,}: a shorter exposure"))


def _light(camera: Camera, setup: Setup, parts: list[_Part], rng: Generator) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Return the truth and the events of the sources."""
    truth, events, first = [np.zeros(0, TRUTH)], [np.zeros(0, EVENT)], 0
    for part in parts:
        n = len(part.rows)
        rows = part.rows.copy()
        rows["id"] = first + np.arange(n)
        source, energy = np.divmod(
            np.repeat(np.arange(part.counts.size), rng.poisson(part.counts).ravel()), part.counts.shape[1]
        )
        seen = np.zeros(len(source), EVENT)
        seen["source"] = first + source
        seen["x"], seen["y"] = camera.spread(rows["x"][source], rows["y"][source], rng)
        seen["time"], rows["variation"] = draw_times(part.emission, source, n, setup.exposure_s, rng)
        _set_energy(seen, energy, camera, rng)
        truth.append(rows)
        events.append(seen)
        first += n
    return np.concatenate(truth), events


def _background(camera: Camera, setup: Setup, sky: tuple[Glow, ...], rng: Generator) -> list[NDArray[Any]]:
    """Return the events of diffuse light and of particles."""
    found = []
    for number, glow in zip((RIDGE, FOREGROUND), sky, strict=True):
        rate = (glow.rate * camera.exposure(setup.exposure_s)).ravel()
        n = int(rng.poisson(rate.sum()))
        seen = _at_pixels(
            np.searchsorted(np.cumsum(rate), rng.random(n) * rate.sum(), side="right"), number, camera, rng
        )
        energy = np.searchsorted(np.cumsum(glow.spectrum), rng.random(n) * glow.spectrum.sum(), side="right")
        _set_energy(seen, np.minimum(energy, len(glow.spectrum) - 1), camera, rng)
        found.append(seen)
    low, high = camera.response.e_min_kev, camera.response.e_max_kev
    width = np.maximum(high - low, 0)
    pixels = camera.rows * camera.columns
    n = int(rng.poisson(camera.particles * width.sum() * pixels * setup.exposure_s))
    seen = _at_pixels(rng.integers(0, pixels, n), PARTICLE, camera, rng)
    channel = np.searchsorted(np.cumsum(width), rng.random(n) * width.sum(), side="right")
    _set_channel(seen, channel, camera, rng)
    seen["photon_ev"] = np.nan
    found.append(seen)
    for seen in found:
        seen["time"] = setup.exposure_s * rng.random(len(seen))
    return found


def _at_pixels(pixel: NDArray[np.int64], source: int, camera: Camera, rng: Generator) -> NDArray[Any]:
    seen = np.zeros(len(pixel), EVENT)
    y, x = np.divmod(np.minimum(pixel, camera.rows * camera.columns - 1), camera.columns)
    seen["source"] = source
    seen["x"] = x + rng.uniform(-0.499, 0.499, len(x))
    seen["y"] = y + rng.uniform(-0.499, 0.499, len(x))
    return seen


def _set_energy(seen: NDArray[Any], energy: NDArray[np.int64], camera: Camera, rng: Generator) -> None:
    low, high = camera.response.energy_lo_kev, camera.response.energy_hi_kev
    seen["photon_ev"] = 1000 * (low[energy] + (high - low)[energy] * rng.random(len(energy)))
    _set_channel(seen, camera.redistribute(energy, rng), camera, rng)


def _set_channel(seen: NDArray[Any], channel: NDArray[Any], camera: Camera, rng: Generator) -> None:
    low, high = camera.response.e_min_kev, camera.response.e_max_kev
    seen["channel"] = camera.response.channel[channel]
    seen["energy_ev"] = 1000 * (low[channel] + (high - low)[channel] * rng.random(len(channel)))
