"""Photoelectric effect and Rayleigh scattering: xraylib's tables in the format of Geant4's epics2017."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.extra import import_xraylib

LOWEST_MEV = 1.0e-4  # xraylib's tables begin here
FIT_MEV, HIGH_FIT_MEV = 0.08, 0.5  # above (and above the K edge): one polynomial, above again: another
TOP_MEV = 0.8  # xraylib's tables end here
HYDROGEN_EDGE_MEV = 13.6e-6
BARN_TO_MM2 = 1e-22


def write(folder: Path, elements: Iterable[int]) -> None:
    """Write `phot/pe-*-<Z>.dat` and `rayl/re-cs-<Z>.dat` for every element."""
    xraylib = import_xraylib()
    for below in ("phot", "rayl"):
        (folder / below).mkdir(parents=True, exist_ok=True)
    for element in elements:
        _Element(xraylib, element).write(folder / "phot")
        energy = np.geomspace(LOWEST_MEV, TOP_MEV, 120)
        scattered = [e * e * _value(xraylib.CSb_Rayl, element, e * 1e3) * BARN_TO_MM2 for e in energy]
        (folder / "rayl" / f"re-cs-{element}.dat").write_text(_table(energy, scattered))


class _Element:
    """Shells and cross-sections of one element; energies in MeV, cross-sections in barn."""

    def __init__(self, xraylib: Any, element: int) -> None:
        self.xraylib, self.element = xraylib, element
        self.shells = [(s, e) for s in range(9) if (e := self._edge(s)) > 0 and self.of_shell(s, max(3 * e, 2e-3)) > 0]
        self.shells = self.shells or [(0, HYDROGEN_EDGE_MEV)]
        self.fit_mev = max(FIT_MEV, 1.02 * self.shells[0][1])  # gold's K edge is at 80.7 keV

    def _edge(self, shell: int) -> float:
        return _value(self.xraylib.EdgeEnergy, self.element, shell) * 1e-3

    def total(self, energy: float) -> float:
        return _value(self.xraylib.CSb_Photo, self.element, max(energy, LOWEST_MEV) * 1e3)

    def of_shell(self, shell: int, energy: float) -> float:
        return _value(self.xraylib.CSb_Photo_Partial, self.element, shell, energy * 1e3)

    def write(self, folder: Path) -> None:
        """Write the five files. Tables hold E^3 sigma; fits are polynomials of 1/E, cumulative over the shells."""
        above = np.geomspace(max(self.shells[0][1] * 1.0000001, 1.1e-4), self.fit_mev * 1.2, 70)
        name = f"{self.element}.dat"
        (folder / f"pe-cs-{name}").write_text(_table(above, self._cubed(self.total, above)))
        for kind, begin, fit in (("low", self.fit_mev, self._low_fit()), ("high", HIGH_FIT_MEV, self._high_fit())):
            (folder / f"pe-{kind}-{name}").write_text(self._fits(begin, fit))
        if len(self.shells) > 1:
            (folder / f"pe-ss-cs-{name}").write_text(self._subshells())
            below = self._between_edges()
            (folder / f"pe-le-cs-{name}").write_text(_table(below, self._cubed(self.total, below)))

    def _cubed(self, section: Callable[[float], float], energies: NDArray[np.float64]) -> list[float]:
        return [e**3 * max(section(e), 1e-30) for e in energies.tolist()]

    def _low_fit(self) -> NDArray[np.float64]:
        lowest = max(self.fit_mev * 0.9, self.shells[0][1] * 1.0001)
        energy = np.geomspace(lowest, HIGH_FIT_MEV * 1.1, 40)
        return _polynomial(energy, np.array([self.total(e) for e in energy.tolist()]), range(6))

    def _high_fit(self) -> NDArray[np.float64]:
        energy = np.geomspace(HIGH_FIT_MEV * 0.8, TOP_MEV, 30)
        section = np.array([self.total(e) for e in energy.tolist()])
        fit = _polynomial(energy, section, range(4))
        if fit[0] <= 0:  # far above the tables the cross-section falls as 1/E and stays positive
            fit = _polynomial(energy, section, (1, 2))
            fit[0] = 0.05 * abs(fit[1])
        return fit

    def _fits(self, begin: float, fit: NDArray[np.float64]) -> str:
        shells = len(self.shells)
        share = np.cumsum([self.of_shell(s, self.fit_mev) for s, _ in self.shells])
        share = share / share[-1] if share[-1] > 0 else np.linspace(1 / shells, 1, shells)
        lines = [f"{shells} {shells} {begin:.6g}"]
        for (_, edge), part in zip(self.shells, share, strict=True):
            lines.append(f"{edge:.6g} " + " ".join(f"{part * c:.8g}" for c in fit))
        return "\n".join(lines) + "\n"

    def _subshells(self) -> str:
        lines = []
        for i, (shell, edge) in enumerate(self.shells):
            energy = np.geomspace(edge * 1.0000001, self.fit_mev * 1.2, 60)
            values = [e**3 * max(self.of_shell(shell, e), 1e-30) for e in energy.tolist()]
            lines.append(f"{energy[0]:.8g} {energy[-1]:.8g} {energy.size} {i}")
            lines += [f"{e:.8g} {v:.6g}" for e, v in zip(energy, values, strict=True)]
        return "\n".join(lines) + "\n"

    def _between_edges(self) -> NDArray[np.float64]:
        edges = sorted({edge for _, edge in self.shells} | {LOWEST_MEV})
        parts = [np.geomspace(a * 1.0000001, b * 0.9999999, 40) for a, b in pairwise(edges)]
        return np.concatenate([[edges[0]], *parts])


def _polynomial(
    energy: NDArray[np.float64], section: NDArray[np.float64], powers: Iterable[int]
) -> NDArray[np.float64]:
    """Return the six coefficients c_i of sigma E = sum c_i E^-i, fitted for equal relative errors."""
    powers = list(powers)
    weight = 1 / (section * energy)
    terms = np.vstack([energy ** -float(power) for power in powers]).T * weight[:, None]
    fit = np.zeros(6)
    fit[powers] = np.linalg.lstsq(terms, np.ones(energy.size), rcond=None)[0]
    return fit


def _table(energy: NDArray[np.float64], values: list[float]) -> str:
    head = f"{energy[0]:.8g} {energy[-1]:.8g} {energy.size}\n{energy.size}\n"
    return head + "".join(f"{e:.8g} {v:.6g}\n" for e, v in zip(energy.tolist(), values, strict=True))


def _value(function: Callable[..., float], *arguments: float) -> float:
    """Return 0 where xraylib has no value (it raises ValueError)."""
    try:
        return float(function(*arguments))
    except ValueError:
        return 0.0
