import numpy as np
import pytest
from scipy.stats import multivariate_normal

from models.sources import mixture


def twin(x, error, mean, cov):
    """ln N, marginal over what is missing, of one row after the other."""
    out = np.zeros((len(x), len(mean)))
    for n, row in enumerate(x):
        seen = np.flatnonzero(np.isfinite(row))
        for k in range(len(mean)):
            if seen.size:
                total = cov[k][np.ix_(seen, seen)] + np.diag(error[n, seen] ** 2)
                out[n, k] = multivariate_normal(mean[k][seen], total).logpdf(row[seen])
    return out


@pytest.mark.parametrize("wide", [1, 2, 3])
def test_density_is_that_of_scipy_with_errors_and_missing_values(wide):
    rng = np.random.default_rng(wide)
    x, error = rng.normal(0, 2, (50, wide)), rng.uniform(0, 2, (50, wide))
    x[rng.random(x.shape) < 0.3] = np.nan
    mean = rng.normal(0, 1, (4, wide))
    root = rng.normal(0, 1, (4, wide, wide))
    cov = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(wide)
    seen = np.isfinite(x)
    found = mixture.log_normal(np.where(seen, x, 0), error**2, seen, mean, cov)
    np.testing.assert_allclose(found, twin(x, error, mean, cov), atol=1e-9)


def test_what_is_fitted_is_the_density_before_the_measurement():
    rng = np.random.default_rng(0)
    cov = np.array([[1.0, 0.6], [0.6, 0.5]])
    true = rng.multivariate_normal([2, -1], cov, 4000)
    error = rng.uniform(0.2, 1.5, true.shape)
    x = true + rng.normal(0, error)
    x[rng.random(x.shape) < 0.2] = np.nan
    weight, mean, found = mixture.fit(x, error, 1, 0.1 * np.eye(2), 1.0)
    assert weight.tolist() == [1.0]
    np.testing.assert_allclose(mean[0], [2, -1], atol=0.1)
    np.testing.assert_allclose(found[0], cov, atol=0.1)


def test_two_groups_are_found_and_a_single_source_has_the_width_of_the_prior():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(-3, 0.5, (300, 1)), rng.normal(3, 1, (100, 1))])
    weight, mean, cov = mixture.fit(x, np.zeros_like(x), 2, np.eye(1), 1.0)
    order = np.argsort(mean[:, 0])
    np.testing.assert_allclose(mean[order, 0], [-3, 3], atol=0.3)
    np.testing.assert_allclose(weight[order], [0.75, 0.25], atol=0.03)
    np.testing.assert_allclose(cov[order, 0, 0], [0.25, 1], atol=0.25)
    _, mean, cov = mixture.fit(np.array([[5.0]]), np.zeros((1, 1)), 3, np.eye(1), 1.0)
    assert mean.tolist() == [[pytest.approx(5)]]
    assert 0 < cov[0, 0, 0] <= 1
