"""The line table: known ratios, interpolation, what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from config.errors import ConfigError
from stream.corona.continuum import read_continuum, shipped_continuum
from stream.corona.lines import SCATTER, SCATTER_HE, LineTable, pack, read_lines, shipped_lines
from stream.spectra.table import shipped_table
from stream.transport.chianti import write_lines


def _ratio(one: tuple[str, float], other: tuple[str, float], log_t: float, log_n: float) -> float:
    table = shipped_lines()
    ln_g = table.emissivity(log_t, log_n)[0][0]
    return float(np.exp(ln_g[table.find(*one)] - ln_g[table.find(*other)]))


@pytest.mark.parametrize(
    ("one", "other", "log_t", "log_n", "low", "high"),
    [
        (("o_7", 22.098), ("o_7", 21.804), 6.3, 9.0, 3.95, 4.76),  # two codes on the same files
        (("o_7", 22.098), ("o_7", 21.804), 6.3, 11.0, 0.8, 1.1),
        (("fe_14", 264.789), ("fe_14", 274.204), 6.3, 9.0, 0.80, 0.86),
        (("fe_14", 264.789), ("fe_14", 274.204), 6.3, 11.0, 2.6, 2.8),
        (("fe_13", 203.826), ("fe_13", 202.044), 6.2, 10.0, 2.4, 2.75),
        (("o_8", 18.967), ("o_7", 21.602), 6.2, 10.0, 0.06, 0.15),
        (("o_8", 18.967), ("o_7", 21.602), 7.0, 10.0, 20.0, 32.0),
    ],
)
def test_ratios_of_lines_are_those_that_are_known(one, other, log_t, log_n, low, high):
    assert low < _ratio(one, other, log_t, log_n) < high


def test_what_ships_is_whole():
    table = shipped_lines()
    assert len(table) > 2000
    assert table.elements[0] == "c"
    assert table.charge[table.find("fe_14", 264.789)] == 13
    forbidden, resonance = table.find("o_7", 22.098), table.find("o_7", 21.602)
    assert table.scatter[forbidden] == np.float32(SCATTER_HE)
    assert table.scatter[resonance] == np.float32(SCATTER)


def test_derivatives_are_those_of_differences():
    table = shipped_lines().select(15, 23, 1e-2)
    at, h = (np.array([6.42, 6.83]), np.array([9.6, 10.9])), 1e-4
    _, by_t, by_n = table.emissivity(*at)
    for slope, step in ((by_t, (h, 0.0)), (by_n, (0.0, h))):
        up, down = (table.emissivity(at[0] + k * step[0], at[1] + k * step[1])[0] for k in (1, -1))
        assert np.allclose((up - down) / (2 * h), slope, atol=2e-2)


def test_at_a_node_there_is_the_tables_own_value_and_beyond_its_end_the_end_holds():
    table = shipped_lines().take(range(50))
    ln_g, _, _ = table.emissivity(table.log_t[3], table.log_n[2])
    assert np.allclose(ln_g[0], table.ln_g[:, 3, 2], atol=1e-5)
    beyond, by_t, by_n = table.emissivity([table.log_t[-1] + 1], [table.log_n[0] - 2])
    assert np.allclose(beyond[0], table.ln_g[:, -1, 0])
    assert not by_t.any()
    assert not by_n.any()


def test_selection_by_range_and_strength():
    table = shipped_lines()
    soft = table.select(5, 30, 1e-2)
    assert 20 < len(soft) < len(table.select(5, 30))
    assert soft.wavelength_a.min() >= 5
    assert soft.wavelength_a.max() <= 30
    assert len(table.select(600, 700, 1e-2)) == 0
    with pytest.raises(KeyError):
        soft.find("fe_14", 264.789)


def test_a_written_table_comes_back(tmp_path):
    table = shipped_lines().take(range(0, 300, 7))
    write_lines(tmp_path / "own.npz", table)
    again = read_lines(tmp_path / "own.npz")
    assert np.array_equal(again.ion, table.ion)
    assert np.abs(again.ln_g - table.ln_g).max() < 1e-3
    assert dict(again.abundance) == dict(table.abundance)


def test_what_is_no_table_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("version https://git-lfs.github.com/spec/v1\n")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for name in ("text.npz", "other.npz", "none.npz"):
        with pytest.raises(ConfigError, match="expected a line table"):
            read_lines(tmp_path / name)
        with pytest.raises(ConfigError, match="expected a continuum table"):
            read_continuum(tmp_path / name)
    table = shipped_lines().take([0, 1])
    with pytest.raises(ConfigError, match="rising wavelengths"):
        replace(table, wavelength_a=table.wavelength_a[::-1])
    with pytest.raises(ConfigError, match="even, rising"):
        replace(table, log_t=table.log_t**2)
    with pytest.raises(ConfigError, match="no abundance of"):
        LineTable(**{name: getattr(table, name) for name in table.__slots__} | {"abundance": {}})


def test_the_file_is_small():
    assert sum(array.nbytes for array in pack(shipped_lines()).values()) < 3e6


@pytest.mark.parametrize("log_t", [6.0, 6.5, 7.0])
def test_the_continuum_of_hydrogen_and_helium_is_that_of_the_plasma_table(log_t):
    plasma, own = shipped_table(), shipped_continuum()
    k = int(np.argmin(np.abs(plasma.log_t - log_t)))
    width_a = 12.39841984 * (1 / plasma.edges_kev[:-1] - 1 / plasma.edges_kev[1:])
    density = (plasma.photons[k] - plasma.metals[k]) / width_a
    middle = 12.39841984 / np.sqrt(plasma.edges_kev[1:] * plasma.edges_kev[:-1])
    light = np.exp(own.ln_photons[:2, int(np.argmin(np.abs(own.log_t - log_t)))]).sum(axis=0)
    at = np.array([8.0, 12.0, 25.0, 60.0, 100.0])
    theirs = np.exp(np.interp(at, middle[::-1], np.log(np.maximum(density, 1e-30))[::-1]))
    ours = np.exp(np.interp(at, own.wavelength_a, np.log(light)))
    assert np.allclose(ours, theirs, rtol=0.03)  # helium is 3.6 % rarer there, bins are wider
