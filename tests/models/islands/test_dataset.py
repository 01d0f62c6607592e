import numpy as np
import pytest


def rows_of(scenes, number=200):
    particles, xrays = (np.flatnonzero(scenes.candidates.particle == which) for which in (True, False))
    return np.concatenate([particles, xrays[:number]])


def test_scenes_hold_every_candidate_where_it_is(known):
    scenes = known[0]
    own = scenes.own >= 0
    assert own.mean() > 0.95  # the others are in tracks
    np.testing.assert_allclose(scenes.islands[scenes.own[own], :2], scenes.at[own], atol=1e-3)
    np.testing.assert_allclose(scenes.facts[:, 0], scenes.candidates.energy_ev)
    inside = scenes.first[scenes.readout]
    assert np.all((scenes.own[own] >= inside[own, 0]) & (scenes.own[own] < inside[own, 1]))
    particle = own & scenes.candidates.particle
    assert np.array_equal(scenes.owner[scenes.own[particle]], scenes.candidates.group[particle])


def test_nothing_is_around_a_candidate_twice_and_never_itself(known):
    scenes = known[0]
    _, around, seen = scenes.as_seen(rows_of(scenes))
    count = np.diff(scenes.first[scenes.readout[rows_of(scenes)]], axis=1)[:, 0]
    own = scenes.own[rows_of(scenes)] >= 0
    assert np.array_equal(seen.sum(axis=1), np.minimum(count - own, seen.shape[1]))
    away = np.hypot(around[..., 0], around[..., 1])
    assert away[own][seen[own] > 0].min() > 0.5
    assert np.all(np.diff(np.where(seen > 0, away, 1e9), axis=1) >= 0)


def test_mixing_keeps_what_the_primary_left_and_takes_another_read_out(known):
    scenes = known[0]
    rows = rows_of(scenes)
    others = np.full(rows.size, 7)
    facts, _, seen = scenes.mixed(rows, others)
    assert np.array_equal(facts, scenes.facts[rows])
    size = int(np.diff(scenes.first[7])[0])
    for i, row in enumerate(rows):
        first, stop = scenes.first[scenes.readout[row]]
        mine = scenes.candidates.group[row] if scenes.candidates.particle[row] else -2
        company = int(np.sum(scenes.owner[first:stop] == mine)) - (scenes.own[row] >= 0) * (mine >= 0)
        assert seen[i].sum() == min(size + company, seen.shape[1])


def test_joined_sets_say_the_same(known):
    from models.islands.dataset import joined

    both = joined([known[0], known[1]])
    rows = rows_of(known[1], 20)
    for one, two in zip(known[1].as_seen(rows), both.as_seen(rows + len(known[0])), strict=True):
        assert np.array_equal(one, two)


def test_turning_changes_no_shape(torch, known):
    from models.islands.dataset import turned
    from models.islands.network import shape_of

    arrays = known[0].as_seen(rows_of(known[0]))
    images = turned(arrays, np.random.default_rng(3))
    one, two = (shape_of(torch.from_numpy(each[1]))[..., 2:] for each in (arrays, images))
    torch.testing.assert_close(one, two, rtol=1e-2, atol=0.05)  # ratios to what may be near 0
    assert np.array_equal(np.sort(arrays[0][:, 6:]), np.sort(images[0][:, 6:]))
    assert not np.array_equal(arrays[0], images[0])
    peak = np.stack([a[0][:, 6:].reshape(-1, 5, 5) for a in (arrays, images)])
    off = peak[:, :, :, 3:].sum(axis=(2, 3)) - peak[:, :, :, :2].sum(axis=(2, 3))  # towards larger x
    moved = np.sign(off[0]) * np.sign(arrays[0][:, 2])
    again = np.sign(off[1]) * np.sign(images[0][:, 2])
    clear = (abs(arrays[0][:, 2]) > 0.2) & (abs(images[0][:, 2]) > 0.2)
    assert moved[clear].mean() == pytest.approx(again[clear].mean(), abs=0.1)  # pixels turn as the place in them does
    assert moved[clear].mean() > 0.8
