"""Lines, ratios and emission measures of simulated stars, by parts and by the command."""

import json

import h5py
import numpy as np
import pytest
from astropy.table import Table
from click.testing import CliRunner

from analyse.corona.features import features_of, row_of, spelled
from analyse.corona.identify import align, filter_lines
from analyse.corona.measure import measure
from analyse.corona.ratios import Traditional
from analyse.corona.star import Plan, analyse_spectrum
from analyse.corona.templates import forward_of
from raysieve import cli
from sim.corona.sets import write_set
from sim.corona.truth import Setting
from stream.corona.forward import Coronae, Forward
from stream.corona.instrument import shipped
from stream.errors import ConfigError
from tests.pictures import check


def test_ions_are_spelled():
    assert [spelled(ion) for ion in ("fe_17", "o_8", "fe_24", "ne_9", "si_14")] == [
        "Fe XVII",
        "O VIII",
        "Fe XXIV",
        "Ne IX",
        "Si XIV",
    ]


def test_fluxes_of_lines_come_back(observe):
    """Pulls of the fluxes of unblended strong lines over some spectra: mean 0, width 1."""
    pulls = []
    for seed in range(4):
        observed = observe(6.8, 5e-3, seed=seed)
        forward = forward_of(observed)
        features = features_of(forward)
        measured = measure(observed, features)

        truth = forward.line_photons(Coronae.of(forward, 6.8, 5e-3, 10.0))[0]
        for line in (("o_8", 18.967), ("mg_11", 9.169), ("si_13", 6.648), ("fe_17", 15.014), ("ne_10", 12.132)):
            k = features.holding(row_of(forward, line))
            pulls.append((measured.flux[k] - truth[features.rows[k]].sum()) / measured.flux_error[k])
            assert measured.found[k]
    assert abs(np.mean(pulls)) < 0.8
    assert 0.5 < np.std(pulls) < 1.6


def test_one_temperature_and_density_come_back(observe):
    observed = observe(6.5, 2e-2, log_n=11.0)
    estimate, measured = Traditional(forward_of(observed))(observed)
    assert measured is not None
    assert estimate.failed == (False, False)
    assert abs(estimate.log_t - 6.5) < 0.1
    assert abs(estimate.log_n - 11.0) < 0.5


def test_a_few_counts_fail_and_say_so(observe):
    observed = observe(6.5, 1e-5)
    estimate, _ = Traditional(forward_of(observed))(observed)
    assert estimate.failed == (True, True)


def test_an_offset_of_the_scale_is_found(observe):
    observed = observe(6.8, 5e-3, offset=0.012)
    forward = forward_of(observed)
    assert align(observed, forward, features_of(forward)) == pytest.approx(0.012, abs=0.003)


def test_a_filter_finds_what_is_there_and_little_else(observe):
    observed = observe(6.8, 5e-3)
    forward = forward_of(observed)
    features = features_of(forward)
    sigma = filter_lines(observed, features)
    assert sigma[features.holding(row_of(forward, ("o_8", 18.967)))] > 10
    assert sigma[features.holding(row_of(forward, ("ne_10", 12.132)))] > 10
    noise = observe(6.8, 1e-3, seed=3)
    area = noise.instrument.area_cm2
    noise.counts[:] = np.random.default_rng(0).poisson(3.0 * area / area.mean())
    assert (filter_lines(noise, features) > 3).mean() < 0.02


def test_two_temperatures_become_a_dem(observe):
    log_t = np.array([6.6, 6.7, 6.8, 6.9, 7.0, 7.1, 7.2])
    norm = 4e-3 * np.exp(-0.5 * ((log_t - 6.9) / 0.12) ** 2)
    found = analyse_spectrum(observe(log_t, norm, exposure=1e5, offset=0.01), Plan())
    assert found.dem is not None
    assert abs(found.dem.peak - 6.9) < 0.1
    assert found.offset_a == pytest.approx(0.01, abs=0.003)
    assert not found.flags


def test_no_lines_no_dem(observe):
    found = analyse_spectrum(observe(6.5, 1e-5), Plan())
    assert found.dem is None
    assert "not to be trusted" in found.flags[0]


def test_a_band_without_bins_is_refused(observe):
    with pytest.raises(ConfigError, match="no bins within"):
        analyse_spectrum(observe(6.5, 1e-3), Plan(band_a=(100.0, 200.0)))


def test_the_command_tells_all(observe, tmp_path, drawn):
    observed = observe(6.8, 5e-3)
    table = Table(
        {
            "wavelength_a": observed.instrument.middle_a,
            "counts": observed.counts,
            "area_cm2": observed.instrument.area_cm2,
        },
        meta={"exposure_s": observed.exposure_s, "fwhm_a": 0.023},
    )
    table.write(tmp_path / "star.ecsv")
    out = tmp_path / "out"
    args = ["--sampler", "emcee", "--steps", "30", "--plot", "--distance", "10", "--out", str(out)]
    done = CliRunner().invoke(cli, ["analyse", "corona", str(tmp_path / "star.ecsv"), *args])
    report = json.loads((out / "corona.json").read_text())
    assert abs(report["one_temperature"]["log_t"] - 6.8) < 0.1
    assert report["dem"]["emission_measure_cm3"] > 0
    assert any(row["identified"] and row["ion"] == "O VIII" for row in report["lines"])
    spectrum, dem = (check(out / f"{name}.png", one) for name, one in zip(("spectrum", "dem"), drawn, strict=True))
    assert spectrum == ["wavelength (Å)", "counts Å$^{-1}$"] * 3
    assert dem == ["log T (K)", "log emission measure per dex (norm, 10$^{-14}$ cm$^{-5}$)"]
    assert any("O VIII" in text.get_text() for axes in drawn[0].axes for text in axes.texts)
    assert done.exit_code != 0  # thirty steps converge to nothing
    assert (out / "posterior_failed.nc").is_file()
    with h5py.File(out / "posterior_failed.nc") as file:
        assert file["posterior/log_dem"].shape[2] == len(report["dem"]["temperatures"])


def test_a_wrong_file_is_one_line(tmp_path):
    (tmp_path / "text.save").write_text("no save file")
    done = CliRunner().invoke(cli, ["analyse", "corona", str(tmp_path / "text.save"), "--out", str(tmp_path / "o")])
    assert done.exit_code != 0
    assert "expected an IDL save file" in str(done.output) + str(done.exception)


def test_of_a_set_it_says_which_spectrum_it_took(tmp_path):
    list(write_set(tmp_path / "stars.h5", Forward.through(shipped("hetg")), Setting(snr=(5, 10)), 3, 31))
    said = {}
    for name in ("stars.h5", "stars.h5{2}"):
        done = CliRunner().invoke(cli, ["analyse", "corona", str(tmp_path / name), "--out", str(tmp_path / "out")])
        assert done.exit_code == 0, done.output
        said[name] = done.output
    assert "stars.h5: spectrum 0 of 3; another one: stars.h5{2}" in said["stars.h5"]
    assert "of 3;" not in said["stars.h5{2}"]
    assert "per dex of T. Not constrained: by more than 0.3 dex, smoothness decides" in " ".join(
        said["stars.h5"].split()
    )
