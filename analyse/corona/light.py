"""The light of coronae in windows, in JAX: `stream.corona.forward` with gradients, on the same tables."""

from typing import Any

import numpy as np

from stream.kernels.corona import KMS


class Light:
    """Expected counts of S coronae in W windows of N bins; tables of `Windows.tables`, in single precision.

    nodes: temperatures of each corona, about its mean log T; one is isothermal. More: Gauss-Hermite's, of a Gaussian
    differential emission measure.
    """

    def __init__(self, tables: dict[str, Any], nodes: int = 1) -> None:
        import jax.numpy as jnp

        self.grid = tables["grid"]
        kept = {k: np.asarray(v) for k, v in tables.items() if k != "grid"}
        self.tables = {k: jnp.asarray(v.astype(np.float32) if v.dtype == float else v) for k, v in kept.items()}
        at, weight = np.polynomial.hermite_e.hermegauss(nodes)
        self.at, self.weight = (jnp.asarray(v, np.float32) for v in (at, weight / weight.sum()))

    def _place(self, at: Any, first: float, step: float, size: int) -> tuple[Any, Any]:
        import jax.numpy as jnp

        x = jnp.clip((at - first) / step, 0.0, size - 1.0)
        row = jnp.minimum(x.astype(int), size - 2)
        return row, x - row

    def photons(self, log_t: Any, log_n: Any) -> tuple[Any, Any]:
        """Return ln photons cm-2 s-1 for norm 1: lines (..., L), continuum without and of metals (2, ..., W, N)."""
        i, x = self._place(log_t, *self.grid[:3])
        j, y = self._place(log_n, *self.grid[3:])
        table, continuum = self.tables["ln_photons"], self.tables["continuum"]
        x, y, x_bins = x[..., None], y[..., None], x[..., None, None]
        low = table[i, j] * (1 - y) + table[i, j + 1] * y
        high = table[i + 1, j] * (1 - y) + table[i + 1, j + 1] * y
        return low * (1 - x) + high * x, continuum[:, i] * (1 - x_bins) + continuum[:, i + 1] * x_bins

    def plasma(self, star: dict[str, Any]) -> tuple[Any, Any]:
        """Return photons cm-2 s-1 for norm 1 of lines (S, L) and of the continuum (S, W, N)."""
        import jax.numpy as jnp

        metals = jnp.exp(star["ln_metals"])[:, None, None] if "ln_metals" in star else 1.0
        if "spread" not in star:
            lines, continuum = self.photons(star["log_t"], star["log_n"])
            return jnp.exp(lines), jnp.exp(continuum[0]) + metals * jnp.exp(continuum[1])
        log_t = star["log_t"][:, None] + star["spread"][:, None] * self.at  # (S, Q)
        lines, continuum = self.photons(log_t, jnp.broadcast_to(star["log_n"][:, None], log_t.shape))
        both = jnp.einsum("csqwn,q->cswn", jnp.exp(continuum), self.weight)
        return jnp.einsum("sql,q->sl", jnp.exp(lines), self.weight), both[0] + metals * both[1]

    def profile(self, shift_kms: Any, sigma_kms: Any) -> Any:
        """Return what part of each pair's line is in each bin, (..., P, N), of shifts and widths (...)."""
        import jax.numpy as jnp
        from jax.scipy.special import erf

        t = self.tables
        shift, sigma = (jnp.asarray(v)[..., None] for v in (shift_kms, sigma_kms))
        wide = jnp.sqrt(t["sigma"] ** 2 + (t["wavelength"] * sigma / KMS) ** 2)
        below = erf((t["away"] - (t["wavelength"] * shift / KMS)[..., None]) / (wide * 2**0.5)[..., None])
        return 0.5 * (below[..., 1:] - below[..., :-1])

    def counts(self, star: dict[str, Any], lines: dict[str, Any], exposure_s: Any) -> tuple[Any, Any]:
        """Return expected counts (S, W, N), and how many of them are of the line that owns each bin.

        star: log_t, log_n, ln_norm, ln_background (counts s-1 A-1), and where wanted spread (dex), ln_abundance (S, E),
        ln_metals, (S,) each; lines: shift_kms, sigma_kms, () or (S,), and ln_factor (K,) or (S, K).
        """
        import jax.numpy as jnp

        t = self.tables
        star, lines = ({k: jnp.asarray(v, np.float32) for k, v in given.items()} for given in (star, lines))
        light, continuum = self.plasma(star)
        factor = jnp.atleast_2d(lines["ln_factor"])
        factor = jnp.pad(factor, ((0, 0), (0, light.shape[1] - factor.shape[1])))
        if "ln_abundance" in star:
            factor = factor + star["ln_abundance"][:, t["element"]]
        light = (light * jnp.exp(factor + star["ln_norm"][:, None]))[:, t["line"]]  # (S, P)
        each = light[..., None] * self.profile(lines["shift_kms"], lines["sigma_kms"])  # (S, P, N)
        smooth = continuum * jnp.exp(star["ln_norm"])[:, None, None] * t["area"]
        flat = jnp.exp(star["ln_background"])[:, None, None] * t["width"]
        whole, own = (jnp.einsum("wp,spn->swn", t["window"], v) * t["area"] for v in (each, each * t["owned"]))
        seconds = jnp.asarray(exposure_s, np.float32)[:, None, None]
        return (whole + smooth + flat) * seconds, own * seconds
