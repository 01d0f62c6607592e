from dataclasses import replace

import numpy as np
import pytest

from config.errors import ConfigError
from models.screening.judge import IRON_EV
from models.screening.report import Point, Scored, bound, perfect_within, points, report
from sim.event_sets import IN_QUADRANT, IN_READOUT, IN_WINDOW
from tests.models.screening.tables import candidates

PARTICLES, XRAYS = 200, 1000


@pytest.fixture(scope="module")
def found():
    """A fifth of the particles has company in 64 x 64, half in the quadrant, seven tenths in the read-out."""
    rng = np.random.default_rng(0)
    particle = np.arange(PARTICLES + XRAYS) < PARTICLES
    share = np.arange(PARTICLES) / PARTICLES
    company = np.zeros(particle.size, np.uint8)
    for bit, part in ((IN_WINDOW, 0.2), (IN_QUADRANT, 0.5), (IN_READOUT, 0.7)):
        company[:PARTICLES] |= np.where(share < part, bit, 0).astype(np.uint8)
    energy = rng.permutation(np.linspace(300, 9990, particle.size))
    made = candidates(particle, energy_ev=energy, kept=rng.random(particle.size) > 0.01)
    return replace(made, company=company)


def test_a_perfect_window_reaches_its_ceiling(found):
    scores = {bound("64 x 64"): perfect_within(found, np.zeros(len(found)), "64 x 64")}
    figures = report(Scored(found, scores), Scored(found, scores))
    name = f"{bound('64 x 64')}, 1.82 % lost"
    assert figures["ceiling, 64 x 64"][0] == pytest.approx(20)
    assert figures["ceiling, four quadrants"][0] == pytest.approx(70)
    assert figures[f"{name}: lost X-rays"] == (0, 0, 0)  # all others are equal, so none is rejected
    assert figures[f"{name}: recall"][0] == pytest.approx(20)
    assert figures[f"{name}: of ceiling 64 x 64"] == pytest.approx((100, 100, 100))
    assert figures[f"{name}: of ceiling quadrant"][0] == pytest.approx(40)
    low, high = figures[f"{name}: of ceiling quadrant"][1:]
    assert 30 < low < 40 < high < 50
    assert figures[f"{name}: of bound 64 x 64"] == pytest.approx((100, 100, 100))
    own = f"{bound('64 x 64')} (own quantile), 1.82 % lost"
    assert figures[f"{own}: recall"][0] == pytest.approx(20 + 80 * 0.0182)


def test_the_improvement_is_over_the_traditional_filter_on_the_same_events(found):
    scores = {"as traditional": (~found.kept).astype(float)}
    figures = report(Scored(found, scores), Scored(found, scores))
    name = "as traditional, lost as traditional"
    assert figures[f"{name}: lost X-rays"] == figures["traditional, lost as traditional: lost X-rays"]
    assert figures[f"{name}: FOR relative improvement"] == pytest.approx((0, 0, 0))


def test_thresholds_are_of_the_calibration(found):
    test = np.random.default_rng(1).random(len(found))
    figures = report(Scored(found, {"a": test + 1}), Scored(found, {"a": test}))
    assert figures["a, 1.82 % lost: lost X-rays"][0] == 0
    assert figures["a (own quantile), 1.82 % lost: recall"][0] > 0


def test_iron_is_judged_within_its_band(found):
    inside = (found.energy_ev >= IRON_EV[0]) & (found.energy_ev < IRON_EV[1])
    score = np.where(found.particle & inside, 1.0, 0.0)
    figures = report(Scored(found, {"a": score}), Scored(found, {"a": score}))
    assert figures["a, 4-8 keV, 3.11 % lost: recall"][0] == 100
    assert figures["a, 1.82 % lost, in 4-8 keV: FOR relative improvement"][0] == 100
    assert figures["a, 1.82 % lost: recall"][0] == pytest.approx(100 * inside[found.particle].mean())


def test_points():
    assert [point.name for point in points(0.01)] == ["1 % lost", "lost as traditional", "4-8 keV, 3.11 % lost"]
    weighted = candidates([False] * 4 + [True], weight=[4, 1, 1, 2, 1], kept=[True, True, False, False, True])
    assert Point("", None).wish(weighted) == pytest.approx(3 / 8)


def test_what_cannot_be_judged_is_refused(found):
    scored = Scored(found, {"a": np.zeros(len(found))})
    with pytest.raises(ConfigError, match=r"scores \['a'\]: calibrated are \['b'\]"):
        report(Scored(found, {"b": np.zeros(len(found))}), scored)
    with pytest.raises(ConfigError, match="expected X-rays and particles"):
        report(Scored(found.pick(found.particle), {"a": np.zeros(PARTICLES)}), scored)
