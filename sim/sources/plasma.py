"""The table of thermal plasma spectra that the spectral engine's `apec` interpolates.

    python -m sim.sources.plasma OUT --ions chianti_10.1_key_ions.tar.gz --gofnt chianti_gofnt.npz

Ions with collision data in the CHIANTI tar are solved here (levels.py); those without come from the emissivities
`gofnt` (strongest lines, log T 5.8 to 7.3), continued to other temperatures; H- and He-like ions and satellites that
neither has are scaled along their sequence (sequence.py). Continua: continuum.py. Lines have no width.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from config.errors import ConfigError
from sim.sources.abundances import ASPL, NAMES, SETS, split_ion
from sim.sources.chianti import K_KEV, RYDBERG_KEV, Database, Ion
from sim.sources.continuum import Gaunt, free_bound, free_free, recombine, two_photon
from sim.sources.emissivities import Emissivities
from sim.sources.levels import Lines, cascade
from sim.sources.sequence import BORROWED, SATELLITES, SATELLITES_FROM, borrow, borrow_satellites, resonance_kev
from sim.sources.weak import NEIGHBOURS, count_strong, move, weak

Floats = NDArray[np.float64]
NORM: Final = 1e14  # norm 1 of XSPEC's apec: emission measure / (4 pi D^2) = 1e14 cm-5
TRACE: Final = 1e-7  # share of an element below which an ion is left out
GROUND_WEIGHT: Final = (1, 2, 1, 2, 1, 2, 1, 4, 5, 4, 1, 2, 1)  # 2J + 1 by number of electrons
LOG_T: Final = np.round(np.arange(5.6, 8.5001, 0.025), 3)
EDGES_KEV: Final = np.concatenate(
    [np.arange(100, 2000, 5), np.arange(2000, 8000, 10), np.arange(8000, 15001, 20)]
) / np.float64(1000)


class Plasma:
    """Spectra of a plasma in ionisation equilibrium at low density: `photons()` for all temperatures and bins.

    Without `emissivities` it has the lines of the tar's ions only.
    """

    def __init__(
        self,
        database: Database,
        emissivities: Emissivities | None,
        log_t: Floats,
        edges_kev: Floats,
        abundances: Mapping[int, float] = ASPL,
    ) -> None:
        """log_t: (k,) log10 K; edges_kev: (n + 1,) rising; abundances by number against hydrogen, by charge."""
        self.database, self.emissivities, self.abundances = database, emissivities, abundances
        self.temperature, self.edges = 10.0**log_t, edges_kev
        self.log_t = log_t
        self.gaunt = Gaunt(database.text("continuum/gffgu.dat"), database.text("continuum/itoh.dat"))

    def photons(self) -> Floats:
        """Return (k, n) photons cm-2 s-1 per bin for norm 1."""
        return NORM * (self.continuum() + self.lines())

    def share(self, charge: int, stage: int) -> Floats:
        """Return ions of this stage for each hydrogen nucleus (k,)."""
        known = self.database.fractions.get((charge, stage))
        if known is None:
            return np.zeros_like(self.log_t)
        spline = CubicSpline(self.database.log_t, np.log(np.maximum(known, 1e-40)))
        found = np.exp(np.minimum(spline(self.log_t), 0.0))
        return self.abundances[charge] * np.where(found > TRACE, found, 0.0)

    def continuum(self) -> Floats:
        """Return free-free and free-bound (k, n), cm3 s-1 per electron and hydrogen nucleus."""
        total = np.zeros((len(self.log_t), len(self.edges) - 1))
        for charge in self.abundances:
            for stage in range(2, charge + 2):
                ions, potential = self.share(charge, stage), self.database.potential_kev[charge, stage - 1]
                for k in np.flatnonzero(ions):
                    t = float(self.temperature[k])
                    spectrum = free_free(self.edges, t, stage - 1, self.gaunt)
                    spectrum += free_bound(self.edges, t, stage - 1, charge - stage + 2, potential)
                    total[k] += ions[k] * spectrum
        return total

    def lines(self) -> Floats:
        """Return lines and two-photon continua (k, n), cm3 s-1 per electron and hydrogen nucleus."""
        total = np.zeros((len(self.log_t), len(self.edges) - 1))
        own = set(self.database.ions)
        borrowed = {name for name, source in BORROWED.items() if source in own} - own
        given = self.emissivities.ions - own - borrowed if self.emissivities else set()
        for name in sorted(own | borrowed | given):
            if split_ion(name)[0] not in self.abundances:
                continue
            if self.emissivities and name in given:
                energy, rate = self.emissivities.rates(name, self.log_t)
                self.add_lines(total, energy, rate * self.share(*split_ion(name)))
                self.add_weak(total, name)
            else:
                self.add(total, name, self.ion(name))
        self.add_satellites(total, own)
        return total

    def add_satellites(self, total: Floats, own: set[str]) -> None:
        """Add the satellites of Li-like ions that have no autoionisation rates of their own."""
        if SATELLITES_FROM not in own or next_stage(SATELLITES_FROM) not in own:
            return
        source, known = self.ion(SATELLITES_FROM), own | set(BORROWED)
        line = resonance_kev(self.ion(next_stage(SATELLITES_FROM)))
        for name in SATELLITES:
            if split_ion(name)[0] in self.abundances and name not in own and next_stage(name) in known:
                ratio = resonance_kev(self.ion(next_stage(name))) / line
                potential = self.database.potential_kev[split_ion(name)]
                self.add(total, name, borrow_satellites(source, name, ratio, potential))

    def ion(self, name: str) -> Ion:
        """Return an ion of the tar, or one scaled from its neighbour."""
        if name in self.database.ions:
            return self.database.ion(name, *split_ion(name))
        source = BORROWED[name]
        potential = self.database.potential_kev[split_ion(name)]
        return borrow(self.database.ion(source, *split_ion(source)), name, potential)

    def add(self, total: Floats, name: str, ion: Ion) -> None:
        """Add lines and two-photon continua of one ion of the solver to total (k, n)."""
        charge, stage = split_ion(name)
        ions, next_ions = self.share(charge, stage), self.share(charge, stage + 1)
        found = self.solve(charge, stage, ion, next_ions / np.where(ions > 0, ions, 1.0))
        self.add_lines(total, found.energy_kev, found.rate * ions)
        for energy, rate in zip(found.pair_energy_kev, found.pair_rate, strict=True):
            total += (rate * ions)[:, None] * two_photon(self.edges, energy)

    def add_weak(self, total: Floats, name: str) -> None:
        """Add the weak lines of an ion of which only the strongest are given, as the mean of its neighbours'."""
        neighbours = [other for other in NEIGHBOURS.get(name, ()) if other in self.database.ions]
        own = self.database.potential_kev[split_ion(name)]
        for other in neighbours:
            charge, stage = split_ion(other)
            lines = self.solve(
                charge, stage, replace(self.ion(other), recombination=[], autoionisation=[]), 0 * self.log_t
            )
            strong = self.emissivities.rates(other, self.log_t)[0] if self.emissivities else np.zeros(0)
            energy, rate = weak(lines, count_strong(strong))
            energy = move(energy, self.database.potential_kev[charge, stage], own)
            self.add_lines(total, energy, rate * self.share(*split_ion(name)) / len(neighbours))

    def solve(self, charge: int, stage: int, ion: Ion, above: Floats) -> Lines:
        """Return the lines of one ion; above: (k,) ions of the next stage for each of this."""
        electrons = charge - stage + 1
        extra = hydrogen_like(ion, charge, self.temperature) if electrons == 1 else {}
        return cascade(ion, self.temperature, above, GROUND_WEIGHT[electrons - 1], extra)

    def add_lines(self, total: Floats, energy_kev: Floats, rate: Floats) -> None:
        """Add rate (m, k) of lines at energy_kev (m,) to their bins."""
        place = np.searchsorted(self.edges, energy_kev, side="right") - 1
        inside = (place >= 0) & (place < total.shape[1])
        np.add.at(total.T, place[inside], rate[inside])


def next_stage(name: str) -> str:
    """Return the next stage of an ion: "fe_24" -> "fe_25"."""
    return f"{name.partition('_')[0]}_{split_ion(name)[1] + 1}"


def hydrogen_like(ion: Ion, charge: int, temperature: Floats) -> dict[int, Floats]:
    """Return recombination (k,) cm3 s-1 of the bare nucleus into each excited level: shells by weight.

    Shells above the highest that the ion has come down through it.
    """
    shell = {level: round((1 - e / ion.potential_kev) ** -0.5) for level, e in ion.energy_kev.items()}
    top = max(shell.values())
    rates = {n: _shell_rate(charge, n, temperature) for n in range(2, 2 * top + 10)}
    rates[top] = sum((rates[n] for n in rates if n >= top), np.zeros_like(temperature))
    return {level: rates[n] * ion.weight[level] / (2 * n * n) for level, n in shell.items() if n > 1}


def _shell_rate(charge: int, n: int, temperature: Floats) -> Floats:
    binding = charge**2 * RYDBERG_KEV / n**2
    edges = binding + np.concatenate([[0], np.geomspace(1e-5 * charge**2, 60 * K_KEV * temperature.max(), 600)])
    return np.array([recombine(edges, float(t), n, binding, 2.0 * n * n).sum() for t in temperature])


def write(path: Path, spectra: tuple[Floats, Floats], log_t: Floats, edges_kev: Floats, about: dict[str, str]) -> None:
    """Write the table as npz without pickle: log_t, edges_kev, photons, metals (float32), about (JSON text).

    spectra: photons of hydrogen and helium, and of the metals, (k, n) each; `photons` is their sum, `metals` the part
    that goes with the abundance of metals.
    """
    light, metals = spectra
    np.savez_compressed(
        path,
        log_t=log_t.astype(np.float32),
        edges_kev=edges_kev.astype(np.float32),
        photons=(light + metals).astype(np.float32),
        metals=metals.astype(np.float32),
        about=np.array(json.dumps(about)),
    )


def describe(arguments: argparse.Namespace) -> dict[str, str]:
    """Return what a reader of the table must know."""
    names = (
        f"--ions {Path(arguments.ions).name} --gofnt {Path(arguments.gofnt).name} --abundances {arguments.abundances}"
    )
    return {
        "abundances": f"{arguments.abundances} (XSPEC's name): {NAMES[arguments.abundances]}",
        "norm": "photons cm-2 s-1 per bin for 1e-14 / (4 pi (D_A (1 + z))^2) int n_e n_H dV = 1 cm-5",
        "density": "low (coronal limit); ionisation equilibrium of CHIANTI 10.1",
        "command": f"python -m sim.sources.plasma OUT {names}",
        "sources": "CHIANTI 10.1 levels, rates and collision strengths (Fe XVII, XXI, XXIII and "
        "ions outside of the tar: emissivities of their strongest lines); Sutherland 1998 and Itoh 2000 free-free; "
        "Kramers with Seaton's Gaunt factor and Milne's relation free-bound; Nussbaumer & Schmutz 1984 two-photon",
        "accuracy": "docs/figures/sources_plasma.json",
    }


def main() -> None:
    """Make the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--ions", required=True, help="tar of CHIANTI files")
    parser.add_argument("--gofnt", required=True, help="npz of line emissivities")
    parser.add_argument("--abundances", choices=sorted(SETS), default="aspl", help="solar abundances (as in XSPEC)")
    arguments = parser.parse_args()
    try:
        database = Database(arguments.ions)
        emissivities = Emissivities.read(arguments.gofnt, database.fractions, database.log_t)
    except ConfigError as error:
        parser.exit(2, f"{error}\n")
    own = SETS[arguments.abundances]
    parts = ({z: a for z, a in own.items() if (z > 2) == heavy} for heavy in (False, True))
    light, metals = (Plasma(database, emissivities, LOG_T, EDGES_KEV, part).photons() for part in parts)
    write(arguments.out, (light, metals), LOG_T, EDGES_KEV, describe(arguments))


if __name__ == "__main__":
    main()
