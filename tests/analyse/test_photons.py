import numpy as np
import pytest

from analyse.priors import Priors
from stream.kernels.cstat import statistic_sum
from stream.spectra.fit import fit_spectrum
from stream.spectra.grid import Grid
from stream.spectra.model import parse_model
from stream.spectra.spectrum import Spectrum

jax = pytest.importorskip("jax")
EDGES = np.linspace(0.3, 10.0, 98)
GRID = Grid.of(EDGES[:-1], EDGES[1:])
MODELS = {
    "powerlaw": [(1.8, 1e-3), (1.0, 1e-3), (-2.0, 1.0)],
    "bremss": [(0.2, 1e-3), (4.321, 1e-3), (60.0, 1e-3)],
    "bbody": [(0.1, 1e-3), (1.5, 1e-3)],
    "gaussian": [(6.4, 0.1, 1e-3), (0.9, 0.02, 1e-3)],
    "apec": [(0.35, 1.0, 0.0, 1e-3), (1.0, 1.0, 0.0, 1e-3), (7.7, 1.0, 0.0, 1e-3)],
    "tbabs*(powerlaw + gaussian)": [(0.3, 1.8, 1e-3, 6.4, 0.1, 1e-5)],
    "tbabs*powerlaw + bbody": [(2.0, 1.8, 1e-3, 0.3, 1e-5)],
}


@pytest.fixture(autouse=True)
def double():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize(("text", "values"), [(t, np.array(v)) for t, each in MODELS.items() for v in each])
def test_photons_and_slopes_are_those_of_the_fit(text, values):
    from analyse.photons import photons_in_jax

    model = parse_model(text)
    ours = photons_in_jax(model, GRID)
    slopes = np.zeros((len(values), len(GRID.low)))
    photons = model.on(GRID, values, slopes)
    scale = photons.max()
    tolerance = 2e-5 if "bremss" in text else 1e-9
    assert np.allclose(ours(values), photons, rtol=tolerance, atol=1e-12 * scale)
    by = np.asarray(jax.jacfwd(ours)(values)).T
    near = 2e-3 if "bremss" in text else 1e-6
    assert np.allclose(by, slopes, rtol=near, atol=near * 1e-2 * np.abs(slopes).max(axis=1, keepdims=True))


def test_plasma_of_free_abundance_and_redshift_is_that_of_the_fit():
    from analyse.photons import photons_in_jax

    model = parse_model("apec").set(**{"apec.Abundanc": {"frozen": False}, "apec.Redshift": {"frozen": False}})
    ours = photons_in_jax(model, GRID)
    for kt, abundance, z in ((0.35, 0.3, 0.1), (2.0, 1.0, 0.0), (7.7, 2.5, 0.7)):
        values = np.array([kt, abundance, z, 1e-3])
        slopes = np.zeros((4, len(GRID.low)))
        photons = model.on(GRID, values, slopes)
        assert np.allclose(ours(values), photons, rtol=1e-9, atol=1e-12 * photons.max())
        by = np.asarray(jax.jacfwd(ours)(values)).T
        assert np.allclose(by, slopes, rtol=1e-6, atol=1e-8 * np.abs(slopes).max(axis=1, keepdims=True))


@pytest.mark.parametrize("statistic", ["cstat", "wstat"])
def test_density_is_minus_half_the_statistic_and_its_gradient_finite(spectrum, response, statistic):
    from analyse.nuts import log_density

    none = Spectrum.of(np.where(np.arange(80) % 3 == 0, 0, spectrum.counts), spectrum.exposure_s, spectrum.background)
    fit = fit_spectrum(parse_model("tbabs*powerlaw"), none, response, statistic=statistic)
    priors = Priors.of(fit)
    density = log_density(fit, priors)
    for point in priors.scattered(np.random.default_rng(0), 5):
        data = fit.data
        model = data.predict(fit.model, priors.all_values(point))
        truth = -0.5 * statistic_sum(data.counts, data.off, data.alpha, model)
        assert float(density(point)) == pytest.approx(truth, abs=1e-6)
        step = 1e-5 * priors.scatter
        slope = np.array([float(density(point + d) - density(point - d)) for d in np.diag(step)]) / (2 * step)
        assert np.allclose(jax.grad(density)(point), slope, rtol=1e-4, atol=1e-3)
