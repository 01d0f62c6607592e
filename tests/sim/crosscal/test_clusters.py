from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from click.testing import CliRunner

from config.errors import ConfigError
from raysieve import cli
from sim.crosscal.clusters import Sample, area_ratio, simulate_clusters
from sim.crosscal.grid import Inputs
from sim.crosscal.telescope import analytic_response
from stream.crosscal.modifiers import family, middle_kev, modify
from stream.transport.ogip import write_arf

SAMPLE = Sample(clusters=300, theta=(1.8, 1.0, -0.08), seed=2)


def test_clusters_scatter_by_their_errors_around_the_truth():
    table = simulate_clusters(SAMPLE, Inputs())
    true = np.asarray(table["KT_TRUE"])
    assert np.all((true > 1) & (true < 12))
    for name, middle in (("KT_0", true), ("KT_1", np.asarray(table["KT_1_EXPECTED"]))):
        off = np.log(table[name] / middle) / 0.03
        assert abs(off.mean()) < 0.2
        assert off.std() == pytest.approx(1, abs=0.13)
        np.testing.assert_allclose(table[f"{name}_ERR"], 0.03 * table[name])
    assert np.all(table["KT_1_EXPECTED"][true > 3] > 1.03 * true[true > 3])
    assert table.meta["theta"] == [1.8, 1.0, -0.08]
    assert table.meta["family"] == "gaussian"


def test_another_seed_is_another_sample_and_the_same_the_same():
    one, again, other = (simulate_clusters(replace(SAMPLE, clusters=20, seed=s), Inputs()) for s in (2, 2, 3))
    assert np.all(one["KT_0"] == again["KT_0"])
    assert np.all(one["KT_0"] != other["KT_0"])


def test_a_true_area_by_a_file_is_a_modified_area(tmp_path):
    response = analytic_response()
    factor = family("gaussian").factor(SAMPLE.theta, middle_kev(response))[0]
    write_arf(tmp_path / "true.arf", modify(response, factor))
    np.testing.assert_allclose(area_ratio(response, tmp_path / "true.arf"), factor, rtol=1e-6)
    by_file = simulate_clusters(replace(SAMPLE, clusters=5, theta=(), true_arf=str(tmp_path / "true.arf")), Inputs())
    np.testing.assert_allclose(
        by_file["KT_1"], simulate_clusters(replace(SAMPLE, clusters=5), Inputs())["KT_1"], rtol=1e-4
    )
    assert by_file.meta["true_arf"] == "true.arf"


def test_bad_samples_are_refused():
    for change, said in (
        ({"error": 0.0}, "an error of 0 to 1"),
        ({"kt_kev": (5.0, 2.0)}, "0 < least < most"),
        ({"theta": (1.8, 1.0, -1.1)}, "an area cannot be negative"),
        ({"true_arf": "x.arf"}, "theta or a true ARF"),
        ({"theta": (1.477, 0.698, -0.3), "kt_kev": (15.9, 16.0)}, "a fit within the plasma table"),
    ):
        with pytest.raises(ConfigError, match=said):
            simulate_clusters(replace(SAMPLE, **change), Inputs())


def test_the_commands_write_what_can_be_read(tmp_path):
    out = tmp_path / "clusters.ecsv"
    words = ["simulate", "crosscal-clusters", str(out), "--clusters", "7", "--theta", "1.8,1,0.05", "--seed", "4"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    table = Table.read(out)
    assert table.colnames[:5] == ["NAME", "KT_0", "KT_0_ERR", "KT_1", "KT_1_ERR"]
    assert table["KT_0"].unit == "keV"
    assert table.meta["theta_names"] == ["mu_kev", "sigma_kev", "amplitude"]
    assert CliRunner().invoke(cli, words).exit_code != 0  # it is there already
    grid = tmp_path / "grid.h5"
    words = ["simulate", "crosscal", str(grid), "--kt", "2,4", "--nh-fixed", "--points", "3", "--processes", "1"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert "3 thetas of gaussian x 2 temperatures" in done.output
    bad = CliRunner().invoke(cli, [*words[:3], "--overwrite", "--axis", "mu_kev=1:2"])
    assert "expected NAME=LOW:HIGH:N" in str(bad.exception)
