"""Fits of real spectra and through real responses, against Sherpa 4.19."""

from dataclasses import replace

import numpy as np
import pytest

from stream.spectra.fit import fit_spectrum
from stream.spectra.model import parse_model
from stream.spectra.spectrum import Spectrum
from stream.transport.ogip import read_observation, read_response
from stream.transport.pimms import read_plasma

pytestmark = pytest.mark.real
MODEL = parse_model("tbabs*powerlaw")

# Sherpa 4.19.0: levmar, then neldermead; covar; powlaw1d times a user model of exp(-nH sigma), sigma averaged over 20
# points of each bin from astromodels 2.6.0's xsect_tbabs_wilm.fits; the same channels and groups, written as PHA by us.
# nH, PhoIndex, norm; their errors; the statistic
SHERPA = {
    "cy0": ((0.344407043, 1.778377206, 1.045957705e-3), (0.014979422, 0.025050317, 2.79398e-5), 595.28228),
    "cy19": ((0.334660787, 1.771607126, 1.657182461e-3), (0.029126336, 0.027494926, 5.74868e-5), 580.36710),
    "3c273": ((0.057821237, 2.023084194, 2.074904710e-4), (0.049980155, 0.104898110, 2.44273e-5), 19.12230),
}


def made(response):
    """Counts that no library's random numbers change: a shape of our own, rounded after a fixed scatter."""
    middle = 0.5 * (response.energy_lo_kev + response.energy_hi_kev)
    mean = response.fold(middle**-1.8 * np.exp(-0.6 * middle**-2.4))
    mean *= 15_474 / mean[response.band(0.5, 8.0).channels].sum()
    scatter = np.random.default_rng(2026).standard_normal(len(mean))
    return Spectrum.of(np.maximum(np.round(mean + np.sqrt(mean) * scatter), 0), 36_000.0)


def compare(fit, name):
    values, errors, statistic = SHERPA[name]
    assert np.all(np.abs(fit.values - values) < 0.1 * np.array(errors))
    assert np.allclose(fit.errors, errors, rtol=0.02)
    assert fit.value == pytest.approx(statistic, abs=0.05)


@pytest.mark.parametrize("cycle", ["cy0", "cy19"])
def test_15_000_counts_at_the_aim_point_of_acis_give_sherpas_parameters(data, cycle):
    folder = data / "responses"
    response = read_response(folder / f"acisi_aimpt_{cycle}.rmf.gz", folder / f"acisi_aimpt_{cycle}.arf.gz")
    fit = fit_spectrum(MODEL, made(response), response, start=[0.1, 1.5, 5e-4])
    assert (fit.bins, fit.converged) == (512, True)
    compare(fit, cycle)


def test_3c273_with_its_background_gives_sherpas_parameters(data):
    spectrum, response = read_observation(data / "responses" / "3c273" / "3c273.pi")
    quality = np.ones_like(spectrum.quality)
    quality[response.band(0.5, 8.0).channels] = 0
    fit = fit_spectrum(MODEL, replace(spectrum, quality=quality).grouped(20), response)
    assert fit.statistic == "wstat"
    compare(fit, "3c273")


def by_binning(model, spectrum, response, band):
    plain = replace(spectrum, grouping=np.zeros_like(spectrum.grouping))
    return [fit_spectrum(model, plain.grouped(least), response, band_kev=band) for least in (1, 5, 20)]


def test_3c273_is_fitted_whatever_the_binning(data):
    spectrum, response = read_observation(data / "responses" / "3c273" / "3c273.pi")
    fits = by_binning(MODEL, spectrum, response, (0.5, 8.0))
    for fit in fits:
        assert fit.converged
        assert abs(fit.value - fit.expected) < 3 * fit.expected_sd
        assert np.all(np.abs(fit.values - fits[-1].values) < 0.3 * fit.errors)
    assert fits[-1].chi2_dof == pytest.approx(1.08, abs=0.1)
    assert fits[-1].flux(2.0, 8.0).erg == pytest.approx(4.43e-13, rel=0.02)


def test_pn_shows_its_iron_line_whatever_the_binning(data):
    names = (data / "responses" / "pn" / f"pn{end}.gz" for end in ("_spec.fits", ".rmf", ".arf", "_backspec.fits"))
    spectrum, response = read_observation(*names)
    assert response.channel[0] == 0
    assert len(response.channel) == 4096
    lines = {"gaussian.LineE": 6.44, "gaussian_2.LineE": 7.03, "gaussian_3.LineE": 1.84, "gaussian_4.LineE": 2.43}
    model = parse_model("tbabs*(powerlaw + gaussian + gaussian + gaussian + gaussian)").set(**lines)
    fits = by_binning(model, spectrum, response, (0.5, 10.0))
    for fit in fits:
        assert fit.converged
        assert not fit.at_bound.any()
        free = np.array([not p.frozen for p in model.parameters])
        assert np.all(np.abs(fit.values - fits[-1].values)[free] < fit.errors[free])
    assert fits[-1]["gaussian.LineE"][0] == pytest.approx(6.44, abs=0.02)  # Fe K alpha
    bare = fit_spectrum(MODEL, spectrum, response, band_kev=(0.5, 10.0))
    assert bare.value - bare.expected > 50 * bare.expected_sd  # and a power law alone is seen to be wrong


def test_pimms_apec_has_the_norm_of_xspec(data):
    """Free-free emission from first principles at log T = 8.5, 9-25 keV; metals by Anders & Grevesse add 0.13."""
    table = read_plasma(data / "coronal" / "apec_pimms")
    edges = np.linspace(9, 25, 9)
    kt = 27.25
    apec = parse_model("apec", table).photons([kt, 1.0, 0.0, 1.0], edges[:-1], edges[1:])
    bremss = parse_model("bremss").photons([kt, 3.02e-15 * 1e14], edges[:-1], edges[1:])  # of H and He
    assert apec / bremss * (1 + 4 * 0.085) / 1.524 == pytest.approx(np.ones(8), abs=0.06)
    assert table.photons.shape[0] == 59
