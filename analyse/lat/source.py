"""One source by likelihood: is it there, where, how bright, how steep, how bent; all around it fitted as well."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from analyse.lat.fit import CURVE, FAINTEST, FLUX, SLOPE, Fit, Part, X, Y, fit
from analyse.lat.region import Region
from analyse.lat.spectra import KINDS
from stream.lat.patch import SIDE_DEG

Floats = NDArray[np.float64]
NEAR_DEG: Final = 3.0  # neighbours so near are fitted beside the source; those farther out once, before
STEEP_TS: Final = 100.0  # a neighbour's, above which its slope is free as well
SEEN_TS: Final = 9.0  # below it there is an upper limit, no spectrum
CURVED_TS: Final = 4.0  # a bent spectrum is taken from there on (as 4FGL-DR3: Abdollahi et al. 2022, section 3.2)
HALF_95: Final = 2.7055 / 2  # of ln L: the one-sided 95 % limit of a profile
R68, R95 = 1.5151, 2.4477  # sigma of the circle that holds so much of a two-dimensional Gaussian


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What the likelihood says of the first part of its fits, the source."""

    models: dict[str, Fit]  # by kind; of one that is not seen the power law alone, place and index as given
    null: Fit  # without it
    kind: str  # the one that is taken
    limit: float | None  # ln flux over UNIT, 95 %, of a source that is not seen

    @property
    def best(self) -> Fit:
        """The fit of the spectrum that is taken."""
        return self.models[self.kind]

    @property
    def ts(self) -> float:
        """2 ln of the likelihood with it over that without."""
        return 2 * (self.best.value - self.null.value)

    def curved(self, kind: str) -> float | None:
        """Return TS of a bent spectrum against the power law; None: it was not fitted."""
        if kind not in self.models or kind == "powerlaw":
            return None
        return 2 * (self.models[kind].value - self.models["powerlaw"].value)


def away_deg(part: Part) -> float:
    """Return how far a part is from the middle of its region."""
    return float(np.hypot(*(part.theta[:FLUX] - SIDE_DEG / 2)))


def settle_region(region: Region, source: Part, neighbours: Sequence[Part]) -> tuple[list[Part], Floats]:
    """Fit the fluxes of all on the patch and the norms; return the parts, source first, near ones free, and norms."""
    there = [p for p in neighbours if _on_patch(p)]
    beyond = [p.freed() for p in neighbours if not _on_patch(p)]
    first = fit(region, [source.freed(FLUX), *(p.freed(FLUX) for p in there), *beyond])
    own, *others = first.parts
    return [own, *(_near(p) for p in others)], first.norms


def _on_patch(part: Part) -> bool:
    return bool(np.abs(part.theta[:FLUX] - SIDE_DEG / 2).max() < SIDE_DEG / 2)


def _near(part: Part) -> Part:
    if away_deg(part) > NEAR_DEG:
        return part.freed()
    return part.freed(FLUX, SLOPE) if part.ts > STEEP_TS else part.freed(FLUX)


def analyse_source(
    region: Region, source: Part, neighbours: Sequence[Part], kinds: Sequence[str] = tuple(KINDS)
) -> Analysis:
    """Return what the likelihood says; kinds: which spectra are fitted, the power law always.

    Of several bent ones the better that bends down is taken, if TS against the power law is above CURVED_TS: what bends
    up is mostly light of something else. A single one is taken as it was asked for. Below SEEN_TS, with place and index
    as they are given, nothing more is fitted than that.
    """
    (own, *others), norms = settle_region(region, source, neighbours)
    pinned = fit(region, [own.freed(FLUX), *others], norms)
    null = fit(region, pinned.parts[1:], pinned.norms)
    if 2 * (pinned.value - null.value) < SEEN_TS:
        return Analysis({"powerlaw": pinned}, null, "powerlaw", upper_limit(pinned))
    began = pinned.parts[0]
    free = replace(began, begun=(float(began.theta[X]), float(began.theta[Y]))).freed(X, Y, FLUX, SLOPE)
    models = {"powerlaw": fit(region, [free, *pinned.parts[1:]], pinned.norms)}
    for kind in kinds:
        if kind != "powerlaw":
            models[kind] = _bent(kind, models["powerlaw"])
    if len(kinds) == 1:
        return Analysis(models, null, kinds[0], None)
    down = [kind for kind, one in models.items() if one.parts[0].theta[CURVE] > 0]
    taken = max(down, key=lambda kind: models[kind].value, default="powerlaw")
    enough = 2 * (models[taken].value - models["powerlaw"].value) > CURVED_TS
    return Analysis(models, null, taken if enough else "powerlaw", None)


def _bent(kind: str, straight: Fit) -> Fit:
    own, *others = straight.parts
    return fit(straight.region, [replace(own, kind=kind).freed(X, Y, FLUX, SLOPE, CURVE), *others], straight.norms)


def upper_limit(found: Fit) -> float:
    """Return ln of the highest flux of the first part that the likelihood allows, 95 %, all else free at each."""
    own, *others = found.parts

    def fall(at: float) -> float:
        theta = own.theta.copy()
        theta[FLUX] = at
        held = own.freed(*(k for k in np.flatnonzero(own.free).tolist() if k != FLUX), theta=theta)
        return found.value - fit(found.region, [held, *others], found.norms).value - HALF_95

    low = max(float(own.theta[FLUX]), FAINTEST / 2)
    high = low + 0.5
    while fall(high) < 0:
        low, high = high, high + 0.7
    return float(brentq(fall, low, high, xtol=0.01)) if fall(low) < 0 else low


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Where a source is: sigma along both axes, degrees, and the angle of the longer one, x towards y."""

    major_deg: float
    minor_deg: float
    angle_rad: float

    @property
    def r68_deg(self) -> float:
        """Radius of the circle of the same area that holds 68 %."""
        return R68 * float(np.sqrt(self.major_deg * self.minor_deg))

    @property
    def r95_deg(self) -> float:
        """The same for 95 %."""
        return R95 * float(np.sqrt(self.major_deg * self.minor_deg))


def ellipse_of(found: Fit) -> Ellipse | None:
    """Return where the first part is; None: its place was not fitted, or lies at its bound."""
    at = found.place(0, X)
    if at is None:
        return None
    block = found.covariance[at : at + 2, at : at + 2]
    if not np.all(np.isfinite(block)):
        return None
    values, vectors = np.linalg.eigh(block)
    minor, major = np.sqrt(np.maximum(values, 0.0))
    return Ellipse(float(major), float(minor), float(np.arctan2(vectors[1, 1], vectors[0, 1])))
