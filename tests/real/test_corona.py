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
def test_fiasco_gives_the_classic_ratio_of_nitrogen(data):
    pytest.importorskip("fiasco")
    with opened(data / "coronal" / "chianti_10.1_key_ions.tar.gz") as found:
        table = solve(found, np.array([6.1, 6.2]), np.array([9.0, 10.0]), ("n_6",), said=lambda name: None)
    ln_g = table.ln_g[:, 1, 0]
    ratio = np.exp(ln_g[table.find("n_6", 29.535)] - ln_g[table.find("n_6", 29.084)])
    assert 4.5 < ratio < 6.6  # 4.9 by fiasco, 6.5 by ChiantiPy, on the same files
