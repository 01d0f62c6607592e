"""From events to rows of features: sources of known spectrum, place and light curve."""

import numpy as np
import pytest

from sim.sources.camera import built_in
from sim.sources.catalogue import catalogue_of, seen_of
from sim.sources.field import EVENT, Field, Setup, make_field
from stream.judges.catalogue import MODELS, MORE_FEATURES, Seen, make_catalogue, variability
from stream.judges.sources import FEATURES
from stream.spectra.model import parse_model

CAMERA = built_in()
SIDE, SECONDS = 128, 5000.0
LAW = (0.3, 1.8)


def power_law(counts, rng, at):
    """Events of a power law behind 0.3e22 cm-2, so many in all."""
    r = CAMERA.response
    rate = CAMERA.detected(parse_model("tbabs*powerlaw").photons([*LAW, 1.0], r.energy_lo_kev, r.energy_hi_kev))
    events = np.zeros(counts, EVENT)
    energy = rng.choice(len(rate), counts, p=rate / rate.sum())
    place = CAMERA.redistribute(energy, rng)
    events["channel"] = r.channel[place]
    events["energy_ev"] = 500 * (r.e_min_kev + r.e_max_kev)[place]
    events["x"], events["y"] = (
        at[0] + CAMERA.sigma_px * rng.standard_normal(counts),
        at[1] + CAMERA.sigma_px * (rng.standard_normal(counts)),
    )
    events["time"] = SECONDS * rng.random(counts)
    return events, counts / rate.sum() / SECONDS  # and the norm


def flat(counts, rng):
    events = np.zeros(counts, EVENT)
    place = rng.integers(20, 390, counts)
    events["channel"] = CAMERA.response.channel[place]
    events["energy_ev"] = 500 * (CAMERA.response.e_min_kev + CAMERA.response.e_max_kev)[place]
    events["x"], events["y"] = rng.uniform(-0.5, SIDE - 0.5, (2, counts))
    events["time"] = SECONDS * rng.random(counts)
    return events


def seen(*parts):
    e = np.concatenate(parts)
    exposure = np.full((SIDE, SIDE), SECONDS)
    measured = (e["x"], e["y"], e["energy_ev"] / 1000, e["time"], e["channel"])
    return Seen(*measured, exposure, CAMERA.response, CAMERA.sigma_px)


def test_a_bright_source_is_what_it_was_made_as():
    rng = np.random.default_rng(1)
    events, norm = power_law(4000, rng, (60.3, 41.7))
    found = make_catalogue(seen(events, flat(3000, rng)))
    assert len(found) == 1
    row = {name: float(column[0]) for name, column in found.columns.items()}
    assert row["x"] == pytest.approx(60.3, abs=0.2)
    assert row["y"] == pytest.approx(41.7, abs=0.2)
    assert abs(row["photon_index"] - LAW[1]) < 4 * row["photon_index_error"]
    assert abs(row["log_nh"] - np.log10(LAW[0])) < 4 * row["log_nh_error"]
    fit = found.fits[MODELS[0]][0]
    assert abs(fit["powerlaw.norm"][0] - norm) < 4 * fit["powerlaw.norm"][1] + 0.03 * norm
    assert abs(row["goodness"]) < 4
    assert abs(row["log_fwhm_ratio"]) < 4 * row["log_fwhm_ratio_error"] + 0.02
    assert row["delta_c_bbody"] > 30  # it is no black body
    assert abs(row["variability"]) < 9


def test_fluxes_are_those_of_all_of_the_light():
    """32 sources of 300 counts: the circle holds 90 % of them, the flux all."""
    rng, ratio = np.random.default_rng(2), []
    for _ in range(2):
        parts = [power_law(300, rng, (16 + 32 * i, 16 + 32 * j)) for i in range(4) for j in range(4)]
        found = make_catalogue(seen(*(p for p, _ in parts), flat(2000, rng)))
        fits = [fit for fit in found.fits[MODELS[0]] if fit is not None]
        norm = parts[0][1]
        true = parse_model("tbabs*powerlaw")
        values = np.array([*LAW, norm])
        grid = np.geomspace(0.5, 8, 200)
        middle = (grid[1:] + grid[:-1]) / 2
        flux = float(true.photons(values, grid[:-1], grid[1:]) @ middle) * 1.602176634e-9
        ratio += [fit.flux(0.5, 8.0).erg / flux for fit in fits]
    assert len(ratio) >= 31
    assert np.mean(ratio) == pytest.approx(1, abs=0.05)


def test_every_feature_has_a_column():
    rng = np.random.default_rng(3)
    found = make_catalogue(seen(power_law(500, rng, (64, 64))[0], flat(1000, rng)))
    assert set(FEATURES) | set(MORE_FEATURES) <= set(found.columns)
    assert all(column.shape == (1,) for column in found.columns.values())


@pytest.mark.parametrize("background", [0, 2000])
def test_without_sources_there_are_no_rows(background):
    found = make_catalogue(seen(flat(background, np.random.default_rng(0))), threshold=6)
    assert len(found) == 0
    assert all(column.shape == (0,) for column in found.columns.values())


def test_a_source_at_the_edge_and_one_in_a_hole_are_measured_as_far_as_they_are_seen():
    rng = np.random.default_rng(4)
    field = seen(power_law(800, rng, (0.5, 64))[0], power_law(800, rng, (80, 80))[0], flat(1500, rng))
    field.exposure_s[78:82, 70:76] = 0
    found = make_catalogue(field)
    assert len(found) == 2
    index = found.columns["photon_index"]
    assert np.isfinite(index).all()
    assert abs(index - LAW[1]).max() < 1


def test_overlapping_sources_share_no_pixel():
    rng = np.random.default_rng(5)
    found = make_catalogue(seen(power_law(900, rng, (60, 60))[0], power_law(900, rng, (67, 60))[0], flat(1000, rng)))
    assert len(found) == 2
    assert sum(s.counts.sum() for s in found.spectra) < 1900


def test_variability_finds_a_flare_and_not_a_constant():
    rng = np.random.default_rng(6)
    every = np.sort(rng.uniform(0, 5000, 50_000))
    steady = [variability(rng.uniform(0, 5000, 60), every) for _ in range(400)]
    assert np.mean(np.array(steady) > np.log(0.95 / 0.05)) == pytest.approx(0.05, abs=0.04)
    assert variability(np.concatenate([rng.uniform(0, 5000, 30), rng.uniform(2000, 2400, 40)]), every) > 5
    assert np.isnan(variability(np.array([1.0]), every))


def test_gaps_are_no_variability():
    rng = np.random.default_rng(7)
    every = np.sort(np.concatenate([rng.uniform(0, 1000, 20_000), rng.uniform(4000, 5000, 20_000)]))
    own = np.concatenate([rng.uniform(0, 1000, 100), rng.uniform(4000, 5000, 100)])
    assert variability(own, every) < 4


def test_what_is_found_in_a_field_has_its_true_class():
    field = make_field(CAMERA, Setup(density=0.3, numbers={"LMXB": 6}, wanted_counts=80), 3)
    rows = catalogue_of(field)
    real = rows["source"] >= 0
    assert real.mean() > 0.8
    true = field.truth[rows["source"][real]]
    assert (true["class"] == rows["class"][real]).all()
    assert np.hypot(true["x"] - rows["x"][real], true["y"] - rows["y"][real]).max() < 4
    assert abs(rows["b"][real] - true["b"]).max() < 4 * CAMERA.arcsec_per_px / 3600
    assert (rows["class"][~real] == b"diffuse").all()
    bright = real & (rows["net_counts"] > 150)
    error = rows["log_flux"][bright] - np.log10(field.truth["flux"][rows["source"][bright]])
    assert abs(np.median(error)) < 0.06


def test_an_empty_field_has_an_empty_catalogue():
    field = make_field(CAMERA, Setup(density=0.0, knots=0, texture=0.0), 1)
    assert isinstance(field, Field)
    assert len(catalogue_of(field, threshold=7)) == 0
    assert seen_of(field).image(0.5, 8.0).sum() == field.inside().sum()


def test_fits_that_begin_where_earlier_ones_ended_end_there_too():
    field = make_field(CAMERA, Setup(exposure_s=2000.0, density=0.15, numbers={"LMXB": 3}), seed=5)
    seen = seen_of(field)
    first = make_catalogue(seen)
    again = make_catalogue(seen, like=first)
    assert len(again) == len(first) > 5
    for text in MODELS:
        for one, other in zip(first.fits[text], again.fits[text], strict=True):
            assert (one is None) == (other is None)
            if one is not None and one.converged:
                assert other.value <= one.value + 0.05
