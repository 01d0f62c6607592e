"""Makes stream/spectra/data/tbabs.csv from the table of TBabs (wilm) that the package astromodels carries (BSD-3).

    pip install --no-deps astromodels
    python -m bench.sources.absorption .../astromodels/data/xsect/xsect_tbabs_wilm.fits

A cross section of our own (xraylib, Wilms abundances) agrees within 2 % between the edges, but its edges lie up to
10 eV elsewhere and there it is wrong by tens of per cent: `compare` prints that. So the table is taken, and thinned to
the knots that linear interpolation of the logarithms needs.
"""

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

TABLE = Path(__file__).parents[2] / "stream" / "spectra" / "data" / "tbabs.csv"
TOLERANCE = 5e-4
HEADER = """\
TBabs cross section per H atom, wilm abundances (Wilms, Allen & McCray 2000, ApJ 542, 914), gas, molecules and grains
thinned to 0.05 % from astromodels 2.6.0, data/xsect/xsect_tbabs_wilm.fits, (c) 2015-2025 Giacomo Vianello, BSD-3-Clause
interpolate the logarithms; made by `python -m bench.sources.absorption`
energy_kev,sigma_1e22_cm2"""
WILM = {1: 12.0, 2: 10.99, 6: 8.38, 7: 7.88, 8: 8.69, 10: 7.94, 11: 6.16, 12: 7.40, 13: 6.33, 14: 7.27, 15: 5.42}
WILM |= {16: 7.09, 17: 5.12, 18: 6.41, 20: 6.20, 22: 4.81, 24: 5.51, 25: 5.34, 26: 7.43, 27: 4.92, 28: 6.05}


def thin(x: NDArray[np.float64], y: NDArray[np.float64], tolerance: float) -> NDArray[np.intp]:
    """Return the knots, rising: linear interpolation between them meets every y within the tolerance."""
    keep, todo = {0, len(x) - 1}, [(0, len(x) - 1)]
    while todo:
        a, b = todo.pop()
        wrong = np.abs(np.interp(x[a : b + 1], x[[a, b]], y[[a, b]]) - y[a : b + 1])
        worst = a + int(wrong.argmax())
        if wrong.max() > tolerance:
            keep.add(worst)
            todo += [(a, worst), (worst, b)]
    return np.array(sorted(keep))


def compare(energy_kev: NDArray[np.float64], sigma: NDArray[np.float64]) -> None:
    """Print how far a cross section summed from xraylib's elements is from this one (extra `sim`)."""
    import xraylib

    own = np.zeros(len(energy_kev))
    for z, abundance in WILM.items():
        own += 10 ** (abundance - 14) * np.array([xraylib.CSb_Photo(z, max(e, 0.1001)) for e in energy_kev])
    off = own / sigma - 1
    for low, high in ((0.1, 0.3), (0.3, 0.5), (0.5, 0.6), (0.6, 1), (1, 2), (2, 7), (7, 8), (8, 10), (10, 20)):
        part = off[(energy_kev >= low) & (energy_kev < high)]
        print(f"{low:4}-{high:<4} keV: median {np.median(part):+.2%}, {part.min():+.1%} to {part.max():+.1%}")


def main() -> None:
    """Write the table."""
    table = fits.getdata(sys.argv[1], 1)
    energy, sigma = table["ENERGY"].astype(float), table["SIGMA"].astype(float)
    at = thin(np.log(energy), np.log(sigma), TOLERANCE)
    np.savetxt(TABLE, np.column_stack([energy, sigma])[at], "%.6g", ",", header=HEADER)
    print(f"{TABLE}: {len(at)} knots; sigma(1 keV) = {np.interp(1, energy, sigma):.4f}e-22 cm2")
    compare(energy, sigma)


if __name__ == "__main__":
    main()
