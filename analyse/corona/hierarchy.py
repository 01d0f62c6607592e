"""The hierarchical model of coronal spectra (NumPyro): stars of one population, seen by one instrument.

Of each star: log T, log n, norm, background. Of all, or of each star if so chosen: shift and width of lines, and what
the emissivity of each line is off by. Above them the population: log T and log n are normal in their logits within the
box of `Windows`, which comes close to an even spread (sd 1.6) as to a narrow group. Every variable is real, so that no
change of variables is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, gammaln, logit

from analyse.corona.light import Light
from analyse.corona.windows import KNOTS, LIGHT, Windows
from stream.errors import ConfigError
from stream.spectra.grid import Floats

MEAN: Final = (0.0, 0.7)  # mean and sd of the population's mean, in logits of the box
LN_SD: Final = (float(np.log(1.6)), 0.35)  # of the logarithm of its sd: 1.6 is closest to even in the box
LN_TAU: Final = (0.0, 0.3)  # of ln tau: by how much lines scatter more than their table says
SHIFT_KMS: Final = 100.0  # sd of the shift: a star's own and that of the wavelength scale
MOST_KMS: Final = 300.0  # broadening beyond the instrument's, at most
WIDTH: Final = (-1.6, 1.2)  # of its logit: 5 to 200 km/s, 50 the middle
LN_NORM_SD: Final = 2.0  # about the norm of the first look: hardly a prior
LN_BACKGROUND_SD: Final = 1.5
LN_SPREAD: Final = (float(np.log(0.15)), 0.7)  # of ln of the sd, in dex, of a star's emission measure in log T
SPREAD_NODES: Final = 7  # temperatures that stand for it
LN_SYSTEMATIC: Final = (float(np.log(0.05)), 0.5)  # the Normal likelihood: what a bin's model is off by, a fraction
LIKELIHOODS: Final = ("poisson", "normal")
LEAST: Final = 1e-9  # counts of a bin's model

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Population:
    """Mean and sd of log T and of log n, in logits of the box."""

    mean_t: float = 0.0
    sd_t: float = 1.6
    mean_n: float = 0.0
    sd_n: float = 1.6


@dataclass(frozen=True, slots=True)
class Choices:
    """What the model is. `population`: as given, not sampled; then stars share lines, shift and width alone."""

    likelihood: str = "poisson"  # "normal": of modelled variance, counts plus the square of a systematic fraction
    own_lines: bool = False  # emissivities are off star by star, as where calibration errors differ; else for all alike
    own_motion: bool = False  # shift and width star by star
    calibration: float = 0.0  # sd of ln area at each of its knots: errors of an area go together in wavelength
    spread: bool = False  # a Gaussian differential emission measure in place of one temperature
    abundances: tuple[float, float] | None = None  # sd in dex of what all metals of a star share, and of each beside it
    population: Population | None = None

    def __post_init__(self) -> None:
        """Raise ConfigError for an unknown likelihood or a negative calibration."""
        if self.likelihood not in LIKELIHOODS:
            raise ConfigError(f"likelihood {self.likelihood!r}: expected {' or '.join(LIKELIHOODS)}")
        if not 0 <= self.calibration < 1:
            raise ConfigError(f"calibration {self.calibration:g}: expected a fraction, 0 to 1")


@dataclass(frozen=True, slots=True, eq=False)
class NetworkPriors:
    """What a network says of S spectra, as priors.

    They sharpen a posterior honestly only if the network saw other photons than the likelihood does (another order or
    half of the exposure): of the same photons they count the data twice.
    """

    present: Floats | None = None  # (S, K) probability that each line of the windows is there as predicted
    width_kms: tuple[float, float] | None = None  # mean and sd of the broadening
    weights: Floats | None = None  # (S, M) of a mixture of Gaussians in (log T, log n)
    means: Floats | None = None  # (S, M, 2)
    covariances: Floats | None = None  # (S, M, 2, 2)
    trust: float = 1.0  # power of the mixture: 0 leaves it out

    def check(self, stars: int, lines: int) -> None:
        """Raise ConfigError for arrays that do not fit so many stars and lines, or are no probabilities."""
        if self.present is not None:
            p = np.asarray(self.present)
            if p.shape != (stars, lines) or not np.all((p >= 0) & (p <= 1)):
                raise ConfigError(f"present: expected probabilities ({stars}, {lines}), found {p.shape}")
        if self.width_kms is not None and not (0 < self.width_kms[0] < MOST_KMS and self.width_kms[1] > 0):
            raise ConfigError(f"width_kms: expected a mean between 0 and {MOST_KMS:g} and an sd above 0")
        if (self.weights is None) != (self.means is None) or (self.means is None) != (self.covariances is None):
            raise ConfigError("mixture: expected weights, means and covariances together")
        if self.weights is not None and self.means is not None and self.covariances is not None:
            m = self.weights.shape[-1]
            shapes = self.weights.shape, self.means.shape, self.covariances.shape
            if shapes != ((stars, m), (stars, m, 2), (stars, m, 2, 2)):
                raise ConfigError(f"mixture: expected (S, M), (S, M, 2), (S, M, 2, 2) of {stars} stars, found {shapes}")

    def take(self, rows: NDArray[np.int64]) -> "NetworkPriors":
        """Return those of some spectra."""
        names = ("present", "weights", "means", "covariances")
        own: dict[str, Any] = {n: None if getattr(self, n) is None else getattr(self, n)[rows] for n in names}
        return replace(self, **own)

    def data(self) -> Data:
        """Return the arrays that the model takes."""
        out: Data = {}
        if self.present is not None:
            out["present"] = np.clip(np.asarray(self.present, float), 1e-6, 1 - 1e-6)
        if self.width_kms is not None:
            mean, sd = self.width_kms
            out["width"] = np.array([logit(mean / MOST_KMS), sd / (mean * (1 - mean / MOST_KMS))])
        if self.weights is not None and self.covariances is not None and self.trust > 0:
            roots: Floats = np.linalg.inv(np.linalg.cholesky(self.covariances))
            dets = np.log(np.abs(np.linalg.det(roots)))
            out["mixture"] = {
                "ln_weight": np.log(np.maximum(self.weights, 1e-12)) + dets - np.log(2 * np.pi),
                "mean": np.asarray(self.means, float),
                "root": roots,
                "trust": np.array(self.trust),
            }
        return out


def star_of(box: Any, values: dict[str, Any], expit: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Return log T and log n of the model's variables x_t, x_n; any shape."""
    (low_t, high_t), (low_n, high_n) = box.log_t, box.log_n
    return low_t + (high_t - low_t) * expit(values["x_t"]), low_n + (high_n - low_n) * expit(values["x_n"])


class Hierarchy:
    """The model of windows. Call it with data (`Stars.data` of `analyse.corona.stars`) as NumPyro calls a model."""

    def __init__(self, windows: Windows, choices: Choices | None = None) -> None:
        self.windows, self.choices = windows, choices or Choices()
        self.light = Light(windows.tables(), SPREAD_NODES if self.choices.spread else 1)
        self.scatter = windows.scatter
        places = np.where(windows.used, windows.owner, -1).reshape(-1)
        self.owns = (places[:, None] == np.arange(windows.count)).astype(float)  # (W N, K)

    def start(self, x_t: Floats, ln_norm: Floats, ln_background: Floats) -> dict[str, Floats]:
        """Return where all variables may begin, given what a first look found of each star (S,)."""
        stars, k, choices = len(x_t), self.windows.count, self.choices
        motion = (stars,) if choices.own_motion else ()
        log_t, log_n = star_of(self.windows.box, {"x_t": x_t, "x_n": np.zeros(stars)}, expit)
        out = {"x_t": x_t, "ln_light": ln_norm + self.windows.bright(log_t, log_n), "a_n": np.zeros(stars)}
        out |= {"ln_background": ln_background}
        out |= {"line": np.zeros((stars, k) if choices.own_lines else k), "ln_tau": np.array(LN_TAU[0])}
        if choices.calibration:
            out["area"] = np.zeros((stars, KNOTS) if choices.own_lines else KNOTS)
        out |= {"shift": np.zeros(motion), "width": np.full(motion, WIDTH[0])}
        if choices.population is None:
            out |= {name: np.zeros(()) for name in ("mean_t", "mean_n")}
            out |= {name: np.array(LN_SD[0]) for name in ("ln_sd_t", "ln_sd_n")}
        if choices.likelihood == "normal":
            out["ln_systematic"] = np.array(LN_SYSTEMATIC[0])
        if choices.spread:
            out["ln_spread"] = np.full(stars, LN_SPREAD[0])
        if choices.abundances:
            out |= {"metals": np.zeros(stars), "element": np.zeros((stars, len(self.windows.elements)))}
        return out

    def __call__(self, data: Data) -> None:
        """Declare the variables and the likelihood."""
        import jax
        import jax.numpy as jnp
        import numpyro
        from numpyro.distributions import Normal

        population, shared = self._population(), self._shared(data)
        with numpyro.plate("star", data["counts"].shape[0]):
            x_t = numpyro.sample("x_t", Normal(population[0], population[1]))
            x_n = population[2] + population[3] * numpyro.sample("a_n", Normal(0.0, 1.0))
            log_t, log_n = star_of(self.windows.box, {"x_t": x_t, "x_n": x_n}, jax.nn.sigmoid)
            bright = self.light.bright(log_t, log_n)
            ln_light = numpyro.sample("ln_light", Normal(data["ln_norm"] + bright, LN_NORM_SD))
            ln_background = numpyro.sample("ln_background", Normal(data["ln_background"], LN_BACKGROUND_SD))
            star = {"log_t": log_t, "log_n": log_n, "ln_norm": ln_light - bright, "ln_background": ln_background}
            star |= self._plasma()
        expected, own = self.light.counts(star, shared, data["exposure"])
        likely = self._likelihood(data, expected, own, shared.get("systematic"))
        numpyro.factor("counts", jnp.sum(likely))
        if "mixture" in data:
            numpyro.factor("network", self._network(data["mixture"], log_t, log_n))

    def constant(self, data: Data) -> float:
        """Return what the likelihood leaves out: of Poisson, what depends on the counts alone."""
        counts = np.asarray(data["counts"])[:, self.windows.used]
        return -float(gammaln(counts + 1).sum()) if self.choices.likelihood == "poisson" else 0.0

    def _population(self) -> tuple[Any, Any, Any, Any]:
        import jax.numpy as jnp
        import numpyro
        from numpyro.distributions import Normal

        if (fixed := self.choices.population) is not None:
            return fixed.mean_t, fixed.sd_t, fixed.mean_n, fixed.sd_n
        mean_t, mean_n = (numpyro.sample(f"mean_{of}", Normal(*MEAN)) for of in "tn")
        sd_t, sd_n = (jnp.exp(numpyro.sample(f"ln_sd_{of}", Normal(*LN_SD))) for of in "tn")
        return mean_t, sd_t, mean_n, sd_n

    def _plasma(self) -> dict[str, Any]:
        """Return what more than temperature and density a star has, (S, ...)."""
        import jax.numpy as jnp
        import numpyro
        from numpyro.distributions import Normal

        out: dict[str, Any] = {}
        if self.choices.spread:
            out["spread"] = jnp.exp(numpyro.sample("ln_spread", Normal(*LN_SPREAD)))
        if self.choices.abundances:
            common, own = (np.log(10.0) * sd for sd in self.choices.abundances)
            heavy = jnp.array([name not in LIGHT for name in self.windows.elements], float)
            out["ln_metals"] = common * numpyro.sample("metals", Normal(0.0, 1.0))
            each = numpyro.sample("element", Normal(0.0, 1.0).expand((len(heavy),)).to_event(1))
            out["ln_abundance"] = heavy * (out["ln_metals"][:, None] + own * each)
        return out

    def _shared(self, data: Data) -> dict[str, Any]:
        import jax
        import jax.numpy as jnp
        import numpyro
        from numpyro.distributions import Normal

        prior = data.get("width", jnp.array(WIDTH))
        tau = jnp.exp(numpyro.sample("ln_tau", Normal(*LN_TAU)))
        stars = data["counts"].shape[:1]
        lines, motion = (stars if own else () for own in (self.choices.own_lines, self.choices.own_motion))
        line = numpyro.sample("line", Normal(0.0, 1.0).expand((*lines, self.windows.count)).to_event())
        shift = numpyro.sample("shift", Normal(0.0, 1.0).expand(motion).to_event())
        width = numpyro.sample("width", Normal(prior[0], prior[1]).expand(motion).to_event())
        out = {
            "ln_factor": tau * jnp.asarray(self.scatter) * line,
            "shift_kms": SHIFT_KMS * shift,
            "sigma_kms": MOST_KMS * jax.nn.sigmoid(width),
        }
        if self.choices.calibration:
            knots = numpyro.sample("area", Normal(0.0, 1.0).expand((*lines, KNOTS)).to_event())
            out["ln_area"] = self.choices.calibration * knots
        if self.choices.likelihood == "normal":
            out["systematic"] = jnp.exp(numpyro.sample("ln_systematic", Normal(*LN_SYSTEMATIC)))
        return out

    def _likelihood(self, data: Data, expected: Any, own: Any, systematic: Any) -> Any:
        """Return the ln likelihood of each star, (S,): of Poisson without what depends on the counts alone.

        With a network's word on lines, each is there or not: both are summed, in the bins nearest to the line.
        """
        import jax
        import jax.numpy as jnp
        import numpyro

        counts, used = jnp.asarray(data["counts"], np.float32), jnp.asarray(self.windows.used)
        systematic = None if systematic is None else jnp.asarray(systematic, np.float32)

        def each(model: Any) -> Any:
            model = jnp.maximum(model, LEAST)
            if systematic is None:
                return counts * jnp.log(model) - model
            variance = jnp.maximum(model, 1.0) + (systematic * model) ** 2  # a bin expected empty varies as one photon
            return -0.5 * ((counts - model) ** 2 / variance + jnp.log(2 * jnp.pi * variance))

        there = jnp.where(used, each(expected), 0.0).astype(float)
        if "present" not in data:
            return there.sum(axis=(1, 2))
        absent = jnp.where(used, each(expected - own), 0.0).astype(float)
        with_line, without = (v.reshape(len(v), -1) @ jnp.asarray(self.owns) for v in (there, absent))  # (S, K)
        p = data["present"]
        ratio = jnp.log(p) - jnp.log1p(-p) + with_line - without
        numpyro.deterministic("present", jax.nn.sigmoid(ratio))
        return jnp.logaddexp(jnp.log(p) + with_line, jnp.log1p(-p) + without).sum(axis=1)

    def _network(self, mixture: Data, log_t: Any, log_n: Any) -> Any:
        import jax.numpy as jnp
        from jax.scipy.special import logsumexp

        away = jnp.stack([log_t, log_n], axis=-1)[:, None, :] - mixture["mean"]
        z = jnp.einsum("smij,smj->smi", mixture["root"], away)
        return mixture["trust"] * jnp.sum(logsumexp(mixture["ln_weight"] - 0.5 * (z**2).sum(-1), axis=-1))
