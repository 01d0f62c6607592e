"""Real stars: lines and emission measures beside published ones. HR 1099's peak and what it disagrees with: docs."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from raysieve import cli

pytestmark = pytest.mark.real


@pytest.fixture(scope="session")
def coronal(data):
    if not (data / "coronal" / "demo_v711Tau.save").is_file():
        pytest.skip(f"no {data / 'coronal'}")
    return data / "coronal"


def analyse(path, out, *options):
    done = CliRunner().invoke(cli, ["analyse", "corona", str(path), *options, "--out", str(out)])
    assert done.exit_code == 0, done.output
    return json.loads((out / "corona.json").read_text())


def test_hr1099_lines_and_dem(coronal, tmp_path):
    report = analyse(coronal / "demo_v711Tau.save", tmp_path, "--band", "1.7", "26")
    assert report["offset_a"] == pytest.approx(0.0115, abs=0.003)  # the scale of that file
    found = {(r["ion"], round(r["wavelength_a"], 1)): r["sigma"] for r in report["lines"] if r["identified"]}
    assert found["Ne X", 12.1] > 50
    assert found["Fe XVII", 15.0] > 20
    assert sum(12.1 < at < 15.1 for _, at in found) >= 10
    dem = report["dem"]
    assert dem["statistic"] < 2 * dem["data"]
    rows = {round(r["log_t"], 1): r for r in dem["temperatures"]}
    # The file's DEM (not made from this spectrum) has peaks at 6.9 and 7.2; these lines put the higher one at 7.2.
    assert dem["peak_log_t"] == pytest.approx(7.2, abs=0.1)
    assert rows[6.9]["constrained"]
    assert rows[6.9]["log10"] - rows[6.5]["log10"] > 0.5


def test_aumic_agrees_with_its_published_dem(coronal, tmp_path):
    path = coronal / "MCMC_AUMIC.demo.save"
    dem = analyse(path, tmp_path)["dem"]
    from stream.transport.idlsave import read_idl

    low, high = np.log10(read_idl(path)["demerr"])
    value, error = (np.array([r[k] for r in dem["temperatures"]]) for k in ("log10", "error"))
    agree = (value + error >= low) & (value - error <= high)
    assert agree.mean() >= 0.8


def test_the_network_does_not_answer_for_hr1099_and_says_why(coronal, tmp_path):
    path = str(coronal / "demo_v711Tau.save")
    said = CliRunner().invoke(cli, ["coronae", path, "--offset", "0.0115", "-o", str(tmp_path)])
    assert said.exit_code == 0, said.output
    text = " ".join(said.output.split())
    assert "of hetg" in text
    assert "of the counts" in text
    assert "hotter than what is known, 6 to 7" in text
