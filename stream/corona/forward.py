"""Expected counts of coronal spectra: lines as Gaussians, continuum, a flat background, through an instrument."""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from stream.corona.continuum import Continuum, shipped_continuum
from stream.corona.instrument import Instrument
from stream.corona.lines import LineTable, shipped_lines
from stream.errors import ConfigError
from stream.kernels.corona import continuum_light, line_light, spread_lines, to_bins
from stream.spectra.grid import Floats

LEAST: Final = 1e-3  # of the strongest line: fainter lines are left out of a model
AROUND_A: Final = 1.0  # lines so far outside of an instrument's range may reach into it


@dataclass(frozen=True, slots=True, eq=False)
class Coronae:
    """S coronae, each of M temperatures, and what line data and instrument are wrong by. Make it with `of`.

    norm is apec's: 1e-14 / (4 pi D^2) int n_e n_H dV (cm) at each temperature (`norm_of` gives it).
    """

    log_t: Floats  # (S, M) log10 of kelvin: 1 for an isothermal corona, nodes of a DEM
    norm: Floats  # (S, M)
    log_n: Floats  # (S,) log10 of electrons cm-3
    abundance: Floats  # (S, E) against the table's, by element of the model
    shift_kms: Floats  # (S,) redshift positive
    sigma_kms: Floats  # (S,) broadening of the star's own
    exposure_s: Floats  # (S,)
    background: Floats  # (S,) counts s-1 A-1
    line_factor: Floats  # (S, L) or (1, L): what each emissivity is off by
    area_factor: Floats  # (S, B) or (1, B): what the area is off by

    @classmethod
    def of(cls, model: "Forward", log_t: ArrayLike, norm: ArrayLike, log_n: ArrayLike, **rest: ArrayLike) -> "Coronae":
        """Return coronae for a model; rest: any of the other fields, 1 or 0 where not given.

        log_t, norm: (S, M), (S,) or (), as they fit each other and log_n (S,) or (); each of rest (S, ...) or one for
        all. Raises ConfigError for shapes that do not fit and for numbers below 0.
        """
        density, t, norms = np.atleast_1d(np.asarray(log_n, float)), _deep(log_t), _deep(norm)
        try:
            size, depth = np.broadcast_shapes((*density.shape, 1), t.shape, norms.shape)
        except ValueError:
            shapes_given = ", ".join(str(x.shape) for x in (t, norms, density))
            raise ConfigError(f"coronae: log_t, norm, log_n: {shapes_given}; expected (S, M), (S, M), (S,)") from None
        if unknown := set(rest) - set(_FALLBACK):
            raise ConfigError(f"coronae: {', '.join(sorted(unknown))}: expected {', '.join(_FALLBACK)}")
        given = {"log_t": t, "norm": norms, "log_n": density, **_FALLBACK, **rest}
        wide = {"line_factor": len(model.lines), "area_factor": len(model.instrument.area_cm2)}
        shapes = {"log_t": (size, depth), "norm": (size, depth), "abundance": (size, len(model.elements))}
        for name, width in wide.items():
            shapes[name] = (size if np.ndim(given[name]) == 2 and len(np.asarray(given[name])) > 1 else 1, width)
        return cls(**{name: _fitted(name, value, shapes.get(name, (size,))) for name, value in given.items()})

    def __len__(self) -> int:
        return len(self.log_n)

    def take(self, rows: ArrayLike) -> "Coronae":
        """Return some of them."""
        at = np.asarray(rows)
        own = {name: getattr(self, name) for name in self.__slots__}
        return replace(self, **{name: v if len(v) == 1 < len(self) else v[at] for name, v in own.items()})


_FALLBACK: Final = {
    "abundance": 1.0,
    "shift_kms": 0.0,
    "sigma_kms": 0.0,
    "exposure_s": 1.0,
    "background": 0.0,
    "line_factor": 1.0,
    "area_factor": 1.0,
}
_SIGNED: Final = ("log_t", "log_n", "shift_kms")


def _deep(values: ArrayLike) -> Floats:
    """Return values by spectrum, (S, M) from (S, M), (S,) or ()."""
    array = np.asarray(values, float)
    return array if array.ndim == 2 else np.atleast_1d(array)[:, None]


def _fitted(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    array = np.asarray(values, float)
    try:
        full = np.ascontiguousarray(np.broadcast_to(array, shape))
    except ValueError:
        raise ConfigError(f"coronae: {name}: {array.shape}; expected {shape}") from None
    if not np.all(np.isfinite(full)) or (name not in _SIGNED and np.any(full < 0)):
        least = "" if name in _SIGNED else ", none below 0"
        raise ConfigError(f"coronae: {name}: expected finite numbers{least}")
    return full


@dataclass(frozen=True, slots=True, eq=False)
class Forward:
    """The model of an instrument's spectra. Make it with `through`: its lines are those of the instrument's range."""

    instrument: Instrument
    lines: LineTable
    continuum: Continuum
    nodes: tuple[Any, Any]  # of the continuum's wavelengths for each bin: row and fraction (B,)
    sigma_a: Floats  # (L,) of the instrument at each line

    @classmethod
    def through(
        cls,
        instrument: Instrument,
        lines: LineTable | None = None,
        continuum: Continuum | None = None,
        least: float = LEAST,
    ) -> "Forward":
        """Return the model; tables: those shipped. Lines below `least` of the strongest are left out (0: none)."""
        low, high = instrument.edges_a[[0, -1]]
        table = (lines or shipped_lines()).select(low - AROUND_A, high + AROUND_A, least)
        light = continuum or shipped_continuum()
        if len(light.log_t) != len(table.log_t) or not np.allclose(light.log_t, table.log_t):
            raise ConfigError("corona: expected a continuum at the temperatures of the line table")
        if missing := set(table.elements) - set(light.elements):
            raise ConfigError(f"corona: no continuum of {', '.join(sorted(missing))}")
        at = np.log(light.wavelength_a)
        x = np.interp(np.log(instrument.middle_a), at, np.arange(len(at), dtype=float))
        row = np.minimum(x.astype(np.int64), len(at) - 2)
        near = slice(int(row.min(initial=0)), int(row.max(initial=0)) + 2)  # only what the bins need
        kept = replace(
            light, wavelength_a=light.wavelength_a[near], ln_photons=np.ascontiguousarray(light.ln_photons[:, :, near])
        )
        return cls(instrument, table, kept, (row - near.start, x - row), instrument.sigma_a(table.wavelength_a))

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements whose abundances the model has, (E,)."""
        return self.continuum.elements

    @property
    def element_rows(self) -> Any:
        """Row of each line's element in `elements`, (L,)."""
        return np.array([self.elements.index(name) for name in self.lines.element.tolist()], dtype=np.int64)

    def line_photons(self, coronae: Coronae) -> Floats:
        """Return photons cm-2 s-1 of each line, (S, L)."""
        i, x, j, y = self.lines.place(coronae.log_t, coronae.log_n)
        out = np.zeros((len(coronae), len(self.lines)))
        line_light(self.lines.ln_photons, (i, x), (j, y), coronae.norm, coronae.line_factor, out)
        return out * coronae.abundance[:, self.element_rows]

    def continuum_photons(self, coronae: Coronae) -> Floats:
        """Return photons cm-2 s-1 of the continuum in each bin, (S, B)."""
        i, x, _, _ = self.lines.place(coronae.log_t, coronae.log_n)
        nodes = np.zeros((len(coronae), len(self.continuum.wavelength_a)))
        continuum_light(self.continuum.ln_photons, (i, x), coronae.norm, coronae.abundance, nodes)
        out = np.zeros((len(coronae), len(self.instrument.area_cm2)))
        to_bins(nodes, *self.nodes, self.instrument.width_a, out)
        return out

    def photons(self, coronae: Coronae, line_photons: Floats | None = None) -> Floats:
        """Return photons cm-2 s-1 in each bin, (S, B), lines as wide as instrument and star make them.

        line_photons: (S, L), where they are known already.
        """
        light = self.line_photons(coronae) if line_photons is None else line_photons
        out = self.continuum_photons(coronae)
        moved = coronae.shift_kms, coronae.sigma_kms
        spread_lines(light, self.lines.wavelength_a, self.sigma_a, moved, self.instrument.edges_a, out)
        return out

    def counts(self, coronae: Coronae, line_photons: Floats | None = None) -> Floats:
        """Return expected counts, (S, B), of a camera (S, channels)."""
        caught = self.photons(coronae, line_photons) * (self.instrument.area_cm2 * coronae.area_factor)
        background, exposure = coronae.background[:, None], coronae.exposure_s[:, None]
        if self.instrument.response is None:
            return (caught + background * self.instrument.width_a) * exposure
        response = self.instrument.response
        counts = np.array([response.fold(row[::-1]) for row in caught])
        width = np.abs(12.39841984 / response.e_min_kev.clip(0.05) - 12.39841984 / response.e_max_kev.clip(0.05))
        return (counts + background * width) * exposure

    def line_counts(self, coronae: Coronae, line_photons: Floats | None = None) -> Floats:
        """Return expected counts in all of each line, (S, L); lines outside of the instrument's range have none."""
        light = self.line_photons(coronae) if line_photons is None else line_photons
        return light * self.line_area_cm2 * coronae.exposure_s[:, None]

    @property
    def line_area_cm2(self) -> Floats:
        """Effective area at each line, (L,), without the star's shift and without an area that is off."""
        edges, at = self.instrument.edges_a, self.lines.wavelength_a
        area = self.instrument.area_cm2
        if self.instrument.response is not None:
            area = self.instrument.response.dense().sum(axis=1)[::-1]
        bins = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(area) - 1)
        return np.where((at >= edges[0]) & (at < edges[-1]), area[bins], 0.0)


def norm_of(emission_measure_cm3: ArrayLike, distance_pc: float) -> Floats:
    """Return apec's norm of int n_e n_H dV, cm-3 (any shape), at a distance."""
    cm = distance_pc * 3.0856775815e18
    return np.asarray(emission_measure_cm3, float) * (1e-14 / (4 * np.pi * cm * cm))
