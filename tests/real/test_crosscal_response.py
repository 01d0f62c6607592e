"""Temperatures through a wrong area of a real telescope, beside the published library of xrmodifier."""

import numpy as np
import pytest

from bench.crosscal.response import ALL, AS_PUBLISHED, KT, PUBLISHED, SIGMA, cases, shifts
from sim.crosscal.hot import cluster_table
from sim.crosscal.templates import Templates
from stream.crosscal.modifiers import family, middle_kev, modify
from stream.spectra.fit import fit_spectrum
from stream.spectra.model import parse_model
from stream.spectra.spectrum import Spectrum
from stream.transport.arf_modified import modify_arf
from stream.transport.ogip import read_arf, read_response

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def responses(data):
    if not (data / "responses" / "acisi_aimpt_cy0.arf.gz").is_file():
        pytest.skip(f"no {data / 'responses'}")
    return data / "responses"


@pytest.fixture(scope="module")
def acis(responses):
    return read_response(responses / "acisi_aimpt_cy0.rmf.gz", responses / "acisi_aimpt_cy0.arf.gz")


def test_the_published_library_is_reproduced_within_30_percent(responses, acis):
    _, _, setting, code = next(iter(cases(responses)))
    found, _ = shifts(Templates(setting, acis, cluster_table(), KT), code)
    published = np.array(list(PUBLISHED.values()))
    assert np.all(np.sign(found) == np.sign(published))
    assert np.all(np.abs(found / published - 1) < 0.3)
    assert np.all(np.abs(found[[0, 3]]) > np.abs(found[[1, 2]]))


def test_templates_of_a_real_response_find_what_the_engine_finds(acis):
    factor = family("gaussian-code").factor([1.8, SIGMA, -0.08], middle_kev(acis))[0]
    found = Templates(AS_PUBLISHED, acis, cluster_table(), KT[1:2]).recover(factor, np.empty(0))
    held = {"tbabs.nH": 0.1, "apec.Abundanc": 0.3, "apec.Redshift": 0.05}
    model, true = parse_model("tbabs*apec", cluster_table()).set(**held), modify(acis, factor)
    rate = true.fold(model.photons([0.1, KT[1], 0.3, 0.05, 1.0], true.energy_lo_kev, true.energy_hi_kev))
    for j, response in enumerate((acis, true)):
        fit = fit_spectrum(model, Spectrum.of(rate * 5e4, 5e4), response, band_kev=ALL)
        assert found.kt_kev[0, j] == pytest.approx(fit.values[1], rel=1e-3)
        assert found.nh[0, j] == pytest.approx(fit.values[0], abs=1e-3)


@pytest.mark.parametrize("name", ["acisi_aimpt_cy0.arf.gz", "pn/pn.arf.gz", "mccal_epic_pn.arf.gz"])
def test_real_arfs_are_modified_and_read_back(responses, tmp_path, name):
    kind, theta = family("gaussian"), [1.8, 1.0, -0.08]
    modify_arf(responses / name, tmp_path / "b.arf", kind, theta)
    low, high, area = read_arf(responses / name)
    found = read_arf(tmp_path / "b.arf")
    np.testing.assert_array_equal(found[:2], [low, high])
    np.testing.assert_allclose(found[2], area * kind.factor(theta, 0.5 * (low + high))[0], rtol=1e-6)
