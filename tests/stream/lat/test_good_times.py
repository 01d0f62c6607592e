import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.lat.photons import GTI, good_times, inside, joined, overlap_s, within, without

EDGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


def truth(pairs):
    """Return which of the unit intervals 0..60 are in the union, (60,)."""
    on = np.zeros(60, bool)
    for start, stop in pairs:
        on[start : max(start, stop)] = True
    return on


def table(pairs):
    return good_times([a for a, _ in pairs], [b for _, b in pairs])


def shown(gti):
    return truth([(int(row["START"]), int(row["STOP"])) for row in gti])


@given(EDGES, EDGES)
def test_intervals_are_sets_of_time(a, b):
    one, other = table(a), table(b)
    np.testing.assert_array_equal(shown(one), truth(a))
    np.testing.assert_array_equal(shown(joined([one, other])), truth(a) | truth(b))
    np.testing.assert_array_equal(shown(without(one, other["START"], other["STOP"])), truth(a) & ~truth(b))
    np.testing.assert_array_equal(shown(within(one, 10, 30)), truth(a) & truth([(10, 30)]))
    np.testing.assert_array_equal(inside(one, np.arange(60) + 0.5), truth(a))
    assert overlap_s(one, [0, 7.5], [60, 20]).tolist() == [
        truth(a).sum(),
        (truth(a)[8:20].sum() + truth(a)[7] / 2),
    ]
    assert (one["START"][1:] > one["STOP"][:-1]).all()  # joined where they touch


def test_what_is_no_interval_is_left_out():
    assert len(good_times([5, np.nan, 3], [5, 9, np.nan])) == 0
    assert not inside(np.empty(0, GTI), [1.0]).any()
    assert inside(good_times([0], [1]), [0.0, 1.0, np.nan]).tolist() == [True, True, False]
