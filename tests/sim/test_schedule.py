import numpy as np
import pytest

from config.errors import ConfigError
from sim.schedule import BLOCK, Schedule
from sim.seeds import Seeds


def test_any_read_out_first():
    forward = Schedule(2.3, Seeds(1))
    told = [forward.of(readout) for readout in range(3 * BLOCK)]
    backward = Schedule(2.3, Seeds(1))
    assert [backward.of(readout) for readout in reversed(range(3 * BLOCK))] == told[::-1]
    assert Schedule(2.3, Seeds(1)).of(2 * BLOCK + 5) == told[2 * BLOCK + 5]


def test_no_number_is_left_out_or_given_twice():
    schedule = Schedule(2.3, Seeds(1))
    told = [schedule.of(readout) for readout in range(3 * BLOCK)]
    numbers = [first + i for first, count in told for i in range(count)]
    assert numbers == list(range(len(numbers)))


def test_the_numbers_are_poissons():
    schedule = Schedule(2.3, Seeds(2))
    counts = np.array([schedule.of(readout)[1] for readout in range(8 * BLOCK)])
    error = np.sqrt(2.3 / counts.size)
    assert counts.mean() == pytest.approx(2.3, abs=4 * error)
    assert counts.var() == pytest.approx(2.3, rel=0.08)


def test_seed_and_run_change_them():
    told = [[Schedule(2.3, seeds).of(i)[1] for i in range(50)] for seeds in (Seeds(1), Seeds(2), Seeds(1, 1))]
    assert told[0] != told[1]
    assert told[0] != told[2]


def test_none_at_all():
    assert Schedule(0.0, Seeds(1)).of(5) == (0, 0)


@pytest.mark.parametrize("mean", [-1.0, float("nan"), float("inf"), 1e5])
def test_an_impossible_mean_is_one_line(mean):
    with pytest.raises(ConfigError, match="particles: expected 0 <= primaries per read-out < 10,000"):
        Schedule(mean, Seeds(0))
