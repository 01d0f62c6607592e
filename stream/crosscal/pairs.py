"""Pairs of temperatures of the same sources by two telescopes: rows of tables, and what is calculated with."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream.spectra.grid import Floats

PAIR: Final = np.dtype(
    [
        ("NAME", "S32"),
        ("TIME", "<f8"),  # s of detector time, the middle of the observation
        ("KT_0", "<f8"),  # keV, of the trusted telescope; an error of 0: a source that is known
        ("KT_0_ERR", "<f8"),
        ("KT_1", "<f8"),  # keV, of the biased one, through its nominal area
        ("KT_1_ERR", "<f8"),
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """n pairs of fits; ln of keV, and errors of it."""

    trusted: Floats  # (n,) telescope 0
    trusted_sd: Floats  # (n,)
    biased: Floats  # (n,) telescope 1, through its nominal area
    biased_sd: Floats  # (n,)
    of: NDArray[np.int64]  # (n,) which measurement of the trusted telescope: rows with the same one share its error

    @classmethod
    def of_rows(cls, rows: NDArray[Any]) -> "Pairs":
        """Return rows (PAIR) that are usable."""
        _, of = np.unique(rows[["NAME", "KT_0", "KT_0_ERR"]], return_inverse=True)
        sd = (rows[f"KT_{k}_ERR"] / rows[f"KT_{k}"] for k in range(2))
        return cls(np.log(rows["KT_0"]), next(sd), np.log(rows["KT_1"]), next(sd), of.reshape(-1))

    def take(self, rows: NDArray[Any] | slice) -> "Pairs":
        """Return some of them."""
        of = np.unique(self.of[rows], return_inverse=True)[1]
        return Pairs(self.trusted[rows], self.trusted_sd[rows], self.biased[rows], self.biased_sd[rows], of)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.trusted)


def usable(rows: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows (n,) are temperatures with their errors, at a time."""
    values = np.stack([rows[name] for name in ("KT_0", "KT_1", "KT_1_ERR")])
    good = np.isfinite(values).all(axis=0) & (values > 0).all(axis=0) & np.isfinite(rows["TIME"])
    return np.asarray(good & np.isfinite(rows["KT_0_ERR"]) & (rows["KT_0_ERR"] >= 0))
