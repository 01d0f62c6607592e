"""Emission measures: what was put in comes out, with the smoothness by evidence."""

from dataclasses import replace

import numpy as np
import pytest

from analyse.corona.dem import Seen, climb, invert
from analyse.corona.templates import emissivities, of_fluxes
from stream.corona.hot import shipped_hot
from stream.errors import ConfigError

LOG_T = np.round(np.arange(6.0, 7.801, 0.1), 2)
LINES = (
    ("o_7", 21.602),
    ("o_8", 18.967),
    ("ne_9", 13.447),
    ("ne_10", 12.132),
    ("fe_17", 15.014),
    ("fe_18", 14.204),
    ("fe_19", 13.518),
    ("fe_20", 12.846),
    ("fe_21", 12.282),
    ("fe_22", 11.768),
    ("fe_23", 11.736),
    ("fe_24", 10.621),
)


def star(noise, seed=0):
    """Return fluxes of a DEM with a peak at log T 6.9, oxygen half and neon twice as much, and ln of the DEM."""
    table, _ = shipped_hot()
    light = emissivities(table, [table.find(*line) for line in LINES], LOG_T, 10.0)
    element = tuple(ion.partition("_")[0] for ion, _ in LINES)
    norm = 1e-3 * np.exp(-0.5 * ((LOG_T - 6.9) / 0.2) ** 2)
    factor = np.array([{"o": 0.5, "ne": 2.0}.get(name, 1.0) for name in element])
    flux = factor * (light @ norm)
    seen = flux * (1 + noise * np.random.default_rng(seed).normal(size=len(flux)))
    made = of_fluxes((seen, noise * flux), light, element, LOG_T)
    return replace(made, free=np.array([name != "fe" for name in made.elements])), np.log10(norm / 0.1)


def test_a_known_dem_comes_back():
    seen, truth = star(0.03)
    found = invert(seen)
    assert found.converged
    assert abs(found.peak - 6.9) < 0.1
    inside = np.abs(LOG_T - 6.9) < 0.35
    assert np.all(np.abs(found.log_dem - truth)[inside] < np.maximum(3 * found.error, 0.15)[inside])
    abundance = dict(zip(found.seen.elements, found.abundance, strict=True))
    assert abundance["ne"] / abundance["o"] == pytest.approx(4.0, rel=0.25)
    assert abundance["fe"] == 1.0
    assert found.statistic < 30


def test_evidence_prefers_neither_end():
    seen, _ = star(0.03)
    found = invert(seen)
    assert 0 < int(np.argmax(found.evidence)) < len(found.evidence) - 1


def test_derivatives_are_those_of_the_model():
    seen, _ = star(0.03)
    x = seen.start() + 0.1
    model, slopes = seen.model(x)
    for i in range(len(x)):
        up = x.copy()
        up[i] += 1e-5
        free = i < len(LOG_T) or seen.free[i - len(LOG_T)]
        wanted = (seen.model(up)[0] - model) / 1e-5 if free else 0.0
        np.testing.assert_allclose(slopes[i], wanted, rtol=1e-3, atol=1e-9 * model.max())


def test_counts_are_poisson_with_lines_and_background():
    rng, k, bins = np.random.default_rng(1), len(LOG_T), 40
    shape = np.eye(3, bins) * 1.0
    truth = np.exp(-0.5 * ((LOG_T - 6.9) / 0.2) ** 2)
    smooth = rng.uniform(0.5, 1.5, (1, k, bins)) * 30
    lines = np.array([np.exp(-0.5 * ((LOG_T - t) / 0.15) ** 2) * 400 for t in (6.6, 6.9, 7.2)])
    expected = truth @ smooth[0] + (lines @ truth) @ shape + 5.0
    seen = Seen(
        rng.poisson(expected).astype(float),
        None,
        LOG_T,
        ("h",),
        smooth,
        lines,
        np.zeros(3, np.int64),
        shape,
        np.full(3, 0.1),
        np.ones(bins),
        np.array([False]),
    )
    found, _ = climb(seen, 10.0, seen.start())
    assert found.converged
    assert abs(found.peak - 6.9) < 0.15
    assert found.statistic == pytest.approx(bins, abs=4 * np.sqrt(2 * bins))


def test_nothing_to_fit_is_refused():
    seen, _ = star(0.03)
    with pytest.raises(ConfigError, match="nothing to fit"):
        replace(seen, data=np.zeros_like(seen.data))
    with pytest.raises(ConfigError, match="even steps"):
        replace(seen, log_t=LOG_T**2)
