import numpy as np
import pytest

from sim.corona.sets import blocks
from sim.corona.truth import Setting
from stream.corona.forward import Forward
from stream.corona.instrument import Instrument, shipped
from stream.errors import ConfigError
from stream.judges.corona import AREA, DISTANCE, NO_COUNTS, RESIDUAL, CoronaJudge, as_words, choose
from stream.stages.classify_corona import SHIPPED

HETG = shipped("hetg")


@pytest.fixture(scope="module")
def judge():
    return CoronaJudge()


@pytest.fixture(scope="module")
def block():
    setting = Setting(shares=(1, 0, 0), snr=(5, 10))
    return next(blocks(Forward.through(HETG), setting, 120, 1234))


def test_the_shipped_network_knows_temperatures_of_new_stars(judge, block):
    said = judge.judge(block.counts)
    known = said.flag == 0
    assert known.mean() > 0.9
    truth = block.truth.rows["log_t"]
    error = said.mean[known, 0, 0] - truth[known]
    assert np.sqrt(np.mean(error**2)) < 0.05
    inside = (said.low[known, 0, 0, 1] <= truth[known]) & (truth[known] <= said.high[known, 0, 0, 1])
    assert judge.levels[1] == 0.9
    assert inside.mean() > 0.8
    np.testing.assert_allclose(said.kind[known].sum(axis=1), 1, atol=1e-5)
    norm = block.truth.rows["log_norm"] + np.log10(block.truth.rows["exposure_s"])
    assert np.median(np.abs(said.mean[known, 0, 2] - norm[known])) < 0.15


def test_lines_that_stand_out_are_named(judge, block):
    said = judge.judge(block.counts)
    wavelength = Forward.through(HETG).lines.wavelength_a
    rows = [int(np.argmin(np.abs(wavelength - at))) for at in judge.wavelength_a]
    seen = block.sigma[:, rows] >= 3
    known = said.flag == 0
    assert (said.seen[known] == seen[known]).mean() > 0.9
    assert said.seen[known][seen[known]].mean() > 0.85
    assert not said.seen[~known].any()


def test_what_is_like_nothing_known_gets_no_answer(judge, block):
    rng = np.random.default_rng(5)
    flat = rng.poisson(1.0, (50, HETG.channels))
    moved = np.roll(block.counts, 100, axis=1)
    said = judge.judge(np.concatenate([np.zeros((1, HETG.channels)), flat, moved]))
    assert said.flag[0] & NO_COUNTS
    assert (said.flag[1:] & (DISTANCE | RESIDUAL)).astype(bool).mean() > 0.95
    assert np.isnan(said.mean[said.flag > 0]).all()
    assert as_words(NO_COUNTS | RESIDUAL) == "no counts, not as the denoised spectrum"


def test_other_grids_units_and_counts_are_refused(judge):
    judge.check(HETG.edges_a)
    for edges, text in (
        (shipped("euv").edges_a, "1,000 bins of 90 to 340 A; expected hetg"),
        (HETG.edges_a / 10, "expected Angstrom"),
        (12.398 / HETG.edges_a, "a grid of energies falls"),
    ):
        with pytest.raises(ConfigError, match=text):
            judge.check(edges)
    with pytest.raises(ConfigError, match="takes"):
        judge.judge(np.zeros((2, 10)))
    with pytest.raises(ConfigError, match="0 or more"):
        judge.judge(np.full((1, HETG.channels), -1.0))


def test_a_posterior_in_the_box_has_the_moments_of_the_answer(judge, block):
    said = judge.judge(block.counts)
    known = said.flag == 0
    weight, mean_t, sd_t, mean_n = (said.mixture[known, :, k] for k in range(4))
    np.testing.assert_allclose(weight.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose((weight * mean_t).sum(axis=1), said.mean[known, 0, 0], atol=2e-4)
    np.testing.assert_allclose((weight * mean_n).sum(axis=1), said.mean[known, 0, 1], atol=5e-3)
    assert (sd_t > 0).all()


def other(factor=2.0):
    """Bins half as wide, moved a little, with another area."""
    edges = np.linspace(HETG.edges_a[0], HETG.edges_a[-1], 2 * HETG.channels + 1) + 0.0017
    middle = 0.5 * (edges[1:] + edges[:-1])
    area = factor * np.interp(middle, HETG.middle_a, HETG.area_cm2) * np.exp(0.2 * np.sin(middle))
    return Instrument.of("other", edges, area, HETG.fwhm_a[0])


def test_spectra_of_another_grid_and_area_are_told_as_their_own(judge):
    instrument = other()
    bright = next(blocks(Forward.through(instrument), Setting(shares=(1, 0, 0), snr=(10, 25)), 100, 7))
    assert choose([judge], instrument.edges_a, (instrument.area_cm2, instrument.fwhm_a), "star") is judge
    found = judge.fit(bright.counts, instrument.edges_a, instrument.area_cm2, np.random.default_rng(0))
    said = judge.judge(found.counts, found.part)
    known = said.flag == 0
    assert known.mean() > 0.9
    truth = bright.truth.rows
    assert np.sqrt(np.mean((said.mean[known, 0, 0] - truth["log_t"][known]) ** 2)) < 0.05
    norm = truth["log_norm"] + np.log10(truth["exposure_s"])
    assert np.median(np.abs(said.mean[known, 0, 2] - found.log_scale[known] - norm[known])) < 0.15
    assert np.median(found.kept) < 0.5


def test_own_spectra_are_left_as_they_are_and_too_bright_ones_thinned(judge, block):
    same = judge.fit(block.counts, HETG.edges_a, HETG.area_cm2, np.random.default_rng(0))
    np.testing.assert_array_equal(same.counts, block.counts)
    assert (same.kept == 1).all()
    bright = judge.fit(np.stack([block.counts[0], 200 * block.counts[0]]), HETG.edges_a, None, np.random.default_rng(0))
    np.testing.assert_array_equal(bright.counts[0], block.counts[0])
    assert bright.kept[1] < 0.1
    assert bright.log_scale[1] < -1


def test_where_light_is_expected_there_must_be_area(judge, block):
    instrument = other()
    area = instrument.area_cm2.copy()
    area[4000:] = 0
    found = judge.fit(block.counts, HETG.edges_a, area[::2], np.random.default_rng(0))
    cold = block.truth.rows["log_t"] < 6.5
    assert (judge.judge(found.counts, found.part).flag[cold] > 0).mean() > 0.9
    lacking = np.ones(block.counts.shape)
    lacking[:, 1000:2000] = 0
    assert (judge.judge(block.counts, lacking).flag & AREA).astype(bool).mean() > 0.9


def test_each_grid_has_its_network_and_other_grids_are_refused_by_name():
    judges = [CoronaJudge(name) for name in SHIPPED]
    for judge in judges:
        own = shipped(judge.instrument)
        assert choose(judges, own.edges_a, None, "x") is judge
        assert choose(judges, own.edges_a, (own.area_cm2, own.fwhm_a), "x") is judge
    wide = np.linspace(5, 30, 101)
    text = (
        r"star: 100 bins of 5 to 30 A; expected hetg: 2,980 .* A; letg: 6,800 .* A; euv: 1,000 even bins of 90 to 340 A"
    )
    with pytest.raises(ConfigError, match=text):
        choose(judges, wide, (np.ones(100), np.full(100, 0.02)), "star")
    with pytest.raises(ConfigError, match="no area"):
        judges[0].fit(np.ones((1, 100)), wide, None, np.random.default_rng(0))
