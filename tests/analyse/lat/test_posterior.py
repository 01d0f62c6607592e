import numpy as np
import pytest

from analyse.diagnostics import UnconvergedError
from analyse.lat.fit import FLUX, SLOPE, _Search
from analyse.lat.posterior import Density, columns, publish, sample
from analyse.lat.source import analyse_source
from stream.lat.scene import UNIT


@pytest.fixture(scope="module")
def best(setup):
    return analyse_source(*setup, kinds=("powerlaw",)).best


def test_the_density_falls_as_the_likelihood_does(best):
    density = Density(best)
    climb = _Search(best.region, best.parts, best.norms)
    start, own = density.prior.start, best.parts[0]
    names = ["x", "y", "flux", "index"]
    assert density.prior.names[:4] == names
    assert len(density.prior.names) == 16 + len(density.joint)
    points, expected = [start], [0.0]
    top = climb.value(climb.start(), climb.expected(climb.start()))
    for k, step in enumerate((0.02, -0.02, 2.0, 0.1)):
        point, at = start.copy(), climb.start()
        point[k] += step
        at[k] = np.log(np.exp(own.theta[FLUX]) + step) if k == FLUX else at[k] + step
        points.append(point)
        expected.append(climb.value(at, climb.expected(at)) - top)
    told = density(np.array(points))
    np.testing.assert_allclose(told[1:] - told[0], expected[1:], rtol=0.12, atol=0.1)
    outside = np.array([density.prior.high + 1])
    assert density(outside)[0] == -np.inf
    assert np.all(np.isfinite(density(density.prior.scattered(np.random.default_rng(0), 50))))
    assert density.prior.stated()[4] == "Gaussian 1 +- 0.3"


def test_a_posterior_that_has_not_converged_is_kept_apart(best, tmp_path):
    pytest.importorskip("emcee")
    xarray = pytest.importorskip("xarray")
    density, draws = sample(best, 3, steps=12)
    (tmp_path / "posterior.nc").write_text("old")
    with pytest.raises(UnconvergedError, match="fails its gates"):
        publish(tmp_path, density, draws, {"seed": 3})
    assert not (tmp_path / "posterior.nc").exists()
    with xarray.open_datatree(tmp_path / "posterior_failed.nc", engine="h5netcdf") as tree:
        assert set(tree.children) == {"posterior", "sample_stats", "observed_data"}
        posterior = tree["posterior"]
        assert posterior.attrs["gates"].startswith("failed: ")
        assert posterior["flux"].attrs["units"] == "photon cm-2 s-1"
        assert set(columns(density, draws)) == set(posterior.data_vars)
        assert float(posterior["flux"].median()) == pytest.approx(UNIT * np.exp(best.parts[0].theta[FLUX]), rel=0.3)


@pytest.mark.slow
def test_a_posterior_agrees_with_the_fit(best):
    pytest.importorskip("emcee")
    density, draws = sample(best, 3)
    assert draws.fault(density.prior.names) is None
    values = draws.variables.reshape(-1, draws.variables.shape[-1])
    flux = float(np.exp(best.parts[0].theta[FLUX]))
    for k, error in ((2, flux * best.error(0, FLUX)), (3, best.error(0, SLOPE))):
        assert values[:, k].mean() == pytest.approx(density.prior.start[k], abs=0.5 * error)
        assert values[:, k].std() == pytest.approx(error, rel=0.2)
