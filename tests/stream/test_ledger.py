import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stream.ledger import Ledger, Ranges
from stream.messages import Gap

NUMBERS = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda one: (one[0], one[0] + one[1]))


def gap(first, last, quadrant=-1, reason="lost"):
    return Gap(stream="s", first=first, last=last, quadrant=quadrant, reason=reason)


@given(st.lists(st.tuples(st.sampled_from(["add", "remove"]), NUMBERS)), NUMBERS)
def test_ranges_are_a_set_of_numbers(steps, asked):
    ranges, plain = Ranges(), set()
    for what, (first, last) in steps:
        if what == "add":
            ranges.add(first, last)
            plain |= set(range(first, last + 1))
        else:
            ranges.remove(first)
            plain.discard(first)
        found = list(ranges)
        assert {n for low, high in found for n in range(low, high + 1)} == plain
        assert all(high + 1 < low for (_, high), (low, _) in itertools.pairwise(found))  # as few as can be
        assert len(ranges) == len(plain)
    holes = {n for low, high in ranges.holes(*asked) for n in range(low, high + 1)}
    assert holes == set(range(asked[0], asked[1] + 1)) - plain
    assert all((n in ranges) == (n in plain) for n in range(80))


def test_nothing_is_recorded_twice():
    ledger = Ledger([0, 1])
    assert ledger.record(np.array([0, 1, 0]), np.array([5, 5, 6])).all()
    assert ledger.record(np.array([0, 1, 0]), np.array([6, 6, 7])).tolist() == [False, True, True]
    assert not ledger.record(np.array([9]), np.array([5])).any()  # no such quadrant
    assert ledger.balance() == {"due": 6, "recorded": 5, "lost": 0}


def test_gaps_are_what_is_neither_recorded_nor_known():
    ledger = Ledger([0, 1])
    ledger.record(np.array([0, 1]), np.array([5, 5]))
    assert ledger.lose(gap(3, 7, 0)) == [gap(3, 4, 0), gap(6, 7, 0)]
    assert ledger.lose(gap(3, 7, 0)) == []
    assert ledger.lose(gap(6, 8)) == [gap(8, 8, 0), gap(6, 8, 1)]
    assert ledger.lose(gap(9, 9)) == [gap(9, 9)]
    assert ledger.missing("s", "in_flight") == [gap(3, 4, 1, "in_flight")]
    assert ledger.missing("s", "in_flight") == []
    assert ledger.balance() == {"due": 14, "recorded": 2, "lost": 12}


def test_a_late_read_out_is_no_more_lost():
    ledger = Ledger([0])
    ledger.record(np.array([0, 0]), np.array([1, 4]))
    ledger.lose(gap(2, 3, 0))
    assert ledger.record(np.array([0]), np.array([2])).all()
    assert ledger.balance() == {"due": 4, "recorded": 3, "lost": 1}


def test_what_may_still_come_is_not_declared():
    ledger = Ledger([0, 1])
    assert ledger.missing("s", "in_flight") == []
    ledger.record(np.array([0, 1, 0]), np.array([1, 1, 100]))
    assert ledger.missing("s", "in_flight", until=-100) == []
    assert ledger.missing("s", "in_flight", until=90) == [gap(2, 90, -1, "in_flight")]
    assert ledger.missing("s", "in_flight") == [gap(91, 99, 0, "in_flight"), gap(91, 100, 1, "in_flight")]


@given(st.lists(st.tuples(st.booleans(), st.integers(-1, 2), NUMBERS), max_size=12))
def test_the_books_are_balanced_at_the_end(steps):
    ledger = Ledger([0, 1, 2])
    told = 0
    for recorded, quadrant, (first, last) in steps:
        if recorded:
            numbers = np.arange(first, last + 1)
            ledger.record(np.full(numbers.size, max(quadrant, 0)), numbers)
        else:
            told += sum(
                (g.last - g.first + 1) * (3 if g.quadrant < 0 else 1) for g in ledger.lose(gap(first, last, quadrant))
            )
    ledger.missing("s", "in_flight")
    balance = ledger.balance()
    assert balance["due"] == balance["recorded"] + balance["lost"]
    assert told >= 0
