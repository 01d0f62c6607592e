"""Expected counts: conserved, in the right place, linear where they must be; instruments that cannot be."""

import numpy as np
import pytest

from config.errors import ConfigError
from stream.corona.forward import Coronae, Forward, norm_of
from stream.corona.instrument import NAMES, Instrument, shipped
from stream.spectra.response import Response


@pytest.fixture(scope="module")
def model() -> Forward:
    return Forward.through(Instrument.of("flat", np.linspace(5, 30, 2501), 10.0, 0.023))


def test_counts_of_lines_are_all_there(model):
    one = Coronae.of(model, 6.6, 1e-2, 10.0, exposure_s=1e4, sigma_kms=30.0)
    lines = model.counts(one).sum() - model.continuum_photons(one).sum() * 10.0 * 1e4
    assert np.isclose(lines, model.line_counts(one).sum(), rtol=1e-3)


def test_counts_follow_norm_exposure_and_area(model):
    one = model.counts(Coronae.of(model, 6.6, 1e-2, 10.0, exposure_s=1e4))
    two = model.counts(Coronae.of(model, 6.6, 3e-2, 10.0, exposure_s=2e4, area_factor=0.5))
    assert np.allclose(two, 3 * one)


def test_temperatures_add_up(model):
    each = [model.counts(Coronae.of(model, t, n, 10.0)) for t, n in ((6.3, 1e-2), (6.9, 2e-2))]
    both = Coronae.of(model, [[6.3, 6.9, 6.0]], [[1e-2, 2e-2, 0.0]], 10.0)
    assert np.allclose(model.counts(both), each[0] + each[1], rtol=5e-3)  # ln of the sum is what is straight between
    assert np.allclose(model.counts(both), model.counts(both, model.line_photons(both)))


def test_abundances_go_with_their_element(model):
    plain = Coronae.of(model, 6.6, 1e-2, 10.0)
    abundance = np.ones(len(model.elements))
    abundance[model.elements.index("fe")] = 0.5
    ratio = model.line_photons(Coronae.of(model, 6.6, 1e-2, 10.0, abundance=abundance)) / model.line_photons(plain)
    assert np.allclose(ratio[0], np.where(model.lines.element == "fe", 0.5, 1.0))
    none = Coronae.of(model, 6.6, 1e-2, 10.0, abundance=0.0, background=2.0)
    assert np.allclose(model.counts(none), 2.0 * model.instrument.width_a)


def test_a_shift_moves_lines_and_broadening_widens_them(model):
    row = model.lines.find("o_8", 18.967)
    light = np.zeros((1, len(model.lines)))
    light[0, row] = 1.0
    at = model.instrument.middle_a

    def moments(**rest: float) -> tuple[float, float]:
        profile = model.counts(Coronae.of(model, 6.5, 0.0, 10.0, **rest), light)[0]
        mean = (profile * at).sum() / profile.sum()
        return mean, np.sqrt((profile * (at - mean) ** 2).sum() / profile.sum())

    mean, wide = moments()
    assert mean == pytest.approx(18.967, abs=1e-3)
    assert wide == pytest.approx(np.hypot(0.023 / 2.3548, 0.01 / np.sqrt(12)), rel=0.01)
    assert moments(shift_kms=300.0)[0] - mean == pytest.approx(18.967 * 300 / 299792, rel=1e-2)
    assert moments(sigma_kms=300.0)[1] == pytest.approx(np.hypot(wide, 18.967 * 300 / 299792), rel=1e-2)


def test_a_camera_sees_what_a_grating_sees():
    edges_kev = np.linspace(0.3, 3.0, 541)
    channels = np.linspace(0.3, 3.0, 55)
    matrix = np.repeat(np.eye(54), 10, axis=0)
    response = Response.of((edges_kev[:-1], edges_kev[1:]), (channels[:-1], channels[1:]), matrix, np.full(540, 50.0))
    camera = Forward.through(Instrument.ccd("camera", response))
    grating = Forward.through(Instrument.of("same", camera.instrument.edges_a, 50.0, 0.0))
    star = {"exposure_s": 1e4}
    seen = camera.counts(Coronae.of(camera, 6.7, 1e-3, 10.0, **star))
    assert seen.shape == (1, 54)
    assert seen.sum() == pytest.approx(grating.counts(Coronae.of(grating, 6.7, 1e-3, 10.0, **star)).sum(), rel=1e-6)
    assert np.allclose(camera.line_area_cm2[camera.line_area_cm2 > 0], 50.0)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_instruments_have_lines(name):
    model = Forward.through(shipped(name))
    counts = model.counts(Coronae.of(model, 6.5, norm_of(1e52, 10.0), 10.0, exposure_s=1e5))
    assert counts.shape == (1, model.instrument.channels)
    assert counts.sum() > 10
    assert np.all(counts > 0)


def test_no_light_gives_no_counts(model):
    assert not model.counts(Coronae.of(model, 6.5, 0.0, 10.0)).any()
    assert model.counts(Coronae.of(model, np.zeros(0), 0.0, np.zeros(0))).shape == (0, 2500)


@pytest.mark.parametrize(
    ("edges", "area", "said"),
    [
        (np.linspace(30, 5, 11), 1.0, "bounds that rise"),
        (np.array([5.0, 6.0, 6.0, 7.0]), 1.0, "bounds that rise"),
        (np.linspace(0.5, 3.0, 11), 1.0, "expected Angstrom"),
        (np.linspace(5e-10, 3e-9, 11), 1.0, "expected Angstrom"),
        (np.array([5.0, np.nan, 7.0]), 1.0, "all finite"),
        (np.linspace(5, 30, 11), np.ones(9), "or 10 as bins"),
        (np.linspace(5, 30, 11), np.zeros(10), "an area above 0"),
        (np.linspace(5, 30, 11), np.full(10, np.nan), "numbers of 0 or more"),
    ],
)
def test_instruments_that_cannot_be_are_refused(edges, area, said):
    with pytest.raises(ConfigError, match=said):
        Instrument.of("bad", edges, area, 0.02)


def test_coronae_that_cannot_be_are_refused(model):
    for rest, said in (
        ({"abundance": np.ones(3)}, "abundance"),
        ({"exposure_s": -1.0}, "none below 0"),
        ({"shift_kms": np.nan}, "finite"),
        ({"colour": 1.0}, "colour"),
    ):
        with pytest.raises(ConfigError, match=said):
            Coronae.of(model, 6.5, 1.0, 10.0, **rest)
    with pytest.raises(ConfigError, match="log_t, norm, log_n"):
        Coronae.of(model, [6.5, 6.6, 6.7], 1.0, [10.0, 10.5])
    with pytest.raises(ConfigError, match="instrument 'xmm'"):
        shipped("xmm")
