"""How deep X-rays go into silicon, and what leaves it again as fluorescence.

`python -m sim.silicon` makes the table `sim/data/silicon.csv` from xraylib (Schoonjans et al. 2011, Spectrochim. Acta
B 66, 776): photoelectric absorption only, for scattered photons leave next to no charge below 30 keV.
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

TABLE = Path(__file__).parent / "data" / "silicon.csv"
RANGE_EV = (100.0, 30_000.0)  # xraylib's tables begin at 100 eV

# xraylib 4.3: edge, fluorescence yield, and the lines with their shares of the K fluorescence.
K_EDGE_EV = 1838.9  # the table's is 0.1 eV higher
K_YIELD = 0.0504
K_ALPHA_EV, K_BETA_EV = 1739.8, 1835.9
K_BETA_SHARE = 0.027


def absorption_um(energy_ev: ArrayLike) -> NDArray[np.float64]:
    """Return the 1/e depth of photoelectric absorption, um, of the shape of `energy_ev`; beyond 0.1-30 keV its ends."""
    energy, depth, _ = _table()
    return np.exp(np.interp(np.log(energy_ev), np.log(energy), np.log(depth)))


def k_share(energy_ev: ArrayLike) -> NDArray[np.float64]:
    """Return the share of absorbed photons that the K shell absorbs, of the shape of `energy_ev`: 0 below its edge."""
    energy, _, share = _table()
    return np.interp(np.asarray(energy_ev, float), energy, share)


def draw_depth_um(energy_ev: NDArray[np.floating[Any]], within_um: float, rng: Generator) -> NDArray[np.float64]:
    """Return the depth at which each photon is absorbed, um; none deeper than `within_um` (inf: any depth)."""
    scale = absorption_um(energy_ev)
    return -scale * np.log1p(rng.random(scale.size) * np.expm1(-within_um / scale))


def draw_fluorescence_ev(energy_ev: NDArray[np.floating[Any]], rng: Generator) -> NDArray[np.float64]:
    """Return the energy of the K line that each absorbed photon sends out, eV; 0 for most."""
    n = len(energy_ev)
    line = np.where(rng.random(n) < K_BETA_SHARE, K_BETA_EV, K_ALPHA_EV)
    return np.where(rng.random(n) < k_share(energy_ev) * K_YIELD, line, 0)


@cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    energy, depth, share = np.loadtxt(TABLE, delimiter=",", skiprows=2, unpack=True)
    return energy, depth, share


def write_table(path: Path = TABLE) -> None:
    """Write the table from xraylib. Raises ConfigError where xraylib is not installed."""
    from sim.extra import import_xraylib

    xraylib = import_xraylib()
    silicon, density = 14, xraylib.ElementDensity(14)

    def depth_um(energy_ev: float) -> float:
        return 1e4 / (density * float(xraylib.CS_Photo(silicon, energy_ev / 1000)))

    below, above = _jump(depth_um, K_EDGE_EV - 5, K_EDGE_EV + 5)

    def share(energy_ev: float) -> float:
        if energy_ev < above:
            return 0.0
        in_k = xraylib.CS_Photo_Partial(silicon, xraylib.K_SHELL, energy_ev / 1000)
        return float(in_k / xraylib.CS_Photo_Total(silicon, energy_ev / 1000))

    energies = np.geomspace(*RANGE_EV, 400)
    energies = np.sort(np.concatenate([energies[(energies < below) | (energies > above)], [below, above]]))
    lines = ["# Silicon, made by python -m sim.silicon from xraylib", "energy_ev,absorption_um,k_share"]
    lines += [f"{e:.3f},{depth_um(e):.6g},{share(e):.5f}" for e in energies.tolist()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _jump(function: Any, low: float, high: float) -> tuple[float, float]:
    """Return the two sides of the one step of a function between `low` and `high`, 2 meV apart."""
    while high - low > 0.002:
        middle = (low + high) / 2
        left, right = (abs(np.log(function(middle) / function(end))) for end in (low, high))
        low, high = (low, middle) if left > right else (middle, high)
    return low, high


if __name__ == "__main__":
    write_table()
