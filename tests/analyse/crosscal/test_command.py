"""`raysieve analyse crosscal` through a small grid."""

import json

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.table import Table
from click.testing import CliRunner

from analyse.commands import analyse
from analyse.crosscal import commands
from sim.crosscal.clusters import Sample, simulate_clusters, write_clusters
from sim.crosscal.grid import GridPlan, Inputs, simulate_grid
from sim.crosscal.telescope import analytic_response
from sim.crosscal.templates import Setting
from stream.transport.ogip import read_arf, write_arf
from tests.pictures import check

SETTING = Setting(nh_free=False)
AXES = {"mu_kev": (0.6, 1.2, 2.4, 4.8), "sigma_kev": (0.4, 0.8, 1.6), "amplitude": (-0.2, -0.07, 0.07, 0.2)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return where clusters.ecsv, grid.h5 and nominal.arf are."""
    made = tmp_path_factory.mktemp("crosscal")
    plan = GridPlan("gaussian", AXES, kt_kev=tuple(np.geomspace(0.8, 16, 7).tolist()), setting=SETTING)
    for _ in simulate_grid(made / "grid.h5", plan, Inputs()):
        pass
    sample = Sample(24, 0.02, (1.5, 10.0), theta=(1.2, 0.8, -0.12), setting=SETTING, seed=3)
    write_clusters(made / "clusters.ecsv", simulate_clusters(sample, Inputs()))
    write_arf(made / "nominal.arf", analytic_response())
    return made


def run(folder, *options, table="clusters.ecsv"):
    words = ["crosscal", str(folder / table), "--grid", str(folder / "grid.h5"), "--out", str(folder / "out")]
    return CliRunner().invoke(analyse, [*words, *options])


def test_a_correction_is_inferred_and_written(folder, drawn):
    found = run(folder, "--steps", "120", "--plot", "--arf", str(folder / "nominal.arf"))
    assert found.exit_code == 0, found.output
    out = folder / "out"
    report = json.loads((out / "crosscal.json").read_text())
    assert report["posterior"]["passed"]
    assert report["chi2"]["most_probable"] < report["chi2"]["before"]
    assert report["truth"] == [1.2, 0.8, -0.12]
    assert len(report["area_factor"]["posterior"]) == 5
    held = report["held_out"]
    assert abs(held["deviation"]["mean"]) < 3 * held["deviation"]["error"]
    assert held["before"]["mean"] > 3 * held["before"]["error"]
    with xr.open_dataset(out / "posterior.nc", group="posterior", engine="h5netcdf") as posterior:
        assert set(posterior.data_vars) == {"mu_kev", "sigma_kev", "amplitude"}
        assert posterior.attrs["gates"] == "passed"
    with xr.open_dataset(out / "posterior.nc", group="log_likelihood", engine="h5netcdf") as likelihood:
        assert likelihood["temperatures"].sizes["cluster"] == 24
    with fits.open(out / "clusters.fits") as hdus:
        rows = hdus["CLUSTERS"].data
        assert np.abs(np.log(rows["KT_1_CORRECTED"] / rows["KT_0"])).mean() < 0.05
        assert np.all(rows["HELD_OUT_ERR"] > 0)
    low, high, area = read_arf(out / "corrected.arf")
    assert not np.allclose(area, read_arf(folder / "nominal.arf")[2])
    assert "gaussian" in str(fits.getheader(out / "corrected.arf", "SPECRESP")["HISTORY"])
    names = ("temperatures", "corner", "area", "held_out")
    labels = [check(out / f"{name}.png", one) for name, one in zip(names, drawn, strict=True)]
    assert {"kT of telescope 0 (keV)", "T1/T0 - 1 (%)"} <= set(labels[0])
    assert {"mu (keV)", "sigma (keV)", "amplitude"} <= set(labels[1])
    assert labels[2] == ["energy (keV)", "true area / nominal area"]
    assert np.all(low < high)


def test_a_folder_that_cannot_be_written_is_told_before_the_work(folder, monkeypatch):
    monkeypatch.setattr(commands, "study", None)
    (folder / "file").touch()
    found = CliRunner().invoke(analyse, ["crosscal", f"{folder}/clusters.ecsv", "--out", f"{folder}/file"])
    assert str(found.exception).endswith("file: cannot be written: is a file, expected a folder")


def test_a_posterior_that_fails_its_gates_is_not_published(folder):
    found = run(folder, "--steps", "4", "--no-hold-out")
    assert found.exit_code == 1
    assert "fails its gates" in str(found.exception)
    assert (folder / "out" / "posterior_failed.nc").is_file()
    assert not (folder / "out" / "posterior.nc").exists()


def test_the_maximum_alone_needs_no_sampler(folder):
    found = run(folder, "--sampler", "none", "--prior", "concordance", "--tau", "0.05")
    assert found.exit_code == 0, found.output
    report = json.loads((folder / "out" / "crosscal.json").read_text())
    assert "log-normal areas, sd 0.05" in report["prior"]
    assert not (folder / "out" / "posterior.nc").exists()


def test_clusters_beyond_the_grid_are_refused_or_flagged(folder):
    table = Table.read(folder / "clusters.ecsv", format="ascii.ecsv")
    table["KT_0"][2] = 30.0
    table.write(folder / "hot.ecsv", overwrite=True)
    found = run(folder, "--sampler", "none", table="hot.ecsv")
    assert found.exit_code == 1
    assert "C0003: KT_0 30" in str(found.exception)
    assert "expected 0.8 to 16" in str(found.exception)
    found = run(folder, "--sampler", "none", "--extrapolate", table="hot.ecsv")
    assert found.exit_code == 0, found.output
    assert fits.getdata(folder / "out" / "clusters.fits")["FLAG"].tolist().count(1) == 1
    assert json.loads((folder / "out" / "crosscal.json").read_text())["beyond_the_grid"] == ["C0003"]
