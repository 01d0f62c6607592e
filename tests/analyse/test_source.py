import builtins
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from analyse.diagnostics import UnconvergedError
from analyse.ensemble import Likelihood, sample_ensemble
from analyse.priors import Priors
from analyse.source import build_model
from config.errors import ConfigError
from raysieve import cli
from stream.kernels.cstat import statistic_sum
from stream.spectra.fit import fit_spectrum
from stream.spectra.model import parse_model
from stream.transport.ogip import read_spectrum, write_rmf, write_spectrum


def run(*arguments):
    return CliRunner().invoke(cli, ["analyse", "source", *map(str, arguments)], catch_exceptions=True)


def opened(path):
    return pytest.importorskip("xarray").open_datatree(path, engine="h5netcdf")


def test_a_fit_is_told_in_full(files, tmp_path):
    done = run(files / "a.pha", "--profile", "--plot", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "fit.json").read_text())
    assert report["statistic"] == "wstat"
    assert report["converged"]
    for row, truth in zip(report["parameters"], (0.3, 1.8, 1e-3), strict=True):
        assert abs(row["value"] - truth) < 4 * row["error"]
        low, high = row["interval_90"]
        assert low < row["value"] < high
        assert (high - low) / 2 == pytest.approx(1.645 * row["error"], rel=0.2)
    flux = report["flux"]
    assert flux["unabsorbed"]["erg_cm2_s"] > flux["absorbed"]["erg_cm2_s"] > 0
    assert flux["absorbed"]["erg_cm2_s_error"] > 0
    for said in ("expected", "chi2/dof", "flux absorbed", "1e22"):
        assert said in done.output
    assert (tmp_path / "fit.png").stat().st_size > 10_000


def test_without_an_area_that_is_said(files, response, tmp_path):
    assert "no area" not in run(files / "a.pha", "--out", tmp_path).output
    write_rmf(tmp_path / "alone.rmf", response)
    read = read_spectrum(files / "a.pha", follow=False)
    write_spectrum(tmp_path / "b.pha", read)
    done = run(tmp_path / "b.pha", "--rmf", tmp_path / "alone.rmf", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    assert "no area (--arf): norms and fluxes are those of 1 cm2" in done.output


def test_likelihood_is_minus_half_the_statistic_and_nothing_beyond_the_priors(fit):
    priors = Priors.of(fit)
    points = np.array([priors.start, priors.start * 1.01, priors.high + 1])
    got = Likelihood(fit, priors)(points)
    data = fit.data
    for value, point in zip(got[:2], points, strict=False):
        model = data.predict(fit.model, priors.all_values(point))
        assert value == pytest.approx(-0.5 * statistic_sum(data.counts, data.off, data.alpha, model))
    assert got[2] == -np.inf


def test_priors_are_as_stated(spectrum, response):
    model = build_model("tbabs*powerlaw", {}, ((), ()), {"tbabs.nH": (0.01, 10.0)})
    stated = Priors.of(fit_spectrum(model, spectrum, response)).stated()
    assert stated["tbabs.nH"] == "log-flat 0.01 to 10 1e22 cm-2"
    assert stated["powerlaw.PhoIndex"] == "flat -3 to 10"
    assert stated["powerlaw.norm"].startswith("log-flat 1e-12 to 1e+06")
    free = Priors.of(fit_spectrum(parse_model("tbabs*powerlaw"), spectrum, response))
    assert free.stated()["tbabs.nH"].startswith("flat 0 to 1000")
    inside = free.scattered(np.random.default_rng(0), 500)
    assert free.inside(inside).all()


def test_emcee_agrees_with_the_fit_and_is_published(files, fit, tmp_path):
    pytest.importorskip("emcee")
    done = run(files / "a.pha", "--sampler", "emcee", "--seed", 3, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    with opened(tmp_path / "posterior.nc") as tree:
        assert set(tree.children) == {"posterior", "sample_stats", "log_likelihood", "observed_data"}
        posterior = tree["posterior"]
        assert posterior.attrs["gates"] == "passed"
        for name in fit.names:
            values = posterior[name]
            assert values.dims == ("chain", "draw")
            assert values.attrs["units"]
            best, error = fit[name]
            assert abs(float(values.mean()) - best) < 0.35 * error
            assert float(values.std()) == pytest.approx(error, rel=0.2)
        lp = tree["sample_stats"]["lp"].values
        total = tree["log_likelihood"]["counts"].sum("bin").values
        assert np.allclose(total, lp, atol=1e-3)
        assert np.array_equal(tree["observed_data"]["counts"], fit.data.counts)
        assert np.all(tree["observed_data"]["e_max"] > tree["observed_data"]["e_min"])
    assert json.loads((tmp_path / "fit.json").read_text())["posterior"]["passed"]


def test_the_same_seed_gives_the_same_draws(fit):
    pytest.importorskip("emcee")
    priors = Priors.of(fit)
    one, two, other = (sample_ensemble(fit, priors, seed, 20).variables for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_too_few_steps_are_not_published(files, tmp_path):
    pytest.importorskip("emcee")
    (tmp_path / "posterior.nc").write_bytes(b"of an earlier run")
    done = run(files / "a.pha", "--sampler", "emcee", "--steps", 10, "--out", tmp_path)
    assert done.exit_code == 1
    assert isinstance(done.exception, UnconvergedError)
    assert "\n" not in str(done.exception)
    assert "R-hat" in str(done.exception)
    assert not (tmp_path / "posterior.nc").exists()
    with opened(tmp_path / "posterior_failed.nc") as tree:
        assert tree["posterior"].attrs["gates"].startswith("failed: ")


@pytest.mark.slow
def test_nuts_agrees_with_the_fit_and_gradients_diverge_nowhere(files, fit, tmp_path):
    pytest.importorskip("numpyro")
    done = run(files / "a.pha", "--sampler", "nuts", "--seed", 3, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    with opened(tmp_path / "posterior.nc") as tree:
        assert not tree["sample_stats"]["diverging"].values.any()
        for name in fit.names:
            best, error = fit[name]
            values = tree["posterior"][name]
            assert abs(float(values.mean()) - best) < 0.35 * error
            assert float(values.std()) == pytest.approx(error, rel=0.2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "tbabs*nothing"), "no component 'nothing'"),
        (("--model", "tbabs*"), "expected components"),
        (("--set", "powerlaw.kT=1"), "no parameter powerlaw.kT"),
        (("--freeze", "nH"), "no parameter nH"),
        (("--set", "tbabs.nH=x"), "expected NAME=VALUE"),
        (("--set", "tbabs.nH=-1"), "expected 0 to 1000"),
        (("--limits", "tbabs.nH=2:1"), "expected NAME=LOW:HIGH"),
        (("--band", 20, 30), "no channel within"),
        (("--band", 5, 2), "no channel within"),
        (("--rmf", "absent.rmf"), "no such file"),
        (
            (
                "--sampler",
                "emcee",
                *(a for n in ("tbabs.nH", "powerlaw.PhoIndex", "powerlaw.norm") for a in ("--freeze", n)),
            ),
            "no free",
        ),
    ],
)
def test_bad_input_is_one_line(files, tmp_path, options, said):
    done = run(files / "a.pha", "--out", tmp_path, *options)
    assert isinstance(done.exception, ConfigError), done.output
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)


def test_mismatched_files_and_no_counts_are_one_line(files, spectrum, tmp_path):
    from dataclasses import replace

    names = {"RESPFILE": str(files / "a.rmf"), "ANCRFILE": str(files / "a.arf")}
    short = type(spectrum).of(np.ones(40), 1e3)
    empty = type(spectrum).of(np.zeros(80), 1e3)
    for one, said in ((short, "expected channels 1..80"), (empty, "no counts")):
        write_spectrum(tmp_path / "one.pha", one, names)
        done = run(tmp_path / "one.pha", "--out", tmp_path)
        assert isinstance(done.exception, ConfigError)
        assert said in str(done.exception)
    none = replace(spectrum, background=type(spectrum).of(np.zeros(80), 1e3))
    write_spectrum(tmp_path / "back.pha", none.background)
    write_spectrum(tmp_path / "one.pha", none, names | {"BACKFILE": "back.pha"})
    done = run(tmp_path / "one.pha", "--out", tmp_path)
    assert done.exit_code == 0
    assert "no background counts" in done.output


@pytest.mark.parametrize(("sampler", "package"), [("emcee", "emcee"), ("nuts", "numpyro"), ("emcee", "xarray")])
def test_a_missing_package_is_one_line_before_any_work(files, tmp_path, monkeypatch, sampler, package):
    real = builtins.__import__

    def refuse(name, *rest, **more):
        if name.split(".")[0] == package:
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest, **more)

    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    done = run(files / "a.pha", "--sampler", sampler, "--out", tmp_path / "out")
    assert isinstance(done.exception, ConfigError)
    assert "pip install -e '.[analyse]'" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_apec_may_be_that_of_pimms(files, tmp_path):
    energy = np.arange(0.1, 12, 0.01)
    for log_t in (650, 680, 710, 740):
        kt = 10 ** (log_t / 100) / 1.160451812e7
        rows = np.stack([energy, np.exp(-energy / kt) / energy / np.sqrt(kt)], axis=1)
        np.savetxt(tmp_path / f"apec10_{log_t}.mdl", rows)
    words = (files / "a.pha", "--model", "tbabs*apec", "--out", tmp_path / "out")
    assert run(*words, "--plasma", tmp_path).exit_code == 0
    given = json.loads((tmp_path / "out" / "fit.json").read_text())
    assert run(*words).exit_code == 0
    shipped = json.loads((tmp_path / "out" / "fit.json").read_text())
    assert given["value"] != shipped["value"]
    done = run(*words, "--plasma", tmp_path / "none")
    assert isinstance(done.exception, ConfigError)
    assert "expected apec10_NNN.mdl files of at least four temperatures, found 0" in str(done.exception)
