"""What a network says of coronae as priors of `raysieve analyse corona-population --network`."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.errors import ConfigError
from stream.messages import Product

WIDE: Final = (1.0, 6.5, 10.0, 10.0, 10.0, 0.0)  # of a spectrum that the network does not know: as good as flat
LEAST_DEX: Final = 1e-3  # of a deviation


def prior_of(made: Product) -> dict[str, NDArray[Any]]:
    """Return the arrays of n coronae: present (n, L), lines (L,), weights (n, K), means (n, K, 2), covariances.

    A line that is not seen may be too faint and yet there: its chance to be there is 1/2, that of one that is surely
    seen 1, straight between. What has a flag has no word: its lines are there as predicted.
    """
    rows, lines = made.tables["CORONAE"], made.tables["LINES"]
    unknown = rows["FLAG"] > 0
    present = np.where(unknown[:, None], 1.0, 0.5 + 0.5 * rows["P"].astype(float))
    each = rows["MIXTURE"].astype(float)
    each[unknown] = WIDE
    each[unknown, :, 0] /= each.shape[1]
    sd = np.maximum(each[..., [2, 4]], LEAST_DEX)
    covariance = sd[..., :, None] * sd[..., None, :]
    off = 0.99 * each[..., 5]
    covariance[..., 0, 1] *= off
    covariance[..., 1, 0] *= off
    names = [f"{ion.decode()} {at:.3f}" for ion, at in zip(lines["ION"], lines["WAVELENGTH"], strict=True)]
    return {
        "present": present,
        "lines": np.array(names),
        "weights": each[..., 0],
        "means": each[..., [1, 3]],
        "covariances": covariance,
    }


def write_prior(path: Path, made: Product) -> None:
    """Write the priors of a product "coronae" (npz). Raises ConfigError for a place that cannot be written."""
    try:
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **prior_of(made))
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be written: {fault.strerror}") from None
