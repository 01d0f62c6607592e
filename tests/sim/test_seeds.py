import pytest

from config.errors import ConfigError
from sim.seeds import Seeds


def first(rng):
    return int(rng.integers(2**62))


def test_everything_has_its_own_numbers():
    one, other, later = Seeds(3), Seeds(4), Seeds(3, run=1)
    drawn = [first(s.noise(r, q)) for s in (one, other, later) for r in (0, 1) for q in (0, 1)]
    drawn += [first(s.signal(r, q)) for s in (one, other, later) for r in (0, 1) for q in (0, 1)]
    assert len(set(drawn)) == 24


def test_what_is_fixed_is_the_same_in_every_run():
    assert first(Seeds(3, run=5).fixed(2)) == first(Seeds(3).fixed(2)) != first(Seeds(4).fixed(2))


@pytest.mark.parametrize("bad", [{"seed": -1}, {"seed": 0, "run": -1}])
def test_negative_seeds_are_refused(bad):
    with pytest.raises(ConfigError, match=r"^seeds: expected \w+ >= 0$"):
        Seeds(**bad)
