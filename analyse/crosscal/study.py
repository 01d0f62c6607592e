"""One cross-calibration from the table to all that is told of it."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyse.crosscal.concordance import Prior, Shrinkage
from analyse.crosscal.discrepancy import minimise
from analyse.crosscal.identify import Directions, HeldOut, band, central, corrected, directions, gain_bits, hold_out
from analyse.crosscal.infer import SEARCH, Peak, begin, climb, sample, sample_prior
from analyse.crosscal.law import Curves, EmulatedLaw, GridLaw, Law
from analyse.crosscal.likelihood import Data, Density, first_order
from analyse.crosscal.local import FittedLaw, localise
from analyse.crosscal.table import Clusters, check_range
from analyse.diagnostics import Draws
from sim.crosscal.grid import Inputs
from sim.crosscal.sets import read_grid
from sim.crosscal.templates import Setting, Templates
from stream.crosscal.modifiers import family
from stream.judges.crosscal import Emulator

Floats = NDArray[np.float64]
PRIOR_DRAWS: Final = 4096
NODES: Final = 16  # true temperatures of a local law, even in ln kT
NONE: Final = np.empty(0)


@dataclass(frozen=True)
class Plan:
    """How a correction is inferred. tau None: the prior is the family's box."""

    tau: float | None = None
    most_scatter: float = 0.0  # of ln T1; 0: none
    sampler: str = "emcee"
    steps: int | None = None
    seed: int = 0
    extrapolate: bool = False
    hold_out: bool = True


@dataclass
class Study:
    """What was found; arrays over the variables (k,): theta, and the scatter where it is free."""

    clusters: Clusters
    density: Density
    plan: Plan
    likely: Peak  # of the likelihood
    highest: Peak  # of the posterior
    chi2: tuple[float, float]  # of the pulls without a correction, and at the highest
    discrepancies: dict[str, dict[str, Any]]
    prior_draws: Floats  # (m, k)
    draws: Draws | None = None
    held_out: HeldOut | None = None
    chosen: Floats = field(default_factory=lambda: NONE)  # (p,) theta of the correction that is written
    kt_1: Floats = field(default_factory=lambda: NONE)  # (N,) T1' keV
    kt_1_err: Floats = field(default_factory=lambda: NONE)

    @property
    def theta(self) -> Floats:
        """Draws (m, p) of the posterior; the highest alone where nothing was sampled."""
        p = self.density.prior.p
        if self.draws is None:
            return self.highest.variables[None, :p]
        return self.draws.variables.reshape(-1, self.draws.variables.shape[-1])[:, :p]

    @property
    def others_used(self) -> bool:
        """Whether the law tells norms and column densities that the table has."""
        return bool(self.density.curves(self.highest.variables[None, : self.density.prior.p])[1])

    @property
    def bits(self) -> Floats:
        """Gained by each variable (k,)."""
        assert self.draws is not None
        return gain_bits(self.draws.variables.reshape(-1, self.draws.variables.shape[-1]), self.prior_draws)

    @property
    def directions(self) -> Directions:
        """Of theta, from the best constrained."""
        return directions(self.theta, self.prior_draws[:, : self.density.prior.p])

    def bands(self) -> tuple[Floats, Floats]:
        """Return quantiles of phi(E) of the posterior and of the prior, (5, n) each."""
        prior = self.density.prior
        return band(prior.family, self.theta), band(prior.family, self.prior_draws[:, : prior.p])


def open_law(model: str, grid: Path | None) -> Law:
    """Return the emulator's law, or that of a grid. Raises ConfigError, ModelError."""
    if grid is not None:
        return GridLaw.of(read_grid(grid), f"grid {grid.name}")
    return EmulatedLaw(Emulator(model), f"emulator {model}")


def local_law(
    clusters: Clusters, name: str, inputs: Inputs, setting: Setting, tau: float | None, seed: int
) -> FittedLaw:
    """Return the law of a family, simulated for these clusters: at temperatures that hold them all.

    With a shrinkage, the box of a spline is so wide that the shrinkage decides, not the box.
    Raises ConfigError for files, families and temperatures that cannot be.
    """
    kind = family(name)
    if tau is not None and kind.name.startswith("spline"):
        most = max(5 * tau, 0.5)
        kind = replace(kind, parameters=tuple(replace(p, low=-most, high=most) for p in kind.parameters))
    response, plasma = inputs.load()
    kt = np.geomspace(0.85 * clusters.kt_0.min(initial=1.0), 1.15 * clusters.kt_0.max(initial=2.0), NODES)
    templates = Templates(setting, response, plasma, kt)
    return localise(clusters, templates, kind, None if tau is None else Shrinkage(tau), seed)


def study(clusters: Clusters, law: Law, plan: Plan) -> Study:
    """Infer the correction. Raises ConfigError for temperatures beyond the law, unless they are to be extrapolated."""
    ends = float(np.exp(law.ln_kt[0])), float(np.exp(law.ln_kt[-1]))
    clusters = check_range(clusters, ends, law.fit_kev, plan.extrapolate)
    prior = Prior.of(law, None if plan.tau is None else Shrinkage(plan.tau), plan.most_scatter)
    density = Density(Data.of(clusters, half_variance=plan.tau is not None), law, prior)
    cover = begin(density, SEARCH, plan.seed)[0]
    likely, highest = (climb(prior, f, cover) for f in (density.likelihood, density))
    nothing = Curves(law.ln_kt, np.zeros((1, len(law.ln_kt))))
    best, _ = density.curves(highest.variables[None, : prior.p])
    chi2 = [float((first_order(density.data, curves)[1] ** 2).sum()) for curves in (nothing, best)]
    measures = minimise(clusters, density, plan.seed)
    told = sample_prior(prior, PRIOR_DRAWS, plan.seed)
    found = Study(clusters, density, plan, likely, highest, (chi2[0], chi2[1]), measures, told)
    if plan.sampler == "emcee":
        found.draws = sample(density, plan.seed, plan.steps)
        found.held_out = hold_out(clusters, density, plan.seed) if plan.hold_out else None
    found.chosen = central(prior.family, found.theta)
    found.kt_1, found.kt_1_err = corrected(clusters, density, found.theta)
    return found
