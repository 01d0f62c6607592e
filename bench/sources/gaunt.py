"""Makes stream/spectra/data/gaunt.npz: the thermally averaged free-free Gaunt factor, not relativistic but exact.

    python -m bench.sources.gaunt    (needs mpmath; some minutes)

Karzas & Latter 1961 (ApJS 6, 167), in the notation of van Hoof et al. 2014 (MNRAS 444, 420), eqs. 12-15.
"""

from pathlib import Path

import mpmath
import numpy as np

TABLE = Path(__file__).parents[2] / "stream" / "spectra" / "data" / "gaunt.npz"
LOG_GAMMA2 = np.arange(-4.5, 0.51, 0.25)  # gamma^2 = Z^2 Ry / kT
LOG_U = np.arange(-4.0, 2.01, 0.25)  # u = E / kT
NODES = 24


def gaunt(eta_i: float, eta_f: float) -> float:
    """Return the Gaunt factor between two states of the electron; eta = Z (Ry / E)^0.5, eta_f > eta_i."""
    k_i, k_f = 1 / eta_i, 1 / eta_f
    ratio = 4 * k_i * k_f / (k_i - k_f) ** 2
    phase = mpmath.expj((eta_i + eta_f) * mpmath.log((k_i - k_f) / (k_i + k_f)))

    def integral(order: int) -> float:
        a, b = order + 1 - 1j * eta_f, order + 1 - 1j * eta_i
        wave = mpmath.re(phase * mpmath.hyp2f1(a, b, 2 * order + 2, -ratio))
        gammas = abs(mpmath.gamma(order + 1 + 1j * eta_i) * mpmath.gamma(order + 1 + 1j * eta_f))
        front = ratio ** (order + 1) * mpmath.exp(mpmath.pi * (eta_f - eta_i) / 2)
        return front * gammas / mpmath.factorial(2 * order + 1) * wave / 4

    zero, one = integral(0), integral(1)
    both = (eta_i**2 + eta_f**2 + 2 * eta_i**2 * eta_f**2) * zero
    both -= 2 * eta_i * eta_f * mpmath.sqrt((1 + eta_i**2) * (1 + eta_f**2)) * one
    return float(2 * mpmath.sqrt(3) / (mpmath.pi * eta_i * eta_f) * both * zero)


def averaged(gamma2: float, u: float) -> float:
    """Return the mean over a Maxwellian."""
    nodes, weights = np.polynomial.laguerre.laggauss(NODES)
    etas = [(np.sqrt(gamma2 / (x + u)), np.sqrt(gamma2 / x)) for x in nodes if x < 60]
    return float(sum(w * gaunt(*pair) for w, pair in zip(weights, etas, strict=False)))


def main() -> None:
    """Write the table."""
    mpmath.mp.dps = 25
    table = np.array([[averaged(10**g, 10**u) for u in LOG_U] for g in LOG_GAMMA2])
    np.savez_compressed(TABLE, log_gamma2=LOG_GAMMA2, log_u=LOG_U, log_gaunt=np.log(table).astype(np.float32))
    print(f"{TABLE}: {table.shape}, {table.min():.3f} to {table.max():.3f}")


if __name__ == "__main__":
    main()
