from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from stream.errors import ConfigError
from stream.spectra.fit import fit_many, fit_spectrum
from stream.spectra.model import parse_model
from stream.spectra.profile import profile, statistic_at
from stream.spectra.spectrum import Spectrum
from tests.stream.spectra.camera import camera, draw
from tests.stream.spectra.test_statistic import plain_cstat

MODEL = parse_model("tbabs*powerlaw")
TRUTH = np.array([0.4, 1.8, 1e-3])
CAMERA = camera()


def test_the_minimum_is_that_of_a_plain_search():
    spectrum = draw(MODEL, TRUTH, CAMERA, 20_000)
    fit = fit_spectrum(MODEL, spectrum, CAMERA)
    inside = CAMERA.band(0.5, 8.0).channels

    def plain(p):
        flux = MODEL.photons([p[0], p[1], np.exp(p[2])], CAMERA.energy_lo_kev, CAMERA.energy_hi_kev)
        return plain_cstat(spectrum.counts[inside], CAMERA.fold(flux)[inside] * 20_000)

    found = minimize(plain, [0.3, 1.5, -7.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-6})
    assert fit.converged
    assert fit.value == pytest.approx(found.fun, abs=1e-3)
    assert np.all(np.abs(fit.values - [*found.x[:2], np.exp(found.x[2])]) < 0.02 * fit.errors)
    assert fit.dof == fit.bins - 3
    assert abs(fit.value - fit.expected) < 4 * fit.expected_sd
    assert fit.chi2_dof == pytest.approx(1, abs=0.4)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("tbabs*bremss", [0.4, 4.0, 1e-3]),
        ("tbabs*bbody", [0.4, 0.6, 3e-5]),
        ("tbabs*apec", [0.4, 1.2, 1.0, 0.0, 2e-3]),
        ("tbabs*(powerlaw + gaussian)", [0.4, 1.8, 1e-3, 6.5, 0.1, 8e-5]),
    ],
)
def test_what_was_put_in_is_found(text, truth):
    model, misses = parse_model(text), []
    for seed in range(12):
        fit = fit_spectrum(model, draw(model, truth, CAMERA, 20_000, seed), CAMERA)
        assert fit.converged
        free = np.array([not p.frozen for p in model.parameters])
        misses.append(((fit.values - truth) / np.where(free, fit.errors, 1))[free])
    assert np.all(np.abs(np.mean(misses, axis=0)) < 1.0)
    assert np.all(np.abs(misses) < 4.5)


@pytest.mark.parametrize("freed", ["Abundanc", "Redshift"])
def test_abundance_and_redshift_of_a_plasma_are_found_when_they_are_free(freed):
    free = {"apec.Abundanc": {"value": 0.4}, "apec.Redshift": {"value": 0.1}}
    free[f"apec.{freed}"] |= {"frozen": False}
    model, truth = parse_model("apec").set(**free), np.array([3.0, 0.4, 0.1, 3e-2])
    misses, places = [], np.flatnonzero([not p.frozen for p in model.parameters])
    for seed in range(8):
        fit = fit_spectrum(model, draw(model, truth, CAMERA, 60_000, seed), CAMERA)
        misses.append(((fit.values - truth) / np.where(fit.errors > 0, fit.errors, 1))[places])
    assert np.all(np.abs(np.mean(misses, axis=0)) < 1.3)
    assert np.all(np.abs(misses) < 4.5)


def test_profile_ends_where_the_statistic_has_risen_by_delta():
    fit = fit_spectrum(MODEL, draw(MODEL, TRUTH, CAMERA, 3_000), CAMERA)
    for name in fit.names:
        value, error = fit[name]
        for delta in (1.0, 2.7055):
            low, high = profile(fit, name, delta)
            assert low < value < high
            assert (high - low) / 2 == pytest.approx(error * np.sqrt(delta), rel=0.15)
            for end in (low, high):
                assert statistic_at(fit, name, end) - fit.value == pytest.approx(delta, abs=0.01)


def test_a_background_is_taken_off():
    sky = parse_model("powerlaw")
    off = draw(sky, [0.5, 3e-3], CAMERA, 20_000, 7, backscal=4.0)
    on = draw(MODEL, TRUTH, CAMERA, 20_000, 8)
    on = replace(on, counts=on.counts + draw(sky, [0.5, 3e-3 / 4], CAMERA, 20_000, 9).counts, background=off)
    fit = fit_spectrum(MODEL, on, CAMERA)
    assert fit.statistic == "wstat"
    assert np.all(np.abs(fit.values - TRUTH) < 3.5 * fit.errors)
    assert abs(fit.value - fit.expected) < 4 * fit.expected_sd
    alone = fit_spectrum(MODEL, on, CAMERA, statistic="cstat")
    assert abs(alone["powerlaw.PhoIndex"][0] - 1.8) > 4 * alone["powerlaw.PhoIndex"][1]


def test_flux_of_a_power_law_with_its_error():
    fit = fit_spectrum(MODEL, draw(MODEL, TRUTH, CAMERA, 20_000), CAMERA)
    flux, bare = fit.flux(2.0, 8.0), fit.flux(2.0, 8.0, absorbed=False)
    gamma, norm = fit["powerlaw.PhoIndex"][0], fit["powerlaw.norm"][0]
    photons = norm * (2 ** (1 - gamma) - 8 ** (1 - gamma)) / (gamma - 1)
    assert bare.photons == pytest.approx(photons, rel=1e-4)
    assert 0.9 < flux.erg / bare.erg < 1
    counts = fit.data.counts.sum()
    assert flux.photons_error / flux.photons == pytest.approx(2.5 / np.sqrt(counts), rel=0.5)


def test_a_spectrum_without_counts_ends_at_the_norms_bound():
    fit = fit_spectrum(MODEL, Spectrum.of(np.zeros(180), 1000.0), CAMERA)
    assert fit["powerlaw.norm"][0] < 1e-8
    assert fit.at_bound[2] or not np.isfinite(fit.errors[2]) or fit.errors[2] > fit.values[2]


def test_a_parameter_at_its_bound_is_flagged_without_an_error():
    model = MODEL.set(**{"tbabs.nH": {"low": 1.0, "value": 2.0, "starts": ()}})
    fit = fit_spectrum(model, draw(MODEL, TRUTH, CAMERA, 20_000), CAMERA)
    assert fit.at_bound.tolist() == [True, False, False]
    assert fit["tbabs.nH"][0] == 1.0
    assert np.isnan(fit["tbabs.nH"][1])


def test_a_frozen_parameter_stays():
    model = MODEL.set(**{"tbabs.nH": {"value": 0.25, "frozen": True}})
    fit = fit_spectrum(model, draw(MODEL, TRUTH, CAMERA, 20_000), CAMERA)
    assert fit["tbabs.nH"] == (0.25, 0.0)


def test_a_background_without_counts_is_left_out_and_said():
    spectrum = draw(MODEL, TRUTH, CAMERA, 5_000)
    fit = fit_spectrum(MODEL, replace(spectrum, background=Spectrum.of(np.zeros(180), 1e4)), CAMERA)
    assert fit.statistic == "cstat"
    assert fit.data.flags == ("no background counts",)


def test_many_fits_are_those_of_each():
    spectra = [draw(MODEL, TRUTH, CAMERA, 3_000, seed) for seed in range(3)]
    for many, spectrum in zip(fit_many(MODEL, spectra, CAMERA), spectra, strict=True):
        assert np.array_equal(many.values, fit_spectrum(MODEL, spectrum, CAMERA).values)
    assert fit_many(MODEL, [], CAMERA) == []


@pytest.mark.parametrize(
    ("change", "options", "why"),
    [
        ({"counts": np.zeros(20)}, {}, "20 channels, but the response has 180"),
        ({"quality": np.ones(180, np.int16)}, {}, "are bad"),
        ({}, {"band_kev": (30.0, 40.0)}, "no channel within"),
        ({}, {"statistic": "wstat"}, "has no background"),
        ({}, {"statistic": "chi2"}, "expected one of auto, cstat, wstat"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(change, options, why):
    spectrum = replace(draw(MODEL, TRUTH, CAMERA, 1_000), **change)
    with pytest.raises(ConfigError, match=why) as refusal:
        fit_spectrum(MODEL, spectrum, CAMERA, **options)
    assert "\n" not in str(refusal.value)
