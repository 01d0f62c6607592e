"""Fields of the Galaxy: what is in them follows from what is said to be in them."""

from dataclasses import replace

import numpy as np
import pytest

from config.errors import ConfigError
from sim.sources.camera import built_in
from sim.sources.field import PARTICLE, Setup, make_field
from sim.sources.galaxy import BULGE_MASS, look
from sim.sources.populations import ALL, CLASSES, NUCLEI, census
from sim.sources.sky import log_n_log_s, prior
from stream.imaging.image import FWHM
from stream.spectra.fit import fit_spectrum
from stream.spectra.model import parse_model
from stream.spectra.spectrum import Spectrum

CAMERA = built_in()
SMALL = replace(CAMERA, columns=256, rows=256, kept=CAMERA.kept)
DARK = replace(SMALL, particles=0.0)
NOTHING = {"density": 0.0, "diffuse": 0.0}


@pytest.fixture(scope="module")
def field():
    return make_field(CAMERA, Setup(density=0.5, numbers={"LMXB": 10, "NS": 6}), 1)


def test_counts_are_poisson_around_flux_times_area_times_exposure(field):
    truth = field.truth
    inner = (abs(truth["x"] - 255.5) < 230) & (abs(truth["y"] - 255.5) < 230)  # no light over the edge
    pulls = (truth["counts"] - truth["expected"])[inner] / np.sqrt(truth["expected"][inner])
    assert abs(pulls.mean()) < 4 / np.sqrt(len(pulls))
    assert pulls.std() == pytest.approx(1, abs=0.1)


def test_expected_counts_are_those_of_the_spectral_engine(field):
    camera, seconds = field.camera, field.setup.exposure_s
    for row in field.truth[:: len(field.truth) // 12]:
        model = parse_model(row["model"].decode())
        values = row["values"][np.isfinite(row["values"])]
        photons = model.photons(values, camera.response.energy_lo_kev, camera.response.energy_hi_kev)
        assert camera.response.fold(photons).sum() * seconds == pytest.approx(row["expected"], rel=2e-3)


def test_the_same_seed_gives_the_same_field():
    first, again, other = (make_field(SMALL, Setup(density=0.3), seed) for seed in (3, 3, 4))
    assert first.events.tobytes() == again.events.tobytes()
    assert first.truth.tobytes() == again.truth.tobytes()
    assert first.events.tobytes() != other.events.tobytes()


def test_positions_and_psf_are_recovered(field):
    bright = field.truth[np.argmax(field.truth["counts"])]
    own = field.events[field.events["source"] == bright["id"]]
    error = CAMERA.sigma_px / np.sqrt(len(own))
    assert abs(own["x"].mean() - bright["x"]) < 5 * error
    assert abs(own["y"].mean() - bright["y"]) < 5 * error
    assert own["x"].std() == pytest.approx(
        CAMERA.fwhm_arcsec / CAMERA.arcsec_per_px / FWHM, rel=5 / np.sqrt(2 * len(own))
    )


def test_half_of_a_king_profile_lies_within_its_half_energy_width():
    king = replace(SMALL, psf="king")
    x, y = king.spread(np.full(20_000, 100.0), np.full(20_000, 100.0), np.random.default_rng(0))
    within = np.hypot(x - 100, y - 100) < king.fwhm_arcsec / king.arcsec_per_px / 2
    assert within.mean() == pytest.approx(0.5, abs=0.015)


def test_the_psf_grows_and_the_area_falls_off_axis():
    camera = replace(SMALL, fwhm_growth=1.0, vignetting=0.4)
    rng = np.random.default_rng(0)
    x, _ = camera.spread(np.full(20_000, -0.5), np.full(20_000, -0.5), rng)
    assert x.std() == pytest.approx(2 * camera.sigma_px, rel=0.03)
    assert camera.exposure(100.0)[0, 0] == pytest.approx(60, abs=0.5)
    assert camera.exposure(100.0)[128, 128] == pytest.approx(100, abs=0.1)


def test_a_fit_recovers_what_was_put_in():
    field = make_field(DARK, Setup(density=0, diffuse=0, numbers={"AGN": 3}, wanted_counts=3000, most_counts=1e6), 5)
    bright = field.truth[np.argmax(field.truth["counts"])]
    own = field.events[field.events["source"] == bright["id"]]
    counts = np.bincount(own["channel"] - DARK.response.channel[0], minlength=len(DARK.response.channel))
    spectrum = Spectrum.of(counts, field.setup.exposure_s)
    fit = fit_spectrum(parse_model("tbabs*powerlaw"), spectrum, DARK.response)
    for name, true in (("tbabs.nH", bright["values"][0]), ("powerlaw.PhoIndex", bright["values"][1])):
        value, error = fit[name]
        assert abs(value - true) < 4 * error
    assert abs(fit.value - fit.expected) < 5 * fit.expected_sd


def test_fluxes_of_agn_follow_their_log_n_log_s():
    sight = look(0, 60)
    there = census(NUCLEI, sight, 1.0)
    log_flux, distance, _ = there.draw(20_000, np.random.default_rng(1), np.array([-14.0]))
    above = np.array([(log_flux > low).mean() for low in (-13.5, -13.0, -12.5)])
    expected = NUCLEI.number(10 ** np.array([-13.5, -13.0, -12.5])) / NUCLEI.number(np.array([1e-14]))
    assert above == pytest.approx(expected, rel=0.15)
    assert np.isinf(distance).all()
    bright = np.log10(NUCLEI.number(np.array([1e-12, 1e-11])))
    assert bright[0] - bright[1] == pytest.approx(1.57, abs=0.03)


@pytest.mark.parametrize("population", ALL, ids=lambda p: p.name)
def test_numbers_drawn_are_those_expected(population):
    there = census(population, look(0.0, -1.5), CAMERA.sky_sr)
    least = np.full(len(there.nh), -14.5)
    if there.expected(least) < 1e-6:
        pytest.skip("none is so bright")
    log_flux, distance, nh = there.draw(2_000, np.random.default_rng(0), least)
    share = there.above(np.array([-13.5]))[0] / there.above(np.array([-14.5]))[0]
    assert (log_flux > -13.5).mean() == pytest.approx(share, abs=4 * np.sqrt(share / 2000) + 0.01)
    assert (nh >= 0).all()
    assert ((distance > 0.009) & ~(distance < 0)).all()


def test_the_galaxy_holds_the_mass_that_it_is_said_to():
    rng = np.random.default_rng(0)
    l_deg, sine = rng.uniform(-60, 60, 400), rng.uniform(-0.5, 0.5, 400)
    mass = [look(a, np.degrees(np.arcsin(s))).bulge.sum() for a, s in zip(l_deg, sine, strict=True)]
    solid = np.radians(120) * 1.0
    assert np.mean(mass) * solid == pytest.approx(BULGE_MASS, rel=0.3)
    sight = look(0.0, 0.5)
    assert (np.diff(sight.nh) > 0).all()
    assert 3 < sight.column < 20  # 1e22 cm-2 through the whole plane


def test_chandras_bulge_field_holds_as_many_sources_as_it_does():
    """473 above some 1e-16 erg cm-2 s-1 in 0.0121 deg2 at (0.1, -1.4): Revnivtsev et al. 2009, Nature 458, 1142.

    The numbers of stars were chosen for it: this guards them, and proves nothing.
    """
    found = log_n_log_s(look(0.1, -1.4), 0.0121 * (np.pi / 180) ** 2, np.array([-16.0]))
    assert 473 / 1.7 < sum(float(n[0]) for n in found.values()) < 473 * 1.7


def test_the_prior_of_the_classes_is_one_and_knows_the_sky():
    log_flux = np.array([-15.0, -14.0, -13.0])
    plane, pole = prior(look(0, -1.5), log_flux), prior(look(90, 70), log_flux)
    assert plane.sum(axis=1) == pytest.approx(1)
    assert (pole[:, CLASSES.index("AGN")] > plane[:, CLASSES.index("AGN")]).all()
    assert plane[1, CLASSES.index("CV")] > 3 * pole[1, CLASSES.index("CV")]


def test_diffuse_light_has_the_mean_that_is_said():
    field = make_field(SMALL, Setup(density=0.0, exposure_s=20_000), 2)
    expected = field.diffuse().sum()
    assert field.inside().sum() == pytest.approx(expected, abs=4 * np.sqrt(expected) + 0.01 * expected)
    block = field.image().reshape(8, 32, 8, 32).sum(axis=(1, 3))
    mean = field.diffuse().reshape(8, 32, 8, 32).sum(axis=(1, 3))
    assert np.corrcoef(block.ravel(), mean.ravel())[0, 1] > 0.9
    assert mean.std() / mean.mean() > 0.05


def test_an_empty_sky_holds_particles_only():
    field = make_field(SMALL, Setup(**NOTHING), 1)
    assert len(field.truth) == 0
    assert (field.events["source"] == PARTICLE).all()
    assert np.isnan(field.events["photon_ev"]).all()


def test_nothing_at_all_is_a_field_too():
    field = make_field(DARK, Setup(**NOTHING), 1)
    assert len(field.events) == 0
    assert field.image().sum() == 0
    assert field.diffuse().sum() == 0


def test_numbers_of_a_class_are_those_wanted():
    wanted = [make_field(SMALL, Setup(**NOTHING, numbers={"NS": 8, "star": 0}), s).truth["class"] for s in range(8)]
    names = np.concatenate(wanted)
    assert set(names.tolist()) == {b"NS"}
    assert len(names) == pytest.approx(64, abs=4 * 8)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"exposure_s": 0.0}, "exposure_s"),
        ({"exposure_s": float("nan")}, "exposure_s"),
        ({"b_deg": 91.0}, "b_deg"),
        ({"density": -1.0}, "density"),
        ({"numbers": {"quasar": 3.0}}, "quasar"),
        ({"numbers": {"NS": 1e9}}, "10,000"),
        ({"texture": 9.0}, "texture"),
        ({"exposure_s": 1e8}, "at most"),
    ],
)
def test_absurd_fields_are_refused_in_one_line(change, told):
    with pytest.raises(ConfigError) as caught:
        make_field(SMALL, Setup(**({"density": 0.0} | change)), 1)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change", [{"fwhm_arcsec": 0.1}, {"columns": 3}, {"psf": "airy"}, {"vignetting": 1.0}, {"particles": -1.0}]
)
def test_absurd_cameras_are_refused_in_one_line(change):
    with pytest.raises(ConfigError, match="camera: expected"):
        replace(CAMERA, **change)
