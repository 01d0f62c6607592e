import math
import os
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from config.errors import ConfigError
from sim.spectra import Spectrum, area_cm2, read_arf

DATA = Path(os.environ.get("RAYSIEVE_DATA", Path(__file__).parents[3] / "shared" / "data"))
WFI_ARF = DATA / "responses" / "athena_wfi_1469_onaxis_w_filter_v20150326.arf.gz"


def drawn(n=100_000, seed=0, **spectrum):
    return Spectrum(**spectrum).draw(n, np.random.default_rng(seed))


def write_arf(path, edges_kev, area):
    columns = [
        fits.Column("ENERG_LO", "E", unit="keV", array=edges_kev[:-1]),
        fits.Column("ENERG_HI", "E", unit="keV", array=edges_kev[1:]),
        fits.Column("SPECRESP", "E", unit="cm**2", array=area),
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns, name="SPECRESP")]).writeto(path)
    return str(path)


def assert_counts(found, expected):
    assert np.abs(found - expected).max() < 5 * math.sqrt(expected.max())


@pytest.mark.parametrize(
    ("shape", "integral"),
    [
        ({"shape": "uniform"}, lambda e: e),
        ({"shape": "log_uniform"}, np.log),
        ({"shape": "power_law", "index": 2.0}, lambda e: -1 / e),
    ],
)
def test_energies_follow_the_spectrum(shape, integral):
    energies = drawn(energy_min_ev=300.0, **shape)
    edges = np.geomspace(300, 10_000, 20)
    expected = np.diff(integral(edges))
    assert_counts(np.histogram(energies, edges)[0], expected / expected.sum() * energies.size)


def test_lines_come_in_the_ratio_of_their_weights():
    energies = drawn(shape="lines", lines_ev=(5895.0, 6490.0), line_weights=(3.0, 1.0))
    assert set(energies.tolist()) == {5895.0, 6490.0}
    assert (energies == 5895.0).mean() == pytest.approx(0.75, abs=0.01)


def test_a_table_is_followed_between_its_points(tmp_path):
    path = tmp_path / "flux.txt"
    path.write_text("# energy flux\n1000 0\n2000 4\n4000 0\n")
    energies = drawn(shape="table", table=str(path))
    assert energies.min() > 999
    assert (energies < 2000).mean() == pytest.approx(1 / 3, abs=0.01)
    assert energies.mean() == pytest.approx((1000 + 2000 + 4000) / 3, rel=0.01)


def test_counts_follow_the_effective_area(tmp_path):
    arf = write_arf(tmp_path / "a.arf", np.array([0.5, 1.0, 2.0, 4.0]), np.array([100.0, 0.0, 300.0]))
    energies = drawn(shape="uniform", energy_min_ev=200.0, energy_max_ev=3000.0, arf=arf)
    counts = np.histogram(energies, [200, 500, 1000, 2000, 3000])[0]
    assert counts[0] == counts[2] == 0
    assert_counts(counts[[1, 3]], energies.size * np.array([50, 300]) / 350)


def test_lines_follow_the_effective_area(tmp_path):
    arf = write_arf(tmp_path / "a.arf", np.array([0.5, 1.0, 2.0]), np.array([100.0, 300.0]))
    energies = drawn(shape="lines", lines_ev=(700.0, 1500.0, 2500.0), arf=arf)
    assert (energies == 1500).mean() == pytest.approx(0.75, abs=0.01)
    assert energies.max() == 1500


@pytest.mark.real
def test_the_area_of_the_wfi_shapes_its_spectrum():
    if not WFI_ARF.is_file():
        pytest.skip(f"{WFI_ARF.name} is not in {DATA}")
    path = str(WFI_ARF)
    assert float(area_cm2(path, 1000.0)) == pytest.approx(18_211, rel=0.01)
    bins, area = read_arf(path)
    energies = drawn(shape="power_law", index=1.7, energy_min_ev=300.0, arf=path)
    edges = np.geomspace(300, 10_000, 15)
    centres = bins.mean(axis=1)
    photons = area * centres**-1.7 * np.diff(bins, axis=1)[:, 0] * ((centres > 300) & (centres < 10_000))
    expected = np.histogram(centres, edges, weights=photons / photons.sum() * energies.size)[0]
    np.testing.assert_allclose(np.histogram(energies, edges)[0], expected, rtol=0.04, atol=300)


def test_no_photons_no_energies():
    assert drawn(0).size == 0


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ({"shape": "blue"}, "shape one of"),
        ({"energy_min_ev": 0}, "0 < energy_min_ev"),
        ({"energy_min_ev": 9.0, "energy_max_ev": 3.0}, "energy_min_ev < energy_max_ev"),
        ({"index": math.nan}, "index"),
        ({"shape": "lines"}, "lines_ev"),
        ({"shape": "lines", "lines_ev": (1.0,), "line_weights": (1.0, 2.0)}, "one of line_weights"),
        ({"shape": "lines", "lines_ev": (1.0,), "line_weights": (0.0,)}, "not all 0"),
        ({"shape": "table"}, "the file `table`"),
        ({"table": "x.txt"}, "only then"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(bad, expected):
    with pytest.raises(ConfigError, match=expected) as fault:
        Spectrum(**bad)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("text", ["", "1 2 3\n4 5 6\n", "2 1\n1 1\n", "1 1\n2 -1\n", "one two\n"])
def test_a_bad_table_is_refused(tmp_path, text):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.txt: .*expected two columns"):
        drawn(shape="table", table=str(path))


def test_a_bad_arf_is_refused(tmp_path):
    (tmp_path / "bad.arf").write_text("no FITS")
    for name, why in (("bad.arf", "not FITS"), ("none.arf", "no such file")):
        with pytest.raises(ConfigError, match=rf"{name}: {why}"):
            drawn(arf=str(tmp_path / name))
    fits.HDUList([fits.PrimaryHDU()]).writeto(tmp_path / "empty.fits")
    with pytest.raises(ConfigError, match="expected an ARF"):
        drawn(arf=str(tmp_path / "empty.fits"))


def test_a_spectrum_outside_the_area_is_refused(tmp_path):
    arf = write_arf(tmp_path / "a.arf", np.array([20.0, 30.0]), np.array([100.0]))
    with pytest.raises(ConfigError, match="expected photons in its limits"):
        drawn(arf=arf)
