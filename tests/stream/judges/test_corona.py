import numpy as np
import pytest

from sim.corona.sets import blocks
from sim.corona.truth import Setting
from stream.corona.forward import Forward
from stream.corona.instrument import shipped
from stream.errors import ConfigError
from stream.judges.corona import DISTANCE, NO_COUNTS, RESIDUAL, CoronaJudge, as_words

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
    assert ((said.lines[known] > 0.5) == seen[known]).mean() > 0.9


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
        (shipped("euv").edges_a, "1000 bins of 90 to 340 A; expected hetg"),
        (HETG.edges_a / 10, "expected Angstrom"),
        (12.398 / HETG.edges_a, "a grid of energies falls"),
    ):
        with pytest.raises(ConfigError, match=text):
            judge.check(edges)
    with pytest.raises(ConfigError, match="takes"):
        judge.judge(np.zeros((2, 10)))
    with pytest.raises(ConfigError, match="0 or more"):
        judge.judge(np.full((1, HETG.channels), -1.0))
