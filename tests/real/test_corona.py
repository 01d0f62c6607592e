"""Coronal line data: the database as it is given, the grid, and fiasco beside it."""

import numpy as np
import pytest

from stream.corona.lines import shipped_lines
from stream.transport.chianti import read_grid
from stream.transport.chianti_files import opened, solve

pytestmark = pytest.mark.real


def test_the_key_ions_have_what_is_needed_but_for_three(data):
    with opened(data / "coronal" / "chianti_10.1_key_ions.tar.gz") as found:
        assert found.left == dict.fromkeys(("fe_17", "fe_21", "fe_23"), "no .scups")
        assert len(found.ions) == 23


def test_the_shipped_lines_are_those_of_the_grid(data):
    given, shipped = read_grid(data / "coronal" / "chianti_gofnt.npz"), shipped_lines()
    assert np.array_equal(given.ion, shipped.ion)
    assert np.array_equal(given.upper, shipped.upper)
    assert np.abs(given.ln_g - shipped.ln_g).max() < 1e-3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_fiasco_gives_what_the_grid_has(data):
    pytest.importorskip("fiasco")
    log_t, log_n = np.array([6.2, 6.3]), np.array([9.0, 11.0])
    with opened(data / "coronal" / "chianti_10.1_key_ions.tar.gz") as found:
        table = solve(found, log_t, log_n, ("n_7",), said=lambda name: None)
    row, other = (each.find("n_7", 24.779) for each in (table, shipped_lines()))
    known = shipped_lines().ln_g[other][np.ix_([8, 10], [2, 6])]
    assert np.allclose(table.ln_g[row], known, atol=0.1)
