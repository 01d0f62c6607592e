import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.metrics import bootstrap, improvement, lost_xrays, unrejected_background
from models.screening.judge import EDGES_EV, IRON_EV, Cut, cut_for, interval, roc, tallies
from tests.models.screening.tables import candidates


def test_a_cut_loses_no_more_than_it_may():
    found = candidates([False] * 10 + [True] * 2)
    score = np.append(np.arange(10.0), [8.5, 2.5])
    cut = cut_for(found, score, 0.2)
    assert cut == Cut(7.0)
    assert cut.rejected(score).tolist() == [0] * 8 + [1, 1] + [1, 0]
    assert cut_for(found, score, 0.19) == Cut(8.0)
    assert cut_for(found, score, 0.0) == Cut(9.0)


def test_a_cut_splits_equal_scores_only_if_told_to():
    found = candidates([False] * 4 + [True] * 2)
    score = np.array([1.0, 1, 1, 0, 1, 2])
    assert cut_for(found, score, 0.5) == Cut(1.0)
    exact = cut_for(found, score, 0.5, exact=True)
    assert exact.threshold == 1.0
    assert exact.rejected(score).tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0, 2 / 3, 1])


def test_weights_count_in_a_cut():
    found = candidates([False, False, True], weight=[9.0, 1, 1])
    score = np.array([0.0, 1, 2])
    assert cut_for(found, score, 0.1) == Cut(0.0)
    assert cut_for(found, score, 0.09) == Cut(1.0)


def test_no_score_is_never_rejected_and_an_infinite_one_always():
    found = candidates([False, False, True, True])
    score = np.array([np.nan, 1.0, np.nan, np.inf])
    assert cut_for(found, score, 0.5).rejected(score).tolist() == [0, 1, 0, 1]
    assert cut_for(found, score, 0.0, exact=True).rejected(score).tolist() == [0, 0, 0, 1]
    lost, recall = roc(found, score)
    assert lost.tolist() == [0, 0, 0.5, 1]
    assert recall.tolist() == [0, 0.5, 0.5, 1]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=30),
    st.floats(0, 1),
)
def test_an_exact_cut_loses_just_what_was_asked_for(rows, lost):
    particle, score, weight = (np.array(column) for column in zip(*rows, (False, 2, 1), strict=True))
    found = candidates(particle, weight=weight)
    cut = cut_for(found, score.astype(float), lost, exact=True)
    of_xrays = (found.weight * cut.rejected(score.astype(float)))[~found.particle]
    assert of_xrays.sum() / found.weight[~found.particle].sum() == pytest.approx(lost)
    plain = cut_for(found, score.astype(float), lost)
    assert (found.weight * plain.rejected(score.astype(float)))[~found.particle].sum() <= lost * (
        found.weight[~found.particle].sum() + 1e-9
    )


def test_the_equations_agree_with_those_of_single_events():
    rng = np.random.default_rng(0)
    particle, rejected, traditional = (rng.random((3, 500)).T < (0.2, 0.3, 0.1)).T
    found = candidates(particle, energy_ev=rng.uniform(300, 10_000, 500), kept=~traditional)
    both = tallies(found, {"ours": rejected.astype(float), "theirs": traditional.astype(float)})
    ours, theirs = both["ours"], both["theirs"]
    assert ours.lost()[0] == pytest.approx(lost_xrays(particle, rejected))
    assert ours.background()[0] == pytest.approx(unrejected_background(particle, rejected))
    assert ours.recall()[0] == pytest.approx(rejected[particle].mean())
    assert ours.precision()[0] == pytest.approx(particle[rejected].mean())
    assert ours.f1()[0] == pytest.approx(2 / (1 / ours.recall()[0] + 1 / ours.precision()[0]))
    expected = improvement(unrejected_background(particle, rejected), unrejected_background(particle, traditional))
    assert ours.improvement(theirs)[0] == pytest.approx(expected)


def test_weights_are_numbers_of_events():
    particle, rejected = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1.0])
    once = tallies(candidates(particle, weight=[3, 2, 1, 1]), {"": rejected})[""]
    many = np.repeat(np.arange(4), [3, 2, 1, 1])
    each = tallies(candidates(particle[many]), {"": rejected[many]})[""]
    for metric in ("lost", "background", "recall", "precision", "f1"):
        assert getattr(once, metric)()[0] == pytest.approx(getattr(each, metric)()[0])
    assert once.lost()[0] == pytest.approx(2 / 5)
    assert once.background()[0] == pytest.approx(1 / 4)


def test_a_share_of_an_event_counts_as_that():
    tally = tallies(candidates([True, False]), {"": np.array([0.25, 0.5])})[""]
    assert tally.recall()[0] == 0.25
    assert tally.lost()[0] == 0.5
    assert tally.unrejected()[0] == 0.75


def test_bands_and_bins_are_the_events_in_them():
    energy = np.array([300, 3999, 4000, 7999, 8000, 9999.0])
    tally = tallies(candidates([True] * 6, energy_ev=energy), {"": np.array([0, 0, 1, 0, 1, 1.0])})[""]
    assert tally.recall()[0] == 0.5
    assert tally.within(*IRON_EV).recall()[0] == 0.5
    assert tally.within(*IRON_EV).unrejected()[0] == 1
    by_bin = tally.by_bin()
    assert len(by_bin) == EDGES_EV.size - 1
    assert [each.unrejected()[0] for each in by_bin] == np.histogram(energy[[0, 1, 3]], EDGES_EV)[0].tolist()


def test_intervals_are_those_of_the_bootstrap_over_groups():
    rng = np.random.default_rng(1)
    group = rng.integers(100, size=400)
    rejected = rng.random(400) < np.where(group < 50, 0.2, 0.6)
    value, low, high = interval(
        tallies(candidates([True] * 400, group=group), {"": rejected.astype(float)})[""].recall()
    )
    expected = bootstrap(lambda rows: float(rejected[rows].mean()), group)
    assert value == pytest.approx(expected[0])
    assert (low, high) == pytest.approx(expected[1:], abs=0.01)


def test_decisions_share_their_draws():
    rejected = (np.random.default_rng(2).random(300) < 0.5).astype(float)
    found = candidates([True] * 300)
    both = tallies(found, {"one": rejected, "other": rejected})
    assert np.array_equal(both["one"].sums, both["other"].sums)
    assert interval(both["one"].recall() / both["other"].recall()) == (1.0, 1.0, 1.0)


def test_nothing_is_not_a_number():
    tally = tallies(candidates([False]), {"": np.zeros(1)})[""]
    assert np.isnan(interval(tally.recall())).all()
    assert tally.lost()[0] == 0
