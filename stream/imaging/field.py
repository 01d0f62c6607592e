"""A smooth positive field under an image of counts: the logarithm is a Gaussian field with a Matern spectrum.

The field lives on a grid of cells, wider than the image so that its periodic sides do not meet, and is interpolated
linearly between their centres. In white coordinates xi the logarithm of the rate is mean + A xi, A the filter whose
square is the prior's covariance; the posterior's Hessian is 1 + A W A, W the counts' information per cell. Newton's
method with conjugate gradients, preconditioned by the same Hessian for the mean W, which the Fourier transform inverts.
(Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, chapter 3; Ensslin and Frommert 2011, PRD 83,
105014, for log-normal fields; Ubaru, Chen and Saad 2017, SIAM J. Matrix Anal. Appl. 38, 1075, for the determinant.)
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.fft import irfft2, next_fast_len, rfft2

from stream.imaging.image import Image

Modes = NDArray[np.complex128]  # half of the Fourier modes of a field
Nuisance = Callable[[Image], tuple[Image, Image]]
MEAN_SPREAD = 3.0  # sigma of the prior on the mean logarithm: as good as free
TOLERANCE = 1e-2  # of the residual in conjugate gradients
ITERATIONS = 80  # of conjugate gradients
NEWTON = 25
SETTLED = 5e-4  # largest change of the logarithm in a step that ends it
PROBES, LANCZOS = 6, 12  # random vectors and steps for the determinant
PADDING = 0.25  # of the image's side


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Matern covariance in two dimensions: power (1 + (k length)^2)^-slope."""

    sigma: float  # of the logarithm
    length_px: float
    slope: float  # smoothness nu + 1


class Grid:
    """Cells over an image of (rows, columns), `cell` px wide, and beyond it."""

    def __init__(self, shape: tuple[int, ...], cell: int) -> None:
        self.cell = cell
        number = [-(-side // cell) for side in shape]
        self.inside = number[0], number[1]  # cells of the image itself
        self.shape = tuple(next_fast_len(n + max(4, int(PADDING * n)), real=True) for n in number)
        self._rows, self._columns = (_interpolation(n, cell, m) for n, m in zip(shape, self.shape, strict=True))
        ky, kx = np.fft.fftfreq(self.shape[0]), np.fft.rfftfreq(self.shape[1])
        self._k2 = (2 * np.pi / cell) ** 2 * (ky[:, None] ** 2 + kx[None] ** 2)
        self._twice = np.full(self._k2.shape, 2.0)  # the half of the modes that is kept stands for both
        self._twice[:, 0] = 1.0
        if self.shape[1] % 2 == 0:
            self._twice[:, -1] = 1.0

    def to_pixels(self, cells: Image) -> Image:
        """Interpolate a field to the image's pixels."""
        return np.asarray((self._columns @ (self._rows @ cells).T).T)

    def to_cells(self, pixels: Image) -> Image:
        """Return the transpose of `to_pixels`: sums of pixels over cells."""
        return np.asarray((self._columns.T @ (self._rows.T @ pixels).T).T)

    def amplitude(self, spectrum: Spectrum) -> Image:
        """Return the filter A in Fourier space."""
        power = (1 + self._k2 * spectrum.length_px**2) ** -spectrum.slope
        power[0, 0] = 0.0
        number = self.shape[0] * self.shape[1]
        power *= spectrum.sigma**2 * number / float(np.sum(self._twice * power))
        power[0, 0] = MEAN_SPREAD**2 * number
        return np.sqrt(power)

    def to_modes(self, cells: Image) -> Modes:
        """Return the half of the Fourier transform of a real field that says all."""
        return np.asarray(rfft2(cells))

    def of_modes(self, modes: Modes) -> Image:
        """Return the field of these modes."""
        return np.asarray(irfft2(modes, self.shape))

    def dot(self, u: Modes, v: Modes) -> float:
        """Return the sum of the product of two fields, given as modes."""
        both = u.real * v.real + u.imag * v.imag
        return float(np.vdot(self._twice, both)) / (self.shape[0] * self.shape[1])

    def trace(self, filter_: Image) -> float:
        """Return the sum of a filter over all modes."""
        return float(np.vdot(self._twice, filter_))


def _interpolation(pixels: int, cell: int, cells: int) -> sparse.csr_array:
    """Return the weights (pixels, cells) of linear interpolation between centres of cells; the grid is periodic."""
    place = (np.arange(pixels) + 0.5) / cell - 0.5
    left = np.floor(place).astype(int)
    right_part = place - left
    row = np.tile(np.arange(pixels), 2)
    column = np.concatenate([left, left + 1]) % cells
    return sparse.csr_array((np.concatenate([1 - right_part, right_part]), (row, column)), shape=(pixels, cells))


@dataclass(slots=True)
class LogField:
    """The field of an image at the maximum of its posterior, once `settle` was called."""

    grid: Grid
    amplitude: Image  # of `Grid.amplitude`
    counts: Image  # (rows, columns)
    exposure: Image  # (rows, columns)
    mean: float  # of the logarithm of the rate, counts per unit of exposure
    xi: Modes  # white coordinates
    weight: Image  # information per cell, of the grid
    value: float = -np.inf  # ln of the posterior, without constants

    @classmethod
    def of(cls, grid: Grid, spectrum: Spectrum, counts: Image, exposure: Image, mean: float) -> "LogField":
        """Return the field at its mean."""
        amplitude = grid.amplitude(spectrum)
        return cls(grid, amplitude, counts, exposure, mean, np.zeros(amplitude.shape, complex), np.zeros(grid.shape))

    def rate(self, xi: Modes) -> Image:
        """Return the rate of every pixel, counts per unit of exposure."""
        log_rate = self.mean + self.grid.to_pixels(self.grid.of_modes(self.amplitude * xi))
        return np.exp(np.clip(log_rate, -50.0, 50.0))

    def settle(self, nuisance: Nuisance | None = None, settled: float = SETTLED) -> None:
        """Go to the maximum, until no step changes the logarithm by more than `settled`.

        nuisance: given the diffuse counts, returns the counts of the sources, and the information that is lost since
        they are not known; None: there are none.
        """
        others = lost = np.zeros(self.counts.shape)
        rate = self.rate(self.xi)
        for _ in range(NEWTON):
            diffuse = rate * self.exposure
            if nuisance:
                others, lost = nuisance(diffuse)
            self.value = self._posterior(self.xi, diffuse, others)
            expected = np.maximum(diffuse + others, 1e-300)
            self.weight = np.maximum(self.grid.to_cells(diffuse**2 / expected - lost), 0.0)
            pull = self.grid.to_cells(diffuse * (self.counts / expected - 1))
            step = self.solve(self.amplitude * self.grid.to_modes(pull) - self.xi)
            length = 1.0
            while length > 1e-3:
                trial = self.xi + length * step
                rate = self.rate(trial)
                value = self._posterior(trial, rate * self.exposure, others)
                if value >= self.value - 1e-6:
                    break
                length /= 2
            else:
                return
            self.xi, self.value = trial, value
            if length * np.abs(self.grid.of_modes(self.amplitude * step)).max() < settled:
                return

    def _posterior(self, xi: Modes, diffuse: Image, others: Image) -> float:
        expected = diffuse + others
        logs = np.log(np.maximum(expected, 1e-300))
        return float(np.vdot(self.counts, logs) - expected.sum() - 0.5 * self.grid.dot(xi, xi))

    def hessian(self, xi: Modes) -> Modes:
        """Return (1 + A W A) xi."""
        weighted = self.weight * self.grid.of_modes(self.amplitude * xi)
        return xi + self.amplitude * self.grid.to_modes(weighted)

    def mean_hessian(self) -> Image:
        """Return the Hessian for the mean weight: a number for each mode."""
        seen = self.weight[self.weight > 0]
        return 1 + self.amplitude**2 * (float(seen.mean()) if seen.size else 0.0)

    def solve(self, right: Modes) -> Modes:
        """Return the inverse Hessian times `right`: preconditioned conjugate gradients."""
        inverse = 1 / self.mean_hessian()
        x, r = np.zeros_like(right), right.copy()
        z = inverse * r
        p, rz = z, self.grid.dot(r, z)
        limit = TOLERANCE**2 * rz
        for _ in range(ITERATIONS):
            if rz <= limit:
                break
            q = self.hessian(p)
            alpha = rz / self.grid.dot(p, q)
            x += alpha * p
            r -= alpha * q
            z = inverse * r
            rz, before = self.grid.dot(r, z), rz
            p = z + (rz / before) * p
        return x

    def samples(self, number: int, seed: int) -> NDArray[np.float64]:
        """Return departures of the logarithm of the rate from its best, (number, grid), drawn from the posterior."""
        rng = np.random.default_rng(seed)
        root = np.sqrt(self.weight)
        found = np.empty((number, *self.grid.shape))
        for k in range(number):
            white, noise = rng.standard_normal((2, *self.grid.shape))
            drawn = self.solve(self.grid.to_modes(white) + self.amplitude * self.grid.to_modes(root * noise))
            found[k] = self.grid.of_modes(self.amplitude * drawn)
        return found

    def evidence(self, seed: int = 0) -> float:
        """Return ln of the evidence by Laplace's approximation, without constants."""
        mean = self.mean_hessian()
        return self.value - 0.5 * (self.grid.trace(np.log(mean)) + self._log_determinant(1 / np.sqrt(mean), seed))

    def _log_determinant(self, root: Image, seed: int) -> float:
        """Return ln det of the preconditioned Hessian: stochastic Lanczos quadrature."""
        rng, total = np.random.default_rng(seed), 0.0
        size = self.weight.size
        for _ in range(PROBES):
            v = self.grid.to_modes(rng.choice([-1.0, 1.0], self.grid.shape) / np.sqrt(size))
            before, beta = np.zeros_like(v), 0.0
            diagonal, beside = [], []
            for _ in range(LANCZOS):
                w = root * self.hessian(root * v)
                alpha = self.grid.dot(w, v)
                w -= alpha * v + beta * before
                diagonal.append(alpha)
                beta = np.sqrt(self.grid.dot(w, w))
                beside.append(beta)
                if beta < 1e-10:
                    break
                before, v = v, w / beta
            matrix = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
            values, vectors = np.linalg.eigh(matrix)
            total += size * float(vectors[0] ** 2 @ np.log(np.maximum(values, 1e-12)))
        return total / PROBES
