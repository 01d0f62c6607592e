"""How hot a plasma is that a network does not know."""

import numpy as np
import pytest

from stream.corona.excess import LOG_T, nearest_log_t, templates
from stream.corona.instrument import shipped


def test_the_temperature_of_counts_is_found_also_beyond_what_is_learned():
    expected = templates(shipped("hetg"))
    np.testing.assert_allclose(expected.sum(axis=2), 1)
    assert (expected > 0).all()
    rows = [6, 8, 12, 16, 20]
    for metals in range(3):
        counts = np.random.default_rng(0).poisson(2000 * expected[metals, rows])
        assert nearest_log_t(counts, expected) == pytest.approx(LOG_T[rows], abs=0.15)
