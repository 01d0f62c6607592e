"""Draws of a hierarchical model by NUTS, whitened by the curvature at its best point; compiled once for all batches.

Where a warm-up finds the posterior wider in some direction, as near the ends of the box, it is whitened again.
Chains go on, half as long again at a time, while nothing but R-hat or ESS fails its gate; where a step diverges, all
begin anew in smaller ones.
"""

import time
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize

from analyse.compiled import keep_programs, known_options
from analyse.corona.hierarchy import Data, Hierarchy
from analyse.diagnostics import LEAST_ESS, MOST_RHAT, Draws, ess, rhat
from analyse.nuts import FIELDS, KEYS
from config.extra import extra
from stream.spectra.grid import Floats

CHAINS: Final = 4
WARM_UP: Final = 100
DRAWS: Final = 400
LONGEST: Final = 5  # times the draws that were asked for: chains that then still disagree are in different places
STRETCH: Final = 50  # steps of all chains in one compiled loop
ACCEPTANCE: Final = 0.8
CAREFUL: Final = 0.95  # where that diverges: all chains anew in smaller steps, once
AT_ONCE: Final = 100  # points at which the density is computed in one pass
LEAN: Final = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1}  # half of the compilation
QUICK: Final = LEAN | {"xla_backend_optimization_level": 0}  # what runs a few hundred times only
KEPT: Final = 0.5  # of successive draws, that tell as much as independent ones
FIRST: Final = 0.5  # length of the first steps
DEEPEST: Final = 8  # doublings of a trajectory
CLIMB: Final = 300  # steps to the best point, at most
STEP: Final = 1e-2  # of a variable, for the curvature by differences of gradients, which have single precision
FLATTEST: Final = 0.1  # curvature below this is taken as this: priors are no wider than a few

Args = tuple[Data, Floats, Floats, float]  # centre (k,) and root (k, k) of the whitening; the acceptance to reach


class Sampler:
    """NUTS on a model. `names` are those of its variables, once a batch was drawn.

    It walks NumPyro's kernel itself: `MCMC` compiles hundreds of small pieces before each batch. Chains walk in turn:
    side by side each waits for the longest tree, and the program takes twice as long to compile.
    """

    def __init__(self, model: Hierarchy, chains: int = CHAINS, warm_up: int = WARM_UP, draws: int = DRAWS) -> None:
        with extra("analyse"):
            import jax
            import numpyro  # noqa: F401 - what the model is made of
        jax.config.update("jax_enable_x64", True)
        keep_programs()
        self.model = model
        self.layout: dict[str, tuple[int, ...]] = {}
        self.plan = {"chains": chains, "warm_up": warm_up, "steps": draws}
        self.energy = jax.jit(self._energy)  # traced once, whoever calls it
        lean, quick = known_options(LEAN), known_options(QUICK)
        self.slope = jax.jit(jax.value_and_grad(self.energy), compiler_options=quick)
        self.first = jax.jit(self._first, compiler_options=quick)
        self.stretch = jax.jit(self._stretch, compiler_options=lean)
        self.many = jax.jit(jax.vmap(self.energy, (0, None)))
        self.told = jax.jit(jax.vmap(self._told, (0, None)))

    def _energy(self, flat: Any, data: Data) -> Any:
        """Return minus ln of the posterior density at variables (k,), without what depends on the counts alone."""
        from numpyro.handlers import block
        from numpyro.infer.util import potential_energy

        with block():
            return potential_energy(self.model, (data,), {}, self.sites(flat))

    def _told(self, flat: Any, data: Data) -> Any:
        """Return how probable each line is there, (S, K), at variables (k,)."""
        from numpyro.handlers import block, substitute, trace

        with block():
            found = trace(substitute(self.model, self.sites(flat))).get_trace(data)
        return found["present"]["value"]

    def density(self, flat: Floats, data: Data) -> Floats:
        """Return ln of prior times likelihood with all constants, (n,), at variables (n, k)."""
        constant, out = self.model.constant(data), np.empty(len(flat))
        for begin in range(0, len(flat), AT_ONCE):
            part = flat[begin : begin + AT_ONCE]
            full = np.concatenate([part, np.repeat(part[:1], AT_ONCE - len(part), axis=0)])  # one shape: compiled once
            out[begin : begin + len(part)] = -np.asarray(self.many(full, data), float)[: len(part)]
        return out + constant

    def sites(self, flat: Any) -> dict[str, Any]:
        """Return variables by site, (..., *shape), of flat ones (..., k)."""
        out, first = {}, 0
        for name, shape in self.layout.items():
            size = int(np.prod(shape))
            out[name] = flat[..., first : first + size].reshape(*flat.shape[:-1], *shape)
            first += size
        return out

    @property
    def names(self) -> list[str]:
        """Return one for each variable: "x_t[3]"."""
        return [
            name + (f"[{','.join(map(str, at))}]" if at else "")
            for name, shape in self.layout.items()
            for at in np.ndindex(*shape)
        ]

    def run(self, data: Data, start: dict[str, Floats], seed: int) -> Draws:
        """Return draws of the posterior of a batch: variables (chain, draw, k) as in `names`.

        stats beside those of NUTS: centre (k,) and root (k, k) of the whitening, and energy of each draw.
        """
        began, cpu = time.perf_counter(), time.process_time()
        self.layout = {name: np.shape(values) for name, values in sorted(start.items())}
        flat = np.concatenate([np.ravel(start[name]) for name in self.layout]).astype(float)
        centre, root = self.climb(data, flat)
        found = time.process_time() - cpu
        for target in (ACCEPTANCE, CAREFUL):
            chains, steps = self._begun((data, centre, root, target), seed), self.plan["steps"]
            drawn, *fields = chains.drawn(steps)
            sizes, ratios = _told_of(drawn)
            while steps < LONGEST * self.plan["steps"] and not fields[0].any() and not _hold(sizes, ratios):
                steps += max(self.plan["steps"] // 2, 1)
                drawn, *fields = chains.drawn(steps)
                sizes, ratios = _told_of(drawn)
            if not fields[0].any():
                break
        stats = dict(zip(KEYS, fields, strict=True))
        stats |= {"centre": centre, "root": chains.args[2]}
        about = {
            **self.plan,
            "steps": steps,
            "acceptance": target,
            "cpu_seconds": time.process_time() - cpu,
            "climb_cpu_seconds": found,
            "leapfrogs": float(stats["n_steps"].sum()),
        }
        seconds = time.perf_counter() - began
        return Draws("nuts", drawn, seconds, sizes, ratios, int(stats["diverging"].sum()), stats, about)

    def _begun(self, args: Args, seed: int) -> "Chains":
        """Return chains; where their warm-up finds directions wider than thought, others that begin where they end."""
        chains, (data, centre, root, target) = Chains(self, args, seed), args
        found = chains.walked(self.plan["warm_up"])
        away = (found[:, found.shape[1] // 2 :] - centre).reshape(-1, len(centre))
        z = np.asarray(np.linalg.solve(root, away.T), float)
        wider = widened(z)
        if wider is None:
            return chains
        root = root @ wider
        last = np.asarray(np.linalg.solve(root, (found[:, -1] - centre).T).T, float)
        return Chains(self, (data, centre, root, target), seed, last)

    def _kernel(self, key: Any, begin: Any, args: Any) -> tuple[Any, Any]:
        """Return the first state of one chain, from whitened variables with their energy and slope; and NUTS's step."""
        from numpyro.infer.hmc import hmc
        from numpyro.infer.util import ParamInfo

        init, step = hmc(potential_fn_gen=lambda *given: lambda z: self.energy(given[1] + given[2] @ z, given[0]))
        how = {"adapt_mass_matrix": False, "target_accept_prob": args[3], "max_tree_depth": DEEPEST}
        state = init(ParamInfo(*begin), self.plan["warm_up"], step_size=FIRST, model_args=args, rng_key=key, **how)
        return state, step

    def _first(self, keys: Any, begin: Any, args: Any) -> Any:
        import jax

        return jax.vmap(lambda key, one: self._kernel(key, one, args)[0])(keys, begin)

    def _stretch(self, states: Any, args: Any) -> tuple[Any, tuple[Any, ...]]:
        """Return states of all chains STRETCH steps on, variables (chain, step, k) and FIELDS of each."""
        import jax

        def one(state: Any) -> Any:
            _, step = self._kernel(state.rng_key, (state.z, state.potential_energy, state.z_grad), args)

            def go(at: Any, _: Any) -> Any:
                at = step(at, args)
                return at, (args[1] + args[2] @ at.z, *(getattr(at, name) for name in FIELDS))

            return jax.lax.scan(go, state, None, STRETCH)

        return jax.lax.map(one, states)

    def climb(self, data: Data, flat: Floats) -> tuple[Floats, Floats]:
        """Return the best point (k,) and a root (k, k) of the inverse of its curvature."""

        def value(at: Floats) -> tuple[float, Floats]:
            energy, slope = self.slope(at, data)
            return float(energy), np.asarray(slope, float)

        best = minimize(value, flat, jac=True, method="L-BFGS-B", options={"maxiter": CLIMB}).x
        steps = STEP * np.eye(len(flat))
        curvature = np.array([value(best + step)[1] - value(best - step)[1] for step in steps]) / (2 * STEP)
        values, vectors = np.linalg.eigh(0.5 * (curvature + curvature.T))
        return best, vectors / np.sqrt(np.maximum(values, FLATTEST))


class Chains:
    """Chains of one posterior, which can go on."""

    def __init__(self, sampler: Sampler, args: Args, seed: int, z: Floats | None = None) -> None:
        """Begin at whitened variables (chain, k); None: anywhere about the best point."""
        import jax

        self.sampler, self.args, (data, centre, root, _) = sampler, args, args
        count = sampler.plan["chains"]
        z = np.random.default_rng(seed).standard_normal((count, len(centre))) if z is None else z
        known = [sampler.slope(centre + root @ row, data) for row in z]  # here: it is compiled already
        begin = z, np.array([float(energy) for energy, _ in known]), np.array([slope for _, slope in known]) @ root
        self.states = sampler.first(jax.random.split(jax.random.PRNGKey(seed), count), begin, args)
        self.parts: list[list[Any]] = []

    def drawn(self, steps: int) -> list[Any]:
        """Return so many draws after the warm-up, (chain, draw, k), and FIELDS of each; walks as far as it must."""
        warm_up = self.sampler.plan["warm_up"]
        self.walked(warm_up + steps)
        return [np.concatenate(v, axis=1)[:, warm_up : warm_up + steps] for v in zip(*self.parts, strict=True)]

    def walked(self, steps: int) -> Floats:
        """Return variables (chain, step, k) of so many steps or more, from the first on; walks as far as it must."""
        while STRETCH * len(self.parts) < steps:
            self.states, part = self.sampler.stretch(self.states, self.args)
            self.parts.append([np.asarray(values) for values in part])
        return np.concatenate([part[0] for part in self.parts], axis=1)


def widened(z: Floats) -> Floats | None:
    """Return what stretches whitened variables (k, n) where draws scatter beyond chance, (k, k); None: nowhere.

    By chance, covariances of n independent draws have eigenvalues up to (1 + root(k / n))^2
    (Marchenko & Pastur 1967); successive draws count half.
    """
    share = len(z) / (KEPT * z.shape[1])
    values, vectors = np.linalg.eigh(np.cov(z))
    wide = values > (1 + np.sqrt(share)) ** 2
    if not wide.any():
        return None
    stretch = np.sqrt(values[wide] / (1 + share)) - 1
    return np.eye(len(z)) + (vectors[:, wide] * stretch) @ vectors[:, wide].T


def _told_of(drawn: Floats) -> tuple[Floats, Floats]:
    """Return ESS and R-hat of each variable, (k,)."""
    sizes, ratios = (np.array([f(drawn[..., i]) for i in range(drawn.shape[-1])]) for f in (ess, rhat))
    return sizes, ratios


def _hold(sizes: Floats, ratios: Floats) -> bool:
    return bool(np.all(sizes >= LEAST_ESS) and np.all(ratios <= MOST_RHAT))
