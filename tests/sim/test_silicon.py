import numpy as np
import pytest

from sim.silicon import (
    K_ALPHA_EV,
    K_BETA_EV,
    K_BETA_SHARE,
    K_EDGE_EV,
    K_YIELD,
    TABLE,
    absorption_um,
    draw_depth_um,
    draw_fluorescence_ev,
    k_share,
    write_table,
)

# Mass attenuation, cm2/g (Hubbell & Seltzer, NIST); up to here less than 1 % of it is scattering.
NIST = {1000.0: 1570.0, 1500.0: 535.5, 3000.0: 978.4, 4000.0: 452.9, 5000.0: 245.0, 6000.0: 147.0}


@pytest.mark.parametrize("energy", NIST)
def test_depths_agree_with_nist(energy):
    assert float(absorption_um(energy)) == pytest.approx(1e4 / (2.33 * NIST[energy]), rel=0.02)


def test_the_k_edge_is_sharp():
    below, above = absorption_um([K_EDGE_EV - 1, K_EDGE_EV + 1])
    assert below / above == pytest.approx(10.4, abs=0.1)
    assert k_share([100.0, K_EDGE_EV - 1]).tolist() == [0, 0]
    assert k_share(K_EDGE_EV + 1) == pytest.approx(0.903, abs=0.002)


def test_beyond_the_table_its_ends_hold():
    assert absorption_um([50.0, 1e5]).tolist() == absorption_um([100.0, 30_000.0]).tolist()


def test_the_shipped_table_is_what_its_command_makes(tmp_path):
    pytest.importorskip("xraylib")
    write_table(tmp_path / "made.csv")
    made, shipped = (np.loadtxt(p, delimiter=",", skiprows=2) for p in (tmp_path / "made.csv", TABLE))
    np.testing.assert_allclose(made, shipped, rtol=1e-3)  # another release of xraylib may round differently


def test_the_table_is_as_good_as_its_source():
    xraylib = pytest.importorskip("xraylib")
    energies = np.concatenate([np.geomspace(160, 1838, 200), np.geomspace(1840, 29_000, 200)])
    source = [1e4 / (2.33 * xraylib.CS_Photo(14, e / 1000)) for e in energies.tolist()]
    np.testing.assert_allclose(absorption_um(energies), source, rtol=1e-3)


def test_depths_within_the_wafer_are_a_cut_exponential():
    rng = np.random.default_rng(1)
    energy = np.full(200_000, 10_000.0)
    free, cut = draw_depth_um(energy, np.inf, rng), draw_depth_um(energy, 100.0, rng)
    assert free.mean() == pytest.approx(float(absorption_um(10_000.0)), rel=0.01)
    assert cut.max() <= 100
    assert cut.mean() == pytest.approx(free[free < 100].mean(), rel=0.01)


def test_fluorescence_comes_as_often_as_the_k_shell_shines():
    rng = np.random.default_rng(2)
    lines = draw_fluorescence_ev(np.full(400_000, 3000.0), rng)
    lit = lines > 0
    assert lit.mean() == pytest.approx(float(k_share(3000.0)) * K_YIELD, rel=0.03)
    assert set(lines[lit].tolist()) == {K_ALPHA_EV, K_BETA_EV}
    assert (lines[lit] == K_BETA_EV).mean() == pytest.approx(K_BETA_SHARE, abs=0.006)
    assert not draw_fluorescence_ev(np.full(1000, 1800.0), rng).any()


def test_no_photons_no_depths():
    rng = np.random.default_rng(3)
    assert draw_depth_um(np.empty(0), 450.0, rng).size == draw_fluorescence_ev(np.empty(0), rng).size == 0
