"""The command on real spectra."""

import json

import pytest
from click.testing import CliRunner

from raysieve import cli

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("names", "statistic"),
    [
        (("3c273/3c273.pi", "3c273/3c273.rmf", "3c273/3c273.arf", "3c273/3c273_bg.pi"), "wstat"),
        (("pn/pn_spec.fits.gz", "pn/pn.rmf.gz", "pn/pn.arf.gz", "pn/pn_backspec.fits.gz"), "wstat"),
    ],
)
def test_real_spectra_run_through(data, tmp_path, names, statistic):
    pha, rmf, arf, background = (str(data / "responses" / name) for name in names)
    files = [pha, "--rmf", rmf, "--arf", arf, "--background", background]
    done = CliRunner().invoke(cli, ["analyse", "source", *files, "--profile", "--plot", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "fit.json").read_text())
    assert report["statistic"] == statistic
    assert report["converged"]
    for row in report["parameters"]:
        assert row["interval_90"][0] <= row["value"] <= row["interval_90"][1]
    assert (tmp_path / "fit.png").is_file()
