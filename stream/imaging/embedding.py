"""Diffusion maps: coordinates in which sources that look alike are near, whatever the number of features.

Coifman and Lafon 2006, Appl. Comput. Harmon. Anal. 21, 5. A Gaussian kernel exp(-d^2 / epsilon) on the scaled features,
divided by the density to the power alpha (1: the geometry alone counts, not how many sources lie where), made a random
walk; its eigenvectors times their eigenvalues are the coordinates. The kernel's epsilon is where ln of the sum of the
kernel rises fastest with ln epsilon (Coifman, Shkolnisky, Sigworth and Singer 2008, IEEE Trans. Image Process. 17,
1891), between the scale on which every source is alone and that on which all are one; but at least the square of the
distance within which 95 % of the sources have ln n others, or the walk would fall to pieces (noise in many dimensions
is the steepest rise of all). New sources are placed by
Nystrom's extension, which gives known ones the coordinates that they have.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from stream.errors import ConfigError

Matrix = NDArray[np.float64]
FARTHEST = 6.0  # sigma: a scaled feature beyond is clipped, or a single odd source would be a coordinate of its own
QUARTILES = 1.349  # sigma of a Gaussian between its quartiles
NONE = 1e-12  # a kernel's sum below which nothing is near, and an eigenvalue below which there is no coordinate


@dataclass(frozen=True, slots=True)
class Embedding:
    """A diffusion map of m landmarks with F features to k coordinates."""

    coordinates: Matrix  # (n, k) of the sources that it was made of; NaN beyond what so few sources have
    eigenvalues: Matrix  # (k,) falling from 1
    epsilon: float  # of the kernel, in scaled features squared
    alpha: float
    centre: Matrix  # (F,) median of each feature
    scale: Matrix  # (F,)
    landmarks: Matrix  # (m, F), scaled
    density: Matrix  # (m,)
    vectors: Matrix  # (m, k)

    def extend(self, features: ArrayLike) -> Matrix:
        """Place sources of features (n, F), (n, k); NaN where no landmark is near. A missing feature is the median."""
        x = _matrix(features, len(self.centre))
        if not len(self.landmarks):
            return np.full((len(x), self.eigenvalues.size), np.nan)
        scaled = _scaled(x, self.centre, self.scale)
        kernel = np.exp(-cdist(scaled, self.landmarks, "sqeuclidean") / self.epsilon) / self.density**self.alpha
        total = kernel.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(total > NONE, kernel @ self.vectors / total, np.nan)  # lambda psi = P psi


def embed(
    features: ArrayLike, coordinates: int = 4, *, alpha: float = 1.0, most: int = 1000, seed: int = 0
) -> Embedding:
    """Make the diffusion map of features (n, F); NaN is a missing feature and counts as the median.

    most: sources that are landmarks, drawn at random if there are more; the others are placed by extension. No sources:
    coordinates (0, k). Raises ConfigError for features that are no table, or infinite.
    """
    x = _matrix(features)
    centre, scale = _scaling(x)
    scaled = _scaled(x, centre, scale)
    chosen = np.arange(len(x))
    if len(x) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(len(x), most, replace=False))
    landmarks = scaled[chosen]
    values, vectors = np.full(coordinates, np.nan), np.full((len(landmarks), coordinates), np.nan)
    epsilon, density = 1.0, np.ones(len(landmarks))
    if len(landmarks) > 1:
        squares = cdist(landmarks, landmarks, "sqeuclidean")
        epsilon = choose_epsilon(squares)
        kernel = np.exp(-squares / epsilon)
        density = kernel.sum(axis=1)
        _walk(kernel / np.outer(density, density) ** alpha, values, vectors)
    made = Embedding(np.empty((0, coordinates)), values, epsilon, alpha, centre, scale, landmarks, density, vectors)
    placed = made.extend(x) if len(x) else made.coordinates
    return Embedding(placed, values, epsilon, alpha, centre, scale, landmarks, density, vectors)


def choose_epsilon(squares: Matrix) -> float:
    """Return the kernel's epsilon by the rule above; squares (m, m): squared distances. 1 if all are 0."""
    apart = squares[squares > 0]
    if not apart.size:
        return 1.0
    ladder = np.linspace(np.log(np.quantile(apart, 0.001)), np.log(4 * apart.max()), 40)
    sums = np.log([np.exp(-squares / np.exp(step)).sum() for step in ladder])
    steepest = float(np.exp(ladder[np.gradient(sums, ladder).argmax()]))
    order = min(len(squares) - 1, int(np.ceil(np.log(len(squares)))))
    return max(steepest, float(np.quantile(np.partition(squares, order, axis=1)[:, order], 0.95)))


def _walk(kernel: Matrix, values: Matrix, vectors: Matrix) -> None:
    """Write eigenvalues and right eigenvectors of the random walk, without the constant one; in place."""
    degree = kernel.sum(axis=1)
    root = np.sqrt(degree)
    found, symmetric = np.linalg.eigh(kernel / np.outer(root, root))
    count = min(values.size, len(degree) - 1)
    last = np.arange(-2, -2 - count, -1)
    values[:count] = found[last]
    psi = symmetric[:, last] / root[:, None] * np.sqrt(degree.sum())  # mean square 1 under the walk's own weights
    psi *= np.where(psi[np.abs(psi).argmax(axis=0), np.arange(count)] < 0, -1.0, 1.0)  # one sign on every machine
    vectors[:, :count] = np.where(values[:count] > NONE, psi, np.nan)


def explained(
    coordinates: Matrix, classes: NDArray[np.integer], permutations: int = 999, seed: int = 0
) -> tuple[Matrix, Matrix]:
    """Return how well classes tell each coordinate, and how often chance does as well.

    coordinates (n, k), rows with NaN do not count; classes (n,), < 0: not known. Returns eta squared (k,), the share of
    the variance that lies between classes, and p (k,) = (1 + permutations with at least as much) / (1 + permutations).
    NaN without two classes or any variance.
    """
    known = (np.asarray(classes) >= 0) & np.isfinite(coordinates).all(axis=1)
    x, label = coordinates[known], np.unique(np.asarray(classes)[known], return_inverse=True)[1]
    count = np.bincount(label) if label.size else np.zeros(0, int)
    if count.size < 2:
        return np.full(coordinates.shape[1], np.nan), np.full(coordinates.shape[1], np.nan)
    x = x - x.mean(axis=0)
    total = (x**2).sum(axis=0)
    member = (label == np.arange(count.size)[:, None]).astype(float)
    rng = np.random.default_rng(seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        measured = _between(member, x, count) / total
        drawn = [_between(member[:, rng.permutation(label.size)], x, count) / total for _ in range(permutations)]
    as_good = sum((one >= measured - 1e-12).astype(int) for one in drawn) if drawn else 0
    return measured, np.where(np.isnan(measured), np.nan, (1 + as_good) / (1 + permutations))


def _between(member: Matrix, x: Matrix, count: NDArray[np.integer]) -> Matrix:
    return np.asarray(((member @ x) ** 2 / count[:, None]).sum(axis=0))


def _matrix(features: ArrayLike, width: int | None = None) -> Matrix:
    x = np.asarray(features, np.float64)
    if x.ndim != 2 or (width is not None and x.shape[1] != width):
        expected = f"a table (sources, {'features' if width is None else width})"
        raise ConfigError(f"features: expected {expected}, found the shape {x.shape}")
    if np.isinf(x).any():
        row, column = np.argwhere(np.isinf(x))[0]
        raise ConfigError(f"features: expected finite values or NaN; row {row}, column {column} is infinite")
    return x


def _scaling(x: Matrix) -> tuple[Matrix, Matrix]:
    """Return median and robust sigma of each feature; 0 and 1 where nothing is known of it or it does not vary."""
    centre, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    for k, column in enumerate(x.T):
        known = column[~np.isnan(column)]
        if not known.size:
            continue
        centre[k] = np.median(known)
        low, high = np.quantile(known, (0.25, 0.75))
        width = (high - low) / QUARTILES or known.std()
        scale[k] = width if width > 0 else 1.0
    return centre, scale


def _scaled(x: Matrix, centre: Matrix, scale: Matrix) -> Matrix:
    return np.clip(np.nan_to_num((x - centre) / scale, nan=0.0), -FARTHEST, FARTHEST)
