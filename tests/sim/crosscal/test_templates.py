from dataclasses import replace

import numpy as np
import pytest

from config.errors import ConfigError
from sim.crosscal.grid import RATIOS
from sim.crosscal.hot import cluster_table
from sim.crosscal.telescope import analytic_area, analytic_response
from sim.crosscal.templates import Setting, Templates
from stream.crosscal.modifiers import family, middle_kev, modify
from stream.spectra.fit import fit_spectrum
from stream.spectra.model import parse_model
from stream.spectra.profile import statistic_at
from stream.spectra.spectrum import Spectrum

KT = np.array([0.9, 2.6, 8.8, 14.0])
RESPONSE = analytic_response()
THETA = [
    ("gaussian", [1.8, 1.0, -0.08]),
    ("gaussian", [4.35, 1.0, 0.2]),
    ("gaussian", [0.8, 0.15, 0.3]),
    ("edge", [2.1, 0.15, 0.02]),
    ("spline:6", [-0.2, 0.1, 0.0, -0.1, 0.05, 0.2]),
]


def model_of(setting):
    held = {"tbabs.nH": {"value": setting.nh_1e22, "frozen": not setting.nh_free, "high": 1.0}}
    held |= {"apec.Abundanc": setting.abundance, "apec.Redshift": setting.redshift}
    return parse_model("tbabs*apec", cluster_table()).set(**held)


@pytest.mark.parametrize(("kind", "theta"), THETA, ids=[f"{k}-{t[0]}" for k, t in THETA])
@pytest.mark.parametrize("nh_free", [True, False])
def test_templates_find_what_the_spectral_engine_finds(kind, theta, nh_free):
    """The slow twin: whole spectra folded and fitted by stream.spectra, through the nominal area and the modified."""
    setting = Setting(nh_free=nh_free)
    factor = family(kind).factor(theta, middle_kev(RESPONSE))[0]
    found = Templates(setting, RESPONSE, cluster_table(), KT).recover(factor, RATIOS)
    model, true = model_of(setting), modify(RESPONSE, factor)
    for i, kt in enumerate(KT):
        values = [setting.nh_1e22, kt, setting.abundance, setting.redshift, setting.norm]
        rate = true.fold(model.photons(values, true.energy_lo_kev, true.energy_hi_kev))
        spectrum = Spectrum.of(rate * setting.exposure_s, setting.exposure_s)
        for j, response in enumerate((RESPONSE, true)):
            fit = fit_spectrum(model, spectrum, response, band_kev=setting.band_kev)
            assert found.kt_kev[i, j] == pytest.approx(fit.values[1], rel=1e-3)
            assert found.sd[i, j] == pytest.approx(fit.errors[1] / fit.values[1], rel=0.01)
            assert found.norm[i, j] == pytest.approx(fit.values[4], rel=1e-3)
            assert found.nh[i, j] == pytest.approx(fit.values[0], abs=1e-4)
            assert found.statistic[i, j] == pytest.approx(fit.value, rel=1e-3, abs=0.05)
        assert found.kt_kev[i, 1] == pytest.approx(kt, rel=1e-4)
    assert found.converged.all()


def test_likelihood_curves_are_those_of_the_engine():
    setting = Setting(norm=0.01)
    factor = family("gaussian").factor([1.8, 1.0, -0.08], middle_kev(RESPONSE))[0]
    found = Templates(setting, RESPONSE, cluster_table(), KT[1:3]).recover(factor, RATIOS)
    model, true = model_of(setting), modify(RESPONSE, factor)
    values = [setting.nh_1e22, KT[2], setting.abundance, setting.redshift, setting.norm]
    rate = true.fold(model.photons(values, true.energy_lo_kev, true.energy_hi_kev))
    for j, response in enumerate((RESPONSE, true)):
        fit = fit_spectrum(model, Spectrum.of(rate * 5e4, 5e4), response, band_kev=setting.band_kev)
        slow = [statistic_at(fit, "apec.kT", fit.values[1] * np.exp(r)) - fit.value for r in RATIOS]
        np.testing.assert_allclose(found.curve[1, j], slow, rtol=0.01, atol=0.01)


def test_noise_scatters_as_the_errors_say():
    setting = Setting(norm=0.02, noise=True)
    bench = Templates(setting, RESPONSE, cluster_table(), np.full(400, 5.0))
    found = bench.recover(np.ones(len(RESPONSE.area_cm2)), np.empty(0), np.random.default_rng(1))
    off = np.log(found.kt_kev[:, 0] / 5.0) / found.sd[:, 0]
    assert abs(off.mean()) < 0.15
    assert off.std() == pytest.approx(1, abs=0.12)
    np.testing.assert_allclose(found.kt_kev[:, 0], found.kt_kev[:, 1], rtol=1e-4)  # the areas are the same


def test_a_fit_beyond_the_plasma_is_flagged():
    factor = family("gaussian").factor([1.477, 0.698, -0.3], middle_kev(RESPONSE))[0]
    found = Templates(Setting(), RESPONSE, cluster_table(), np.array([16.0])).recover(factor, RATIOS)
    assert not found.converged[0, 0]
    assert found.converged[0, 1]
    assert np.isnan(found.curve[0, 0, -1])


def test_temperatures_and_bands_that_are_not_covered_are_refused():
    with pytest.raises(ConfigError, match=r"temperatures within 0\.20\d to 81\.4 keV"):
        Templates(Setting(), RESPONSE, cluster_table(), np.array([3.0, 90.0]))
    with pytest.raises(ConfigError, match=r"no channel within 20.0-30.0 keV"):
        Templates(Setting(band_kev=(20.0, 30.0)), RESPONSE, cluster_table(), KT)
    with pytest.raises(ConfigError, match="a norm above 0"):
        Templates(Setting(norm=0.0), RESPONSE, cluster_table(), KT)


def test_a_plasma_of_solar_spectra_only_has_no_other_abundance():
    solar = replace(cluster_table(), metals=None)
    with pytest.raises(ConfigError, match=r"abundance 0\.3: expected 1: this plasma table has solar spectra only"):
        Templates(Setting(), RESPONSE, solar, KT)
    ours, theirs = (Templates(Setting(abundance=1.0), RESPONSE, t, KT) for t in (cluster_table(), solar))
    np.testing.assert_array_equal(ours.true_counts, theirs.true_counts)


def test_the_analytic_telescope_is_whole():
    assert np.all(RESPONSE.area_cm2 > 0)
    rows = RESPONSE.dense() / RESPONSE.area_cm2[:, None]
    inside = (RESPONSE.energy_lo_kev > 0.5) & (RESPONSE.energy_hi_kev < 11.5)
    np.testing.assert_allclose(rows[inside].sum(axis=1), 1, atol=1e-4)
    assert analytic_area(np.array([1.8]))[0] > analytic_area(np.array([0.5, 2.5, 8.0])).max()
