"""Where the Galaxy's stars and gas lie along a line of sight: a disc, a barred bulge, and a layer of gas."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SUN_KPC: Final = 8.18  # GRAVITY Collaboration 2019, A&A 625, L10
SUN_ABOVE_KPC: Final = 0.025  # Juric et al. 2008, ApJ 673, 864
DISC_LENGTH_KPC: Final = 2.6  # thin disc, Juric et al. 2008
DISC_LOCAL: Final = 4.0e7  # Msun kpc-3 in stars near the Sun: Robin et al. 2003, A&A 409, 523 (0.04 Msun pc-3)
LAYER_KPC: Final = 0.3  # scale height of the thin disc, Juric et al. 2008, with which DISC_LOCAL is meant
HOLE_KPC: Final = 1.3  # central hole of the disc, where the bulge takes over: Robin et al. 2003 (1.32 kpc)
BULGE_MASS: Final = 1.3e10  # Msun, Dwek et al. 1995, ApJ 445, 716
BULGE_KPC: Final = (1.58, 0.62, 0.43)  # triaxial Gaussian G2 of Dwek et al. 1995
BULGE_VOLUME: Final = 20.65  # integral of exp(-r^2/2), r^4 = (x^2 + y^2)^2 + z^4, over all space
BULGE_ANGLE_DEG: Final = 25.0  # of its long axis, near end at l > 0: Bland-Hawthorn & Gerhard 2016, ARA&A 54, 529
GAS_LOCAL: Final = 1.0  # hydrogen nuclei cm-3 in the plane near the Sun: Kalberla & Kerp 2009, ARA&A 47, 27
GAS_HEIGHT_KPC: Final = 0.125  # Marshall et al. 2006, A&A 453, 635
GAS_LENGTH_KPC: Final = 3.15  # Kalberla & Kerp 2009
GAS_HOLE_KPC: Final = 3.0  # inside, there is less again, but for the central molecular zone: Misiriotis et al. 2006
CM_PER_KPC: Final = 3.0857e21
DEG: Final = np.pi / 180
DISTANCES_KPC: Final = np.geomspace(0.01, 25.0, 321)  # edges of the steps of every line of sight


@dataclass(frozen=True, slots=True)
class Sight:
    """A line of sight, in steps of distance."""

    l_deg: float
    b_deg: float
    edge_kpc: Floats  # (n + 1,)
    disc: Floats  # (n,) Msun sr-1 of stars in each step, before the layer of a population thins them out
    bulge: Floats  # (n,) Msun sr-1
    height_kpc: Floats  # (n,) above the plane, negative below
    nh: Floats  # (n,) 1e22 cm-2, up to the middle of each step

    @property
    def middle_kpc(self) -> Floats:
        """(n,) middle of each step."""
        return np.sqrt(self.edge_kpc[1:] * self.edge_kpc[:-1])

    @property
    def column(self) -> float:
        """The gas of the whole Galaxy, 1e22 cm-2: what an AGN shines through."""
        return float(self.nh[-1])

    def stars(self, layer_kpc: float, share_of_bulge: float = 1.0) -> Floats:
        """Return the stars of each step, (n,) Msun sr-1, of a disc with this scale height and of the bulge.

        The disc's mass does not depend on the height: a thinner one is denser in the plane.
        """
        thin = np.exp(-np.abs(self.height_kpc) / layer_kpc) * (LAYER_KPC / layer_kpc)
        return self.disc * thin + share_of_bulge * self.bulge


def look(l_deg: float, b_deg: float) -> Sight:
    """Return the line of sight at a Galactic longitude and latitude, degrees."""
    edge = DISTANCES_KPC
    d = np.sqrt(edge[1:] * edge[:-1])
    x, y, z = _places(l_deg, b_deg, d)
    radius = np.hypot(x, y)
    volume = (edge[1:] ** 3 - edge[:-1] ** 3) / 3  # kpc3 sr-1
    disc = DISC_LOCAL * (_profile(radius) / _profile(np.array([SUN_KPC]))) * volume
    gas = GAS_LOCAL * np.exp(-(radius - SUN_KPC) / GAS_LENGTH_KPC - np.abs(z) / GAS_HEIGHT_KPC)
    gas = np.where(radius < GAS_HOLE_KPC, gas * np.exp(-(GAS_HOLE_KPC - radius)), gas)
    each = gas * np.diff(edge) * CM_PER_KPC / 1e22
    nearest = GAS_LOCAL * edge[0] * CM_PER_KPC / 1e22
    nh = nearest + np.cumsum(each) - each / 2
    return Sight(l_deg, b_deg, edge, disc, _bulge(x, y, z) * volume, z, nh)


def _profile(radius: Floats) -> Floats:
    return np.exp(-radius / DISC_LENGTH_KPC) - np.exp(-radius / HOLE_KPC)


def _places(l_deg: float, b_deg: float, d: Floats) -> tuple[Floats, Floats, Floats]:
    """Return x (from the centre towards the Sun), y (towards l = 90 deg) and z, kpc, (n,) each."""
    flat = d * np.cos(b_deg * DEG)
    x = SUN_KPC - flat * np.cos(l_deg * DEG)
    return x, flat * np.sin(l_deg * DEG), SUN_ABOVE_KPC + d * np.sin(b_deg * DEG)


def _bulge(x: Floats, y: Floats, z: Floats) -> Floats:
    """Return Msun kpc-3: exp(-r^2 / 2) with r^4 = ((x'/a)^2 + (y'/b)^2)^2 + (z/c)^4 (Dwek et al. 1995, eq. 3a)."""
    a, b, c = BULGE_KPC
    angle = BULGE_ANGLE_DEG * DEG
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    square = np.sqrt(((along / a) ** 2 + (across / b) ** 2) ** 2 + (z / c) ** 4)
    return BULGE_MASS / (BULGE_VOLUME * a * b * c) * np.exp(-square / 2)
