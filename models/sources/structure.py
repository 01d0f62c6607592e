"""Which features belong in one block: those that tell most of each other within a class."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEAST = 8  # sources of a class with both features
CLIP = 4.0


def blocks_of(z: Array, label: NDArray[np.int64], most: int) -> tuple[tuple[int, ...], ...]:
    """Return a block for each feature (n, F): itself and the most - 1 that tell most of it; equal ones once."""
    information = shared(z, label)
    chosen = []
    for i in range(z.shape[1]):
        near = [j for j in np.argsort(-information[i]) if j != i and information[i, j] > 0]
        chosen.append(tuple(sorted([i, *map(int, near[: most - 1])])))
    return tuple(dict.fromkeys(chosen))


def shared(z: Array, label: NDArray[np.int64]) -> Array:
    """Return the mutual information (F, F), nats a source, of two features within a class, if they were Gaussian."""
    total = np.zeros((z.shape[1], z.shape[1]))
    for c in np.unique(label):
        own = np.clip(z[label == c], -CLIP, CLIP)
        seen = np.isfinite(own)
        filled = np.where(seen, own, 0.0)
        one = seen.astype(float)
        count = one.T @ one
        safe = np.maximum(count, 1)
        mean = filled.T @ one / safe
        cov = filled.T @ filled / safe - mean * mean.T
        var = (filled**2).T @ one / safe - mean**2
        rho = cov / np.sqrt(np.maximum(var * var.T, 1e-12)) * count / (count + 5)
        total += np.where(count >= LEAST, -0.5 * count * np.log1p(-np.clip(rho**2, 0, 0.98)), 0)
    np.fill_diagonal(total, 0)
    return total / len(z)
