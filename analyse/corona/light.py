"""The light of coronae in windows, in JAX: `stream.corona.forward` with gradients, on the same tables."""

from typing import Any

import numpy as np

from stream.kernels.corona import KMS


class Light:
    """Expected counts of S coronae in W windows of N bins; tables of `Windows.tables`, in single precision.

    nodes: temperatures of each corona, about its mean log T; one is isothermal, and within the box. More:
    Gauss-Hermite's, of a Gaussian differential emission measure. Tables are read by products with weights of their
    nodes: what is picked by index has gradients that take seconds to compile.
    """

    def __init__(self, tables: dict[str, Any], nodes: int = 1) -> None:
        import jax.numpy as jnp

        rows_t, rows_n = tables["rows"] if nodes == 1 else (slice(None), slice(None))
        kept = {k: v for k, v in tables.items() if k not in ("rows", "grid")}
        kept |= {"ln_photons": tables["ln_photons"][rows_t, rows_n], "ln_bright": tables["ln_bright"][rows_t, rows_n]}
        kept["continuum"] = tables["continuum"][:, rows_t]
        self.grid = [np.asarray(at[row]) for at, row in zip(tables["grid"], (rows_t, rows_n), strict=True)]
        self.tables = {k: jnp.asarray(v.astype(np.float32) if v.dtype == float else v) for k, v in kept.items()}
        at, weight = np.polynomial.hermite_e.hermegauss(nodes)
        self.at, self.weight = (jnp.asarray(v, np.float32) for v in (at, weight / weight.sum()))

    def _weights(self, at: Any, axis: int) -> Any:
        """Return what each node of a grid counts in linear interpolation, (..., nodes)."""
        import jax.numpy as jnp

        grid = self.grid[axis]
        x = jnp.clip((at - grid[0]) / (grid[1] - grid[0]), 0.0, len(grid) - 1.0)
        return jnp.maximum(1.0 - jnp.abs(x[..., None] - np.arange(len(grid))), 0.0)

    def bright(self, log_t: Any, log_n: Any) -> Any:
        """Return ln counts s-1 in all windows for norm 1, (...), where lines are as in the table."""
        import jax.numpy as jnp

        table = jnp.asarray(self.tables["ln_bright"], log_t.dtype)
        return ((self._weights(log_t, 0) @ table) * self._weights(log_n, 1)).sum(axis=-1)

    def photons(self, log_t: Any, log_n: Any) -> tuple[Any, Any]:
        """Return ln photons cm-2 s-1 for norm 1: pairs (..., P), continuum without and of metals (2, ..., W, N)."""
        import jax.numpy as jnp

        t, n = self._weights(log_t, 0), self._weights(log_n, 1)
        both = (t[..., :, None] * n[..., None, :]).reshape(*t.shape[:-1], -1)
        table = self.tables["ln_photons"]
        return both @ table.reshape(-1, table.shape[-1]), jnp.einsum("...t,ctwn->c...wn", t, self.tables["continuum"])

    def plasma(self, star: dict[str, Any]) -> tuple[Any, Any]:
        """Return photons cm-2 s-1 for norm 1 of the line of each pair (S, P) and of the continuum (S, W, N)."""
        import jax.numpy as jnp

        metals = jnp.exp(star["ln_metals"])[:, None, None] if "ln_metals" in star else 1.0
        if "spread" not in star:
            lines, continuum = self.photons(star["log_t"], star["log_n"])
            return jnp.exp(lines), jnp.exp(continuum[0]) + metals * jnp.exp(continuum[1])
        log_t = star["log_t"][:, None] + star["spread"][:, None] * self.at  # (S, Q)
        lines, continuum = self.photons(log_t, jnp.broadcast_to(star["log_n"][:, None], log_t.shape))
        both = jnp.einsum("csqwn,q->cswn", jnp.exp(continuum), self.weight)
        return jnp.einsum("sqp,q->sp", jnp.exp(lines), self.weight), both[0] + metals * both[1]

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
        ln_metals, (S,) each; lines: shift_kms, sigma_kms, () or (S,), ln_factor (K,) or (S, K), and where wanted
        ln_area, what the area is off by at its knots, (KNOTS,) or (S, KNOTS).
        """
        import jax.numpy as jnp

        t = self.tables
        star, lines = ({k: jnp.asarray(v, np.float32) for k, v in given.items()} for given in (star, lines))
        light, continuum = self.plasma(star)
        ln_factor = jnp.atleast_2d(lines["ln_factor"]) @ t["of_line"]  # (., P)
        if "ln_abundance" in star:
            ln_factor = ln_factor + star["ln_abundance"] @ t["of_element"]
        if "ln_area" in lines:
            ln_area = jnp.atleast_2d(lines["ln_area"])
            ln_factor = ln_factor + ln_area @ t["knots_of_pair"]
            continuum = continuum * jnp.exp(ln_area @ t["knots_of_window"])[..., None]
        light = light * jnp.exp(ln_factor + star["ln_norm"][:, None])
        each = light[..., None] * self.profile(lines["shift_kms"], lines["sigma_kms"])  # (S, P, N)
        smooth = continuum * jnp.exp(star["ln_norm"])[:, None, None] * t["area"]
        flat = jnp.exp(star["ln_background"])[:, None, None] * t["width"]
        whole, own = (jnp.einsum("wp,spn->swn", t["window"], v) * t["area"] for v in (each, each * t["owned"]))
        seconds = jnp.asarray(exposure_s, np.float32)[:, None, None]
        return (whole + smooth + flat) * seconds, own * seconds
