"""What each kind of source shines like: its spectral model, the spread of its parameters, and how it varies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from stream.spectra.components import TBabs
from stream.spectra.flux import ERG_PER_KEV
from stream.spectra.grid import Grid
from stream.spectra.model import Model, parse_model

Floats = NDArray[np.float64]
Drawn = Mapping[str, Floats]

BAND_KEV: Final = (0.5, 8.0)  # of every flux and luminosity of this package
NH_OWN, LINE_EW = "nh_own", "line_ew_kev"  # drawn beside the parameters of the model
_EDGES = np.geomspace(*BAND_KEV, 301)
BAND: Final = Grid.of(_EDGES[:-1], _EDGES[1:])


@dataclass(frozen=True, slots=True)
class Emission:
    """A spectral model without absorption, as an XSPEC expression, and how its parameters are drawn.

    draw(rng, n) gives parameters by their names, (n,) each; COMPONENT.share: of the flux, where there are several;
    `line_ew_kev`: equivalent width of the `gaussian` over the rest; `nh_own`: 1e22 cm-2 at the source itself.
    """

    text: str
    draw: Callable[[Generator, int], Drawn]
    flicker: float = 0.0  # rms of red noise over the mean
    flares: float = 0.0  # share of sources that flare once in an observation

    @property
    def model(self) -> Model:
        """The model behind absorption."""
        return parsed(f"tbabs*({self.text})")

    def spectra(self, drawn: Drawn, nh: Floats, flux: Floats, shapes: "Shapes") -> "Spectra":
        """Return the spectra behind nh (n,) 1e22 cm-2 for unabsorbed fluxes (n,) erg cm-2 s-1.

        A line comes on top of the rest and is part of the flux.
        """
        names, n, places = self.model.names, len(flux), components(self.model)
        values = np.tile(self.model.defaults, (n, 1))
        for name in drawn.keys() & set(names):
            values[:, names.index(name)] = rounded(name, drawn[name])
        values[:, names.index("tbabs.nH")] = nh + drawn.get(NH_OWN, 0.0)
        total, photons = np.zeros(n), np.zeros((n, len(shapes.grid.low)))
        for label in sorted(places, key="gaussian".__eq__):  # the line after the rest
            unit = shapes.units(label, values[:, places[label]])
            norm = drawn.get(f"{label}.share", np.ones(n)) / shapes.energy(unit)
            if label == "gaussian":
                norm = drawn[LINE_EW] * shapes.density(photons, LINE_AT_KEV)
            values[:, places[label].stop - 1] = norm
            photons += norm[:, None] * unit
        total = shapes.energy(photons)
        for at in places.values():
            values[:, at.stop - 1] *= flux / total
        photons *= (flux / total)[:, None] * shapes.through(values[:, 0])
        return Spectra(values, photons[:, len(BAND.low) :], shapes.energy(photons))


@dataclass(frozen=True, slots=True)
class Spectra:
    """Of n sources of one model."""

    values: Floats  # (n, p) of the model's parameters
    photons: Floats  # (n, bins) cm-2 s-1
    flux: Floats  # (n,) erg cm-2 s-1, absorbed


class Shapes:
    """Spectra of components with a norm of 1 in the bins of a camera, each made once."""

    def __init__(self, low_kev: Floats, high_kev: Floats) -> None:
        self.grid = Grid.of(np.concatenate([BAND.low, low_kev]), np.concatenate([BAND.high, high_kev]))
        self._sigma = -np.log(np.maximum(TBabs().shape(self.grid, np.array([_SMALL]), ())[0], 1e-300)) / _SMALL
        self._kept: dict[tuple[object, ...], Floats] = {}

    def units(self, label: str, values: Floats) -> Floats:
        """Return photons cm-2 s-1 (n, bins of the grid) of a component with values (n, q), its norm the last, for 1."""
        out = np.empty((len(values), len(self.grid.low)))
        for row, own in zip(out, values, strict=True):
            key = (label.split("_")[0], *own[:-1].tolist())
            if key not in self._kept:
                self._kept[key] = parsed(str(key[0])).on(self.grid, np.append(own[:-1], 1.0))
            row[:] = self._kept[key]
        return out

    def through(self, nh: Floats) -> Floats:
        """Return the factor of absorption, (n, bins of the grid)."""
        return np.exp(-nh[:, None] * self._sigma)

    def energy(self, photons: Floats) -> Floats:
        """Return the flux in the band, (n,) erg cm-2 s-1."""
        return photons[:, : len(BAND.low)] @ BAND.middle * ERG_PER_KEV

    def density(self, photons: Floats, at_kev: float) -> Floats:
        """Return photons keV-1 cm-2 s-1 at an energy, (n,)."""
        bin_ = int(np.searchsorted(BAND.high, at_kev))
        return photons[:, bin_] / BAND.width[bin_]


_SMALL: Final = 1e-6  # 1e22 cm-2: absorption is linear there
STEPS: Final = {"kT": 0.01, "PhoIndex": 0.01, "LineE": 0.01}  # dex, 1, keV: so that spectra are made once


def rounded(name: str, values: Floats) -> Floats:
    """Return values of a parameter on its steps."""
    kind = name.split(".")[1]
    if kind == "kT":
        return 10 ** (np.rint(np.log10(values) / STEPS[kind]) * STEPS[kind])
    return np.rint(values / STEPS[kind]) * STEPS[kind] if kind in STEPS else values


LINE_AT_KEV: Final = 6.6


@cache
def parsed(text: str) -> Model:
    """Return the model of an expression; the same object every time, with what it keeps between evaluations."""
    return parse_model(text)


@cache
def _places(text: str) -> dict[str, slice]:
    names = parsed(text).names
    labels = [name.split(".")[0] for name in names]
    found = {label: slice(labels.index(label), len(labels) - labels[::-1].index(label)) for label in labels}
    return {label: places for label, places in found.items() if names[places.stop - 1].endswith(".norm")}


def components(model: Model) -> dict[str, slice]:
    """Return the additive components of a model, and where their parameters are."""
    return _places(model.text)


def energy_flux(model: Model, values: Floats, *, absorbed: bool = True) -> float:
    """Return the flux in the band, erg cm-2 s-1, of the values (p,)."""
    return float(model.on(BAND, values, absorbed=absorbed) @ BAND.middle) * ERG_PER_KEV


def _log_normal(rng: Generator, n: int, middle: float, dex: float, ends: tuple[float, float]) -> Floats:
    return np.clip(middle * 10 ** (dex * rng.standard_normal(n)), *ends)


def _normal(rng: Generator, n: int, mean: float, sd: float, ends: tuple[float, float]) -> Floats:
    return np.clip(mean + sd * rng.standard_normal(n), *ends)


def _polars(rng: Generator, n: int) -> Drawn:
    """Shock temperatures and iron lines as Suzaku saw them: Yuasa et al. 2010, A&A 520, A25; Xu et al. 2016."""
    return {
        "bremss.kT": _log_normal(rng, n, 22.0, 0.15, (8.0, 60.0)),
        "gaussian.LineE": _normal(rng, n, 6.6, 0.05, (6.4, 6.97)),  # 6.4, 6.7 and 6.97 keV, one at this resolution
        "gaussian.Sigma": np.full(n, 0.2),
        LINE_EW: _normal(rng, n, 0.35, 0.1, (0.1, 0.8)),
        NH_OWN: _log_normal(rng, n, 0.7, 0.5, (0.01, 20.0)),  # of the accretion curtain
    }


def _non_magnetic(rng: Generator, n: int) -> Drawn:
    """Boundary layers: kT and lines of Byckling et al. 2010, MNRAS 408, 2298, and Xu et al. 2016, ApJ 818, 136."""
    return {
        "bremss.kT": _log_normal(rng, n, 7.0, 0.2, (1.5, 25.0)),
        "gaussian.LineE": _normal(rng, n, 6.67, 0.03, (6.4, 6.97)),
        "gaussian.Sigma": np.full(n, 0.1),
        LINE_EW: _normal(rng, n, 0.45, 0.15, (0.05, 1.0)),
        NH_OWN: _log_normal(rng, n, 0.03, 0.5, (0.0, 1.0)),
    }


def _binaries(rng: Generator, n: int) -> Drawn:
    """Faint LMXBs: power laws, some with a thermal part: Wijnands et al. 2015, MNRAS 454, 1371."""
    thermal = np.where(rng.random(n) < 0.5, rng.uniform(0.15, 0.6, n), 1e-3)
    return {
        "powerlaw.PhoIndex": _normal(rng, n, 1.8, 0.3, (1.0, 3.0)),
        "powerlaw.share": 1 - thermal,
        "bbody.kT": _log_normal(rng, n, 0.45, 0.2, (0.2, 1.5)),
        "bbody.share": thermal,
        NH_OWN: _log_normal(rng, n, 0.1, 0.5, (0.0, 3.0)),
    }


def _neutron_stars(rng: Generator, n: int) -> Drawn:
    """Quiescent neutron stars: black bodies, mostly of 0.08-0.2 keV; Heinke et al. 2003, ApJ 598, 501."""
    return {"bbody.kT": _normal(rng, n, 0.15, 0.04, (0.08, 0.25))}  # 1.6 times the atmosphere's own temperature


def _dwarfs(rng: Generator, n: int) -> Drawn:
    """Field stars: one temperature; Schmitt & Liefke 2004, A&A 417, 651, and Guedel 2004, A&ARv 12, 71."""
    return {"apec.kT": _log_normal(rng, n, 0.4, 0.18, (0.15, 1.2))}


def _active(rng: Generator, n: int) -> Drawn:
    """Young stars and active binaries: 0.3-1 and 1-3.5 keV; Guedel 2004; Dempsey et al. 1993, ApJ 413, 333."""
    hot = rng.uniform(0.35, 0.75, n)
    return {
        "apec.kT": _log_normal(rng, n, 0.65, 0.12, (0.25, 1.2)),
        "apec.share": 1 - hot,
        "apec_2.kT": _log_normal(rng, n, 1.9, 0.14, (0.9, 5.0)),
        "apec_2.share": hot,
    }


def _nuclei(rng: Generator, n: int) -> Drawn:
    """AGN as seen at 0.5-8 keV: Tozzi et al. 2006, A&A 451, 457; 4 of 10 with absorption of their own."""
    own = np.where(rng.random(n) < 0.4, _log_normal(rng, n, 0.6, 0.5, (0.0, 30.0)), 0.0)
    return {"powerlaw.PhoIndex": _normal(rng, n, 1.8, 0.2, (1.0, 2.8)), NH_OWN: own}


POLAR: Final = Emission("bremss + gaussian", _polars, flicker=0.25)
NON_MAGNETIC: Final = Emission("bremss + gaussian", _non_magnetic, flicker=0.2)
BINARY: Final = Emission("powerlaw + bbody", _binaries, flicker=0.4)
NEUTRON_STAR: Final = Emission("bbody", _neutron_stars)
DWARF: Final = Emission("apec", _dwarfs, flares=0.3)
ACTIVE: Final = Emission("apec + apec", _active, flares=0.3)
NUCLEUS: Final = Emission("powerlaw", _nuclei, flicker=0.08)
