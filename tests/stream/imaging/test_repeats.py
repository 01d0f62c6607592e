import numpy as np

from stream.imaging.repeats import times_repeated

COLUMNS = [("FRAME", "<i8"), ("QUADRANT", "u1"), ("RAWX", "<i2"), ("RAWY", "<i2")]
rng = np.random.default_rng(1)


def photons(n, frames, side=512):
    table = np.zeros(n, COLUMNS)
    table["FRAME"], table["QUADRANT"] = rng.integers(0, frames, n), rng.integers(0, 4, n)
    table["RAWX"], table["RAWY"] = rng.integers(0, side, (2, n))
    return table


def looped(table, frames, turns):
    parts = [table.copy() for _ in range(turns)]
    for turn, part in enumerate(parts):
        part["FRAME"] += turn * frames
    return np.concatenate(parts)


def test_a_looped_recording_is_known_whatever_was_lost_of_it():
    for turns in (2, 5, 40):
        made = looped(photons(300, 400), 400, turns)
        assert times_repeated(made) == turns
        kept = made[rng.random(len(made)) > 0.02]
        assert abs(times_repeated(kept) - turns) <= 0.5 * turns


def test_a_source_that_hits_the_same_pixels_again_and_again_is_none():
    assert times_repeated(photons(3000, 10_000)) == 1
    assert times_repeated(photons(3000, 10_000, side=2)) == 1
    hot = photons(3000, 3000, side=1)
    hot["FRAME"], hot["QUADRANT"] = np.arange(3000), 0
    assert times_repeated(hot) == 1


def test_few_events_and_lists_of_others_say_nothing():
    assert times_repeated(looped(photons(5, 10), 10, 3)) == 1
    assert times_repeated(np.zeros(0, COLUMNS)) == 1
    assert times_repeated(np.zeros(100, [("TIME", "<f8")])) == 1
