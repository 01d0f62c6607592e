"""Coronal spectra of some stars with one instrument, and a first look at each: where a posterior begins."""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

from analyse.corona.windows import Windows
from stream.corona.forward import Coronae
from stream.errors import ConfigError
from stream.spectra.grid import Floats

LOOKS: Final = 41  # temperatures of the box that are tried
STEPS: Final = 60  # of the mixture of star and background: both are within a few per cent then
EDGE: Final = 0.02  # of the box: no start is nearer to its ends, where logits run away


@dataclass(frozen=True, slots=True, eq=False)
class Stars:
    """Counts of S spectra, and of each name and exposure; truth: (S,) by name, where they are simulated."""

    counts: Floats  # (S, B)
    exposure_s: Floats  # (S,)
    names: list[str]
    truth: dict[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        counts: ArrayLike,
        exposure_s: ArrayLike,
        names: list[str] | None = None,
        truth: dict[str, Floats] | None = None,
    ) -> "Stars":
        """Return spectra (S, B) or one (B,).

        Raises ConfigError for counts that are none, negative or not finite, and for exposures of 0 s or less.
        """
        rows = np.atleast_2d(np.asarray(counts, float))
        seconds = np.broadcast_to(np.asarray(exposure_s, float), (len(rows),)).copy()
        called = names or [str(k) for k in range(len(rows))]
        if not len(rows) or len(called) != len(rows):
            raise ConfigError(f"spectra: expected one or more and a name for each, found {len(rows)}, {len(called)}")
        for name, row, exposure in zip(called, rows, seconds, strict=True):
            if not np.all(np.isfinite(row) & (row >= 0)):
                raise ConfigError(f"spectrum {name}: expected counts of 0 or more in every bin")
            if not row.any():
                raise ConfigError(f"spectrum {name}: no counts")
            if not (np.isfinite(exposure) and exposure > 0):
                raise ConfigError(f"spectrum {name}: expected an exposure above 0 s, found {exposure:g}")
        return cls(rows, seconds, called, truth or {})

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, rows: NDArray[np.int64]) -> "Stars":
        """Return some of them."""
        truth = {name: values[rows] for name, values in self.truth.items()}
        return Stars(self.counts[rows], self.exposure_s[rows], [self.names[k] for k in rows], truth)


def look(windows: Windows, stars: Stars) -> tuple[dict[str, Any], Floats]:
    """Return the data of the model (`Hierarchy`) and the logit of log T in the box at which each star begins (S,).

    Each temperature is tried with the norm and the background that suit it best, log n in the middle of the box. Raises
    ConfigError for spectra that do not have the instrument's bins or no counts in the windows.
    """
    forward, (low, high) = windows.forward, windows.box.log_t
    if stars.counts.shape[1] != forward.instrument.channels:
        raise ConfigError(
            f"spectra of {stars.counts.shape[1]} bins: expected {forward.instrument.channels} "
            f"of {forward.instrument.name}"
        )
    counts = windows.cut(stars.counts)
    for name, some in zip(stars.names, counts.sum(axis=(1, 2)), strict=True):
        if not some:
            raise ConfigError(f"spectrum {name}: no counts near any of its {windows.count} lines")
    share = np.linspace(EDGE, 1 - EDGE, LOOKS)
    model = forward.counts(Coronae.of(forward, low + (high - low) * share, 1.0, np.mean(windows.box.log_n)))
    shapes = windows.cut(model).reshape(LOOKS, -1)[:, windows.used.ravel()]
    flat = windows.cut(forward.instrument.width_a[None])[0][windows.used]
    seen = counts.reshape(len(stars), -1)[:, windows.used.ravel()]
    found = [_amounts(row, shapes, flat) for row in seen]
    best = np.array([one[0].argmax() for one in found])
    amounts = np.array([one[1][:, k] for one, k in zip(found, best, strict=True)])  # (S, 2)
    amounts = np.log(amounts / stars.exposure_s[:, None])
    data = {"counts": counts, "exposure": stars.exposure_s, "ln_norm": amounts[:, 0], "ln_background": amounts[:, 1]}
    return data, logit(share[best])


def _amounts(seen: Floats, shapes: Floats, flat: Floats) -> tuple[Floats, Floats]:
    """Return ln likelihood (T,) and amounts (2, T) of star and flat background; shapes (T, P), flat and seen (P,)."""
    whole = np.array([shapes.sum(axis=1), np.full(len(shapes), flat.sum())])  # (2, T)
    parts = np.stack([shapes, np.broadcast_to(flat, shapes.shape)])
    amounts = 0.5 * seen.sum() / whole
    for _ in range(STEPS):  # expectation and maximisation: which photons are of the star
        model = (amounts[..., None] * parts).sum(axis=0)
        amounts = amounts * (seen / np.maximum(model, 1e-12) * parts).sum(axis=-1) / whole
    amounts = np.maximum(amounts, 0.5 / whole)  # half a photon, where there is none
    model = (amounts[..., None] * parts).sum(axis=0)
    return (seen * np.log(np.maximum(model, 1e-12)) - model).sum(axis=-1), amounts
