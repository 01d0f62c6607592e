"""The emulator of cross-calibration: what a fit through a wrong effective area makes of a true temperature."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.crosscal.modifiers import family
from stream.errors import ConfigError, ModelError
from stream.infer import open_model

INPUTS: Final = ("theta", "kt_kev")
OUTPUTS: Final = ("ln_ratio", "ln_sd", "gradient")
FITS: Final = ("kt_fit", "kt_modified")  # through the nominal area; through the one that theta modifies
AT_A_TIME: Final = 512  # what stays in the caches of a core
SAME: Final = 1e-6  # of the box: what single precision makes of its ends
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """Of n points. Those beyond are said of the nearest point of the box, flagged."""

    ln_ratio: Floats  # (n, FITS) ln of kT of the fit over true kT
    ln_sd: Floats  # (n, FITS) its statistical error at the exposure of the grid
    gradient: Floats  # (n, FITS, p + 1) of ln_ratio by theta, in its units, and by ln of true kT
    beyond: NDArray[np.bool_]  # (n,) theta or kT outside, or a fit that comes out beyond all of the training


class Emulator:
    """A shipped emulator, or an ONNX file of `raysieve export crosscal`."""

    def __init__(self, model: str = "crosscal", provider: str = "cpu") -> None:
        """Raises ModelError for a model that cannot be used."""
        self._model = open_model(model, provider)
        card = self._model.card
        card.require("kind", "crosscal")
        try:
            self.family = family(str(card.get("family")))
        except ConfigError as fault:
            raise ModelError(f"{card.path}: family: {fault}") from None
        card.require("theta.names", list(self.family.names))
        self.names, p = self.family.names, len(self.family.names)
        ends = {name: np.asarray(card.get(name), np.float64) for name in ("theta.low", "theta.high")}
        ends |= {name: np.asarray(card.get(name), np.float64) for name in ("kt_kev", "kt_fit_kev")}
        for (name, found), n in zip(ends.items(), (p, p, 2, 2), strict=True):
            if found.shape != (n,) or not np.all(np.isfinite(found)):
                raise ModelError(f"{card.path}: {name}: expected {n} numbers, found {card.get(name)}")
        card.require("input.theta.shape", ["n", p])
        card.require("output.gradient.shape", ["n", len(FITS), p + 1])
        self.low, self.high = ends["theta.low"], ends["theta.high"]
        boxed = zip(self.family.parameters, self.low.tolist(), self.high.tolist(), strict=True)
        parameters = tuple(replace(one, low=low, high=high) for one, low, high in boxed)
        self.family = replace(self.family, parameters=parameters)  # with the box of the grid
        self.kt_kev = (float(ends["kt_kev"][0]), float(ends["kt_kev"][1]))
        self.kt_fit_kev = (float(ends["kt_fit_kev"][0]), float(ends["kt_fit_kev"][1]))

    @property
    def about(self) -> Mapping[str, str]:
        """What it runs, and where."""
        return {"emulator": str(self._model), "family": self.family.name}

    def predict(self, theta: ArrayLike, kt_kev: ArrayLike) -> Predicted:
        """Return what is said of theta (n, p), or one (p,) for all, and true temperatures (n,) keV; as many or none.

        Raises ConfigError for other shapes, and for what is not a number.
        """
        at, kt = self._given(theta, kt_kev)
        inside, within = np.clip(at, self.low, self.high), np.clip(kt, *self.kt_kev)
        beyond = (np.abs(inside - at) > SAME * (self.high - self.low)).any(axis=1)
        beyond |= np.abs(within / kt - 1) > SAME
        p = at.shape[1]
        shapes = ((len(FITS),), (len(FITS),), (len(FITS), p + 1))
        out = [np.empty((len(kt), *shape)) for shape in shapes]
        for first in range(0, len(kt), AT_A_TIME):
            rows = slice(first, first + AT_A_TIME)
            run = self._model.run(theta=inside[rows].astype(np.float32), kt_kev=within[rows].astype(np.float32))
            for array, name in zip(out, OUTPUTS, strict=True):
                array[rows] = run[name]
        fits = within * np.exp(out[0][:, 0])
        beyond |= (fits < self.kt_fit_kev[0] * (1 - SAME)) | (fits > self.kt_fit_kev[1] * (1 + SAME))
        return Predicted(out[0], out[1], out[2], beyond)

    def ln_ratio(self, theta: ArrayLike, kt_kev: ArrayLike) -> Floats:
        """Return ln_ratio (n, FITS) alone, as `predict`: with the gradient it costs hardly more."""
        return self.predict(theta, kt_kev).ln_ratio

    def _given(self, theta: ArrayLike, kt_kev: ArrayLike) -> tuple[Floats, Floats]:
        kt, at = np.asarray(kt_kev, np.float64), np.atleast_2d(np.asarray(theta, np.float64))
        p = len(self.names)
        if kt.ndim != 1 or at.ndim != 2 or at.shape[1] != p or len(at) not in (1, len(kt)):
            raise ConfigError(
                f"theta {at.shape}, kt_kev {kt.shape}: expected (n, {p}), {', '.join(self.names)}, and (n,)"
            )
        if not (np.all(np.isfinite(at)) and np.all(np.isfinite(kt)) and np.all(kt > 0)):
            raise ConfigError("theta, kt_kev: expected numbers, temperatures above 0 keV")
        return np.broadcast_to(at, (len(kt), p)), kt
