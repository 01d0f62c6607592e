"""Draws of a hierarchical model by NUTS, whitened by the curvature at its best point; compiled once for all batches."""

import time
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize

from analyse.corona.hierarchy import Data, Hierarchy
from analyse.diagnostics import Draws, ess, rhat
from analyse.nuts import FIELDS, KEYS
from config.extra import extra
from stream.spectra.grid import Floats

CHAINS: Final = 4
WARM_UP: Final = 150
DRAWS: Final = 600
ACCEPTANCE: Final = 0.8
AT_ONCE: Final = 100  # points at which the density is computed in one pass
FIRST: Final = 0.5  # length of the first steps
DEEPEST: Final = 8  # doublings of a trajectory
CLIMB: Final = 300  # steps to the best point, at most
STEP: Final = 1e-2  # of a variable, for the curvature by differences of gradients, which have single precision
FLATTEST: Final = 0.1  # curvature below this is taken as this: priors are no wider than a few


class Sampler:
    """NUTS on a model. `names` are those of its variables, once a batch was drawn.

    It walks NumPyro's kernel itself: `MCMC` compiles hundreds of small pieces before each batch.
    """

    def __init__(self, model: Hierarchy, chains: int = CHAINS, warm_up: int = WARM_UP, draws: int = DRAWS) -> None:
        with extra("analyse"):
            import jax
            import numpyro  # noqa: F401 - what the model is made of
        jax.config.update("jax_enable_x64", True)
        self.model = model
        self.layout: dict[str, tuple[int, ...]] = {}
        self.plan = {"chains": chains, "warm_up": warm_up, "steps": draws}
        self.energy = jax.jit(self._energy)  # traced once, whoever calls it
        self.slope = jax.jit(jax.value_and_grad(self.energy))
        self.walk = jax.jit(self._walk)
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
        import jax

        began, cpu = time.perf_counter(), time.process_time()
        self.layout = {name: np.shape(values) for name, values in sorted(start.items())}
        flat = np.concatenate([np.ravel(start[name]) for name in self.layout]).astype(float)
        centre, root = self.climb(data, flat)
        found = time.process_time() - cpu
        z = np.random.default_rng(seed).standard_normal((self.plan["chains"], len(flat)))
        known = [self.slope(centre + root @ row, data) for row in z]  # here: it is compiled already
        begin = z, np.array([float(energy) for energy, _ in known]), np.array([slope for _, slope in known]) @ root
        drawn, *fields = (np.asarray(v) for v in self.walk(jax.random.PRNGKey(seed), begin, data, centre, root))
        stats = dict(zip(KEYS, fields, strict=True))
        stats |= {"centre": centre, "root": root}
        x = centre + drawn @ root.T
        about = {
            **self.plan,
            "cpu_seconds": time.process_time() - cpu,
            "climb_cpu_seconds": found,
            "leapfrogs": float(stats["n_steps"].sum()),
        }
        sizes, ratios = (np.array([f(x[..., i]) for i in range(len(flat))]) for f in (ess, rhat))
        seconds = time.perf_counter() - began
        return Draws("nuts", x, seconds, sizes, ratios, int(stats["diverging"].sum()), stats, about)

    def _walk(self, key: Any, start: Any, data: Data, centre: Any, root: Any) -> tuple[Any, ...]:
        """Return draws of whitened variables (chain, draw, k) and KEYS of each; all chains in one compiled loop."""
        import jax
        from numpyro.infer.hmc import hmc
        from numpyro.infer.util import ParamInfo

        init, step = hmc(potential_fn_gen=lambda *given: lambda z: self.energy(given[1] + given[2] @ z, given[0]))
        args, warm_up = (data, centre, root), self.plan["warm_up"]
        how = {"adapt_mass_matrix": False, "target_accept_prob": ACCEPTANCE, "max_tree_depth": DEEPEST}

        def one(key: Any, begin: Any) -> Any:
            def go(state: Any, _: Any) -> Any:
                state = step(state, args)
                return state, (state.z, *(getattr(state, name) for name in FIELDS))

            state = init(ParamInfo(*begin), warm_up, step_size=FIRST, model_args=args, rng_key=key, **how)
            return jax.lax.scan(go, state, None, warm_up + self.plan["steps"])[1]

        every = jax.vmap(one)(jax.random.split(key, self.plan["chains"]), start)
        return tuple(v[:, warm_up:] for v in every)

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
